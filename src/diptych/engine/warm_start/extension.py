"""Training a finished model further: a run in a folder of its own, beside the model until it is over.

::

    models/pets/            the finished model; it can be loaded all the while
      extension/
        checkpoint/         of the further run, as of any run
        history.jsonl

The result is the extended model where it does better on the held-out pictures, else the model as it was. It is saved
first; then the run's history is added to the model's, and the folder is deleted. A kill before the model is saved is
resumed by the same command, and so is one after it: the folder says which extension it belongs to.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diptych import artefact, files
from diptych.engine import checkpoint, machine
from diptych.engine.distributed import ProcessGroup, is_leader
from diptych.engine.history import FILE, Record, read
from diptych.errors import UsageError
from diptych.escaping import for_markdown
from diptych.report import Score, Table
from diptych.report.markdown import with_section

log = logging.getLogger("diptych")
FOLDER, SAMPLES, CAPTION = "extension", "samples", "Extensions"
UNCHANGED = "unchanged"  # the result of an extension that is no better than the model
# Of the longer run that the extension is the end of, at most so much counts as done: of less learning rate than is left
# then, a further run learns next to nothing.
MAX_SCHEDULE_START = 0.7


@dataclass(frozen=True)
class Comparison:
    """The measure that decided between a model and its extension, on held-out pictures."""

    measure: str
    before: Score
    after: Score
    better: bool


@dataclass(frozen=True)
class Extension:
    """A further run of a finished model.

    Attributes
    ----------
    model_folder
        The model's; ``None``: it is in memory only.
    facts
        Its ``model.json``.
    minutes
        The further run's time budget.
    """

    model_folder: Path | None
    facts: Mapping[str, Any]
    minutes: float

    @classmethod
    def begin(
        cls, folder: Path | None, settings: Mapping[str, Any], facts: Mapping[str, Any] | None, minutes: float
    ) -> "Extension":
        """The extension of the model in ``folder``, or of that with these ``facts`` in memory.

        :func:`check_extendable` has passed it.

        Parameters
        ----------
        settings
            The identity of the run that the model should come from.

        Raises
        ------
        UsageError
            The model comes from another run, or an extension of another length is not over.
        """
        if folder is None:
            assert facts is not None
            _refuse_other_settings(facts["settings"], settings)
            return cls(None, facts, minutes)
        checkpoint.is_finished(folder, settings)
        extension = cls(folder, artefact.facts(folder), minutes)
        stored = checkpoint.stored_settings(folder / FOLDER)
        if stored is None and is_leader():
            shutil.rmtree(folder / FOLDER, ignore_errors=True)  # what a kill left of one that is over
        if stored is not None and stored["extension"] == extension.number and stored["more"] != minutes:
            raise UsageError(
                f"{folder} is being trained for {stored['more']:g} more minutes, which are not over. Finish that with "
                f"--more {stored['more']:g}, or delete {folder / FOLDER} to give it up."
            )
        return extension

    @property
    def number(self) -> int:
        """1 for the first extension of the model."""
        return len(self.records) + 1

    @property
    def records(self) -> list[dict[str, Any]]:
        """What is known of the model's earlier extensions."""
        return list(self.facts.get("extensions", ()))

    @property
    def folder(self) -> Path | None:
        """Of the run."""
        return None if self.model_folder is None else self.model_folder / FOLDER

    @property
    def settings(self) -> dict[str, Any]:
        """The run's identity."""
        weights = self.facts.get("weights_sha256", "")[:16]
        return {**self.facts["settings"], "extension": self.number, "more": self.minutes, "weights": weights}

    @property
    def seed(self) -> int:
        """What is added to the model's seed: the run draws other pictures, in another order, than those before it."""
        return self.number

    @property
    def schedule_start(self) -> float:
        """The share of the longer run, this one included, that the runs before have done; see ``Recipe``."""
        seconds = float(self.facts["seconds"])
        return min(MAX_SCHEDULE_START, seconds / (seconds + 60 * self.minutes))

    def is_included(self) -> bool:
        """Whether the model has the extension that the folder is of: the kill came after the model was saved."""
        stored = None if self.folder is None else checkpoint.stored_settings(self.folder)
        included = stored is not None and stored["extension"] < self.number
        # The leader decides: it may delete the folder before another process of the run looks into it.
        return bool(ProcessGroup(machine.device()).broadcast([included])[0])

    def history(self, records: Sequence[Record]) -> list[Record]:
        """The records of all runs of the extended model, of which ``records`` are those of this one."""
        path = None if self.model_folder is None else self.model_folder / FILE
        earlier = read(path) if path is not None and path.exists() else []
        return _joined(earlier, records, self.facts["seen_pictures"], self.facts["seconds"])

    def record(
        self, seen_pictures: int, seconds: float, comparison: Comparison | None, reason: str = ""
    ) -> dict[str, Any]:
        """What ``model.json`` says of this extension.

        Parameters
        ----------
        seen_pictures, seconds
            Pictures seen in this run, and its duration.
        comparison
            ``None``: no picture is held out to compare on, and the extended model is the result.
        reason
            Why there was little to gain, as a sentence; empty: not known.
        """
        record: dict[str, Any] = {
            "minutes": self.minutes,
            "seen_pictures": seen_pictures,
            "seconds": round(seconds, 1),
            "result": "extended" if comparison is None or comparison.better else UNCHANGED,
        }
        if comparison is not None:
            before, after = comparison.before.json(), comparison.after.json()
            record |= {"measure": comparison.measure, "before": before, "after": after}
        if reason and record["result"] == UNCHANGED:
            record["reason"] = reason
        log.info("%s", sentence(record))
        return record


