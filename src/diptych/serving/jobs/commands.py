"""What a job may run: some verbs of the command line and the map, with names and numbers as options, never with paths.

A request names data sets and models of the server; reports and exported files go into the job's own folder.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diptych.errors import UsageError
from diptych.recognition.settings import RecognizerSettings
from diptych.serving.jobs.option_words import (
    Places,
    columns,
    data,
    data_sets,
    flag,
    label,
    labels,
    model,
    models,
    new_data,
    number,
    option_words,
    output,
)
from diptych.settings import Settings, declaration
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
    several = options.get("models")
    return {name for name in [*named, *(several if isinstance(several, list) else [])] if isinstance(name, str)}


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
        *option_words(options, places, _FIT, required=("data", "output"), positional=("data",)),
    ]  # fmt: skip


def _checked_network(values: dict[str, Any]) -> dict[str, Any]:
    """The name of a network: a word, so neither a path nor an address."""
    network = values.get("network")
    if network is not None and not (isinstance(network, str) and _WORD.fullmatch(network)):
        raise UsageError("network must be the name of a network, such as auto or speednet.")
    return {} if network is None else {"network": network}


def _inspect(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    outputs = ["--json", f"--output={folder / 'report.html'}", f"--manifest={folder / 'manifest.csv'}"]
    return [*outputs, *option_words(options, places, _INSPECT, required=("data",), positional=("data",))]


def _score(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    if ("model" in options) == ("generated" in options):
        raise UsageError("Name either the model whose samples are scored, or a data set of generated pictures.")
    outputs = ["--json", f"--output={folder / 'report.html'}"]
    return [*outputs, *option_words(options, places, _SCORE, required=("against",), positional=("model", "generated"))]


def _evaluate(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    outputs = ["--json", f"--output={folder / 'report.html'}"]
    return [
        *outputs,
        *option_words(options, places, _EVALUATE, required=("model", "data"), positional=("model", "data")),
    ]


def _balance(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    return [
        "--json", f"--report={folder / 'report.html'}",
        *option_words(
            options, places, _BALANCE, required=("data", "model", "output", "per_class"), positional=("data", "model"),
            other={"per_class": "per-class"},
        ),
    ]  # fmt: skip


def _audit(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    kind = options.pop("kind", "bias")
    if not isinstance(kind, str) or kind not in _AUDITS:
        raise UsageError(f"kind must be one of {', '.join(_AUDITS)}.")
    allowed, required, positional = _AUDITS[kind]
    words = option_words(options, places, allowed, required=required, positional=positional)
    return [kind, "--json", f"--output={folder}", *words]


def _verdict(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    outputs = ["--json", f"--output={folder}"]
    required = ("data", "model", "test")
    return [*outputs, *option_words(options, places, _VERDICT, required=required, positional=("data", "model"))]


def _enroll(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    return [
        "--json",
        *option_words(
            options, places, _ENROLL, required=("output", "data"), positional=("output", "data"), other=_OTHER_WORDS
        ),
    ]


def _map(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    if options.get("data") is None and options.get("model") is None:
        raise UsageError("Name the data set whose pictures are laid out, or a gallery as the model.")
    return [f"--output={folder / 'map.json'}", *option_words(options, places, _MAP, required=(), positional=("data",))]


def _sample(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    words = option_words(
        options, places, _SAMPLE, required=("model", "output"), positional=("model",),
        other={"visible_label": "visible-label"},
    )  # fmt: skip
    return ["--json", *words]


def _compare(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    outputs = ["--json", f"--output={folder / 'report.html'}"]
    return [*outputs, *option_words(options, places, _COMPARE, required=("models",), positional=("models",))]


def _export(options: dict[str, Any], places: Places, folder: Path) -> list[str]:
    outputs = ["--json", f"--output={folder / 'model.onnx'}"]
    return [*outputs, *option_words(options, places, _EXPORT, required=("model",), positional=("model",))]


_FIT = {"data": data, "output": output, "validate": data, "from": model, "labels": labels, "more": number("more")}
_INSPECT = {
    "data": data_sets, "model": model, "labels": labels, "minutes": number("minutes"), "seed": number("seed"),
}  # fmt: skip
_SCORE = {
    "model": model, "generated": data, "against": data, "judge": model, "seen": data, "labels": labels,
    "number": number("number"), "minutes": number("minutes"), "seed": number("seed"),
}  # fmt: skip
_VERDICT = {
    "data": data, "model": model, "test": data, "labels": labels, "minutes": number("minutes"),
    "seeds": number("seeds"), "seed": number("seed"),
}  # fmt: skip
_EVALUATE = {"model": model, "data": data, "unknown": data, "labels": labels}
_BALANCE = {
    "data": data, "model": model, "output": new_data, "per_class": number("per_class"), "recognizer": model,
    "labels": labels, "seed": number("seed"),
}  # fmt: skip
_BIAS = {
    "model": model, "data": data, "groups": columns, "seen": data, "labels": labels, "number": number("number"),
    "seed": number("seed"),
}  # fmt: skip
_PRIVACY = {
    "model": model, "seen": data, "unseen": data, "labels": labels, "number": number("number"),
    "references": number("references"), "canaries": number("canaries"), "minutes": number("minutes"),
    "seed": number("seed"),
}  # fmt: skip
_AUDITS = {  # of each kind: its options, those that are required, those without a name
    "bias": (_BIAS, ("model", "data"), ("model", "data")),
    "privacy": (_PRIVACY, ("model", "seen", "unseen"), ("model",)),
}
_EXPORT = {"model": model, "int8": flag, "check": data}
_ENROLL = {"output": output, "data": data, "model": model, "label": label, "labels": labels, "adapt": flag}
_OTHER_WORDS = {"model": "recognizer", "label": "as"}
_MAP = {"data": data_sets, "model": model, "labels": labels, "seed": number("seed")}
_SAMPLE = {
    "model": model, "output": new_data, "number": number("number"), "label": label, "seed": number("seed"),
    "guidance": number("guidance"), "visible_label": flag,
}  # fmt: skip
_COMPARE = {"models": models, "on": data, "labels": labels}
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
