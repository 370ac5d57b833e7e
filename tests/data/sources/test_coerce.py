"""Whatever a person has as pictures is taken, and gives the same pixels; what is not understood is named."""

from pathlib import Path

import datasets
import numpy as np
import pandas
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from diptych.data.images import Images
from diptych.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 10, 3), np.uint8)
TENSOR = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)
NUMBERS = [0, 1, 0, 1, 0, 1]
NAMES = ["cat", "dog"] * 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for i, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def same(images: Images) -> bool:
    """Whether these are the six pictures, to the bit."""
    return len(images) == 6 and all(np.array_equal(images.picture(i), PIXELS[i]) for i in range(6))


def paths(folder: Path) -> list[Path]:
    return [folder / f"{i}.png" for i in range(6)]


class Pairs(Dataset):
    """A dataset of a person's own: pictures of Pillow and names; it counts how many pictures were asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def __len__(self) -> int:
        return 6

    def __getitem__(self, row: int) -> tuple[Image.Image, str]:
        self.asked += 1
        return Image.fromarray(PIXELS[row]), NAMES[row]


class Listed(Pairs):
    """As torchvision's: numbers, all listed, and the names of the classes."""

    classes, targets = ("cat", "dog"), NUMBERS

    def __getitem__(self, row: int) -> tuple[Image.Image, int]:
        return super().__getitem__(row)[0], NUMBERS[row]


def hugging_face(folder: Path) -> datasets.Dataset:
    features = {"photo": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    columns = {"photo": [str(path) for path in paths(folder)], "label": [0, 1, 0, 1, None, 1]}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


IN_MEMORY = {
    "array": PIXELS,
    "floats": PIXELS / 255,
    "tensor": TENSOR,
    "tensor of floats": TENSOR / 255,
    "tensor of whole numbers": TENSOR.to(torch.int64),
    "list of arrays": list(PIXELS),
    "list of tensors": list(TENSOR),
    "list of Pillow": [Image.fromarray(pixels) for pixels in PIXELS],
    "list of Images": [Images.from_arrays(PIXELS)[row] for row in range(6)],
    "tensors and labels": TensorDataset(TENSOR, torch.tensor(NUMBERS)),
    "own dataset": Pairs(),
    "subset": Subset(Listed(), range(6)),
}


@pytest.mark.parametrize("form", IN_MEMORY)
def test_pictures_in_memory(form: str) -> None:
    assert same(Images.of(IN_MEMORY[form]))


def test_pictures_in_files(folder: Path) -> None:
    files = paths(folder)
    texts = [str(path) for path in files]
    for pictures in (folder, str(folder), files, texts, tuple(texts), np.array(texts), pandas.Series(texts),
                     sorted(folder.glob("*.png")), iter(files), [Image.open(path) for path in files]):  # fmt: skip
        images = Images.of(pictures)
        assert same(images)
        assert images.paths.tolist() == texts


def test_an_open_file_is_one_picture(folder: Path) -> None:
    with paths(folder)[0].open("rb") as file:
        images = Images.of(file)
    assert len(images) == 1
    with pytest.raises(DataError, match="open as text"), paths(folder)[0].open(encoding="latin-1") as file:
        Images.of(file)
    assert (images.picture(0) == Images.of(paths(folder)[0]).picture(0)).all()


def test_the_bytes_of_files(folder: Path) -> None:
    contents = [path.read_bytes() for path in paths(folder)]
    assert same(Images.of(contents))
    assert np.array_equal(Images.of(contents[1]).picture(0), PIXELS[1])
    assert "not a picture" in str(Images.of([*contents, b"text"]).readable(8).skipped[0])


def test_a_list_may_mix_forms_and_sizes(folder: Path) -> None:
    mixed = [folder / "0.png", Image.fromarray(PIXELS[1]), PIXELS[2], TENSOR[3] / 255, str(folder / "4.png"), PIXELS[5]]
    assert same(Images.of(mixed))
    small = Images.of([PIXELS[0], PIXELS[0][:4], Image.new("L", (3, 5), 7)])
    assert small.dimensions().tolist() == [[10, 8], [10, 4], [3, 5]]
    assert small.pixels(8).shape == (3, 3, 8, 8)


@pytest.mark.parametrize(
    "picture",
    [
        PIXELS[0],
        PIXELS[0] / 255,
        TENSOR[0],
        Image.fromarray(PIXELS[0]),
        Image.fromarray(np.dstack([PIXELS[0], np.full((8, 10), 255, np.uint8)])),
    ],
    ids=["array", "floats", "tensor", "Pillow", "alpha"],
)
def test_one_picture(picture: object) -> None:
    images = Images.of(picture)
    assert len(images) == 1
    assert np.array_equal(images.picture(0), PIXELS[0])


def test_grey_pictures() -> None:
    grey = PIXELS[..., 0]
    for pictures, count in ((grey, 6), (grey[0], 1), (TENSOR[:, :1], 6), (torch.from_numpy(grey[0]), 1)):
        images = Images.of(pictures)
        assert len(images) == count
        assert np.array_equal(images.picture(0), np.stack([grey[0]] * 3, -1))


def test_a_picture_of_pillow_is_turned_upright_as_its_file_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS[0]).save(tmp_path / "turned.png", exif=exif)
    opened = Images.of(Image.open(tmp_path / "turned.png"))
    assert np.array_equal(opened.picture(0), Images.of(tmp_path / "turned.png").picture(0))
    assert opened.dimensions().tolist() == [[8, 10]]


