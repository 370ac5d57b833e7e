"""The signature of a folder of files, ``model.sig``: a bundle of OpenSSF Model Signing, made with a certificate.

It lists the SHA-256 digest of every file in the folder but those of :data:`IGNORED`, and holds the certificates that
lead from the key it was made with to its owner's root certificate. ``model_signing verify certificate`` reads it as
well. See https://github.com/ossf/model-signing-spec.
"""

import base64
import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diptych import json_reader
from diptych.artefact import SIGNATURE
from diptych.errors import DataError, UsageError
from diptych.files import write_bytes
from diptych.opening import open_file

# What comes and goes beside a model and is no part of it. Not "replacement": a model may be loaded from there.
IGNORED = (SIGNATURE, "checkpoint", "extension", ".lock")
MAX_BYTES = 1 << 26  # of a signature that is read


class DamagedSignatureError(DataError):
    """A signature file that is no signature, or not one by the key that it names."""


@dataclass(frozen=True)
class FolderSignature:
    """What a valid signature says.

    Attributes
    ----------
    root_pem
        The root certificate of its owner, which says nothing of who that is until somebody trusts it.
    changes
        What differs from the files that were signed, in words: "weights.safetensors was changed". Empty: nothing.
    """

    root_pem: bytes
    changes: tuple[str, ...]


def sign_folder(folder: Path, key_pem: bytes, chain_pem: bytes) -> Path:
    """Sign the files in ``folder`` with a key; returns the signature file, which replaces an earlier one.

    Parameters
    ----------
    key_pem, chain_pem
        The private key (P-256), and its certificate followed by those that lead to the root.

    Raises
    ------
    UsageError
        The package ``model-signing`` is missing.
    DataError
        There is a symbolic link in the folder, or a file that cannot be read.
    """
    signing, _ = _library()
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_pem_x509_certificates

    own, *others = [cert.public_bytes(Encoding.PEM) for cert in load_pem_x509_certificates(chain_pem)]
    _refuse_links(folder)
    with tempfile.TemporaryDirectory(prefix="diptych-") as scratch:  # the library takes keys as files; mode 0700
        key, leaf, above, bundle = (Path(scratch) / name for name in ("key.pem", "own.pem", "chain.pem", "bundle"))
        for path, content in ((key, key_pem), (leaf, own), (above, b"".join(others))):
            path.write_bytes(content)
        config = signing.Config().set_hashing_config(_hashing())
        config.use_certificate_signer(private_key=key, signing_certificate=leaf, certificate_chain=[above])
        config.sign(folder, bundle)
        write_bytes(folder / SIGNATURE, bundle.read_bytes())
    return folder / SIGNATURE


def read_folder_signature(folder: Path) -> FolderSignature | None:
    """The signature of a folder, checked against its files; ``None`` if it has none.

    Raises
    ------
    DamagedSignatureError
        It is no signature, was changed itself, or was made with another key than the one it names.
    UsageError
        The package ``model-signing`` is missing.
    """
    path = folder / SIGNATURE
    if not path.exists():
        return None
    _, verifying = _library()
    bundle = _parsed(path)
    try:
        chain = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
        root = _as_pem(base64.b64decode(chain[-1]["rawBytes"]))
        payload = json_reader.parse(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
        signed = {entry["name"]: entry["digest"] for entry in payload["predicate"]["resources"]}
    except (LookupError, TypeError, ValueError):
        raise DamagedSignatureError(f"{SIGNATURE} is damaged.") from None
    if _is_unchanged(verifying, folder, root):
        return FolderSignature(root, ())
    changes = _changes(folder, signed)
    if not changes:  # the list that the library read, and found signed, is not the one that was read here
        raise DamagedSignatureError(f"{SIGNATURE} was changed.")
    return FolderSignature(root, changes)


def _is_unchanged(verifying: Any, folder: Path, root: bytes) -> bool:
    """Whether the files are those that were signed by a key that this root certificate vouches for."""
    with tempfile.TemporaryDirectory(prefix="diptych-") as scratch:
        above = Path(scratch) / "root.pem"
        above.write_bytes(root)
        try:
            config = verifying.Config().use_certificate_verifier(certificate_chain=[above])
            config.set_hashing_config(_hashing()).verify(folder, folder / SIGNATURE)
        except OSError as error:
            raise DataError(f"{error.filename or folder} cannot be read ({error.strerror or error}).") from None
        except ValueError as error:
            if str(error).startswith(("Signature mismatch", "Cannot use")):  # files differ, or one is a link
                return False
            raise DamagedSignatureError(f"{SIGNATURE} is damaged.") from None
        except Exception:  # by the library, OpenSSL or a parser: a file from anywhere may break in any of them
            raise DamagedSignatureError(f"{SIGNATURE} was changed, or is not by the key that it names.") from None
    return True


def _as_pem(der: bytes) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_der_x509_certificate

    return load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def _changes(folder: Path, signed: dict[str, str]) -> tuple[str, ...]:
    """What differs from the files that were signed, by their digests."""
    present = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    changes = [f"{name} is missing" for name in signed.keys() - present.keys()]
    changes += [f"{name} was added" for name in present.keys() - signed.keys()]
    for name in signed.keys() & present.keys():
        if present[name].is_symlink():
            changes.append(f"{name} is now a symbolic link")
        elif _digest(present[name]) != signed[name]:
            changes.append(f"{name} was changed")
    return tuple(sorted(changes))


def _files(folder: Path) -> list[Path]:
    paths = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return [path for path in paths if path.relative_to(folder).parts[0] not in IGNORED]


def _digest(path: Path) -> str:
    try:
        with open_file(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None


def _refuse_links(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise DataError(f"{path} is a symbolic link, which a signature does not cover. Put the file itself there.")


def _hashing() -> Any:
    from model_signing import hashing

    config: Any = hashing.Config
    return config().set_ignored_paths(paths=IGNORED, ignore_git_paths=False)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return json_reader.read(path, dict[str, Any], max_bytes=MAX_BYTES)
    except json_reader.JSONError as error:
        raise DamagedSignatureError(f"{path.name} is damaged: {error.reason}.") from None


def _library() -> tuple[Any, Any]:
    try:
        import OpenSSL  # noqa: F401 - model_signing says neither that it needs it nor that it is missing
        from model_signing import signing, verifying
    except ImportError:
        raise UsageError(
            "Signatures on models need the packages model-signing and pyOpenSSL. Install them with: "
            'pip install "diptych[sign]"'
        ) from None
    return signing, verifying
