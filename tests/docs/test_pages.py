"""The documents are consistent: links have targets, and Python blocks use public names."""

import ast
import re
from pathlib import Path

import pytest

import diptych
from tests.docs.page_parts import anchors, links, text

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
MAX_PICTURE_BYTES = 200_000  # so that a page loads fast


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_have_targets(page: Path) -> None:
    for _, target in links(page):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_use_public_names(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", text(page), flags=re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "diptych":
                assert {name.name for name in node.names} <= set(diptych.__all__)


def test_pictures_are_small() -> None:
    assert all(path.stat().st_size < MAX_PICTURE_BYTES for path in (ROOT / "docs" / "images").glob("*.png"))