def test_labels_of_datasets() -> None:
    assert Images.of(Pairs()).classes == ("cat", "dog")
    assert Images.of(IN_MEMORY["tensors and labels"]).classes == ("0", "1")
    for dataset in (Listed(), Subset(Listed(), [1, 0, 2, 3])):
        images = Images.of(dataset)
        assert images.classes == ("cat", "dog")
        assert images.labels[:2].tolist() == ([0, 1] if isinstance(dataset, Listed) else [1, 0])


def test_listed_labels_are_believed_only_where_the_rows_say_the_same() -> None:
    listed = Listed()
    Images.of(listed)
    assert listed.asked == 1  # one row says what rows are
    listed.targets = [1 - number for number in NUMBERS]  # as where a target_transform changes them
    assert Images.of(listed).labels.tolist() == NUMBERS


def test_a_hugging_face_dataset(folder: Path) -> None:
    dataset = hugging_face(folder)
    for form in (dataset, dataset.with_format("torch"), dataset.select(range(6))):
        images = Images.of(form)
        assert same(images)
        assert images.classes == ("cat", "dog")
        assert images.labels.tolist() == [0, 1, 0, 1, -1, 1]
    with pytest.raises(DataError, match="Several sets of pictures by name are given: 'train'"):
        Images.of(datasets.DatasetDict(train=dataset))
    with pytest.raises(DataError, match="a dataset with a length and rows"):
        Images.of(dataset.to_iterable_dataset())
    with pytest.raises(DataError, match="no column of pictures, only label"):
        Images.of(dataset.remove_columns("photo"))


def test_a_dataset_that_fails_on_a_row_loses_that_row_only() -> None:
    class Broken(Pairs):
        targets = NAMES

        def __getitem__(self, row: int) -> tuple[Image.Image, str]:
            if row == 2:
                raise OSError("disk full of stars")
            return super().__getitem__(row)

    readable = Images.of(Broken()).readable(8)
    assert len(readable) == 5
    assert "its dataset raises OSError: disk full of stars" in str(readable.skipped[0])


def test_the_same_pictures_have_the_same_fingerprint_in_any_form() -> None:
    forms = ("array", "tensor of floats", "list of Pillow")
    assert len({Images.of(IN_MEMORY[form]).fingerprint() for form in forms}) == 1
    assert Images.of(PIXELS[::-1]).fingerprint() != Images.of(PIXELS).fingerprint()


