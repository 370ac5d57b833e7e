"""Whose signatures are trusted: one's own, and those of the people whose root certificates one has added."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from diptych.errors import DataError
from diptych.files import did_you_mean, write_bytes
from diptych.marks.keys import (
    IDENTITY_FILE,
    ROOT_FILE,
    TRUSTED_FOLDER,
    fingerprint,
    keys_folder,
    signing_identity,
    trusted_roots,
)
from diptych.opening import MAX_TEXT_BYTES, read_file

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MAX_BYTES = 1 << 20  # of a certificate file
NO_NAME = "a key without a name"
MAX_TEXT = 200  # letters of a name
MAX_CERTIFICATES = 64  # places of a picture's file that begin like one
_DER = re.compile(rb"\x30\x82..\x30\x82..\xa0\x03\x02\x01\x02", re.DOTALL)  # a certificate, its body, version 3


@dataclass(frozen=True)
class Signer:
    """Whose key a signature was made with, as its root certificate tells.

    Attributes
    ----------
    name
        That the owner gave it: anyone can use any name, the fingerprint alone tells keys apart.
    fingerprint
        SHA-256 of the root certificate, in hexadecimal digits; empty where a picture does not hold that certificate.
    trust
        "own", "trusted" (added by ``diptych trust``) or "not trusted".
    """

    name: str
    fingerprint: str
    trust: str

    @property
    def trusted(self) -> bool:
        """Whether the key is one's own or was added."""
        return self.trust != "not trusted"

    def json(self) -> dict[str, str]:
        """As a JSON object."""
        return {"name": self.name, "fingerprint": self.fingerprint, "trust": self.trust}

    def __str__(self) -> str:
        if not self.fingerprint:
            return f"{self.name} (not trusted)"
        whose = {"own": "your own key", "trusted": "a key that you trust", "not trusted": "not trusted"}[self.trust]
        return f"{self.name} ({whose}, fingerprint {self.fingerprint})"


def trust(certificate: str | Path) -> Signer:
    """Trust from now on what is signed under this root certificate (PEM), which its owner has given you.

    Raises
    ------
    DataError
        The file is not there, or holds no root certificate.
    """
    path = Path(certificate)
    pem = read_root(path)
    write_bytes(keys_folder() / TRUSTED_FOLDER / f"{fingerprint(pem)}.pem", pem)
    return signer_of(pem)


def trusted_signers() -> list[tuple[Signer, Path]]:
    """All whose signatures are trusted with their certificates, oneself first; one's own key is made on first use."""
    own, folder = signer_of(signing_identity().root_pem), keys_folder()
    others = [
        (signer_of(read_file(path, MAX_TEXT_BYTES)), path) for path in sorted((folder / TRUSTED_FOLDER).glob("*.pem"))
    ]
    return [(own, folder / ROOT_FILE), *others]


def signer_of(root_pem: bytes) -> Signer:
    """The signer whose root certificate this is (PEM)."""
    mark = fingerprint(root_pem)
    return Signer(_name_of(_parsed(root_pem)), mark, _trust_in(mark))


def root_in(content: bytes, serial_number: str) -> bytes | None:
    """The root certificate (PEM) of a picture's signature, whose certificate has this number; ``None``: not in there.

    The certificates lie in the file in DER, as C2PA's signatures (COSE) hold them: what begins like one is tried.
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    certificates = list(_certificates_in(content))
    signing = [one for one in certificates if str(one.serial_number) == serial_number]
    roots = {
        root.public_bytes(Encoding.PEM)
        for leaf in signing
        for root in certificates
        if _is_root(root) and _issued(leaf, root)
    }
    return roots.pop() if len(roots) == 1 else None


def _certificates_in(content: bytes) -> Iterator["Certificate"]:
    from cryptography.x509 import load_der_x509_certificate

    for place in islice(_DER.finditer(content), MAX_CERTIFICATES):
        start = place.start()
        with suppress(ValueError):
            length = int.from_bytes(content[start + 2 : start + 4], "big") + 4
            yield load_der_x509_certificate(content[start : start + length])


def _is_root(certificate: "Certificate") -> bool:
    try:
        return certificate.issuer == certificate.subject
    except ValueError:  # certificates are parsed as they are asked
        return False


def _issued(certificate: "Certificate", issuer: "Certificate") -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def plain(text: str) -> str:
    """Text from a file of someone else, for a terminal: on one line, without control characters, not endless."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:MAX_TEXT]).strip()


def fingerprint_of(signed_by: str | os.PathLike[str]) -> str:
    """The fingerprint that a person gave: as such, with or without colons, or as the file of the root certificate.

    Raises
    ------
    DataError
        It is neither.
    """
    digits = os.fspath(signed_by).replace(":", "").replace(" ", "").lower()
    if len(digits) == 64 and set(digits) <= set("0123456789abcdef"):
        return digits
    return fingerprint(read_root(Path(signed_by)))


def read_root(path: Path) -> bytes:
    """The one root certificate in a file, as PEM.

    Raises
    ------
    DataError
        The file is not there, or holds something else.
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        content = read_file(path, MAX_BYTES)
    except FileNotFoundError:
        raise DataError(f"{path} is not there.{did_you_mean(path)} Name the certificate, such as root.pem.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None
    certificate = _parsed(content, path)
    if not _is_root(certificate):
        raise DataError(f"{path} is not a root certificate, but one below it. Ask its owner for their root.pem.")
    return certificate.public_bytes(Encoding.PEM)


def _parsed(pem: bytes, path: Path | None = None) -> "Certificate":
    from cryptography.x509 import load_pem_x509_certificates

    try:
        certificates = load_pem_x509_certificates(pem)
        if len(certificates) != 1:
            raise ValueError
    except ValueError:
        where = path or "The signature's root"
        raise DataError(f"{where} is not one certificate in PEM form. Ask its owner for their root.pem.") from None
    return certificates[0]


def _name_of(certificate: "Certificate") -> str:
    from cryptography.x509 import NameOID

    try:
        subject = certificate.subject
    except ValueError:
        return NO_NAME
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    names = names or subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return plain(str(names[0].value)) if names else NO_NAME


def _trust_in(mark: str) -> str:
    if (keys_folder() / IDENTITY_FILE).exists() and signing_identity().fingerprint == mark:
        return "own"
    return "trusted" if mark in map(fingerprint, trusted_roots()) else "not trusted"
