import json

import pytest

from diptych.data.images import Images
from diptych.data.inspection import manifest
from diptych.data.inspection.inspect import concatenate_sets, examine
from diptych.errors import DataError


@pytest.fixture
def inspection(class_folders, scene):
    scene(0).save(class_folders / "cat" / "copy.png")
    scene(3, 5, 5).save(class_folders / "dog" / "small.png")
    (class_folders / "dog" / "broken.png").write_bytes(b"")
    return examine(Images.open(class_folders))


def edited(path, **changes):
    """Change cells of a manifest as a person does in a spreadsheet: the row's file name -> (column, value)."""
    lines = path.read_text().splitlines()
    for name, (column, value) in changes.items():
        for i, line in enumerate(lines):
            cells = line.split(",")
            if cells[0].endswith(f"{name.replace('_', '/')}.png"):
                cells[manifest.COLUMNS.index(column)] = value
                lines[i] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n")
    return path


def names(images):
    return {"/".join(path.rsplit("/", 2)[1:]) for path in images.paths.tolist()}


@pytest.mark.parametrize("name", ["m.csv", "m.jsonl"])
def test_a_proposed_manifest_can_be_applied(inspection, tmp_path, name):
    path = manifest.write(inspection, tmp_path / name)
    rows = {row.path.rsplit("/", 1)[1]: row for row in manifest.read(path)}
    assert {name for name, row in rows.items() if row.action == "exclude"} == {"copy.png", "small.png", "broken.png"}
    applied = manifest.apply(inspection.images, path)
    assert names(applied) == names(inspection.images) - {"cat/copy.png", "dog/small.png", "dog/broken.png"}
    assert applied.counts() == {"cat": 6, "dog": 6}
    assert sorted(set(applied.groups["split"].tolist())) == ["train", "validation"]
    assert all(row.split == "" for row in rows.values() if row.action == "exclude")


def test_the_reasons_are_written(inspection, tmp_path):
    text = manifest.write(inspection, tmp_path / "m.csv").read_text()
    assert text.startswith("path,label,split,action,reason\n")
    assert "exact copy: the same file as" in text
    assert "tiny: 5 x 5 pixels" in text
    assert "unreadable: the file is empty" in text


def test_edits_are_applied(inspection, tmp_path):
    path = manifest.write(inspection, tmp_path / "m.csv")
    edited(path, cat_0=("label", "lynx"), cat_1=("split", "test"), dog_2=("action", "EXCLUDE"), cat_copy=("action", ""))
    applied = manifest.apply(inspection.images, path)
    assert applied.counts() == {"cat": 6, "dog": 5, "lynx": 1}
    row = applied.paths.tolist().index(next(path for path in applied.paths.tolist() if path.endswith("cat/1.png")))
    assert applied.groups["split"][row] == "test"
    assert applied.fingerprint() != inspection.images.fingerprint()


def test_a_changed_split_makes_other_data(inspection, tmp_path):
    path = manifest.write(inspection, tmp_path / "m.csv")
    before = manifest.apply(inspection.images, path).fingerprint()
    assert manifest.apply(inspection.images, path).fingerprint() == before
    edited(path, cat_1=("split", "test"))
    assert manifest.apply(inspection.images, path).fingerprint() != before


def test_missing_and_new_pictures_are_warned_of(inspection, tmp_path, class_folders, scene, caplog):
    path = manifest.write(inspection, tmp_path / "m.csv")
    (class_folders / "cat" / "3.png").unlink()
    scene(77).save(class_folders / "cat" / "new.png")
    applied = manifest.apply(Images.open(class_folders), path)
    assert "names 1 picture that is not there" in caplog.text
    assert "does not name 1 picture, which is left out" in caplog.text
    assert names(applied) == names(inspection.images) - {"cat/copy.png", "dog/small.png", "dog/broken.png", "cat/3.png"}


def test_a_manifest_applies_where_the_folder_has_another_path(inspection, tmp_path, class_folders, monkeypatch):
    path = manifest.write(inspection, tmp_path / "m.csv")
    monkeypatch.chdir(class_folders.parent)
    assert len(manifest.apply(Images.open(class_folders.name), path)) == 12
    moved = class_folders.rename(tmp_path / "elsewhere")
    assert len(manifest.apply(Images.open(moved), path)) == 12


def test_a_set_with_parts_keeps_them_and_the_test_part_keeps_its_copy(tmp_path, scene):
    for part, seeds in (("test", range(3)), ("train", range(2, 8))):
        for name in ("a", "b"):
            (tmp_path / "set" / part / name).mkdir(parents=True)
            for i in seeds:
                scene(i + (50 if name == "b" else 0)).save(tmp_path / "set" / part / name / f"{i}.png")
    inspection = examine(Images.open(tmp_path / "set"))
    assert [len(pairs) for pairs in inspection.leaks.values()] == [2]
    applied = manifest.apply(inspection.images, manifest.write(inspection, tmp_path / "m.csv"))
    assert applied.groups["split"].tolist().count("test") == 6
    assert applied.groups["split"].tolist().count("train") == 10


