"""Names in archives as every system writes them, so that their members lie in folders and can be read."""

import re
import zipfile

_UTF8_FLAG = 0x800  # of a member, APPNOTE.TXT 4.4.4, bit 11


def normalise_names(archive: zipfile.ZipFile) -> None:
    """Name the members of an open archive by plain relative paths; what is read of them stays where it is."""
    for member in archive.filelist:
        member.filename = plain_name(member)
    archive.filelist = [member for member in archive.filelist if member.filename.strip("/")]  # "/" has no name
    archive.NameToInfo = {member.filename: member for member in archive.filelist}


def plain_name(member: zipfile.ZipInfo) -> str:
    """The path of a member; programs of macOS write UTF-8 without the flag, which Python takes for code page 437."""
    name = member.filename
    if not member.flag_bits & _UTF8_FLAG and not name.isascii():
        name = _as_utf8(name)
    return plain_path(name)


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


def _as_utf8(name: str) -> str:
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:  # it is in code page 437, or another that nothing names
        return name
