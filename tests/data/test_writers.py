import numpy as np
import pytest

from diptych.data.images import Images
from diptych.errors import DataError, PictureError, UsageError

FORMS = ["saved", "saved.npz", "saved.parquet"]


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 10, 3), np.uint8)


def same(one, two):
    """Whether two sets hold the same pictures under the same names, in any order."""

    def contents(images):
        names = (
            [tuple(np.array(images.classes)[row]) if images.multi_label else () for row in images.labels]
            if images.multi_label
            else [(images.classes[k],) if k >= 0 else () for k in images.labels]
        )
        return sorted(
            (
                images.picture(i).tobytes(),
                tuple(map(str, names[i])),
                str(images.origins[i]),
                str(images.groups.get("age", "?" * len(images))[i]),
            )
            for i in range(len(images))
        )

    return contents(one) == contents(two)


@pytest.mark.parametrize("form", FORMS)
def test_single_labels(pixels, tmp_path, form):
    images = Images.from_arrays(pixels, list("bababa"))
    assert images.save(tmp_path / form) == tmp_path / form
    back = Images.open(tmp_path / form)
    assert same(images, back)
    assert back.classes == ("a", "b")


@pytest.mark.parametrize("form", FORMS)
def test_labels_groups_and_origins(pixels, tmp_path, form):
    origins = ["real", "synthetic"] * 3
    images = Images.from_arrays(
        pixels, [0, 1, -1, 1, 0, 0], classes=("a/b", ".c"), groups={"age": range(6)}, origins=origins
    )
    images.save(tmp_path / form)
    back = Images.open(str(tmp_path / form))
    assert same(images, back)
    assert set(back.classes) == {"a/b", ".c"}


@pytest.mark.parametrize("form", FORMS)
def test_multi_label_sets(pixels, tmp_path, form):
    labels = np.array([[1, 1], [0, 1], [0, 0], [1, 0], [1, 1], [0, 1]])
    images = Images.from_arrays(pixels, labels, classes=("a", "b"))
    images.save(tmp_path / form)
    assert same(images, Images.open(tmp_path / form))


@pytest.mark.parametrize("form", FORMS)
def test_no_labels(pixels, tmp_path, form):
    images = Images.from_arrays(pixels)
    images.save(tmp_path / "deep" / form)
    assert same(images, Images.open(tmp_path / "deep" / form))


def test_a_plain_folder_has_no_metadata(pixels, tmp_path):
    Images.from_arrays(pixels, list("bababa")).save(tmp_path / "saved")
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == ["a", "b"]
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_a_class_with_a_name_that_no_folder_can_have_keeps_it(pixels, tmp_path):
    images = Images.from_arrays(pixels, ["a" * 5000, "b/ä" * 300] * 3)
    assert same(Images.open(images.save(tmp_path / "saved")), images)


def test_folders_that_hold_files_are_refused(pixels, tmp_path):
    images = Images.from_arrays(pixels)
    images.save(tmp_path / "saved")
    with pytest.raises(UsageError, match="holds something already"):
        images.save(tmp_path / "saved")
    (tmp_path / "empty").mkdir()
    images.save(tmp_path / "empty")


def test_an_npz_needs_one_size(tmp_path, pixels):
    with pytest.raises(DataError, match=r"10 x 4 and 10 x 8"):
        Images.from_arrays([pixels[0], pixels[1, :4]]).save(tmp_path / "a.npz")


@pytest.mark.parametrize("form", FORMS)
def test_a_failed_save_leaves_nothing_behind(class_folders, tmp_path, form):
    (class_folders / "cat" / "1.png").write_bytes(b"")
    with pytest.raises(PictureError):
        Images.open(class_folders).save(tmp_path / "out" / form)
    assert list((tmp_path / "out").iterdir()) == []
