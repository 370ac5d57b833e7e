import logging
import os
import re

import numpy as np
import pytest
from PIL import Image

from diptych.data.images import Images
from diptych.errors import DataError, UsageError


def test_class_folders(class_folders):
    images = Images.open(class_folders)
    assert images.classes == ("cat", "dog")
    assert images.labels.tolist() == [0] * 6 + [1] * 6
    assert images.paths[0] == f"{class_folders}/cat/0.png"
    assert images.skipped == ()
    assert not images.multi_label
    assert images.counts() == {"cat": 6, "dog": 6}
    assert set(images.origins) == {"real"}


def test_the_class_is_the_first_folder_below_the_root(class_folders, scene):
    deep = class_folders / "cat" / "indoors" / "sofa"
    deep.mkdir(parents=True)
    scene(99).save(deep / "tom.JPG", "JPEG")
    assert Images.open(str(class_folders)).counts() == {"cat": 7, "dog": 6}


def test_numbered_folders_are_in_the_order_of_their_numbers(tmp_path, scene):
    for name in ("10", "9", "1"):
        (tmp_path / name).mkdir()
        scene(int(name)).save(tmp_path / name / "a.png")
    assert Images.open(tmp_path).classes == ("1", "9", "10")


def test_other_and_hidden_files_are_left_out_and_reported(class_folders, caplog):
    (class_folders / "cat" / "notes.txt").write_text("Tom is grey.")
    (class_folders / "cat" / "x").write_bytes(b"\0")
    (class_folders / "cat" / ".DS_Store").write_bytes(b"\0" * 10)
    (class_folders / ".cache").mkdir()
    Image.new("RGB", (4, 4)).save(class_folders / ".cache" / "a.png")
    with caplog.at_level(logging.INFO, "diptych"):
        images = Images.open(class_folders)
    assert len(images) == 12
    assert [error.path for error in images.skipped] == [f"{class_folders}/cat/notes.txt", f"{class_folders}/cat/x"]
    assert "2 files or folders were left out" in caplog.text
    assert "2 hidden" in caplog.text


def test_a_picture_without_a_suffix_is_recognised_by_its_first_bytes(class_folders, scene):
    scene(77).save(class_folders / "dog" / "IMG_0001", "PNG")
    assert len(Images.open(class_folders)) == 13


def test_loose_pictures_beside_class_folders_are_left_out_and_named_with_the_way_to_use_them(
    class_folders, scene, caplog
):
    scene(77).save(class_folders / "cover.png")
    with caplog.at_level(logging.INFO, "diptych"):
        images = Images.open(class_folders)
    understood, warning = caplog.messages
    assert "12 pictures of 2 classes. Labels from the folder names" in understood
    assert warning == (
        f"{class_folders}: 1 picture is not used: {class_folders}/cover.png: a loose picture beside class folders. "
        "To use it, move it into the folder of the class (here: cat, dog)."
    )
    assert len(images) == 12
    assert [error.reason for error in images.skipped] == ["a loose picture beside class folders"]


def test_a_folder_of_loose_pictures_is_unlabelled(tmp_path, scene):
    for i in range(3):
        scene(i).save(tmp_path / f"{i}.png")
    images = Images.open(tmp_path)
    assert images.labels.tolist() == [-1, -1, -1]
    assert images.classes == ()


def test_one_picture(tmp_path, scene):
    scene(0).save(tmp_path / "a.png")
    images = Images.open(tmp_path / "a.png")
    assert len(images) == 1
    assert images.paths.tolist() == [str(tmp_path / "a.png")]
    assert np.array_equal(images.picture(0), np.asarray(scene(0)))


