"""``diptych explain``: sheets, rows and exit codes."""

from pathlib import Path

from PIL import Image

from tests.cli.conftest import CommandResult, Terminal


def test_explain_writes_a_sheet_and_a_row_for_each_picture(
    diptych: Terminal, fitted: tuple[Path, list[CommandResult]], colours: Path, tmp_path: Path
) -> None:
    model = fitted[0] / "recognizer"
    one, bad = colours / "red" / "003.png", tmp_path / "text.jpg"
    bad.write_text("no picture")
    (tmp_path / "red").mkdir()
    twin = tmp_path / "red" / "003.png"
    twin.write_bytes(one.read_bytes())
    sheet, folder = tmp_path / "deep" / "sheet.png", tmp_path / "sheets"
    single, multiple, labelled, unreadable, one_file_for_two, jpeg, no_class, gan, onto_itself, none = diptych.several(
        ["explain", model, one, "-o", sheet, "--json"],
        ["explain", model, one, bad, twin, "-o", folder, "--json"],
        ["explain", model, one, "-o", sheet, "--label", "green"],
        ["explain", model, bad, "-o", sheet],
        ["explain", model, one, twin, "-o", tmp_path / "many.png"],
        ["explain", model, one, "-o", tmp_path / "sheet.jpg"],
        ["explain", model, one, "-o", sheet, "--label", "blue"],
        ["explain", fitted[0] / "gan", one],
        ["explain", model, twin, "-o", twin],
        ["explain", model, tmp_path / "nothing.png", "-o", sheet],
    )
    assert none.code == 3
    assert "nothing.png is not there" in none.err
    assert single.code == 0, single.err
    row = single.json
    assert row.keys() >= {"path", "label", "confidence", "probabilities", "unknown", "explained", "neighbours", "sheet"}
    assert row["explained"] == row["label"] == "red"
    assert row["sheet"] == str(sheet)
    assert len(row["neighbours"]) == 3
    assert row["neighbours"][0].keys() == {"path", "label", "similarity"}
    assert row["neighbours"][0]["label"] == "red"
    with Image.open(sheet) as image:
        assert image.width > 2 * 320

    assert multiple.code == 4
    first, broken, second = multiple.lines
    assert (first["sheet"], second["sheet"]) == (
        str(folder / "003-explained.png"),
        str(folder / "003-2-explained.png"),
    )
    assert {path.name for path in folder.iterdir()} == {"003-explained.png", "003-2-explained.png"}
    assert broken.keys() == {"path", "error"}

    assert labelled.code == 0
    assert "evidence for green" in labelled.out
    assert labelled.out.count("  similar: ") == 3
    assert unreadable.code == 3
    assert (one_file_for_two.code, jpeg.code, no_class.code) == (2, 2, 2)
    assert "folder" in one_file_for_two.err
    assert "PNG" in jpeg.err
    assert "green, red" in no_class.err
    assert gan.code == 3
    assert onto_itself.code == 2
    assert "the picture to be explained" in onto_itself.err
    assert twin.read_bytes() == one.read_bytes()
