"""The rooms of src/diptych: small files in small folders, one name for one thing, no circles, the field's words."""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
PACKAGE = SRC / "diptych"
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_MODULES = 18  # in a folder
MAX_LINES = 350  # in a file
MAX_FILES_OF_A_VAGUE_WORD = 8
VAGUE_WORDS = ("told", "made", "some", "found", "held")  # they say nothing of what a value is


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in FILES}


def imported(path: Path) -> set[str]:
    """The modules of Diptych that a file imports, anywhere in it: at the top, in functions, under TYPE_CHECKING."""
    names: set[str] = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            members = [f"{node.module}.{alias.name}" for alias in node.names]
            names.update(member if member in MODULES else node.module for member in members)
    return names & MODULES.keys() - {module_name(path)}


def circles(graph: dict[str, set[str]]) -> Iterator[list[str]]:
    """The groups of modules of which each imports, by way of others, each other (Tarjan 1972)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []

    def visit(module: str) -> Iterator[list[str]]:
        order[module] = lowest[module] = len(order)
        stack.append(module)
        for other in sorted(graph[module]):
            if other not in order:
                yield from visit(other)
            if other in stack:
                lowest[module] = min(lowest[module], lowest[other])
        if lowest[module] == order[module]:
            start = stack.index(module)
            group = stack[start:]
            del stack[start:]
            if len(group) > 1:
                yield sorted(group)

    for module in sorted(graph):
        if module not in order:
            yield from visit(module)


def bound_names(path: Path) -> set[str]:
    """Every name that a file gives to something: variables, attributes, parameters, functions, classes, imports."""
    names: set[str] = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
        else:  # functions, classes, exceptions, patterns
            names.add(getattr(node, "name", None) or "")
    return names


def test_no_folder_holds_more_modules_than_a_newcomer_can_look_over():
    counts = Counter(relative(path.parent) for path in FILES if path.name != "__init__.py")
    del counts["cli"]  # a file for each verb
    assert {folder: count for folder, count in counts.items() if count > MAX_MODULES} == {}


def test_no_file_is_long():
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_LINES} == {}


@pytest.mark.parametrize("panel", ["recognition", "synthesis"])
def test_no_module_name_occurs_twice_in_a_panel(panel):
    places = defaultdict(list)
    for path in (PACKAGE / panel).rglob("*.py"):
        if path.name != "__init__.py":
            places[path.name].append(relative(path))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_modules_import_each_other_in_no_circle_but_the_reports_facade():
    groups = list(circles({name: imported(path) for name, path in MODULES.items()}))
    assert [group for group in groups if not all(name.startswith("diptych.report") for name in group)] == []


@pytest.mark.parametrize("word", VAGUE_WORDS)
def test_a_word_that_says_nothing_of_a_value_names_few_of_them(word):
    files = [relative(path) for path in FILES if word in bound_names(path)]
    assert len(files) <= MAX_FILES_OF_A_VAGUE_WORD, "\n".join(files)


def test_circles_are_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set(), "f": {"g", "a"}, "g": {"f"}}
    assert sorted(circles(graph)) == [["a", "b", "c"], ["f", "g"]]
