"""The start page in a real browser, on a real server: `make browser`, since it needs Chromium or Chrome."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from diptych.data.images import Images
from diptych.recognition.gallery.gallery import Gallery
from tests.browser import faults, opened_browser
from tests.serving.conftest import ServerProcess, pixels, png

pytestmark = pytest.mark.browser
REFUSED = "415 (Unsupported Media Type)"  # what is no picture
DROP = """([name, bytes]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
  document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
}"""


@pytest.fixture(scope="module")
def page_server(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One with a recognizer, a gallery of red pictures, and a run left half-way; it asks for a token."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(home / "colours", folder / "colours")
    red = Images.from_arrays(pixels(0)[:10], ["red"] * 10)
    Gallery(home / "colours", folder / "things").enroll(red)
    (folder / "half-way").mkdir()
    (folder / "half-way" / "history.jsonl").write_text('{"seen_pictures": 12800}\n', encoding="utf-8")
    server = ServerProcess(folder, "--token", "secret")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened_browser() as browser:
        yield browser


@pytest.fixture
def asked() -> list[str]:
    """The hosts that the page asked for something."""
    return []


@pytest.fixture(params=[(390, "light"), (390, "dark"), (1200, "light"), (1200, "dark")], ids="{0[0]}-{0[1]}".format)
def page(request: Any, browser: Any, page_server: ServerProcess, asked: list[str]) -> Iterator[Any]:
    """The page as it is when the models are shown."""
    width, scheme = request.param
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    problems: list[str] = []
    page.on("request", lambda sent: asked.append(urlsplit(sent.url).hostname or urlsplit(sent.url).scheme))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.goto(f"http://127.0.0.1:{page_server.port}/#token=secret")
    page.get_by_text("half-way").wait_for()
    yield page
    page.close()
    assert [problem for problem in problems if REFUSED not in problem] == []
    assert {host for host in asked if not host.startswith(("127.0.0.1", "blob"))} == set()


def drop(page: Any, name: str, picture: bytes) -> None:
    page.evaluate(DROP, [name, list(picture)])


def test_models_and_unfinished_trainings_are_listed(page: Any) -> None:
    assert "token" not in page.url
    models = page.locator("#models li").all_inner_texts()
    assert [text.split()[0] for text in models] == ["colours", "things", "half-way"]
    assert "2 classes" in models[0]
    assert "training is not finished · 12,800 pictures seen" in models[2]
    assert not faults(page)


def test_a_dropped_picture_is_recognised(page: Any) -> None:
    drop(page, "red.png", png(pixels(2)[0]))
    page.locator("#answer b", has_text="red").wait_for()
    assert page.locator("#answer meter").count() == 2
    assert page.locator("#answer img").get_attribute("alt") == "The picture red.png"
    assert not faults(page)
    drop(page, "none.png", b"no picture")
    page.locator("#answer .wrong").wait_for()
    assert "cannot be read" in page.locator("#answer .wrong").inner_text()


def test_a_dropped_picture_is_matched_with_a_gallery(page: Any) -> None:
    page.get_by_label("Recognizer or gallery").select_option("things")
    drop(page, "red.png", png(pixels(2)[0]))
    page.locator("#nearest li").first.wait_for()
    assert page.locator("#answer > div > b").inner_text().endswith("red")
    assert page.locator("#nearest li").count() == 8
    page.locator("#nearest img").nth(7).wait_for()
    assert page.evaluate("[...document.querySelectorAll('#nearest img')].every(picture => picture.naturalWidth > 0)")
    assert not faults(page)


def test_the_reference_has_no_fault(page: Any) -> None:
    page.set_extra_http_headers({"Authorization": "Bearer secret"})
    page.goto(f"{page.url}docs")
    page.get_by_text("/models/{name}/predict").first.wait_for()
    assert not faults(page)
