"""The register of clients: who may register and revoke, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from tests.identity.world import ANN, CARL, CLEO, NORTH, SOUTH
from tests.server.auth.parties import Office, new_key, public_of

from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.database.transactions import write


def test_registered_clients_are_listed(shared: Office) -> None:
    made = shared.register(new_key("ES256"))
    shared.advance(1)  # ids of one millisecond have any order
    auditor_like = shared.register(new_key("EdDSA"), person=CLEO, operator=None, scopes=["read"])
    assert [each for each in shared.clients.list() if each.id in (made.id, auditor_like.id)] == [made, auditor_like]
    assert (made.person, made.operator, made.scopes) == (NORTH, 2, {"read", "write"})
    assert (auditor_like.operator, auditor_like.scopes) == (None, {"read"})
    assert len(made.thumbprint) == 43


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"by": NORTH}, "may not request client.register"),
        ({"by": CARL}, "may not request client.register"),
        ({"by": 10_000}, "may not request client.register"),
        ({"operator": 3}, "does not have a duty for operator 3"),
        ({"operator": None}, "does not have a duty without an operator"),
        ({"person": CLEO}, "does not have a duty for operator 2"),
        ({"person": 10_000}, "does not have a duty for operator 2"),
        ({"scopes": []}, "are not of read, write"),
        ({"scopes": ["admin"]}, "are not of read, write"),
    ],
    ids=str,
)
def test_what_is_not_registered(shared: Office, changes: dict[str, Any], message: str) -> None:
    before = len(shared.clients.list())
    with pytest.raises(UsageError, match=message):
        shared.register(new_key("ES256"), **changes)
    assert len(shared.clients.list()) == before


@pytest.mark.parametrize("name", ["", "a" * 81, "two\nlines", "\x1b[2J"])
def test_a_name_is_short_and_printable(shared: Office, name: str) -> None:
    with pytest.raises(UsageError, match="1 to 80 printable characters"):
        shared.clients.register(NORTH, public_of(new_key("ES256")), by=ANN, name=name, operator=2)


def test_a_key_is_registered_once(shared: Office) -> None:
    key = new_key("ES256")
    made = shared.register(key)
    with pytest.raises(UsageError, match="was registered before"):
        shared.register(key)
    shared.clients.revoke(made.id, by=ANN)
    with pytest.raises(UsageError, match="was registered before"):
        shared.register(key)


@pytest.mark.parametrize(
    ("by", "message"),
    [
        (SOUTH, "may not request client.revoke for operator 2"),
        (CARL, "may not request client.revoke"),
        (CLEO, "may not request client.revoke"),
    ],
)
def test_who_may_not_revoke(shared: Office, by: int, message: str) -> None:
    made = shared.register(new_key("ES256"))
    with pytest.raises(UsageError, match=message):
        shared.clients.revoke(made.id, by=by)
    assert shared.clients.active(made.id) == made


def test_an_operator_revokes_its_own(shared: Office) -> None:
    made = shared.register(new_key("ES256"))
    shared.clients.revoke(made.id, by=NORTH)
    assert shared.clients.active(made.id) is None
    shared.clients.revoke(made.id, by=NORTH)
    (row,) = [each for each in shared.clients.list() if each.id == made.id]
    assert row.revoked_ns is not None
    with pytest.raises(UsageError, match=f"there is no client {ids.format(5)}"):
        shared.clients.revoke(5, by=ANN)


def test_a_shredded_person_has_no_client(shared: Office) -> None:
    made = shared.register(new_key("ES256"), person=CARL)
    write(shared.bank.engine, lambda connection: shared.clients.forget(connection, CARL))
    assert shared.clients.active(made.id) is None
    assert [each.revoked_ns is None for each in shared.clients.list() if each.person == CARL] == [False]