def test_of_several_folders_only_the_first_is_split(tmp_path, class_folders, scene):
    (tmp_path / "more" / "cat").mkdir(parents=True)
    scene(500).save(tmp_path / "more" / "cat" / "x.png")
    folders = [str(class_folders), str(tmp_path / "more")]
    inspection = examine(concatenate_sets([Images.open(folder) for folder in folders], folders))
    rows = manifest.read(manifest.write(inspection, tmp_path / "m.csv"))
    assert [row.split for row in rows if "more" in row.path] == [""]
    assert len(manifest.apply(Images.open(class_folders), tmp_path / "m.csv")) == 12


def test_multi_label_sets_and_names_in_any_script(tmp_path):
    import numpy as np

    pixels = np.random.default_rng(0).integers(0, 256, (30, 20, 20, 3), np.uint8)
    labels = np.random.default_rng(1).random((30, 2)) < 0.6
    images = Images.from_arrays(pixels, labels, classes=["猫", "dog"])
    path = manifest.write(examine(images), tmp_path / "m.csv")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    applied = manifest.apply(images, path)
    assert applied.multi_label
    assert (applied.labels == images.labels).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line with the columns path, label"),
        ("file,label\na,b\n", '"path" is required'),
        ("path,action\n", "names no picture. A manifest needs a first line"),
        ("path,action\na.png,keep\nb.png,drop\n", 'line 3: the action "drop" is not one of keep, exclude, review'),
        ("path,split\na.png,trian\n", 'line 2: the split "trian" is not one of train, validation, test'),
        ("path,label\n,cat\n", "line 2: the path is missing"),
        ("path,label\na.png,cat\na.png,dog\n", "line 3: a.png is named twice, first on line 2"),
        ("path,label\na.png,cat,dog\n", "line 2: more cells than"),
        ("path,label\nnowhere.png,cat\n", "names none of these pictures"),
    ],
)
def test_errors_name_the_line(tmp_path, class_folders, text, message):
    path = tmp_path / "m.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        manifest.apply(Images.open(class_folders), path)


def test_lines_that_are_not_json_and_files_that_are_missing(tmp_path, class_folders):
    path = tmp_path / "m.jsonl"
    path.write_text(json.dumps({"path": "a.png"}) + "\n{]\n")
    with pytest.raises(DataError, match="line 2: not a JSON object"):
        manifest.read(path)
    with pytest.raises(DataError, match="is not there"):
        manifest.read(tmp_path / "no.csv")
    path = tmp_path / "latin.csv"
    path.write_bytes("path,label\na.png,Käse\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        manifest.read(path)


def test_a_spreadsheets_semicolons_and_empty_lines(tmp_path, class_folders):
    path = tmp_path / "m.csv"
    first, second = Images.open(class_folders).paths.tolist()[:2]
    path.write_text(f"Path;Label;Split\n{first};cat;Train\n;;\n{second};;\n")
    applied = manifest.apply(Images.open(class_folders), path)
    assert applied.labels.tolist() == [0, -1]
    assert applied.groups["split"].tolist() == ["train", "train"]


def test_a_manifest_that_excludes_everything_is_refused(tmp_path, class_folders):
    images = Images.open(class_folders)
    path = tmp_path / "m.csv"
    path.write_text("path,action\n" + "".join(f"{name},exclude\n" for name in images.paths))
    with pytest.raises(DataError, match="excludes every picture"):
        manifest.apply(images, path)


ODD_NAMES = [
    "a|b",
    "cat ",
    " cat",
    "a\\b",
    "a\\u007cb",
    '"a", b',
    "two\nlines",
    "\u3000wide",
    "[x]",
    "=1+1",
    "caf\u00e9",
    "|",
]


@pytest.mark.parametrize("name", ["m.csv", "m.jsonl"])
def test_a_manifest_that_nobody_edited_changes_no_name(tmp_path, scene, name):
    root = tmp_path / "pets"
    for i, label in enumerate(ODD_NAMES):
        (root / label).mkdir(parents=True)
        scene(i).save(root / label / f" {label} .png")
    images = Images.open(root)
    path = manifest.write(examine(images), tmp_path / name)
    applied = manifest.apply(images, path)
    assert (applied.classes, applied.labels.tolist()) == (images.classes, images.labels.tolist())
    assert applied.paths.tolist() == images.paths.tolist()
    relative = images.with_metadata(paths=[path[len(str(root)) + 1 :] for path in images.paths.tolist()])
    assert (
        manifest.apply(relative, manifest.write(examine(relative), tmp_path / name)).labels.tolist()
        == images.labels.tolist()
    )
