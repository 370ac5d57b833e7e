"""Packing, opening and streaming 10,000, 100,000 and 1,000,000 pictures of 32 px: rate, time and peak memory of each.

The pictures are CIFAR-10's, each shifted, mirrored and brightened in its own way and saved as JPEG. They are made as
they are packed, so that no more than a few are in memory; the rate of making alone stands beside. Every stage is a
process of its own, whose peak memory the system tells. Then a set is streamed in the order of training by Diptych and
by webdataset in turns: the same shards, size and batch, shuffled, decoded to uint8 by as many workers; first by
nobody but them, then feeding a training of ConvNet, with which they share the processors.

    python benchmarks/streaming.py cifar10-train.parquet -w WORK

WORK takes 4 GB; the same command again continues.
"""

import argparse
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import common
import numpy as np
import pyarrow as pa
import torch
import webdataset
from measure import hardware
from PIL import Image
from torch.nn import functional as F

from diptych.data.cache import ordered_map, thread_pool
from diptych.data.images import Images
from diptych.data.packing.pack import pack
from diptych.data.sources.base import Metadata, Source
from diptych.data.sources.packed.path_column import PathColumn
from diptych.engine.orders.block_order import BlockShuffledOrder
from diptych.recognition import networks
from diptych.resources import worker_count

NUMBERS = (10_000, 100_000, 1_000_000)
SIZE, BATCH, QUALITY = 32, 256, 90
COMPARED, PAIRS, SHUFFLED = 100_000, 3, 5000
WAYS = {"ours": "Diptych", "webdataset": "webdataset"}
Row = dict[str, Any]


class Changed(Source):
    """As many pictures as wanted, made of CIFAR-10's when they are asked for."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray, number: int) -> None:
        self._pixels = pixels
        rows = np.arange(number)
        names = PathColumn(["cifar10"], np.array([0, number]), pa.array(rows).cast(pa.large_string()))
        classes = tuple(map(str, range(10)))
        super().__init__(Metadata(paths=names, labels=labels[rows % len(labels)].astype(np.int64), classes=classes))

    def read(self, row: int) -> bytes:
        """See Source."""
        change, number = divmod(row, len(self._pixels))
        picture = np.roll(self._pixels[number], (change % 5, change // 5 % 5), (0, 1))
        picture = picture[:, ::-1] if change % 2 else picture
        out = io.BytesIO()
        Image.fromarray(np.minimum(picture, 255 - change) + np.uint8(change)).save(out, "JPEG", quality=QUALITY)
        return out.getvalue()

    def identity(self, row: int) -> bytes:
        """See Source."""
        return row.to_bytes(8, "little")


def made(work: Path, number: int) -> Images:
    pixels = np.load(work / "pixels.npy", mmap_mode="r")
    return Images.of_source(Changed(pixels, np.load(work / "labels.npy"), number))


def stage_make(work: Path, number: int) -> None:
    source = made(work, number).store.sources[0]
    with thread_pool() as executor:
        for _ in ordered_map(executor, source.read, iter(range(number)), 4 * worker_count()):
            pass


def stage_pack(work: Path, number: int) -> None:
    shutil.rmtree(work / f"packed-{number}", ignore_errors=True)
    pack(made(work, number), work / f"packed-{number}")


def stage_open(work: Path, number: int) -> None:
    assert len(Images.open(work / f"packed-{number}")) == number


def stage_stream(work: Path, number: int) -> None:
    images = Images.open(work / f"packed-{number}")
    assert sum(map(len, ours(images))) >= number


def stage_ours(work: Path, number: int) -> None:
    stage_stream(work, number)


def stage_webdataset(work: Path, number: int) -> None:
    assert sum(map(len, theirs(shards(work, number)))) >= number


def stage_train_ours(work: Path, number: int) -> None:
    train(ours(Images.open(work / f"packed-{number}")))


def stage_train_webdataset(work: Path, number: int) -> None:
    train(theirs(shards(work, number)))


def shards(work: Path, number: int) -> list[Path]:
    return sorted((work / f"packed-{number}").glob("*.tar"))


def train(batches: Iterator[Any]) -> None:
    """One epoch of ConvNet; the labels do not change how long it takes."""
    torch.manual_seed(0)
    network = networks.build("convnet", classes=10, size=SIZE).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for pixels in batches:
        pictures = torch.as_tensor(pixels).float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)
        F.cross_entropy(network(pictures), torch.arange(len(pictures)) % 10).backward()
        optimizer.step()
        optimizer.zero_grad()


def ours(images: Images) -> Iterator[Any]:
    """One epoch in the order of training."""
    blocks = images.store.blocks()
    assert blocks is not None
    order = BlockShuffledOrder(blocks, 0)
    rows = (order.batch(start, min(BATCH, len(images) - start))[0] for start in range(0, len(images), BATCH))
    return images.batches(SIZE, "squash", rows)


def theirs(shards: list[Path]) -> Iterator[Any]:
    """One epoch by webdataset in torch's DataLoader."""

    def as_pair(sample: Mapping[str, Any]) -> tuple[Any, int]:
        pixels = np.asarray(Image.open(io.BytesIO(sample["jpg"])).convert("RGB"))
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), int(sample["cls"])

    samples = webdataset.WebDataset([str(path) for path in shards], shardshuffle=len(shards)).shuffle(SHUFFLED)
    loader = webdataset.WebLoader(samples.map(as_pair).batched(BATCH), batch_size=None, num_workers=worker_count())
    for pixels, _ in loader:
        yield pixels


