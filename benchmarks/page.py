"""The server's page in Chromium: how soon it can be used, and how smoothly a map of many pictures moves.

Each opening is by a browser with an empty cache. The maps have 10,000 and 100,000 points in ten clusters; they are
pulled and zoomed by a mouse that moves a hundred times a second, and frames are counted as the browser draws them.
Without a graphics card the browser draws on the processor.

    python benchmarks/page.py
"""

import json
import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import common
import measure
import numpy as np
from PIL import Image
from serving import serve_diptych, stopping

OPENINGS = 9
POINTS = {"many": 10_000, "very-many": 100_000}
SECONDS = 5.0  # of each movement
PAUSE_MS = 10
USABLE = """new MutationObserver((_, observer) => {
  if (!document.querySelector("main .field")) return;
  window.usable = performance.now();
  observer.disconnect();
}).observe(document, { childList: true, subtree: true })"""
COUNT_FRAMES = """window.moments = [];
(function count(now) { moments.push(now); requestAnimationFrame(count); })(performance.now())"""
DRAWN = "new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
PULL = """(() => { const [plot] = Bokeh.documents.at(-1).roots();
  plot.toolbar.active_drag = plot.toolbar.tools.find(tool => tool.type === "PanTool"); })()"""


def add_map(home: Path, name: str, points: int) -> None:
    """A data set, and a map of it as a job leaves one."""
    (home / "data" / name).mkdir(parents=True)
    Image.new("RGB", (32, 32)).save(home / "data" / name / "picture.png")
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, points)
    places = (random.normal(0, 30, (10, 2))[labels] + random.normal(0, 6, (points, 2))).round(3)
    job = home / ".jobs" / f"20261129-120000-{points:06}"
    job.mkdir(parents=True)
    record = {"id": job.name, "verb": "map", "options": {"data": name}, "state": "done", "created": 1.0}
    (job / "job.json").write_text(json.dumps(record))
    columns = {
        "data": [name] * points,
        "path": [f"{row:06}.png" for row in range(points)],
        "label": [f"class {label}" for label in labels],
        "origin": ["real"] * points,
        "x": places[:, 0].tolist(),
        "y": places[:, 1].tolist(),
    }
    (job / "map.json").write_text(json.dumps({"embedder": "random", "pictures": points, **columns}))


def seconds_until_usable(browser: Any, address: str) -> float:
    """From the first byte of the server's answer to the first screen's controls."""
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(USABLE)
    page.goto(address)
    page.locator("main .field").first.wait_for()
    answered = page.evaluate("performance.getEntriesByType('navigation')[0].responseStart")
    milliseconds = page.evaluate("usable") - answered
    context.close()
    return float(milliseconds / 1000)


def frames_a_second(page: Any, move: Any) -> tuple[float, float]:
    """The rate while a movement goes on, and the longest of 95 % of the frames in ms."""
    page.wait_for_timeout(1000)
    page.evaluate("moments.length = 0")
    start = time.monotonic()
    while (seconds := time.monotonic() - start) < SECONDS:
        move(seconds)
        page.wait_for_timeout(PAUSE_MS)
    frames = np.diff(page.evaluate("moments"))
    return 1000 / float(frames.mean()), float(np.percentile(frames, 95))


def measure_map(browser: Any, address: str, name: str) -> dict[str, Any]:
    """Loading, zooming and pulling the map of a data set."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    start = time.monotonic()
    page.goto(f"{address}#/map/{name}")
    page.locator(".map .legend").wait_for()
    page.get_by_text("Drag around points").wait_for()
    page.evaluate(DRAWN)
    loaded = time.monotonic() - start
    box = page.locator(".map .canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.evaluate(COUNT_FRAMES)
    zoom = frames_a_second(page, lambda seconds: page.mouse.wheel(0, -40 if int(2 * seconds) % 2 else 40))
    page.evaluate(PULL)
    page.mouse.down()
    pull = frames_a_second(
        page, lambda seconds: page.mouse.move(x + 150 * math.sin(5 * seconds), y + 80 * math.cos(5 * seconds))
    )
    page.mouse.up()
    page.close()
    return {"points": POINTS[name], "load_seconds": loaded, "zoom": zoom, "pull": pull}


def main() -> None:
    args = common.arguments(__doc__, "page").parse_args()
    from playwright.sync_api import sync_playwright

    from diptych.serving.routes.page import page_files

    with tempfile.TemporaryDirectory(prefix="page-") as folder, sync_playwright() as playwright:
        for name, points in POINTS.items():
            add_map(Path(folder), name, points)
        server = serve_diptych(Path(folder))
        address = f"http://127.0.0.1:{server.port}/"
        with stopping(server):
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            openings = [seconds_until_usable(browser, address) for _ in range(OPENINGS)]
            maps = [measure_map(browser, address, name) for name in POINTS]
            version = browser.version
            browser.close()
    shell = sum(map(len, page_files().values()))
    opening = ["first screen usable after the server's answer", f"{statistics.median(openings):.2f} s", "at most 0.3 s"]
    rows = [opening, ["all files of the page", f"{shell / 1000:.0f} kB", "under 300 kB"]]
    for one in maps:
        points, many = f"{one['points']:,} points", one["points"] > POINTS["many"]
        rows.append(
            [f"map of {points}, from the address to the drawing", f"{one['load_seconds']:.1f} s", "at most 5 s"]
        )
        for name, (rate, slow) in (("zoomed", one["zoom"]), ("pulled", one["pull"])):
            shown = f"{rate:.0f} frames a second (95 % within {slow:.0f} ms)"
            rows.append([f"map of {points}, {name}", shown, "" if many else "at least 30"])
    about = f"{__doc__.split(chr(10) * 2)[1]} Chromium {version}; the median of {OPENINGS} openings."
    common.publish(
        args.out,
        "The server's page in a browser",
        about,
        common.table(["", "measured", "wanted"], rows),
        "python benchmarks/page.py",
        openings=openings,
        maps=maps,
        shell_bytes=shell,
        machine=measure.hardware("bokeh"),
    )


if __name__ == "__main__":
    main()
