import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from diptych.data.images import Images
from diptych.errors import DataError, UsageError


def png(picture):
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def features(**columns):
    return {"huggingface": json.dumps({"info": {"features": {"image": {"_type": "Image"}, **columns}}})}


@pytest.fixture
def table(scene):
    pictures = [{"bytes": png(scene(i)), "path": f"{i}.png"} for i in range(5)]
    return pa.table({"image": pictures, "label": [1, 0, 1, -1, 0], "age": [3, 1, 4, 1, 5], "place": list("abcde")})


def test_the_hugging_face_layout(table, tmp_path, scene):
    description = features(label={"names": ["dog", "cat"], "_type": "ClassLabel"})
    pq.write_table(table.replace_schema_metadata(description), tmp_path / "pets.parquet", row_group_size=2)
    images = Images.open(tmp_path / "pets.parquet")
    assert images.classes == ("dog", "cat")
    assert images.labels.tolist() == [1, 0, 1, -1, 0]
    assert images.groups["age"].tolist() == [3, 1, 4, 1, 5]
    assert images.groups["place"].tolist() == list("abcde")
    assert images.paths[2] == f"{tmp_path}/pets.parquet#2"
    for i in range(5):
        assert np.array_equal(images.picture(i), np.asarray(scene(i)))


def test_plain_bytes_and_names(scene, tmp_path):
    plain = pa.table({"img": [png(scene(0)), png(scene(1))], "label": ["dog", "cat"]})
    pq.write_table(plain, tmp_path / "a.parquet")
    images = Images.open(tmp_path / "a.parquet")
    assert images.classes == ("cat", "dog")
    assert images.labels.tolist() == [1, 0]
    assert np.array_equal(images.picture(1), np.asarray(scene(1)))


def test_numbers_without_names(table, tmp_path):
    pq.write_table(table, tmp_path / "a.parquet")
    assert Images.open(tmp_path / "a.parquet").classes == ("0", "1")


@pytest.mark.parametrize("wrapped", [{"feature": {"names": ["a", "b"]}, "_type": "List"}, [{"names": ["a", "b"]}]])
def test_several_labels(table, tmp_path, wrapped):
    multi_label = table.drop_columns(["label"]).append_column("labels", [[[0, 1], [1], [], None, [0]]])
    pq.write_table(multi_label.replace_schema_metadata(features(labels=wrapped)), tmp_path / "a.parquet")
    images = Images.open(tmp_path / "a.parquet")
    assert images.classes == ("a", "b")
    assert images.labels.astype(int).tolist() == [[1, 1], [0, 1], [0, 0], [0, 0], [1, 0]]


@pytest.mark.parametrize("pattern", ["", "/*.parquet", "/{train,test}-0.parquet"])
def test_several_files(table, tmp_path, pattern):
    pq.write_table(table, tmp_path / "train-0.parquet")
    pq.write_table(table.slice(1, 3), tmp_path / "test-0.parquet")
    images = Images.open(f"{tmp_path}{pattern}")
    assert len(images) == 8
    assert sorted(images.groups["split"].tolist()) == ["test"] * 3 + ["train"] * 5
    first = images[images.groups["split"] == "test"]
    assert np.array_equal(first.picture(0), Images.open(tmp_path / "test-0.parquet").picture(0))


def test_classes_of_several_files_are_matched_by_name(table, tmp_path):
    for name, classes in (("a", ["dog", "cat"]), ("b", ["cat", "dog"])):
        description = features(label={"names": classes})
        pq.write_table(table.replace_schema_metadata(description), tmp_path / f"{name}.parquet")
    images = Images.open(tmp_path)
    assert images.classes == ("dog", "cat")
    assert images.labels.tolist() == [1, 0, 1, -1, 0, 0, 1, 0, -1, 1]


def test_rows_without_a_picture_or_with_a_path_only(scene, tmp_path):
    scene(0).save(tmp_path / "beside.png")
    rows = [{"bytes": None, "path": "beside.png"}, {"bytes": None, "path": None}, None, {"bytes": b"", "path": ""}]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    pq.write_table(pa.table({"image": pa.array(rows, kind), "label": [0, 1, 0, 1]}), tmp_path / "a.parquet")
    images = Images.open(tmp_path / "a.parquet")
    readable = images.readable(8)
    assert len(readable) == 1
    assert [error.reason for error in readable.skipped] == ["the row holds no picture"] * 2 + ["the file is empty"]
    assert len(images.fingerprint()) == 64


