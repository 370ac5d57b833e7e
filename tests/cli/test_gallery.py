"""``diptych enroll``, ``match`` and ``gallery`` in real processes."""

from pathlib import Path

import pyarrow.parquet as pq

from tests.cli.conftest import CommandResult, Terminal


def test_a_gallery_from_its_first_picture_to_its_last(
    diptych: Terminal, fitted: tuple[Path, list[CommandResult]], colours: Path, tmp_path: Path
) -> None:
    recognizer, gallery = fitted[0] / "recognizer", tmp_path / "gallery"
    red, green = colours / "red", colours / "green"
    added, again, listed, matched, filtered, pair, evaluated = diptych.several(
        ["enroll", gallery, colours, "--recognizer", recognizer, "--json"],
        ["enroll", gallery, red, "--as", "red", "--adapt"],
        ["gallery", "list", gallery, "--json"],
        ["match", gallery, red / "000.png", green / "000.png", tmp_path / "missing.png"],
        ["match", gallery, red / "000.png", "-k", 3, "--where", "label=green", "--json"],
        ["match", gallery, "--pair", red / "000.png", green / "001.png", "--json"],
        ["evaluate", gallery, colours],
    )
    assert added.json["added"] == 48
    assert added.json["labels"] == {"green": 24, "red": 24}
    assert f"0 pictures added, 24 were there already or came twice: {gallery} has 48 pictures of 2 labels" in again.out
    assert "adapter" in again.out
    assert f"Next: diptych match {gallery} PICTURE" in again.err
    assert listed.json["pictures"] == 48
    assert matched.code == 4
    header, *rows = [line.split("\t") for line in matched.out.splitlines()]
    assert header == ["path", "label", "vote", "distance", "nearest", "note"]
    assert [row[1] for row in rows[:2]] == ["red", "green"]
    assert rows[0][4] == str(red / "000.png")
    assert "no such file" in rows[2][-1].lower() or "not there" in rows[2][-1]
    assert {near["label"] for near in filtered.json["nearest"]} == {"green"}
    assert pair.json["same"] is False
    assert evaluated.code == 3
    assert "in the gallery" in evaluated.err


def test_upkeep_of_a_gallery(
    diptych: Terminal, fitted: tuple[Path, list[CommandResult]], colours: Path, tmp_path: Path
) -> None:
    recognizer, gallery = fitted[0] / "recognizer", tmp_path / "gallery"
    table, sheet = tmp_path / "all.parquet", tmp_path / "all.csv"
    results = diptych.several(
        ["enroll", gallery, colours, "--recognizer", recognizer, "-q"],
        ["gallery", "rename", gallery, "red", "rouge"],
        ["gallery", "list", gallery, "--label", "rouge", "--json"],
        ["gallery", "merge", gallery, "rouge", "green", "--json"],
        ["gallery", "rebuild", gallery, "--recognizer", recognizer],
        ["gallery", "export", gallery, "-o", table],
        ["gallery", "export", gallery, "-o", sheet],
        ["gallery", "remove", gallery],
        ["gallery", "remove", gallery, "--label", "blue"],
        ["gallery", "remove", gallery, "--label", "green"],
        ["match", gallery, colours / "red" / "000.png", "--json"],
        ["match", recognizer, colours / "red" / "000.png"],
        ["predict", gallery, colours / "red" / "000.png"],
    )
    assert [result.code for result in results] == [0, 0, 0, 0, 0, 0, 0, 2, 2, 0, 0, 3, 3]
    assert len(results[2].lines) == 24
    assert results[3].json == {"relabelled": 24}
    assert pq.read_table(table).num_rows == 48
    assert len(sheet.read_text().splitlines()) == 49
    assert results[8].err.startswith("Error: The gallery has no label blue.")
    assert results[9].out == "48 pictures removed\n"
    assert results[10].json["label"] is None
    assert "a gallery, as diptych enroll makes it" in results[11].err
    assert "holds a gallery" in results[12].err


def test_an_unlabelled_folder_and_a_foreign_folder_are_refused(
    diptych: Terminal, colours: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    unlabelled, foreign, negative, absent = diptych.several(
        ["enroll", tmp_path / "gallery", colours, "--labels", "none"],
        ["enroll", tmp_path, colours],
        ["match", tmp_path / "gallery", colours / "red" / "000.png", "--far", "2"],
        ["match", tmp_path / "gallery", "nwe"],
    )
    assert unlabelled.code == 3
    assert "--as" in unlabelled.err
    assert not (tmp_path / "gallery").exists()
    assert foreign.code == 2
    assert "not a model" in foreign.err
    assert negative.code == 2
    assert absent.code == 3
    assert "nwe is not there" in absent.err
