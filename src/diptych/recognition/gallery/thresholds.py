"""What a gallery's ``model.json`` says, above all the thresholds that its calibration found. Free of torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from msgspec import Meta, Struct

from diptych import json_reader
from diptych.artefact import damaged
from diptych.errors import UsageError
from diptych.settings import check_number, whole

MATCH_FAR = 0.05  # the false-accept rate of a match, where none is named


@dataclass(frozen=True)
class Threshold:
    """The lowest value that keeps a false-accept rate.

    Attributes
    ----------
    far
        The false-accept rate that it is to keep, 0..1.
    value
        Of the familiarity of a match, or the similarity of a pair, from which on it is accepted.
    tar
        The share of what is to be accepted that it accepts.
    """

    far: float
    value: float
    tar: float


@dataclass(frozen=True)
class Calibration:
    """What was measured on a gallery's pictures.

    Attributes
    ----------
    pictures
        That there were in the gallery.
    labels
        Of the pictures that were measured.
    sharpness
        Of the vote; see :class:`diptych.recognition.gallery.voting.Votes`.
    unknown, pairs
        Thresholds for each of :data:`FALSE_ACCEPT_RATES` that so few pictures can measure; none with one label.
    """

    pictures: int
    labels: int
    sharpness: float = 20.0
    unknown: tuple[Threshold, ...] = ()
    pairs: tuple[Threshold, ...] = ()

    def unknown_threshold(self, far: float) -> Threshold | None:
        """The threshold that keeps this false-accept rate: of the rates measured, the largest up to it."""
        return _at(self.unknown, far)

    def pair_threshold(self, far: float) -> Threshold | None:
        """The same, for pairs."""
        return _at(self.pairs, far)

    def json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def of_json(cls, record: Mapping[str, Any]) -> Self:
        """What :meth:`json` gave."""
        thresholds = {name: tuple(Threshold(**row) for row in record[name]) for name in ("unknown", "pairs")}
        return cls(**{**record, **thresholds})


def _at(thresholds: tuple[Threshold, ...], far: float) -> Threshold | None:
    kept = [threshold for threshold in thresholds if threshold.far <= far + 1e-9]
    return kept[-1] if kept else None


def check_options(k: int, far: float) -> None:
    """Refuse a number of neighbours, or a false-accept rate, that is out of range.

    Raises
    ------
    UsageError
        Says which.
    """
    check_number("k", k, whole(1))  # of the pictures that vote
    if not 0 < far < 1:
        raise UsageError(f"far must lie between 0 and 1, not {far}: it is a false-accept rate, such as 0.01.")


class EmbedderFacts(Struct):
    """What a gallery embeds with."""

    name: str
    sha256: str
    size: Annotated[int, Meta(ge=1, le=8192)]


class TableFacts(Struct):
    """Which table is the gallery's."""

    name: Annotated[str, Meta(pattern=r"^[\w-]+$")]
    url: str | None


class GalleryFacts(Struct):
    """``model.json`` of a gallery."""

    embedder: EmbedderFacts
    recognizer: dict[str, Any] | None
    table: TableFacts
    calibration: Calibration
    adapter_labels: list[str]


def check_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Check what the ``model.json`` of a gallery says; an :class:`ArtefactError` says what is wrong."""
    try:
        json_reader.convert(facts, GalleryFacts)
    except json_reader.JSONError as error:
        raise damaged(folder / "model.json", error.reason) from None
