"""The memory of an idle server: ``diptych serve`` with a lite0 recognizer and a gallery of 10,000 rows, both in use.

The recognizer and the gallery's first pictures are photographs; the other rows of the gallery are random vectors, which
take as much memory. The exports are made by a first start; figures are of the second.

    python benchmarks/serving_idle.py data/groceries
"""

import json
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import common
import measure
import numpy as np
from serving import Served, fit, photographs, serve_diptych, stopping, wait_for_exports

ROWS, TRAINING_PICTURES, ENROLLED = 10_000, 40, 24
IDLE_SECONDS = 10.0  # after the last answer
MAX_MEGABYTES, MAX_START_SECONDS = 500, 5


def fill(folder: Path, images: Any) -> None:
    """A gallery of lite0 with pictures, and random rows up to :data:`ROWS`."""
    import pyarrow as pa
    import torch

    from diptych import Gallery
    from diptych.recognition.gallery.table import PictureTable, vector_array

    gallery = Gallery("lite0", folder).enroll(images[:ENROLLED])
    facts = json.loads((folder / "model.json").read_text())
    table = PictureTable(str(folder / "database"), facts["table"]["name"], gallery.embedder.dimensions)
    numbers = range(ROWS - len(gallery))
    rows = np.random.default_rng(0).normal(size=(len(numbers), gallery.embedder.dimensions)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    texts = {"id": [f"{n:016x}" for n in numbers], "label": [str(n % 500) for n in numbers]}
    columns: dict[str, Any] = {name: pa.array(values) for name, values in texts.items()}
    columns |= {"path": pa.array([f"{n}.jpg" for n in numbers]), "embedding": vector_array(torch.from_numpy(rows))}
    table.add(pa.table(columns))


def ask(server: Served, path: str, body: bytes) -> float:
    """Seconds until a picture is answered."""
    started = time.perf_counter()
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", body, {"Content-Type": "image/jpeg"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.loads(answer.read())["label"]
    return time.perf_counter() - started


def main() -> None:
    parser = common.arguments(__doc__, "serving_idle")
    parser.add_argument("data", type=Path, help="a folder of class folders of photographs")
    args = parser.parse_args()
    from diptych import Images

    opened = Images.open(args.data)
    images = opened[np.random.default_rng(0).permutation(len(opened))]
    with tempfile.TemporaryDirectory(prefix="serving-idle-") as name:
        home = Path(name)
        two_classes = np.flatnonzero(np.isin(images.labels, [0, 1]))
        fit(images[two_classes[:TRAINING_PICTURES]], "lite0", home)
        fill(home / "goods", images)
        (picture, *_) = photographs(images)
        first = serve_diptych(home)
        with stopping(first):
            export_seconds = wait_for_exports(first)
        server = serve_diptych(home)
        with stopping(server):
            seconds = {path: ask(server, path, picture) for path in ("/models/lite0/predict", "/models/goods/match")}
            time.sleep(IDLE_SECONDS)
            megabytes = server.memory()
    rows = [
        ["memory of all processes, idle (PSS)", f"{megabytes:.0f} MB", f"at most {MAX_MEGABYTES}"],
        ["ready after", f"{server.start_seconds:.1f} s", f"at most {MAX_START_SECONDS}"],
        ["both exports, once", f"{export_seconds:.0f} s", ""],
        *[[f"first answer of {path}", f"{value:.1f} s", ""] for path, value in seconds.items()],
    ]
    common.publish(
        args.out,
        "An idle server",
        f"A lite0 recognizer and a lite0 gallery of {ROWS:,} rows in one server, after a picture for each.",
        common.table(["what", "measured", "wanted"], rows),
        f"python benchmarks/serving_idle.py {args.data.name}",
        machine=measure.hardware("torch", "onnxruntime", "lancedb", "fastapi", "uvicorn"),
        runs=[
            {"megabytes": megabytes, "start_seconds": server.start_seconds, "export_seconds": export_seconds, **seconds}
        ],
    )


if __name__ == "__main__":
    main()
