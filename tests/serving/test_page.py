"""The page in a real browser, on a real server: `make browser`, since it needs Chromium or Chrome."""

import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from diptych.data.images import Images
from diptych.marks import mark
from diptych.recognition.gallery.gallery import Gallery
from diptych.signing.verify import sign
from tests.browser import faults, opened_browser
from tests.marked import FACTS
from tests.serving.conftest import ServerProcess, pixels, png

pytestmark = pytest.mark.browser
SCREENS = ("teach", "recognise", "make", "match", "data", "map", "trust", "verify", "reports")
TRAINING_MS = 120_000
REFUSALS = ("404", "415")  # what is no picture; a map that is not there yet


@pytest.fixture(scope="module")
def page_server(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One with a recognizer, a VAE, a gallery of red pictures and a data set; it asks for a token."""
    folder = tmp_path_factory.mktemp("page")
    for name in ("colours", "colours-vae"):
        shutil.copytree(home / name, folder / name)
    sign(folder / "colours-vae")
    Gallery(home / "colours", folder / "things").enroll(Images.from_arrays(pixels(0)[:10], ["red"] * 10))
    for label, arrays in (("red", pixels(0)), ("blue", pixels(1)[..., ::-1])):
        (folder / "data" / "paints" / label).mkdir(parents=True)
        for number, array in enumerate(arrays):
            Image.fromarray(array).save(folder / "data" / "paints" / label / f"{label}-{number}.png")
    shutil.copy(folder / "data/paints/red/red-0.png", folder / "data/paints/blue/wrong.png")
    server = ServerProcess(folder, "--token", "secret")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One whose webcam sees a red wall."""
    film = tmp_path_factory.mktemp("film") / "red.mjpeg"
    frames = [np.resize(picture, (240, 320, 3)) for picture in np.full((10, 1, 1, 3), (195, 45, 45), np.uint8)]
    with film.open("wb") as file:
        for frame in frames:
            Image.fromarray(frame).save(file, "JPEG", quality=95)
    webcam = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with opened_browser(*webcam, f"--use-file-for-fake-video-capture={film}") as browser:
        yield browser


@pytest.fixture
def shown(browser: Any, page_server: ServerProcess) -> Iterator[Any]:
    """A function that opens a screen; at the end, no script has failed and no other host was asked."""
    opened, problems, asked = [], [], []

    def show(screen: str, width: int = 1280, scheme: str = "light", language: str = "en-GB") -> Any:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, locale=language)
        page.on("request", lambda sent: asked.append(urlsplit(sent.url)))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.goto(f"http://127.0.0.1:{page_server.port}/#token=secret")
        page.goto(f"http://127.0.0.1:{page_server.port}/#/{screen}")
        page.locator("h1").wait_for()
        page.locator("main .field, main .card, main details").first.wait_for()
        opened.append(page)
        return page

    yield show
    for page in opened:
        page.close()
    end_jobs(page_server)
    assert [problem for problem in problems if not any(status in problem for status in REFUSALS)] == []
    assert {url.hostname for url in asked if url.scheme not in ("blob", "data")} == {"127.0.0.1"}


def end_jobs(server: ServerProcess) -> None:
    """What a screen left to go on in the background, so that the next one's job need not wait for it."""
    headers = {"Authorization": "Bearer secret", "Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(f"http://127.0.0.1:{server.port}/jobs", headers=headers)
    ) as answer:
        jobs = json.load(answer)["jobs"]
    for job in jobs:
        if job["state"] in ("waiting", "running"):
            address = f"http://127.0.0.1:{server.port}/jobs/{job['id']}/cancel"
            with suppress(urllib.error.HTTPError):  # it has just ended
                urllib.request.urlopen(urllib.request.Request(address, b"", headers)).close()


def files(*names: str, seed: int = 2) -> list[dict[str, Any]]:
    """Red pictures, as a file chooser gives them."""
    return [
        {"name": name, "mimeType": "image/png", "buffer": png(array)}
        for name, array in zip(names, pixels(seed), strict=False)
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "language"), [(390, "zh-CN"), (1280, "en-GB")])
@pytest.mark.parametrize("screen", SCREENS)
def test_a_screen_has_no_serious_fault_and_fits(
    shown: Any, screen: str, width: int, language: str, scheme: str
) -> None:
    page = shown(screen, width, scheme, language)
    page.evaluate("document.querySelectorAll('details.same').forEach(fold => fold.open = true)")
    assert not faults(page)
    assert page.locator("html").get_attribute("lang") == ("en" if language == "en-GB" else "zh-CN")


