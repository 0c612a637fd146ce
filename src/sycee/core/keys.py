"""Signing keys: Ed25519 and ECDSA on P-256. Files, public keys of 32 bytes and flags, and signatures of 64 bytes.

There are two algorithms because the device of a wallet determines its key: most secure elements support P-256 only. A
public key is always 32 bytes and a few flags, and a signature always 64 bytes, so that both fit one record and one
envelope. `sycee.core.records.layout.KeyFlag` has the same flags; a test compares them.

A private key is a PEM file that only its owner can read. A key derived from a seed is for replays, because everybody
with the seed can derive it: the key and its file are labelled as synthetic.
"""

from __future__ import annotations

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
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from sycee.core.errors import UnavailableError, UsageError
from sycee.core.limits import KEY_BYTES
from sycee.core.secret_files import read_secret, write_secret

ED25519: Final = 1  # flags: the meaning of the 32 bytes of a public key
P256: Final = 2  # the x of a point, big-endian
Y_ODD: Final = 4  # with P256: the point's y is odd

SIGNATURE_BYTES: Final = 64
MESSAGE_BYTES: Final = 112  # the signed message of an envelope, docs/reference/authority.md section 2
# One signature to verify: the key's flags and 32 bytes, the signature, the message. The size is fixed, so that many
# jobs go to another process as one block of bytes.
JOB: Final = struct.Struct(f"<I{KEY_BYTES}s{SIGNATURE_BYTES}s{MESSAGE_BYTES}s")
SEED_BYTES: Final = 32

_NAMES: Final = {ED25519: "ed25519", P256: "p256-even", P256 | Y_ODD: "p256-odd"}
_FLAGS: Final = {name: flags for flags, name in _NAMES.items()}
ALGORITHMS: Final = ("ed25519", "p256")

_DERIVE_CONTEXT: Final = "sycee 2026-11-25 keys: synthetic signing key"
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SYNTHETIC_MARK: Final = b"Synthetic: derived from a seed, for replays only.\n"
_POINTS_MAX: Final = 4_096  # cached public keys on P-256: unpacking a point takes as long as verifying

_ECDSA: Final = ec.ECDSA(hashes.SHA256())

