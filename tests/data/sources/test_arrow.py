import io
import json
import shutil

import numpy as np
import pyarrow as pa
import pytest

from diptych.data.images import Images
from diptych.errors import DataError

FEATURES = {"image": {"_type": "Image"}, "breed": {"names": ["pug", "boxer"], "_type": "ClassLabel"}}


@pytest.fixture
def save(scene, tmp_path):
    """Writes a set as save_to_disk does: Arrow streams, state.json and dataset_info.json."""

    def to_disk(name, numbers, described_in_schema=True, shards=2):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        names = [f"data-{k:05}-of-{shards:05}.arrow" for k in range(shards)]
        for k, shard in enumerate(np.array_split(numbers, shards)):
            pictures = [{"bytes": _png(scene(int(i))), "path": None} for i in shard]
            table = pa.table({"image": pictures, "breed": [int(i) % 2 for i in shard], "age": shard})
            if described_in_schema:
                table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": FEATURES}})})
            with pa.OSFile(str(folder / names[k]), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
        (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": n} for n in names]}))
        (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))
        return folder

    return to_disk


def _png(picture):
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("described_in_schema", [True, False])
def test_a_saved_set(save, scene, described_in_schema):
    folder = save("set", range(6), described_in_schema)
    images = Images.open(folder)
    assert images.classes == ("pug", "boxer")
    assert images.labels.tolist() == [0, 1] * 3
    assert images.groups["age"].tolist() == list(range(6))
    assert images.paths[3] == f"{folder}/data-00001-of-00002.arrow#0"
    for i in range(6):
        assert np.array_equal(images.picture(i), np.asarray(scene(i)))


def test_a_dictionary_of_sets_and_in_a_zip(save, tmp_path):
    save("all/train", range(4))
    save("all/test", range(4, 6), shards=1)
    (tmp_path / "all" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    packed = shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path / "all")
    for path in (tmp_path / "all", packed):
        images = Images.open(path)
        assert sorted(images.groups["split"].tolist()) == ["test"] * 2 + ["train"] * 4
        assert images.counts() == {"pug": 3, "boxer": 3}
        assert images.pixels(8).shape[0] == 6


def test_damaged_sets_are_refused(save):
    folder = save("set", range(4))
    shard = folder / "data-00000-of-00002.arrow"
    whole = shard.read_bytes()
    for data in (whole[:200], b"words"):
        shard.write_bytes(data)
        with pytest.raises(DataError, match=r"00000-of-00002\.arrow is not an Arrow file that can be read"):
            Images.open(folder)
    (folder / "state.json").write_text('{"_data_files": [{"filename": "../other.arrow"}]}')
    with pytest.raises(DataError, match=r"state\.json names no data files"):
        Images.open(folder)
    (folder / "state.json").write_text("{")
    with pytest.raises(DataError, match=r"state\.json is not JSON"):
        Images.open(folder)


def test_lengths_that_lead_out_of_the_file_are_refused(tmp_path):
    pictures = pa.Array.from_buffers(
        pa.binary(), 2, [None, pa.py_buffer(np.array([0, 5, 10], "<i4")), pa.py_buffer(b"12345" * 2)]
    )
    table = pa.table({"image": pictures})
    with pa.OSFile(str(tmp_path / "data.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
    assert len(Images.open(tmp_path)) == 2
    data, offsets = (tmp_path / "data.arrow").read_bytes(), np.array([0, 5, 10], "<i4").tobytes()
    assert data.count(offsets) == 1
    (tmp_path / "data.arrow").write_bytes(data.replace(offsets, np.array([0, 5, 2**30], "<i4").tobytes()))
    with pytest.raises(DataError, match=r"data\.arrow is not an Arrow file that can be read"):
        Images.open(tmp_path)