def test_pictures_are_recognised_and_explained(shown: Any) -> None:
    page = shown("recognise")
    page.set_input_files(
        "input[type=file]", [*files("a.png", "b.png"), {"name": "none.png", "mimeType": "image/png", "buffer": b"no"}]
    )
    page.locator("tbody tr").nth(2).wait_for()
    assert page.locator(".answer").inner_text() == "red"
    assert "cannot be read" in page.locator("tbody tr").nth(2).inner_text()
    page.get_by_role("button", name="Why?").click()
    page.locator(".overlay canvas").wait_for()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as CSV").click()
    lines = Path(saved.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "path,label,confidence,unknown,set,error"
    assert lines[1].startswith("a.png,red,")
    page.locator("summary").click()
    assert "diptych predict colours a.png" in page.locator("pre").first.inner_text()
    assert not faults(page)


def test_the_webcam_is_recognised_live_and_ends_with_the_screen(shown: Any) -> None:
    page = shown("recognise")
    assert page.locator("video").is_hidden()
    page.get_by_role("button", name="Start the webcam").click()
    page.get_by_text("The webcam is on").wait_for()
    page.locator(".webcam .answer", has_text="red").wait_for()
    page.evaluate("window.tracks = document.querySelector('video').srcObject.getTracks()")
    page.get_by_role("link", name="Make").click()
    page.get_by_role("heading", name="Make", exact=True).wait_for()
    assert page.evaluate("tracks.map(track => track.readyState)") == ["ended"]


def test_a_class_is_recorded_for_as_long_as_the_button_is_held(shown: Any) -> None:
    page = shown("teach")
    card = page.locator(".cards .card").first
    card.get_by_role("button", name="Start the webcam").click()
    record = card.get_by_role("button", name="Hold to record")
    record.dispatch_event("pointerdown")
    card.get_by_text("3 pictures").wait_for()
    record.dispatch_event("pointerup")
    page.wait_for_timeout(600)
    recorded = card.locator(".pictures img").count()
    page.wait_for_timeout(600)
    assert card.locator(".pictures img").count() == recorded


def test_pictures_are_made_and_saved(shown: Any) -> None:
    page = shown("make")
    page.get_by_label("Number").fill("4")
    page.get_by_role("button", name="Make", exact=True).click()
    page.locator(".grid img").nth(3).wait_for()
    with page.expect_download() as saved:
        page.locator(".grid a").first.click()
    with Image.open(saved.value.path()) as picture:
        assert picture.size == (16, 16)
    assert not faults(page)


def test_a_dropped_picture_is_verified(shown: Any) -> None:
    page = shown("verify")
    (photo,) = files("photo.png")
    marked = mark(photo["buffer"], FACTS)
    changed = marked[:-30] + bytes([marked[-30] ^ 1]) + marked[-29:]
    given = {"generated.png": marked, "changed.png": changed, "none.png": b"no"}
    page.set_input_files(
        "input[type=file]",
        [photo, *({**photo, "name": name, "buffer": content} for name, content in given.items())],
    )
    page.locator("details.same").wait_for()
    told = page.locator(".answers .card").all_inner_texts()
    assert "does not prove that it is real" in told[0]
    assert "flow pets" in told[1]
    assert "the key of this server's owner" in told[1]
    assert "Changed since it was signed" in told[2]
    assert "its bytes are not those that were signed" in told[2]
    assert "not a picture" in told[3]
    page.evaluate("document.querySelectorAll('details.same').forEach(fold => fold.open = true)")
    assert not faults(page)


def test_every_picture_made_shows_its_mark_which_is_verified(shown: Any) -> None:
    page = shown("make")
    page.get_by_label("Number").fill("3")
    page.get_by_role("button", name="Make", exact=True).click()
    page.locator(".grid .mark").nth(2).wait_for()
    assert "Generated by the model" in page.locator(".grid .mark").first.get_attribute("title")
    page.locator(".grid .mark").first.click()
    page.locator(".answer").wait_for()
    assert page.locator(".answer").inner_text() == "Generated. Signed, and not changed since"
    assert not faults(page)


def test_a_model_shows_who_signed_it(shown: Any) -> None:
    page = shown("reports/colours-vae")
    page.get_by_text("Whose model is this?").click()
    assert page.locator("details .answer").first.inner_text() == "Signed, and not changed since"
    assert not faults(page)


def test_a_picture_is_edited(shown: Any) -> None:
    page = shown("make")
    page.get_by_label("What to make").select_option("interpolate")
    page.set_input_files("input[type=file]", files("a.png", "b.png"))
    page.get_by_label("Steps between").fill("5")
    page.get_by_role("button", name="Make", exact=True).click()
    page.locator(".grid img").nth(4).wait_for()
    page.get_by_label("What to make").select_option("inpaint")
    page.set_input_files("input[type=file]", files("a.png"))
    box = page.locator("canvas.brush").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 120, steps=5)
    page.mouse.up()
    page.get_by_role("button", name="Make", exact=True).click()
    page.locator(".grid img").first.wait_for()
    assert page.locator(".wrong").count() == 0


