"""docs/mathematics.md names only what exists: files, functions, tests."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "mathematics.md"
TEXT = PAGE.read_text(encoding="utf-8")
LINKS = re.findall(r"\[([^\]]+)\]\((\.\./[^)#]+)\)", TEXT)


def defined(path: Path) -> set[str]:
    """The functions and classes of a file, methods as Class.method."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names.update(f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef))
    return names


@pytest.mark.parametrize(("name", "target"), sorted(set(LINKS)))
def test_what_is_linked_exists(name: str, target: str) -> None:
    path = (PAGE.parent / target).resolve()
    assert path.is_file()
    if name.startswith("`"):
        assert name.strip("`") in defined(path)


def test_every_test_that_is_named_exists_and_every_test_is_named() -> None:
    files = (ROOT / "tests").glob("test_mathematics*.py")
    tests = {name for path in files for name in defined(path) if name.startswith("test_")}
    assert set(re.findall(r"`(test_\w+)`", TEXT)) == tests


def test_every_section_is_tied_to_code_and_tests() -> None:
    sections = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
    assert "popular texts slip" in sections[-1].splitlines()[0]
    for section in sections[:-1]:
        assert "../src/diptych/" in section
        assert "`test_" in section


def test_the_contents_name_every_section_in_order() -> None:
    headings = re.findall(r"^## (.+)$", TEXT, flags=re.MULTILINE)
    assert [heading.split(".")[0] for heading in headings] == [str(i) for i in range(1, len(headings) + 1)]
    anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
    assert re.findall(r"\(#([^)]+)\)", TEXT.split("Contents:")[1].split("\n\n")[0]) == anchors
