"""Training pictures a second of the flow's step, compared with torchcfm's U-Net of the same number of parameters.

torchcfm runs its CIFAR-10 example: its own U-Net (here one residual block per level), its conditional flow matcher,
Adam, clipping at 1 and a moving average of the weights, in float32. Diptych runs its engine as in ``fit``: loader,
flips, label dropout, clipping, AdamW, EMA, and the machine that its trial finds fastest; once with its default network,
which works on patches of 2 × 2 pixels, and once on whole pixels like torchcfm's.

    python benchmarks/flow_rate.py cifar10-train.parquet --seconds 20 --rounds 3

Prints one line of JSON per program and round; the programs take turns.
"""

import argparse
import copy
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diptych.data.images import Images
from diptych.engine.loop import Run
from diptych.engine.machine import device
from diptych.synthesis.flow import Flow
from diptych.synthesis.networks.unet import UNet
from diptych.synthesis.training.config import TrainingConfig, make_recipe

os.environ["POT_BACKEND_DISABLE_TENSORFLOW"] = "1"  # torchcfm's POT would load it beside torch; their LLVMs clash
SIZE, BATCH, CHANNELS, MULTIPLES = 32, 32, 64, (1, 2, 2)
PICTURES = 10_000  # of the training file: enough for a rate
SHORT_RUN = 40 * BATCH  # pictures: two steps between the engine's ticks
Row = dict[str, Any]


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def width_for(parameter_count: int, patch: int, classes: int) -> int:
    """The smallest multiple of 16 (attention has heads of 32 channels) with at least so many parameters."""
    width = 16
    while parameters(_unet(width, patch, classes)) < parameter_count:
        width += 16
    return width


def _unet(width: int, patch: int, classes: int) -> UNet:
    return UNet(size=SIZE, classes=classes, width=width, patch=patch, multiples=MULTIPLES)


def diptych_rate(images: Images, width: int, patch: int, seconds: float) -> Row:
    """The rate of Diptych's loop over about ``seconds``, after a short run that is not counted."""
    layout = {"size": SIZE, "classes": len(images.classes), "width": width, "patch": patch, "multiples": MULTIPLES}
    short_rate, _ = _run(images, layout, SHORT_RUN)
    rate, machine = _run(images, layout, max(SHORT_RUN, round(short_rate * seconds)))
    return {"rate": rate, "parameters": parameters(_unet(width, patch, len(images.classes))), "machine": machine}


def _run(images: Images, layout: dict[str, Any], pictures: int) -> tuple[float, str]:
    """The rate between the first tick and the last, and the machine that the trial chose."""
    flow, config = Flow(size=SIZE), TrainingConfig(layout, batch=BATCH, lr=1e-3, clip=1.0)
    recipe = make_recipe(config, {"pictures": pictures}, mirrored=True, seed=0)
    run = Run(flow._task(flow._build(layout), config), images, size=SIZE, geometry="crop", recipe=recipe)
    moments = [(time.perf_counter(), tick.seen_pictures) for tick in run]
    (start, before), (end, after) = moments[0], moments[-1]
    return (after - before) / (end - start), str(run.machine)


def peer() -> nn.Module:
    """The U-Net of torchcfm, conditional on class."""
    from torchcfm.models.unet import UNetModel

    network: nn.Module = UNetModel(
        dim=(3, SIZE, SIZE),
        num_channels=CHANNELS,
        num_res_blocks=1,
        channel_mult=MULTIPLES,
        num_heads=4,
        num_head_channels=32,
        attention_resolutions="8",
        class_cond=True,
        num_classes=10,
    )
    return network


def torchcfm_rate(pictures: Tensor, labels: Tensor, seconds: float) -> Row:
    """The step of torchcfm as in its example; the rate after a few steps that are not counted."""
    from torchcfm.conditional_flow_matching import ConditionalFlowMatcher

    torch.manual_seed(0)
    target = device()
    matcher, network = ConditionalFlowMatcher(sigma=0.0), peer().to(target)
    average, optimizer = copy.deepcopy(network), torch.optim.Adam(network.parameters(), lr=2e-4)
    pictures, labels = pictures.to(target), labels.to(target)

    def step(rows: Tensor) -> None:
        optimizer.zero_grad()
        real = pictures[rows]
        t, x, velocity = matcher.sample_location_and_conditional_flow(torch.randn_like(real), real)
        loss = (network(t, x, labels[rows]) - velocity).square().mean()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            for averaged, live in zip(average.parameters(), network.parameters(), strict=True):
                averaged.mul_(0.9999).add_(live, alpha=1e-4)
        if target.type == "cuda":
            torch.cuda.synchronize(target)

    rate = step_rate(step, len(pictures), seconds)
    return {"rate": rate, "parameters": parameters(network), "machine": f"{target.type}, fp32"}


def step_rate(step: Callable[[Tensor], None], n: int, seconds: float, warmup: int = 3) -> float:
    """Pictures a second of ``step``, which takes the rows of a batch, after ``warmup`` steps."""
    batches = _batches(n)
    for _ in range(warmup):
        step(next(batches))
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        step(next(batches))
        steps += 1
    return steps * BATCH / (time.perf_counter() - start)


def _batches(n: int) -> Iterator[Tensor]:
    while True:
        yield from (rows for rows in torch.randperm(n).split(BATCH) if len(rows) == BATCH)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="cifar10-train.parquet")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each program and round")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    images = Images.open(args.data)[:PICTURES]
    pictures, labels = images.pixels(SIZE).float() / 127.5 - 1, torch.from_numpy(images.labels).long()
    parameter_count = parameters(peer())
    programs: dict[str, Callable[[], Row]] = {"torchcfm": lambda: torchcfm_rate(pictures, labels, args.seconds)}
    for patch, name in ((2, "Diptych, as it comes"), (1, "Diptych, whole pixels")):
        width = width_for(parameter_count, patch, len(images.classes))
        programs[name] = lambda width=width, patch=patch: diptych_rate(images, width, patch, args.seconds)  # type: ignore[misc]
    for turn in range(args.rounds):
        for name, measure_rate in programs.items():
            print(json.dumps({"part": "rate", "program": name, "round": turn, **measure_rate()}), flush=True)


if __name__ == "__main__":
    main()
