"""The key that a person's generated pictures are signed with: made on first use, kept on this machine, never sent.

::

    ~/.config/diptych/keys/    0700; $DIPTYCH_KEYS names another folder
      identity.pem             0600: the private key, its certificate and the root certificate
      root.pem                 the root certificate alone, to give to others
      trusted/*.pem            root certificates of others, whose pictures are trusted as well

The root's own private key is thrown away once it has signed the one certificate below it: nobody can issue a second.
"""

import base64
import datetime
import hashlib
import os
import secrets
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from diptych.errors import UsageError
from diptych.files import expanded, write_bytes
from diptych.opening import MAX_TEXT_BYTES, read_file

if TYPE_CHECKING:
    from cryptography import x509

ENVIRONMENT = "DIPTYCH_KEYS"
IDENTITY_FILE, ROOT_FILE, TRUSTED_FOLDER = "identity.pem", "root.pem", "trusted"
LIFETIME_DAYS = 25 * 365  # without a timestamp authority, a signature is valid for as long as its certificate
_END = b"-----END CERTIFICATE-----"
_making = Lock()


@dataclass(frozen=True)
class Identity:
    """Who signs.

    Attributes
    ----------
    chain_pem
        The certificate of the key, and that of the root.
    key_pem
        The private key (P-256, PKCS #8).
    root_pem
        The root certificate, which others need to trust what is signed.
    name
        The common name of the certificates. It holds no name of a person or machine, since it is in every picture.
    """

    chain_pem: bytes
    key_pem: bytes
    root_pem: bytes
    name: str

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the root certificate, in hexadecimal digits."""
        return fingerprint(self.root_pem)

    def __repr__(self) -> str:
        return f"<Identity: {self.name}>"  # never the private key


def keys_folder() -> Path:
    """The folder of the keys: ``$DIPTYCH_KEYS``, else ``diptych/keys`` in the person's configuration folder."""
    configured = os.environ.get(ENVIRONMENT)
    if configured:
        return expanded(configured)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "diptych" / "keys"


def signing_identity() -> Identity:
    """This person's key and certificates; they are made on first use.

    Raises
    ------
    OSError
        The folder cannot be written into, or the key cannot be read.
    UsageError
        The file holds no key and certificates.
    """
    with _making:
        return _identity_in(keys_folder())


def trusted_roots() -> list[bytes]:
    """The root certificates (PEM) that signatures are trusted under: one's own, if there is one, and those trusted."""
    folder = keys_folder()
    own = [_identity_in(folder).root_pem] if (folder / IDENTITY_FILE).exists() else []
    others = sorted((folder / TRUSTED_FOLDER).glob("*.pem"))
    return own + [read_file(path, MAX_TEXT_BYTES) for path in others]


def fingerprint(certificate_pem: bytes) -> str:
    """SHA-256 of a certificate, in hexadecimal digits."""
    body = certificate_pem.split(_END)[0].split(b"-----BEGIN CERTIFICATE-----")[-1]
    return hashlib.sha256(base64.b64decode(body)).hexdigest()


@lru_cache(maxsize=8)
def _identity_in(folder: Path) -> Identity:
    from filelock import FileLock

    path = folder / IDENTITY_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        with FileLock(folder / ".lock"):
            if not path.exists():  # another process may have made it meanwhile
                _write_private(path, _new_identity())
    if stat.S_IMODE(path.stat().st_mode) & 0o077 and os.name != "nt":
        path.chmod(0o600)  # a copy or a backup has opened it to others
    identity = _read(path)
    root = folder / ROOT_FILE
    if not root.exists():
        write_bytes(root, identity.root_pem)
    return identity


def _read(path: Path) -> Identity:
    from cryptography import x509

    content = read_file(path, MAX_TEXT_BYTES)
    try:
        start = content.index(b"-----BEGIN CERTIFICATE-----")
        leaf, root = x509.load_pem_x509_certificates(content[start:])
    except ValueError:
        raise UsageError(
            f"{path} does not hold a key with its two certificates. Delete it, and a new one is made; pictures signed "
            f"with the old one stay valid for those who keep {path.with_name(ROOT_FILE)}."
        ) from None
    return Identity(_pem(leaf) + _pem(root), content[:start], _pem(root), _common_name(root))


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that nobody else can read at any moment, whole or not at all."""
    draft = path.with_name(f".{secrets.token_hex(6)}.draft")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _new_identity() -> bytes:
    """A new private key, its certificate and the root that signed it, as C2PA asks for.

    See the C2PA specification 2.1, section 14.5.1 (certificate profile): the certificate is no authority, may sign and
    protect e-mail, and has an organization's name. It may sign code as well, which is what model-signing asks for.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509 import BasicConstraints, ExtendedKeyUsage
    from cryptography.x509.oid import ExtendedKeyUsageOID

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = f"Diptych key {secrets.token_hex(4)}"
    issuer, subject = _name(name), _name(f"{name}, pictures and models")
    root = _builder(issuer, issuer, root_key, root_key)
    root = root.add_extension(BasicConstraints(ca=True, path_length=0), critical=True)
    root = root.add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
    leaf = _builder(subject, issuer, key, root_key)
    leaf = leaf.add_extension(BasicConstraints(ca=False, path_length=None), critical=True)
    leaf = leaf.add_extension(_usage(digital_signature=True), critical=True)
    purposes = [ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.CODE_SIGNING]
    leaf = leaf.add_extension(ExtendedKeyUsage(purposes), critical=False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + b"".join(_pem(_signed(builder, root_key)) for builder in (leaf, root))


def _builder(subject: "x509.Name", issuer: "x509.Name", key: Any, issuer_key: Any) -> "x509.CertificateBuilder":
    from cryptography import x509

    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)  # clocks differ
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=LIFETIME_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )


def _signed(builder: "x509.CertificateBuilder", key: Any) -> "x509.Certificate":
    from cryptography.hazmat.primitives import hashes

    return builder.sign(key, hashes.SHA256())


def _name(common_name: str) -> "x509.Name":
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "A person who uses Diptych")
    return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(**allowed: bool) -> "x509.KeyUsage":
    from cryptography import x509

    uses = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{**dict.fromkeys(uses, False), **allowed})


def _pem(certificate: "x509.Certificate") -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)


def _common_name(certificate: "x509.Certificate") -> str:
    from cryptography.x509.oid import NameOID

    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
