"""Signing keys: Ed25519 and ECDSA on P-256, as files, as 32 public bytes with flags, and as signatures of 64 bytes.

Two algorithms, since what holds a wallet's key decides which one it can be: most secure elements know P-256 alone. A
public key is always 32 bytes and a few flags, a signature always 64 bytes, so that both fit one record and one
envelope. `sycee.ledger.layout.KeyFlag` has the same flags; a test compares them.

A private key is a PEM file that nobody else can read. A key derived from a seed is for replays: whoever knows the seed
has it, so it says that it is synthetic, and so does its file.
"""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeAlias

from blake3 import blake3
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from sycee.core.errors import UnavailableError, UsageError
from sycee.core.limits import KEY_BYTES
from sycee.core.output_files import sync_folder

ED25519: Final = 1  # flags: what the 32 bytes of a public key are
P256: Final = 2  # the x of a point, big-endian
Y_ODD: Final = 4  # with P256: the point's y is odd

SIGNATURE_BYTES: Final = 64
MESSAGE_BYTES: Final = 112  # what an envelope signs, docs/reference/authority.md section 2
# One signature to verify: the key's flags and 32 bytes, the signature, the message. Fixed size, so that many of them
# travel to another process as one block of bytes.
JOB: Final = struct.Struct(f"<I{KEY_BYTES}s{SIGNATURE_BYTES}s{MESSAGE_BYTES}s")
SEED_BYTES: Final = 32

_NAMES: Final = {ED25519: "ed25519", P256: "p256-even", P256 | Y_ODD: "p256-odd"}
_FLAGS: Final = {name: flags for flags, name in _NAMES.items()}
ALGORITHMS: Final = ("ed25519", "p256")

_DERIVE_CONTEXT: Final = "sycee 2026-11-25 keys: synthetic signing key"
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SYNTHETIC_MARK: Final = b"Synthetic: derived from a seed, for replays only.\n"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_FILE_BYTES_MAX: Final = 64 << 10
_LOADED_MAX: Final = 4_096  # public keys kept ready; a point on P-256 costs as much to unpack as to use

_ECDSA: Final = ec.ECDSA(hashes.SHA256())

