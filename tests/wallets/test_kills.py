"""Kills of changes of wallets: an alias that moves, another class, a waterfall and its excess, the end of a wallet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy
from tests.bank.killing import POSTGRESQL_IN_SOAK, check_kills
from tests.bank.world import DAY_NS, START_NS, technical
from tests.wallets import world
from tests.wallets.codes import taken
from tests.wallets.test_aliases import proof
from tests.wallets.world import LEO

from sycee.bank.bank import Bank
from sycee.core.records.layout import Block
from sycee.database.transactions import reading
from sycee.wallets import tables


def move_alias(bank: Bank) -> None:
    """Move Leo's phone to Mia's wallet, from the step that is not done yet."""
    town = world.town(bank)
    if bank.aliases.resolve(LEO["phone"], by=town.north).account == town.mia:
        return
    if not bank.aliases.moving_from(town.leo):
        by, signed = town.holder(town.mia), proof(town, town.mia, LEO["phone"], world.MIA_KEY)
        challenge = bank.aliases.challenge(town.mia, LEO["phone"], proof=signed, by=by)
        received = taken(bank.aliases)  # with the code of a killed call, if its delivery was not stored
        (code,) = (each.code for each in received if each.challenge == challenge)
        assert not bank.aliases.confirm(challenge, code)
    bank.set_clock(START_NS + 2 * DAY_NS)


def expect_moved(bank: Bank) -> None:
    town = world.town(bank)
    found = bank.aliases.resolve(LEO["phone"], by=town.north)
    assert (found.account, found.name, bank.aliases.moving_from(town.leo)) == (town.mia, "M** W*", [])


def change_class(bank: Bank) -> None:
    """Move Leo's wallet to class 3. A second call sets the same rule set again."""
    town = world.town(bank)
    bank.changes.change_class(town.leo, "class-3", signers=town.operator, who=town.north)


def expect_class(bank: Bank) -> None:
    wallet = bank.directory.get(world.town(bank).leo)
    rule_set = bank.wallet_classes()["class-3"]
    assert (wallet.wallet_class, wallet.rule_set) == ("class-3", rule_set)
    assert bank.stores.ledger.account(wallet.account).rule_set == rule_set


def link(bank: Bank) -> None:
    """Link Ned's wallet to his bank account. A second call stores the bank account again."""
    town = world.town(bank)
    bank.sweeps.link(town.ned, "CN00 0000", signers=town.operator, who=town.north)


def expect_link(bank: Bank) -> None:
    ned = world.town(bank).ned
    with reading(bank.stores.engine) as connection:
        (row,) = connection.execute(sqlalchemy.select(tables.LINKS))
    assert (row.account, row.state) == (ned, tables.ACTIVE)
    assert bank.stores.ledger.account(ned).link == row.transit


def settle_excess(bank: Bank, *, is_confirmed: bool) -> None:
    """Confirm or reject what Ned's waterfall sent on, unless that is decided."""
    town, waterfalls = world.town(bank), bank.waterfalls
    for excess in waterfalls.open(2, by=town.north):
        decide = waterfalls.confirm if is_confirmed else waterfalls.reject
        decide(excess, signers=town.signers(technical(bank)), who=town.north).require_created("it stays in transit")


def confirm_excess(bank: Bank) -> None:
    settle_excess(bank, is_confirmed=True)


def reject_excess(bank: Bank) -> None:
    settle_excess(bank, is_confirmed=False)


def decided(bank: Bank) -> tuple[int, int]:
    """The balances of Ned and of the vault, once nothing is in transit. 1,000,000.00 were minted."""
    town, accounts = world.town(bank), bank.registry.operator(2).accounts
    assert bank.waterfalls.open(2, by=town.north) == []
    assert town.balance(accounts.transit) == 0
    return town.balance(town.ned), town.balance(accounts.vault)


def expect_confirmed(bank: Bank) -> None:
    assert decided(bank) == (10_000_00, 10**8 - 11_000_00 + 5_00)


def expect_rejected(bank: Bank) -> None:
    assert decided(bank) == (10_005_00, 10**8 - 11_000_00)


def close(bank: Bank) -> None:
    """Close Ned's wallet, unless it is closed."""
    town = world.town(bank)
    if bank.directory.get(town.ned).state == tables.OPEN:
        bank.changes.close(town.ned, signers=town.operator, who=town.north)


def expect_closed(bank: Bank) -> None:
    town = world.town(bank)
    assert bank.directory.get(town.ned).state == tables.CLOSED
    assert bank.stores.ledger.account(town.ned).blocks & Block.CLOSED
    assert bank.aliases.of_account(town.ned) == []
    assert bank.retention.until(town.holder(town.ned)) is not None  # the retention of his data has begun


CHANGES = [(move_alias, expect_moved), (close, expect_closed), (change_class, expect_class), (link, expect_link)]


@POSTGRESQL_IN_SOAK
@pytest.mark.parametrize(("act", "expect"), CHANGES, ids=["move_alias", "close", "change_class", "link"])
def test_a_killed_change_is_made_once(
    server: str, tmp_path: Path, act: Callable[[Bank], None], expect: Callable[[Bank], None]
) -> None:
    assert check_kills(server, tmp_path, world.prepared(server), act, expect=expect) >= 4


EXCESS = [(confirm_excess, expect_confirmed), (reject_excess, expect_rejected)]


@POSTGRESQL_IN_SOAK
@pytest.mark.parametrize(("act", "expect"), EXCESS, ids=["confirm", "reject"])
def test_the_excess_of_a_waterfall_is_decided_once(
    server: str, tmp_path: Path, act: Callable[[Bank], None], expect: Callable[[Bank], None]
) -> None:
    assert check_kills(server, tmp_path, world.with_excess(server), act, expect=expect) >= 6


@pytest.mark.soak
@pytest.mark.parametrize(("act", "expect"), EXCESS, ids=["confirm", "reject"])
def test_the_excess_of_a_waterfall_is_killed_at_every_boundary(
    server: str, tmp_path: Path, act: Callable[[Bank], None], expect: Callable[[Bank], None]
) -> None:
    excess = world.with_excess(server)
    assert check_kills(server, tmp_path, excess, act, expect=expect, every=True, statements=True) >= 6
