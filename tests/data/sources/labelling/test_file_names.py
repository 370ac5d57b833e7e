import logging

import pytest

from diptych.data.images import Images
from diptych.errors import DataError


@pytest.fixture
def fill(tmp_path, scene):
    def save(*names):
        for i, name in enumerate(names):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            scene(i).save(path)
        return tmp_path

    return save


@pytest.mark.parametrize(
    "form", ["{}.{}.jpg", "{}_{:03}.png", "{}-{}.jpg", "{} ({}).jpg", "{}{}.jpg", "images/{}_{}.jpg"]
)
def test_the_words_before_the_number_are_the_label(fill, form, caplog):
    names = [form.format(kind, i) for kind in ("great_pyrenees", "Pug") for i in range(3)]
    with caplog.at_level(logging.INFO, "diptych"):
        images = Images.open(fill(*names))
    assert images.counts() == {"Pug": 3, "great_pyrenees": 3}
    assert "6 pictures of 2 classes. Labels from the file names: Pug 3, great_pyrenees 3." in caplog.text


def test_copies_keep_the_label_of_the_original(fill):
    names = [f"{kind}.{i}.jpg" for kind in ("cat", "dog") for i in range(3)]
    images = Images.open(fill(*names, "cat.1 (1).jpg", "dog.2 copy.jpg", "dog.2(1).jpg"))
    assert images.counts() == {"cat": 4, "dog": 5}


@pytest.mark.parametrize("folders", [("train", "test1"), ("train/train", "test1/test1")])
def test_a_competitions_test_pictures_are_unlabelled(fill, folders):
    train, test = folders
    names = [f"{train}/{kind}.{i}.jpg" for kind in ("cat", "dog") for i in range(3)]
    images = Images.open(fill(*names, *(f"{test}/{i}.jpg" for i in range(4))))
    assert images.counts() == {"cat": 3, "dog": 3}
    assert set(images.groups["split"][images.labels < 0]) == {"test"}
    assert set(images.groups["split"][images.labels >= 0]) == {"train"}


@pytest.mark.parametrize(
    "names",
    [
        [f"IMG_{i:04}.jpg" for i in range(8)],
        [f"{camera}_{i:04}.jpg" for camera in ("IMG", "DSC") for i in range(4)],
        [f"{words} {i}.jpg" for words in ("Scan", "beach") for i in range(4)],
        [f"{part}_{i}.jpg" for part in ("train", "test") for i in range(4)],
        ["a3f12.jpg", "bb120.jpg", "c99.jpg", "d3b07384.jpg", "ab1.jpg", "ab2.jpg"],
        [f"{place}{i}.jpg" for place in ("beach", "hotel", "market", "harbour") for i in range(2)],
        ["cat_1.jpg", "cat_2.jpg", "cat_3.jpg", "dog_1.jpg", "dog_2.jpg", "dog_3.jpg", "us at home.jpg"],
        [f"cat_{i}.jpg" for i in range(6)],
    ],
)
def test_names_that_are_no_labels_for_certain_stay_unlabelled(fill, names):
    images = Images.open(fill(*names))
    assert images.classes == ()
    assert len(images) == len(names)


def test_class_folders_need_no_names(fill):
    names = [f"{kind}/{breed}_{i}.jpg" for kind in ("cat", "dog") for breed in ("a", "bb") for i in range(3)]
    assert Images.open(fill(*names)).counts() == {"cat": 6, "dog": 6}


def test_a_person_may_choose_names_or_none(fill):
    folder = fill(*(f"{kind}_{i}.jpg" for kind in ("IMG", "pug") for i in range(2)), "cover.jpg")
    images = Images.open(folder, labels="names")
    assert images.counts() == {"IMG": 2, "pug": 2}
    assert len(images) == 5
    assert Images.open(folder, labels="none").classes == ()
    (folder / "sub").mkdir()
    (folder / "cover.jpg").rename(folder / "sub" / "cover.jpg")
    with pytest.raises(DataError, match=r"no file name has a label before its number, as cat\.0\.jpg has: cover"):
        Images.open(folder / "sub", labels="names")
