import shutil

import numpy as np
import pytest
from PIL import Image

from diptych.data.images import Images
from diptych.data.training_digests import NONE, pack_digests, stored_digests, trained_on
from diptych.errors import UsageError


@pytest.fixture
def folder(tmp_path):
    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).resize((160, 160)).save(tmp_path / f"{i}.png")
    return tmp_path


def test_pictures_are_known_again_wherever_they_lie_and_whatever_they_are_called(folder, tmp_path):
    data = {"digests": pack_digests(Images.open(folder)[:3])}
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(folder / "1.png", other / "renamed.png")
    shutil.copy(folder / "5.png", other / "unknown.png")
    images = Images.open(other)
    assert dict(zip(images.paths, trained_on(images, stored_digests(data)), strict=True)) == {
        path: path.endswith("renamed.png") for path in images.paths
    }


def test_near_duplicates_among_the_pictures_count_where_copies_do(folder):
    Image.open(folder / "0.png").save(folder / "0-again.jpg", quality=90)
    images = Images.open(folder)
    digests = stored_digests({"digests": pack_digests(images[[p.endswith("0.png") for p in images.paths]])})
    assert trained_on(images, digests).sum() == 1
    known = trained_on(images, digests, copies=True)
    assert [path.rsplit("/")[-1] for path in images.paths[known]] == ["0-again.jpg", "0.png"]


def test_digests_of_others_are_added_and_take_eleven_characters_each(folder):
    images = Images.open(folder)
    first = stored_digests({"digests": pack_digests(images[:2])})
    both = pack_digests(images[2:], first)
    assert len(stored_digests({"digests": both})) == 6
    assert len(both) <= 11 * 6
    assert trained_on(images, stored_digests({"digests": both})).all()
    assert not trained_on(images, NONE).any()


def test_a_model_that_does_not_list_its_pictures_is_refused_as_a_start():
    with pytest.raises(UsageError, match="which pictures it was trained on"):
        stored_digests({"training": {}})
