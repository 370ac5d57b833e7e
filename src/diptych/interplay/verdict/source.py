"""What a verdict needs of a synthesizer, and how one that has seen the pictures is trained again.

Besides GAN, VAE and Flow any object with the members of :class:`PictureSource` is judged: a program of another origin,
a store of bought pictures. One that has seen the pictures to validate on must also be :class:`Refittable`.
"""

import logging
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

from diptych.data.images import Images
from diptych.data.training_digests import Digests
from diptych.engine.warm_start.weights import weights_digest
from diptych.errors import UsageError
from diptych.synthesis.settings import FlowSettings
from diptych.synthesis.synthesizer import Synthesizer

log = logging.getLogger("diptych")
MIN_EPOCHS = 0.001


class PictureSource(Protocol):
    """A synthesizer as a verdict sees it."""

    @property
    def classes_(self) -> tuple[str, ...]:
        """Names of the classes that it can be asked for."""

    @property
    def training_digests(self) -> Digests:
        """(N,) uint64 digests of the pictures that it was trained on (see :mod:`diptych.data.training_digests`).

        Empty: on none of the pictures at hand.
        """

    def sample(self, n: int, *, label: str | None = None, seed: int = 0) -> Images:
        """``n`` pictures of the class; the same call gives the same pictures."""


@runtime_checkable
class Refittable(Protocol):
    """A synthesizer that can be trained again."""

    def fit(self, images: Images) -> Self:
        """Train on these labelled pictures alone; returns the synthesizer that has seen nothing else."""


def identity(source: PictureSource) -> dict[str, Any]:
    """What distinguishes the synthesizer from others, JSON-able; of a plug-in only its kind and classes."""
    weights = weights_digest(source.weights()) if isinstance(source, Synthesizer) else ""
    return {"kind": type(source).__name__, "classes": list(source.classes_), "weights": weights}


def train_again(
    source: PictureSource, training: Images, folder: Path, minutes: float | None
) -> tuple[PictureSource, str]:
    """A synthesizer of the same kind and settings that has seen ``training`` alone, and a sentence on it.

    Parameters
    ----------
    folder
        Of the new model, where a training that was killed is continued.
    minutes
        Longest training; ``None``: as long as the first one took.

    Raises
    ------
    UsageError
        It cannot be trained again.
    """
    if isinstance(source, Synthesizer):
        return _fit_again(source, training, folder, minutes)
    if isinstance(source, Refittable):
        return source.fit(training), f"It was trained again on the {len(training):,} training pictures."
    raise UsageError(
        "The synthesizer has seen nearly all of these pictures, so none is left to validate on, and it has no method "
        "fit by which to train it again on a part. Give PICTURES that it has not seen."
    )


def _fit_again(source: Synthesizer, training: Images, folder: Path, minutes: float | None) -> tuple[Synthesizer, str]:
    """Train for as many pictures as the first training showed, or the share of them that ``minutes`` allow.

    Not by the clock: a run of a length in pictures ends the same after a kill.
    """
    shown, seconds = source.training_effort
    share = 1.0 if minutes is None or not seconds else min(1.0, 60 * minutes / seconds)
    parameters = {**source.parameters(), "size": source.size_, "minutes": None}
    if "tuned" in source.layout_:  # the new one is not, so that few steps would not do
        parameters["steps"] = FlowSettings().steps
    parameters["epochs"] = max(MIN_EPOCHS, share * shown / len(training))
    fitted = type(source)(**parameters).fit(training, into=folder)
    length = "as long as it was" if share == 1 else f"{share:.0%} as long as it was, as the time allows"
    return fitted, (
        f"A {source.kind} of the same settings was trained again on the {len(training):,} training pictures, {length}."
    )
