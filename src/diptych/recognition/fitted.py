"""A fitted recognizer: its network, its calibration and its scores, and how outputs become predictions."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from diptych.data.images import Images
from diptych.engine.warm_start.weights import weights_digest
from diptych.errors import NotFittedError
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.confidence.ood import ood_scores
from diptych.recognition.inference.embeddings import EmbeddingIndex
from diptych.recognition.inference.outputs import Outputs
from diptych.recognition.networks import Network
from diptych.recognition.predictions import Predictions
from diptych.report import notebook

if TYPE_CHECKING:
    from sklearn.utils import Tags


class FittedRecognizer:
    """The state of a recognizer once it is fitted, and how it is shown; see :class:`diptych.Recognizer`."""

    classes_: tuple[str, ...]
    size_: int
    multi_label_: bool
    network_: Network
    embedding_index_: EmbeddingIndex | None
    _decision_rule: DecisionRule
    _facts: dict[str, Any]

    @property
    def scores_(self) -> dict[str, Any]:
        """Scores on the validation pictures, by name."""
        self._fitted()
        return dict(self._facts["scores"])

    @property
    def facts_(self) -> dict[str, Any]:
        """What ``model.json`` says of the model."""
        self._fitted()
        return dict(self._facts)

    @property
    def temperature_(self) -> float:
        """What logits are divided by."""
        return self.decision_rule_.temperature

    @property
    def threshold_(self) -> float:
        """The familiarity (without an embedding index the largest logit) under which a picture is "unknown"."""
        scale = self.decision_rule_.scale
        return self.decision_rule_.response_threshold if scale is None else scale.threshold

    @property
    def decision_rule_(self) -> DecisionRule:
        """How logits become labels, confidence, sets and "unknown": all that calibration has fitted."""
        self._fitted()
        return self._decision_rule

    def identity(self) -> dict[str, Any]:
        """What its predictions depend on: its weights and calibration; JSON-able."""
        return {"weights": weights_digest(self._fitted().state_dict()), "facts": self.facts_}

    def __sklearn_tags__(self) -> "Tags":
        """What scikit-learn asks: a classifier, so that cross-validation keeps the shares of the classes."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=False),  # pictures may bring their labels
            classifier_tags=ClassifierTags(multi_label=True),
            input_tags=InputTags(two_d_array=False, three_d_array=True, string=True),
        )

    def _repr_html_(self) -> str:
        if not hasattr(self, "network_"):
            return notebook.model(repr(self), {"fitted": False}, {})
        facts = {"classes": ", ".join(self.classes_), "size": f"{self.size_} px"}
        return notebook.model(repr(self), facts, self.scores_)

    def _fitted(self) -> Network:
        if not hasattr(self, "network_"):
            raise NotFittedError("This Recognizer has not been fitted. Call fit(images), or diptych.load(folder).")
        return self.network_

    def _predictions(self, outputs: Outputs, images: Images) -> Predictions:
        scale, index, familiarity = self._decision_rule.scale, self.embedding_index_, None
        if scale is not None and index is not None:  # else only the largest logit flags what is unknown
            familiarity = scale.familiarity(ood_scores(outputs, index))
        predictions = self._decision_rule.predictions(outputs.logits, images.known_errors(), familiarity)
        return replace(predictions, images=images)
