"""Checks of a DPoP proof (RFC 9449, section 4.3)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

from joserfc.util import urlsafe_b64encode

from sycee.core.clock import Clock, read_ns
from sycee.server.auth import jwks
from sycee.server.auth.refusals import NotAuthenticated
from sycee.server.auth.replay import Nonces, UsedProofs

AGE_S_MAX: Final = 60  # of a proof without a nonce
AHEAD_S_MAX: Final = 10  # clocks differ
IDENTIFIER_CHARACTERS_MAX: Final = 256
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proof:
    """A verified proof: the thumbprint of its key, and its identifier, which is not stored as used yet."""

    thumbprint: str
    identifier: str


class Proofs:
    """Verification of DPoP proofs."""

    def __init__(self, clock: Clock, *, nonce_required: bool = False) -> None:
        self.nonces = Nonces(clock)
        self.used = UsedProofs(clock)
        self._clock = clock
        self._nonce_required = nonce_required
        self._started_s = read_ns(clock) // 10**9

    def verify(self, text: str, *, method: str, url: str, token: str = "") -> Proof:
        """Return the verified proof of a request. `token`: the access token that the proof must name.

        Raises NotAuthenticated: "use_dpop_nonce" if the signature is right, but nonce or time are not; otherwise
        "invalid_dpop_proof".
        """
        try:
            proof, claims = self._signed(text)
            self._check_request(claims, method, url, token)
        except jwks.MALFORMED as error:
            raise NotAuthenticated("invalid_dpop_proof") from error
        self._check_time(claims)
        return proof

    def use(self, proof: Proof) -> None:
        """Store a proof as used. Raises NotAuthenticated if it was used before."""
        if not self.used.add(proof.thumbprint, proof.identifier):
            raise NotAuthenticated("invalid_dpop_proof")

    def _signed(self, text: str) -> tuple[Proof, dict[str, Any]]:
        if len(text) > jwks.TOKEN_CHARACTERS_MAX:
            raise ValueError("too long")
        header = jwks.unverified_header(text)
        if header.get("typ") != "dpop+jwt":
            raise ValueError("type")
        key = jwks.proof_key(header)
        claims = jwks.decode(text, key).claims
        identifier = claims["jti"]
        if not isinstance(identifier, str) or not 0 < len(identifier) <= IDENTIFIER_CHARACTERS_MAX:
            raise ValueError("jti")
        return Proof(jwks.thumbprint(key), identifier), claims

    @staticmethod
    def _check_request(claims: dict[str, Any], method: str, url: str, token: str) -> None:
        if claims["htm"] != method or normalised(claims["htu"]) != normalised(url):
            raise ValueError("request")
        if token and not hmac.compare_digest(claims["ath"].encode(), token_hash(token).encode()):
            raise ValueError("token")
        if isinstance(claims["iat"], bool) or not isinstance(claims["iat"], int):
            raise ValueError("time")

    def _check_time(self, claims: dict[str, Any]) -> None:
        """Accept a current nonce, whose time this server knows, or a time within the limits since this start."""
        nonce = claims.get("nonce")
        if isinstance(nonce, str) and self.nonces.accepts(nonce):
            return
        now_s = read_ns(self._clock) // 10**9
        earliest = max(now_s - AGE_S_MAX, self._started_s)
        if nonce is not None or self._nonce_required or not earliest <= claims["iat"] <= now_s + AHEAD_S_MAX:
            raise NotAuthenticated("use_dpop_nonce", nonce=self.nonces.current())


def token_hash(token: str) -> str:
    """Return the claim `ath` of an access token: SHA-256 in base64url."""
    return urlsafe_b64encode(sha256(token.encode()).digest()).decode()


def normalised(url: str) -> tuple[str, str, int, str]:
    """Return scheme, host, port and path of an address, without query and fragment (RFC 3986, section 6.2).

    Raises ValueError for a text that is no HTTP address.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        raise ValueError("no address")
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme], parts.path or "/"