def test_a_pattern(class_folders):
    images = Images.open(f"{class_folders}/*/[0-2].png")
    assert len(images) == 6
    assert images.paths[0].endswith("cat/0.png")
    assert images.picture(0).shape == (40, 48, 3)


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "valid", "testing")])
def test_train_validation_and_test_folders(tmp_path, scene, names):
    for part, folder in enumerate(names):
        for k, kind in enumerate(("cat", "dog")):
            (tmp_path / folder / kind).mkdir(parents=True)
            scene(10 * part + k).save(tmp_path / folder / kind / "a.png")
    images = Images.open(tmp_path)
    assert images.classes == ("cat", "dog")
    assert sorted(images.groups["split"].tolist()) == sorted(["train", "validation", "test"] * 2)
    assert sorted(images.labels.tolist()) == [0, 0, 0, 1, 1, 1]


def test_a_test_folder_without_classes_is_unlabelled(tmp_path, scene):
    (tmp_path / "train" / "cat").mkdir(parents=True)
    (tmp_path / "test").mkdir()
    scene(0).save(tmp_path / "train" / "cat" / "a.png")
    scene(1).save(tmp_path / "test" / "1.png")
    images = Images.open(tmp_path)
    assert dict(zip(images.groups["split"].tolist(), images.labels.tolist(), strict=True)) == {"test": -1, "train": 0}


def test_trains_are_a_class_among_other_vehicles(tmp_path, scene):
    for name in ("train", "bus"):
        (tmp_path / name).mkdir()
        scene(len(name)).save(tmp_path / name / "a.png")
    assert Images.open(tmp_path).classes == ("bus", "train")


def test_an_empty_class_is_reported_and_left_out(class_folders, caplog):
    (class_folders / "axolotl").mkdir()
    images = Images.open(class_folders)
    assert images.classes == ("cat", "dog")
    assert "no picture in axolotl" in caplog.text


def test_folders_around_the_class_folders_are_passed_through(tmp_path, class_folders, scene, caplog):
    (class_folders / "._cat.jpg").write_bytes(b"\0")
    (tmp_path / "__MACOSX" / "pets").mkdir(parents=True)
    scene(1).save(tmp_path / "__MACOSX" / "pets" / "a.png")
    (class_folders / "cat" / "Thumbs.db").write_bytes(b"\0")
    for name in ("@eaDir", "$RECYCLE.BIN", "__pycache__"):
        (class_folders / name).mkdir()
        scene(2).save(class_folders / name / "a.png")
    (class_folders / "cow").mkdir()
    with caplog.at_level(logging.INFO, "diptych"):
        images = Images.open(tmp_path)
    assert images.counts() == {"cat": 6, "dog": 6}
    assert images.skipped == ()
    assert "6 hidden" in caplog.text
    assert "no picture in cow" in caplog.text
    assert "12 pictures of 2 classes. Labels from the folder names: cat 6, dog 6." in caplog.text


def test_a_single_class_folder_is_a_class(tmp_path, scene):
    (tmp_path / "cat" / "indoors").mkdir(parents=True)
    for i in range(3):
        scene(i).save(tmp_path / "cat" / "indoors" / f"{i}.png")
    assert Images.open(tmp_path).classes == ("cat",)


@pytest.fixture
def parts(tmp_path, scene):
    for i, name in enumerate(("train/cat", "train/dog", "test/cat", "test/dog")):
        (tmp_path / name).mkdir(parents=True)
        scene(i).save(tmp_path / name / "a.png")
    return tmp_path


def test_parts_beside_a_loose_picture_and_one_more_folder_stay_parts(parts, scene, caplog):
    scene(8).save(parts / "cover.png")
    (parts / "more").mkdir()
    scene(9).save(parts / "more" / "a.png")
    with caplog.at_level(logging.INFO, "diptych"):
        images = Images.open(parts)
    assert images.classes == ("cat", "dog")
    assert sorted(images.groups["split"].tolist()) == ["test"] * 2 + ["train"] * 2
    reasons = {error.path.rsplit("/")[-1]: error.reason for error in images.skipped}
    assert reasons == {
        "cover.png": "a loose picture beside test, train",
        "more": "a folder of 1 picture beside test, train",
    }
    assert "train 2 pictures of 2 classes, test 2 pictures of 2 classes. Labels from the folder names" in caplog.text