def test_labels_given_beside_pictures(folder: Path) -> None:
    assert Images.of(folder, NAMES).classes == ("cat", "dog")
    assert Images.of(PIXELS, [3, 7, 3, 7, 3, -1]).labels.tolist() == [0, 1, 0, 1, 0, -1]
    assert Images.of(Images.of(PIXELS, NAMES), NUMBERS).classes == ("cat", "dog")
    assert Images.of(PIXELS, pandas.Series(["a", None, float("nan"), "b", "a", "b"])).labels.tolist() == [
        0, -1, -1, 1, 0, 1,
    ]  # fmt: skip
    several = Images.of(PIXELS, [["cat"], ["cat", "dog"], [], ["dog"], ["dog"], ["cat"]])
    assert several.multi_label
    assert several.counts() == {"cat": 3, "dog": 3}


@pytest.mark.parametrize(
    ("pictures", "labels", "reason"),
    [
        (None, None, "NoneType is nothing that pictures are taken from. Pictures are taken as Images, a path"),
        (DataLoader(IN_MEMORY["tensors and labels"]), None, "Give its dataset"),
        ([PIXELS[0], 7], None, "Picture 1 of the list cannot be taken. An int is not a picture"),
        ([PIXELS[0], PIXELS[0] * 3.0], None, "Picture 1 of the list cannot be taken. Pixels lie in"),
        (TENSOR.float() - 3, None, "floats in 0..1"),
        (np.zeros((2, 3, 4, 5, 6)), None, r"shape \(2, 3, 4, 5, 6\)"),
        (TensorDataset(TENSOR), None, "A row of the dataset has 1 parts"),
        (TensorDataset(torch.arange(3), torch.arange(3)), None, r"A picture has the shape \(\)"),
        (PIXELS, [0, 1], "6 pictures need 6 labels"),
        (PIXELS, [["cat"], "dog"], "6 pictures need 6 lists of names"),
        (np.zeros((9, 10)), NUMBERS, "1 pictures need 1 labels"),
    ],
)
def test_what_is_not_understood_is_named(pictures: object, labels: object, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        Images.of(pictures, labels)


@pytest.mark.parametrize(
    ("shape", "labels", "cure"),
    [
        ((1797, 64), None, r"1,797 flattened ones\. Give them their height and width, such as reshape\(-1, 8, 8\)"),
        ((1797, 64), [0] * 1797, r"reshape\(-1, 8, 8\)"),
        ((6, 10), NUMBERS, r"6 flattened ones.* reshape\(-1, 5, 2\)"),
        ((500, 784), [3] * 500, r"reshape\(-1, 28, 28\)"),
        ((50, 3072), None, r"reshape\(-1, 32, 32, 3\), or reshape\(-1, 3, 32, 32\)"),
        ((13233, 2914), ["a", "b"] * 6616 + ["a"], r"reshape\(-1, 62, 47\)"),
    ],
)
def test_flattened_pictures_are_met_with_the_shape_that_they_probably_have(
    shape: tuple[int, int], labels: object, cure: str
) -> None:
    for array in (np.zeros(shape, np.uint8), torch.zeros(shape, dtype=torch.uint8)):
        with pytest.raises(DataError, match=cure):
            Images.of(array, labels)
    with pytest.raises(DataError, match=cure.split("such as")[-1].split(".* ")[-1].strip()):
        Images.from_arrays(np.zeros(shape, np.uint8))


def test_a_wide_grey_picture_is_one_picture() -> None:
    for shape in ((64, 1000), (1, 12), (30, 30)):
        assert len(Images.of(np.zeros(shape, np.uint8))) == 1
    assert len(Images.of(np.zeros((40, 3000), np.uint8)[None])) == 1
    assert len(Images.of(np.zeros((4, 10), np.uint8), "none")) == 1
    assert Images.of(np.zeros((8, 10), np.uint8), ["cat"]).classes == ("cat",)
