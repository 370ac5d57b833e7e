r"""The one reader of JSON: what a file says is checked against a declared type before anything relies on it.

The type is a ``msgspec.Struct``, or whatever else msgspec knows, with ranges by ``msgspec.Meta``; keys that it does not
declare are passed over, so that a later version may add some. Only what JSON (RFC 8259) allows is read: NaN and
Infinity, numbers that no float holds, a key that is there twice, and lists nested without end are errors. The one
thing that is read besides is ``\udcff``, a lone surrogate: in it :func:`diptych.files.encoded` keeps the names of
files that are not UTF-8.
"""

import json
import re
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from diptych import opening
from diptych.errors import DataError

T = TypeVar("T")
MAX_BYTES = 256 * 2**20  # of a record: that of a set of a million pictures has less
MAX_LEVELS = 64  # of lists and objects inside each other
MAX_DIGITS = 19  # of a whole number: those of 64 bits have at most so many
SHOWN = 40  # characters of a value in a message
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}
_MISMATCH = re.compile(r"Expected `([^`]+)`(?: (.*?))?(?:, got .*)?$")
_MISSING = re.compile(r"Object missing required field `(.+)`$")
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


class JSONError(DataError):
    """JSON that is damaged, or says something else than it should.

    Attributes
    ----------
    reason
        What is wrong, with its place: "$.parameters.size is -3, not a whole number ≥ 8".
    """

    def __init__(self, reason: str, where: str = "", cure: str = "") -> None:
        super().__init__(f"{f'{where}: ' if where else ''}{reason}.{f' {cure}.' if cure else ''}")
        self.reason = reason


def read(path: Path, kind: type[T], cure: str = "", *, max_bytes: int = MAX_BYTES) -> T:
    """What a file says, as ``kind``.

    Raises
    ------
    JSONError
        The file is no such thing; the message names it, the place in it and the ``cure``.
    OSError
        It cannot be read.
    """
    try:
        return convert(parse(read_bytes(path, max_bytes)), kind)
    except JSONError as error:
        raise JSONError(error.reason, str(path), cure) from None


def check_ordinary(path: Path) -> None:
    """Check that a path is an ordinary file, and no pipe or device, which may never end.

    Raises
    ------
    JSONError
        It is something else.
    OSError
        It is not there.
    """
    try:
        opening.checked(path)
    except opening.NotAFileError as error:
        raise JSONError(str(error.strerror)) from None


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of an ordinary file of at most ``max_bytes``.

    Raises
    ------
    JSONError
        It is something else, or larger.
    OSError
        It cannot be read.
    """
    try:
        return opening.read_file(path, max_bytes)
    except (opening.NotAFileError, opening.TooLargeError) as error:
        raise JSONError(str(error.strerror)) from None


def parse(content: bytes | str, *, foreign: bool = False) -> Any:
    """The value of a JSON text, in UTF-8 with or without a mark.

    Parameters
    ----------
    foreign
        Another program's text: NaN and Infinity, which some write, are ``None``.

    Raises
    ------
    JSONError
        It is not valid JSON.
    """
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
    except UnicodeDecodeError:
        raise JSONError("it is not UTF-8 text") from None
    if _levels(text) > MAX_LEVELS:
        raise JSONError(f"it has more than {MAX_LEVELS} levels of lists and objects")
    try:
        value = json.loads(
            text,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=(lambda _: None) if foreign else _refused,
            object_pairs_hook=_object,
        )
        if "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except JSONError:
        raise
    except UnicodeEncodeError:
        raise JSONError("half of a surrogate pair stands in it, which is no character") from None
    except ValueError as error:
        raise JSONError(f"it is not valid JSON: {error}") from None
    return value


def convert(value: Any, kind: type[T], place: str = "$") -> T:
    """A parsed value, which is at this place of its file, as ``kind``.

    Raises
    ------
    JSONError
        It is something else; the reason names the place.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise JSONError(_reason(str(error), value, place)) from None


def _levels(text: str) -> int:
    """How deep the lists and objects of a text lie inside each other."""
    if text.count("[") + text.count("{") <= MAX_LEVELS:
        return 0
    brackets = _BRACKETS.findall(_STRINGS.sub("", text))
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_DIGITS:
        raise JSONError(f"the number {_shortened(digits)} is too large")
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), -float("inf")):
        raise JSONError(f"the number {_shortened(digits)} is too large")
    return number


def _refused(name: str) -> None:
    raise JSONError(f"{name} is no number of JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise JSONError(f"the key {_shown(twice)} is there twice")
    return values


def _reason(message: str, value: Any, root: str) -> str:
    """What msgspec has found, in words, with the value that is there."""
    what, _, inside = message.partition(" - at `")
    inside = inside.rstrip("`").removeprefix("$")
    place = root + inside
    if missing := _MISSING.match(what):
        return f"{place}.{missing[1]} is missing"
    mismatch = _MISMATCH.match(what)
    if mismatch is None:
        return f"{place}: {what[:1].lower()}{what[1:]}"
    wanted = " or ".join(_KINDS.get(kind, kind) for kind in mismatch[1].split(" | "))
    return f"{place} is {_shown(_at(value, inside))}, not {f'{wanted} {_limit(mismatch[2])}'.rstrip()}"


def _limit(text: str | None) -> str:
    return (text or "").replace(">=", "≥").replace("<=", "≤").rstrip(".")


def _at(value: Any, place: str) -> Any:
    """The value at a place such as ``.files[3].path``; ``...`` where msgspec does not tell which one it is."""
    for name, index in re.findall(r"\.([^.\[]+)|\[([^\]]*)\]", place):
        try:
            value = value[int(index)] if index.isdecimal() else value[name]
        except (LookupError, TypeError):
            return ...
    return value


def _shown(value: Any) -> str:
    if value is ...:
        return "something else"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return _shortened(json.dumps(value))


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
