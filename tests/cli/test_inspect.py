"""``diptych inspect``, and ``diptych fit`` and ``evaluate`` with the manifest that it writes."""

import csv
import shutil
from pathlib import Path

from PIL import Image, ImageOps

from tests.cli.conftest import CommandResult, Terminal, folder, picture


def test_copies_across_two_folders_are_printed_listed_and_drawn(
    diptych: Terminal, colours: Path, tmp_path: Path
) -> None:
    other = folder(tmp_path / "other", {"blue": 3})
    with Image.open(colours / "red" / "004.png") as one:
        ImageOps.mirror(one).save(other / "blue" / "copy.png")
    inspected, twice = diptych.several(
        ["inspect", colours, other, "--json", "-o", tmp_path / "page.html"], ["inspect", colours, colours]
    )
    assert inspected.code == 0
    assert inspected.json["facts"]["copies_across_folders"] == 1
    [clash, _] = [issue for issue in inspected.json["issues"] if issue["kind"] == "copies with different labels"]
    assert {Path(clash["path"]).name, Path(clash["other"]).name} == {"004.png", "copy.png"}
    assert "Copies across folders" in (tmp_path / "page.html").read_text()
    assert any("--minutes 10" in finding for finding in inspected.json["findings"])
    assert twice.code == 2
    assert "named twice" in twice.err


def test_fit_takes_the_manifest_that_inspect_writes(diptych: Terminal, colours: Path, tmp_path: Path) -> None:
    photos = Path(shutil.copytree(colours, tmp_path / "photos"))
    shutil.copy(photos / "red" / "000.png", photos / "red" / "copy.png")
    manifest = tmp_path / "photos.csv"
    [written] = diptych.several(["inspect", photos, "--manifest", manifest])
    assert written.code == 0
    rows = list(csv.DictReader(manifest.read_text().splitlines()))
    assert [Path(row["path"]).name for row in rows if row["action"] == "exclude"] == ["copy.png"]
    rows[0]["label"] = "green"
    with manifest.open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0].keys())
        table.writeheader()
        table.writerows(rows)
    fit = ["--epochs", 1, "--json", "--manifest"]
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(f"path,action\n{rows[0]['path']},drop\n")
    recognizer, gan, refused, again = diptych.several(
        ["fit", "recognizer", photos, "--network", "convnet", "-o", tmp_path / "model", *fit, manifest],
        ["fit", "gan", photos, "--size", 16, "-o", tmp_path / "gan", *fit, manifest],
        ["fit", "recognizer", photos, "-o", tmp_path / "none", *fit, wrong],
        ["inspect", photos, "--manifest", manifest],
    )
    assert (recognizer.code, gan.code, refused.code, again.code) == (0, 0, 3, 2)
    assert "may have been edited" in again.err
    assert "green" in manifest.read_text()
    assert "excludes 1 picture." in recognizer.err
    held_out = [row for row in rows if row["split"] == "validation"]
    assert recognizer.json["scores"]["accuracy"]["n"] == len(held_out)
    assert "line 2" in refused.err
    assert "drop" in refused.err
    assert len(list((photos / "red").iterdir())) == 25


def test_evaluate_scores_the_test_part_of_a_manifest(
    diptych: Terminal, fitted: tuple[Path, list[CommandResult]], tmp_path: Path
) -> None:
    photos = folder(tmp_path / "photos", {"green": 12, "red": 12})
    picture("green", 99).save(photos / "red" / "wrong.png")
    (photos / "red" / "torn.png").write_text("no picture")
    manifest, proposed = tmp_path / "photos.csv", tmp_path / "proposed.csv"
    with manifest.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "split", "action"])
        for name in ("green", "red"):
            for path in sorted((photos / name).iterdir()):
                part = "train" if path.stem < "005" else "test"
                action = "exclude" if (name, path.stem) == ("green", "011") else "keep"
                table.writerow([path, "green" if path.stem == "wrong" else name, part, action])
    model = fitted[0] / "recognizer"
    test_part, everything, written, without_test_part = diptych.several(
        ["evaluate", model, photos, "--manifest", manifest, "--json"],
        ["evaluate", model, photos, "--json"],
        ["inspect", photos, "--manifest", proposed],
        ["evaluate", model, photos, "--manifest", proposed, "--json"],
    )
    assert (test_part.code, everything.code, written.code, without_test_part.code) == (4, 4, 0, 0)
    assert test_part.json["n"] == 6 + 7 + 1  # green without the excluded one, red, and the one with a new label
    assert [test_part.json["per_class"][name]["pictures"] for name in ("green", "red")] == [7, 7]
    assert test_part.json["accuracy"]["value"] == 1
    assert everything.json["n"] == 25
    assert everything.json["accuracy"]["value"] < 1
    assert without_test_part.json["n"] == 25
    assert "no test part" in without_test_part.err  # inspect proposes none


def test_a_model_finds_label_errors(
    diptych: Terminal, fitted: tuple[Path, list[CommandResult]], tmp_path: Path
) -> None:
    photos = folder(tmp_path / "photos", {"green": 12, "red": 12})
    picture("green", 99).save(photos / "red" / "wrong.png")
    model = fitted[0] / "recognizer"
    with_model, both, wrong_kind = diptych.several(
        ["inspect", photos, "--model", model, "--json"],
        ["inspect", photos, "--model", model, "--minutes", 1],
        ["inspect", photos, "--model", fitted[0] / "gan"],
    )
    assert with_model.code == 0
    [first, *_] = [issue for issue in with_model.json["issues"] if issue["kind"] == "label error"]
    assert Path(first["path"]).name == "wrong.png"
    assert (first["suggested"], first["action"]) == ("green", "review")
    assert (both.code, wrong_kind.code) == (2, 2)
    assert "is not a recognizer" in wrong_kind.err
