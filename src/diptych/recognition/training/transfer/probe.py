"""The probe: a frozen pretrained backbone with a head fitted to its features, of every picture there is time for."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.data.images import Images
from diptych.data.provenance import generated_mask
from diptych.data.splits import folds_of
from diptych.engine import machine
from diptych.engine.distributed import ProcessGroup
from diptych.engine.loader import label_tensor
from diptych.recognition.inference.embedder import Embedder
from diptych.recognition.inference.outputs import Outputs
from diptych.recognition.networks import Network
from diptych.recognition.networks.neighbours import NeighboursHead
from diptych.recognition.training.run import Job
from diptych.recognition.training.transfer.head_selection import FOLDS, Head, HeadSelection, select_head
from diptych.recognition.training.transfer.logistic_regression import LabelledFeatures

SHARE = 0.7  # of a time budget, after which no further picture is embedded
SELECTION_SHARE = 0.15  # of a time budget at most, for comparing heads


@dataclass(frozen=True)
class Probe:
    """A head on frozen features.

    Attributes
    ----------
    outputs
        For the validation pictures.
    pictures
        How many the heads were fitted to.
    slopes
        (n, 3) of all training pictures; ``None``: time was up before.
    """

    selection: HeadSelection
    outputs: Outputs
    pictures: int
    slopes: Tensor | None


def fit_probe(job: Job) -> Probe:
    """Fit a head to the features of the job's training pictures, and give it to the network."""
    group, budget = ProcessGroup(machine.device()), job.budget
    embedder = Embedder(job.network, job.config.size, "", frozen=True)
    outputs = embedder.outputs(job.validation, "Probe")
    rows = round_robin_rows(job.training.labels)
    embedded = embedder.outputs(job.training[rows], "Probe", budget.moment(SHARE))
    present = ~embedded.features.isnan().any(1)
    slopes = embedded.slopes[torch.from_numpy(np.argsort(rows))] if present.all() else None
    rows, features = rows[present.numpy()], embedded.features[present]
    training = job.training[rows]
    device = group.device
    selection = group.broadcast_object(
        select_head(
            LabelledFeatures(job.network.head_input(features).to(device), label_tensor(training).to(device)),
            len(training.classes),
            folds_of(training, FOLDS, job.seed, None if job.series is None else job.series[rows]),
            lambda logits, of: _score(job, logits.cpu(), training[of]),
            until=budget.moment_from_now(SELECTION_SHARE),
        ).cpu()
    )
    set_head(job.network, selection.head)
    with torch.inference_mode():
        logits = job.network.logits_of(outputs.features.to(device)).float().cpu().clone()
    return Probe(selection, replace(outputs, logits=logits), int(group.broadcast([len(rows)])[0]), slopes)


def _score(job: Job, logits: Tensor, images: Images) -> float:
    """The score on those of the pictures that are real."""
    real = np.flatnonzero(~generated_mask(images))
    return job.score(logits[torch.from_numpy(real)], images[real])[1]


def set_head(network: Network, head: Head) -> None:
    """Give the network this head."""
    device = next(network.parameters()).device
    if isinstance(head, NeighboursHead):
        network.head = head.to(device)
        return
    if isinstance(network.head, NeighboursHead):
        network.head = torch.nn.Linear(head.weight.shape[1], len(head.weight)).to(device)
    network.set_head(head.weight, head.bias)


def round_robin_rows(labels: NDArray[np.int64] | NDArray[np.bool_]) -> NDArray[np.int64]:
    """All rows, the first picture of every class before the second of any, and so on; in order if multi-label."""
    if labels.ndim == 2:
        return np.arange(len(labels))
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], labels[order], side="left")
    turn = np.empty(len(labels), np.int64)
    turn[order] = np.arange(len(labels)) - starts
    return np.lexsort((labels, turn))
