"""The parts of the real pictures: training, filter validation, selection validation, and the locked test.

Near-duplicates never lie in two parts, and what the synthesizer has seen never validates.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diptych.data.duplicates import duplicate_clusters
from diptych.data.images import Images
from diptych.data.messages import counted, join_names
from diptych.data.provenance import generated_mask, real_part, refuse_generated
from diptych.data.splits import split
from diptych.data.training_digests import Digests, trained_on
from diptych.errors import DataError
from diptych.interplay import inputs
from diptych.recognition import datasets
from diptych.synthesis.datasets import training_part

FILTER_SHARE, SELECTION_SHARE = 0.1, 0.2  # of the pictures that are not the test's
MIN_OF_A_CLASS = 4  # real pictures, so that each part but the test has one and training two
MIN_TEST = 20
ENOUGH_UNSEEN = 0.9  # of the pictures wanted to validate on; with fewer the synthesizer is trained again
MAX_SEEN_OF_TEST = 0.5  # share of the test pictures that may be left out since the synthesizer has seen them
MIN_SIZE = 8  # px that pictures are checked at

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Parts:
    """Real labelled pictures, with the labels of all parts numbered alike.

    Attributes
    ----------
    training
        What every arm learns from.
    filtering
        What the filter takes its limits from.
    selection
        What arms and hyperparameters are chosen by.
    test
        Used once, when all choices have been made.
    seen
        Whether the synthesizer has seen so much that it must be trained again on ``training``.
    notes
        What a person should know of this, in sentences.
    """

    training: Images
    filtering: Images
    selection: Images
    test: Images
    seen: bool
    notes: list[str] = field(default_factory=list)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.training.classes

    def at(self, size: int) -> "Parts":
        """The same with all pictures as squares of ``size`` px."""
        training, filtering, selection, test = (
            inputs.resized(images, size) for images in (self.training, self.filtering, self.selection, self.test)
        )
        return Parts(training, filtering, selection, test, self.seen, self.notes)


def divide(images: Images, test: Images, seen_digests: Digests, seed: int) -> Parts:
    """Check the pictures and divide them.

    Raises
    ------
    DataError
        There is a generated picture where real ones are evaluated on, or there are too few pictures.
    """
    notes: list[str] = []
    refuse_generated(_evaluated(images), "The validation or test part of PICTURES")
    real = _real_part(images, notes)
    locked = datasets.evaluation_images(test, real.classes, MIN_SIZE, "The test of a verdict")
    if len(locked) < MIN_TEST:
        raise DataError(
            f"TEST has {counted(len(locked), 'labelled picture')} of these classes; a verdict needs {MIN_TEST} or "
            "more, and hundreds to tell small gains from chance. Add real pictures to TEST."
        )
    real = _without_copies_of_test(real, locked, notes)
    _check_counts(real)
    seen = trained_on(real, seen_digests, copies=True)
    locked, test_is_seen = _unseen_test(locked, trained_on(locked, seen_digests), notes)
    rows = None if test_is_seen else _rows_around_seen(real, seen, seed)
    again = rows is None
    if rows is None:
        one, two, three = split(real, (1 - FILTER_SHARE - SELECTION_SHARE, FILTER_SHARE, SELECTION_SHARE), seed)
        rows = one, two, three
    training, filtering, selection = (real[part] for part in rows)
    return Parts(training, filtering, selection, locked, again, notes)


def _evaluated(images: Images) -> Images:
    """The pictures that a set's own split evaluates on."""
    split_of = images.groups.get("split")
    names = np.asarray([""] * len(images) if split_of is None else split_of).astype(str)
    return images[np.isin(names, ("validation", "test"))]


def _real_part(images: Images, notes: list[str]) -> Images:
    """The real, labelled, readable training pictures, without classes that have none."""
    if images.multi_label:
        raise DataError("A verdict needs one label a picture, and these have several. Use a set with one label each.")
    images = training_part(images)
    datasets.check_labels(images)
    generated = int(generated_mask(images).sum())
    if generated:
        notes.append(f"{counted(generated, 'generated picture')} in PICTURES took no part.")
    images = datasets.labelled(real_part(images)).readable(MIN_SIZE)
    return images.relabel([name for name, count in images.counts().items() if count])


def _without_copies_of_test(real: Images, test: Images, notes: list[str]) -> Images:
    cluster = duplicate_clusters(real + test)
    copies = np.isin(cluster[: len(real)], cluster[len(real) :])
    if copies.any():
        n = int(copies.sum())
        notes.append(
            f"{counted(n, 'picture')} of PICTURES that {'repeats' if n == 1 else 'repeat'} test pictures, or nearly, "
            f"{'was' if n == 1 else 'were'} left out."
        )
    return real[~copies]


def _check_counts(real: Images) -> None:
    counts = real.counts()
    scarce = [name for name, count in counts.items() if count < MIN_OF_A_CLASS]
    if len(counts) < 2 or scarce:
        what = f"too few pictures in {join_names(scarce)}" if scarce else "only one class"
        raise DataError(
            f"There are {what}: a verdict needs two classes or more, with {MIN_OF_A_CLASS} or more pictures each that "
            "are not near-duplicates of test pictures. Add pictures, or leave such classes out."
        )


def _unseen_test(test: Images, seen: NDArray[np.bool_], notes: list[str]) -> tuple[Images, bool]:
    """The test pictures that the synthesizer has not seen; all, and True, where it has seen too many of them."""
    if not seen.any():
        return test, False
    rest = test[~seen]
    loses_a_class = len(np.unique(rest.labels)) < len(np.unique(test.labels))
    if seen.mean() > MAX_SEEN_OF_TEST or len(rest) < MIN_TEST or loses_a_class:
        return test, True
    left_out = "was" if seen.sum() == 1 else "were"
    notes.append(f"{counted(int(seen.sum()), 'test picture')} that the synthesizer has seen {left_out} left out.")
    return rest, False


def _rows_around_seen(real: Images, seen: NDArray[np.bool_], seed: int) -> tuple[Rows, Rows, Rows] | None:
    """The parts with all seen pictures in training; ``None``: too few others are left to validate on."""
    others = np.flatnonzero(~seen)
    wanted = np.array([FILTER_SHARE, SELECTION_SHARE]) * len(real)
    if len(others) < ENOUGH_UNSEEN * wanted.sum():
        return None
    parts = split(real[others], [float(share) for share in wanted / max(len(others), wanted.sum())], seed)
    filtering, selection = (others[part] for part in parts)
    training = np.setdiff1d(np.arange(len(real)), np.concatenate([filtering, selection]))
    complete = all(all(real[rows].counts().values()) for rows in (training, selection))
    return (training, filtering, selection) if complete else None
