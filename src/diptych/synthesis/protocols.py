"""What the run monitor, the sample writer and the search for a model's training pictures need of a synthesizer."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from diptych.data.images import Images
from diptych.data.training_digests import Digests
from diptych.marks import Generated
from diptych.progress import Bar

Label = str | int  # a class by name, or by its number
Weights = Mapping[str, Mapping[str, Tensor]]  # of each network, by name


class SampledModel(Protocol):
    """A synthesizer from which pictures are sampled, each by its own seed, while it is trained or afterwards."""

    @property
    def kind(self) -> str:
        """One of "gan", "vae" and "flow"."""

    @property
    def seed(self) -> int:
        """Of the run: the pictures that were held out are drawn by it."""

    @property
    def classes_(self) -> tuple[str, ...]:
        """Names of the classes that it is conditional on; empty if there are none."""

    @property
    def shares_(self) -> list[float]:
        """Of each class among the training pictures."""

    @property
    def size_(self) -> int:
        """Pixels a side."""

    @property
    def layout_(self) -> dict[str, Any]:
        """What its networks are built from."""

    @property
    def training_fingerprint(self) -> str | None:
        """Of its training pictures; ``None`` where it was not saved."""

    @property
    def training_digests(self) -> Digests:
        """Of its training pictures, and of those of the model that it started from; empty where they were not saved."""

    def parameters(self) -> dict[str, Any]:
        """The parameters that it was constructed with, by name."""

    def weights(self) -> dict[str, Tensor]:
        """All weights, by network and name: "generator.first.weight"."""

    def generated_facts(self) -> Generated:
        """What its pictures are marked with."""

    def class_number(self, label: Label) -> int:
        """The number of a class; raises a :class:`UsageError` that names the classes if there is no such class."""

    def sample_labels(self, seeds: Sequence[int], label: Label | None) -> NDArray[np.int64]:
        """(N,) class numbers for the seeds: all of ``label``, or drawn by ``shares_``; -1 without classes."""

    def sample_pixels(self, seeds: Sequence[int], labels: NDArray[np.int64], bar: Bar | None = None) -> Tensor:
        """(N, 3, S, S) uint8, a picture for each seed and label."""

    def with_weights(self, weights: Weights, training: Images) -> "SampledModel":
        """A copy with these weights, completed as at the end of a run on the pictures ``training``."""
