"""Names in archives as every system writes them, so that their members lie in folders and can be read."""

import logging
import re
import struct
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator

from diptych.data.messages import counted, join_names, printable
from diptych.errors import DataError

log = logging.getLogger("diptych")

_UTF8_FLAG = 0x800  # of a member, APPNOTE.TXT 4.4.4, bit 11
_UNICODE_PATH = 0x7075  # an extra field, APPNOTE.TXT 4.6.9


def normalise_names(archive: zipfile.ZipFile, where: str) -> None:
    """Name the members of an open archive by plain relative paths; what is read of them stays where it is.

    Raises
    ------
    DataError
        A name is in an encoding that the archive does not tell; it would be another name, and maybe a class's.
    """
    for member in archive.filelist:
        try:
            member.filename = plain_name(member)
        except UnicodeError:
            raise DataError(
                f"{where} does not tell how its names are written, which here read {printable(member.filename)}: it "
                "was packed on a system of another language. Unpack it there, or with a program that asks for the "
                "encoding (unar, 7-Zip), and open the folder."
            ) from None
    archive.filelist = [member for member in archive.filelist if member.filename.strip("/")]  # "/" has no name
    _warn_of_repeated(archive, where)
    archive.NameToInfo = {member.filename: member for member in archive.filelist}


def _warn_of_repeated(archive: zipfile.ZipFile, where: str) -> None:
    """Name the files that another one in the archive replaces, as it does where an archive is unpacked."""
    counts = Counter(member.filename for member in archive.filelist if not member.is_dir())
    if repeated := [printable(name) for name, count in counts.items() if count > 1]:
        there = counted(len(repeated), "name is", "names are")
        log.warning("%s: %s there more than once: %s. The last is taken.", where, there, join_names(repeated))


def plain_name(member: zipfile.ZipInfo) -> str:
    """The path of a member.

    Its name is in UTF-8 if the flag says so. Else Python takes it for code page 437. But some programs add the name in
    UTF-8 as an extra field; those of macOS write UTF-8 without the flag; and those of other systems write their own
    encoding, which nothing names: a single Latin letter between others may be one of code page 437, "é" say, no more;
    nor "ß", which is "á" in the encoding of Western Windows.

    Raises
    ------
    UnicodeError
        The encoding is not to be known.
    """
    name = member.filename
    if not member.flag_bits & _UTF8_FLAG and not name.isascii():
        name = _unicode_path(member) or _decoded(name)
    return plain_path(name)


def _unicode_path(member: zipfile.ZipInfo) -> str:
    """The name that the extra field gives, if it is that of this very name; else empty."""
    checked = b"\x01" + zlib.crc32(member.filename.encode("cp437")).to_bytes(4, "little")  # version, digest
    for kind, content in _extra_fields(member.extra):
        if kind == _UNICODE_PATH and content.startswith(checked):
            return content.removeprefix(checked).decode("utf-8")
    return ""


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        yield kind, extra[4 : 4 + size]
        extra = extra[4 + size :]


def plain_path(name: str) -> str:
    r"""A name as a relative path, with "/" between folders and nothing that leads out of the archive.

    Some programs of Windows write ``photos\cat\1.png``, others ``./photos``, ``/photos`` or ``C:/photos``. A name that
    ends in "/" is a folder's.
    """
    if "/" not in name:
        name = name.replace("\\", "/")
    parts = re.sub(r"^[a-zA-Z]:/", "", name).split("/")
    folder = "/" if name.endswith("/") else ""
    return "/".join(part for part in parts if part not in ("", ".", "..")) + folder


def _decoded(name: str) -> str:
    raw = name.encode("cp437")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        others = re.findall(r"[^\x00-\x7f]+", name)
        if all(len(part) == 1 and unicodedata.name(part).startswith("LATIN") and part != "ß" for part in others):
            return name
        raise
