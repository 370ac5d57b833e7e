"""``diptych cache``: what is kept, and what clearing it frees."""

import os
import time
from pathlib import Path

from tests.cli.conftest import Terminal


def test_what_is_kept_is_shown_and_cleared(diptych: Terminal, tmp_path: Path) -> None:
    home = tmp_path / "diptych"
    for name, size, days in (("features/k/a.safetensors", 2_500_000, 3), ("rates/r.json", 40, 0), ("mine.txt", 5, 0)):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
        os.utime(path, (time.time() - days * 86_400 - 60,) * 2)
    kept = tmp_path / "kept.safetensors"  # a link is deleted, and not what it leads to
    kept.write_bytes(b"weights")
    (home / "backbones").mkdir()
    (home / "backbones" / "lite0.safetensors").symlink_to(kept)
    environment = {"XDG_CACHE_HOME": str(tmp_path)}

    shown = diptych("cache", **environment)
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    assert lines[0] == f"{home}: 2.5 MB"
    assert lines[1].split()[:8] == ["features", "2.5", "MB", "1", "file", "last", "used", "3"]
    assert "today" in lines[3]
    assert "0 files" in lines[4]
    assert shown.err.splitlines()[-1] == "Next: diptych cache --clear"

    as_json = diptych("cache", "--json", **environment).json
    assert as_json["folder"] == str(home)
    assert as_json["kinds"]["features"] == {"files": 1, "bytes": 2_500_000, "last_used_days_ago": 3.0}
    assert as_json["kinds"]["cifar10"] == {"files": 0, "bytes": 0, "last_used_days_ago": None}

    cleared = diptych("cache", "--clear", **environment)
    assert cleared.out.startswith("Freed 2.5 MB: 3 files in ")
    assert [path.name for path in home.rglob("*") if path.is_file()] == ["mine.txt"]
    assert kept.read_bytes() == b"weights"
    again = diptych("cache", "--clear", **environment)
    assert (again.code, again.out) == (0, f"Freed 0 bytes: 0 files in {home}\n")
