"""Marks put on a generated picture as the last thing before its bytes leave."""

import datetime
import logging
import secrets
from functools import lru_cache

from diptych.marks import xmp
from diptych.marks.containers import mime_type, with_text
from diptych.marks.credentials import SigningError, signed
from diptych.marks.facts import Generated
from diptych.marks.keys import Identity, keys_folder, signing_identity

log = logging.getLogger("diptych")


def mark(content: bytes, facts: Generated) -> bytes:
    """A PNG, JPEG, WebP, GIF or MP4 with all marks: XMP, text, and credentials signed with the person's key.

    Pixels stay as they are. Two calls give different bytes, since a signature has a random part. Other content, such as
    an SVG, comes back as it is. Where nothing can be signed, a warning says so once, and the other marks are there.
    """
    kind = mime_type(content)
    if kind is None:
        return content
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    identity = _identity()
    aigc = xmp.aigc_fields(identity.fingerprint if identity else "", secrets.token_hex(16))
    content = with_text(content, xmp.packet(facts, when, aigc), facts.software, facts.sentence())
    if identity is None:
        return content
    try:
        return signed(content, kind, facts, when, identity)
    except SigningError as error:
        _warn_once(str(error))
        return content


def mark_if(content: bytes, facts: Generated | None) -> bytes:
    """The same where ``facts`` are given; ``None``: the picture is real, and stays as it is."""
    return content if facts is None else mark(content, facts)


def _identity() -> Identity | None:
    """The person's key; ``None`` where none can be made or read."""
    try:
        return signing_identity()
    except OSError as error:
        _warn_once(f"the signing key in {keys_folder()} cannot be made or read ({error}). DIPTYCH_KEYS names a folder")
        return None


@lru_cache(maxsize=8)
def _warn_once(reason: str) -> None:
    log.warning("Generated pictures carry no signed credentials, only XMP and text: %s.", reason)
