"""The weights of a fitted recognizer as the start of a run: of its own extension, or of another recognizer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from diptych.data.training_digests import Digests
from diptych.engine.warm_start.extension import Extension
from diptych.engine.warm_start.weights import DifferentNetworkError, common_rows, copy_weights, weights_digest
from diptych.errors import UsageError
from diptych.recognition import networks
from diptych.recognition.datasets import PreparedData
from diptych.recognition.networks import Network
from diptych.recognition.networks.neighbours import NeighboursHead

NOT_TAKEN = ("offset",)  # set after training, for the classes and shares of the other recognizer


@dataclass(frozen=True, kw_only=True)
class WarmStart:
    """A fitted recognizer, whose weights a run starts from.

    Attributes
    ----------
    network
        Its network; it stays as it is.
    network_class
        Of a network of a person's own; else ``None``.
    facts, data
        Its ``model.json`` and ``data.json``.
    trained
        Digests of the pictures that must not be validated on: those that it was trained on; of an extension, those
        that the recognizer which it started from was trained on.
    extension
        Of this recognizer; ``None``: another one starts from it.
    """

    network: Network
    network_class: type[nn.Module] | None
    facts: Mapping[str, Any]
    data: Mapping[str, Any]
    trained: Digests
    extension: Extension | None = None

    def digest(self) -> str:
        """Identifies the weights."""
        return weights_digest(self.network.state_dict())

    def origin(self) -> dict[str, Any] | None:
        """Where the weights come from, for ``model.json``; ``None``: an extension of a recognizer without a start."""
        if self.extension is not None:
            return self.facts.get("started_from")
        return {"weights": self.digest(), "classes": len(self.facts["classes"])}

    def network_and_size(self, parameters: Mapping[str, Any]) -> tuple[str | type[nn.Module], int]:
        """The network and the picture size, which follow the other recognizer's.

        Raises
        ------
        UsageError
            The parameters ask for another network.
        """
        name, requested = str(self.facts["network"]), parameters["network"]
        if requested != "auto" and networks.name_of(requested) != name:
            raise UsageError(
                f"The model to start from has the network {name}, not {networks.name_of(requested)}. Leave the network "
                "out to have the same."
            )
        network = self.network_class or (requested if isinstance(requested, type) else name)
        return network, parameters["size"] or int(self.facts["size"])

    def build(self, network: str | type[nn.Module], classes: Sequence[str], size: int, seed: int) -> Network:
        """The network with these weights; the head of the classes that both have, the others' fresh.

        Raises
        ------
        UsageError
            At this size, or for as many classes, the network has other layers.
        """
        state = {name: tensor for name, tensor in self.network.state_dict().items() if name not in NOT_TAKEN}
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                built = networks.build(
                    network,
                    classes=len(classes),
                    size=size,
                    download=False,
                    backbone_facts=self.network.backbone_facts,
                )
            if isinstance(getattr(self.network, "head", None), NeighboursHead):  # its examples are found anew
                head = {f"head.{name}": tensor for name, tensor in built.head.state_dict().items()}
                state = {name: tensor for name, tensor in state.items() if not name.startswith("head.")} | head
            rows = common_rows(classes, self.facts["classes"])
            copy_weights(built, state, class_tensors=_output_tensors(built), rows=rows)
        except (DifferentNetworkError, AssertionError) as error:  # transformers assert their picture size
            raise UsageError(
                f"{self.facts['network']} at {size} px cannot start from the weights at {self.facts['size']} px "
                f"({error}). Leave the size out to have the same."
            ) from error
        return built

    def check_same_split(self, data: PreparedData) -> None:
        """Refuse to train this recognizer further unless the pictures held out are those of its first run.

        Raises
        ------
        UsageError
            They are not, as when another version of Diptych splits otherwise.
        """
        if self.data.get("training", {}).get("fingerprint") != data.training.fingerprint():
            raise UsageError(
                "The pictures are not divided into training and validation as when this model was fitted, so that it "
                "would be validated on pictures that it was trained on. Start another model from it, with --from."
            )


def _output_tensors(network: Network) -> set[str]:
    """Names of the tensors that have a row for each class."""
    layer = network.output_layer
    prefixes = [name for name, module in network.named_modules() if module is layer]
    return {f"{prefix}.{name}" for prefix in prefixes if layer is not None for name, _ in layer.named_parameters()}
