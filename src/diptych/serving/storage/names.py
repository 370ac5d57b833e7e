"""Names that clients give to models, data sets, classes and pictures, and the paths that they stand for."""

import unicodedata
from pathlib import Path

from diptych.data.decoding.kinds import PICTURE_SUFFIXES
from diptych.errors import UsageError
from diptych.serving.refusals import RefusedError

MAX_NAME_BYTES = 200  # of 255 that file systems take, so that drafts and copies beside it have room
_PUNCTUATION = frozenset(" _-.()+,'&")
_KINDS = ("L", "M", "N")  # Unicode's letters, marks and numbers
_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})


def safe_name(name: str, what: str = "name") -> str:
    """The name as it is written to disk, in Unicode's composed form (NFC).

    Letters and digits of any script, spaces and a few signs; so it has no separator of paths, no control character, no
    look-alike of either, and is not hidden.

    Raises
    ------
    UsageError
        Says what a name may be.
    """
    composed = unicodedata.normalize("NFC", name)
    allowed = all(sign in _PUNCTUATION or unicodedata.category(sign)[0] in _KINDS for sign in composed)
    # What compatibility would turn into other signs is not what it looks like, as the one-character "½" or "ﬁ".
    plain = allowed and unicodedata.normalize("NFKC", composed) == composed
    ends = composed[:1] not in ("", ".", "-", " ") and composed[-1:] not in (".", " ")
    short = len(composed.encode("utf-8", "surrogatepass")) <= MAX_NAME_BYTES
    if not (plain and ends and short and composed.split(".")[0].lower() not in _RESERVED):
        shown = ascii(name if len(name) <= 60 else f"{name[:60]}…")
        raise UsageError(
            f"The {what} {shown} is not possible. Use letters, digits, spaces and _ - . ( ) + , ' & only, up to "
            f"{MAX_NAME_BYTES} bytes; begin with a letter or a digit, and do not end with a dot."
        )
    return composed


def picture_name(name: str) -> str:
    """The same for a picture's file, which ends in a suffix of pictures.

    Raises
    ------
    UsageError
        Says what a name may be.
    """
    safe = safe_name(name, "file name")
    if Path(safe).suffix.lower() not in PICTURE_SUFFIXES:
        raise UsageError(f"The file name {safe!r} does not end as pictures do. Name it such as cat-1.jpg.")
    return safe


def inside(folder: Path, relative: str) -> Path:
    """The path of what is at ``relative``, in parts joined by "/", in ``folder``; links must not lead out of it.

    Raises
    ------
    RefusedError
        404: there is no such thing, or it is elsewhere.
    """
    parts = relative.split("/")
    plain = all(part not in ("", ".", "..") and not {"\0", "\\"} & set(part) for part in parts)
    path = folder.joinpath(*parts) if plain else folder
    try:
        found_inside = plain and path.resolve(strict=True).is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # not there; a name that the system refuses; links in a circle
        found_inside = False
    if not found_inside:
        raise RefusedError(404, "not_found", f"There is no {relative[:200]!a} here.")
    return path
