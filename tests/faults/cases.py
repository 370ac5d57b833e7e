"""The commands that are met by faults, and what is asked of each after one.

After a fault the same command is run again, without one. It must end as if there had been no fault: with the same
files, and the same bytes of those that are the same in every run (weights, pictures, tables). Or it says in a sentence
why not. The models that were there before can be loaded at every moment.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from diptych import artefact
from diptych.errors import DiptychError
from tests.faults.contents import changed_keys, digests
from tests.faults.points import Fault, Point, Run, Runner

FIT = ["--epochs", "1", "--batch", "16"]
#: What is there before each command.
PREPARATIONS: tuple[list[str] | str, ...] = (
    "lay_out",
    ["fit", "recognizer", "digits", "-o", "models/recognizer", "--network", "convnet", *FIT],
    ["fit", "vae", "digits", "-o", "models/vae", "--latent", "4", *FIT],
    ["fit", "flow", "digits", "-o", "models/flow", "--steps", "2", *FIT],
    ["enroll", "gallery", "digits", "--recognizer", "models/recognizer"],
    ["edit", "reconstruct", "models/vae", "more", "-o", "edited"],
    "prepare_server",
)
#: The commands, by the names that the table has.
COMMANDS: dict[str, list[str] | str] = {
    "fit recognizer": ["fit", "recognizer", "digits", "-o", "out/model", "--network", "convnet", *FIT],
    "fit gan": ["fit", "gan", "digits", "-o", "out/model", *FIT],
    "fit vae": ["fit", "vae", "digits", "-o", "out/model", "--latent", "4", *FIT],
    "fit flow": ["fit", "flow", "digits", "-o", "out/model", "--steps", "2", *FIT],
    "fit --more": "train_further",
    "tune": ["tune", "models/flow", "digits", "-o", "out/tuned", "--epochs", "1"],
    "calibrate, save": "calibrate_and_save",
    "sample": ["sample", "models/vae", "-n", "6", "-o", "out/samples"],
    "sample into .npz": ["sample", "models/vae", "-n", "6", "-o", "out/samples.npz"],
    "sample into .parquet": ["sample", "models/vae", "-n", "6", "-o", "out/samples.parquet"],
    "edit": ["edit", "reconstruct", "models/vae", "digits/0", "-o", "out/edited"],
    "edit again": ["edit", "reconstruct", "models/vae", "digits/0", "-o", "edited"],
    "balance": ["balance", "uneven", "models/vae", "--per-class", "12", "--recognizer", "models/recognizer",
                "-o", "out/balanced"],
    "export": ["export", "models/recognizer", "-o", "out/model.onnx", "--check", "more"],
    "enroll": ["enroll", "out/gallery", "digits", "--recognizer", "models/recognizer"],
    "enroll more": ["enroll", "gallery", "more"],
    "gallery rename": ["gallery", "rename", "gallery", "0", "zero"],
    "gallery remove": ["gallery", "remove", "gallery", "--label", "1"],
    "gallery export": ["gallery", "export", "gallery", "-o", "out/gallery.parquet"],
    "gallery rebuild": ["gallery", "rebuild", "gallery", "--recognizer", "models/recognizer"],
    "inspect": ["inspect", "digits", "--model", "models/recognizer", "-o", "out/report.html",
                "--manifest", "out/manifest.csv"],
    "embed into .parquet": ["embed", "models/recognizer", "digits", "-o", "out/vectors.parquet"],
    "embed into .npz": ["embed", "models/recognizer", "digits", "-o", "out/vectors.npz"],
    "predict": ["predict", "models/recognizer", "more", "--csv", "out/rows.csv"],
    "evaluate": ["evaluate", "models/recognizer", "more", "-o", "out/report.html"],
    "explain": ["explain", "models/recognizer", "more/0", "-o", "out/sheets"],
    "audit bias": ["audit", "bias", "models/recognizer", "more", "-o", "out/audit"],
    "sign": ["sign", "models/recognizer"],
    "save pictures": "save_pictures",
    "server: upload": "upload",
    "server: relabel": "relabel",
    "server: drop": "drop",
    "server: job": "record_job",
    "server: model renamed": "rename_model",
    "server: model deleted": "delete_model",
}  # fmt: skip
MODELS = ("models/recognizer", "models/vae", "models/flow")


@dataclass(frozen=True)
class Outcome:
    """What came of a fault: ``fault`` at ``point`` of the command; ``first`` and ``again``, its two runs in words.

    ``wrong`` says what must not be; empty: nothing.
    """

    command: str
    fault: Fault
    place: str
    first: str
    again: str
    wrong: str


class Cases:
    """The folder of the commands, as the preparations have left it before each of them."""

    def __init__(
        self, work: Path, preparations: Sequence[list[str] | str] = PREPARATIONS, *, everything: bool = True
    ) -> None:
        self.below, self._before, self._expected = work / "below", work / "before", work / "expected"
        self.below.mkdir()
        self.runner = Runner(self.below, work, everything=everything)
        for command in preparations:
            ended = self.runner.run(command)
            assert ended.status == 0, f"{command}: {ended.output}"
        shutil.copytree(self.below, self._before, symlinks=True)

    def reset(self) -> None:
        """Lay everything out as it was before the command."""
        for entry in self.below.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        shutil.copytree(self._before, self.below, symlinks=True, dirs_exist_ok=True)

    def uninterrupted(self, command: list[str] | str) -> tuple[Run, dict[str, str]]:
        """The run of a command without a fault, and its files; those that differ from run to run have no digest."""
        ends = []
        for _ in range(2):
            self.reset()
            ended = self.runner.run(command)
            assert ended.status == 0, f"{command}: {ended.output}"
            ends.append(self.files())
            self._keep_rates()
        shutil.rmtree(self._expected, ignore_errors=True)
        shutil.copytree(self.below, self._expected, symlinks=True)
        first, second = ends
        names = first.keys() & second.keys()
        return ended, {name: first[name] if first[name] == second[name] else "" for name in names}

    def _keep_rates(self) -> None:
        """All runs choose the machine by the rates of the first: measured anew on a busy one they may choose another,
        whose weights differ."""
        rates = Path("cache", "diptych", "rates")
        if (self.below / rates).exists():
            shutil.copytree(self.below / rates, self._before / rates, dirs_exist_ok=True)

    def files(self) -> dict[str, str]:
        """The digests of all files by name: see contents.py."""
        return digests(self.below)

    def meet(self, name: str, fault: Fault, point: Point, expected: dict[str, str]) -> Outcome:
        """Let a command meet a fault, run it again, and see what came of it."""
        self.reset()
        command = COMMANDS[name]
        ended = self.runner.run(command, fault, point.number)
        place = next((p.place for p in ended.points if p.number == point.number), point.place)
        lost = [model for model in MODELS if (self._before / model).exists() and not self._can_be_loaded(model)]
        again = self.runner.run(command)
        wrong = [f"{model} is lost" for model in lost if (name, model) not in REMOVED]
        if fault in (Fault.KILL, Fault.KILL_HALFWAY):
            met = any(p.number == point.number for p in ended.points)  # where threads write, their number varies
            wrong += [f"not killed: {ended.status}"] * (met and ended.status != -9)
        else:
            wrong += no_sentence(ended)
        wrong += no_sentence(again)
        if again.status == 0:
            wrong += self._differences(dict.fromkeys(expected, "") if name in BY_THE_CLOCK else expected)
        elif name not in NOT_REPEATED:
            wrong.append("the same command does not go through")
        return Outcome(name, fault, place, self.words(ended), self.words(again), "; ".join(wrong))

    def words(self, run: Run) -> str:
        """How a command ended."""
        if run.status == 0:
            return "done"
        if run.status < 0:
            return "killed"
        sentences = [line for line in run.output.splitlines() if line.startswith("Error: ")]
        words = (sentences or run.output.splitlines() or [""])[-1].removeprefix("Error: ")
        return f"exit {run.status}: {words.replace(f'{self.below.resolve()}/', '')}"

    def _can_be_loaded(self, model: str) -> bool:
        try:
            artefact.read(self.below / model)
        except DiptychError:
            return False
        return True

    def _differences(self, expected: dict[str, str]) -> list[str]:
        there = self.files()
        missing, more = expected.keys() - there.keys(), there.keys() - expected.keys()
        other = [name for name in expected.keys() & there.keys() if expected[name] not in ("", there[name])]
        return (
            [f"missing: {', '.join(sorted(missing))}"] * bool(missing)
            + [f"left over: {', '.join(sorted(more))}"] * bool(more)
            + [f"different: {', '.join(self._changed(name) for name in sorted(other))}"] * bool(other)
        )

    def _changed(self, name: str) -> str:
        keys = changed_keys(self.below / name, self._expected / name)
        return f"{name} ({', '.join(keys)})" if keys else name


#: Commands that end otherwise each time: by the clock.
BY_THE_CLOCK = ("fit --more",)
#: Models that a command is to move or delete.
REMOVED = {("server: model renamed", "models/vae"), ("server: model deleted", "models/vae")}
#: Commands that cannot be given a second time once they are done: their sentence says so.
NOT_REPEATED = ("gallery rename", "gallery remove", "server: upload", "server: relabel", "server: drop",
                "server: model renamed", "server: model deleted", "inspect", "save pictures")  # fmt: skip


def no_sentence(run: Run) -> list[str]:
    """What is wrong with how a command ended: a bug, a traceback, a signal, no word."""
    if run.status == 0:
        return []
    if run.status < 0:
        return [f"ended by signal {-run.status}"]
    if "This is a bug" in run.output or "Traceback" in run.output:
        return [f"no sentence: {run.output.splitlines()[-1]}"]
    return [] if "Error: " in run.output else ["it does not say why it failed"]


def chosen_points(points: list[Point]) -> Iterator[Point]:
    """The first call at each place, and the last, where there are several."""
    by_place: dict[str, list[Point]] = {}
    for point in points:
        by_place.setdefault(point.place, []).append(point)
    for calls in by_place.values():
        yield calls[0]
        if len(calls) > 1:
            yield calls[-1]
