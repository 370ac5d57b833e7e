"""The marks of a picture read again: quickly, by a search for bytes, and in full where that finds something.

The search knows the marks of any maker who keeps to the standards: IPTC's source types, in Content Credentials (C2PA)
as in XMP, the field AIGC of GB 45438-2025, and the text that Diptych writes into PNG.
"""

import html
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from diptych import json_reader
from diptych.marks.containers import mime_type
from diptych.marks.credentials import ASSERTION
from diptych.marks.facts import SOFTWARE, SOURCE_TYPES, Generated, Kind
from diptych.marks.keys import trusted_roots
from diptych.marks.xmp import AIGC_NAMESPACE
from diptych.opening import read_file

_SOURCE_TYPE, _COMPOSITE = b"rainedAlgorithmicMedia", b"compositeWithTrainedAlgorithmicMedia"
_LABELS = (AIGC_NAMESPACE.encode(), b"Software\0" + SOFTWARE.encode() + b" ")
_AIGC_OF_JSON = re.compile(rb"AIGC[^A-Za-z0-9]{1,12}Label")
TRUSTED, VALID = "Trusted", "Valid"  # states of credentials
_CREDENTIALS = b"jumb"  # the box that C2PA's manifests are in
_AIGC = re.compile(rb"TC260:AIGC=(?:\"([^\"]*)\"|'([^']*)')|<TC260:AIGC>([^<]*)</TC260:AIGC>")
_TEXT = re.compile(rb"xmp:(CreatorTool|CreateDate)=\"([^\"]*)\"")


@dataclass(frozen=True)
class Mark:
    """What a picture's marks tell.

    Attributes
    ----------
    kind
        "synthetic" or "composite".
    model, weights_sha256, software, when
        As in :class:`diptych.marks.Generated`; empty where no mark tells it. ``when`` is an ISO 8601 time.
    settings
        Such as the seed.
    aigc
        The field AIGC; empty if there is none.
    state
        Of the credentials: "Trusted" (signed under a root that this person trusts), "Valid" (signed under another),
        "Invalid" (changed after signing); ``None``: there are none, or they cannot be read here.
    signer
        Who signed, as the certificate says; empty if nobody did.
    problems
        The codes of what makes credentials invalid or untrusted, as C2PA has them.
    credentials
        All of them, as :func:`read_credentials` gives them.
    """

    kind: Kind
    model: str = ""
    weights_sha256: str = ""
    software: str = ""
    when: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    aigc: dict[str, Any] = field(default_factory=dict)
    state: str | None = None
    signer: str = ""
    problems: Sequence[str] = ()
    credentials: dict[str, Any] | None = None


def marked_kind(content: bytes | memoryview) -> Kind | None:
    """What the marks in a file, or in parts of one, call the picture; ``None``: there is no mark in them."""
    content = bytes(content)
    if _SOURCE_TYPE in content:
        return "composite" if _COMPOSITE in content else "synthetic"
    # A search for fixed bytes takes a hundredth of the time of one for a pattern.
    labelled = any(label in content for label in _LABELS) or (b"AIGC" in content and _AIGC_OF_JSON.search(content))
    return "synthetic" if labelled else None


def carries_mark(picture: bytes | Path) -> bool:
    """Whether a file, or its bytes, have a mark that calls the picture generated."""
    return marked_kind(read_file(picture) if isinstance(picture, Path) else picture) is not None


def has_credentials(content: bytes | memoryview) -> bool:
    """Whether a file, or its start, has C2PA's manifests, whatever they say."""
    return _CREDENTIALS in bytes(content)


def read_mark(content: bytes) -> Mark | None:
    """The marks of a picture; ``None``: it has none, which proves nothing, since a re-save removes them."""
    kind = marked_kind(content)
    if kind is None:
        return None
    credentials = read_credentials(content) if has_credentials(content) else None
    texts = {name.decode(): html.unescape(value.decode("utf-8", "replace")) for name, value in _TEXT.findall(content)}
    of_xmp = Mark(kind, software=texts.get("CreatorTool", ""), when=texts.get("CreateDate", ""), aigc=_aigc(content))
    if credentials is None:
        return of_xmp
    manifest = credentials.get("manifests", {}).get(credentials.get("active_manifest"), {})
    ours, action = _assertion(manifest, ASSERTION), _action(manifest)
    signature = manifest.get("signature_info") or {}
    generators = manifest.get("claim_generator_info") or [{}]
    return replace(
        of_xmp,
        kind=next((known for known, uri in SOURCE_TYPES.items() if uri == action.get("digitalSourceType")), kind),
        model=str(ours.get("model", "")),
        weights_sha256=str(ours.get("weights_sha256", "")),
        software=str(ours.get("software") or " ".join(str(generators[0].get(key, "")) for key in ("name", "version"))),
        when=str(action.get("when") or ours.get("when") or signature.get("time") or of_xmp.when),
        settings=dict(ours.get("settings") or {}),
        state=credentials.get("validation_state"),
        signer=str(signature.get("common_name") or signature.get("issuer") or ""),
        problems=tuple(status.get("code", "") for status in credentials.get("validation_status") or ()),
        credentials=credentials,
    )


def told_by(content: bytes) -> Generated | None:
    """What a picture's marks tell of it, to mark a copy of it in the same way; ``None``: it has none.

    Of marks that nobody has signed, or that were changed since, only the kind is repeated under one's own signature.
    """
    mark = read_mark(content)
    if mark is None:
        return None
    if mark.state not in (TRUSTED, VALID):
        return Generated(mark.kind)
    return Generated(mark.kind, mark.model, mark.weights_sha256, mark.software, mark.settings)


def read_credentials(content: bytes, roots: Sequence[bytes] | None = None) -> dict[str, Any] | None:
    """C2PA's manifests and their validation; ``None``: there are none, or they cannot be read here.

    They are trusted under ``roots`` (PEM); ``None``: under :func:`trusted_roots`.

    Nothing is fetched from outside.
    """
    kind = mime_type(content)
    if kind is None:
        return None
    try:
        from c2pa import C2paError, Context, Reader, Settings
    except ImportError:
        return None
    anchors = b"\n".join(trusted_roots() if roots is None else roots).decode()
    settings: dict[str, Any] = {"verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False}}
    if anchors:
        settings["trust"] = {"user_anchors": anchors}
    try:
        with Reader(kind, io.BytesIO(content), context=Context(Settings.from_dict(settings))) as reader:
            read: dict[str, Any] = json.loads(reader.json())
            return read
    except C2paError:
        return None


def _assertion(manifest: dict[str, Any], label: str) -> dict[str, Any]:
    found = (one.get("data") for one in manifest.get("assertions", ()) if one.get("label") == label)
    return next((data for data in found if isinstance(data, dict)), {})


def _action(manifest: dict[str, Any]) -> dict[str, Any]:
    """The first action that tells a source type."""
    of = [
        one for label in ("c2pa.actions.v2", "c2pa.actions") for one in _assertion(manifest, label).get("actions", ())
    ]
    return next((action for action in of if action.get("digitalSourceType")), {})


def _aigc(content: bytes) -> dict[str, Any]:
    match = _AIGC.search(content)
    if match is None:
        return {}
    text = next(group for group in match.groups() if group is not None).decode("utf-8", "replace")
    try:
        fields = json_reader.parse(html.unescape(text))
    except json_reader.JSONError:
        return {}
    return fields if isinstance(fields, dict) else {}
