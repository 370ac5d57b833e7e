"""A balanced set as an ordinary folder of pictures, with the record and the report of how it was made."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from diptych import files, json_reader
from diptych.data.provenance import generated_mask
from diptych.data.sources.own_outputs import BALANCE_RECORD
from diptych.data.writers import file_names, save_images
from diptych.errors import DataError, UsageError
from diptych.interplay.balance import Balance
from diptych.interplay.balance_report import report_json

REPORT = "report.html"


class Answer(Struct):
    """The answer for programs, as far as it is read here."""

    verdict_text: str


class BalanceRecord(Struct):
    """``balance.json``, as far as it is read here."""

    balance: dict[str, Any]
    answer: Answer


def answer_there(folder: Path, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """The answer of an earlier run of the same request, if the folder holds its set; ``None``: it is free.

    Raises
    ------
    UsageError
        It holds anything else.
    """
    record = _record(folder / BALANCE_RECORD)
    if not record and not (folder.exists() and any(folder.iterdir())):
        return None
    if record.get("balance") != json.loads(json.dumps(request)):
        what = "a set that was balanced otherwise" if record else "something else"
        raise UsageError(f"{folder} holds {what}. Name a new or an empty folder with -o.")
    return dict(record["answer"])


def write(result: Balance, folder: Path, request: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """Write pictures, metadata, record and report; the folder is there as a whole or not at all.

    ``names`` are those in the verdict's next step. Returns the answer for programs.
    """
    if result.report.verdict is not None:
        result.report.verdict = result.report.verdict.with_names(**names)
    folder.parent.mkdir(parents=True, exist_ok=True)
    images, answer = result.images, report_json(result.report)
    generated = [name for name, new in zip(file_names(images)[0], generated_mask(images), strict=True) if new]
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        part = Path(temporary, "set")
        save_images(images, part)
        record = {"balance": request, "answer": answer, "generated": generated}
        files.write_text(part / BALANCE_RECORD, files.json_text(record))
        result.report.save(part / REPORT)
        try:
            part.replace(folder)
        except OSError:  # it is no longer empty
            raise UsageError(f"Another command has filled {folder} meanwhile. Name another folder with -o.") from None
    return answer


def _record(path: Path) -> dict[str, Any]:
    """That of an earlier run; empty where there is none, or somebody else's file."""
    try:
        record = json_reader.read(path, dict[str, Any])
        json_reader.convert(record, BalanceRecord)
    except (OSError, DataError):
        return {}
    return record