@pytest.mark.parametrize("absolute", [True, False])
def test_a_path_outside_the_folder_is_not_followed(scene, tmp_path, absolute):
    scene(0).save(tmp_path / "private.png")
    (tmp_path / "set").mkdir()
    path = str(tmp_path / "private.png") if absolute else "../private.png"
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    rows = [{"bytes": None, "path": path}]
    pq.write_table(pa.table({"image": pa.array(rows, kind)}), tmp_path / "set" / "a.parquet")
    readable = Images.open(tmp_path / "set" / "a.parquet").readable(8)
    assert len(readable) == 0
    assert "outside the folder" in readable.skipped[0].reason


def test_unusable_files_are_refused(tmp_path):
    pq.write_table(pa.table({"x": [1], "label": [0]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"no column of pictures\. It holds x, label"):
        Images.open(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 or not")
    with pytest.raises(DataError, match="not a Parquet file that can be read"):
        Images.open(tmp_path / "b.parquet")


def test_files_with_different_columns(table, tmp_path):
    pq.write_table(table, tmp_path / "a.parquet")
    pq.write_table(table.drop_columns(["label"]), tmp_path / "b.parquet")
    with pytest.raises(DataError, match="do not hold the same columns"):
        Images.open(tmp_path)


def test_pictures_that_exceed_memory_are_read_from_a_mapped_file(table, tmp_path, scene, monkeypatch):
    for name in ("a", "b"):
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=2)
    in_memory = Images.open(tmp_path)
    monkeypatch.setattr("diptych.data.sources.parquet.free_memory_bytes", lambda: 0)
    mapped = Images.open(tmp_path)
    assert np.array_equal(mapped.picture(9), np.asarray(scene(4)))
    assert mapped.fingerprint() == in_memory.fingerprint()


def test_columns_that_cannot_be_groups_are_not_read(table, tmp_path):
    more = table.append_column("mask", pa.array([b"x"] * 5)).append_column("boxes", pa.array([[1, 2]] * 5))
    pq.write_table(more, tmp_path / "a.parquet")
    assert set(Images.open(tmp_path / "a.parquet").groups) == {"age", "place"}


def test_a_class_label_of_any_name(table, tmp_path):
    renamed = table.rename_columns(["image", "breed", "age", "place"])
    pq.write_table(renamed.replace_schema_metadata(features(breed={"names": ["dog", "cat"]})), tmp_path / "a.parquet")
    images = Images.open(tmp_path / "a.parquet")
    assert images.counts() == {"dog": 2, "cat": 2}
    assert set(images.groups) == {"age", "place"}
    assert Images.open(tmp_path / "a.parquet", labels="place").classes == tuple("abcde")
    with pytest.raises(UsageError, match="choose one with --labels COLUMN"):
        Images.open(tmp_path / "a.parquet", labels="folders")


def test_two_class_labels_are_named_with_their_classes(table, tmp_path):
    renamed = table.rename_columns(["image", "fine_label", "coarse_label", "place"])
    description = features(fine_label={"names": ["dog", "cat"]}, coarse_label={"names": list("uvwxyz")})
    pq.write_table(renamed.replace_schema_metadata(description), tmp_path / "a.parquet")
    with pytest.raises(
        DataError, match=r"fine_label \(2 classes\) or coarse_label \(6 classes\).*--labels fine_label or"
    ):
        Images.open(tmp_path / "a.parquet")
    assert Images.open(tmp_path / "a.parquet", labels="coarse_label").classes == tuple("uvwxyz")
    assert Images.open(tmp_path / "a.parquet", labels="none").classes == ()


@pytest.mark.parametrize("labels", [[[["a"]], []], [{"a": 1}, None], [b"a", b"b"], [[b"a"], None]])
def test_a_label_column_of_a_kind_that_names_nothing_is_refused(scene, tmp_path, labels):
    pq.write_table(pa.table({"image": [png(scene(0)), png(scene(1))], "labels": labels}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"labels holds .*, which are no labels"):
        Images.open(tmp_path / "a.parquet")
    assert len(Images.open(tmp_path / "a.parquet", labels="none")) == 2


def test_a_column_name_that_is_no_text_is_refused(scene, tmp_path):
    pq.write_table(pa.table({"image": [png(scene(0))], "species": ["a"]}), tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(data.replace(b"species", b"spe\xffies"))
    with pytest.raises(DataError, match=r"a\.parquet is not a Parquet file that can be read"):
        Images.open(tmp_path / "a.parquet")


@pytest.mark.parametrize("column", ["taken", "label"])
def test_a_moment_that_python_has_no_date_for_is_text(scene, tmp_path, column):
    moments = pa.array([0, 10**14], pa.timestamp("s"))
    pq.write_table(pa.table({"image": [png(scene(0)), png(scene(1))], column: moments}), tmp_path / "a.parquet")
    images = Images.open(tmp_path / "a.parquet")
    texts = images.classes if column == "label" else images.groups["taken"].tolist()
    assert any(text.startswith("1970-01-01") for text in texts)
    assert len(set(texts)) == 2
