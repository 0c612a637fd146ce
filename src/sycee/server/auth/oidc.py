"""Logins of persons with an OpenID provider: discovery, code flow with PKCE, state and nonce (OpenID Connect Core).

The protocol's parts are Authlib's, the HTTP client is httpx. A subject of the provider is linked to a person by an
invitation; without a link, a login is refused, regardless of what the provider states about the person.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import json_documents
from sycee.core.clock import Clock, read_ns
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.extras import extra
from sycee.database.stores import Stores
from sycee.database.transactions import write
from sycee.identity.people import People
from sycee.identity.tables import ACTIVE
from sycee.life.notices import LOGIN_CREATED
from sycee.server.auth.invitations import Invitations
from sycee.server.auth.jwks import MALFORMED, require_audience, verified
from sycee.server.auth.logins import OIDC, Begin, Login, link_id, origin_columns, origin_of
from sycee.server.auth.one_time import OneTime
from sycee.server.auth.refusals import NotAuthenticated
from sycee.server.auth.settings import LOOPBACK, AuthSettings, Provider
from sycee.server.auth.tables import OIDC_LINKS
from sycee.server.auth.told import Told

with extra("bank"):
    import httpx
    from authlib.oauth2.auth import ClientAuth
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
    from authlib.oauth2.rfc7636 import create_s256_code_challenge
    from authlib.oidc.core import CodeIDToken
    from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url
    from joserfc.errors import InvalidKeyIdError
    from joserfc.jwk import KeySet
    from joserfc.jws import JWSRegistry
    from joserfc.jwt import Token

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "Ed25519")  # of ID tokens; never "none" or a shared secret
TIMEOUT_S: Final = 10
ANSWER_BYTES_MAX: Final = 1 << 18
METADATA_NS: Final = 3_600 * 10**9
PAUSE_NS: Final = 10 * 10**9  # after a provider did not answer
KEYS_NS: Final = 60 * 10**9  # unknown keys cause a new request at most this often
LEEWAY_S: Final = 60
SUBJECT_CHARACTERS_MAX: Final = 255  # OpenID Connect Core, section 2


@dataclass(frozen=True, slots=True)
class Begun:
    """A begun login. `browser`: digest of the cookie of the browser that began it."""

    provider: str
    verifier: str
    nonce: str
    browser: str
    code: str  # of an invitation, "" for none


@dataclass
class Discovered:
    """The published data of a provider, with the times of the requests."""

    metadata: Mapping[str, Any]
    read_ns: int
    keys: Mapping[str, Any]
    keys_ns: int


class OpenId:
    """Logins with the providers of the settings."""

    def __init__(
        self, stores: Stores, people: People, invitations: Invitations, told: Told, settings: AuthSettings,
        clock: Clock,
    ) -> None:  # fmt: skip
        self._engine = stores.engine
        self._people = people
        self._invitations = invitations
        self._told = told
        self._settings = settings
        self._clock = clock
        self._providers = {each.name: each for each in settings.providers}
        self._discovered: dict[str, Discovered] = {}
        self._failed_ns: dict[str, int] = {}  # by provider: the last request for its document, if that failed
        self._locks = {name: asyncio.Lock() for name in self._providers}
        self.states: OneTime[Begun] = OneTime(clock)

    def redirect_uri(self, provider: str) -> str:
        """Return the address to which a provider sends the browser back."""
        return f"{self._settings.public_url}/auth/oidc/{provider}/callback"

    async def begin(self, provider: str, code: str = "", sender: str = "") -> tuple[str, str]:
        """Return the provider's address for a login, and a cookie that the browser must have when it returns.

        `code`: of an invitation, which the login then uses. `sender`: the address that asks; begun logins are counted
        for each. Raises NotAuthenticated for an unknown provider, UnavailableError if the provider does not answer.
        """
        known = self._provider(provider)
        metadata = (await self._discover(known)).metadata
        state, nonce, browser = (secrets.token_urlsafe(32) for _ in range(3))
        verifier = secrets.token_urlsafe(48)
        self.states.put(state.encode(), Begun(provider, verifier, nonce, _digest(browser), code), sender)
        address = prepare_grant_uri(
            metadata["authorization_endpoint"],
            client_id=known.client_id,
            response_type="code",
            redirect_uri=self.redirect_uri(provider),
            scope="openid",
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return str(address), browser

    async def finish(self, provider: str, query: Mapping[str, str], browser: str) -> tuple[str, str, str]:
        """Return issuer, subject and invitation code of the login that a provider's redirect ends.

        `browser`: the cookie of `begin`. Raises NotAuthenticated, and UnavailableError as `begin`.
        """
        known = self._provider(provider)
        begun = self.states.take(query.get("state", "").encode())
        if begun is None or begun.provider != provider or not hmac.compare_digest(begun.browser, _digest(browser)):
            raise NotAuthenticated("")
        if query.get("iss", known.issuer) != known.issuer or not query.get("code"):
            raise NotAuthenticated("")
        found = await self._discover(known)
        answer = await self._redeem(known, found.metadata, query["code"], begun.verifier)
        claims = await self._claims(known, found, answer, begun.nonce)
        return known.issuer, claims["sub"], begun.code

    def login(self, issuer: str, subject: str, code: str, begin: Begin) -> str:
        """Return the cookie of a new session of the person who is linked to a subject.

        With the code of an invitation, link its person first, who is told. Raises NotAuthenticated without a link, and
        with a code if the subject is linked already.
        """
        chosen = (OIDC_LINKS.c.issuer == issuer) & (OIDC_LINKS.c.subject == subject)

        notice = self._told.prepare(self._invitations.open(code).person, LOGIN_CREATED) if code else None

        def work(connection: Connection) -> str:
            now_ns = read_ns(self._clock)
            if notice is not None:
                invitation, origin = self._invitations.use(connection, code)
                # Of another person, or of this one before the invitation: it would not be a new login.
                if connection.scalar(sqlalchemy.select(OIDC_LINKS.c.person).where(chosen)) is not None:
                    raise NotAuthenticated("")
                row = {"issuer": issuer, "subject": subject, "person": invitation.person, "made_ns": now_ns}
                connection.execute(OIDC_LINKS.insert().values(**row, **origin_columns(origin)))
                self._told.store(connection, notice, login=link_id(issuer, subject))
            found = connection.execute(sqlalchemy.select(OIDC_LINKS).where(chosen)).one_or_none()
            if found is None or self._people.state_of(found.person) != ACTIVE:
                raise NotAuthenticated("")
            connection.execute(OIDC_LINKS.update().where(chosen).values(used_ns=now_ns))
            return begin(connection, Login(link_id(issuer, subject), found.person, OIDC, origin_of(found)))

        return write(self._engine, work)

    # --- the provider ---

    def _provider(self, name: str) -> Provider:
        try:
            return self._providers[name]
        except KeyError:
            raise NotAuthenticated("") from None

    async def _discover(self, provider: Provider) -> Discovered:
        async with self._locks[provider.name]:
            now_ns = read_ns(self._clock)
            found = self._discovered.get(provider.name)
            if found is None or now_ns >= found.read_ns + METADATA_NS:
                # Callers wait for each other here: without a pause, each would wait for the next timeout.
                if now_ns < self._failed_ns.get(provider.name, -PAUSE_NS) + PAUSE_NS:
                    raise _unavailable(provider)
                self._failed_ns[provider.name] = now_ns
                address = get_well_known_url(provider.issuer, external=True)
                metadata = OpenIDProviderMetadata(await _json(provider, "GET", address))
                self._check_metadata(provider, metadata)
                keys = await _json(provider, "GET", metadata["jwks_uri"])
                del self._failed_ns[provider.name]
                found = self._discovered[provider.name] = Discovered(metadata, now_ns, keys, now_ns)
            return found

    @staticmethod
    def _check_metadata(provider: Provider, metadata: Mapping[str, Any]) -> None:
        """Raise UnavailableError unless a provider's document is its own and names secure addresses."""
        local = urlsplit(provider.issuer).hostname in LOOPBACK
        addresses = [metadata.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        secure = all(isinstance(each, str) and (each.startswith("https://") or local) for each in addresses)
        if metadata.get("issuer") != provider.issuer or not secure:
            raise UnavailableError(
                f"the OpenID provider {provider.name} publishes a document that is not valid for {provider.issuer}",
                hint="correct the issuer in the settings, or ask the provider",
            )

    async def _redeem(
        self, provider: Provider, metadata: Mapping[str, Any], code: str, verifier: str
    ) -> Mapping[str, Any]:
        """Return the answer of the token endpoint for a code. Raises NotAuthenticated if it refuses."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri(provider.name),
            "code_verifier": verifier,
            "client_id": provider.client_id,
        }
        method = "client_secret_basic" if provider.client_secret else "none"
        headers: dict[str, str] = {"Accept": "application/json"}
        if provider.client_secret:
            ClientAuth(provider.client_id, provider.client_secret, method).prepare("POST", "", headers, "")
        return await _json(provider, "POST", metadata["token_endpoint"], data=form, headers=headers)

    async def _claims(
        self, provider: Provider, found: Discovered, answer: Mapping[str, Any], nonce: str
    ) -> Mapping[str, Any]:
        """Return the claims of a valid ID token."""
        try:
            text = answer["id_token"]
            try:
                token = _decoded(text, found.keys)
            except InvalidKeyIdError:  # the provider has new keys
                if read_ns(self._clock) < found.keys_ns + KEYS_NS:
                    raise
                found.keys_ns = read_ns(self._clock)
                found.keys = await _json(provider, "GET", found.metadata["jwks_uri"])
                token = _decoded(text, found.keys)
            require_audience(token.claims["aud"], [provider.client_id])
            options: Any = {"iss": {"value": provider.issuer}}
            params = {"nonce": nonce, "client_id": provider.client_id, "access_token": answer.get("access_token")}
            claims = CodeIDToken(token.claims, token.header, options, params)
            claims.validate(read_ns(self._clock) // 10**9, LEEWAY_S)
            if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= SUBJECT_CHARACTERS_MAX:
                raise ValueError("sub")
        except MALFORMED as error:
            raise NotAuthenticated("") from error
        return dict(claims)


def _decoded(text: str, keys: Mapping[str, Any]) -> Token:
    registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    return verified(text, KeySet.import_key_set(keys), registry)  # type: ignore[arg-type]


async def _json(provider: Provider, method: str, address: str, **options: Any) -> Mapping[str, Any]:
    """Return the JSON object of an answer. Raises NotAuthenticated for 4xx, UnavailableError for other failures."""
    unavailable = _unavailable(provider)
    try:
        async with (
            httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False) as client,
            client.stream(method, address, **options) as answer,
        ):
            content = b""
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > ANSWER_BYTES_MAX:
                    raise unavailable
            if method == "POST" and 400 <= answer.status_code < 500:
                raise NotAuthenticated("")
            answer.raise_for_status()
            found = json_documents.parse(content, address)
    except (httpx.HTTPError, httpx.InvalidURL, UsageError) as error:
        raise unavailable from error
    if not isinstance(found, dict):
        raise unavailable
    return found


def _unavailable(provider: Provider) -> UnavailableError:
    return UnavailableError(f"the OpenID provider {provider.name} does not answer", hint="try again later")


def _digest(browser: str) -> str:
    return sha256(browser.encode()).hexdigest()


def require_names(providers: tuple[Provider, ...]) -> None:
    """Raise UsageError unless the providers have different names of lower-case letters, digits and hyphens."""
    names = [each.name for each in providers]
    for name in names:
        if not name or not all(each.isascii() and (each.islower() or each.isdigit() or each == "-") for each in name):
            raise UsageError(f"{name!r} is not a name of a provider", hint="use lower-case letters, digits and hyphens")
    if len(set(names)) < len(names):
        raise UsageError("two OpenID providers have one name", hint="give each its own name")
