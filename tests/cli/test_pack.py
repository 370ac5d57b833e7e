"""``diptych pack``: what it says, and that the other verbs take its folder."""

from pathlib import Path

import pytest

from tests.cli.conftest import Terminal


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_shards_are_told_of_and_taken_by_the_other_verbs(
    diptych: Terminal, colours: Path, tmp_path: Path, kind: str
) -> None:
    shards = tmp_path / "shards"
    packed, as_json, model, shown = diptych.several(
        ["pack", colours, "-o", shards, "--format", kind],
        ["pack", colours, "-o", tmp_path / "again", "--format", kind, "--json"],
        ["fit", "recognizer", shards, "-o", tmp_path / "m", "--network", "convnet", "--epochs", 1],
        ["predict", tmp_path / "m", shards, "--json"],
    )
    pictures = len(list(colours.rglob("*.png")))
    assert packed.code == 0, packed.err
    assert packed.out.startswith(f"{pictures} pictures in {shards}: 1 shard, ")
    assert f"Next: diptych fit recognizer {shards} -o models/NAME" in packed.err
    assert {name: as_json.json[name] for name in ("pictures", "shards", "skipped")} == {
        "pictures": pictures,
        "shards": 1,
        "skipped": [],
    }
    assert model.code == 0, model.err
    assert len(shown.lines) == pictures, shown.err


def test_what_cannot_be_packed_is_said_before_a_shard_is_written(
    diptych: Terminal, colours: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    other, occupied, missing = diptych.several(
        ["pack", colours, "-o", tmp_path / "shards", "--format", "zip"],
        ["pack", colours, "-o", tmp_path / "mine"],
        ["pack", tmp_path / "nothing", "-o", tmp_path / "shards"],
    )
    assert other.code == 2, other.err
    assert "tar" in other.err and "parquet" in other.err  # noqa: PT018 - one sentence
    assert occupied.code == 2, occupied.err
    assert str(tmp_path / "mine") in occupied.err
    assert missing.code in (2, 3), missing.err
    assert not (tmp_path / "shards").exists()
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
