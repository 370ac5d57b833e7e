import json

import numpy as np
import pytest

from diptych.data.images import Images
from diptych.errors import DataError


@pytest.fixture
def flat(tmp_path, scene):
    for i in range(4):
        scene(i).save(tmp_path / f"{i}.png")
    return tmp_path


def test_csv_with_groups_in_the_order_of_the_file(flat):
    text = "file_name,label,age,weight,place\n2.png,dog,3,2.5,home\n0.png,cat,4,3,\n1.png,,5,1,zoo\n"
    (flat / "metadata.csv").write_text("\ufeff" + text)
    images = Images.open(flat)
    assert images.classes == ("cat", "dog")
    assert images.labels.tolist() == [1, 0, -1]
    assert images.groups["age"].tolist() == [3, 4, 5]
    assert images.groups["weight"].tolist() == [2.5, 3.0, 1.0]
    assert images.groups["place"].tolist() == ["home", "", "zoo"]
    assert [path.rsplit("/")[-1] for path in images.paths] == ["2.png", "0.png", "1.png"]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_csv_as_spreadsheets_write_it(flat, separator):
    (flat / "metadata.csv").write_text(separator.join(["file_name", "label"]) + "\n" + separator.join(["0.png", "cat"]))
    assert Images.open(flat).counts() == {"cat": 1}


@pytest.mark.parametrize("cell", ['"[""cat"", ""dog""]"', "cat|dog", "dog; cat"])
def test_several_labels_in_csv(flat, cell):
    (flat / "metadata.csv").write_text(f"file_name,labels\n0.png,{cell}\n1.png,cat\n2.png,\n")
    images = Images.open(flat)
    assert images.multi_label
    assert images.classes == ("cat", "dog")
    assert images.labels.tolist() == [[True, True], [True, False], [False, False]]
    assert images.counts() == {"cat": 2, "dog": 1}


def test_jsonl(flat):
    rows = [
        {"file_name": "1.png", "label": "cat", "age": 3},
        {"file_name": "0.png", "label": 7},
        {"file_name": "3.png"},
    ]
    (flat / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    images = Images.open(flat)
    assert images.classes == ("7", "cat")
    assert images.labels.tolist() == [1, 0, -1]
    assert images.groups["age"].tolist() == ["3", "", ""]


def test_lists_in_jsonl_and_origins(flat):
    rows = [
        {"file_name": "1.png", "labels": ["a", "b"], "origin": "synthetic"},
        {"file_name": "0.png", "origin": "real"},
    ]
    (flat / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    images = Images.open(flat)
    assert images.labels.tolist() == [[True, True], [False, False]]
    assert images.origins.tolist() == ["synthetic", "real"]
    assert "origin" not in images.groups


def test_missing_files_and_paths_outside_the_folder_are_reported(flat):
    (flat / "metadata.csv").write_text("file_name,label\n0.png,a\nnone.png,b\n../../etc/passwd,b\n/etc/passwd,b\n")
    images = Images.open(flat)
    assert len(images) == 1
    assert ["not there" in e.reason or "outside" in e.reason for e in images.skipped] == [True] * 3


def test_files_in_folders(flat, scene):
    (flat / "deep").mkdir()
    scene(9).save(flat / "deep" / "a.png")
    (flat / "metadata.csv").write_text("file_name,label\n./deep/a.png,x\ndeep\\a.png,y\n")
    images = Images.open(flat)
    assert np.array_equal(images.picture(0), np.asarray(scene(9)))
    assert len(images) == 2


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        (
            "metadata.csv",
            "name,label\n0.png,a\n",
            r'metadata\.csv needs a "file_name" for every picture\. Its columns are name, label: rename',
        ),
        ("metadata.csv", "file_name,label\n,a\n", r'metadata\.csv, line 2 needs a "file_name"'),
        ("metadata.csv", "", 'needs a "file_name"'),
        ("metadata.csv", "file_name,label\nnone.png,a\n", "None of the files"),
        ("metadata.csv", 'file_name,label\n0.png,"a\n1.png,b\n', "Correct the line"),
        ("metadata.jsonl", '{"file_name": "0.png"}\n{oops\n', "line 2: not a JSON object"),
        (
            "metadata.jsonl",
            f'{{"file_name": "0.png", "a": "{"x" * 131_073}"}}\n',
            "line 1: a value has more than 131,072",
        ),
    ],
)
def test_unusable_tables_are_refused(flat, name, text, reason):
    (flat / name).write_text(text)
    with pytest.raises(DataError, match=reason):
        Images.open(flat)