def check_extendable(folder: Path | None, *, fitted: bool) -> None:
    """Refuse to train further what is no finished model; before any picture is read.

    Parameters
    ----------
    folder
        Of the model; ``None``: it is in memory, if it is ``fitted``.

    Raises
    ------
    UsageError
        There is no model, or its run has not finished.
    """
    if folder is None and not fitted:
        raise UsageError("There is no model to train further. Fit it first, without more.")
    if folder is None or artefact.is_finished(folder):
        return
    if checkpoint.stored_settings(folder) is not None:
        raise UsageError(
            f"{folder} holds a run that has not finished. Finish it by the same command without --more; then --more "
            "trains the model further."
        )
    raise UsageError(
        f"There is no model in {folder} to train further. Fit it first, by the same command without --more."
    )


def conclude(folder: Path) -> None:
    """Add the last extension's history and samples to the model in ``folder``, and delete the extension's folder."""
    facts, run = artefact.facts(folder), folder / FOLDER
    last = facts["extensions"][-1]
    if last["result"] == "extended" and (run / FILE).exists():
        seen, seconds = (facts[name] - last[name] for name in ("seen_pictures", "seconds"))
        records = _joined(read(folder / FILE), read(run / FILE), seen, seconds)
        files.write_text(folder / FILE, "".join(map(files.json_line, records)))
        for path in sorted((run / SAMPLES).glob("*.png")):
            (folder / SAMPLES).mkdir(exist_ok=True)
            files.move(path, folder / SAMPLES / path.name)
    (run / "checkpoint" / "run.json").unlink(missing_ok=True)  # from here on the extension is over
    shutil.rmtree(run, ignore_errors=True)


def extensions_table(records: Sequence[Mapping[str, Any]]) -> Table:
    """The extensions of a model, each in a row."""
    columns = ["extension", "minutes", "pictures shown", "measure", "before", "after", "result"]
    rows = [
        [number, record["minutes"], record["seen_pictures"], record.get("measure", "none held out"),
         *(_score(record, end) if end in record else None for end in ("before", "after")), record["result"]]
        for number, record in enumerate(records, 1)
    ]  # fmt: skip
    return Table(columns, rows)


def with_extensions(card: str, records: Sequence[Mapping[str, Any]]) -> str:
    """A model card with its section on the extensions; as it is without any."""
    if not records:
        return card
    items = (f"{n}. {for_markdown(sentence(record))}" for n, record in enumerate(records, 1))
    return with_section(card, CAPTION, "\n".join(items))


def sentence(record: Mapping[str, Any]) -> str:
    """What one extension brought."""
    length = f"{record['minutes']:g} more minutes ({record['seen_pictures']:,} pictures shown)"
    if "measure" not in record:
        return f"{length}: no picture is held out to compare on, so the extended model is the result."
    before, after = _score(record, "before"), _score(record, "after")
    change = f"{record['measure']} {before} before, {after} after, on {after.n:,} held-out pictures"
    if record["result"] == UNCHANGED:
        return f"{length}: {change}; nothing was gained, so it is unchanged. {record.get('reason', '')}".rstrip()
    return f"{length}: {change}; the extended model is the result."


def _score(record: Mapping[str, Any], end: str) -> Score:
    """The score of a record "before" or "after"."""
    return Score.of_json(record["measure"].replace(" ", "_"), record[end])


def _refuse_other_settings(stored: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    differences = checkpoint.differences(stored, settings)
    if differences:
        raise UsageError(f"The model was fitted otherwise ({differences}). Give the pictures and settings of its fit.")


def _joined(earlier: Sequence[Record], records: Sequence[Record], seen_pictures: int, seconds: float) -> list[Record]:
    """The records up to a moment, then those of a run that began there."""
    before = [record for record in earlier if record["seen_pictures"] <= seen_pictures]
    shifted = [
        {
            **record,
            "seen_pictures": record["seen_pictures"] + seen_pictures,
            "seconds": round(record["seconds"] + seconds, 3),
        }
        for record in records
    ]
    return before + shifted
