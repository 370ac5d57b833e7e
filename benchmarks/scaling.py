"""Training by one process and by two under torchrun, one thread each, beside DistributedDataParallel in the same run.

All train SpeedNet on the same made pictures of 32 px with the same optimiser, batch and precision: one process alone,
two with Diptych's step (shared draws, batch norm over the whole batch, gradients averaged during backward), two with
gradients averaged after backward, and two with torch's DistributedDataParallel, whose batch norm sees its own share.
They take turns in two processes; efficiency is the rate of two processes over twice that of one. The loss curves of
1, 2 and 4 processes are those of ``diptych fit``.

    torchrun --standalone --nproc-per-node 2 benchmarks/scaling.py
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import common
import measure
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from diptych.engine import machine
from diptych.engine.distributed import ProcessGroup
from diptych.engine.processes.gradient_buckets import GradientBuckets
from diptych.engine.processes.shared_step import shared_step
from diptych.recognition import networks

BATCH, STEPS, ROUNDS = 256, 2, 12
NETWORKS = ("convnet", "speednet-s")
KINDS = {"recognizer": ["--network", "convnet"], "vae": [], "flow": [], "gan": []}
Step = Callable[[], None]


def steps(name: str, group: ProcessGroup) -> dict[str, Step]:
    """A training step of the network in each of the ways."""
    share = BATCH // group.world_size
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.rand(BATCH, 3, 32, 32, generator=generator) * 2 - 1, torch.arange(BATCH) % 10
    mine = group.share(BATCH)

    def build() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        network = networks.build(name, classes=10, size=32)
        network.adapt(images)
        network.before_step(1.0)
        network.to(memory_format=torch.channels_last)
        return network, torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-3)

    def backward(network: nn.Module, pictures: Tensor, wanted: Tensor) -> None:
        F.cross_entropy(network(pictures.contiguous(memory_format=torch.channels_last)), wanted).backward()

    def finish(optimizer: torch.optim.Optimizer) -> None:
        optimizer.step()
        optimizer.zero_grad()

    alone, one = build()
    ours, two = build()
    plain, three = build()
    wrapped, four = build()
    parallel = DistributedDataParallel(wrapped)
    trained = [p for p in ours.parameters() if p.requires_grad]
    buckets = GradientBuckets(group, 1)

    def single() -> None:
        backward(alone, images[:share], labels[:share])
        finish(one)

    def overlapped() -> None:
        buckets.expect([trained])
        with shared_step(group, share):
            backward(ours, images[mine], labels[mine])
        buckets.average(trained)
        finish(two)

    def averaged() -> None:
        with shared_step(group, share):
            backward(plain, images[mine], labels[mine])
        group.average([p.grad for p in plain.parameters() if p.grad is not None])
        finish(three)

    def peer() -> None:
        backward(parallel, images[mine], labels[mine])
        finish(four)

    return {"alone": single, "diptych": overlapped, "averaged after backward": averaged, "DDP": peer}


def timed(step: Step) -> float:
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    return (time.perf_counter() - start) / STEPS


def measure_rates(name: str, group: ProcessGroup) -> dict[str, Any]:
    """Pictures a second of all ways, in turns, and each one's median efficiency over the rounds."""
    ways = steps(name, group)
    for step in ways.values():
        timed(step)
    rounds = []
    for _ in range(ROUNDS):
        seconds = {}
        for way, step in ways.items():
            dist.barrier()
            if way == "alone":  # the other process waits: the one has the machine to itself
                seconds[way] = timed(step) if group.leader else 0.0
            else:
                seconds[way] = timed(step)
            (seconds[way],) = group.broadcast([seconds[way]])
        rounds.append(seconds)
    share = BATCH // group.world_size
    rates = {way: [(share if way == "alone" else BATCH) / r[way] for r in rounds] for way in ways}
    return {
        way: {
            "rate": median(rate),
            "efficiency": median(r / a / group.world_size for r, a in zip(rate, rates["alone"], strict=True)),
        }
        for way, rate in rates.items()
        if way != "alone"
    } | {"alone": {"rate": median(rates["alone"]), "efficiency": 1.0}}


def curve(kind: str, processes: int, folder: Path, threads: int = 1) -> list[float]:
    """The losses of ``diptych fit`` on the digits, of all players at all ticks."""
    launcher = [sys.executable, "-m"]
    if processes > 1:
        launcher += ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    options = [*KINDS[kind], "--size", "8", "--epochs", "1", "--batch", "64", "--seed", "1"]
    model = folder / f"{kind}-{processes}-{threads}"
    command = [*launcher, "diptych", "fit", kind, "digits", "-o", str(model), *options]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TORCHELASTIC", "GROUP_", "ROLE_"))}
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        clean.pop(name, None)
    clean["OMP_NUM_THREADS"] = str(threads)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean)
    records = (model / "history.jsonl").read_text(encoding="utf-8").splitlines()
    return [loss for record in records for loss in json.loads(record)["losses"].values()]


def curves() -> list[list[object]]:
    """Of each kind of model, the largest relative difference of any tick's loss from that of one process."""
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as name:
        for kind in KINDS:
            alone, *others = (curve(kind, processes, Path(name)) for processes in (1, 2, 4))
            others.append(curve(kind, 1, Path(name), threads=2))  # what rounding alone comes to
            rows.append(
                [kind, *(f"{max(abs(a - b) / abs(a) for a, b in zip(alone, o, strict=True)):.1e}" for o in others)]
            )
    return rows


def main() -> None:
    args = common.arguments(__doc__, "scaling").parse_args()
    torch.set_num_threads(1)
    group = ProcessGroup(machine.device())
    rates = {name: measure_rates(name, group) for name in NETWORKS}
    if not group.leader:
        return
    load = os.getloadavg()[0]
    lines = common.table(
        ["network", "way", "pictures/s", "efficiency"],
        [
            [n, way, f"{r['rate']:.0f}", f"{r['efficiency']:.0%}"]
            for n, ways in rates.items()
            for way, r in ways.items()
        ],
    )
    differences = curves()
    lines += [
        "",
        *common.table(["loss curve of", "2 processes", "4 processes", "1 process of two threads"], differences),
    ]
    common.publish(
        args.out,
        "One model trained by several processes",
        f"Batches of {BATCH}, medians of {ROUNDS} rounds in which all ways take turns; load {load:.1f} at their end. "
        "The largest relative difference of any tick's loss from that of one process, by fit on the digits.",
        lines,
        "torchrun --standalone --nproc-per-node 2 benchmarks/scaling.py",
        machine=measure.hardware("torch"),
        rates=rates,
        curves=differences,
    )


if __name__ == "__main__":
    main()
