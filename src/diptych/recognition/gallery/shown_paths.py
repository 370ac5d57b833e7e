"""The paths of enrolled pictures as people see them: stored from the root, so that the files are found."""

from pathlib import Path, PurePath

CLIENT_PARTS = 2  # of a path that a client sees: the class folder and the file


def path_from_here(path: str) -> str:
    """The path as it can be opened from the working folder: relative if it lies in it."""
    here = Path.cwd()
    return str(PurePath(path).relative_to(here)) if PurePath(path).is_relative_to(here) else path


def path_for_clients(path: str) -> str:
    """The end of a path, which tells nothing of the machine; names that are no paths from the root stay."""
    pure = PurePath(path.removeprefix("file://"))
    return "/".join(pure.parts[1:][-CLIENT_PARTS:]) if pure.is_absolute() else path
