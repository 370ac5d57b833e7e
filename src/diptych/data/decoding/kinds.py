"""Kinds of picture files: how each is recognised, and what to do with one of a kind that is not read."""

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from PIL import Image

from diptych.files import ICLOUD_SUFFIX

#: So many first bytes tell the kind.
SIGNATURE_BYTES = 16

# Common ones first. Formats that call other programs (EPS) or hold no pictures are left out on purpose.
_FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "PPM", "JPEG2000", "TGA", "ICO", "DIB"),
    *("PCX", "SGI", "QOI", "PSD", "DDS", "ICNS", "SUN"),
)
# TGA has no signature: any bytes may pass for one, so that its file name decides.
WITHOUT_SIGNATURE = ("TGA",)
_SUFFIX_NAMES = (
    *("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "apng", "webp", "gif", "bmp", "dib", "tif", "tiff", "avif"),
    *("heic", "heif", "hif", "ppm", "pgm", "pbm", "pnm", "jp2", "j2k", "jpx", "tga", "ico", "pcx", "sgi", "qoi"),
    *("psd", "dds", "icns"),
)
#: Suffixes of picture files, in lower case.
PICTURE_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIX_NAMES)

#: Of documents, which are no pictures; and what to do with one, for a sentence.
DOCUMENT_SUFFIXES = (".pdf",)
DOCUMENT = "a PDF, which is not read; save its pages as pictures, such as by: pdftoppm -png FILE page"

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_VIDEO_BRANDS = (b"isom", b"iso2", b"mp41", b"mp42", b"avc1", b"qt  ", b"M4V ", b"3gp4", b"3gp5", b"3g2a", b"dash")


@dataclass(frozen=True)
class UnreadKind:
    """A kind of file with something to see in it that Diptych does not read, and what to do with one."""

    reason: str
    suffixes: tuple[str, ...]
    signatures: tuple[bytes, ...] = ()
    brands: tuple[bytes, ...] = ()  # of an ISO base media file, whose signature begins after its length


