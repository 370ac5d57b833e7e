"""How the real pictures are divided, and what is refused."""

import numpy as np
import pytest

from diptych.data.duplicates import content_digests
from diptych.data.images import Images
from diptych.data.training_digests import NONE
from diptych.errors import DataError
from diptych.interplay.verdict.parts import divide


@pytest.fixture(scope="module")
def digits():
    """PICTURES and TEST."""
    return Images.open("digits")[:600].split(0.6, 0.4, seed=0)


def digests(images):
    return set(content_digests(images).tolist())


def test_the_parts_share_no_picture_and_have_every_class(digits):
    pictures, test = digits
    parts = divide(pictures, test, NONE, 0)
    sets = [parts.training, parts.filtering, parts.selection, parts.test]
    assert [len(images) for images in sets] == pytest.approx(
        [0.7 * len(pictures), 0.1 * len(pictures), 0.2 * len(pictures), len(test)], abs=15
    )
    assert sum(len(digests(images)) for images in sets) == len(set().union(*map(digests, sets)))
    assert all(all(images.counts().values()) for images in sets)
    assert not parts.seen


def test_pictures_that_repeat_test_pictures_are_left_out_and_counted(digits):
    pictures, test = digits
    parts = divide(pictures + test[:7], test, NONE, 0)
    assert not digests(parts.training + parts.filtering + parts.selection) & digests(test)
    assert "7 pictures of PICTURES that repeat test pictures, or nearly, were left out." in parts.notes


def test_what_the_synthesizer_has_seen_never_validates(digits):
    pictures, test = digits
    seen = content_digests(pictures[:200])
    parts = divide(pictures, test, seen, 0)
    assert not parts.seen
    assert set(seen.tolist()) <= digests(parts.training)
    assert len(parts.selection) == pytest.approx(0.2 * len(pictures), abs=10)


def test_where_too_few_are_unseen_the_synthesizer_is_to_be_trained_again(digits):
    pictures, test = digits
    assert divide(pictures, test, content_digests(pictures[:-20]), 0).seen


def test_seen_test_pictures_are_left_out_if_few_and_else_the_synthesizer_is_trained_again(digits):
    pictures, test = digits
    parts = divide(pictures, test, content_digests(test[:10]), 0)
    assert len(parts.test) == len(test) - 10
    assert "10 test pictures that the synthesizer has seen were left out." in parts.notes
    parts = divide(pictures, test, content_digests(test[:-30]), 0)
    assert parts.seen
    assert len(parts.test) == len(test)


def test_a_generated_picture_in_the_test_is_refused_by_its_name(digits):
    pictures, test = digits
    origins = np.where(np.arange(len(test)) == 5, "composite", "real")
    with pytest.raises(DataError, match=rf"{test.paths[5]} is partly generated.*The test of a verdict takes real"):
        divide(pictures, test.with_metadata(origins=origins), NONE, 0)


def test_a_generated_picture_in_the_validation_part_is_refused_and_one_for_training_takes_no_part(digits):
    pictures, test = digits
    origins = np.where(np.arange(len(pictures)) == 3, "synthetic", "real")
    split = np.where(np.arange(len(pictures)) < 9, "validation", "train")
    marked = pictures.with_metadata(origins=origins, groups={"split": split})
    with pytest.raises(DataError, match=rf"{pictures.paths[3]} is generated.*The validation or test part of"):
        divide(marked, test, NONE, 0)
    parts = divide(pictures.with_metadata(origins=origins), test, NONE, 0)
    assert "1 generated picture in PICTURES took no part." in parts.notes
    everything = parts.training + parts.filtering + parts.selection
    assert set(everything.origins) == {"real"}


def test_too_few_pictures_are_refused_with_the_class(digits):
    pictures, test = digits
    scarce = pictures[(pictures.labels != 3) | (np.cumsum(pictures.labels == 3) <= 2)]
    with pytest.raises(DataError, match="too few pictures in 3: a verdict needs two classes or more, with 4 or more"):
        divide(scarce, test, NONE, 0)
    with pytest.raises(DataError, match="only one class"):
        divide(pictures[pictures.labels == 3], test[test.labels == 3], NONE, 0)
    with pytest.raises(DataError, match="TEST has 9 labelled pictures of these classes; a verdict needs 20 or more"):
        divide(pictures, test[:9], NONE, 0)
