"""Searching 100,000 vectors: a gallery's exact search and its index, beside faiss's flat search.

The vectors are clustered (1,000 centres, of unit length), 256 numbers each. Single queries take turns between ours and
faiss, so that both see the same machine; recall is of the ten nearest, against faiss.

    python benchmarks/gallery.py
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import common
import measure
import numpy as np
from common import Row

ROWS, DIMENSIONS, CENTRES, NEAREST = 100_000, 256, 1000, 10
QUERIES, BLOCK = 300, 50  # single queries; by turns, so many at a time, or threads of one wait for those of another
BATCH, WRITTEN = 1000, 5000  # queries of a batch; rows written together


def vectors(count: int, seed: int) -> Any:
    """(count, DIMENSIONS) float32 of unit length around the centres."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(CENTRES, DIMENSIONS))
    draw = np.random.default_rng(seed)
    rows = centres[draw.integers(0, CENTRES, count)] + draw.normal(size=(count, DIMENSIONS)) * 0.7
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def filled(folder: Path, rows: Any) -> tuple[Any, float]:
    """A table of the vectors, and the seconds that it took to write."""
    import pyarrow as pa
    import torch

    from diptych.recognition.gallery.table import PictureTable, vector_array

    start = time.perf_counter()
    table = PictureTable(str(folder), "pictures", DIMENSIONS)
    for first in range(0, len(rows), WRITTEN):
        numbers = range(first, first + WRITTEN)
        texts = {"id": [f"{n:016x}" for n in numbers], "label": [str(n % CENTRES) for n in numbers]}
        columns: dict[str, Any] = {name: pa.array(values) for name, values in texts.items()}
        columns["path"] = pa.array([f"{n}.jpg" for n in numbers])
        columns["embedding"] = vector_array(torch.from_numpy(rows[first : first + WRITTEN]))
        table.add(pa.table(columns))
    table.tidy()
    return table, time.perf_counter() - start


def milliseconds(search: Any, queries: Any) -> float:
    """Of one search for these queries."""
    start = time.perf_counter()
    search(queries)
    return 1000 * (time.perf_counter() - start)


def timed(searches: dict[str, Any], queries: Any) -> dict[str, Row]:
    """Single queries by turns, then batches by turns."""
    single: dict[str, list[float]] = {name: [] for name in searches}
    batch: dict[str, list[float]] = {name: [] for name in searches}
    for search in searches.values():
        search(queries[:1])  # what is read on first use
    for first in range(0, QUERIES, BLOCK):
        for name, search in searches.items():
            single[name] += [milliseconds(search, queries[n : n + 1]) for n in range(first, first + BLOCK)]
    for _ in range(5):
        for name, search in searches.items():
            batch[name].append(milliseconds(search, queries[:BATCH]))
    return {
        name: {
            "single_ms": statistics.median(single[name]),
            "single_p99_ms": float(np.quantile(single[name], 0.99)),
            "batch_ms": statistics.median(batch[name]),
        }
        for name in searches
    }


def resident() -> float:
    """MB of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1000


def main() -> None:
    """Measure and publish."""
    options = common.arguments(__doc__, "gallery").parse_args()
    import faiss
    import torch

    from diptych.recognition.gallery.search import Search

    rows, queries = vectors(ROWS, 1), vectors(BATCH, 2)
    results: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as folder:
        table, written = filled(Path(folder), rows)
        flat = faiss.IndexFlatIP(DIMENSIONS)
        flat.add(rows)
        before = resident()
        exact = Search(table, ROWS)
        exact.snapshot()
        held = resident() - before
        disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 1e6
        start = time.perf_counter()
        table.create_index()
        built = time.perf_counter() - start
        whole = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 1e6
        index = Search(table, 0)
        searches = {
            "faiss, flat": lambda q: flat.search(q, NEAREST)[1],
            "gallery, exact": lambda q: exact.nearest(torch.from_numpy(q), NEAREST).ids,
            "gallery, index": lambda q: index.nearest(torch.from_numpy(q), NEAREST).ids,
        }
        nearest = flat.search(queries, NEAREST)[1].tolist()
        results = timed(searches, queries)
        for name, search in list(searches.items())[1:]:
            found = [[int(text, 16) for text in ids] for ids in search(queries).tolist()]
            shared = sum(len(set(ours) & set(theirs)) for ours, theirs in zip(found, nearest, strict=True))
            results[name]["recall"] = shared / (NEAREST * len(nearest))
    results["gallery, exact"] |= {"build_seconds": written, "disk_megabytes": disk, "memory_megabytes": held}
    results["gallery, index"] |= {"build_seconds": written + built, "disk_megabytes": whole}
    publish(options.out, results)


def publish(out: Path, results: dict[str, Row]) -> None:
    """Write the page."""

    def cell(row: Row, name: str, form: str) -> str:
        return format(row[name], form) if name in row else ""

    forms = {
        "single_ms": ".2f",
        "single_p99_ms": ".2f",
        "batch_ms": ".0f",
        "recall": ".4f",
        "build_seconds": ".1f",
        "disk_megabytes": ".0f",
        "memory_megabytes": ".0f",
    }
    columns = [
        "search", "one query, median ms", "p99 ms", f"{BATCH:,} queries together, ms", f"recall@{NEAREST}",
        "written and built, s", "disk, MB", "vectors in memory, MB",
    ]  # fmt: skip
    lines = common.table(
        columns, [[name, *(cell(row, n, f) for n, f in forms.items())] for name, row in results.items()]
    )
    ratio = results["gallery, exact"]["single_ms"] / results["faiss, flat"]["single_ms"]
    about = (
        f"{ROWS:,} vectors of {DIMENSIONS} numbers; {QUERIES} single queries each, by turns. A single exact query "
        f"takes {ratio:.2f} times faiss's; a gallery's answers have labels and paths, and each asks for the newest "
        "version."
    )
    machine = measure.hardware("torch", "lancedb", "faiss-cpu")
    command = f"python {Path(sys.argv[0]).parent.name}/{Path(sys.argv[0]).name}"
    common.publish(out, "Searching a gallery", about, lines, command, machine=machine, runs=results)


if __name__ == "__main__":
    main()
