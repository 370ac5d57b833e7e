"""``sign`` and ``verify``: signatures on model folders, and what marks and signatures tell."""

import os
from pathlib import Path

from diptych import artefact
from diptych.data.decode import dimensions
from diptych.errors import ArtefactError, DataError, PictureError
from diptych.files import did_you_mean
from diptych.marks.containers import mime_type
from diptych.marks.keys import signing_identity
from diptych.marks.trust import Signer, fingerprint_of, signer_of
from diptych.marks.verification import HOW_TO_TRUST, Verification, verify_content
from diptych.opening import read_file
from diptych.signing.folder_signature import DamagedSignatureError, read_folder_signature, sign_folder

MAX_PICTURE_BYTES = 1 << 30  # of a file that is read


def sign(folder: str | Path) -> Path:
    """Sign the model in ``folder`` with your own key, which is made on first use; returns the signature's path.

    The signature, ``model.sig``, covers every file of the model. Signing again replaces it; saving the model again,
    such as after it was trained further or calibrated, removes it.

    Raises
    ------
    ArtefactError
        There is no model, or its run has not finished.
    DataError
        The folder holds a symbolic link.
    UsageError
        The package ``model-signing`` is missing.
    """
    path = Path(folder)
    if artefact.UNFINISHED in artefact.facts(path):
        raise ArtefactError(f"{folder} comes from a run that has not finished. Finish it first, then sign.")
    artefact.complete(path)
    identity = signing_identity()
    return sign_folder(path, identity.key_pem, identity.chain_pem)


def verify(path: str | Path) -> Verification:
    """Where the picture or the model at ``path`` comes from, and whether it was changed since it was signed.

    Raises
    ------
    DataError
        It is no picture that can be read.
    ArtefactError
        It is a folder without a model.
    UsageError
        It is a signed model, and the package ``model-signing`` is missing.
    """
    place = Path(path)
    if place.is_dir():
        return verify_model(place)
    try:
        content = read_file(place, MAX_PICTURE_BYTES)
    except FileNotFoundError:
        raise DataError(f"{path} is not there.{did_you_mean(path)} Name a picture, or a model's folder.") from None
    except OSError as error:
        raise PictureError((error.strerror or str(error)).lower(), str(path)) from None
    return verify_picture(content, str(path))


def verify_picture(content: bytes, path: str) -> Verification:
    """What the marks of a picture tell; ``content`` is its file, ``path`` what the answer calls it.

    Raises
    ------
    PictureError
        It is no picture.
    UsageError
        It is signed, and c2pa-python cannot be used on this machine.
    """
    verified = verify_content(content, path)
    if verified.state == "unmarked" and mime_type(content) is None:  # those are read only as far as their marks
        dimensions(content, path)
    return verified


def verify_model(folder: Path) -> Verification:
    """The signature of the model in ``folder``.

    Raises
    ------
    ArtefactError
        There is no model.
    UsageError
        The package ``model-signing`` is missing.
    """
    facts, name = _facts(folder), str(folder)
    try:
        signature = read_folder_signature(folder)
    except DamagedSignatureError as error:
        return Verification(name, "model", "changed", f"Not valid: {error}", None, facts, (str(error).rstrip("."),))
    if signature is None:
        unsigned = "Not signed: nothing tells whose it is, or whether it was changed. Sign your own: diptych sign"
        return Verification(name, "model", "unsigned", unsigned, None, facts)
    signer = signer_of(signature.root_pem)
    if signature.changes:
        changed = f"Changed since it was signed by {signer}: {', '.join(signature.changes)}."
        return Verification(name, "model", "changed", changed, signer, facts, signature.changes)
    if not signer.trusted:
        untrusted = f"Not changed since it was signed, but by a key that you have not trusted: {signer}. {HOW_TO_TRUST}"
        return Verification(name, "model", "untrusted", untrusted, signer, facts)
    return Verification(name, "model", "untouched", f"Signed by {signer}, and not changed since.", signer, facts)


def require_signature(folder: Path, signed_by: str | os.PathLike[str]) -> Signer:
    """Refuse a model unless it is, unchanged, as the owner of this key has signed it.

    Parameters
    ----------
    signed_by
        The owner's root certificate, a PEM file, or its fingerprint.

    Raises
    ------
    DataError
        It is not signed, was changed, or is signed by somebody else.
    """
    expected = fingerprint_of(signed_by)
    verified = verify_model(folder)
    if verified.state in ("unsigned", "changed") or verified.signer is None:
        raise DataError(f"{folder} is not loaded. {verified.message}")
    if verified.signer.fingerprint != expected:
        raise DataError(
            f"{folder} is not loaded. It is signed by {verified.signer}, not under the fingerprint {expected}."
        )
    return verified.signer


def _facts(folder: Path) -> dict[str, str]:
    """What is shown of a model; nothing of a signed one whose ``model.json`` is damaged: the signature tells that."""
    try:
        model = artefact.facts(folder)
    except ArtefactError:
        if artefact.exists(folder) and (folder / artefact.SIGNATURE).exists():
            return {}
        raise
    return {"model_kind": str(model["kind"]), "weights_sha256": str(model.get("weights_sha256", ""))}