def test_a_gallery_is_searched_filled_and_changed(shown: Any) -> None:
    page = shown("match")
    page.locator(".drop input").first.set_input_files(files("probe.png"))
    page.locator(".answer").wait_for()
    assert page.locator(".answer").inner_text().endswith("red")
    assert page.locator(".grid img").count() == 10
    page.get_by_label("Label", exact=True).fill("crimson")
    page.locator(".drop input").nth(1).set_input_files(files("c.png", "d.png", seed=5))
    page.get_by_text("2 added to crimson.").wait_for()
    page.locator("summary", has_text="crimson · 2 pictures").click()
    page.locator("button.pick").first.click()
    assert page.locator("button.pick").first.get_attribute("aria-pressed") == "true"
    page.get_by_label("Give the chosen pictures the label").fill("ruby")
    page.get_by_role("button", name="Move", exact=True).click()
    page.locator("summary", has_text="ruby · 1 picture").wait_for()
    assert not faults(page)


def test_a_gallery_is_made_of_a_data_set_and_its_labels_are_merged(shown: Any) -> None:
    page = shown("match")
    page.locator("summary", has_text="Make another gallery").click()
    page.get_by_label("Name", exact=True).fill("shelf")
    page.locator("details button.main").click()
    page.wait_for_url("**/#/match/shelf", timeout=TRAINING_MS)
    page.locator("summary", has_text="blue · ").click()
    page.once("dialog", lambda dialog: dialog.accept("red"))
    page.get_by_role("button", name="Rename or merge").click()
    page.locator("summary", has_text="blue · ").wait_for(state="detached")
    assert page.locator("summary", has_text="red · ").count() == 1


def test_all_pictures_are_saved(shown: Any) -> None:
    page = shown("make")
    names: set[str] = set()
    page.on("download", lambda download: names.add(download.suggested_filename))
    page.get_by_label("Number").fill("12")
    page.get_by_role("button", name="Make", exact=True).click()
    page.get_by_role("button", name="Save all").click()
    page.get_by_role("button", name="Save all").and_(page.locator(":enabled")).wait_for()
    page.wait_for_timeout(500)
    assert names == {f"colours-vae-{i}.png" for i in range(12)}


def test_a_question_of_trust_names_a_model_and_pictures(shown: Any) -> None:
    page = shown("trust")
    assert page.get_by_label("Model").locator("option").all_inner_texts() == ["colours", "colours-vae"]
    assert "paints" in page.get_by_label("Pictures").locator("option").all_inner_texts()
    page.get_by_label("Question").select_option("privacy")
    for label in ("Pictures that it was trained on", "Pictures of the same source that it has never seen"):
        assert "paints" in page.get_by_label(label).locator("option").all_inner_texts()


def test_work_that_waits_says_so_and_can_be_stopped(shown: Any) -> None:
    page = shown("data/paints")
    page.get_by_label("Minutes").fill("10")
    page.get_by_role("button", name="Train on the set as it is now").click()
    page.get_by_text("Training …").wait_for()
    page.get_by_role("button", name="Look for what is wrong").click()
    page.get_by_text("It waits until earlier work").wait_for(timeout=TRAINING_MS)
    page.get_by_role("link", name="Models").click()
    card = page.locator(".card", has=page.get_by_role("heading", name="Looking for what is wrong in paints"))
    card.get_by_role("button", name="Stop").click()
    card.wait_for(state="detached")


