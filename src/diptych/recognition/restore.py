"""Reading a recognizer from its folder, executing nothing, and carrying its files along when it is saved elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from diptych import artefact
from diptych.artefact import Artefact
from diptych.engine.privacy.layers import replace_batch_norm
from diptych.engine.warm_start.extension import CAPTION, extensions_table
from diptych.errors import UsageError
from diptych.recognition import networks
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.inference.embeddings import FILE as EMBEDDINGS
from diptych.recognition.inference.embeddings import EmbeddingIndex
from diptych.recognition.model_card import updated_card
from diptych.recognition.model_facts import RecognizerFacts, check_classes
from diptych.recognition.networks import Network
from diptych.recognition.networks.custom import CustomNetwork
from diptych.recognition.networks.tta import TTA
from diptych.report.html import with_table
from diptych.stored_networks import built_from, convert_facts, damaged_weights, load_weights

CARD, PAGE = "README.md", "report.html"
CARRIED = (CARD, "data.json", PAGE, "history.jsonl", EMBEDDINGS)


@dataclass(frozen=True)
class RestoredModel:
    """What a recognizer predicts with.

    Attributes
    ----------
    network
        In evaluation mode, with its test-time augmentation.
    size
        Pixels a side of its inputs.
    decision_rule
        The calibration.
    embedding_index
        Of its training pictures; ``None``: the model was saved without one.
    """

    network: Network
    size: int
    decision_rule: DecisionRule
    embedding_index: EmbeddingIndex | None

    @classmethod
    def read(cls, model: Artefact, network: str | type[nn.Module]) -> "RestoredModel":
        """Restore the model in an artefact.

        Parameters
        ----------
        network
            The parameter of the recognizer; for a model with a person's own network, that class.

        Raises
        ------
        ArtefactError
            It is damaged, or was trained with another class.
        UsageError
            It was trained with a person's own class, which is not ``network``.
        """
        facts = convert_facts(model, RecognizerFacts)
        classes = tuple(facts.classes)
        check_classes(model, facts)
        rule = DecisionRule.from_json(classes, facts.multi_label, model.facts["calibration"])
        name = _stored_network(facts.network, network)
        with built_from(model):
            restored = networks.build(
                name, classes=len(classes), size=facts.size, download=False, backbone_facts=model.facts.get("backbone")
            )
            if "privacy" in model.facts and not restored.pretrained:
                replace_batch_norm(restored)
        load_weights(restored, model.weights, model)
        restored.tta = TTA.from_json(model.facts.get("tta"))
        size, index = facts.size, EmbeddingIndex.read(model, len(classes), facts.multi_label)
        _check_head(restored, index, len(classes), model)
        return cls(restored.eval(), size, rule, index)


def _check_head(network: Network, index: EmbeddingIndex | None, classes: int, model: Artefact) -> None:
    """Check that the head takes the embeddings that are indexed, and gives a logit for each class."""
    if index is None or not len(index) or isinstance(network, CustomNetwork):
        return
    try:
        with torch.no_grad():
            shape = tuple(network.logits_of(torch.zeros(1, index.embeddings.shape[1])).shape)
    except (RuntimeError, IndexError) as error:
        raise artefact.damaged(model.folder / EMBEDDINGS, "its embeddings are not this network's") from error
    if shape != (1, classes):
        raise damaged_weights(model, f"its head is of {shape[-1]} classes, and model.json names {classes}")


def copy_model_files(folder: Path, facts: Mapping[str, Any]) -> dict[str, bytes]:
    """The files beside the weights in ``folder``, by name; the card and the page are updated to ``facts``."""
    there = [name for name in CARRIED if artefact.path_of(folder, name).exists()]
    files = {name: artefact.read_bytes(folder, name) for name in there}
    if CARD in files:
        files[CARD] = updated_card(files[CARD].decode("utf-8", "replace"), facts).encode()
    if PAGE in files and facts.get("extensions"):
        table = extensions_table(facts["extensions"])
        files[PAGE] = with_table(files[PAGE].decode("utf-8", "replace"), CAPTION, table).encode()
    return files


def _stored_network(name: str, network: str | type[nn.Module]) -> str | type[nn.Module]:
    """What to build for the stored ``name``: the name itself, or the person's class that it stands for."""
    if not name.startswith(networks.CUSTOM_PREFIX):
        return name
    if isinstance(network, type) and networks.name_of(network) == name:
        return network
    class_name = name.removeprefix(networks.CUSTOM_PREFIX)
    raise UsageError(
        f"This model was trained with a network of your own, the class {class_name}. Code is never loaded from a "
        f"model, so name the class: diptych.load(folder, network={class_name})."
    )
