"""Access tokens of machine clients.

A client authenticates with an assertion signed by its registered key (RFC 6749, section 4.4; RFC 7523) and proves that
it has that key in the same request (RFC 9449). The token (RFC 9068) is bound to the key. It ends after TOKEN_S seconds,
or immediately with the client or this process, whose signing key is never stored.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from typing import Any, Final

from joserfc.jwk import OKPKey
from joserfc.jwt import JWTClaimsRegistry

from sycee.core import ids
from sycee.core.clock import Clock, read_ns
from sycee.server.auth import jwks
from sycee.server.auth.caller import Caller, CallerKind
from sycee.server.auth.clients import Client, Clients
from sycee.server.auth.dpop import Proofs
from sycee.server.auth.refusals import NotAuthenticated
from sycee.server.auth.replay import UsedProofs

TOKEN_S: Final = 300
ASSERTION_S_MAX: Final = 300  # an assertion must end within this time
AHEAD_S_MAX: Final = 10  # clocks differ
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN_PATH: Final = "/oauth/token"  # noqa: S105  (an address)
_IDENTIFIER_CHARACTERS_MAX: Final = 256
_VERIFIED_MAX: Final = 4_096  # tokens whose signature is not verified again: about 8 MB


class Tokens:
    """Issue and verify access tokens."""

    def __init__(self, clients: Clients, proofs: Proofs, issuer: str, clock: Clock) -> None:
        self._clients = clients
        self._proofs = proofs
        self._issuer = issuer
        self._clock = clock
        self._assertions = UsedProofs(clock)
        self._verified: dict[str, dict[str, Any]] = {}  # claims by token, oldest first
        self._lock = threading.Lock()
        self._key = OKPKey.generate_key("Ed25519")
        self._kid = jwks.thumbprint(self._key)
        # An unknown client's assertion is verified as well, so that the time of an answer shows nothing.
        self._decoy = OKPKey.generate_key("Ed25519", private=False)

    @property
    def token_url(self) -> str:
        """Return the address of the token endpoint."""
        return self._issuer + TOKEN_PATH

    def jwks(self) -> dict[str, Any]:
        """Return the public key set of this process (RFC 7517)."""
        public = self._key.as_dict(private=False)
        return {"keys": [{**public, "kid": self._kid, "use": "sig", "alg": "Ed25519"}]}

    def issue(self, form: Mapping[str, str], proof: str) -> dict[str, Any]:
        """Return the answer of the token endpoint to a form, whose request had the DPoP header `proof`.

        Raises NotAuthenticated with the code of RFC 6749, section 5.2, or RFC 9449, section 5.
        """
        if form.get("grant_type") != "client_credentials":
            raise NotAuthenticated(
                "unsupported_grant_type" if form.get("grant_type") else "invalid_request", status=400
            )
        client = self._authenticated(form)
        if not proof:
            raise NotAuthenticated("invalid_dpop_proof", status=400)
        try:
            shown = self._proofs.verify(proof, method="POST", url=self.token_url)
            if shown.thumbprint != client.thumbprint:
                raise NotAuthenticated("invalid_dpop_proof")
            self._proofs.use(shown)
        except NotAuthenticated as error:
            raise NotAuthenticated(error.code, nonce=error.nonce, status=400) from error
        self._use_assertion(client, form["client_assertion"])
        scopes = frozenset(form["scope"].split(" ")) if form.get("scope") else client.scopes
        if not scopes <= client.scopes:
            raise NotAuthenticated("invalid_scope", status=400)
        if not self._clients.holds_a_duty(client):
            raise NotAuthenticated("unauthorized_client", status=400)
        return self._answer(client, " ".join(sorted(scopes)))

    def verify(self, token: str, proof: str, *, method: str, url: str, address: str) -> Caller:
        """Return the caller of a request with a token and a proof. `url`: of the request as the client sees it.

        Raises NotAuthenticated: "use_dpop_nonce" with a nonce, or "invalid_token" for everything else.
        """
        client, claims = self._token(token)
        try:
            shown = self._proofs.verify(proof, method=method, url=url, token=token)
            if shown.thumbprint != client.thumbprint or shown.thumbprint != claims["cnf"]["jkt"]:
                raise NotAuthenticated
            self._proofs.use(shown)
        except NotAuthenticated as error:
            if error.code == "use_dpop_nonce":
                raise
            raise NotAuthenticated("invalid_token") from error
        return Caller(
            CallerKind.MACHINE,
            address,
            client.person,
            client.id,
            client.operator,
            frozenset(claims["scope"].split(" ")),
        )

    # --- checks ---

    def _authenticated(self, form: Mapping[str, str]) -> Client:
        """Return the client that signed the assertion. Every failure is "invalid_client" (RFC 6749, section 5.2)."""
        assertion = form.get("client_assertion", "")
        try:
            if form.get("client_assertion_type") != ASSERTION_TYPE or len(assertion) > jwks.TOKEN_CHARACTERS_MAX:
                raise ValueError("assertion")
            subject = jwks.unverified_claims(assertion)["sub"]
            if form.get("client_id", subject) != subject:
                raise ValueError("client_id")
            client = self._clients.active(ids.parse(subject))
            claims = jwks.decode(assertion, self._decoy if client is None else client.key).claims
            if client is None:
                raise ValueError("client")
            now_s = self._now_s()
            audiences = [self.token_url, self._issuer]
            self._registry(
                iss={"essential": True, "value": subject},
                sub={"essential": True, "value": subject},
                aud={"essential": True, "values": audiences},
                exp={"essential": True},
                jti={"essential": True},
            ).validate(claims)
            if claims["exp"] > now_s + ASSERTION_S_MAX + AHEAD_S_MAX:
                raise ValueError("exp")
            if len(claims["jti"]) > _IDENTIFIER_CHARACTERS_MAX:
                raise ValueError("jti")
        except jwks.MALFORMED as error:
            raise NotAuthenticated("invalid_client") from error
        return client

    def _use_assertion(self, client: Client, assertion: str) -> None:
        if not self._assertions.add(client.thumbprint, jwks.unverified_claims(assertion)["jti"]):
            raise NotAuthenticated("invalid_client")

    def _token(self, token: str) -> tuple[Client, dict[str, Any]]:
        """Return the client and the claims of an access token of this process."""
        try:
            if len(token) > jwks.TOKEN_CHARACTERS_MAX:
                raise ValueError("token")
            claims = self._verified.get(token) or self._signed(token)
            self._registry(
                iss={"essential": True, "value": self._issuer},
                aud={"essential": True, "values": [self._issuer]},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                nbf={"essential": True},
            ).validate(claims)
            client = self._clients.active(ids.parse(claims["sub"]))
            if client is None:
                raise ValueError("client")
        except jwks.MALFORMED as error:
            raise NotAuthenticated("invalid_token") from error
        return client, claims

    def _signed(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that this process signed, and keep them for its next requests."""
        found = jwks.decode(token, self._key)
        if found.header.get("typ") != "at+jwt" or found.header["alg"] != "Ed25519":
            raise ValueError("type")
        with self._lock:
            if len(self._verified) >= _VERIFIED_MAX:
                del self._verified[next(iter(self._verified))]
            self._verified[token] = found.claims
        return found.claims

    def _answer(self, client: Client, scope: str) -> dict[str, Any]:
        now_s = self._now_s()
        name = ids.format(client.id)
        claims = {
            "iss": self._issuer,
            "aud": self._issuer,
            "sub": name,
            "client_id": name,
            "iat": now_s,
            "nbf": now_s,
            "exp": now_s + TOKEN_S,
            "jti": secrets.token_urlsafe(16),
            "scope": scope,
            "cnf": {"jkt": client.thumbprint},
        }
        token = jwks.encode({"typ": "at+jwt", "alg": "Ed25519", "kid": self._kid}, claims, self._key)
        return {"access_token": token, "token_type": "DPoP", "expires_in": TOKEN_S, "scope": scope}

    def _registry(self, **options: Any) -> JWTClaimsRegistry:
        """Return the checks of claims at this time: a token ends exactly, and may begin AHEAD_S_MAX later."""
        return _Claims(self._now_s(), **options)

    def _now_s(self) -> int:
        return read_ns(self._clock) // 10**9


class _Claims(JWTClaimsRegistry):
    """Checks of claims that allow `nbf` and `iat` to be AHEAD_S_MAX in the future, and `exp` no second in the past.

    `aud` names the audiences in `values` alone.
    """

    def __init__(self, now_s: int, **options: Any) -> None:
        super().__init__(now_s, 0, **options)

    def validate_aud(self, value: object) -> None:
        jwks.require_audience(value, self.options["aud"]["values"])  # type: ignore[arg-type]  # texts

    def validate_nbf(self, value: object) -> None:
        self.leeway = AHEAD_S_MAX
        super().validate_nbf(value)
        self.leeway = 0

    def validate_iat(self, value: object) -> None:
        self.leeway = AHEAD_S_MAX
        super().validate_iat(value)
        self.leeway = 0
