"""JSON Web Keys and signed tokens of the three algorithms ES256, EdDSA and Ed25519, with joserfc.

Every other algorithm is refused by name, "none" and HS256 among them. Header and claims are read by `json_documents`
before the signature is: a token with a text or a number that cannot be stored is malformed, whoever signed it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from sycee.core import json_documents
from sycee.core.errors import UsageError
from sycee.core.extras import extra
from sycee.core.keys import ED25519, Y_ODD, PublicKey
from sycee.server.auth.refusals import ALGORITHMS

with extra("bank"):
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, KeySet, OKPKey
    from joserfc.jws import JWSRegistry
    from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

Key = ECKey | OKPKey
MALFORMED: Final = (
    JoseError,
    UsageError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
)  # errors of reading a text
TOKEN_CHARACTERS_MAX: Final = 4_096  # of a token or a proof; ours have about 700


class _Registry(JWSRegistry):
    """The permitted algorithms. `EdDSA` gives no warning: RFC 9864 renames it, and clients still use the name."""

    def get_alg(self, name: str) -> Any:
        if name not in ALGORITHMS or (self.allowed and name not in self.allowed):
            raise JoseError("algorithm")
        return self.algorithms[name]


def jwk_of(public: PublicKey) -> Key:
    """Return the JSON Web Key of a public key."""
    if public.flags == ED25519:
        return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": _base64(public.key)})
    prefix = b"\x03" if public.flags & Y_ODD else b"\x02"
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), prefix + public.key).public_numbers()
    x, y = (_base64(number.to_bytes(32, "big")) for number in (point.x, point.y))
    return ECKey.import_key({"kty": "EC", "crv": "P-256", "x": x, "y": y})


def proof_key(header: Mapping[str, Any]) -> Key:
    """Return the public key in the header of a DPoP proof. Raises MALFORMED for any other content."""
    jwk = header.get("jwk")
    if not isinstance(jwk, dict) or "d" in jwk:
        raise JoseError("jwk")
    if jwk.get("kty") == "EC" and jwk.get("crv") == "P-256":
        return ECKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "y")})
    if jwk.get("kty") == "OKP" and jwk.get("crv") == "Ed25519":
        return OKPKey.import_key({name: jwk[name] for name in ("kty", "crv", "x")})
    raise JoseError("jwk")


def algorithms_of(key: Key) -> tuple[str, ...]:
    """Return the algorithms with which a key signs."""
    return ("ES256",) if isinstance(key, ECKey) else ("EdDSA", "Ed25519")


def thumbprint(key: Key) -> str:
    """Return the thumbprint of a key: RFC 7638, SHA-256, 43 characters of base64url."""
    return str(key.thumbprint())


def decode(text: str, key: Key) -> jwt.Token:
    """Return header and claims of a token that the key signed. Raises MALFORMED for any other text."""
    return verified(text, key, _Registry(algorithms=algorithms_of(key)))


def verified(text: str, key: Key | KeySet, registry: JWSRegistry) -> jwt.Token:
    """Return header and claims of a token that one of the keys signed. Raises MALFORMED for any other text."""
    unverified_header(text)
    unverified_claims(text)
    return jwt.decode(text, key, registry=registry)


def encode(header: dict[str, Any], claims: dict[str, Any], key: Key) -> str:
    """Return a signed token. `header` names the algorithm and the type."""
    return jwt.encode(header, claims, key, registry=_Registry(), default_type=None)


def unverified_header(text: str) -> Mapping[str, Any]:
    """Return the header of a token whose signature is not verified yet. Raises MALFORMED."""
    return _members(text, 0)


def unverified_claims(text: str) -> Mapping[str, Any]:
    """Return the claims of a token whose signature is not verified yet. Raises MALFORMED."""
    return _members(text, 1)


def require_audience(value: object, permitted: Collection[str]) -> None:
    """Raise JoseError unless the claim `aud` names one or more of the permitted audiences, and nobody else.

    A token for several parties can be replayed by each of them at the others.
    """
    named = value if isinstance(value, list) else [value]
    if not named or not all(isinstance(each, str) and each in permitted for each in named):
        raise JoseError("aud")


def _members(text: str, part: int) -> Mapping[str, Any]:
    members = json_documents.parse(urlsafe_b64decode(text.encode().split(b".")[part]), "token")
    if not isinstance(members, dict):
        raise ValueError("no object")
    return members


def _base64(content: bytes) -> str:
    return urlsafe_b64encode(content).decode()
