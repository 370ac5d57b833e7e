"""The search for series among a person's pictures, by the features of the backbone that is to be trained."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from diptych.backbones.timm_backbone import is_pretrained
from diptych.data.images import Images
from diptych.data.series import MAX_PICTURES, series_of
from diptych.engine import machine
from diptych.engine.distributed import ProcessGroup
from diptych.recognition import networks
from diptych.recognition.datasets import FindSeries
from diptych.recognition.inference.embedder import Embedder
from diptych.recognition.networks import Network
from diptych.recognition.training.transfer.probe import round_robin_rows

SETTING = "series"  # of a run: whether its split keeps series together


def series_search(
    network: str | type[nn.Module] | Network, size: int, until: float, earlier: Mapping[str, Any] | None
) -> FindSeries | None:
    """The search, for :func:`diptych.recognition.datasets.prepare`; ``None`` where there is none.

    Parameters
    ----------
    network
        The one to be trained, or another recognizer's, whose weights it starts from.
    until
        ``time.monotonic()`` after which the search is given up.
    earlier
        Settings of the run that this one continues, whose split is to be the same; ``None``: a new run.
    """
    pretrained = network.pretrained if isinstance(network, Network) else is_pretrained(networks.name_of(network))
    if not pretrained:
        return None
    if earlier is not None and not earlier.get(SETTING):
        return None
    assert not isinstance(network, type)  # a person's own class is not pretrained
    return partial(_find_series, network, size, until if earlier is None else math.inf)


def _find_series(network: str | Network, size: int, until: float, images: Images) -> NDArray[np.int64] | None:
    """The series among the pictures; ``None`` if there are too many pictures, or there is too little time."""
    if len(images) > MAX_PICTURES:
        return None
    rows, group = round_robin_rows(images.labels), ProcessGroup(machine.device())
    series: NDArray[np.int64] | None = None
    if group.leader:
        if isinstance(network, Network):
            embedder = Embedder(network, size, "", frozen=True)
        else:
            embedder = Embedder.from_backbone(network, size)
        features = embedder.outputs(images[rows], "Probe", until).features
        if not features.isnan().any():
            series = np.empty(len(images), np.int64)
            series[rows] = series_of(images.paths[rows], images.labels[rows], features.numpy())
    return group.broadcast_object(series)
