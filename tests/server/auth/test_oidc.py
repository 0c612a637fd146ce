"""Logins with an OpenID provider: linked by an invitation, and refused if the provider or a browser misbehaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey
from tests.identity.world import ANN, World, small_world
from tests.server.auth import provider as providers
from tests.server.auth.phones import Phones, places, told
from tests.server.auth.provider import CLIENT, SECRET, Provider, query_of

from sycee.core import ids
from sycee.core.clock import RealClock, SimulatedClock
from sycee.core.errors import UnavailableError, UsageError
from sycee.database.migrations import upgrade
from sycee.database.transactions import write
from sycee.life.notices import LOGIN_CREATED
from sycee.server.auth import oidc, settings
from sycee.server.auth.invitations import Invitations
from sycee.server.auth.oidc import METADATA_NS, OpenId
from sycee.server.auth.one_time import LIFE_NS
from sycee.server.auth.refusals import NotAuthenticated
from sycee.server.auth.sessions import Sessions
from sycee.server.auth.settings import AuthSettings
from sycee.server.tables import SCHEMA
from sycee.wallets import tables as wallets
from sycee.wallets.directory import Directory


@dataclass
class Place:
    bank: World
    provider: Provider
    clock: SimulatedClock
    invitations: Invitations
    sessions: Sessions
    openid: OpenId
    phones: Phones
    newest: int = 0  # the person of the newest invitation

    def invited(self) -> str:
        """The code of a new person: a person who had a login is not invited again."""
        made = self.newest = ids.new(self.clock.now_ns() // 10**6)
        write(self.bank.engine, lambda connection: self.bank.people.add(connection, person=made))
        return self.phones.code(self.invitations.issue(made, by=ANN))

    def begun(self, code: str = "") -> tuple[dict[str, str], str]:
        """Return the query of the provider's redirect, and the browser's cookie."""
        location, browser = asyncio.run(self.openid.begin("bank", code))
        answer = httpx.get(location)
        assert answer.status_code == 302
        assert answer.headers["location"].startswith("https://bank.example/auth/oidc/bank/callback?")
        return query_of(answer.headers["location"]), browser

    def finished(self, query: dict[str, str], browser: str, name: str = "bank") -> int:
        issuer, subject, code = asyncio.run(self.openid.finish(name, query, browser))
        token = self.openid.login(issuer, subject, code, self.sessions.begin)
        return self.sessions.find(token).login.person

    def login(self, code: str = "") -> int:
        return self.finished(*self.begun(code))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("oidc")
    with small_world(folder) as bank, providers.provider() as provider:
        upgrade(bank.engine, wallets.SCHEMA)
        upgrade(bank.engine, SCHEMA)
        clock = SimulatedClock(RealClock().now_ns())  # the provider has the machine's clock
        known = (settings.Provider("bank", provider.issuer, CLIENT, SECRET),)
        chosen = AuthSettings(public_url="https://bank.example", providers=known)
        phones, directory = Phones(), Directory(bank.stores)
        notices = told(bank, clock, phones)
        invitations = Invitations(bank.stores, bank.people, directory, notices, clock, masked_ns=0)
        sessions = Sessions(bank.stores, bank.people, places(bank, bank.people, clock), chosen, clock)
        openid = OpenId(bank.stores, bank.people, invitations, notices, chosen, clock)
        yield Place(bank, provider, clock, invitations, sessions, openid, phones)


@pytest.fixture
def place(whole: Place) -> Iterator[Place]:
    """The place, with a provider that is well again afterwards, and as it is now."""
    whole.clock.set(time.time_ns())
    key = whole.provider.key
    yield whole
    whole.provider.key, whole.provider.forged, whole.provider.subject = key, "", "user-1"
    whole.provider.metadata.clear()
    whole.provider.claims.clear()


def refused(work: Callable[[], object]) -> None:
    with pytest.raises(NotAuthenticated):
        work()


def test_an_invitation_links_a_subject(place: Place) -> None:
    place.provider.subject = "carl"
    refused(place.login)
    assert place.login(place.invited()) == place.newest
    assert place.login() == place.newest
    assert place.phones.arrived[-1] == (place.newest, LOGIN_CREATED, "")
    refused(lambda: place.login(place.invited()))  # the subject is another person's


def test_discovery_is_read_once_an_hour(place: Place) -> None:
    place.provider.subject = "hourly"
    place.login(place.invited())
    before = place.provider.requests.count("configuration")
    place.login()
    assert place.provider.requests.count("configuration") == before


def test_an_invitation_is_used_once(place: Place) -> None:
    code = place.invited()
    place.provider.subject = "bob"
    assert place.login(code) == place.newest
    place.provider.subject = "another"
    refused(lambda: place.login(code))
    refused(place.login)


def test_a_state_belongs_to_one_browser_and_is_used_once(place: Place) -> None:
    place.provider.subject = "stateful"
    place.login(place.invited())
    query, browser = place.begun()
    refused(lambda: place.finished(query, "another browser"))
    refused(lambda: place.finished(query, browser))  # used up by the attempt
    query, browser = place.begun()
    assert place.finished(query, browser) == place.newest
    refused(lambda: place.finished(query, browser))


@pytest.mark.parametrize("changes", [{"state": "made up"}, {"state": ""}, {"code": ""}, {"code": "x"}, {"iss": "x"}])
def test_a_changed_redirect_is_refused(place: Place, changes: dict[str, str]) -> None:
    query, browser = place.begun(place.invited())
    refused(lambda: place.finished(query | changes, browser))


def test_a_begun_login_ends(place: Place) -> None:
    query, browser = place.begun(place.invited())
    place.clock.advance(LIFE_NS)
    refused(lambda: place.finished(query, browser))


def test_a_code_of_another_login_is_refused(place: Place) -> None:
    """The verifier of PKCE and the nonce belong to one login."""
    first, _ = place.begun(place.invited())
    second, browser = place.begun(place.invited())
    refused(lambda: place.finished(second | {"code": first["code"]}, browser))


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": "another client"},
        {"aud": [CLIENT, "another"]},
        {"aud": [CLIENT, "another"], "azp": CLIENT},
        {"aud": []},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"nbf": 2**40},
        {"iat": 2**40},
        {"nonce": "another"},
        {"nonce": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 5},
        {"sub": "a" * 256},
        {"sub": "\0"},
        {"x": 2**63},
        {"azp": "another client"},
    ],
    ids=str,
)
def test_a_wrong_id_token_is_refused(place: Place, claims: dict[str, Any]) -> None:
    place.provider.claims.update(claims)
    refused(lambda: place.login(place.invited()))


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("kind", ["none", "HS256", "another key", "no token"])
def test_a_forged_id_token_is_refused(place: Place, kind: str) -> None:
    query, browser = place.begun(place.invited())
    now_s = int(time.time())
    nonce = place.provider.codes[query["code"]]["nonce"]
    claims = {"iss": place.provider.issuer, "sub": "user-1", "aud": CLIENT, "iat": now_s, "exp": now_s + 60}
    claims["nonce"] = nonce
    other = ECKey.generate_key("P-256", parameters={"kid": "one"})
    place.provider.forged = {
        "none": lambda: jwt.encode({"alg": "none"}, claims, None, registry=jws.JWSRegistry(algorithms=["none"])),
        "HS256": lambda: jwt.encode(
            {"alg": "HS256", "kid": "one"}, claims, OctKey.import_key(SECRET), registry=jws.JWSRegistry()
        ),
        "another key": lambda: jwt.encode({"alg": "ES256", "kid": "one"}, claims, other),
        "no token": lambda: "a.b.c",
    }[kind]()
    refused(lambda: place.finished(query, browser))


def test_new_keys_of_a_provider_are_read(place: Place) -> None:
    place.provider.subject = "rotated"
    assert place.login(place.invited()) == place.newest
    place.clock.advance(61 * 10**9)
    place.provider.key = ECKey.generate_key("P-256", parameters={"kid": "two"})
    place.provider.claims["exp"] = int(time.time()) + 600
    before = place.provider.requests.count("jwks")
    assert place.login() == place.newest
    place.provider.key = ECKey.generate_key("P-256", parameters={"kid": "three"})
    refused(place.login)  # at most one request of keys a minute
    assert place.provider.requests.count("jwks") == before + 1


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://other.example"},
        {"token_endpoint": None},
        {"jwks_uri": 5},
        {"authorization_endpoint": None},
    ],
    ids=str,
)
def test_a_wrong_document_of_a_provider_is_refused(place: Place, metadata: dict[str, Any]) -> None:
    place.clock.advance(2 * METADATA_NS)
    place.openid._failed_ns.clear()
    place.provider.metadata.update(metadata)
    with pytest.raises(UnavailableError, match="a document that is not valid"):
        place.begun()


def test_a_provider_that_does_not_answer(place: Place) -> None:
    known = (settings.Provider("gone", "http://127.0.0.1:9", CLIENT),)
    chosen = AuthSettings(public_url="https://bank.example", providers=known)
    gone = OpenId(
        place.bank.stores, place.bank.people, place.invitations, told(place.bank, place.clock), chosen, place.clock
    )
    with pytest.raises(UnavailableError, match="the OpenID provider gone does not answer"):
        asyncio.run(gone.begin("gone"))
    begun = time.monotonic()
    with pytest.raises(UnavailableError, match="the OpenID provider gone does not answer"):
        asyncio.run(gone.begin("gone"))  # within the pause, without a request
    assert gone._failed_ns == {"gone": place.clock.now_ns()}
    assert time.monotonic() - begun < 1
    refused(lambda: asyncio.run(gone.begin("unknown")))


# --- settings ---


def test_providers_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hidden\n")
    (tmp_path / "secret").chmod(0o600)
    file = tmp_path / "openid.toml"
    file.write_text(
        '[[provider]]\nname = "bank"\nissuer = "https://login.example"\nclient_id = "sycee"\n'
        'client_secret_file = "secret"\n'
    )
    (found,) = settings.providers(file)
    assert (found.name, found.client_secret) == ("bank", "hidden")
    assert "hidden" not in repr(found)
    file.write_text('[[provider]]\nname = "bank"\nissuer = "http://login.example"\nclient_id = "sycee"\n')
    with pytest.raises(UsageError, match="has no https address"):
        settings.providers(file)
    file.write_text('[[provider]]\nname = "b"\nissuer = "https://login.example"\nclient_id = "s"\nsecret = "x"\n')
    with pytest.raises(UsageError, match="secret"):
        settings.providers(file)


@pytest.mark.parametrize("name", ["", "Bank", "a/b", "ä"])
def test_names_of_providers(name: str) -> None:
    with pytest.raises(UsageError, match="is not a name of a provider"):
        oidc.require_names((settings.Provider(name, "https://login.example", "sycee"),))
    twice = (settings.Provider("a", "https://login.example", "sycee"),) * 2
    with pytest.raises(UsageError, match="two OpenID providers"):
        oidc.require_names(twice)


@pytest.mark.parametrize(
    ("public_url", "rp_id", "message"),
    [
        ("http://bank.example", "", "is not https://"),
        ("https://bank.example/", "", "is not https://"),
        ("https://bank.example/path", "", "is not https://"),
        ("bank.example", "", "is not https://"),
        ("https://bank.example", "other.example", "is not the host"),
        ("https://bank.example", "ank.example", "is not the host"),
    ],
)
def test_addresses(public_url: str, rp_id: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        AuthSettings(public_url=public_url, rp_id=rp_id)
    assert AuthSettings(public_url="https://login.bank.example", rp_id="bank.example").relying_party == "bank.example"
    assert AuthSettings().relying_party == "localhost"
