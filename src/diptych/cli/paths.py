"""The pictures that a verb's arguments name, in the order of the arguments and in bounded memory."""

import glob
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from diptych.errors import DataError
from diptych.files import did_you_mean

if TYPE_CHECKING:
    from diptych.data.images import Images

CHUNK = 1 << 16  # pictures opened at a time: their paths and labels take memory, too
_SET_SUFFIXES = (".parquet", ".npz", ".tar", ".tar.gz", ".tgz", ".zip")


class UnreadablePath:
    """A path from which no picture can be read, and the reason."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason


def open_images(data: str, manifest: Path | None = None, labels: str | None = None) -> "Images":
    """The pictures of a data set; with a manifest, those that it keeps, with its labels and splits."""
    from diptych.data.images import Images

    images = Images.open(data, labels)
    if manifest is None:
        return images
    from diptych.data.inspection.manifest import apply

    return apply(images, manifest)


def require_one(paths: list[str]) -> None:
    """Refuse paths none of which is there, before a model is loaded for them.

    Raises
    ------
    DataError
        Names the first.
    """
    from diptych.data.sources.builtin import BUILT_IN
    from diptych.data.sources.files import is_url

    if not any(is_url(path) or glob.has_magic(path) or path in BUILT_IN or Path(path).exists() for path in paths):
        raise DataError(f"{paths[0]} is not there.{did_you_mean(paths[0])} Give pictures, or a folder of pictures.")


def image_sets(paths: list[str], chunk: int = CHUNK) -> Iterator["Images | UnreadablePath"]:
    """The pictures of all paths, in the order of the paths, ``chunk`` at a time."""
    from diptych.data.images import Images

    files: list[str] = []
    for path in paths:
        pictures = _single_pictures(path)
        if pictures:
            files += pictures
            while len(files) >= chunk:
                yield Images.of_files(files[:chunk])
                files = files[chunk:]
            continue
        if files:
            yield Images.of_files(files)
            files = []
        yield from _set_in_chunks(path, chunk)
    if files:
        yield Images.of_files(files)


def is_image_set(path: str) -> bool:
    """Whether a file of this name holds many pictures."""
    return path.lower().endswith(_SET_SUFFIXES)


def names_one_picture(path: str) -> bool:
    """Whether a path is that of one picture, be it there or not."""
    from diptych.data.sources.builtin import BUILT_IN
    from diptych.data.sources.files import is_url

    if is_image_set(path):
        return False
    several = is_url(path) or glob.has_magic(path) or path in BUILT_IN or Path(path).is_dir()
    return Path(path).is_file() or not several


def _single_pictures(path: str) -> list[str]:
    """The picture files that a path names, one by one; none where it is a data set, a pattern or a URL."""
    from diptych.data.sources.builtin import BUILT_IN
    from diptych.data.sources.files import LocalFiles, is_url
    from diptych.data.sources.folder import pictures_in, warn_of_skipped
    from diptych.data.sources.packed.pack_manifest import MANIFEST

    local = Path(path)
    if local.is_dir():
        files = LocalFiles(local)
        if files.exists(MANIFEST):
            return []
        names, skipped = pictures_in(files, files.walk())
        if names:
            warn_of_skipped(path, skipped)  # which get no row
        return [str(local / name) for name in names]
    if is_image_set(path) or is_url(path):
        return []
    return [path] if local.exists() or not (glob.has_magic(path) or path in BUILT_IN) else []


def _set_in_chunks(path: str, chunk: int) -> Iterator["Images | UnreadablePath"]:
    from diptych.data.images import Images

    try:
        images = Images.open(path, labels="none")
    except DataError as error:
        yield UnreadablePath(path, str(error))
        return
    for start in range(0, len(images), chunk):
        yield images[start : start + chunk]
