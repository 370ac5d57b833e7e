"""Words for messages to people: names joined, paths that can be printed, file errors explained."""

import errno
from collections.abc import Sequence

from diptych.errors import DataError


def join_names(names: Sequence[str], limit: int = 3) -> str:
    """Join names for a sentence, the first ``limit`` of many: "a, b, c and 5 more"."""
    first = ", ".join(names[:limit])
    return first if len(names) <= limit else f"{first} and {len(names) - limit} more"


def counted(n: int, one: str, many: str = "") -> str:
    """A number and its noun: "1 picture", "1,200 pictures"; with a verb, "1 picture is" and "2 pictures are"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def printable(path: str) -> str:
    r"""Make a path fit to print: a name that is not UTF-8 shows its odd bytes as ``\xff``."""
    try:
        data = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a pair of surrogates, which JSON can spell
        data = path.encode("utf-8", "surrogatepass")
    return data.decode("utf-8", "backslashreplace")


def explain_os_error(error: OSError) -> str:
    """Why a file could not be opened, in words."""
    if isinstance(error, DataError):  # it says so itself: what is there is no file
        return str(error.strerror)
    reasons = {
        errno.EACCES: "permission denied",
        errno.EPERM: "permission denied",
        errno.ENOENT: "the file is not there",
        errno.ELOOP: "the link leads back to itself",
        errno.EISDIR: "it is a folder",
    }
    return reasons.get(error.errno or 0, f"it cannot be read ({error.strerror or error})")
