"""The weight gradient of convolutions by im2col compared with torch's own, on a CPU in bfloat16.

First the gradient alone, for maps of several sizes, then whole training steps of the networks for small pictures, as
the trial at a run's start compares them. Both methods take turns; reported are the medians, and the median of the
ratios of the pairs.

    python benchmarks/im2col.py
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import common
import measure
import torch
from torch.nn import functional as F

from diptych.engine.machine import Machine
from diptych.engine.processor.im2col import weight_gradient
from diptych.recognition import networks

PAIRS = 15
PICTURES = 256  # per step
CONVOLUTIONS = [
    (384, 3),
    (256, 4),
    (256, 7),
    (384, 7),
    (128, 8),
    (128, 15),
    (64, 32),
]  # channels in and out, side of the map
NETWORKS = ["convnet", "speednet-m", "speednet", "speednet-95", "speednet-96"]
Row = dict[str, float | str]


def compare(name: str, before: Callable[[], object], after: Callable[[], object], pairs: int) -> Row:
    """Milliseconds of both in alternation, after a warm-up each, and the speed-up of the second."""
    before(), after()
    seconds = [(_seconds(before), _seconds(after)) for _ in range(pairs)]
    return {
        "name": name,
        "torch": 1000 * median(one for one, _ in seconds),
        "im2col": 1000 * median(other for _, other in seconds),
        "speedup": median(one / other for one, other in seconds),
    }


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def gradient(channels: int, side: int, pairs: int) -> Row:
    """The gradient of 3×3 weights alone."""
    images, grad = (_bfloat16(PICTURES, channels, side, side) for _ in range(2))
    weight = _bfloat16(channels, channels, 3, 3)

    def before() -> object:
        return torch.ops.aten.convolution_backward(
            grad, images, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [False, True, False]
        )

    name = f"gradient of {channels} to {channels} filters, {side} px"
    return compare(name, before, lambda: weight_gradient(images, grad, (1, 1)), pairs)


def step(network: str, pairs: int) -> Row:
    """A training step without the optimiser."""
    model = networks.build(network, classes=10, size=32)
    images, labels = torch.rand(PICTURES, 3, 32, 32) * 2 - 1, torch.arange(PICTURES) % 10
    model.adapt(images)
    model.before_step(1.0)
    plain = Machine(torch.device("cpu"), bf16=True, channels_last=True)
    plain.prepare([model], [])

    def train_step(machine: Machine) -> None:
        with machine.autocast():
            loss = F.cross_entropy(model(machine.to_memory_format(images)).float(), labels)
        loss.backward()
        model.zero_grad()

    by_im2col = dataclasses.replace(plain, im2col=True)
    return compare(f"step of {network}", lambda: train_step(plain), lambda: train_step(by_im2col), pairs)


def _bfloat16(*shape: int) -> torch.Tensor:
    return torch.randn(*shape).bfloat16().contiguous(memory_format=torch.channels_last)


def matrix_units() -> str:
    """The CPU's matrix units, which its name does not always show."""
    flags = Path("/proc/cpuinfo")
    return "AMX" if flags.exists() and "amx_bf16" in flags.read_text(encoding="utf-8") else "none known"


def table(rows: Sequence[Row]) -> list[str]:
    """The comparisons as a Markdown table."""
    cells = [[row["name"], f"{row['torch']:.1f}", f"{row['im2col']:.1f}", f"{row['speedup']:.2f}"] for row in rows]
    return common.table(["what", "torch, ms", "im2col, ms", "speed-up"], cells)


def main() -> None:
    args = common.arguments(__doc__, "im2col").parse_args()
    torch.manual_seed(0)
    with Machine(torch.device("cpu")).active():
        rows = [gradient(channels, side, PAIRS) for channels, side in CONVOLUTIONS]
        rows += [step(network, PAIRS) for network in NETWORKS]
    common.publish(
        args.out,
        "Convolutions on small maps by im2col",
        f"{PICTURES} pictures per step, medians of {PAIRS} alternating pairs.",
        table(rows),
        "python benchmarks/im2col.py",
        machine={**measure.hardware("torch"), "matrix units": matrix_units()},
        rows=rows,
    )


if __name__ == "__main__":
    main()
