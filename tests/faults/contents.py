"""What the files of a command say, without what differs from run to run: measured seconds, random names."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lancedb

TABLE = ".lance"  # ends the name of a folder of LanceDB, whose files have random names and may be of no use any more
TABLE_NAME = re.compile(r"pictures-[0-9a-f]{16}-[0-9a-f]{8}")
MEASURED = ("seconds",)  # keys of JSON
BY_CLOCK = ("scores",)  # of a history: between the first and the last, a model is scored as often as time allows


def digests(below: Path) -> dict[str, str]:
    """The digests of all files by name, but for what is hidden and for caches; a gallery's table is one file."""
    shown = [path for path in below.rglob("*") if not _is_hidden(path.relative_to(below))]
    tables = [path for path in shown if path.suffix == TABLE and path.is_dir()]
    files = [path for path in shown if path.is_file() and not any(table in path.parents for table in tables)]
    return {str(path.relative_to(below)): _digest(_content(path)) for path in files} | dict(_of_tables(below, tables))


def changed_keys(path: Path, expected: Path) -> list[str]:
    """The keys whose values differ in two files of JSON, joined with dots; none for other files."""
    if path.suffix != ".json":
        return []
    there, before = (_flat(json.loads(_content(one))) for one in (path, expected))
    return sorted(key for key in there.keys() | before.keys() if there.get(key) != before.get(key))


def _is_hidden(path: Path) -> bool:
    return path.parts[0] in ("cache", "keys") or any(part.startswith(".") for part in path.parts)


def _of_tables(below: Path, tables: list[Path]) -> Iterator[tuple[str, str]]:
    """A table in use by its rows; one that no gallery names any more is a file that a command has left."""
    for number, table in enumerate(sorted(tables)):
        gallery = table.parents[1]
        in_use = table.stem.encode() in (gallery / "model.json").read_bytes()
        name = f"{gallery.relative_to(below)}/table" + ("" if in_use else f" without a use, {number}")
        yield name, _digest(_rows(table)) if in_use else ""


def _rows(table: Path) -> bytes:
    try:
        return repr(lancedb.connect(table.parent).open_table(table.stem).to_arrow().to_pydict()).encode()
    except Exception:  # of many kinds, where a file is damaged
        return b"damaged"


def _content(path: Path) -> bytes:
    """The bytes of a file; of JSON, without what was measured and with one name for every table; of a page, none."""
    if path.suffix == ".html":  # it shows seconds, and curves by the clock
        return b""
    content = path.read_bytes()
    if path.suffix not in (".json", ".jsonl"):
        return content
    try:
        values = [json.loads(part) for part in ([content] if path.suffix == ".json" else content.splitlines())]
    except ValueError:  # damaged
        return content
    leave = MEASURED if path.suffix == ".json" else MEASURED + BY_CLOCK
    return "\n".join(TABLE_NAME.sub("pictures", json.dumps(_unmeasured(value, leave))) for value in values).encode()


def _unmeasured(value: Any, leave: tuple[str, ...]) -> Any:
    """A value without these keys."""
    if isinstance(value, dict):
        return {key: _unmeasured(inner, leave) for key, inner in value.items() if key not in leave}
    return [_unmeasured(inner, leave) for inner in value] if isinstance(value, list) else value


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {key: value}
    return {k: v for name, inner in value.items() for k, v in _flat(inner, f"{key}.{name}".lstrip(".")).items()}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
