"""What ``model.json`` and ``data.json`` hold whatever the kind of the model; each kind declares what else it needs."""

from typing import Annotated, Any

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0)]
FileName = Annotated[str, Meta(pattern=r"^[\w.-]+\.safetensors$")]  # in the model's own folder
Scores = dict[str, "float | Score | None"]
MAX_CLASSES = 1_000_000


class Score(Struct):
    """A score with its interval; ``None`` for what is not known."""

    value: float | None
    low: float | None
    high: float | None
    n: Count


class Verdict(Struct):
    """The verdict at the end of the training."""

    word: str
    sentence: str
    reason: str = ""
    next_step: str = ""


class Extension(Struct):
    """How the model was trained further, once."""

    minutes: Seconds
    seen_pictures: Count
    seconds: Seconds
    result: str
    measure: str = ""
    before: Score | None = None
    after: Score | None = None


class Unfinished(Struct):
    """How good the draft of a run that was stopped is."""

    score: float = 0.0
    measure: str = ""
    pictures: Count = 0


class ModelFacts(Struct):
    """``model.json``."""

    kind: str
    format: int = 0
    parameters: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    classes: list[str] = []
    scores: Scores = {}
    verdict: Verdict | None = None
    seen_pictures: Count = 0
    seconds: Seconds = 0.0
    extensions: list[Extension] = []
    unfinished: Unfinished | None = None
    weights_sha256: str | None = None
    extra_sha256: dict[FileName, str | None] = {}


class LeftOut(Struct):
    """A picture that could not be read."""

    path: str
    reason: str


class PictureFacts(Struct):
    """A part of the pictures: those that were trained on, or validated on."""

    counts: dict[str, Count] = {}
    fingerprint: str | None = None
    pictures: list[str] | Count = 0
    digests: str = ""


class DataFacts(Struct):
    """``data.json``."""

    folder: str = ""
    fingerprint: str | None = None
    digests: str = ""
    indexed: list[str] = []
    indexed_digests: str | None = None
    skipped: list[str | LeftOut] = []
    private: bool = False
    pictures: Count = 0
    held_out: Count = 0
    training: PictureFacts | None = None
    validation: PictureFacts | None = None