def test_metadata_in_train_and_test_folders(tmp_path, scene):
    for i, part in enumerate(("train", "test")):
        (tmp_path / part).mkdir()
        scene(i).save(tmp_path / part / "a.png")
        (tmp_path / part / "metadata.csv").write_text(f"file_name,label\na.png,{'ab'[i]}\n")
    images = Images.open(tmp_path)
    assert images.groups["split"].tolist() == ["test", "train"]
    assert images.classes == ("a", "b")
    assert images.labels.tolist() == [1, 0]
    assert np.array_equal(images.picture(0), np.asarray(scene(1)))


def test_a_line_separator_in_a_caption_does_not_end_the_line(flat):
    (flat / "metadata.jsonl").write_text('{"file_name": "0.png", "text": "one\u2028two"}\n', "utf-8")
    assert Images.open(flat).groups["text"].tolist() == ["one\u2028two"]


def test_a_column_with_another_name_is_the_label(flat):
    (flat / "metadata.csv").write_text("file_name,breed,kind\n0.png,pug,a\n1.png,boxer,b\n")
    assert Images.open(flat).classes == ("boxer", "pug")
    assert Images.open(flat).groups["kind"].tolist() == ["a", "b"]
    assert Images.open(flat, labels="kind").classes == ("a", "b")
    assert Images.open(flat, labels="none").classes == ()


def test_the_absolute_path_of_a_picture_in_the_folder(flat):
    (flat / "metadata.csv").write_text(f"file_name,label\n{flat}/0.png,a\n{flat}/none/../1.png,b\n")
    assert Images.open(flat).counts() == {"a": 1, "b": 1}


def test_names_in_tables_of_diptych_are_taken_as_they_are(flat):
    images = Images.from_arrays(np.zeros((3, 8, 8, 3), np.uint8), ["a|b", "a", "b"], groups={"n": [1, 2, 3]})
    again = Images.open(images.save(flat / "saved"))
    assert again.classes == ("a", "a|b", "b")
    assert not again.multi_label


@pytest.mark.parametrize("table", ["metadata.csv", "breeds.csv"])
def test_a_table_and_the_disk_may_write_an_accent_in_either_way(tmp_path, scene, table):
    for i, accent in enumerate(["\u00e9", "e\u0301"] * 2):
        scene(i).save(tmp_path / f"{accent}{i}.png")
    (tmp_path / table).write_text("file_name,breed\n" + "".join(f"\u00e9{i}.png,{'ab'[i % 2]}\n" for i in range(4)))
    images = Images.open(tmp_path)
    assert images.counts() == {"a": 2, "b": 2}
    assert images.unreadable(8) == {}


def test_names_that_no_file_can_have_are_not_there(flat, caplog):
    names = ["0.png", "x" * 300 + ".png", "a\0.png"]
    (flat / "metadata.jsonl").write_text(
        "".join(json.dumps({"file_name": name, "label": "a"}) + "\n" for name in names)
    )
    images = Images.open(flat)
    assert len(images) == 1
    assert len(images.skipped) == 2
    assert "2 of the files that it names were left out" in caplog.text
    caplog.text.encode()  # fit to print


def test_pictures_that_no_row_names_are_told(flat, caplog):
    (flat / "metadata.csv").write_text("file_name,label\n0.png,cat\n1.png,dog\n")
    others = len(list(flat.glob("*.png"))) - 2
    assert len(Images.open(flat)) == 2
    assert f"{others} pictures are not used, since {flat}/metadata.csv does not name them: 2.png" in caplog.text
