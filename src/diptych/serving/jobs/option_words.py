"""Options of jobs as words of the command line: what each may hold, and which folder a name stands for."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diptych import artefact
from diptych.errors import UsageError
from diptych.serving.refusals import RefusedError
from diptych.serving.storage.datasets import DataSets
from diptych.serving.storage.names import safe_name
from diptych.settings import Settings, declared, setting

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
    references: int | None = setting("Reference models of a privacy audit.", default=None, minimum=2, maximum=256)
    canaries: int | None = setting("Pictures with a wrong label.", default=None, minimum=20, maximum=100_000)
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


def option_words(
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


def data(places: Places, value: Any) -> list[str]:
    """A data set: its folder."""
    return [places.data(value)]


def data_sets(places: Places, value: Any) -> list[str]:
    """One data set or several: their folders."""
    names = value if isinstance(value, list) else [value]
    if not names:
        raise UsageError("The option data names no data set.")
    return [places.data(name) for name in names]


def model(places: Places, value: Any) -> list[str]:
    """A model that is there: its folder."""
    return [places.model(value)]


def models(places: Places, value: Any) -> list[str]:
    """Two models or more."""
    if not isinstance(value, list) or len(value) < 2:
        raise UsageError("The option models is a list of two models or more.")
    return [places.model(name) for name in value]


def new_data(places: Places, value: Any) -> list[str]:
    """A data set to be written: its folder."""
    return [places.new_data(value)]


def output(places: Places, value: Any) -> list[str]:
    """A model to be trained: its folder."""
    return [places.output(value)]


def labels(places: Places, value: Any) -> list[str]:
    """Where labels are, in a word."""
    if not (isinstance(value, str) and _COLUMN.fullmatch(value)):
        raise UsageError("labels must be folders, names, none, or the name of a column.")
    return [value]


def columns(places: Places, value: Any) -> list[str]:
    """Columns of metadata, separated by commas."""
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) and _COLUMN.fullmatch(name) for name in names):
        raise UsageError("groups must be the names of columns.")
    return [",".join(names)]


def label(places: Places, value: Any) -> list[str]:
    """The name of a class."""
    if not (isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= MAX_LABEL):
        raise UsageError("label must be a name.")
    return [value]


def number(name: str) -> Words:
    """A number that the verb takes, see :class:`JobNumbers`."""

    def words(places: Places, value: Any) -> list[str]:
        JobNumbers(**{name: value})
        return [str(value)]

    return words


def flag(places: Places, value: Any) -> list[str]:
    """An option without a value, where it is true."""
    if not isinstance(value, bool):
        raise UsageError("An option without a value is set by true or false.")
    return [""] if value else []


def _text(what: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"The {what} must be a name.")
    return value
