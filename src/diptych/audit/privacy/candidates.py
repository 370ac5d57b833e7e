"""The pictures of a privacy audit: those that the model was trained on, and others of the same origin that it was not.

An attack that tells the two apart has learned from the model who was trained on, provided that nothing else tells
them apart: both must come from one source, divided at random.
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from diptych.data.combine import without_groups
from diptych.data.images import Images
from diptych.data.messages import counted
from diptych.data.provenance import real_part, refuse_generated
from diptych.data.training_digests import Digests, trained_on
from diptych.errors import DataError
from diptych.recognition import datasets
from diptych.synthesis.datasets import training_part

MIN_MEMBERS = 50  # training pictures, below which nothing can be said
MIN_OTHERS = 200  # pictures that were not trained on: half of them set a threshold for 1 % of false alarms
MAX_KNOWN = 0.1  # share of the unseen set that the model may know, copies for instance; above it the set is a wrong one
USE = "A privacy audit"


class Trained(Protocol):
    """A model that knows the pictures that it was trained on."""

    @property
    def training_digests(self) -> Digests:
        """(N,) uint64 digests of them; empty where they are not known."""


@dataclass(frozen=True)
class Candidates:
    """Pictures of which an attacker asks whether the model was trained on them.

    Attributes
    ----------
    images
        Real and readable; the training pictures first.
    members
        (N,) bool, whether the model was trained on each.
    notes
        Sentences on what was left out.
    """

    images: Images
    members: NDArray[np.bool_]
    notes: list[str] = field(default_factory=list)

    @property
    def too_few(self) -> str:
        """Why nothing can be said of them, as a sentence; empty where something can."""
        members, others = int(self.members.sum()), int((~self.members).sum())
        if members >= MIN_MEMBERS and others >= MIN_OTHERS:
            return ""
        return (
            f"There are {members:,} training pictures and {others:,} others; an audit needs {MIN_MEMBERS} and "
            f"{MIN_OTHERS}, since half of the others set the threshold for 1 % of false alarms."
        )

    @property
    def training(self) -> Images:
        """The training pictures."""
        return self.images[self.members]

    @property
    def unseen(self) -> Images:
        """The others."""
        return self.images[~self.members]


def recognizer_candidates(
    seen: Images, unseen: Images, classes: tuple[str, ...], size: int, digests: Digests
) -> Candidates:
    """The labelled, readable pictures of both sets, with labels in the order of ``classes``.

    Raises
    ------
    DataError
        The recognizer was trained on none of ``seen``, or on many of ``unseen``; one has no labels, or a generated
        picture is among ``unseen``.
    """
    for images in (seen, unseen):
        datasets.check_labels(images)
    parts = [training_part(seen), datasets.evaluation_part(unseen)]
    labelled = [datasets.labelled(part.relabel(classes)) for part in parts]
    return _candidates(labelled[0], labelled[1], size, digests)


def synthesizer_candidates(seen: Images, unseen: Images, size: int, digests: Digests) -> Candidates:
    """The readable pictures of both sets, which need no labels; see :func:`recognizer_candidates`."""
    return _candidates(training_part(seen), datasets.evaluation_part(unseen), size, digests)


def _candidates(seen: Images, unseen: Images, size: int, digests: Digests) -> Candidates:
    refuse_generated(unseen, USE)
    members, notes = _members(real_part(seen), digests)
    known = trained_on(unseen, digests)
    if known.sum() > MAX_KNOWN * len(known):
        first = unseen.paths[np.flatnonzero(known)[0]]
        raise DataError(
            f"The model was trained on {counted(int(known.sum()), 'picture')} of the unseen set, {first} among them. "
            "Name pictures of the same origin that it has never seen, such as those that were held out for a test."
        )
    if known.any():
        left_out = counted(int(known.sum()), "picture of the unseen set was", "pictures of the unseen set were")
        notes.append(f"{left_out} left out: the model was trained on them, or on copies of them.")
        unseen = unseen[~known]
    both = [without_groups(datasets.require_readable(part, size)) for part in (members, unseen)]
    skipped = sum(len(part.skipped) for part in both)
    if skipped:
        notes.append(f"{counted(skipped, 'file')} could not be read.")
    return Candidates(both[0] + both[1], np.arange(len(both[0]) + len(both[1])) < len(both[0]), notes)


def _members(seen: Images, digests: Digests) -> tuple[Images, list[str]]:
    """Those of the pictures that the model was trained on, and what is to be said of the others."""
    if not len(digests):
        return seen, [
            "The model does not say which pictures it was trained on: that these were is taken for granted. If it held "
            "some of them out, it gives away a little more than is measured here; fit it with --validate for a figure "
            "without them."
        ]
    known = trained_on(seen, digests)
    if not known.any():
        raise DataError(
            "The model was trained on none of the pictures of the seen set, by its own record. Name the folder that it "
            "was fitted on, as it was then: pictures that were saved again count as others."
        )
    if known.all():
        return seen, []
    others = counted(int((~known).sum()), "picture of the seen set was", "pictures of the seen set were")
    return seen[known], [
        f"{others} left out: by its own record the model was not trained on them, as on those held out."
    ]