@pytest.mark.parametrize(
    "names",
    [
        ("train/1.png", "train/2.png", "test/1.png", "more/1.png"),
        ("cat/1.png", "dog/1.png", "test/1.png"),
        ("train/cat/1.png", "train/dog/1.png", "more/1.png"),
    ],
)
def test_folders_that_may_be_parts_or_classes_are_refused(tmp_path, scene, names):
    for i, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        scene(i).save(tmp_path / name)
    with pytest.raises(DataError, match=r"part of a split, or as a class beside .* --labels folders"):
        Images.open(tmp_path)
    assert Images.open(tmp_path, labels="folders").classes == tuple(sorted({name.split("/")[0] for name in names}))
    assert Images.open(tmp_path, labels="none").classes == ()


def test_the_names_that_archives_give_to_parts(tmp_path, scene):
    for i, name in enumerate(
        ("seg_train/seg_train/sea", "seg_train/seg_train/ice", "Test_Set/sea", "seg_pred/seg_pred")
    ):
        (tmp_path / name).mkdir(parents=True)
        scene(i).save(tmp_path / name / "a.png")
    images = Images.open(tmp_path)
    assert images.classes == ("ice", "sea")
    assert sorted(images.groups["split"].tolist()) == ["test", "train", "train"]
    assert [error.path.rsplit("/")[-1] for error in images.skipped] == ["seg_pred"]


def test_circular_links_are_left_out(class_folders):
    (class_folders / "cat" / "up").symlink_to(class_folders, target_is_directory=True)
    (class_folders / "cat" / "self").symlink_to("self")
    (class_folders / "loop.png").symlink_to("loop.png")
    (class_folders / "dog" / "gone.png").symlink_to(class_folders / "nowhere.png")
    images = Images.open(class_folders)
    readable = images.readable(16)
    assert readable.counts() == {"cat": 6, "dog": 6}
    assert {error.path.rsplit("/", 1)[-1] for error in readable.skipped} == {"up", "self", "loop.png", "gone.png"}


def test_a_link_to_a_folder_elsewhere_is_a_class(class_folders, tmp_path, scene):
    (tmp_path / "elsewhere").mkdir()
    scene(55).save(tmp_path / "elsewhere" / "a.png")
    (class_folders / "cow").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert Images.open(class_folders).counts() == {"cat": 6, "cow": 1, "dog": 6}


def test_a_pipe_named_like_a_picture_does_not_hang(class_folders):
    os.mkfifo(class_folders / "cat" / "pipe.jpg")
    images = Images.open(class_folders)
    assert len(images) == 12
    assert "pipe" in images.skipped[0].reason


def test_names_that_are_not_utf8(class_folders, scene, capsys):
    raw = os.fsencode(class_folders / "cat") + b"/caf\xe9.png"
    with open(raw, "wb") as file:  # noqa: PTH123
        scene(7).save(file, "PNG")
    folder = os.fsencode(class_folders) + b"/oc\xe9lot"
    os.mkdir(folder)  # noqa: PTH102
    with open(folder + b"/broken\xff.png", "wb") as file:  # noqa: PTH123
        file.write(b"words")
    images = Images.open(class_folders)
    assert len(images) == 14
    readable = images.readable(16)
    assert readable.counts()["cat"] == 7
    print(*images.paths, readable.skipped, *readable.skipped, images.classes)
    assert r"caf\xe9.png" in capsys.readouterr().out


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"There is no picture in .*one folder of pictures for each class"):
        Images.open(tmp_path)
    (tmp_path / "a.txt").write_text("words")
    with pytest.raises(DataError, match=r"\(1 other file is there: .*a\.txt: not a picture\)"):
        Images.open(tmp_path)
    with pytest.raises(DataError, match=r"gone is not there\. Give a folder"):
        Images.open(tmp_path / "gone")