STAGES = {
    "make": stage_make, "pack": stage_pack, "open": stage_open, "stream": stage_stream, "ours": stage_ours,
    "webdataset": stage_webdataset, "train-ours": stage_train_ours, "train-webdataset": stage_train_webdataset,
}  # fmt: skip


def run_stage(name: str, work: Path, number: int, repeat: int = 0) -> Row:
    """A stage in a process of its own: seconds of the stage itself, of the processors, and the process's peak memory.

    What is measured is kept in WORK, so that the same command continues.
    """
    kept = work / f"{name}-{number}{f'-{repeat}' if repeat else ''}.json"
    if kept.exists():
        known: Row = json.loads(kept.read_text())
        return known
    command = [sys.executable, __file__, "--stage", name, "--number", str(number), "-w", str(work)]
    printed = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    row: Row = json.loads(printed.splitlines()[-1])
    print(name, number, row, file=sys.stderr)
    kept.write_text(json.dumps(row))
    return row


def timed_stage(name: str, work: Path, number: int) -> None:
    start = time.perf_counter()
    STAGES[name](work, number)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "processor_seconds": sum(os.times()[:4]), "megabytes": peak_megabytes()}))


def peak_megabytes() -> float:
    """Of this process since it was started; ``ru_maxrss`` begins with what its parent had when it was forked."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def prepare(data: Path, work: Path) -> None:
    """The pixels and labels of CIFAR-10 as arrays that are mapped, not read."""
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "labels.npy").exists():
        images = Images.open(data)
        np.save(work / "pixels.npy", images.pixels(SIZE).numpy().transpose(0, 2, 3, 1))
        np.save(work / "labels.npy", images.labels)


def main() -> None:
    parser = common.arguments(__doc__, "streaming")
    parser.add_argument("data", type=Path, nargs="?", help="cifar10-train.parquet")
    parser.add_argument("-w", "--work", type=Path, required=True, help="a folder for what is made")
    parser.add_argument("--numbers", type=int, nargs="+", default=NUMBERS)
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--number", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        timed_stage(options.stage, options.work, options.number)
        return
    prepare(options.data, options.work)
    rows = {n: {name: run_stage(name, options.work, n) for name in ("pack", "open", "stream")} for n in options.numbers}
    making = run_stage("make", options.work, options.numbers[0])
    compared = min(COMPARED, max(options.numbers))
    fed = {
        feeding: [
            {way: run_stage(f"{prefix}{way}", options.work, compared, repeat) for way in WAYS}
            for repeat in range(1, PAIRS + 1)
        ]
        for feeding, prefix in (("nobody", ""), ("a training", "train-"))
    }
    ratios = [
        statistics.median(pair["webdataset"]["seconds"] / pair["ours"]["seconds"] for pair in pairs)
        for pairs in fed.values()
    ]
    scale = [
        [f"{n:,}"]
        + [
            text
            for name in ("pack", "open", "stream")
            for text in (
                f"{n / row[name]['seconds']:,.0f}",
                f"{row[name]['seconds']:.1f}",
                f"{row[name]['megabytes']:.0f}",
            )
        ]
        for n, row in rows.items()
    ]
    heads = [f"{name}: {unit}" for name in ("pack", "open", "stream") for unit in ("pictures/s", "s", "peak MB")]
    rates = [
        [
            feeding,
            name,
            *(f"{compared / pair[way]['seconds']:,.0f}" for pair in pairs),
            f"{statistics.median(pair[way]['processor_seconds'] for pair in pairs) / compared * 1e6:.0f}",
        ]
        for feeding, pairs in fed.items()
        for way, name in WAYS.items()
    ]
    lines = [
        *common.table(["pictures", *heads], scale),
        "",
        f"Making alone: {options.numbers[0] / making['seconds']:,.0f} pictures/s, which is part of packing here.",
        "",
        *common.table(
            ["feeding", "pictures/s of", *(f"pair {i + 1}" for i in range(PAIRS)), "processor µs a picture"], rates
        ),
        "",
        f"{compared:,} pictures, batches of {BATCH}, {worker_count()} workers: Diptych's rate is {ratios[0]:.2f} times "
        f"webdataset's, {ratios[1]:.2f} times where they feed a training (medians of pairs). Processor time is that of "
        f"all processes, from their start. Load when it began: {os.getloadavg()[0]:.1f}.",
    ]
    command = f"python benchmarks/streaming.py {options.data.name} -w WORK"
    results = {"scale": {str(n): row for n, row in rows.items()}, "fed": fed, "making": making}
    common.publish(
        options.out, "Packing and streaming", str(__doc__).split("\n\n    python")[0], lines, command,
        machine=hardware("torch", "webdataset", "pyarrow"), **results,
    )  # fmt: skip


if __name__ == "__main__":
    main()
