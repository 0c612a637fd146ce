"""Authentication of a program: signed assertions and DPoP proofs (RFC 7523, RFC 9449), and the token they give.

`SigningKey.sign` returns the signature that a JSON Web Signature contains, for ES256 and Ed25519 alike.
"""

from __future__ import annotations

import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric import ec

from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.keys import ED25519, Y_ODD, PublicKey, SigningKey

TOKEN_PATH: Final = "/oauth/token"  # noqa: S105  (an address)
FORM: Final = "application/x-www-form-urlencoded"
# The server accepts at most 300 s. Half of it, so that a clock may be wrong by two minutes in either direction.
ASSERTION_S: Final = 150
RENEW_S: Final = 30  # before its end, a token is replaced
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A registered client: the id that `sycee client register` printed, and its private key.

    `scope`: "read", "read write", or "" for what was registered. Raises UsageError for a text that is no id.
    """

    client: str
    key: SigningKey = field(repr=False)
    scope: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "client", ids.format(ids.parse(self.client)))
        if self.scope not in ("", "read", "read write"):
            raise UsageError(f"{self.scope!r} is no scope", hint='use "read" or "read write"')


class Tokens:
    """The token of one client, and the nonce of its server. Threads may share it: the worst is a second token.

    `origin`: the server's public address, which proofs and assertions name. `machine_ns`: this machine's clock.
    """

    def __init__(self, credentials: Credentials, origin: str, machine_ns: Callable[[], int]) -> None:
        self._credentials = credentials
        self._origin = origin
        self._machine_ns = machine_ns
        self._token = ""
        self._ends_s = 0.0  # monotonic
        self._nonce = ""

    def current(self) -> str:
        """Return the token, or "" if there is none that lasts for RENEW_S."""
        return self._token if time.monotonic() < self._ends_s - RENEW_S else ""

    def forget(self) -> None:
        """Drop a token that the server refused."""
        self._token, self._ends_s = "", 0.0

    def keep(self, members: Mapping[str, Any], asked_s: float) -> bool:
        """Store the token of an answer to a request of the monotonic time `asked_s`; return whether it has one."""
        token, seconds = members.get("access_token"), members.get("expires_in")
        if not isinstance(token, str) or not token or not isinstance(seconds, int):
            return False
        # Short-lived tokens of another configuration are used as well.
        self._token, self._ends_s = token, asked_s + max(seconds, RENEW_S + 1)
        return True

    def take_nonce(self, headers: Mapping[str, str]) -> bool:
        """Store the nonce in the headers of an answer; return whether there is a new one."""
        nonce = headers.get("dpop-nonce", "")
        is_new = bool(nonce) and nonce != self._nonce
        self._nonce = nonce or self._nonce
        return is_new

    def form(self) -> bytes:
        """Return the body of a request for a token, with a fresh assertion."""
        client = self._credentials.client
        # No `iat`: the server would compare it with its own clock.
        claims = {
            "iss": client,
            "sub": client,
            "aud": self._origin + TOKEN_PATH,
            "exp": self._now_s() + ASSERTION_S,
            "jti": secrets.token_urlsafe(16),
        }
        fields = {
            "grant_type": "client_credentials",
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": signed({"typ": "JWT"}, claims, self._credentials.key),
        }
        if self._credentials.scope:
            fields["scope"] = self._credentials.scope
        return urlencode(fields).encode()

    def headers(self, method: str, path: str, token: str = "") -> dict[str, str]:
        """Return the headers of one request: a fresh proof, and the token. `path`: without a query."""
        claims: dict[str, Any] = {
            "htm": method,
            "htu": self._origin + path,
            "iat": self._now_s(),
            "jti": secrets.token_urlsafe(16),
        }
        if self._nonce:
            claims["nonce"] = self._nonce
        if token:
            claims["ath"] = _base64(sha256(token.encode()).digest())
        key = self._credentials.key
        made = {"DPoP": signed({"typ": "dpop+jwt", "jwk": jwk(key.public)}, claims, key)}
        return made | ({"Authorization": f"DPoP {token}"} if token else {})

    def _now_s(self) -> int:
        return self._machine_ns() // 10**9


def signed(header: Mapping[str, Any], claims: Mapping[str, Any], key: SigningKey) -> str:
    """Return a JSON Web Signature in compact form (RFC 7515, section 7.1)."""
    algorithm = "Ed25519" if key.public.flags == ED25519 else "ES256"
    parts = [json.dumps(each).encode() for each in ({**header, "alg": algorithm}, claims)]
    message = b".".join(_base64(each).encode() for each in parts)
    return f"{message.decode()}.{_base64(key.sign(message))}"


def jwk(public: PublicKey) -> dict[str, str]:
    """Return a public key as a JSON Web Key (RFC 7517)."""
    if public.flags == ED25519:
        return {"kty": "OKP", "crv": "Ed25519", "x": _base64(public.key)}
    prefix = b"\x03" if public.flags & Y_ODD else b"\x02"
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), prefix + public.key).public_numbers()
    x, y = (_base64(number.to_bytes(32, "big")) for number in (point.x, point.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def _base64(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")