def test_impossible_paths_are_refused(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "lost.png").symlink_to("gone.png")
    with pytest.raises(DataError, match=r"lost\.png is a link to what is not there"):
        Images.open(tmp_path / "lost.png")
    for path in (tmp_path / "loop", "x" * 5000):
        with pytest.raises(DataError, match=r"cannot be opened|is not there"):
            Images.open(path)


def test_pictures_by_name_keep_their_rows(class_folders, tmp_path):
    names = [class_folders / "dog" / "1.png", tmp_path / "gone.png", str(class_folders / "cat" / "0.png")]
    images = Images.of_files(names)
    assert images.paths.tolist() == [str(name) for name in names]
    assert [error.reason for error in images.readable(8).skipped] == ["the file is not there"]


def test_files_of_other_programs_are_told_with_what_to_do(class_folders, caplog):
    (class_folders / "labels.xlsx").write_bytes(b"PK\3\4")
    (class_folders / "more.7z").write_bytes(b"7z\xbc\xaf")
    (class_folders / "last.zip").write_bytes(b"PK\3\4")
    for name in ("a.pdf", "b.pdf"):
        (class_folders / "cat" / name).write_bytes(b"%PDF-1.7\n")
    (class_folders / "dog" / ".IMG_1.heic.icloud").write_bytes(b"bplist00")
    (class_folders / "cat" / "lost.png").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\n")
    (class_folders / "dog" / "page.jpg").write_text("<!DOCTYPE html>\n<title>Sign in</title>")
    images = Images.open(class_folders)
    assert 'labels.xlsx: a spreadsheet, which is not read; save its sheet of labels as "CSV UTF-8"' in caplog.text
    assert "more.7z: an archive of a kind that is not read; unpack it" in caplog.text
    Images.open(class_folders / "cat")
    assert f"{class_folders}/cat/a.pdf, {class_folders}/cat/b.pdf: a PDF, which is not read; save" in caplog.text
    lost, cloud, page = sorted(map(str, images.readable(16).skipped[-3:]))
    assert ".IMG_1.heic.icloud: it was not downloaded from iCloud; open its folder there" in cloud
    assert "lost.png: a pointer of Git LFS in place of the file; fetch it with: git lfs pull" in lost
    assert "page.jpg: a web page in place of the file; download it again" in page


@pytest.mark.parametrize(
    ("name", "message"),
    [("labels.csv", "is a table. Give the folder"), ("a.ods", "is a spreadsheet"), ("a.tar.xz", "unpack it, and open")],
)
def test_a_file_of_another_kind_in_place_of_pictures_is_refused(class_folders, name, message):
    (class_folders / name).write_bytes(b"words")
    with pytest.raises(DataError, match=re.escape(message)):
        Images.open(class_folders / name)
    with pytest.raises(UsageError, match="is a spreadsheet"):
        Images.open(class_folders, labels="labels.xlsx")


def test_numbered_folders_that_hold_the_same_folders_are_no_classes_by_guess(tmp_path, scene):
    for folder in ("fold1/cat", "fold1/dog", "fold2/cat", "fold2/dog"):
        (tmp_path / folder).mkdir(parents=True)
        scene(len(folder)).save(tmp_path / folder / "a.png")
    with pytest.raises(DataError, match=r"fold1, fold2 can be read as the classes, or as pieces .* classes cat, dog"):
        Images.open(tmp_path)
    assert Images.open(tmp_path, labels="folders").classes == ("fold1", "fold2")
    assert Images.open(tmp_path / "fold1").classes == ("cat", "dog")
    (tmp_path / "fold2").rename(tmp_path / "night")
    with pytest.raises(DataError, match=r"fold1, night can be read as the classes, or as pieces"):
        Images.open(tmp_path)
    (tmp_path / "night" / "dog").rename(tmp_path / "night" / "bird")
    assert Images.open(tmp_path).classes == ("fold1", "night")
