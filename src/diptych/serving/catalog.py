"""The models of the served folder, by the names of their folders, read without torch."""

import os
from pathlib import Path
from typing import Any

from diptych import artefact
from diptych.errors import ArtefactError, UsageError
from diptych.serving.errors import NotFound

SYNTHESIZERS = ("gan", "vae", "flow")


class Catalog:
    """The models in the folders directly under ``home``."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._kinds: dict[str, tuple[int, str]] = {}  # by name: when model.json changed, and the kind in it

    def names(self) -> list[str]:
        """Their names, sorted."""
        folders = (path for path in self.home.iterdir() if not path.name.startswith(".") and path.is_dir())
        return sorted(path.name for path in folders if artefact.exists(path))

    def folder(self, name: str) -> Path:
        """The folder of a model.

        Raises
        ------
        NotFound
            There is no model of this name; also for any name that would lead out of the served folder.
        """
        if name.startswith(".") or Path(name).name != name or not self._exists(name):
            raise NotFound(f"There is no model {name!r}. The list of models: GET /models")
        return self.home / name

    def _exists(self, name: str) -> bool:
        try:
            return artefact.exists(self.home / name)
        except OSError:  # the name is too long for a file
            return False

    def facts(self, name: str) -> dict[str, Any]:
        """What ``model.json`` says of a model.

        Raises
        ------
        NotFound
            There is no such model.
        ArtefactError
            It is damaged, or of another version of Diptych.
        """
        return artefact.facts(self.folder(name))

    def check_kind(self, name: str, *kinds: str) -> None:
        """Refuse a model that is of none of these kinds.

        Raises
        ------
        NotFound, ArtefactError
            As :meth:`facts`.
        UsageError
            It is of another kind.
        """
        kind = self.kind(name)
        if kind not in kinds:
            required = f"a {kinds[0]}" if len(kinds) == 1 else "a synthesizer (gan, vae or flow)"
            raise UsageError(f"{name} is a {kind}; this needs {required}. The list of models: GET /models")

    def kind(self, name: str) -> str:
        """The kind of a model.

        Raises
        ------
        NotFound, ArtefactError
            As :meth:`facts`.
        """
        changed = os.stat(artefact.path_of(self.folder(name), "model.json")).st_mtime_ns  # noqa: PTH116 - each request
        known = self._kinds.get(name)
        if known is None or known[0] != changed:
            known = self._kinds[name] = changed, str(self.facts(name)["kind"])
        return known[1]


def summary(name: str, facts: dict[str, Any]) -> dict[str, Any]:
    """What the list says of a model."""
    return {"name": name, "kind": facts["kind"], "classes": facts.get("classes", []), "size": facts.get("size")}


def summaries(catalog: Catalog) -> list[dict[str, Any]]:
    """A line for each model; one that cannot be used says why."""
    lines = []
    for name in catalog.names():
        try:
            lines.append(summary(name, catalog.facts(name)))
        except ArtefactError as error:
            lines.append({"name": name, "kind": None, "error": str(error)})
    return lines
