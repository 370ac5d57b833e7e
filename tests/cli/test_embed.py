"""``diptych embed`` in real processes."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from diptych import load
from diptych.data.images import Images
from tests.cli.conftest import CommandResult, Terminal


def test_a_recognizer_and_a_backbone_embed_a_folder(
    diptych: Terminal, fitted: tuple[Path, list[CommandResult]], colours: Path, tmp_path: Path
) -> None:
    model, table, arrays = fitted[0] / "recognizer", tmp_path / "a" / "colours.parquet", tmp_path / "colours.npz"
    by_recognizer, by_backbone, wrong_suffix, no_model = diptych.several(
        ["embed", model, colours, "-o", table, "--json"],
        ["embed", "lite0", colours, "-o", arrays],
        ["embed", model, colours, "-o", tmp_path / "colours.txt"],
        ["embed", tmp_path / "nothing", colours, "-o", table],
    )
    assert by_recognizer.code == by_backbone.code == 0, (by_recognizer.err, by_backbone.err)
    images = Images.open(colours)
    rows = pq.read_table(table)
    assert rows["path"].to_pylist() == images.paths.tolist()
    assert rows["label"].to_pylist() == [images.classes[i] for i in images.labels]
    embeddings = np.array(rows["embedding"].to_pylist(), np.float32)
    assert np.allclose(embeddings, load(model).embed(images), atol=1e-5)
    assert json.loads(rows.schema.metadata[b"diptych_embedder"]) == by_recognizer.json["embedder"]
    assert by_recognizer.json["pictures"] == len(images)
    assert by_recognizer.json["dimensions"] == embeddings.shape[1]
    with np.load(arrays) as file:
        assert file["embedding"].shape == (len(images), 1280)
        assert np.allclose(np.linalg.norm(file["embedding"], axis=1), 1, atol=1e-5)
        assert json.loads(str(file["embedder"]))["name"] == "lite0"
    assert (wrong_suffix.code, no_model.code) == (2, 3)
    assert ".parquet or .npz" in wrong_suffix.err


def test_a_picture_that_cannot_be_read_is_named_and_left_out(
    diptych: Terminal, fitted: tuple[Path, list[CommandResult]], tmp_path: Path
) -> None:
    from tests.cli.conftest import folder

    photos = folder(tmp_path / "photos", {"green": 3, "red": 3})
    (photos / "red" / "001.png").write_bytes((photos / "red" / "001.png").read_bytes()[:60])
    (result,) = diptych.several(
        ["embed", fitted[0] / "recognizer", photos, "-o", tmp_path / "photos.parquet", "--json"]
    )
    assert result.code == 4
    assert "001.png" in result.err
    assert result.json["pictures"] == 5
    assert len(pq.read_table(tmp_path / "photos.parquet")) == 5
