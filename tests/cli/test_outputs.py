"""Where results go is checked before any picture is read."""

from pathlib import Path

import pytest

from tests.cli.conftest import CommandResult, Terminal

Fitted = tuple[Path, list[CommandResult]]


@pytest.mark.parametrize("kind", ["below a file", "proc"])
def test_a_place_that_cannot_be_written_to_is_refused_before_the_pictures_are_read(
    diptych: Terminal, fitted: Fitted, tmp_path: Path, kind: str
) -> None:
    recognizer, gan, absent = fitted[0] / "recognizer", fitted[0] / "gan", tmp_path / "no-pictures"
    (tmp_path / "file").write_text("mine")
    bad = Path("/proc/m") if kind == "proc" else tmp_path / "file" / "m"
    commands = {
        "fit": ["fit", "recognizer", absent, "-o", bad],
        "tune": ["tune", gan, absent, "-o", bad],
        "inspect": ["inspect", absent, "-o", bad / "page.html"],
        "manifest": ["inspect", absent, "--manifest", bad / "table.csv"],
        "predict": ["predict", recognizer, absent, "-o", bad / "rows.csv"],
        "evaluate": ["evaluate", recognizer, absent, "-o", bad / "page.html"],
        "explain": ["explain", recognizer, absent, "-o", bad],
        "embed": ["embed", recognizer, absent, "-o", bad / "vectors.npz"],
        "export": ["export", recognizer, "-o", bad / "file.onnx", "--check", absent],
        "sample": ["sample", gan, "-o", bad],
        "sample to a file": ["sample", gan, "-o", bad / "samples.npz"],
        "edit": ["edit", "reconstruct", gan, absent, "-o", bad],
        "score": ["score", gan, "--against", absent, "-o", bad / "page.html"],
        "demo": ["demo", "-o", bad],
    }
    for name, result in zip(commands, diptych.several(*commands.values()), strict=True):
        assert result.code == 2, (name, result.err)
        assert "Name another folder" in result.err or "a folder. Name a file" in result.err, (name, result.err)
        assert str(absent) not in result.err, (name, result.err)
    assert (tmp_path / "file").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"file"}