_Private: TypeAlias = "ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey"
_Public: TypeAlias = "ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """32 bytes and what they are: `flags` is ED25519, P256 or P256 | Y_ODD."""

    flags: int
    key: bytes

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature`, 64 bytes, is this key's over `message`. A key that is no key verifies nothing."""
        return len(signature) == SIGNATURE_BYTES and _holds(self.flags, self.key, signature, message)

    def __str__(self) -> str:
        return f"{_NAMES.get(self.flags, f'flags {self.flags}')}:{self.key.hex()}"

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Read a key as `str` writes it: ed25519:, p256-even: or p256-odd: and 64 hexadecimal digits.

        Raises UsageError for any other text, and for bytes that are no public key.
        """
        name, _, digits = text.strip().partition(":")
        # Nothing of the text is repeated, here or below: it may be a private key that was given by mistake.
        hint = 'a public key looks like "ed25519:" and 64 hexadecimal digits'
        if "-----BEGIN" in text:
            what = "the private key" if "PRIVATE KEY" in text else "a PEM file"
            raise UsageError(
                f"this is {what}, which is not a public key as text",
                hint=f"name the public key's text, which `sycee key new` printed: {hint}",
            )
        if name not in _FLAGS or len(digits) != 2 * KEY_BYTES:
            raise UsageError(f"a text of {len(text):,} characters is not a public key", hint=hint)
        try:
            public = cls(_FLAGS[name], bytes.fromhex(digits))
            _loaded(public.flags, public.key)
        except ValueError as error:
            raise UsageError(f"these {2 * KEY_BYTES} digits after {name}: are not a public key", hint=hint) from error
        return public


class SigningKey:
    """A private key that signs. `public` may be shown to anybody; `synthetic` says that it was derived from a seed."""

    def __init__(self, private: _Private, *, synthetic: bool = False) -> None:
        self._private = private
        self.synthetic = synthetic
        self.public = _public_of(private)

    def __repr__(self) -> str:
        return f"SigningKey({self.public}{', synthetic' if self.synthetic else ''})"

    @classmethod
    def generate(cls, algorithm: str = "ed25519") -> SigningKey:
        """A new key from the machine's entropy. `algorithm`: ed25519 or p256; UsageError for another."""
        if _known(algorithm) == "ed25519":
            return cls(ed25519.Ed25519PrivateKey.generate())
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def derive(cls, seed: bytes, algorithm: str = "ed25519") -> SigningKey:
        """The key that follows from a seed of 32 bytes, the same on every machine, marked synthetic.

        For replays and tests alone: whoever knows the seed can sign. Raises UsageError for a seed of another length.
        """
        if len(seed) != SEED_BYTES:
            raise UsageError(f"a key is derived from {SEED_BYTES} bytes, not {len(seed)}")
        material = blake3(_known(algorithm).encode() + seed, derive_key_context=_DERIVE_CONTEXT).digest(48)
        if algorithm == "ed25519":
            return cls(ed25519.Ed25519PrivateKey.from_private_bytes(material[:32]), synthetic=True)
        # 48 bytes rather than 32, so that the remainder is as good as uniform.
        scalar = int.from_bytes(material, "big") % (_P256_ORDER - 1) + 1
        return cls(ec.derive_private_key(scalar, ec.SECP256R1()), synthetic=True)

    @classmethod
    def load(cls, path: str | Path) -> SigningKey:
        """Read a private key from a PEM file.

        Raises UsageError where the file is not there, can be used by others than its owner, or is not such a key.
        """
        path = Path(path)
        content = _read_closed_to_others(path)
        return cls(_private_from(content, path), synthetic=content.startswith(_SYNTHETIC_MARK))

    def save(self, path: str | Path) -> None:
        """Write the key to a new PEM file that its owner alone can read (mode 0600), durably.

        Raises UsageError where the file is there already, UnavailableError where the disk refuses.
        """
        path = Path(path)
        content = self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        try:
            # Made with its mode: a file that is closed to others only afterwards was open for a moment.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError as error:
            raise UsageError(
                f"{path} is there already", hint="choose another name: a key that was overwritten is lost"
            ) from error
        except OSError as error:
            raise UnavailableError(f"the key file {path} cannot be made: {error.strerror}") from error
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_SYNTHETIC_MARK * self.synthetic + content)
                file.flush()
                os.fsync(descriptor)
            sync_folder(path.parent)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise UnavailableError(f"the key file {path} cannot be written: {error.strerror}") from error

    def sign(self, message: bytes) -> bytes:
        """64 bytes: Ed25519 (RFC 8032), or r and s of ECDSA over SHA-256, big-endian, 32 bytes each.

        ECDSA takes its nonce from key and message (RFC 6979), so a weak source of entropy cannot give the key away
        and a replay signs the same bytes. Raises UnavailableError where this machine's library cannot.
        """
        if isinstance(self._private, ed25519.Ed25519PrivateKey):
            return self._private.sign(message)
        try:
            algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        except UnsupportedAlgorithm as error:
            raise UnavailableError(
                "this machine's cryptographic library is too old to sign with P-256 keys",
                hint="install the releases that Sycee's lock files name, or use an Ed25519 key",
            ) from error
        r, s = decode_dss_signature(self._private.sign(message, algorithm))
        return r.to_bytes(SIGNATURE_BYTES // 2, "big") + s.to_bytes(SIGNATURE_BYTES // 2, "big")


def verify_jobs(jobs: bytes | bytearray | memoryview) -> bytes:
    """Verify whole JOBs, one after another: one byte for each, 1 where the signature holds and 0 where it does not.

    Raises struct.error where `jobs` is not a whole number of JOBs.
    """
    return bytes([_holds(*job) for job in JOB.iter_unpack(jobs)])


def _holds(flags: int, key: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether a signature of 64 bytes is the key's over `message`."""
    try:
        loaded = _loaded(flags, key)
        if isinstance(loaded, ed25519.Ed25519PublicKey):
            loaded.verify(signature, message)
        else:
            loaded.verify(_as_der(signature), message, _ECDSA)
    except (InvalidSignature, ValueError):
        return False
    return True


def _known(algorithm: str) -> str:
    if algorithm not in ALGORITHMS:
        raise UsageError(f"{algorithm!r} is no algorithm for keys", hint=f"use {' or '.join(ALGORITHMS)}")
    return algorithm


@lru_cache(maxsize=_LOADED_MAX)
def _loaded(flags: int, key: bytes) -> _Public:
    """The library's form of a public key. ValueError where flags and bytes are none."""
    if flags == ED25519:
        return ed25519.Ed25519PublicKey.from_public_bytes(key)
    if flags not in _NAMES:
        raise ValueError(f"flags {flags} name no kind of key")
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), (b"\x03" if flags & Y_ODD else b"\x02") + key)


def _public_of(private: _Private) -> PublicKey:
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return PublicKey(ED25519, private.public_key().public_bytes_raw())
    point = private.public_key().public_numbers()
    return PublicKey(P256 | Y_ODD if point.y & 1 else P256, point.x.to_bytes(KEY_BYTES, "big"))


def _read_closed_to_others(path: Path) -> bytes:
    """The content of a file that its owner alone can use. UsageError for any other."""
    hint = "name the file that a key was saved to"
    try:
        # Without O_NONBLOCK the name of a pipe would wait here for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            # The open file is asked, not its name: between two questions a name may be given to another file.
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(f"the key file {path} is not a file", hint=hint)
            if status.st_mode & _OTHERS:
                raise UsageError(
                    f"the key file {path} is open to others than its owner (mode {stat.S_IMODE(status.st_mode):o})",
                    hint="make a new key if anybody may have read it; otherwise: chmod 600 on the file",
                )
            return os.read(descriptor, _FILE_BYTES_MAX)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UsageError(f"the key file {path} cannot be read: {error.strerror}", hint=hint) from error


def _private_from(content: bytes, path: Path) -> _Private:
    hint = "name a PEM file with an Ed25519 or P-256 private key that has no password"
    begin = content.find(b"-----BEGIN")
    try:
        private = serialization.load_pem_private_key(content[max(begin, 0) :], password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"the key file {path} holds no private key that can be used", hint=hint) from error
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private
    if isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, ec.SECP256R1):
        return private
    raise UsageError(f"the key file {path} holds a private key of another kind", hint=hint)


def _as_der(signature: bytes) -> bytes:
    half = SIGNATURE_BYTES // 2
    return encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))
