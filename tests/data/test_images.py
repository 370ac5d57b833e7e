import numpy as np
import pytest
import torch
from PIL import Image

from diptych.data.images import Images
from diptych.errors import DataError, PictureError


@pytest.fixture
def arrays():
    pixels = np.random.default_rng(1).integers(0, 256, (10, 12, 9, 3), np.uint8)
    return Images.from_arrays(pixels, [0, 1] * 5, classes=("cat", "dog"), groups={"age": np.arange(10)})


@pytest.fixture
def damaged(class_folders):
    """Class folders, one picture of which is cut off."""
    path = class_folders / "cat" / "2.png"
    path.write_bytes(path.read_bytes()[:400])
    return class_folders


def test_pixels_equal_pictures(class_folders):
    images = Images.open(class_folders)
    for geometry in ("squash", "crop"):
        pixels = images.pixels(16, geometry)
        assert pixels.shape == (12, 3, 16, 16)
        assert pixels.dtype == torch.uint8
    squashed = images.pixels(16)
    for i in (0, 7, 11):
        assert np.array_equal(squashed[i].permute(1, 2, 0), images.picture(i, 16))


@pytest.mark.parametrize("rows", [slice(2, 9, 3), [5, 1, 1], np.array([0, -1]), np.arange(10) % 3 == 0, [], 4])
def test_indexing_selects_pictures_with_their_metadata(arrays, rows):
    subset = arrays[rows]
    expected = np.atleast_1d(np.arange(10)[np.asarray(rows, dtype=int) if isinstance(rows, list) else rows])
    assert isinstance(subset, Images)
    assert subset.groups["age"].tolist() == expected.tolist()
    assert subset.labels.tolist() == (expected % 2).tolist()
    assert subset.classes == arrays.classes
    if len(expected):
        assert torch.equal(subset.pixels(8), arrays.pixels(8)[torch.from_numpy(expected)])


def test_nothing_is_decoded_twice(class_folders):
    images = Images.open(class_folders)
    before = images.pixels(16)
    for path in class_folders.rglob("*.png"):
        path.unlink()
    assert torch.equal(images[::2].pixels(16), before[::2])
    assert torch.equal((images[6:] + images[:6]).pixels(16), torch.cat([before[6:], before[:6]]))
    assert images.pixels(16).data_ptr() == before.data_ptr()
    with pytest.raises(DataError, match=r"12 of 12 pictures cannot be read: .*the file is not there"):
        images.pixels(8)


def test_images_cannot_be_changed(arrays):
    with pytest.raises(AttributeError, match="cannot be changed"):
        arrays.classes = ("a", "b")
    for column in (arrays.labels, arrays.origins, arrays.paths, arrays.groups["age"]):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = column[1]
    with pytest.raises(TypeError):
        arrays.groups["age"] = np.zeros(10)


def test_classes_are_joined_by_name(arrays):
    other = Images.from_arrays(np.zeros((3, 4, 4, 3), np.uint8), ["dog", "axolotl", ""], origins="synthetic")
    both = arrays + other
    assert both.classes == ("cat", "dog", "axolotl")
    assert both.labels.tolist() == [0, 1] * 5 + [1, 2, -1]
    assert both.origins.tolist() == ["real"] * 10 + ["synthetic"] * 3
    assert both.groups["age"].tolist() == [*map(str, range(10)), "", "", ""]
    assert both.pixels(8).shape == (13, 3, 8, 8)
    assert torch.equal(both.pixels(8)[:10], arrays.pixels(8))
    assert both[[12, 0]].labels.tolist() == [-1, 0]


def test_single_labels_join_multi_label_ones(arrays):
    other = Images.from_arrays(np.zeros((1, 4, 4, 3), np.uint8), [[1, 1]], classes=("cow", "cat"))
    both = arrays[:3] + other
    assert both.multi_label
    assert both.labels.astype(int).tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0], [1, 0, 1]]


def test_relabel_matches_by_name(arrays):
    assert arrays.relabel(("dog", "cow", "cat")).labels.tolist() == [2, 0] * 5
    assert arrays[::2].relabel(("cat",)).labels.tolist() == [0] * 5
    with pytest.raises(DataError, match=r"unknown here: dog\. Known are: cat"):
        arrays.relabel(("cat",))
    multi_label = Images.from_arrays(np.zeros((2, 4, 4, 3), np.uint8), [[1, 0], [1, 1]], classes=("a", "b"))
    assert multi_label.relabel(("b", "c", "a")).labels.astype(int).tolist() == [[0, 0, 1], [1, 0, 1]]


def test_unreadable_pictures_are_named_and_left_out(damaged, caplog):
    images = Images.open(damaged)
    with pytest.raises(DataError, match=r"1 of 12 pictures cannot be read: .*cat/2\.png: the file ends"):
        images.pixels(16)
    readable = images.readable(16)
    assert readable.counts() == {"cat": 5, "dog": 6}
    assert [error.path for error in readable.skipped] == [f"{damaged}/cat/2.png"]
    assert "1 picture cannot be read and is left out" in caplog.text
    assert readable.pixels(16).shape == (11, 3, 16, 16)
    assert readable.readable(16) is readable
    assert len(images.readable(16).readable(8).skipped) == 1
    with pytest.raises(PictureError, match="the file ends before"):
        images.picture(2)


