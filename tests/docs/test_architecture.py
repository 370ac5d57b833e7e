"""docs/architecture.md names every module and no other, and draws the layers that are checked."""

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "diptych"
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
HEADING = "## Where do I find …?\n"


def is_listed(path: Path) -> bool:
    """Whether a newcomer may look for it: any module, and of the packages those that define something."""
    if path.name != "__init__.py":
        return True
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body)


def test_the_table_names_every_module_once_and_none_that_does_not_exist():
    modules = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if is_listed(path)}
    rows = re.findall(r"^\| `([^`]+\.py)` \| (.+) \|$", TEXT.split(HEADING)[1], flags=re.MULTILINE)
    names = [name for name, _ in rows]
    missing, absent = sorted(modules - set(names)), sorted(set(names) - modules)
    assert not missing, "add a line to docs/architecture.md for each of:\n" + "\n".join(missing)
    assert not absent, "no such module, though docs/architecture.md names it:\n" + "\n".join(absent)
    assert len(names) == len(set(names))


def test_the_layers_are_those_of_the_import_contract():
    drawn = re.search(r"```text\n(.*?)```", TEXT, flags=re.DOTALL)
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ][0]
    assert [re.split(r"\s{2,}", line)[0] for line in drawn[1].splitlines()] == contract["layers"]


def test_every_file_that_the_text_names_exists():
    text = TEXT.split(HEADING)[0]
    for name in re.findall(
        r"`((?:src|tests|docs|data|engine|metrics|synthesis|recognition|interplay)/[\w/]+\.py)`", text
    ):
        assert (ROOT / name).is_file() or (PACKAGE / name).is_file(), name
