"""What a job may run: some verbs of the command line and the map, with names and numbers as options, never with paths.

A request names data sets and models of the server; reports and exported files go into the job's own folder.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diptych import artefact
from diptych.errors import UsageError
from diptych.recognition.settings import RecognizerSettings
from diptych.serving.refusals import RefusedError
from diptych.serving.storage.datasets import DataSets
from diptych.serving.storage.names import safe_name
from diptych.settings import Settings, declaration, declared, setting
from diptych.synthesis.settings import FlowSettings, GANSettings, VAESettings

Options = Mapping[str, Any]
KINDS: Mapping[str, type[Settings]] = {
    "recognizer": RecognizerSettings,
    "gan": GANSettings,
    "vae": VAESettings,
    "flow": FlowSettings,
}
MAP_MODULE = "diptych.serving.jobs.map_command"
_WRITING = ("fit", "enroll")  # verbs whose output is a model
_WORD = re.compile(r"(timm:)?[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
MAX_LABEL = 255  # characters
_COLUMN = re.compile(r"\w[\w .-]{0,99}")


@declared
class JobNumbers(Settings):
    """The numbers that verbs besides fit take."""

    minutes: float | None = setting("Time budget.", default=None, minimum=0.1)
    more: float | None = setting("Minutes of further training.", default=None, minimum=0.01)
    guidance: float | None = setting("How closely a flow with classes follows them.", default=None, minimum=0)
    number: int | None = setting("Number of generated pictures.", default=None, minimum=1)
    per_class: int | None = setting("Pictures that each class shall have.", default=None, minimum=1, maximum=100_000)
    seeds: int = setting("Trainings of each way.", default=5, minimum=5, maximum=100)
    seed: int = setting("Seed of every random choice.", default=0, minimum=0, maximum=2**32 - 1)


@dataclass(frozen=True)
class Places:
    """Where a server's models and data sets are."""

    home: Path
    datasets: DataSets

    def data(self, name: Any) -> str:
        """The folder of a data set, as the command line is given it."""
        return self._shown(self.datasets.folder(_text("data set", name)))

    def model(self, name: Any) -> str:
        """The folder of a model that is there."""
        safe = safe_name(_text("model", name))
        folder = self.home / safe
        if folder.is_symlink() or not artefact.exists(folder):
            raise RefusedError(404, "not_found", f"There is no model called {safe}.")
        return safe

    def output(self, name: Any) -> str:
        """The folder of a model to be trained, which may be there from an earlier run."""
        safe = safe_name(_text("model", name))
        folder = self.home / safe
        if safe == self.datasets.root.name or folder.is_symlink() or folder.is_file():
            raise RefusedError(409, "name_taken", f"There is something else called {safe}. Choose another name.")
        return safe

    def new_data(self, name: Any) -> str:
        """The folder of a data set to be written, which may be there from an earlier job."""
        safe = safe_name(_text("data set", name))
        folder = self.datasets.root / safe
        if safe in self.datasets.names() and (folder.is_symlink() or self.datasets.folder(safe) != folder):
            raise RefusedError(409, "name_taken", f"There is another data set called {safe}. Choose another name.")
        return self._shown(folder)

    def _shown(self, folder: Path) -> str:
        """Relative to the server's folder, in which jobs run, so that reports name no other folder."""
        return str(folder.relative_to(self.home) if folder.is_relative_to(self.home) else folder)


Words = Callable[[Places, Any], list[str]]  # of one option: its value as words of the command line


def command(verb: str, options: Options, places: Places, folder: Path) -> list[str]:
    """The command line of a job, which runs in the server's folder, and whose files go into ``folder``.

    Raises
    ------
    UsageError
        There is no such verb or option, or a value is not possible.
    RefusedError
        404: there is no such model or data set.
    """
    if verb not in _VERBS:
        raise UsageError(f"There is no job {verb[:60]!a}. The jobs are: {', '.join(_VERBS)}.")
    words = _VERBS[verb](dict(options), places, folder)
    program = [MAP_MODULE] if verb == "map" else ["diptych", verb]
    return [sys.executable, "-P", "-m", *program, *words]


