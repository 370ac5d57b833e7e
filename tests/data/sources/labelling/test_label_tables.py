import logging

import pytest

from diptych.data.images import Images
from diptych.errors import DataError, UsageError

BREEDS = ("pug", "boxer")


@pytest.fixture
def fill(tmp_path, scene):
    """Pictures of these names below a folder, in which tables may lie."""

    def save(*names):
        for i, name in enumerate(names):
            path = tmp_path / "pets" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            scene(i).save(path)
        return tmp_path / "pets"

    return save


def table(header, row, numbers=range(8)):
    return "\n".join([header, *(row.format(i=i, breed=BREEDS[i % 2], half=i // 4) for i in numbers), ""])


@pytest.mark.parametrize(
    ("pictures", "name", "text"),
    [
        ("train/x{i}.jpg", "labels.csv", table("id,breed", "x{i},{breed}")),
        ("x{i}.jpg", "train.csv", table("image,label", "x{i}.jpg,{breed}")),
        ("all/x{i}.jpg", "list.tsv", table("path\tkind", "all/x{i}.jpg\t{breed}")),
        ("x{i}.jpg", "a.csv", table(",where,Class Name", "{i},C:\\pets\\x{i}.jpg, {breed}")),
        ("x{i}.jpg", "a.jsonl", table("", '{{"image": "x{i}", "species": "{breed}"}}')),
        ("part_1/x{i}.jpg", "meta.csv", table("lesion,image_id,dx,dx_type", "H{half},x{i},{breed},histo")),
    ],
)
def test_a_table_of_any_name_labels_the_pictures(fill, pictures, name, text):
    folder = fill(*(pictures.format(i=i) for i in range(8)))
    (folder / name).write_text(text)
    images = Images.open(folder)
    assert images.counts() == {"boxer": 4, "pug": 4}
    assert images.labels.tolist() == [1, 0] * 4
    assert images.skipped == ()


def test_a_table_in_the_folder_above(fill):
    folder = fill(*(f"x{i}.jpg" for i in range(8)))
    (folder.parent / "labels.csv").write_text(table("id,breed", "x{i},{breed}"))
    assert Images.open(folder).counts() == {"boxer": 4, "pug": 4}


def test_numbers_in_a_table_above_are_no_file_names(fill):
    folder = fill(*(f"{i}.jpg" for i in range(8)))
    (folder.parent / "iris.csv").write_text(table("id,species", "{i},{breed}", range(50)))
    assert Images.open(folder).classes == ()


@pytest.mark.parametrize("header", ["path,label,action", "path,label,confidence"])
def test_a_manifest_or_predictions_are_not_taken_for_labels(fill, header):
    folder = fill(*(f"x{i}.jpg" for i in range(8)))
    (folder.parent / "pets.csv").write_text(table(header, "x{i}.jpg,{breed},0"))
    assert Images.open(folder).classes == ()


def test_further_columns_are_groups(fill):
    folder = fill(*(f"x{i}.jpg" for i in range(9)))
    (folder / "labels.csv").write_text(table("id,breed,age", "x{i},{breed},{i}"))
    images = Images.open(folder)
    assert images.labels.tolist() == [1, 0] * 4 + [-1]
    assert images.groups["age"].tolist() == [*"01234567", ""]


def test_the_same_names_in_train_and_test(fill):
    folder = fill(*(f"{part}/{i}.jpg" for part in ("train", "test") for i in range(8)))
    (folder / "trainLabels.csv").write_text(table("id,label", "{i},{breed}"))
    (folder / "sampleSubmission.csv").write_text("id,label\n" + "".join(f"{i},pug\n" for i in range(8)))
    images = Images.open(folder)
    assert set(images.groups["split"][images.labels < 0]) == {"test"}
    assert images.counts() == {"boxer": 4, "pug": 4}


def test_tables_for_train_validation_and_test(fill):
    folder = fill(*(f"all/x{i}.jpg" for i in range(8)))
    for name, numbers in (("train", range(4)), ("val", range(4, 6)), ("test", range(6, 8))):
        (folder / f"{name}.csv").write_text(table("image,kind", "x{i}.jpg,{breed}", numbers))
    images = Images.open(folder)
    assert images.groups["split"].tolist() == ["train"] * 4 + ["validation"] * 2 + ["test"] * 2
    assert images.counts() == {"boxer": 4, "pug": 4}


@pytest.mark.parametrize("folders", [("train", "test"), ("site1", "site2")])
def test_a_table_in_a_folder_is_about_its_pictures_whatever_others_are_called(fill, folders):
    root = fill(*(f"{folder}/{i}.jpg" for folder in folders for i in range(4)))
    for shift, folder in enumerate(folders):
        rows = "".join(f"{i}.jpg,{BREEDS[(i + shift) % 2]}\n" for i in range(4))
        (root / folder / "labels.csv").write_text("file,label\n" + rows)
    images = Images.open(root)
    named = {path.removeprefix(f"{root}/"): images.classes[images.labels[i]] for i, path in enumerate(images.paths)}
    assert named[f"{folders[0]}/0.jpg"] == named[f"{folders[1]}/1.jpg"] == "pug"
    assert images.counts() == {"boxer": 4, "pug": 4}


def test_one_column_for_each_class(fill):
    folder = fill(*(f"x{i}.jpg" for i in range(8)))
    (folder / "truth.csv").write_text(
        "image,MEL,NV,BCC\n" + "".join(f"x{i},{i < 2:d}.0,{i >= 2:d}.0,0.0\n" for i in range(8))
    )
    assert Images.open(folder).counts() == {"MEL": 2, "NV": 6}
    (folder / "truth.csv").write_text("image,MEL,NV\n" + "".join(f"x{i},1,{i % 2}\n" for i in range(8)))
    images = Images.open(folder)
    assert images.multi_label
    assert images.counts() == {"MEL": 8, "NV": 4}


def test_several_labels_in_a_cell(fill):
    folder = fill(*(f"x{i}.jpg" for i in range(6)))
    rows = "file,tags\nx0,haze{0}primary\nx1,haze\nx2,clear{0}primary\nx3,{1}\n"
    (folder / "t.csv").write_text(rows.format("|", "clear"))
    images = Images.open(folder)
    assert images.multi_label
    assert images.counts() == {"clear": 2, "haze": 2, "primary": 2}
    (folder / "t.csv").write_text(rows.format(" ", "water primary\nx4,water haze\nx5,clear haze"))
    with pytest.raises(DataError, match=r't\.csv, line 2: "haze primary" in the column tags .* write "haze\|primary"'):
        Images.open(folder)
    assert not Images.open(folder, labels="tags").multi_label
    (folder / "t.csv").write_text("file,breed\nx0,golden retriever\nx1,labrador retriever\nx2,pug\nx3,pug\n")
    assert Images.open(folder).classes == ("golden retriever", "labrador retriever", "pug")


def test_differing_readings_are_named_with_their_counts(fill, caplog):
    folder = fill(*(f"{breed}/x{i}.jpg" for i in range(8) for breed in BREEDS if BREEDS[i % 2] == breed))
    (folder / "same.csv").write_text(table("id,label", "x{i},{breed}").replace("pug", "Mops"))
    assert Images.open(folder).counts() == {"boxer": 4, "pug": 4}
    (folder / "sex.csv").write_text(table("id,category,species", "x{i},h{half},s{half}"))
    message = (
        r"folder names \(boxer 4, pug 4\) or from the column category of sex.csv \(h0 4, h1 4\).*--labels folders or "
    )
    with pytest.raises(DataError, match=message):
        Images.open(folder)
    assert Images.open(folder, labels="sex.csv:category").counts() == {"h0": 4, "h1": 4}
    assert Images.open(folder, labels="sex.csv").classes == ("h0", "h1")
    assert Images.open(folder, labels="folders").classes == ("boxer", "pug")
    assert Images.open(folder, labels="none").classes == ()


def test_choices_that_are_not_there(fill):
    folder = fill(*(f"x{i}.jpg" for i in range(8)))
    (folder / "t.csv").write_text(table("id,kind,half", "x{i},{breed},{half}"))
    assert Images.open(folder).classes == ()
    assert Images.open(folder, labels="kind").classes == ("boxer", "pug")
    with pytest.raises(UsageError, match=r"no table gone\.csv .* Tables there: t\.csv"):
        Images.open(folder, labels="gone.csv:label")
    with pytest.raises(DataError, match=r"no column breed\. It has id, kind, half"):
        Images.open(folder, labels="breed")
    with pytest.raises(UsageError, match="takes only auto or none here"):
        Images.open("digits", labels="names")


def test_two_labels_of_one_picture_are_refused(fill):
    folder = fill(*(f"x{i}.jpg" for i in range(4)))
    (folder / "t.csv").write_text("file,label\nx0,pug\nx1,boxer\nx2,pug\nx3,boxer\nx0,boxer\n")
    with pytest.raises(DataError, match=r"t\.csv, line 6: x0 has another label than before \(.*line 2\)"):
        Images.open(folder)


def test_a_table_in_another_encoding_is_said_and_left(fill, caplog):
    folder = fill(*(f"x{i}.jpg" for i in range(4)))
    (folder / "t.csv").write_bytes("file,label\nx0,âne\n".encode("cp1252"))
    with caplog.at_level(logging.WARNING, "diptych"):
        assert Images.open(folder).classes == ()
    assert 't.csv, line 2: the text is not UTF-8. Save the table as "CSV UTF-8"' in caplog.text
    with pytest.raises(DataError, match="not UTF-8"):
        Images.open(folder, labels="t.csv")


def test_a_cell_of_a_million_folders_is_looked_up_at_once(fill):
    root = fill(*(f"{i}.jpg" for i in range(4)))
    rows = "".join(f"{i}.jpg,{BREEDS[i % 2]}\n" for i in range(4))
    (root / "a.csv").write_text("id,breed\n" + rows + "a/" * 60_000 + "4.jpg,pug\n")
    assert Images.open(root).counts() == {"boxer": 2, "pug": 2}


def test_numbers_name_pictures_without_the_zeros_that_spreadsheets_drop(fill):
    folder = fill(*(f"{i:03d}.jpg" for i in range(8)), "01.jpg")
    (folder / "labels.csv").write_text(table("id,label", "{i},{breed}"))
    images = Images.open(folder)
    assert images.labels.tolist() == [1, -1, 1, 0, 1, 0, 1, 0, -1]  # 1 may be 001 or 01
    (folder / "labels.csv").write_text(table("id,label", "{i:03d},{breed}"))
    assert Images.open(folder).labels.tolist() == [1, 0, 1, 0, 1, 0, 1, 0, -1]


def test_a_table_of_labels_that_names_no_picture_is_told(fill, caplog):
    folder = fill(*(f"x{i}.jpg" for i in range(8)))
    (folder / "labels.csv").write_text(table("id,label", "{i},{breed}"))
    assert Images.open(folder).classes == ()
    expected = "labels.csv names none of the 8 pictures: it has 0, the pictures are such as x0.jpg"
    assert expected in caplog.text
    (folder / "labels.csv").write_text(table("id,weight", "{i},{half}"))
    caplog.clear()
    assert Images.open(folder).classes == ()
    assert "No labels from a table" not in caplog.text


@pytest.mark.parametrize("row", ["x{i}.jpg,{breed}", "x{i},{breed}"])
def test_a_table_without_column_names_is_told_with_what_to_do(fill, caplog, row):
    folder = fill(*(f"x{i}.jpg" for i in range(8)))
    (folder / "labels.csv").write_text(table(row.format(i=0, breed="pug"), row, range(1, 8)))
    assert Images.open(folder).classes == ()
    assert "labels.csv begins with a picture, x0" in caplog.text
    with pytest.raises(DataError, match="Put a line of them before the first one, such as: path,label"):
        Images.open(folder, labels="labels.csv")


def test_a_column_may_have_the_name_of_a_picture(fill):
    folder = fill("image.jpg", *(f"x{i}.jpg" for i in range(8)))
    (folder / "labels.csv").write_text(table("image,label", "x{i}.jpg,{breed}"))
    assert Images.open(folder).counts() == {"boxer": 4, "pug": 4}