def test_a_taught_recognizer_answers(shown: Any) -> None:
    page = shown("teach")
    colours = {"red": pixels(6), "blue": pixels(7)[..., ::-1]}
    for card, (label, arrays) in zip(page.locator(".cards .card").all(), colours.items(), strict=True):
        card.get_by_label("Name of the class").fill(label)
        pictures = [{"name": f"{i}.png", "mimeType": "image/png", "buffer": png(a)} for i, a in enumerate(arrays)]
        card.locator("input[type=file]").set_input_files(pictures)
        card.get_by_text("12 pictures").wait_for()
    page.get_by_label("Name of the recognizer").fill("paint")
    page.get_by_role("button", name="Train").click()
    page.get_by_text("Try it").wait_for(timeout=TRAINING_MS)
    page.locator("section .drop input").last.set_input_files(files("new.png", seed=8))
    page.locator(".answer", has_text="red").wait_for(timeout=TRAINING_MS)
    assert not faults(page)


def test_pictures_stay_while_another_screen_is_open_and_one_can_be_taken_out(shown: Any) -> None:
    page = shown("teach")
    card = page.locator(".cards .card").first
    card.get_by_label("Name of the class").fill("red")
    card.locator("input[type=file]").set_input_files(files("a.png", "b.png", "c.png"))
    card.get_by_text("3 pictures").wait_for()
    card.get_by_role("button", name="Take out b.png").click()
    card.get_by_text("2 pictures").wait_for()
    page.get_by_role("link", name="Make").click()
    page.get_by_role("heading", name="Make", exact=True).wait_for()
    page.get_by_role("button", name="中文").click()
    page.get_by_role("link", name="教").click()
    page.get_by_text("2 张图片").wait_for()
    assert page.locator(".cards .card").first.locator("input:not([type=file])").input_value() == "red"
    assert page.locator(".cards .pictures img").count() == 2


def test_too_little_to_teach_is_said(shown: Any) -> None:
    page = shown("teach")
    page.get_by_role("button", name="Train").click()
    page.locator(".wrong", has_text="Two classes").wait_for()


def test_a_wrong_label_is_found_and_mended_with_keys(shown: Any, page_server: ServerProcess) -> None:
    page = shown("data/paints")
    page.get_by_role("button", name="Look for what is wrong").click()
    page.locator(".card .answer").wait_for(timeout=TRAINING_MS)
    found = page.locator(".card .answer").inner_text()
    left = page.locator(".card p.soft").inner_text()
    page.keyboard.press("d")
    page.get_by_role("button", name="Undo (U)").and_(page.locator(":enabled")).wait_for()
    folder = next(iter(Path(f"/proc/{page_server.process.pid}/cmdline").read_bytes().split(b"\0")[4:5])).decode()
    assert not (Path(folder) / "data/paints" / found).exists()
    page.keyboard.press("u")
    page.locator(".card p.soft", has_text=left).wait_for()
    assert (Path(folder) / "data/paints" / found).exists()
    assert not faults(page)


def test_a_map_is_computed_and_its_points_are_chosen(shown: Any) -> None:
    page = shown("map/paints")
    page.get_by_label("Alike in the eyes of").select_option("colours")
    page.get_by_role("button", name="Compute the map").click()
    page.locator(".map .legend li", has_text="blue").wait_for(timeout=TRAINING_MS)
    page.get_by_label("Colours").select_option("confusion")
    page.locator(".map .legend li", has_text="right").wait_for()
    box = page.locator(".map .canvas").bounding_box()
    corners = np.array([[0.02, 0.02], [0.9, 0.02], [0.9, 0.98], [0.02, 0.98], [0.02, 0.02]])
    for i, (x, y) in enumerate(corners):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=8)
        if i == 0:
            page.mouse.down()
    page.mouse.up()
    page.get_by_text(re.compile(r"\d+ pictures chosen")).wait_for()
    assert page.locator(".grid img").count() >= 10
    assert not faults(page)