def test_unreadable_pictures_of_a_set_that_streams(damaged, monkeypatch):
    monkeypatch.setattr("diptych.resources.free_memory_bytes", lambda: 0)
    images = Images.open(damaged)
    assert not images.fits_in_memory(16)
    assert len(images.readable(16)) == 11
    assert images.store.sources[0].decoded.cached_sizes == []


@pytest.mark.parametrize("geometry", ["squash", "crop"])
def test_streamed_pixels_equal_resident_ones(class_folders, arrays, geometry):
    images = Images.open(class_folders) + arrays
    rows = np.random.default_rng(0).permutation(len(images))
    batches = [rows[:7], rows[7:8], rows[[]], rows[8:], rows[:3]]
    streamed = list(images.batches(16, geometry, iter(batches)))
    resident = images.pixels(16, geometry)
    for block, batch in zip(streamed, batches, strict=True):
        assert torch.equal(block, resident[torch.from_numpy(batch)])


def test_a_stream_may_be_endless_and_is_read_on_demand(arrays):
    requested = []

    def batches():
        while True:
            requested.append(1)
            yield np.arange(4)

    stream = arrays.batches(8, "squash", batches())
    for _ in range(3):
        assert next(stream).shape == (4, 3, 8, 8)
    stream.close()
    assert len(requested) < 100


def test_a_stream_names_the_picture_that_it_cannot_read(damaged):
    images = Images.open(damaged)
    with pytest.raises(PictureError, match=r"cat/2\.png"):
        list(images.batches(16, "squash", [np.arange(12)]))


def test_dimensions_come_from_headers(damaged, scene):
    scene(50, 30, 200).save(damaged / "dog" / "tall.jpg")
    (damaged / "dog" / "empty.jpg").write_bytes(b"")
    images = Images.open(damaged)
    sizes = dict(zip([path.rsplit("/")[-1] for path in images.paths], images.dimensions().tolist(), strict=True))
    assert sizes["tall.jpg"] == [30, 200]
    assert sizes["empty.jpg"] == [0, 0]
    assert sizes["5.png"] == [48, 40]


def test_the_same_data_have_the_same_fingerprint(class_folders, tmp_path, arrays):
    images = Images.open(class_folders)
    fingerprint = images.fingerprint()
    assert Images.open(str(class_folders)).fingerprint() == fingerprint
    others = {images[1:].fingerprint(), images[::-1].fingerprint(), images.relabel(("dog", "cat")).fingerprint()}
    assert len(others | {fingerprint, arrays.fingerprint()}) == 5
    moved = class_folders.rename(tmp_path / "moved")
    assert Images.open(moved).fingerprint() == fingerprint


def test_thousands_decoded_in_threads_keep_their_order():
    shades = np.arange(3000) % 251
    images = Images.from_arrays(np.broadcast_to(shades[:, None, None, None], (3000, 5, 5, 3)).astype(np.uint8))
    assert images.pixels(7)[:, 0, 3, 3].tolist() == shades.tolist()


def test_only_the_last_two_sizes_are_kept(arrays):
    for size in (8, 9, 10):
        arrays.pixels(size)
    assert arrays.store.sources[0].decoded.cached_sizes == [9, 10]


def test_an_empty_selection(arrays):
    empty = arrays[[]]
    assert len(empty) == 0
    assert empty.pixels(8).shape == (0, 3, 8, 8)
    assert empty.counts() == {"cat": 0, "dog": 0}
    assert [len(part) for part in empty.split(0.5, 0.5)] == [0, 0]
    assert repr(arrays) == "<Images: 10 pictures, 2 classes>"


def test_decoded_batches_come_once_in_order_and_are_not_kept(tmp_path):
    for i in range(20):
        Image.new("RGB", (12, 10), (i, 2 * i, 0)).save(tmp_path / f"{i:02d}.png")
    (tmp_path / "05.png").write_text("no picture")
    images = Images.of_files(sorted(tmp_path.iterdir()))
    batches = list(images.decoded_batches(8, batch=3))
    assert [len(pixels) for pixels, _ in batches] == [3] * 6 + [2]
    readable = np.concatenate([mask for _, mask in batches])
    assert np.flatnonzero(~readable).tolist() == [5] == list(images.known_errors())
    assert np.concatenate([pixels for pixels, _ in batches])[readable, 0, 0, 0].tolist() == [*range(5), *range(6, 20)]
    cached = images.readable(8)  # decodes and keeps
    pixels = np.concatenate([block for block, _ in (images + cached).decoded_batches(8, batch=4)])
    assert np.array_equal(pixels[20:], cached.pixels(8).numpy())
    assert (pixels[5] == 0).all()


def test_a_notebook_shows_a_dozen_pictures_from_all_classes(arrays):
    html = arrays._repr_html_()
    assert html.count("<img ") == len(arrays)
    assert all(name in html for name in arrays.classes)
    many = arrays[np.arange(len(arrays)).repeat(5)]
    assert many._repr_html_().count("<img ") == 12
    assert arrays[:0]._repr_html_().count("<img ") == 0
