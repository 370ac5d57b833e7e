"""Folders with bad files: every unreadable file is named with its reason, every other one is used, upright."""

import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Terminal, folder, picture

BAD = {"cut.jpg", "zero.png", "text.jpg", "huge.png"}


def _png_header(width: int, height: int) -> bytes:
    """A PNG whose header says ``width`` × ``height`` and that has almost no data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.fixture
def nasty(tmp_path: Path) -> Path:
    root = folder(tmp_path / "nasty", {"red": 14, "green": 14})
    red, green = root / "red", root / "green"
    picture("red", 1, 64).save(red / "whole.jpg", quality=95)
    data = (red / "whole.jpg").read_bytes()
    (red / "cut.jpg").write_bytes(data[: len(data) // 2])
    (red / "zero.png").touch()
    (red / "text.jpg").write_text("this is no picture")
    (green / "huge.png").write_bytes(_png_header(20_000, 20_000))
    picture("green", 2).convert("CMYK").save(green / "cmyk.jpg", quality=95)
    picture("green", 3).quantize(16).save(green / "palette.png")
    Image.fromarray(np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)).save(green / "deep.png")
    picture("red", 4).convert("RGBA").save(red / "alpha.png")
    frames = [picture("red", 5), picture("green", 5)]
    frames[0].save(red / "moving.gif", save_all=True, append_images=frames[1:])
    exif = Image.Exif()
    exif[0x0112] = 6
    picture("red", 6).save(red / "turned.jpg", exif=exif)
    picture("green", 7, 1).save(green / "pixel.png")
    odd = Path(os.fsdecode(os.fsencode(green) + b"/caf\xe9.png"))
    picture("green", 8).save(odd)
    (root / ".hidden").mkdir()
    picture("green", 9).save(root / ".hidden" / "secret.png")
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "blue").mkdir()
    return root


def test_a_folder_with_bad_files_trains_and_predicts(diptych: Terminal, nasty: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    fit = ["fit", "recognizer", nasty, "-o", model, "--network", "convnet", "--epochs", 10, "--size", 16]
    fitted, again, predicted, evaluated, flow, inspected = diptych.several(
        [*fit, "--json"],
        [*fit, "--json"],
        ["predict", model, nasty, "--json"],
        ["evaluate", model, nasty, "--json"],
        ["fit", "flow", nasty, "-o", tmp_path / "flow", "--epochs", 1, "--size", 8],
        ["inspect", nasty, "--json"],
    )
    assert (fitted.code, again.code) == (4, 4), fitted.err
    assert fitted.json["classes"] == ["green", "red"]
    assert fitted.json["left_out"] == again.json["left_out"] == len(BAD)
    assert fitted.json["scores"]["accuracy"]["value"] > 0.7
    for result in (fitted, again, evaluated, flow):
        assert "Traceback" not in result.err
        assert result.code == 4, result
        for name in (*BAD, "loop"):
            reasons = [line for line in result.err.splitlines() if "left out" in line.lower() and f"/{name}: " in line]
            assert len(reasons) == 1, (name, result.err)  # once, and not again at the end
    assert "blue" in fitted.err  # the empty class is reported

    assert predicted.code == 4
    paths = [row["path"] for row in predicted.lines]
    assert len(paths) == 28 + 1 + 4 + 8
    assert {Path(row["path"]).name for row in predicted.lines if "error" in row} == BAD
    assert not any("secret" in path or "loop" in path for path in paths)
    assert any("caf\\xe9" in path for path in paths)
    held_out = json.loads((model / "data.json").read_text(encoding="utf-8"))["validation"]["pictures"]
    assert evaluated.json["n"] == len(held_out) > 0
    assert inspected.code == 0
