"""Every kind of page in a real browser: `make browser`, since it needs Chromium or Chrome."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diptych.cli import demo_run
from tests.browser import faults, opened_browser
from tests.cli.conftest import CommandResult, Terminal, folder

pytestmark = pytest.mark.browser
PAGES = ("recognizer", "synthesizer", "evaluate", "inspect", "score", "edit", "compare", "compare-samples", "demo")


@pytest.fixture(scope="module")
def pages(
    diptych: Terminal, fitted: tuple[Path, list[CommandResult]], colours: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A page of each kind, from small models."""
    place = tmp_path_factory.mktemp("pages")
    recognizer, gan = fitted[0] / "recognizer", fitted[0] / "gan"
    mixed = folder(place / "mixed", {"red": 60, "green": 50})
    (mixed / "red" / "copy.png").write_bytes((mixed / "green" / "000.png").read_bytes())  # an error, and a copy
    one, two = colours / "red" / "000.png", colours / "green" / "001.png"
    made = {name: place / f"{name}.html" for name in ("evaluate", "inspect", "score", "compare", "compare-samples")}
    results = diptych.several(
        ["evaluate", recognizer, mixed, "--unknown", colours, "-o", made["evaluate"]],
        ["inspect", mixed, "-o", made["inspect"]],
        ["score", gan, "--against", colours, "-n", 40, "--minutes", 0.2, "-o", made["score"]],
        ["compare", recognizer, recognizer, "--on", mixed, "-o", made["compare"]],
        ["compare", gan, gan, "-o", made["compare-samples"]],
        ["edit", "interpolate", gan, one, two, "--label", "red", "-o", place / "edit"],
    )
    assert [result.code for result in results] == [0] * 6, [result.err for result in results]
    _short_demo(place / "demo")
    folders = {"recognizer": recognizer, "synthesizer": gan, "edit": place / "edit", "demo": place / "demo"}
    return made | {name: path / "report.html" for name, path in folders.items()}


def _short_demo(place: Path) -> None:
    """The demo at a fraction of its length."""
    epochs = {kind: {"epochs": 2} for kind in demo_run.SMALL.settings}
    demo_run.run_demo(place, dataclasses.replace(demo_run.SMALL, settings=epochs))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened_browser() as browser:
        yield browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_serious_fault_and_fits_the_screen(
    pages: dict[str, Path], browser: Any, name: str, width: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(pages[name].as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    found = faults(page)
    page.close()
    assert not found
