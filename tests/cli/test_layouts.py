"""Every layout that people have trains by ``diptych fit recognizer FOLDER``, or with the one option that is named."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Terminal, picture

KINDS = ("red", "green")
N = 24  # pictures, half of them of each kind


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Files of two kinds of pictures in turns, to be laid out."""
    (tmp_path / "originals").mkdir()
    paths = [tmp_path / "originals" / f"{i}.png" for i in range(N)]
    for i, path in enumerate(paths):
        picture(KINDS[i % 2], i).save(path)
    return paths


def lay_out(folder: Path, pictures: Sequence[Path], name: str) -> Path:
    """Copy the pictures to ``name`` of ``folder``, with {i} for the number and {kind} for the label of each."""
    for i, path in enumerate(pictures):
        target = folder / name.format(i=i, kind=KINDS[i % 2], part="test" if i % 6 > 3 else "train")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return folder


def table(header: str, row: str) -> str:
    rows = [row.format(i=i, kind=KINDS[i % 2], red=1.0 - i % 2, green=float(i % 2), half=i // 12) for i in range(N)]
    return "\n".join([header, *rows, ""])


def parquet(pictures: Sequence[Path], *labels: str) -> pa.Table:
    """A table as Hugging Face writes it, with these columns of class labels."""
    class_label = {"names": list(KINDS), "_type": "ClassLabel"}
    features = {"image": {"_type": "Image"}, **dict.fromkeys(labels, class_label)}
    columns = {"image": [{"bytes": path.read_bytes(), "path": None} for path in pictures]}
    columns |= {name: [i % 2 for i in range(N)] for name in labels}
    return pa.table(columns).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def test_each_layout_trains(diptych: Terminal, pictures: list[Path], tmp_path: Path) -> None:
    lay_out(tmp_path / "parts", pictures, "{part}/{kind}_{i:03}.jpg")
    lay_out(tmp_path / "wrapped", pictures, "archive/Images/{kind}/{i}.jpg")
    lay_out(tmp_path / "onehot", pictures, "ISIC_{i}.jpg")
    (tmp_path / "onehot" / "truth.csv").write_text(table("image,red,green", "ISIC_{i},{red},{green}"))
    shutil.make_archive(str(tmp_path / "outer" / "pictures"), "zip", tmp_path / "parts")
    shutil.make_archive(str(tmp_path / "nested"), "zip", tmp_path / "outer")
    (tmp_path / "saved").mkdir()
    arrow = parquet(pictures, "kind")
    shard = str(tmp_path / "saved" / "data-00000-of-00001.arrow")
    with pa.OSFile(shard, "wb") as sink, pa.ipc.new_stream(sink, arrow.schema) as writer:
        writer.write_table(arrow)
    (tmp_path / "saved" / "state.json").write_text('{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}')
    evidence = {
        "parts": "train 16 pictures of 2 classes, test 8 pictures of 2 classes. Labels from the file names",
        "wrapped": "Labels from the folder names: green 12, red 12",
        "onehot": "Labels from 2 columns of 0 and 1 (red to green) of truth.csv: green 12, red 12",
        "nested.zip": "train 16 pictures of 2 classes, test 8 pictures of 2 classes. Labels from the file names",
        "saved": "Labels from the column kind: red 12, green 12",
    }
    options = ["--network", "convnet", "--size", 8, "--epochs", 0.1, "--json"]
    commands = [["fit", "recognizer", tmp_path / name, "-o", tmp_path / "m" / name, *options] for name in evidence]
    for name, result in zip(evidence, diptych.several(*commands), strict=True):
        assert result.code == 0, (name, result.err)
        assert evidence[name] in result.err
        assert sorted(result.json["classes"]) == ["green", "red"]


def test_two_readings_are_refused_with_the_option_that_chooses(
    diptych: Terminal, pictures: list[Path], tmp_path: Path
) -> None:
    folder = lay_out(tmp_path / "folders", pictures, "{kind}/{i}.jpg")
    (folder / "sides.csv").write_text(table("file,category", "{i}.jpg,h{half}"))
    pq.write_table(parquet(pictures, "fine_label", "coarse_label"), tmp_path / "two.parquet")
    cells = lay_out(tmp_path / "cells", pictures, "{i}.jpg")
    (cells / "tags.csv").write_text(table("file,tags", "{i},{kind} h{half}").replace("red h0", "red", 1))
    fit = ["fit", "recognizer", "--network", "convnet", "--size", 8, "--epochs", 0.1, "--json"]
    model = tmp_path / "m"
    refused = diptych.several(
        [*fit, folder, "-o", model], [*fit, tmp_path / "two.parquet", "-o", model], [*fit, cells, "-o", model],
        [*fit, folder, "-o", model, "--labels", "none"], [*fit, folder, "-o", model, "--labels", "gone.csv"],
    )  # fmt: skip
    assert [result.code for result in refused] == [3, 3, 3, 3, 2]
    both = "from the folder names (green 12, red 12) or from the column category of sides.csv (h0 12, h1 12)"
    assert both in refused[0].err
    assert "--labels folders or --labels sides.csv:category" in refused[0].err
    assert "fine_label (2 classes) or coarse_label (2 classes). Choose with --labels fine_label" in refused[1].err
    assert 'tags.csv, line 3: "green h0"' in refused[2].err
    assert 'write "green|h0"' in refused[2].err
    assert "no labels. Say where they are" in refused[3].err
    assert "Tables there: sides.csv" in refused[4].err
    assert not model.exists()
    chosen = diptych.several(
        [*fit, folder, "-o", tmp_path / "a", "--labels", "sides.csv:category"],
        ["evaluate", tmp_path / "a", folder, "--labels", "category", "--json"],
        ["predict", tmp_path / "a", tmp_path / "two.parquet", "--json"],
    )
    assert [result.code for result in chosen] == [0, 0, 0], [result.err for result in chosen]
    assert chosen[0].json["classes"] == ["h0", "h1"]
    assert 0 < chosen[1].json["n"] < N  # those that were not trained on
    assert len(chosen[2].lines) == N