def test_generated_pictures_are_kept_and_shown_beside_real_ones(shown: Any) -> None:
    page = shown("make")
    page.get_by_label("Number").fill("6")
    page.get_by_role("button", name="Make", exact=True).click()
    page.get_by_role("button", name="Keep them as a data set").click()
    page.get_by_text("They are in the data set colours-vae-samples-1").wait_for(timeout=TRAINING_MS)
    page = shown("map/paints")
    page.get_by_label("Beside them").select_option("colours-vae-samples-1")
    page.get_by_label("Alike in the eyes of").select_option("colours")
    page.get_by_role("button", name="Compute the map").click()
    page.locator(".map .legend").wait_for(timeout=TRAINING_MS)
    page.get_by_label("Colours").select_option("origin")
    page.locator(".map .legend li", has_text="generated").wait_for()
    page.locator(".map .legend li", has_text="real").wait_for()


def test_a_synthesizer_is_trained_and_makes_pictures(shown: Any) -> None:
    page = shown("make")
    page.locator("summary", has_text="Train another synthesizer").click()
    training = page.locator("details section")
    training.get_by_label("Learn from").select_option("paints")
    training.get_by_label("Kind").select_option("vae")
    training.get_by_label("Minutes").fill("0.5")
    assert training.get_by_label("Name of the synthesizer").input_value() == "paints-vae-1"
    training.get_by_role("button", name="Train").click()
    page.wait_for_url("**/#/make/paints-vae-1", timeout=TRAINING_MS)
    page.get_by_label("Synthesizer", exact=True).locator("option", has_text="paints-vae-1").wait_for(state="attached")
    page.get_by_role("button", name="Make", exact=True).click()
    page.locator(".grid img").nth(15).wait_for()


def test_models_are_compared_side_by_side(shown: Any, page_server: ServerProcess) -> None:
    folder = Path(Path(f"/proc/{page_server.process.pid}/cmdline").read_bytes().split(b"\0")[4].decode())
    shutil.copytree(folder / "colours", folder / "colours-again", dirs_exist_ok=True)
    page = shown("reports")
    page.get_by_label("Compare colours", exact=True).check()
    page.get_by_label("Compare colours-again").check()
    page.get_by_role("button", name="Compare the chosen ones").click()
    comparison = page.frame_locator("iframe")
    comparison.get_by_text("within chance").first.wait_for(timeout=TRAINING_MS)
    assert not faults(page)


def test_a_set_is_trained_on_again_and_both_scores_are_shown(shown: Any) -> None:
    page = shown("data/paints")
    page.get_by_label("Compared with the recognizer").select_option("colours")
    page.get_by_label("Minutes").fill("0.2")
    page.get_by_role("button", name="Train on the set as it is now").click()
    page.locator("section table tr").nth(1).wait_for(timeout=TRAINING_MS)
    before, after = page.locator("section table tr").all_inner_texts()
    assert before.startswith("Before")
    assert after.startswith("After")
    assert "pictures kept back from training right" in before
    assert "pictures kept back from training right" in after


def test_models_are_shown_with_their_reports_and_renamed(shown: Any) -> None:
    page = shown("reports")
    page.on("dialog", lambda dialog: dialog.accept("tints"))
    card = page.locator(".card", has=page.get_by_role("heading", name="colours-vae", exact=True))
    card.get_by_role("button", name="Rename").click()
    page.get_by_role("heading", name="tints", exact=True).wait_for()
    page.locator(".card", has=page.get_by_role("heading", name="colours", exact=True)).get_by_role(
        "link", name="Report"
    ).click()
    page.frame_locator("iframe").locator("h1").wait_for()


def test_the_language_is_switched_and_kept(shown: Any) -> None:
    page = shown("recognise")
    page.get_by_role("button", name="中文").click()
    page.get_by_role("heading", name="识别", exact=True).wait_for()
    page.reload()
    page.get_by_role("heading", name="识别", exact=True).wait_for()


def test_the_reference_has_no_fault(shown: Any) -> None:
    page = shown("reports")
    page.set_extra_http_headers({"Authorization": "Bearer secret"})
    page.goto(f"{page.url.split('#')[0]}docs")
    page.get_by_text("/models/{name}/predict").first.wait_for()
    assert not faults(page)
