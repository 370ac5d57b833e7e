"""Content Credentials (C2PA): who generated a picture with what, signed, and put into its file.

C2PA specification 2.1: one assertion ``c2pa.actions.v2`` with the action ``c2pa.created`` and the source type of IPTC.
A picture of which a part is generated was created as a composite: what a person gave is no credentialed ingredient.
"""

import io
import threading
from typing import Any

from diptych.marks.facts import SOURCE_TYPES, Generated
from diptych.marks.keys import Identity

ASSERTION = "org.diptych.generated"
_SETTINGS = {
    # A thumbnail of each picture in its own file adds 398 kB to one of 128 px.
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"verify_after_sign": False, "remote_manifest_fetch": False},
}
_of_thread = threading.local()  # no promise says that a signer may be used by two threads at once


class SigningError(Exception):
    """Why nothing can be signed here, as a part of a sentence."""


def signed(content: bytes, mime_type: str, facts: Generated, when: str, identity: Identity) -> bytes:
    """The file with signed credentials; whatever changes it afterwards breaks or removes them.

    Raises
    ------
    SigningError
        c2pa-python is not installed, or not for this machine, or does not take the key or the file.
    """
    try:
        from c2pa import Builder, C2paError
    except ImportError as error:
        raise SigningError(f"c2pa-python cannot be used here ({error}): pip install c2pa-python") from error
    out = io.BytesIO()
    try:
        signer, context = _signer(identity)
        with Builder(manifest(facts, when), context) as builder:
            builder.sign(signer, mime_type, io.BytesIO(content), out)
    except C2paError as error:
        raise SigningError(f"c2pa-python refuses to sign ({error})") from error
    return out.getvalue()


def manifest(facts: Generated, when: str) -> dict[str, Any]:
    """What is signed."""
    name, _, version = facts.software.partition(" ")
    program = {"name": name, "version": version} if version else {"name": name}
    action = {
        "action": "c2pa.created",
        "when": when,
        "digitalSourceType": SOURCE_TYPES[facts.kind],
        "softwareAgent": program,
    }
    ours = {
        "kind": facts.kind,
        "model": facts.model,
        "weights_sha256": facts.weights_sha256,
        "software": facts.software,
        "when": when,
        "settings": dict(facts.settings),
    }
    return {
        "claim_generator_info": [program],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [action]}},
            {"label": ASSERTION, "data": ours},
        ],
    }


def _signer(identity: Identity) -> tuple[Any, Any]:
    """This thread's signer with this key, and c2pa's settings."""
    if getattr(_of_thread, "identity", None) != identity:
        from c2pa import C2paSignerInfo, C2paSigningAlg, Context, Settings, Signer

        # Without `ta_url` no authority is asked for the time; a signer with a callback would add 12 kB, not 3.
        info = C2paSignerInfo(
            alg=C2paSigningAlg.ES256, sign_cert=identity.chain_pem, private_key=identity.key_pem, ta_url=None
        )
        _of_thread.signer, _of_thread.context = Signer.from_info(info), Context(Settings.from_dict(_SETTINGS))
        _of_thread.identity = identity
    return _of_thread.signer, _of_thread.context
