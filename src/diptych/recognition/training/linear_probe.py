"""The linear probe: a frozen pretrained network with a linear head fitted to its features, in one pass."""

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
BATCH = 64  # pictures between two looks at the clock
TRIAL_PICTURES = {"cpu": 8, "mps": 64, "cuda": 64}  # in the machine's trial
MIN_FOR_TRIAL = 640  # pictures; a trial costs a quarter of these
FITTING_SECONDS = 5.0  # for the head, of a time budget
FILE = "probe.safetensors"  # in the run's checkpoint folder


@dataclass(frozen=True)
class LinearProbe:
    """The linear head, its outputs for the validation pictures, and how many pictures it was fitted to."""

    head: LinearHead
    outputs: Outputs
    pictures: int


def fit_linear_probe(
    network: Network,
    training: Images,
    validation: Images,
    size: int,
    *,
    seconds_per_picture: float,
    until: float,
    folder: Path | None,
) -> LinearProbe:
    """Fit a linear head to the network's features; the network itself is not changed.

    Parameters
    ----------
    seconds_per_picture
        About the time of one forward pass.
    until
        ``time.monotonic()`` after which no further picture is read; those read until then are spread evenly over
        the classes.
    folder
        The run's: a probe that is stored there is taken, and a new one is stored there, until the run is over.
    """
    group = ProcessGroup(machine.device())
    stored = _read(folder, len(validation)) if folder else None
    if group.broadcast([stored is not None])[0] and stored is not None:
        return stored
    outputs = compute_outputs(network, validation, size, title="Linear probe")
    features, rows = _training_features(network, training, size, seconds_per_picture, until, group)
    device = group.device
    head = fit_logistic_regression(
        LabelledFeatures(features.to(device), label_tensor(training)[rows].to(device)),
        LabelledFeatures(outputs.features.to(device), label_tensor(validation).to(device)),
        len(training.classes),
        until=max(until, time.monotonic()) + FITTING_SECONDS,  # without end if there is no budget
    )
    head = LinearHead(head.weight.cpu(), head.bias.cpu(), head.penalty)
    probe = LinearProbe(head, replace(outputs, logits=head.logits(outputs.features)), len(rows))
    if folder and group.leader:
        _write(folder, probe)
    group.barrier()
    return probe


def round_robin_rows(labels: NDArray[np.int64] | NDArray[np.bool_]) -> NDArray[np.int64]:
    """All rows, the first picture of every class before the second of any, and so on; in order if multi-label."""
    if labels.ndim == 2:
        return np.arange(len(labels))
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], labels[order], side="left")
    turn = np.empty(len(labels), np.int64)
    turn[order] = np.arange(len(labels)) - starts
    return np.lexsort((labels, turn))


def _training_features(
    network: Network, images: Images, size: int, seconds_per_picture: float, until: float, group: ProcessGroup
) -> tuple[Tensor, NDArray[np.int64]]:
    """(n, D) features, and the rows they are of: as many as the time allows, at least one batch."""
    rows = round_robin_rows(images.labels)
    affordable = min(len(rows), (until - time.monotonic()) / seconds_per_picture)
    worth_a_trial = group.broadcast([affordable > MIN_FOR_TRIAL])[0]
    on = _fastest_machine(network, images, size, group) if worth_a_trial else Machine(group.device)
    on.prepare([network], [])
    network.eval()
    parts: list[Tensor] = []
    with on.active(), Bar("Linear probe", len(rows)) as bar:
        for pixels in _batches(images, size, rows):
            parts.append(_features(network, on, pixels))
            bar.advance(len(pixels))
            if group.broadcast([time.monotonic() > until])[0]:
                break
    Machine(on.device).prepare([network], [network])
    features = torch.cat(parts)
    return features, rows[: len(features)]


def _features(network: Network, on: Machine, pixels: Tensor) -> Tensor:
    with torch.no_grad(), on.autocast():
        return network.features(on.to_memory_format(to_float(pixels.to(on.device)))).float().cpu()


def _fastest_machine(network: Network, images: Images, size: int, group: ProcessGroup) -> Machine:
    """The machine on which the network computes features fastest."""
    device = group.device
    pixels = images[: TRIAL_PICTURES[device.type]].pixels(size)

    def step(on: Machine) -> None:
        on.prepare([network], [])
        _features(network, on, pixels)

    shapes = [tuple(p.shape) for p in network.parameters()]
    network.eval()
    key = repr(("probe", shapes, size))
    chosen, rate = machine.choose(step, len(pixels), key, device, lambda rate: 0.0, compilable=False, training=False)
    return Machine.from_numbers(device, group.broadcast([*chosen.numbers(), rate])[:-1])


def _batches(images: Images, size: int, rows: NDArray[np.int64]) -> Iterator[Tensor]:
    """(B, 3, size, size) uint8 of the rows, in their order."""
    batches = [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]
    if images.fits_in_memory(size):
        pixels = images.pixels(size)
        yield from (pixels[torch.from_numpy(batch)] for batch in batches)
    else:
        yield from images.batches(size, "squash", iter(batches))


def _write(folder: Path, probe: LinearProbe) -> None:
    numbers = torch.tensor([probe.pictures, probe.head.penalty], dtype=torch.float64)
    outputs = {name: getattr(probe.outputs, name) for name in ("logits", "features", "slopes")}
    packed = artefact.pack({"weight": probe.head.weight, "bias": probe.head.bias, "numbers": numbers, **outputs})
    files.write_bytes(folder / "checkpoint" / FILE, packed)


def _read(folder: Path, validation: int) -> LinearProbe | None:
    """The probe that the interrupted run has stored, unless it had other validation pictures."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / "checkpoint" / FILE
    try:
        stored = load_file(path) if path.exists() else {}
    except SafetensorError as error:
        log.warning("%s is damaged (%s); the probe is fitted again.", path, error)
        return None
    if not stored or len(stored["logits"]) != validation:
        return None
    pictures, penalty = stored["numbers"].tolist()
    head = LinearHead(stored["weight"], stored["bias"], penalty)
    return LinearProbe(head, Outputs(stored["logits"], stored["features"], stored["slopes"]), round(pictures))
