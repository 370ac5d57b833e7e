"""Pictures of the page's screens, for the documents: each screen at work, in both languages.

    python docs/tools/screenshots.py HOME docs/images/page

HOME is a folder as `diptych serve` is given it, with the data sets "fruit" and "digits", the recognizers "fruit",
"digits" and "digits-convnet", the synthesizer "digits-flow" and the gallery "products". The pictures become small by a
palette of 128 colours.
"""

import argparse
import io
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

WIDTHS = {"desktop": 1280, "phone": 390}
LANGUAGES = {"": "en-GB", ".zh-CN": "zh-CN"}
SCHEMES = ("light", "dark")
COLOURS = 128
WORK_MS = 240_000
HEIGHT = 900


def teach(page: Any, home: Path) -> None:
    """Two classes with their pictures."""
    cards = page.locator(".cards .card").all()
    for card, label in zip(cards, ("Banana", "Lemon"), strict=True):
        card.locator("input:not([type=file])").fill(label)
        card.locator("input[type=file]").set_input_files(pictures(home, label)[:24])
        card.locator(".pictures img").nth(11).wait_for()


def recognise(page: Any, home: Path) -> None:
    """Some pictures, and the reasons for one."""
    page.locator("select").first.select_option("fruit")
    page.locator("input[type=file]").set_input_files(
        [pictures(home, label)[-1] for label in ("Carrots", "Banana", "Kiwi")]
    )
    page.locator("tbody tr").nth(2).wait_for()
    page.locator("main button", has_text="?").or_(page.locator("main button", has_text="？")).last.click()
    page.locator(".overlay canvas").wait_for()


def make(page: Any, _: Path) -> None:
    """A grid of new digits."""
    page.locator("button.main").first.click()
    page.locator(".grid img").nth(15).wait_for(timeout=WORK_MS)


def match(page: Any, home: Path) -> None:
    """The nearest pictures to one."""
    page.locator(".drop input").first.set_input_files(pictures(home, "Red-Bell-Pepper")[-1])
    page.locator(".grid img").nth(5).wait_for()


def data(page: Any, _: Path) -> None:
    """What was found, to be decided on."""
    page.locator("button.main").first.click()
    page.locator(".card .answer").wait_for(timeout=WORK_MS)


def map_(page: Any, _: Path) -> None:
    """Digits by a recognizer, coloured by class."""
    page.locator("select").nth(2).select_option("digits")
    page.wait_for_timeout(1000)
    if not page.locator(".map .legend").count():
        page.locator("button.main").click()
    page.locator(".map .legend").wait_for(timeout=WORK_MS)
    page.wait_for_timeout(1000)


def trust(page: Any, _: Path) -> None:
    """The audit of the recognizer of digits."""
    page.locator("select").nth(1).select_option("digits-convnet")
    page.locator("select").nth(2).select_option("digits")
    page.locator("button.main").click()
    page.locator("iframe").wait_for(timeout=WORK_MS)
    page.frame_locator("iframe").locator("h1").wait_for()


def reports(page: Any, _: Path) -> None:
    """The list of models."""
    page.locator(".card").nth(3).wait_for()


SCREENS: dict[str, tuple[str, Callable[[Any, Path], None]]] = {
    "teach": ("teach", teach),
    "recognise": ("recognise", recognise),
    "make": ("make/digits-flow", make),
    "match": ("match/products", match),
    "data": ("data/fruit", data),
    "map": ("map/digits", map_),
    "trust": ("trust", trust),
    "reports": ("reports", reports),
}


def pictures(home: Path, label: str) -> list[Path]:
    """The files of a class of fruit."""
    return sorted((home / "data/fruit" / label).iterdir())


def start(home: Path) -> tuple[subprocess.Popen[bytes], str]:
    """The server and its address, once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "diptych", "serve", str(home), "--port", str(port)])
    address = f"http://127.0.0.1:{port}/"
    while True:
        try:
            urllib.request.urlopen(f"{address}health/ready").close()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
        else:
            return server, address


def save(shot: bytes, path: Path) -> None:
    """Write a picture with few colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(shot)) as image:
        image.convert("RGB").quantize(COLOURS).save(path, optimize=True)


def main() -> None:
    """Start the server, show each screen at work, and save what is seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--screens", nargs="*", default=list(SCREENS))
    parser.add_argument("--all", action="store_true", help="also by phone and in dark colours")
    args = parser.parse_args()
    server, address = start(args.home)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            for name in args.screens:
                place, fill = SCREENS[name]
                for language, locale in LANGUAGES.items():
                    for size, width in WIDTHS.items() if args.all else [("desktop", WIDTHS["desktop"])]:
                        for scheme in SCHEMES if args.all else SCHEMES[:1]:
                            page = browser.new_page(
                                viewport={"width": width, "height": HEIGHT}, color_scheme=scheme, locale=locale
                            )
                            page.goto(f"{address}#/{place}")
                            page.locator("main .field, main .card").first.wait_for()
                            fill(page, args.home)
                            suffix = f"-{size}-{scheme}" if args.all else ""
                            save(page.screenshot(), args.out / f"{name}{suffix}{language}.png")
                            page.close()
            browser.close()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
