"""Requests to pay: signed by the payee, paid once, and ended by decline, withdrawal or time."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bank.killing import POSTGRESQL_IN_SOAK, check_kills
from tests.bank.world import HOUR_NS, NORTH, START_NS
from tests.wallets import world
from tests.wallets.world import Town

from sycee.bank.bank import Bank
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.keys import SigningKey
from sycee.database.transactions import write
from sycee.wallets import tables
from sycee.wallets.requests import Request

REQUEST, PAYMENT = 0x0193_0000_0000_7000_8000_0000_0000_0003, 0x0193_0000_0000_7000_8000_0000_0000_0004


def ask(town: Town, minor: int = 20_00, key: SigningKey = NORTH, **named: object) -> Request:
    return town.bank.requests.ask(
        named.pop("payee", town.shop), minor, key=key, expires_ns=named.pop("expires_ns", START_NS + HOUR_NS), **named
    )


def pay(town: Town, request: int, **named: object) -> str:
    signers, who = town.signer(town.leo, world.LEO_KEY), town.holder(town.leo)
    return town.bank.requests.pay(request, town.leo, signers=signers, who=who, **named).answer


def test_a_request_is_shown_paid_and_settles_its_order(town: Town) -> None:
    made = ask(town, payer=town.leo, text="table 4", till=town.till_1, order="17")
    assert town.bank.requests.open_for(town.leo) == [made]
    assert (made.text, made.minor, made.state) == ("table 4", 20_00, tables.OPEN)
    assert pay(town, made.id) == "PAID"
    assert town.bank.requests.get(made.id).state == tables.PAID
    assert town.bank.payments.was_paid(town.tea, "17").is_paid
    with pytest.raises(UsageError, match="is paid"):
        pay(town, made.id)
    assert (town.balance(town.shop), town.bank.requests.open_for(town.leo)) == (20_00, [])
    assert town.bank.check() == []


def test_a_citizen_asks_with_the_wallets_own_key(small: Town) -> None:
    made = ask(small, payee=small.mia, key=world.MIA_KEY, payer=small.leo)
    assert pay(small, made.id) == "PAID"
    for key in (world.LEO_KEY, NORTH, world.STRANGER):
        with pytest.raises(UsageError, match="may not ask for payments"):
            ask(small, payee=small.mia, key=key)


def test_a_till_asks_with_its_own_key(small: Town) -> None:
    outlet = small.bank.institutions.outlets_of(small.tea)["MAIN"]
    till = small.bank.institutions.add_till(outlet, "T3", by=small.north, key=world.STRANGER.public)
    assert ask(small, key=world.STRANGER, till=till).till == till
    with pytest.raises(UsageError, match="may not ask"):
        ask(small, key=world.STRANGER, till=small.till_1)


def test_a_changed_request_asks_for_nothing(small: Town) -> None:
    made = ask(small, payer=small.leo)
    forged = tables.REQUESTS.update().values(minor=1)
    write(small.bank.stores.engine, lambda connection: connection.execute(forged))
    for look in (
        lambda: small.bank.requests.get(made.id), lambda: small.bank.requests.open_for(small.leo),
        lambda: pay(small, made.id),
    ):  # fmt: skip
        with pytest.raises(IntegrityError, match="is not what its payee signed"):
            look()
    assert small.balance(small.leo) == 500_00


def test_a_request_expires_also_while_it_is_signed(small: Town) -> None:
    made = ask(small, payer=small.leo, expires_ns=START_NS + HOUR_NS)
    small.bank.set_clock(START_NS + HOUR_NS)
    assert small.bank.requests.get(made.id).state == tables.EXPIRED
    with pytest.raises(UsageError, match="is expired"):
        pay(small, made.id)
    late = ask(small, payer=small.leo, expires_ns=START_NS + HOUR_NS + 1)
    small.bank.payments.pay(
        small.mia, small.shop, 1, signers=small.signer(small.mia, world.MIA_KEY), who=small.holder(small.mia)
    )
    # The next frame is one nanosecond later than that payment's: the signature ends with the request.
    assert pay(small, late.id) == "SIGNATURE_EXPIRED"
    small.bank.set_clock(START_NS + 2 * HOUR_NS)
    assert small.bank.requests.get(late.id).state == tables.EXPIRED
    assert small.balance(small.leo) == 500_00


def test_a_refused_payment_leaves_the_request_open(small: Town) -> None:
    made = ask(small, minor=600_00, payer=small.leo)
    assert pay(small, made.id) == "EXCEEDS_BALANCE"
    assert small.bank.requests.get(made.id).state == tables.OPEN


def test_only_its_payer_declines_and_only_its_payee_withdraws(small: Town) -> None:
    made, other = ask(small, payer=small.leo), ask(small, payer=small.leo)
    with pytest.raises(UsageError, match="is not addressed to"):
        small.bank.requests.decline(made.id, by=small.holder(small.mia))
    with pytest.raises(UsageError, match="for another payer"):
        small.bank.requests.pay(
            made.id, small.mia, signers=small.signer(small.mia, world.MIA_KEY), who=small.holder(small.mia)
        )
    small.bank.requests.decline(made.id, by=small.holder(small.leo))
    with pytest.raises(UsageError, match="is declined"):
        pay(small, made.id)
    with pytest.raises(UsageError, match="duty"):
        small.bank.requests.withdraw(other.id, by=small.holder(small.mia))
    small.bank.requests.withdraw(other.id, by=small.north)
    states = {each.id: each.state for each in small.bank.requests.of_payee(small.shop)}
    assert states == {made.id: tables.DECLINED, other.id: tables.WITHDRAWN}


def act(bank: Bank) -> None:
    town = world.town(bank)
    ask(town, payer=town.leo, order="17", id=REQUEST)
    pay(town, REQUEST, operation=PAYMENT)


def expect(bank: Bank) -> None:
    town = world.town(bank)
    assert bank.requests.get(REQUEST).state == tables.PAID
    assert bank.payments.was_paid(town.tea, "17").is_paid
    assert town.balance(town.shop) == 20_00


@POSTGRESQL_IN_SOAK
def test_a_killed_request_is_paid_once(server: str, tmp_path: Path) -> None:
    assert check_kills(server, tmp_path, world.prepared(server), act, expect=expect) >= 6