_UNREAD_KINDS = (
    UnreadKind(
        "a camera's raw file is not read; develop it, such as to JPEG or TIFF, and use that",
        (
            *("3fr", "arw", "cr2", "cr3", "crw", "dcr", "dng", "erf", "fff", "iiq", "kdc", "mef", "mos", "mrw", "nef"),
            *("nrw", "orf", "pef", "raf", "rw2", "rwl", "sr2", "srf", "srw", "x3f"),
        ),
        (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"IIU\0", b"II*\0\x10\0\0\0CR", b"FOVb", b"\0MRM"),
        (b"crx ",),
    ),
    UnreadKind(
        "JPEG XL is not read; convert it to JPEG or PNG",
        ("jxl",),
        (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"),
    ),
    UnreadKind(
        "JPEG XR and JPEG-LS are not read; convert it to JPEG or PNG",
        ("jxr", "wdp", "hdp", "jls"),
        (b"II\xbc\x01", b"\xff\xd8\xff\xf7"),
    ),
    UnreadKind("a drawing is not read; save it as PNG", ("svg", "svgz", "eps", "wmf", "emf"), (b"<svg", b"%!PS")),
    UnreadKind(
        "DICOM is not read; save the picture as PNG or TIFF, with the window that it should be seen in",
        ("dcm", "dicom"),
    ),
    UnreadKind(
        "OpenEXR and Radiance HDR are not read; save it as TIFF or PNG, with the exposure that it should be seen in",
        ("exr",),
        (b"v/1\x01", b"#?RADIANCE", b"#?RGBE"),
    ),
    UnreadKind("FITS is not read; save it as TIFF", ("fits", "fts"), (b"SIMPLE  =",)),
    UnreadKind(
        "a drawing program's own format is not read; export it as PNG",
        ("xcf", "kra", "ora", "procreate", "afphoto", "sketch", "ai", "cdr"),
        (b"gimp xcf",),
    ),
    UnreadKind(
        "it was not downloaded from iCloud; open its folder there and choose Download Now", (ICLOUD_SUFFIX[1:],)
    ),
    UnreadKind("a large Photoshop document is not read; save it as TIFF or PNG", ("psb",), (b"8BPS\0\x02",)),
    UnreadKind(
        "a video is not read; save the frames that you want as pictures, such as by: ffmpeg -i FILE -r 1 %04d.png",
        ("mp4", "m4v", "mov", "avi", "mkv", "webm", "mpg", "mpeg", "wmv", "3gp", "mts", "m2ts"),
        (b"\x1aE\xdf\xa3", b"\0\0\x01\xba", b"0&\xb2u"),
        _VIDEO_BRANDS,
    ),
)
_RAW = _UNREAD_KINDS[0]
RAW_REASON = _RAW.reason
_UNREAD_SUFFIXES = {f".{suffix}": kind for kind in _UNREAD_KINDS for suffix in kind.suffixes}
_NO_HEIF = "HEIC is read only with pillow-heif. Install it with: pip install 'diptych[heif]', or convert it to JPEG"
_BAD_HEIF = "a HEIC that libheif cannot read; convert it to JPEG"


def has_picture_suffix(name: str) -> bool:
    """Whether a file is named as a picture or a film is, be it of a kind that is read or not."""
    suffix = _suffix(name)
    return suffix in PICTURE_SUFFIXES or suffix in _UNREAD_SUFFIXES


def has_picture_signature(prefix: bytes) -> bool:
    """Whether a file that begins with these 16 bytes has the signature of a known format that can be read."""
    return next(candidate_formats(prefix, ""), None) is not None


def has_known_signature(prefix: bytes) -> bool:
    """The same, be the format one that can be read or not."""
    return has_picture_signature(prefix) or _is_heif(prefix) or _kind_by_signature(prefix) is not None


def candidate_formats(prefix: bytes, path: str) -> Iterator[str]:
    """Formats of Pillow whose signature a file that begins with these bytes has."""
    if _FORMATS[0] not in Image.OPEN or _FORMATS[-1] not in Image.OPEN:
        Image.init()
    if _is_heif(prefix):
        _register_heif()
    for name in _FORMATS:
        if name in WITHOUT_SIGNATURE and not path.lower().endswith(f".{name.lower()}"):
            continue
        if name in Image.OPEN:
            accept = Image.OPEN[name][1]
            with suppress(struct.error, IndexError):  # what fewer than 16 bytes do to some of them
                if accept is None or accept(prefix) is True:
                    yield name


def why_unread(prefix: bytes, path: str) -> str | None:
    """What to do with a file that no reader opened; ``None`` if its kind is not known, or is one that is read.

    The first bytes decide before the name, since files are misnamed.
    """
    if _is_heif(prefix):
        return _BAD_HEIF if "HEIF" in Image.OPEN else _NO_HEIF
    kind = _kind_by_signature(prefix)
    if kind is None and next(candidate_formats(prefix, path), None) in (None, *WITHOUT_SIGNATURE):
        kind = _UNREAD_SUFFIXES.get(_suffix(path))
    return stand_in(prefix) if kind is None else kind.reason


def stand_in(data: bytes) -> str | None:
    """What stands in place of a file, such as one never fetched, and what to do, by its first bytes; else ``None``."""
    start = data[:SIGNATURE_BYTES].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page in place of the file; download it again, signed in if the site asks for it"
    if start.startswith(b"version https://"):
        return "a pointer of Git LFS in place of the file; fetch it with: git lfs pull"
    if start.startswith(b"%pdf"):
        return DOCUMENT
    return None


def is_raw(prefix: bytes, path: str) -> bool:
    """Whether a file that begins as a TIFF does is a camera's raw file."""
    return _kind_by_signature(prefix) is _RAW or _UNREAD_SUFFIXES.get(_suffix(path)) is _RAW


def _kind_by_signature(prefix: bytes) -> UnreadKind | None:
    matching = (kind for kind in _UNREAD_KINDS if prefix.startswith(kind.signatures) or _brand(prefix) in kind.brands)
    return next(matching, None)


def _suffix(name: str) -> str:
    return f".{name.rpartition('.')[2].lower()}" if "." in name else ""


def _brand(prefix: bytes) -> bytes:
    return prefix[8:12] if prefix[4:8] == b"ftyp" else b""


def _is_heif(prefix: bytes) -> bool:
    return _brand(prefix) in _HEIF_BRANDS


@cache
def _register_heif() -> None:
    """Let Pillow read HEIC where pillow-heif is installed."""
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
