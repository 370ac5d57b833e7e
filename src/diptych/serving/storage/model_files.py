"""Models renamed and deleted in the server's folder."""

from collections.abc import Callable
from pathlib import Path

from diptych import artefact, files
from diptych.serving.refusals import RefusedError
from diptych.serving.storage.names import inside, safe_name


class ModelFiles:
    """The models of a folder, by the names of their folders.

    Parameters
    ----------
    home
        The folder.
    in_use
        Whether a job reads or writes the model of a name at present.
    """

    def __init__(self, home: Path, in_use: Callable[[str], bool]) -> None:
        self._home = home
        self._in_use = in_use

    def rename(self, name: str, new: str) -> str:
        """Rename a model, for readers in one step; returns the name as it is written.

        Raises
        ------
        RefusedError
            404: there is no such model; 409: a job uses it, or the new name is taken.
        UsageError
            The new name is not possible.
        """
        source, target = self._unused(name), self._home / safe_name(new)
        if target.exists() or target.is_symlink():
            raise RefusedError(409, "name_taken", f"There is something called {target.name} already. Choose another.")
        source.rename(target)
        return target.name

    def delete(self, name: str) -> None:
        """Delete a model; it is gone at once, also for a reader that comes while its files are being deleted.

        Raises
        ------
        RefusedError
            404: there is no such model; 409: a job uses it.
        """
        source = self._unused(name)
        if source.is_symlink():
            source.unlink()
            return
        files.remove_folder(source)

    def _unused(self, name: str) -> Path:
        path = self._home if "/" in name else inside(self._home, name)
        if path == self._home or not artefact.exists(path):
            raise RefusedError(404, "not_found", f"There is no model called {name[:200]!a}.")
        if self._in_use(name):
            raise RefusedError(409, "in_use", f"A job uses the model {name}. Wait for it, or cancel it.")
        return path