def models_of(verb: str, options: Options) -> set[str]:
    """The names of the models that a job reads or writes."""
    writing = ("output",) if verb in _WRITING else ()
    named = [options.get(name) for name in ("model", "from", "judge", "recognizer", *writing)]
    models = options.get("models")
    return {name for name in [*named, *(models if isinstance(models, list) else [])] if isinstance(name, str)}


def _fit(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    kind = options.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise UsageError(f"kind must be one of {', '.join(KINDS)}.")
    known = declaration(KINDS[kind])
    values = {name: options.pop(name) for name in list(options) if name in known}
    KINDS[kind](**{**values, **_checked_network(values)})  # checks them all, also together
    own = [f"--{name}={value}" for name, value in values.items() if value is not None]
    return [
        kind, *own, "--json",
        *_words(options, places, _FIT, required=("data", "output"), positional=("data",)),
    ]  # fmt: skip


def _checked_network(values: dict[str, Any]) -> dict[str, Any]:
    """The name of a network: a word, so neither a path nor an address."""
    network = values.get("network")
    if network is not None and not (isinstance(network, str) and _WORD.fullmatch(network)):
        raise UsageError("network must be the name of a network, such as auto or speednet.")
    return {} if network is None else {"network": network}


def _inspect(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    outputs = ["--json", f"--output={folder / 'report.html'}", f"--manifest={folder / 'manifest.csv'}"]
    return [*outputs, *_words(options, places, _INSPECT, required=("data",), positional=("data",))]


def _score(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    if ("model" in options) == ("generated" in options):
        raise UsageError("Name either the model whose samples are scored, or a data set of generated pictures.")
    outputs = ["--json", f"--output={folder / 'report.html'}"]
    return [*outputs, *_words(options, places, _SCORE, required=("against",), positional=("model", "generated"))]


def _evaluate(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    outputs = ["--json", f"--output={folder / 'report.html'}"]
    return [*outputs, *_words(options, places, _EVALUATE, required=("model", "data"), positional=("model", "data"))]


def _balance(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    return [
        "--json", f"--report={folder / 'report.html'}",
        *_words(
            options, places, _BALANCE, required=("data", "model", "output", "per_class"), positional=("data", "model"),
            other={"per_class": "per-class"},
        ),
    ]  # fmt: skip


def _audit(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    """A bias audit, the one kind of audit that there is."""
    words = _words(options, places, _AUDIT, required=("model", "data"), positional=("model", "data"))
    return ["bias", "--json", f"--output={folder}", *words]


def _verdict(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    outputs = ["--json", f"--output={folder}"]
    required = ("data", "model", "test")
    return [*outputs, *_words(options, places, _VERDICT, required=required, positional=("data", "model"))]


def _enroll(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    return [
        "--json",
        *_words(
            options, places, _ENROLL, required=("output", "data"), positional=("output", "data"), other=_OTHER_WORDS
        ),
    ]


def _map(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    if options.get("data") is None and options.get("model") is None:
        raise UsageError("Name the data set whose pictures are laid out, or a gallery as the model.")
    return [f"--output={folder / 'map.json'}", *_words(options, places, _MAP, required=(), positional=("data",))]


def _sample(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    return ["--json", *_words(options, places, _SAMPLE, required=("model", "output"), positional=("model",))]


def _compare(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    outputs = ["--json", f"--output={folder / 'report.html'}"]
    return [*outputs, *_words(options, places, _COMPARE, required=("models",), positional=("models",))]


def _export(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    outputs = ["--json", f"--output={folder / 'model.onnx'}"]
    return [*outputs, *_words(options, places, _EXPORT, required=("model",), positional=("model",))]


def _words(
    options: dict[str, Any],
    places: Places,
    allowed: Mapping[str, Words],
    *,
    required: Sequence[str],
    positional: Sequence[str],
    other: Mapping[str, str] | None = None,
) -> list[str]:
    """Options as words: ``--name=value`` each, so that no value can pass for an option, then what has no name.

    ``other``: names that the command line has for options where they are not the same.
    """
    options = {name: value for name, value in options.items() if value is not None}
    unknown, missing = sorted(options.keys() - allowed.keys()), [name for name in required if name not in options]
    if unknown:
        raise UsageError(f"There is no option {unknown[0][:60]!a} here. The options are: {', '.join(allowed)}.")
    if missing:
        raise UsageError(f"The option {missing[0]} is missing.")
    words = {name: allowed[name](places, value) for name, value in options.items()}
    flag_of = {name: name for name in options} | dict(other or {})
    named = [f"--{flag_of[name]}={word}" for name in options if name not in positional for word in words[name]]
    flags = [word.removesuffix("=") for word in named]
    return [*flags, "--", *(word for name in positional for word in words.get(name, []))]


def _data(places: Places, value: Any) -> list[str]:
    return [places.data(value)]


def _data_sets(places: Places, value: Any) -> list[str]:
    names = value if isinstance(value, list) else [value]
    if not names:
        raise UsageError("The option data names no data set.")
    return [places.data(name) for name in names]


def _model(places: Places, value: Any) -> list[str]:
    return [places.model(value)]


def _models(places: Places, value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) < 2:
        raise UsageError("The option models is a list of two models or more.")
    return [places.model(name) for name in value]


def _new_data(places: Places, value: Any) -> list[str]:
    return [places.new_data(value)]


def _output(places: Places, value: Any) -> list[str]:
    return [places.output(value)]


def _labels(places: Places, value: Any) -> list[str]:
    if not (isinstance(value, str) and _COLUMN.fullmatch(value)):
        raise UsageError("labels must be folders, names, none, or the name of a column.")
    return [value]


def _columns(places: Places, value: Any) -> list[str]:
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) and _COLUMN.fullmatch(name) for name in names):
        raise UsageError("groups must be the names of columns.")
    return [",".join(names)]


def _label(places: Places, value: Any) -> list[str]:
    if not (isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= MAX_LABEL):
        raise UsageError("label must be a name.")
    return [value]


def _number(name: str) -> Words:
    def words(places: Places, value: Any) -> list[str]:
        JobNumbers(**{name: value})
        return [str(value)]

    return words


def _flag(places: Places, value: Any) -> list[str]:
    if not isinstance(value, bool):
        raise UsageError("An option without a value is set by true or false.")
    return [""] if value else []


def _text(what: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"The {what} must be a name.")
    return value


_FIT = {"data": _data, "output": _output, "validate": _data, "from": _model, "labels": _labels, "more": _number("more")}
_INSPECT = {
    "data": _data_sets, "model": _model, "labels": _labels, "minutes": _number("minutes"), "seed": _number("seed"),
}  # fmt: skip
_SCORE = {
    "model": _model, "generated": _data, "against": _data, "judge": _model, "seen": _data, "labels": _labels,
    "number": _number("number"), "minutes": _number("minutes"), "seed": _number("seed"),
}  # fmt: skip
_VERDICT = {
    "data": _data, "model": _model, "test": _data, "labels": _labels, "minutes": _number("minutes"),
    "seeds": _number("seeds"), "seed": _number("seed"),
}  # fmt: skip
_EVALUATE = {"model": _model, "data": _data, "unknown": _data, "labels": _labels}
_BALANCE = {
    "data": _data, "model": _model, "output": _new_data, "per_class": _number("per_class"), "recognizer": _model,
    "labels": _labels, "seed": _number("seed"),
}  # fmt: skip
_AUDIT = {
    "model": _model, "data": _data, "groups": _columns, "seen": _data, "labels": _labels,
    "number": _number("number"), "seed": _number("seed"),
}  # fmt: skip
_EXPORT = {"model": _model, "int8": _flag, "check": _data}
_ENROLL = {"output": _output, "data": _data, "model": _model, "label": _label, "labels": _labels, "adapt": _flag}
_OTHER_WORDS = {"model": "recognizer", "label": "as"}
_MAP = {"data": _data_sets, "model": _model, "labels": _labels, "seed": _number("seed")}
_SAMPLE = {
    "model": _model, "output": _new_data, "number": _number("number"), "label": _label, "seed": _number("seed"),
    "guidance": _number("guidance"),
}  # fmt: skip
_COMPARE = {"models": _models, "on": _data, "labels": _labels}
_VERBS = {
    "fit": _fit,
    "inspect": _inspect,
    "score": _score,
    "balance": _balance,
    "verdict": _verdict,
    "evaluate": _evaluate,
    "audit": _audit,
    "export": _export,
    "enroll": _enroll,
    "map": _map,
    "sample": _sample,
    "compare": _compare,
}
