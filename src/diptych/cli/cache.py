"""``diptych cache``: what is kept on disk to save time, and its removal."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from diptych.cli import console
from diptych.cli.options import SETTINGS, Config, Json, Quiet
from diptych.data.messages import counted
from diptych.files import cache_folder

KINDS = {  # by their folder in the cache
    "features": "features of pictures, by pretrained backbones",
    "backbones": "the built-in weights, converted",
    "rates": "measured rates of this machine",
    "cifar10": "CIFAR-10, downloaded",
    "jobs": "results of jobs on a cluster, of commands that are not done",
}
DAY = 24 * 3600


@dataclass(frozen=True)
class Contents:
    """The files of one kind in the cache."""

    paths: list[Path]
    bytes: int
    last_used: float  # seconds since 1970; 0 if there are none

    @classmethod
    def of(cls, folder: Path) -> "Contents":
        """What ``folder`` holds; another process may delete from it meanwhile."""
        paths, sizes, times = [], 0, [0.0]
        for path in folder.rglob("*"):
            try:
                status = path.lstat()
            except OSError:
                continue
            if not path.is_dir() or path.is_symlink():
                paths.append(path)
                sizes += status.st_size
                times.append(status.st_mtime)
        return cls(paths, sizes, max(times))

    def json(self) -> dict[str, Any]:
        """``{"files", "bytes", "last_used"}``, the last as days ago."""
        days = round((time.time() - self.last_used) / DAY, 2) if self.paths else None
        return {"files": len(self.paths), "bytes": self.bytes, "last_used_days_ago": days}


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Delete it; it is made again when needed.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Show what is kept on disk to save time (features, converted weights, rates), or delete it.

    Example: diptych cache --clear

    The folder is $XDG_CACHE_HOME/diptych, or ~/.cache/diptych. Models and pictures of yours are never in it.
    """
    folder = cache_folder()
    contents = {kind: Contents.of(folder / kind) for kind in KINDS}
    total = sum(content.bytes for content in contents.values())
    files = sum(len(content.paths) for content in contents.values())
    if clear:
        for content in contents.values():
            for path in content.paths:
                path.unlink(missing_ok=True)
        freed = {"folder": str(folder), "freed_bytes": total, "files": files}
        text = f"Freed {size_text(total)}: {counted(files, 'file')} in {folder}"
        console.print_json(freed) if json else console.print_text(text)
        return
    if json:
        kinds = {kind: content.json() for kind, content in contents.items()}
        console.print_json({"folder": str(folder), "bytes": total, "kinds": kinds})
        return
    lines = [f"{folder}: {size_text(total)}"]
    lines += [
        f"  {kind:<10} {size_text(content.bytes):>8}  {counted(len(content.paths), 'file'):>12}"
        f"  {age_text(content)}  {KINDS[kind]}"
        for kind, content in contents.items()
    ]
    console.print_text(*lines)
    if files:
        console.suggest("cache", "--clear")


def size_text(count: int) -> str:
    """A number of bytes: "12.4 MB"."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return counted(count, "byte")


def age_text(content: Contents) -> str:
    """When a kind was last used."""
    if not content.paths:
        return f"{'':<22}"
    days = (time.time() - content.last_used) / DAY
    words = "today" if days < 1 else f"{counted(int(days), 'day')} ago"
    return f"{f'last used {words}':<22}"


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS, short_help="Show or delete what is kept on disk to save time.")(cache)
