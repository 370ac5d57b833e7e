"""The networks of a fitted synthesizer as the start of a run: of its own extension, or of another synthesizer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from diptych.engine.warm_start.weights import DifferentNetworkError, Rows, common_rows, copy_weights
from diptych.errors import UsageError
from diptych.synthesis.networks.blocks import LabelEmbedding
from diptych.synthesis.protocols import Weights

OPTIONAL = ("window.weight",)  # which part a picture is: nothing is added for a whole one
# Of a layout, what follows the pictures and not the network that the weights are of; and what only a tuned flow has.
FOLLOWS_PICTURES = ("size", "classes", "components", "group", "windows", "dropout")
TUNED_ONLY = ("tuned", "steps")


@dataclass(frozen=True)
class WarmStart:
    """A fitted synthesizer, whose weights a run starts from.

    Attributes
    ----------
    weights
        Of each of its networks.
    classes
        Names of its classes.
    layout
        What its networks are built from.
    """

    weights: Weights
    classes: tuple[str, ...]
    layout: Mapping[str, Any]

    def check_conditioning(self, classes: Sequence[str]) -> None:
        """Raise a :class:`UsageError` unless both models are conditional on class, or neither."""
        if bool(classes) == bool(self.classes):
            return
        difference = "has classes, and these pictures have none"
        if not self.classes:
            difference = "has no classes, and these pictures have some"
        raise UsageError(f"The model to start from {difference}. Start from another one, or from none.")

    def layout_for(self, configured: Mapping[str, Any], latent: int | None) -> dict[str, Any]:
        """A layout that was ``configured`` for other pictures, with this one's networks.

        Raises
        ------
        UsageError
            Another length of the ``latent`` vector is asked for.
        """
        if latent not in (None, self.layout.get("latent")):
            raise UsageError(
                f"The model to start from has latents of length {self.layout.get('latent')}, not {latent}. Leave "
                "latent out to have the same."
            )
        networks = {k: v for k, v in self.layout.items() if k not in TUNED_ONLY}
        return {**networks, **{k: v for k, v in configured.items() if k in FOLLOWS_PICTURES}}

    def load_into(self, modules: Mapping[str, nn.Module], classes: Sequence[str], size: int) -> None:
        """Give networks that are to be trained these weights; the embeddings of classes that both have by their names.

        Raises
        ------
        UsageError
            They have other layers than these, at this size.
        """
        # The last row is that of "no label".
        rows = [*common_rows(classes, self.classes), (len(classes), len(self.classes))]
        try:
            for name, module in modules.items():
                _load(name, module, self.weights, rows)
        except DifferentNetworkError as error:
            raise UsageError(
                f"Networks for {size} px cannot start from those for {self.layout['size']} px ({error}). Leave the "
                "size out to have the same."
            ) from error


def _load(name: str, module: nn.Module, weights: Weights, rows: Rows) -> None:
    if name not in weights:
        raise DifferentNetworkError(f"only one of them has the network {name}")
    embeddings = [prefix for prefix, part in module.named_modules() if isinstance(part, LabelEmbedding)]
    class_tensors = {f"{prefix}.vectors.weight" for prefix in embeddings}
    copy_weights(module, weights[name], class_tensors=class_tensors, rows=rows, optional=OPTIONAL)