_Private: TypeAlias = "ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key: 32 bytes and `flags`, which are ED25519, P256 or P256 | Y_ODD."""

    flags: int
    key: bytes

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Return whether `signature` is this key's 64 bytes for `message`. An invalid key verifies nothing."""
        return len(signature) == SIGNATURE_BYTES and _holds(self.flags, self.key, signature, message)

    def __str__(self) -> str:
        return f"{_NAMES.get(self.flags, f'flags {self.flags}')}:{self.key.hex()}"

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Return the key in a text of the form of `str`: ed25519:, p256-even: or p256-odd:, and 64 hexadecimal digits.

        Raises UsageError for any other text, and for bytes that are no public key.
        """
        name, _, digits = text.strip().partition(":")
        # No error repeats the text: it may be a private key that was given by mistake.
        hint = 'a public key looks like "ed25519:" and 64 hexadecimal digits'
        if "-----BEGIN" in text:
            what = "the private key" if "PRIVATE KEY" in text else "a PEM file"
            raise UsageError(
                f"this is {what}, which is not a public key as text",
                hint=f"give the text of the public key, which `sycee key new` printed: {hint}",
            )
        if name not in _FLAGS or len(digits) != 2 * KEY_BYTES:
            raise UsageError(f"a text of {len(text):,} characters is not a public key", hint=hint)
        try:
            public = cls(_FLAGS[name], bytes.fromhex(digits))
            if public.flags != ED25519:  # any 32 bytes may be a key for Ed25519
                _point(public.flags, public.key)
        except ValueError as error:
            raise UsageError(f"these {2 * KEY_BYTES} digits after {name}: are not a public key", hint=hint) from error
        return public


class SigningKey:
    """A private key. `public` is no secret; `synthetic` is true if the key was derived from a seed."""

    def __init__(self, private: _Private, *, synthetic: bool = False) -> None:
        self._private = private
        self.synthetic = synthetic
        self.public = _public_of(private)

    def __repr__(self) -> str:
        return f"SigningKey({self.public}{', synthetic' if self.synthetic else ''})"

    @classmethod
    def generate(cls, algorithm: str = "ed25519") -> SigningKey:
        """Return a new key from the machine's entropy. `algorithm`: ed25519 or p256; UsageError for another."""
        if _checked(algorithm) == "ed25519":
            return cls(ed25519.Ed25519PrivateKey.generate())
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def derive(cls, seed: bytes, algorithm: str = "ed25519") -> SigningKey:
        """Return the synthetic key of a seed of 32 bytes, the same on every machine.

        For replays and tests only: everybody with the seed can sign. Raises UsageError for a seed of another length.
        """
        if len(seed) != SEED_BYTES:
            raise UsageError(f"a key is derived from {SEED_BYTES} bytes, not {len(seed)}")
        material = blake3(_checked(algorithm).encode() + seed, derive_key_context=_DERIVE_CONTEXT).digest(48)
        if algorithm == "ed25519":
            return cls(ed25519.Ed25519PrivateKey.from_private_bytes(material[:32]), synthetic=True)
        # 48 bytes rather than 32, so that the remainder is practically uniform.
        scalar = int.from_bytes(material, "big") % (_P256_ORDER - 1) + 1
        return cls(ec.derive_private_key(scalar, ec.SECP256R1()), synthetic=True)

    @classmethod
    def load(cls, path: str | Path) -> SigningKey:
        """Return the private key in a PEM file.

        Raises UsageError if there is no such file, other users have permissions for it, or it is no such key;
        UnavailableError if this user may not read it.
        """
        path = Path(path)
        content = read_secret(path, hint="name the file that `sycee key new` wrote")
        return cls(_private_from(content, path), synthetic=content.startswith(_SYNTHETIC_MARK))

    def save(self, path: str | Path) -> None:
        """Write the key durably to a new PEM file that only its owner can read (mode 0600).

        Raises UsageError if the file exists or its folder does not, UnavailableError if the disk refuses.
        """
        content = self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_secret(path, _SYNTHETIC_MARK * self.synthetic + content)

    def sign(self, message: bytes) -> bytes:
        """Return 64 bytes: Ed25519 (RFC 8032), or r and s of ECDSA with SHA-256, big-endian, 32 bytes each.

        ECDSA derives its nonce from key and message (RFC 6979), so a weak source of entropy cannot reveal the key, and
        a replay signs the same bytes. Raises UnavailableError if this machine's library does not support that.
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
    """Verify a sequence of JOBs: return one byte for each, 1 if the signature is valid, else 0.

    Raises struct.error if the length is not a multiple of JOB.size.
    """
    return bytes([_holds(*job) for job in JOB.iter_unpack(jobs)])


def _holds(flags: int, key: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether a signature of 64 bytes is the key's for `message`.

    libsodium verifies Ed25519 in half the time of OpenSSL, and also refuses keys of small order, for which anybody can
    forge signatures (docs/decisions/0032).
    """
    try:
        if flags == ED25519 and len(key) == KEY_BYTES:  # libsodium reads 32 bytes and checks no length
            crypto_sign_open(signature + message, key)
        else:
            _point(flags, key).verify(_as_der(signature), message, _ECDSA)
    except (BadSignatureError, InvalidSignature, ValueError):
        return False
    return True


def _checked(algorithm: str) -> str:
    if algorithm not in ALGORITHMS:
        raise UsageError(f"{algorithm!r} is no algorithm for keys", hint=f"use {' or '.join(ALGORITHMS)}")
    return algorithm


@lru_cache(maxsize=_POINTS_MAX)
def _point(flags: int, key: bytes) -> ec.EllipticCurvePublicKey:
    """Return the library's form of a public key on P-256. Raises ValueError for flags and bytes that are no key."""
    if flags not in (P256, P256 | Y_ODD):
        raise ValueError(f"flags {flags} name no kind of key on P-256")
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), (b"\x03" if flags & Y_ODD else b"\x02") + key)


def _public_of(private: _Private) -> PublicKey:
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return PublicKey(ED25519, private.public_key().public_bytes_raw())
    point = private.public_key().public_numbers()
    return PublicKey(P256 | Y_ODD if point.y & 1 else P256, point.x.to_bytes(KEY_BYTES, "big"))


def _private_from(content: bytes, path: Path) -> _Private:
    hint = "name a PEM file with an Ed25519 or P-256 private key that has no password"
    begin = content.find(b"-----BEGIN")
    try:
        private = serialization.load_pem_private_key(content[max(begin, 0) :], password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"the key file {path} contains no usable private key", hint=hint) from error
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private
    if isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, ec.SECP256R1):
        return private
    raise UsageError(f"the key file {path} contains a private key of another kind", hint=hint)


def _as_der(signature: bytes) -> bytes:
    half = SIGNATURE_BYTES // 2
    return encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))
