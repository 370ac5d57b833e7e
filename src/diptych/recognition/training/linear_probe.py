"""The probe: a pretrained network as it is, with a last layer fitted to new classes in one look at the pictures."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych import artefact, files
from diptych.data.images import Images
from diptych.data.transforms import to_float
from diptych.engine import machine
from diptych.engine.distributed import ProcessGroup
from diptych.engine.loader import label_tensor
from diptych.engine.machine import Machine
from diptych.progress import Bar
from diptych.recognition.inference.outputs import Outputs, compute_outputs
from diptych.recognition.networks import Network
from diptych.recognition.training.logistic_regression import LabelledFeatures, LinearHead, fit_logistic_regression

log = logging.getLogger("diptych")
AT_A_TIME = 64  # pictures looked at between two looks at the clock
TRIED = {"cpu": 8, "mps": 64, "cuda": 64}  # pictures in the machine's trial
WORTH_A_TRIAL = 640  # pictures; a trial costs a quarter of these
FITTING_SECONDS = 5.0  # for the last layer, of a time budget
FILE = "probe.safetensors"  # in the run's checkpoint folder


@dataclass(frozen=True)
class LinearProbe:
    """The last layer found, what it makes of the validation pictures, and how many pictures it was fitted to."""

    head: LinearHead
    seen: Outputs
    pictures: int


def fit_linear_probe(
    network: Network,
    training: Images,
    validation: Images,
    size: int,
    *,
    each: float,
    until: float,
    folder: Path | None,
) -> LinearProbe:
    """Fit a last layer to what the network sees, the network itself left as it is.

    Parameters
    ----------
    each
        About the seconds that the network takes to look at a picture.
    until
        ``time.monotonic()`` after which no further picture is looked at; those seen until then are spread evenly over
        the classes.
    folder
        The run's: a probe that is kept there is taken, and a new one is kept there, until the run is over.
    """
    group = ProcessGroup(machine.device())
    held = _read(folder, len(validation)) if folder else None
    if group.broadcast([held is not None])[0] and held is not None:
        return held
    seen = compute_outputs(network, validation, size, title="Probing")
    features, rows = _features(network, training, size, each, until, group)
    where = group.device
    learn = LabelledFeatures(features.to(where), label_tensor(training)[rows].to(where))
    check = LabelledFeatures(seen.features.to(where), label_tensor(validation).to(where))
    enough = max(until, time.monotonic()) + FITTING_SECONDS  # for ever, if nothing hurries
    head = fit_logistic_regression(learn, check, len(training.classes), until=enough)
    head = LinearHead(head.weight.cpu(), head.bias.cpu(), head.penalty)
    made = LinearProbe(head, replace(seen, logits=head.logits(seen.features)), len(rows))
    if folder and group.leader:
        _write(folder, made)
    group.barrier()
    return made


def round_robin_rows(labels: NDArray[np.int64] | NDArray[np.bool_]) -> NDArray[np.int64]:
    """All rows, the first picture of every class before the second of any, and so on; as they are if several labels."""
    if labels.ndim == 2:
        return np.arange(len(labels))
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], labels[order], side="left")
    turn = np.empty(len(labels), np.int64)
    turn[order] = np.arange(len(labels)) - starts
    return np.lexsort((labels, turn))


def _features(
    network: Network, images: Images, size: int, each: float, until: float, group: ProcessGroup
) -> tuple[Tensor, NDArray[np.int64]]:
    """(n, D) features, and the rows they are of: as many as the time allows, at least one round."""
    rows = round_robin_rows(images.labels)
    affordable = min(len(rows), (until - time.monotonic()) / each)
    worth = group.broadcast([affordable > WORTH_A_TRIAL])[0]
    on = _machine(network, images, size, group) if worth else Machine(group.device)
    on.prepare([network], [])
    network.eval()
    told: list[Tensor] = []
    with on.active(), Bar("Probing", len(rows)) as bar:
        for pixels in _pixels(images, size, rows):
            told.append(_look(network, on, pixels))
            bar.advance(len(pixels))
            if group.broadcast([time.monotonic() > until])[0]:
                break
    Machine(on.device).prepare([network], [network])
    features = torch.cat(told)
    return features, rows[: len(features)]


def _look(network: Network, on: Machine, pixels: Tensor) -> Tensor:
    with torch.no_grad(), on.autocast():
        return network.features(on.to_memory_format(to_float(pixels.to(on.device)))).float().cpu()


def _machine(network: Network, images: Images, size: int, group: ProcessGroup) -> Machine:
    """The machine on which the network looks at pictures fastest."""
    where = group.device
    few = images[: TRIED[where.type]].pixels(size)

    def step(on: Machine) -> None:
        on.prepare([network], [])
        _look(network, on, few)

    shapes = [tuple(p.shape) for p in network.parameters()]
    network.eval()
    key = repr(("probe", shapes, size))
    chosen, rate = machine.choose(step, len(few), key, where, lambda rate: 0.0, compilable=False, training=False)
    return Machine.from_numbers(where, group.broadcast([*chosen.numbers(), rate])[:-1])


def _pixels(images: Images, size: int, rows: NDArray[np.int64]) -> Iterator[Tensor]:
    """(B, 3, size, size) uint8 of the rows, in their order."""
    batches = [rows[i : i + AT_A_TIME] for i in range(0, len(rows), AT_A_TIME)]
    if images.fits_in_memory(size):
        pixels = images.pixels(size)
        yield from (pixels[torch.from_numpy(batch)] for batch in batches)
    else:
        yield from images.batches(size, "squash", iter(batches))


def _write(folder: Path, made: LinearProbe) -> None:
    numbers = torch.tensor([made.pictures, made.head.penalty], dtype=torch.float64)
    seen = {name: getattr(made.seen, name) for name in ("logits", "features", "slopes")}
    packed = artefact.pack({"weight": made.head.weight, "bias": made.head.bias, "numbers": numbers, **seen})
    files.write_bytes(folder / "checkpoint" / FILE, packed)


def _read(folder: Path, validation: int) -> LinearProbe | None:
    """The probe that an earlier stretch of this run has kept, unless it judged other validation pictures."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / "checkpoint" / FILE
    try:
        held = load_file(path) if path.exists() else {}
    except SafetensorError as error:
        log.warning("%s is damaged (%s); the probe is made again.", path, error)
        return None
    if not held or len(held["logits"]) != validation:
        return None
    pictures, penalty = held["numbers"].tolist()
    head = LinearHead(held["weight"], held["bias"], penalty)
    return LinearProbe(head, Outputs(held["logits"], held["features"], held["slopes"]), round(pictures))
