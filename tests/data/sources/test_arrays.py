import zipfile

import numpy as np
import pytest
import torch

from diptych.data.images import Images
from diptych.errors import DataError


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 10, 3), np.uint8)


def test_pixels_pass_unchanged(pixels):
    images = Images.from_arrays(pixels, [0, 1, 0, 1, -1, 0], classes=("cat", "dog"), groups={"age": range(6)})
    assert np.array_equal(images.picture(3), pixels[3])
    assert images.labels.tolist() == [0, 1, 0, 1, -1, 0]
    assert images.groups["age"].tolist() == list(range(6))
    assert images.paths[5] == "array#5"


def test_every_layout_gives_the_same_pixels(pixels):
    first = Images.from_arrays(pixels).pixels(8)
    for other in (
        pixels.transpose(0, 3, 1, 2),
        torch.from_numpy(pixels),
        pixels / 255.0,
        list(pixels),
        pixels.astype(int),
    ):
        assert torch.equal(Images.from_arrays(other).pixels(8), first)


def test_grey_alpha_and_booleans(pixels):
    grey = pixels[..., 0]
    assert np.array_equal(Images.from_arrays(grey).picture(0), np.stack([grey[0]] * 3, -1))
    assert np.array_equal(Images.from_arrays(grey[..., None]).picture(0)[..., 2], grey[0])
    clear = np.concatenate([pixels, np.zeros_like(pixels[..., :1])], -1)
    assert (Images.from_arrays(clear).picture(0) == 255).all()
    assert Images.from_arrays(grey > 127).picture(0).max() == 255


def test_pictures_of_different_sizes(pixels):
    images = Images.from_arrays([pixels[0], pixels[1, :4]], ["a", "b"])
    assert images.dimensions().tolist() == [[10, 8], [10, 4]]
    assert images.pixels(16).shape == (2, 3, 16, 16)


def test_labels_name_themselves(pixels):
    assert Images.from_arrays(pixels, [7, 3, 7, 3, 10, 3]).classes == ("3", "7", "10")
    assert Images.from_arrays(pixels, list("babbab")).labels.tolist() == [1, 0, 1, 1, 0, 1]
    multi = Images.from_arrays(pixels, np.eye(6), classes=list("abcdef"))
    assert multi.multi_label
    assert multi.labels.dtype == bool


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"labels": [0, 1]}, "6 pictures need 6 labels"),
        ({"labels": [0, 1, 2, 0, 1, 2], "classes": ("a", "b")}, "A label is 2, but there are only 2 classes"),
        ({"labels": [0.5] * 6}, "whole numbers"),
        ({"labels": [-2] * 6}, "-1 means unlabelled"),
        ({"labels": np.full((6, 2), 3)}, "only 0 and 1"),
        ({"labels": np.eye(6), "classes": ("a",)}, "6 columns, but 1 classes"),
        ({"groups": {"age": [1]}}, "6 pictures need 6 age"),
        ({"paths": ["a"]}, "6 pictures need 6 paths"),
        ({"origins": "invented"}, '"synthetic" or "composite"'),
        ({"pixels": np.zeros((6, 8))}, r"must be \(N, H, W, 3\)"),
        ({"pixels": np.zeros((6, 8, 8, 3)) - 1}, "uint8 in 0..255, or floats in 0..1"),
        ({"pixels": np.full((6, 8, 8, 3), 300)}, "uint8 in 0..255"),
    ],
)
def test_inconsistent_arrays_are_refused(pixels, change, reason):
    with pytest.raises(DataError, match=reason):
        Images.from_arrays(**{"pixels": pixels, **change})


def test_npz(pixels, tmp_path):
    np.savez(tmp_path / "a.npz", pixels=pixels, labels=[0, 1, 0, 1, -1, 0], classes=["cat", "dog"], age=np.arange(6))
    images = Images.open(tmp_path / "a.npz")
    assert images.classes == ("cat", "dog")
    assert images.labels.tolist() == [0, 1, 0, 1, -1, 0]
    assert images.groups["age"].tolist() == list(range(6))
    assert images.paths[1] == f"{tmp_path}/a.npz#1"
    assert np.array_equal(images.picture(2), pixels[2])


@pytest.mark.parametrize(("x", "y"), [("images", "y"), ("x", "labels"), ("x_train", "y_train")])
def test_npz_by_other_names(pixels, tmp_path, x, y):
    np.savez_compressed(tmp_path / "a.npz", **{x: pixels[..., 0], y: list("ababab")})
    images = Images.open(str(tmp_path / "a.npz"))
    assert images.counts() == {"a": 3, "b": 3}
    assert np.array_equal(images.picture(2)[..., 1], pixels[2, ..., 0])


def test_unusable_npz_files_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", weights=np.zeros(3))
    with pytest.raises(DataError, match='holds weights; name the pictures "pixels"'):
        Images.open(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", pixels=np.array([{"never": "run"}], dtype=object))
    with pytest.raises(DataError, match=r"b\.npz cannot be read"):
        Images.open(tmp_path / "b.npz")
    (tmp_path / "c.npz").write_bytes(b"PK\3\4 and then nothing")
    with pytest.raises(DataError, match=r"c\.npz"):
        Images.open(tmp_path / "c.npz")


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"pixels": np.uint8(7)}, r"have the shape \(\)"),
        ({"pixels": np.zeros(5, np.uint8)}, r"have the shape \(5,\)"),
        ({"pixels": np.full((2, 4, 4, 3), "a")}, "are of the type <U1; they must be uint8"),
        ({"pixels": np.zeros((2, 4, 4, 3), complex)}, "are of the type complex128"),
    ],
)
def test_npz_files_whose_pixels_are_no_pictures_are_refused(tmp_path, arrays, reason):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=reason):
        Images.open(tmp_path / "a.npz")


@pytest.mark.parametrize(("kind", "shape"), [("<U0", (2**40, 3)), ("|u1", (2**40, 0, 0, 3))])
def test_npz_files_of_endless_emptiness_are_refused(tmp_path, kind, shape):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}".encode()
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("pixels.npy", b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(DataError, match=r"is no array|have the shape"):
        Images.open(tmp_path / "a.npz")


def test_npz_files_with_one_class_name_or_a_file_that_is_no_array(pixels, tmp_path):
    np.savez(tmp_path / "a.npz", pixels=pixels, labels=[0] * 6, classes="cat")
    assert Images.open(tmp_path / "a.npz").classes == ("cat",)
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("notes", "taken in May")
    with pytest.raises(DataError, match=r"a\.npz: notes is no array\. Write the file again with numpy\.savez"):
        Images.open(tmp_path / "a.npz")


def test_digits_are_bundled_and_use_the_whole_range():
    images = Images.open("digits")
    assert len(images) == 1797
    assert images.classes == tuple("0123456789")
    assert images.paths[3] == "digits#3"
    pixels = images.pixels(8)
    assert (int(pixels.min()), int(pixels.max())) == (0, 255)
    assert images.picture(0).shape == (8, 8, 3)


def test_a_path_with_the_name_of_a_built_in_set_wins(tmp_path, scene, monkeypatch):
    (tmp_path / "digits" / "one").mkdir(parents=True)
    scene(0).save(tmp_path / "digits" / "one" / "a.png")
    monkeypatch.chdir(tmp_path)
    assert Images.open("digits").classes == ("one",)


def test_cifar10_without_a_place_or_a_network_says_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"could not be downloaded .* or give a Parquet file"):
        Images.open("cifar10")
