"""A recognizer as its folder holds it: read back, executing nothing, and taken along when it is saved elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from diptych.artefact import Artefact
from diptych.errors import ArtefactError, UsageError
from diptych.recognition import networks
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.inference.embeddings import FILE as MEMORY
from diptych.recognition.inference.embeddings import EmbeddingIndex
from diptych.recognition.model_card import updated_card
from diptych.recognition.networks import Network
from diptych.recognition.networks.tta import TTA

CARD = "README.md"
CARRIED = (CARD, "data.json", "report.html", "history.jsonl", MEMORY)  # what is taken along


@dataclass(frozen=True)
class RestoredModel:
    """What a recognizer answers by: its network, the size it sees, how it is read, what it remembers."""

    network: Network
    size: int
    decision_rule: DecisionRule
    embedding_index: EmbeddingIndex | None

    @classmethod
    def read(cls, found: Artefact, given: str | type[nn.Module]) -> "RestoredModel":
        """What an artefact holds; ``given`` is the network that was asked for, which may be a class of one's own.

        Raises
        ------
        ArtefactError
            It is damaged, or was trained with another class.
        UsageError
            It was trained with a class of one's own, which is not ``given``.
        """
        facts = found.facts
        try:
            classes, size = tuple(facts["classes"]), int(facts["size"])
            reading = DecisionRule.restored(classes, bool(facts["multi_label"]), facts["calibration"])
            kind, told = _kind(facts["network"], given), facts.get("backbone")
            network = networks.build(kind, classes=len(classes), size=size, download=False, told=told)
            network.load_state_dict(found.weights)
            network.tta = TTA.restored(facts.get("tta"))
            memory = EmbeddingIndex.read(found)
        except (KeyError, TypeError, RuntimeError) as error:
            raise ArtefactError(
                f"The model in {found.folder} is damaged or was trained with another class: "
                f"{str(error).splitlines()[0]}. Restore it from a copy, or train again."
            ) from error
        return cls(network.eval(), size, reading, memory)


def carry_model_files(folder: Path, facts: Mapping[str, Any]) -> dict[str, bytes]:
    """The papers of the model in ``folder``, the card telling of the ``facts`` as they are now."""
    papers = {name: folder / name for name in CARRIED}
    held = {name: path.read_bytes() for name, path in papers.items() if path.exists()}
    if CARD in held:
        held[CARD] = updated_card(held[CARD].decode(), facts).encode()
    return held


def _kind(name: str, given: str | type[nn.Module]) -> str | type[nn.Module]:
    """What to build for a stored network's name."""
    if not name.startswith(networks.CUSTOM_PREFIX):
        return name
    if isinstance(given, type) and networks.name_of(given) == name:
        return given
    own = name.removeprefix(networks.CUSTOM_PREFIX)
    raise UsageError(
        f"This model was trained with a network of your own, the class {own}. Code is never loaded from a "
        f"model, so name the class: diptych.load(folder, network={own})."
    )
