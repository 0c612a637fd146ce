"""Access tokens: what a client receives, and every way in which a token, a proof or an assertion is refused."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode
from tests.identity.world import ANN, BOB, NORTH
from tests.server.auth.parties import (
    ADDRESS,
    ISSUER,
    START_S,
    TOKEN_URL,
    URL,
    Machine,
    Office,
    new_key,
    office,
    public_of,
)
from tests.server.auth.phones import told

from sycee.core import ids
from sycee.core.errors import UnavailableError
from sycee.database.transactions import write
from sycee.identity.tables import PERSONS
from sycee.server.auth import jwks
from sycee.server.auth.caller import Caller, CallerKind
from sycee.server.auth.clients import Clients
from sycee.server.auth.dpop import Proofs
from sycee.server.auth.refusals import NotAuthenticated, TooManyRequests
from sycee.server.auth.replay import UsedProofs
from sycee.server.auth.tokens import Tokens


def call(
    shared: Office, machine: Machine, token: str, *, method: str = "GET", url: str = URL, proof: str | None = None
) -> Caller:
    shown = machine.proof(method="GET", url=URL, token=token) if proof is None else proof
    return shared.tokens.verify(token, shown, method=method, url=url, address=ADDRESS)


def refused(work: Callable[[], object], code: str = "invalid_token") -> NotAuthenticated:
    with pytest.raises(NotAuthenticated) as caught:
        work()
    assert caught.value.code == code
    return caught.value


# --- accepted ---


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "Ed25519"])
def test_a_client_receives_a_token_and_uses_it(shared: Office, algorithm: str) -> None:
    machine = shared.machine(algorithm)
    answer = shared.tokens.issue(machine.form(), machine.proof())
    assert {name: value for name, value in answer.items() if name != "access_token"} == {
        "token_type": "DPoP",
        "expires_in": 300,
        "scope": "read write",
    }
    expected = Caller(CallerKind.MACHINE, ADDRESS, NORTH, ids.parse(machine.client), 2, frozenset({"read", "write"}))
    token = answer["access_token"]
    assert call(shared, machine, token) == expected
    query = machine.proof(method="GET", url="https://BANK.example:443/v1/wallets?cursor=1#top", token=token)
    assert call(shared, machine, token, proof=query) == expected


def test_the_token_is_verified_with_the_published_key(shared: Office) -> None:
    machine = shared.machine()
    (published,) = shared.tokens.jwks()["keys"]
    assert "d" not in published
    found = jwt.decode(shared.token(machine), OKPKey.import_key(published), algorithms=["Ed25519"])
    assert found.header["typ"] == "at+jwt"
    assert found.header["kid"] == published["kid"]
    assert found.claims["cnf"] == {"jkt": machine.key.thumbprint()}


def test_a_client_can_ask_for_less(shared: Office) -> None:
    machine = shared.machine()
    token = shared.token(machine, scope="read")
    assert call(shared, machine, token).scopes == {"read"}
    reader = shared.machine(scopes=["read"])
    refused(lambda: shared.tokens.issue(reader.form(scope="read write"), reader.proof()), "invalid_scope")


# --- refused: the token ---


def by_hand(header: dict[str, Any], payload: bytes, sign: Callable[[bytes], bytes]) -> str:
    """Return a token that no library would make."""
    content = b".".join(urlsafe_b64encode(each) for each in (json.dumps(header).encode(), payload))
    return (content + b"." + urlsafe_b64encode(sign(content))).decode()


def hmac_with(key: Any) -> Callable[[bytes], bytes]:
    """Return HS256 with the text of a public key as the secret, which confuses careless verifiers."""
    secret = key.as_bytes(encoding="PEM", private=False)
    return lambda content: hmac.digest(secret, content, "sha256")


def nested() -> str:
    """A header that exceeds the recursion limit of the JSON reader."""
    return urlsafe_b64encode(b"[" * 3_000).decode() + ".e30.e30"


# Members of a JSON object that a token must not have: (name, JSON text of the value). The last one is there twice.
UNREADABLE = {
    "a lone surrogate": r'"\ud800"',
    "a NUL": r'"\u0000"',
    "65 bits": "9223372036854775808",
    "an infinite number": "1e999",
    "NaN": "NaN",
    "65 levels": "[" * 65 + "]" * 65,
    "a name twice": '1,"x":2',
}


def with_member(token: str, part: int, value: str, key: jwks.Key) -> str:
    """Return a token with a further member in its header (part 0) or its claims (1), signed with the key."""
    parts = [urlsafe_b64decode(each.encode()) for each in token.split(".")[:2]]
    name = "jti" if part and value.startswith('"') else "x"
    first = json.loads(parts[part])
    first.pop(name, None)
    parts[part] = json.dumps(first)[:-1].encode() + f',"{name}":{value}}}'.encode()
    content = b".".join(map(urlsafe_b64encode, parts))
    return f"{content.decode()}.{urlsafe_b64encode(key.private_key.sign(content)).decode()}"


def payload_of(token: str) -> bytes:
    return jws.extract_compact(token.encode()).payload


def change(token: str, **claims: Any) -> str:
    """Return a token whose claims were changed without its key."""
    header, payload, signature = token.split(".")
    content = json.loads(jws.extract_compact(token.encode()).payload)
    assert payload
    return f"{header}.{urlsafe_b64encode(json.dumps(content | claims).encode()).decode()}.{signature}"


def signed_as(shared: Office, token: str, key: Any, algorithm: str, *, typ: str = "at+jwt", **claims: Any) -> str:
    content = json.loads(jws.extract_compact(token.encode()).payload)
    registry = jws.JWSRegistry(algorithms=[algorithm])
    return jwt.encode({"typ": typ, "alg": algorithm}, content | claims, key, registry=registry)


def own_key(shared: Office) -> OKPKey:
    return shared.tokens._key


FORGED: dict[str, Callable[[Office, str], str]] = {
    "changed": lambda shared, token: change(token, scope="read write admin"),
    "signed by another key": lambda shared, token: signed_as(
        shared, token, OKPKey.generate_key("Ed25519"), "Ed25519"
    ),
    "signed by a client's kind of key": lambda shared, token: signed_as(
        shared, token, ECKey.generate_key("P-256"), "ES256"
    ),
    "without a signature": lambda shared, token: by_hand(
        {"typ": "at+jwt", "alg": "none"}, payload_of(token), lambda content: b""
    ),
    "its signature removed": lambda shared, token: token.rpartition(".")[0] + ".",
    "HS256 with the public key": lambda shared, token: by_hand(
        {"typ": "at+jwt", "alg": "HS256"}, payload_of(token), hmac_with(own_key(shared))
    ),
    "of another issuer": lambda shared, token: signed_as(
        shared, token, own_key(shared), "Ed25519", iss="https://other.example"
    ),
    "for another audience": lambda shared, token: signed_as(
        shared, token, own_key(shared), "Ed25519", aud="https://other.example"
    ),
    "for another audience too": lambda shared, token: signed_as(
        shared, token, own_key(shared), "Ed25519", aud=[ISSUER, "https://other.example"]
    ),
    "without an audience": lambda shared, token: signed_as(shared, token, own_key(shared), "Ed25519", aud=None),
    "not yet valid": lambda shared, token: signed_as(
        shared, token, own_key(shared), "Ed25519", nbf=shared.clock.now_ns() // 10**9 + 60
    ),
    "without an end": lambda shared, token: signed_as(shared, token, own_key(shared), "Ed25519", exp=None),
    "of an unknown client": lambda shared, token: signed_as(
        shared, token, own_key(shared), "Ed25519", sub=ids.format(77)
    ),
    "of another type": lambda shared, token: signed_as(shared, token, own_key(shared), "Ed25519", typ="JWT"),
    "bound to another key": lambda shared, token: signed_as(
        shared, token, own_key(shared), "Ed25519", cnf={"jkt": "x" * 43}
    ),
    "no token": lambda shared, token: "a.b.c",
    "deeply nested": lambda shared, token: nested(),
    "empty": lambda shared, token: "",
    "too long": lambda shared, token: "a" * 5_000,
    "not ASCII": lambda shared, token: "ä.ö.ü",
}  # fmt: skip


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_token_is_refused(shared: Office, kind: str) -> None:
    machine = shared.machine()
    token = FORGED[kind](shared, shared.token(machine))
    refused(lambda: call(shared, machine, token))


def test_a_token_ends_exactly(shared: Office) -> None:
    machine = shared.machine()
    used, unused = shared.token(machine), shared.token(machine)
    shared.advance(299)
    assert call(shared, machine, used).kind is CallerKind.MACHINE
    shared.advance(1)
    for token in (used, unused):
        refused(lambda token=token: call(shared, machine, token))


def test_a_token_ends_with_its_client(shared: Office) -> None:
    machine = shared.machine()
    token = shared.token(machine)
    assert call(shared, machine, token).signed_in
    shared.clients.revoke(ids.parse(machine.client), by=BOB)
    refused(lambda: call(shared, machine, token))
    refused(lambda: shared.token(machine), "invalid_client")


def test_a_token_of_an_earlier_process_is_refused(shared: Office) -> None:
    machine = shared.machine()
    token = shared.token(machine)
    restarted = Tokens(shared.clients, Proofs(shared.clock), ISSUER, shared.clock)
    shown = machine.proof(method="GET", url=URL, token=token)
    refused(lambda: restarted.verify(token, shown, method="GET", url=URL, address=ADDRESS))


# --- refused: the proof ---


PROOFS: dict[str, Callable[[Office, Machine, str], str]] = {
    "for another method": lambda shared, machine, token: machine.proof(method="POST", url=URL, token=token),
    "for another path": lambda shared, machine, token: machine.proof(method="GET", url=URL + "/1", token=token),
    "for another host": lambda shared, machine, token: machine.proof(
        method="GET", url="https://other.example/v1/wallets", token=token
    ),
    "for http": lambda shared, machine, token: machine.proof(
        method="GET", url="http://bank.example/v1/wallets", token=token
    ),
    "for no address": lambda shared, machine, token: machine.proof(method="GET", url="wallets", token=token),
    "without the token": lambda shared, machine, token: machine.proof(method="GET", url=URL),
    "for another token": lambda shared, machine, token: machine.proof(
        method="GET", url=URL, token=shared.token(machine)
    ),
    "without an identifier": lambda shared, machine, token: machine.proof(
        method="GET", url=URL, token=token, jti=None
    ),
    "with a long identifier": lambda shared, machine, token: machine.proof(
        method="GET", url=URL, token=token, jti="a" * 257
    ),
    "without a time": lambda shared, machine, token: machine.proof(method="GET", url=URL, token=token, iat=None),
    "with a text as time": lambda shared, machine, token: machine.proof(
        method="GET", url=URL, token=token, iat=str(START_S)
    ),
    "with another key": lambda shared, machine, token: Machine(
        machine.client, new_key("EdDSA"), shared.clock, "EdDSA"
    ).proof(method="GET", url=URL, token=token),
    "of another client": lambda shared, machine, token: shared.machine().proof(method="GET", url=URL, token=token),
    "with the private key": lambda shared, machine, token: Machine(
        machine.client, machine.key, shared.clock, "EdDSA", headers={"jwk": machine.key.as_dict(private=True)}
    ).proof(method="GET", url=URL, token=token),
    "with another public key": lambda shared, machine, token: Machine(
        machine.client, new_key("EdDSA"), shared.clock, "EdDSA", headers={"jwk": machine.key.as_dict(private=False)}
    ).proof(method="GET", url=URL, token=token),
    "without a key": lambda shared, machine, token: Machine(
        machine.client, machine.key, shared.clock, "EdDSA", headers={"jwk": None}
    ).proof(method="GET", url=URL, token=token),
    "of another type": lambda shared, machine, token: Machine(
        machine.client, machine.key, shared.clock, "EdDSA", headers={"typ": "JWT"}
    ).proof(method="GET", url=URL, token=token),
    "with a critical header": lambda shared, machine, token: by_hand(
        {"typ": "dpop+jwt", "alg": "EdDSA", "jwk": machine.key.as_dict(private=False), "crit": ["x"], "x": 1},
        payload_of(machine.proof(method="GET", url=URL, token=token)),
        machine.key.private_key.sign,
    ),
    "deeply nested": lambda shared, machine, token: nested(),
    "an assertion": lambda shared, machine, token: machine.assertion(),
    "the token": lambda shared, machine, token: token,
    "empty": lambda shared, machine, token: "",
}  # fmt: skip


@pytest.mark.parametrize("kind", PROOFS)
def test_a_wrong_proof_is_refused(shared: Office, kind: str) -> None:
    machine = shared.machine("EdDSA")
    token = shared.token(machine)
    shown = PROOFS[kind](shared, machine, token)
    refused(lambda: call(shared, machine, token, proof=shown))


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_no_database_stores_is_refused_in_every_token(shared: Office, kind: str, part: int) -> None:
    machine, value = shared.machine("EdDSA"), UNREADABLE[kind]
    token = shared.token(machine)
    proof = with_member(machine.proof(method="GET", url=URL, token=token), part, value, machine.key)
    refused(lambda: call(shared, machine, token, proof=proof))
    refused(lambda: call(shared, machine, with_member(token, part, value, own_key(shared))))
    assertion = with_member(machine.assertion(), part, value, machine.key)
    refused(lambda: shared.tokens.issue(machine.form(client_assertion=assertion), machine.proof()), "invalid_client")
    proof = with_member(machine.proof(), part, value, machine.key)
    refused(lambda: shared.tokens.issue(machine.form(), proof), "invalid_dpop_proof")


def test_a_nonce_that_is_no_text_of_unicode_is_refused(shared: Office) -> None:
    machine = shared.machine("EdDSA")
    shown = with_member(machine.proof(), 1, r'1,"nonce":"\ud800"', machine.key)
    refused(lambda: shared.tokens.issue(machine.form(), shown), "invalid_dpop_proof")


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256"])
def test_a_proof_of_a_weaker_algorithm_is_refused(shared: Office, algorithm: str) -> None:
    machine = shared.machine()
    token = shared.token(machine)
    rsa_key = rsa.generate_private_key(65_537, 2_048) if algorithm == "RS256" else None
    sign: dict[str, Callable[[bytes], bytes]] = {
        "none": lambda content: b"",
        "HS256": hmac_with(machine.key),
        "RS256": lambda content: rsa_key.sign(content, padding.PKCS1v15(), hashes.SHA256()),
    }
    jwk = RSAKey.import_key(rsa_key.public_key()) if algorithm == "RS256" else machine.key
    header = {"typ": "dpop+jwt", "alg": algorithm, "jwk": jwk.as_dict(private=False)}
    payload = payload_of(machine.proof(method="GET", url=URL, token=token))
    refused(lambda: call(shared, machine, token, proof=by_hand(header, payload, sign[algorithm])))


def test_a_proof_is_accepted_once(shared: Office) -> None:
    machine = shared.machine()
    token = shared.token(machine)
    shown = machine.proof(method="GET", url=URL, token=token)
    assert call(shared, machine, token, proof=shown).signed_in
    refused(lambda: call(shared, machine, token, proof=shown))


def test_two_clients_may_use_one_identifier(shared: Office) -> None:
    for machine in (shared.machine(), shared.machine()):
        token = shared.token(machine)
        shown = machine.proof(method="GET", url=URL, token=token, jti="the same")
        assert call(shared, machine, token, proof=shown).signed_in


@pytest.mark.parametrize(("age_s", "accepted"), [(60, True), (61, False), (-10, True), (-11, False)])
def test_the_time_of_a_proof(shared: Office, age_s: int, accepted: bool) -> None:
    shared.advance(120)  # later than the start of the process by more than any age
    machine = shared.machine()
    token = shared.token(machine)
    shown = machine.proof(method="GET", url=URL, token=token, iat=machine.now_s() - age_s)
    if accepted:
        assert call(shared, machine, token, proof=shown).signed_in
    else:
        assert refused(lambda: call(shared, machine, token, proof=shown), "use_dpop_nonce").nonce


def test_a_nonce_replaces_the_clock_of_the_client(shared: Office) -> None:
    machine = shared.machine()
    token = shared.token(machine)
    wrong_s = machine.now_s() - 3_600
    late = machine.proof(method="GET", url=URL, token=token, iat=wrong_s)
    nonce = refused(lambda: call(shared, machine, token, proof=late), "use_dpop_nonce").nonce
    again = machine.proof(method="GET", url=URL, token=token, iat=wrong_s, nonce=nonce)
    assert call(shared, machine, token, proof=again).signed_in
    refused(lambda: call(shared, machine, token, proof=again))
    made_up = machine.proof(method="GET", url=URL, token=token, nonce="made up")
    refused(lambda: call(shared, machine, token, proof=made_up), "use_dpop_nonce")


def test_a_nonce_ends_and_its_proof_with_it(shared: Office) -> None:
    machine = shared.machine()
    token = shared.token(machine)
    nonce = shared.proofs.nonces.current()
    shown = machine.proof(method="GET", url=URL, token=token, nonce=nonce)
    shared.advance(240)
    fresh = refused(lambda: call(shared, machine, token, proof=shown), "use_dpop_nonce").nonce
    assert fresh != nonce


def test_a_proof_made_before_a_restart_needs_a_nonce(shared: Office) -> None:
    machine = shared.machine()
    shared.advance(10)
    before = machine.proof(iat=machine.now_s() - 1)
    restarted = Tokens(shared.clients, Proofs(shared.clock), ISSUER, shared.clock)
    refused(lambda: restarted.issue(machine.form(), before), "use_dpop_nonce")


def test_a_server_can_require_nonces(tmp_path: Path) -> None:
    with office(tmp_path, nonce=True) as strict:
        machine = strict.machine()
        error = refused(lambda: strict.tokens.issue(machine.form(), machine.proof()), "use_dpop_nonce")
        assert error.headers["DPoP-Nonce"] == error.nonce
        answer = strict.tokens.issue(machine.form(), machine.proof(nonce=error.nonce))
        assert answer["expires_in"] == 300


# --- refused: the assertion ---


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://other.example"},
        {"aud": [TOKEN_URL, "https://other.example"]},
        {"aud": [TOKEN_URL, ""]},
        {"aud": [[TOKEN_URL]]},
        {"aud": []},
        {"aud": {TOKEN_URL: 1}},
        {"aud": None},
        {"iss": "someone"},
        {"iss": None},
        {"sub": ids.format(9)},
        {"sub": None},
        {"sub": 5},
        {"exp": START_S - 1},
        {"exp": None},
        {"exp": 2**40},
        {"nbf": 2**40},
        {"iat": 2**40},
        {"jti": None},
        {"jti": 7},
        {"jti": "a" * 300},
    ],
    ids=str,
)
def test_a_wrong_assertion_is_refused(shared: Office, changes: dict[str, Any]) -> None:
    machine = shared.machine()
    form = machine.form(client_assertion=machine.assertion(**changes))
    error = refused(lambda: shared.tokens.issue(form, machine.proof()), "invalid_client")
    assert error.status == 401


@pytest.mark.parametrize("audience", [TOKEN_URL, ISSUER, [ISSUER], [TOKEN_URL, ISSUER]], ids=str)
def test_an_assertion_names_this_server_alone(shared: Office, audience: Any) -> None:
    machine = shared.machine()
    form = machine.form(client_assertion=machine.assertion(aud=audience))
    assert shared.tokens.issue(form, machine.proof())["expires_in"] == 300


def test_an_assertion_signed_by_another_key_is_refused(shared: Office) -> None:
    machine = shared.machine()
    other = Machine(machine.client, new_key("ES256"), shared.clock)
    form = machine.form(client_assertion=other.assertion())
    refused(lambda: shared.tokens.issue(form, machine.proof()), "invalid_client")


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_an_assertion_of_a_weaker_algorithm_is_refused(shared: Office, algorithm: str) -> None:
    machine = shared.machine()
    sign = hmac_with(machine.key) if algorithm == "HS256" else lambda content: b""
    form = machine.form(client_assertion=by_hand({"alg": algorithm}, payload_of(machine.assertion()), sign))
    refused(lambda: shared.tokens.issue(form, machine.proof()), "invalid_client")


def test_an_assertion_is_accepted_once(shared: Office) -> None:
    machine = shared.machine()
    form = machine.form()
    shared.tokens.issue(form, machine.proof())
    refused(lambda: shared.tokens.issue(form, machine.proof()), "invalid_client")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": None}, "invalid_request"),
        ({"client_assertion_type": "secret"}, "invalid_client"),
        ({"client_assertion": None}, "invalid_client"),
        ({"client_assertion": "a.b.c"}, "invalid_client"),
        ({"client_assertion": nested()}, "invalid_client"),
        ({"client_assertion": "e30." + urlsafe_b64encode(b"[" * 2_900).decode() + ".e30"}, "invalid_client"),
        ({"client_id": "another"}, "invalid_client"),
        ({"scope": "admin"}, "invalid_scope"),
    ],
)
def test_a_wrong_form_is_refused(shared: Office, changes: dict[str, Any], code: str) -> None:
    machine = shared.machine()
    refused(lambda: shared.tokens.issue(machine.form(**changes), machine.proof()), code)


def test_the_token_endpoint_needs_a_proof_of_the_same_key(shared: Office) -> None:
    machine = shared.machine()
    refused(lambda: shared.tokens.issue(machine.form(), ""), "invalid_dpop_proof")
    other = Machine(machine.client, new_key("ES256"), shared.clock)
    refused(lambda: shared.tokens.issue(machine.form(), other.proof()), "invalid_dpop_proof")
    wrong = machine.proof(method="GET", url=TOKEN_URL)
    refused(lambda: shared.tokens.issue(machine.form(), wrong), "invalid_dpop_proof")


def test_no_token_without_a_duty(shared: Office) -> None:
    machine = shared.machine()
    assert shared.tokens.issue(machine.form(), machine.proof())["scope"] == "read write"
    write(shared.bank.engine, lambda connection: shared.bank.people.shred(connection, NORTH))
    try:
        refused(lambda: shared.tokens.issue(machine.form(), machine.proof()), "unauthorized_client")
    finally:
        active = PERSONS.update().where(PERSONS.c.id == NORTH).values(state="active")
        write(shared.bank.engine, lambda connection: connection.execute(active))


# --- memory ---


def test_used_proofs_are_forgotten_in_time_and_bounded(shared: Office) -> None:
    used = UsedProofs(shared.clock, used_max=3)
    assert [used.add("key", str(number)) for number in (1, 2, 2)] == [True, True, False]
    assert used.add("another key", "1")
    with pytest.raises(UnavailableError, match="3 proofs are in use at once"):
        used.add("key", "4")
    shared.advance(300)
    assert used.add("key", "1")
    assert len(used) == 1


def test_the_proofs_of_one_program_leave_room_for_others(shared: Office) -> None:
    used = UsedProofs(shared.clock, used_max=12)
    for key, most in (("flood", 6), ("second", 3), ("third", 2)):
        for number in range(most):
            assert used.add(key, str(number))
        with pytest.raises(TooManyRequests) as refused:
            used.add(key, "more")
        assert refused.value.retry_after_s == 301
        assert not used.add(key, "0"), "a replay stays one"
    shared.advance(300)
    assert all(used.add("flood", f"later {number}") for number in range(6))


def test_a_restart_reads_the_register(shared: Office) -> None:
    machine = shared.machine()
    ended = shared.machine()
    shared.clients.revoke(ids.parse(ended.client), by=ANN)
    again = Clients(shared.bank.stores, shared.bank.people, told(shared.bank, shared.clock), shared.clock)
    found = again.active(ids.parse(machine.client))
    assert found is not None
    assert found.public_key == public_of(machine.key)
    assert found.thumbprint == jwks.thumbprint(machine.key)
    assert again.active(ids.parse(ended.client)) is None
