"""``diptych explain``: sheets, rows and exit codes."""

from pathlib import Path

from PIL import Image

from tests.cli.conftest import Done, Terminal


def test_explain(diptych: Terminal, fitted: tuple[Path, list[Done]], colours: Path, tmp_path: Path) -> None:
    model = fitted[0] / "recognizer"
    one, bad = colours / "red" / "003.png", tmp_path / "text.jpg"
    bad.write_text("no picture")
    (tmp_path / "red").mkdir()
    twin = tmp_path / "red" / "003.png"
    twin.write_bytes(one.read_bytes())
    sheet, folder = tmp_path / "deep" / "heat.png", tmp_path / "sheets"
    single, several, labelled, none, file_of_many, jpeg, unknown, gan, itself = diptych.several(
        ["explain", model, one, "-o", sheet, "--json"],
        ["explain", model, one, bad, twin, "-o", folder, "--json"],
        ["explain", model, one, "-o", sheet, "--label", "green"],
        ["explain", model, bad, "-o", sheet],
        ["explain", model, one, twin, "-o", tmp_path / "many.png"],
        ["explain", model, one, "-o", tmp_path / "heat.jpg"],
        ["explain", model, one, "-o", sheet, "--label", "blue"],
        ["explain", fitted[0] / "gan", one],
        ["explain", model, twin, "-o", twin],
    )
    assert single.code == 0, single.err
    row = single.json
    assert row.keys() >= {"path", "label", "confidence", "probabilities", "unknown", "explained", "neighbours", "sheet"}
    assert row["explained"] == row["label"] == "red"
    assert row["sheet"] == str(sheet)
    assert len(row["neighbours"]) == 3
    assert row["neighbours"][0].keys() == {"path", "label", "similarity"}
    assert row["neighbours"][0]["label"] == "red"
    with Image.open(sheet) as drawn:
        assert drawn.width > 2 * 320

    assert several.code == 4
    first, broken, second = several.lines
    assert (first["sheet"], second["sheet"]) == (
        str(folder / "003-explained.png"),
        str(folder / "003-2-explained.png"),
    )
    assert {path.name for path in folder.iterdir()} == {"003-explained.png", "003-2-explained.png"}
    assert broken.keys() == {"path", "error"}

    assert labelled.code == 0
    assert "what speaks for green" in labelled.out
    assert labelled.out.count("  like ") == 3
    assert none.code == 3
    assert (file_of_many.code, jpeg.code, unknown.code) == (2, 2, 2)
    assert "folder" in file_of_many.err
    assert "PNG" in jpeg.err
    assert "green, red" in unknown.err
    assert gan.code == 3
    assert itself.code == 2
    assert "the picture to be explained" in itself.err
    assert twin.read_bytes() == one.read_bytes()
