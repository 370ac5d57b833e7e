"""What ``model.json`` says of a recognizer, with the ranges of what its predictions are computed from."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from diptych.artefact import Artefact
from diptych.model_schema import Count, ModelFacts, Share
from diptych.recognition.settings import MIN_SIZE
from diptych.stored_networks import damaged

MAX_SIZE = 8192  # px a side: a picture of that size takes a gigabyte in float32
MAX_ARGUMENTS = 32
Positive = Annotated[float, Meta(gt=0, le=1e9)]
Scores = Annotated[list[float], Meta(min_length=3, max_length=3)]  # response, nearness, detail
Deviations = Annotated[list[Positive], Meta(min_length=3, max_length=3)]
Colours = Annotated[list[float], Meta(min_length=3, max_length=3)]


class Familiarity(Struct):
    """See :class:`diptych.recognition.confidence.ood.FamiliarityScale`."""

    mean: Scores
    std: Deviations
    threshold: float
    n: Annotated[int, Meta(ge=1)]


class Calibration(Struct):
    """See :class:`diptych.recognition.confidence.decision.DecisionRule`."""

    temperature: Positive
    response_threshold: float | None
    pictures: Count = 0
    set_cutoff: float | None = None
    label_thresholds: list[Share] = []
    familiarity: Familiarity | None = None


class Views(Struct):
    """See :class:`diptych.recognition.networks.tta.TTA`."""

    mirror: bool
    shift: Annotated[int, Meta(ge=0, le=MAX_SIZE)]
    multi_label: bool = False
    threshold: float | None = None


class Backbone(Struct):
    """What rebuilds a pretrained backbone besides its weights."""

    name: str
    mean: Colours
    std: Deviations
    arguments: Annotated[dict[str, Any], Meta(max_length=MAX_ARGUMENTS)] = {}


class Training(Struct):
    """The first run."""

    pictures: Count = 0
    validation_pictures: Count = 0
    notes: list[str] = []


class RecognizerFacts(ModelFacts, kw_only=True):
    """``model.json`` of a recognizer."""

    network: str
    classes: Annotated[list[str], Meta(min_length=1)]
    multi_label: bool
    size: Annotated[int, Meta(ge=MIN_SIZE, le=MAX_SIZE)]
    calibration: Calibration
    scores: dict[str, Any]
    training: Training | None = None
    tta: Views | None = None
    backbone: Backbone | None = None


def check_classes(saved: Artefact, facts: RecognizerFacts) -> None:
    """Check that no class is there twice, and that what counts classes agrees.

    Raises
    ------
    ArtefactError
        It does not.
    """
    classes, thresholds = facts.classes, facts.calibration.label_thresholds
    if len(set(classes)) < len(classes):
        raise damaged(saved, "$.classes has a name twice")
    if thresholds and len(thresholds) != len(classes):
        raise damaged(saved, f"$.calibration.label_thresholds has {len(thresholds)} numbers for {len(classes)} classes")
