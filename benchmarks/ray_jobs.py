"""Embedding on a Ray cluster beside one machine: rate, what it costs on this side, and that the rows are equal.

Photographs are embedded by the built-in lite0 at 224 px: by this machine with one thread and with all, by a cluster of
one node with one processor, and of two, all nodes on this machine. So are 32 pictures, so that starting (processes,
models) and the rate afterwards are told apart; medians of three rounds. Then the results of many jobs, made up, are
read and written as one file by this side, which is what a command with many workers waits for in the end.

    python benchmarks/ray_jobs.py PHOTOGRAPHS -w WORK
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import common
import numpy as np
import pyarrow.parquet as pq
from measure import hardware
from ray.cluster_utils import Cluster

from diptych.cluster.results import packed, unpacked
from diptych.data.images import Images
from diptych.engine.row_jobs import ROWS_PER_JOB

ROUNDS = 3
MOST = 4 * ROWS_PER_JOB  # pictures
FEW = 32  # pictures, whose time is that of starting
NODE = {"num_cpus": 1, "object_store_memory": 200_000_000, "include_dashboard": False}
SIDE_ROWS, DIMENSIONS = 64 * ROWS_PER_JOB, 1280


def embed(work: Path, data: str, output: str, on: list[str], threads: int) -> float:
    """Seconds of ``diptych embed``, without anything in the cache."""
    shutil.rmtree(work / "cache", ignore_errors=True)
    environment = {**os.environ, "XDG_CACHE_HOME": str(work / "cache"), "OMP_NUM_THREADS": str(threads)}
    program = [sys.executable, "-m", "diptych", "embed", "lite0", data, "-o", output, "--quiet", *on]
    start = time.perf_counter()
    code = subprocess.run(program, cwd=work, env=environment, stdout=subprocess.DEVNULL).returncode
    assert code in (0, 4), code  # 4: a photograph cannot be read
    return time.perf_counter() - start


def on_cluster(work: Path, data: str, output: str, nodes: int) -> float:
    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    for _ in range(nodes - 1):
        cluster.add_node(num_cpus=1, object_store_memory=NODE["object_store_memory"])
    try:
        return embed(work, data, output, ["--on", cluster.address], 1)
    finally:
        cluster.shutdown()


def difference(work: Path, one: str, other: str) -> float:
    """Of two files of embeddings: the largest difference; infinite where the rows are others."""
    tables = [pq.read_table(work / name) for name in (one, other)]
    if tables[0]["path"] != tables[1]["path"]:
        return float("inf")
    first, second = (np.stack(table["embedding"].to_numpy()) for table in tables)
    return float(np.abs(first - second).max())


def file_name(way: str, name: str) -> str:
    return f"{way.replace(',', '').replace(' ', '-')}-{name}.parquet"


def side_rate() -> dict[str, float]:
    """Rows a second of this side: results are checked, unpacked, and packed again as an upper bound of writing."""
    rows = np.random.default_rng(0).random((ROWS_PER_JOB, DIMENSIONS + 3), dtype=np.float32)
    content = packed({"rows": rows, "reasons": []})
    start = time.perf_counter()
    for _ in range(SIDE_ROWS // ROWS_PER_JOB):
        result = unpacked(content)
        assert result is not None
        packed(result)
    return {"rows/s": SIDE_ROWS / (time.perf_counter() - start), "bytes a row": len(content) / ROWS_PER_JOB}


def main() -> None:
    """Measure, print, and write the table."""
    parser = common.arguments(__doc__, "ray_jobs")
    parser.add_argument("data", type=Path, metavar="PHOTOGRAPHS")
    parser.add_argument("-w", "--work", type=Path, required=True, help="a folder for what is written")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    os.environ["XDG_CACHE_HOME"] = str((options.work / "cache").resolve())  # of the nodes, too
    images = Images.open(options.data, labels="none")
    large = min(MOST, len(images)) // (4 * ROWS_PER_JOB) * 4 * ROWS_PER_JOB
    numbers = {"large": large, "small": FEW}
    for name, number in numbers.items():
        shutil.rmtree(options.work / name, ignore_errors=True)
        images[:number].save(options.work / name)
    ways = {
        "this machine, one thread": lambda data, out: embed(options.work, data, out, [], 1),
        "this machine, two threads": lambda data, out: embed(options.work, data, out, [], 2),
        "Ray, one node of one processor": lambda data, out: on_cluster(options.work, data, out, 1),
        "Ray, two nodes of one processor": lambda data, out: on_cluster(options.work, data, out, 2),
    }
    seconds: dict[str, dict[str, list[float]]] = {way: {name: [] for name in numbers} for way in ways}
    for _ in range(ROUNDS):
        for way, run in ways.items():
            for name in numbers:
                seconds[way][name].append(run(name, file_name(way, name)))
    rows: list[list[Any]] = []
    rates = {}
    names = [file_name(way, "large") for way in ways]
    for way, output in zip(ways, names, strict=True):
        slopes = [(large - FEW) / (a - b) for a, b in zip(seconds[way]["large"], seconds[way]["small"], strict=True)]
        rates[way] = statistics.median(slopes)
        total = statistics.median(seconds[way]["large"])
        rows.append(
            [
                way,
                f"{total:.1f}",
                f"{rates[way]:.1f} ({min(slopes):.1f} to {max(slopes):.1f})",
                f"{statistics.median(seconds[way]['small']) - FEW / rates[way]:.1f}",
                f"{difference(options.work, names[0], output):.1g}",
            ]
        )
    side = side_rate()
    header = ["", f"{large:,} pictures, s", "afterwards, pictures/s", "to start, s", "largest difference"]
    one, two = (rates[way] for way in list(ways)[2:])
    ends = [statistics.median(seconds[way]["large"]) for way in list(ways)[2:]]
    lines = [
        *common.table(header, rows),
        "",
        f"Two nodes embed {two / one:.2f} times as fast as one, from start to end {ends[0] / ends[1]:.2f} times. "
        f"This side reads {side['rows/s']:,.0f} results a second of {DIMENSIONS:,} numbers, "
        f"{side['bytes a row']:,.0f} bytes each: one command keeps {side['rows/s'] / one:,.0f} such workers busy.",
    ]
    command = f"python benchmarks/ray_jobs.py {options.data.name} -w WORK"
    about = str(__doc__).split("\n\n    python")[0]
    common.publish(
        options.out, "Embedding on a Ray cluster", about, lines, command, machine=hardware("torch", "ray"),
        seconds=seconds, side=side,
    )  # fmt: skip


if __name__ == "__main__":
    main()
