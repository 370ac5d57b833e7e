"""The answer of ``verify``: where a picture or a model comes from, and whether it was changed since."""

import datetime
from dataclasses import dataclass, field
from typing import Any, Literal

from diptych.errors import PictureError, UsageError
from diptych.marks.containers import mime_type
from diptych.marks.keys import trusted_roots
from diptych.marks.reading import TRUSTED, VALID, Mark, read_credentials, read_mark
from diptych.marks.trust import NO_NAME, Signer, plain, root_in, signer_of

HOW_TO_TRUST = "If its owner tells you the same fingerprint, trust it with their root.pem: diptych trust root.pem"
NO_MARK = (
    "No mark. This does not prove that it is real: saving it again, a screenshot or sending it by a messenger removes "
    "marks."
)
_BOX = b"jumdc2pa"  # begins the box that C2PA's manifests are in
State = Literal["untouched", "untrusted", "changed", "unsigned", "unmarked"]


@dataclass(frozen=True)
class Verification:
    """Where a picture or a model comes from, and whether it was changed since it was signed.

    Attributes
    ----------
    path
        Of the picture or the model's folder.
    kind
        "picture" or "model".
    state
        "untouched": signed by a trusted key, and not changed since. "untrusted": not changed since, but signed by a
        key that is not trusted. "changed": since it was signed, or the signature itself. "unsigned": a model without a
        signature, or a picture with a mark that nobody signed. "unmarked": a picture without any mark.
    message
        The same in a sentence or two.
    signer
        Whose key it was signed with; ``None`` if it is not signed, or nobody's for certain.
    facts
        What the mark tells: of a picture "generated" ("synthetic" or "composite"), "model", "weights_sha256",
        "software", "time"; of a model "model_kind" and "weights_sha256". What is not known is left out.
    changes
        Of a model, each file that differs: "weights.safetensors was changed"; of a picture, the codes by which C2PA
        says what does not fit: "assertion.dataHash.mismatch".
    """

    path: str
    kind: Literal["picture", "model"]
    state: State
    message: str
    signer: Signer | None = None
    facts: dict[str, str] = field(default_factory=dict)
    changes: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether a picture was not changed; of a model, whether a trusted key has signed it as it is."""
        return self.state == "untouched" if self.kind == "model" else self.state != "changed"

    def json(self) -> dict[str, Any]:
        """As the row of ``diptych verify --json``."""
        signer = self.signer and self.signer.json()
        row = {"path": self.path, "kind": self.kind, "state": self.state, "message": self.message, "signer": signer}
        return {**row, **self.facts, "changes": list(self.changes)}

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def verify_content(content: bytes, path: str) -> Verification:
    """What the marks in a picture's file tell, and whether it was changed since it was signed.

    Raises
    ------
    PictureError
        It has credentials in a format in which they are not read, such as TIFF.
    UsageError
        It is signed, and c2pa-python cannot be used on this machine.
    """
    mark = read_mark(content)
    facts = {} if mark is None else _facts(mark)
    if _BOX in content:
        if mime_type(content) is None:
            raise PictureError("its credentials are in a format of pictures that cannot be verified here", path)
        return _verify_credentials(content, path, mark, facts)
    if mark is None:
        return Verification(path, "picture", "unmarked", NO_MARK)
    unsigned = f"{_origin(facts)}, as a mark says that nobody signed: anyone can write or change it."
    return Verification(path, "picture", "unsigned", unsigned, None, facts)


def _verify_credentials(content: bytes, path: str, mark: Mark | None, facts: dict[str, str]) -> Verification:
    _check_library()
    credentials = read_credentials(content) if mark is None else mark.credentials
    if credentials is None:
        damaged = "Changed since it was signed: its credentials are damaged."
        return Verification(path, "picture", "changed", damaged, None, facts)
    origin = _origin(facts) if facts else "With credentials that do not call it generated"
    problems = [plain(status.get("code", "")) for status in credentials.get("validation_status") or ()]
    state, signer = credentials.get("validation_state"), _signer_in(content, credentials)
    if state == TRUSTED:
        return Verification(
            path, "picture", "untouched", f"{origin}. Signed by {signer}, and not changed since.", signer, facts
        )
    if state == VALID:
        untrusted = f"{origin}. Not changed since it was signed, but by a key that you have not trusted: {signer}."
        return Verification(path, "picture", "untrusted", f"{untrusted} {HOW_TO_TRUST}", signer, facts)
    broken = tuple(code for code in problems if code != "signingCredential.untrusted")
    changed = f"Changed since it was signed: {_in_words(broken)}. Its mark, which may be of another picture, says:"
    return Verification(path, "picture", "changed", f"{changed} {origin}.", None, facts, broken)


def _signer_in(content: bytes, credentials: dict[str, Any]) -> Signer:
    """Whose key the active manifest is signed with; the certificates are in the file as they are."""
    info = credentials.get("manifests", {}).get(credentials.get("active_manifest"), {}).get("signature_info") or {}
    if credentials.get("validation_state") == TRUSTED:
        roots = trusted_roots()
        for root in roots:  # one by one, since the reader does not say which one it was
            under = credentials if len(roots) == 1 else read_credentials(content, roots=[root])
            if under is not None and under.get("validation_state") == TRUSTED:
                return signer_of(root)
    root_pem = root_in(content, str(info.get("cert_serial_number", "")))
    if root_pem is not None:
        return signer_of(root_pem)
    name = str(info.get("common_name") or info.get("issuer") or NO_NAME)
    return Signer(plain(name), "", "not trusted")


def _facts(mark: Mark) -> dict[str, str]:
    facts = {
        "generated": mark.kind,
        "model": mark.model,
        "weights_sha256": mark.weights_sha256,
        "software": mark.software,
        "time": mark.when,
    }
    return {name: plain(value) for name, value in facts.items() if value}


def _origin(facts: dict[str, str]) -> str:
    """The facts in words: "Generated by the model flow pets with Diptych 0.1.0 on 2026-11-29 at 22:00 UTC"."""
    words = ["Generated" if facts["generated"] != "composite" else "Partly generated"]
    words += [f"by the model {facts['model']}"] if "model" in facts else []
    words += [f"with {facts['software']}"] if "software" in facts else []
    try:
        moment = datetime.datetime.fromisoformat(facts.get("time", "")).astimezone(datetime.UTC)
        words += [f"on {moment:%Y-%m-%d} at {moment:%H:%M} UTC"]
    except (ValueError, OverflowError):
        pass  # not told, or not as a time
    return " ".join(words)


def _in_words(codes: tuple[str, ...]) -> str:
    """C2PA's codes for what does not fit, as a person understands them (specification 2.1, section 15)."""
    if any("Hash.mismatch" in code for code in codes):
        return "its bytes are not those that were signed"
    if any(code.startswith("claimSignature") for code in codes):
        return "the signature does not belong to what it says"
    return ", ".join(codes) or "its credentials are not valid"


def _check_library() -> None:
    try:
        import c2pa  # noqa: F401 - its absence is told apart from credentials that cannot be read
    except ImportError as error:
        raise UsageError(
            f"The picture is signed, and c2pa-python cannot be used here ({error}). Install it with: "
            "pip install c2pa-python"
        ) from None
