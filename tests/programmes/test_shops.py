"""Shops of a programme apply, are checked by somebody else, and join; then packet money reaches them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from tests.bank import killing
from tests.bank.world import Copies
from tests.programmes import world
from tests.programmes.shops_town import NAME, claim, let_join, open_shop, pay, shop_town
from tests.programmes.world import ANN, NORTH, SOUTH, moment, person

from sycee.bank.bank import Bank
from sycee.core.errors import NotFound, UsageError
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.identity.people import DutyMissing

JOIN_ID = 77


@contextmanager
def town(folder: Path) -> Iterator[Bank]:
    with world.opened(folder, shop_town().copy(folder)) as bank:
        yield bank


def test_a_shop_applies_is_checked_and_joins(tmp_path: Path) -> None:
    with town(tmp_path) as bank:
        shops, north, ann = bank.shops, person(bank, NORTH), person(bank, ANN)
        merchant = bank.institutions.find("merchant", "Tea house").id
        made = shops.apply(NAME, merchant, who=north)
        assert (made.state, made.group, made.operator) == ("applied", "city-shops", 2)
        assert shops.apply(NAME, merchant, who=north) == made
        with pytest.raises(UsageError, match="who applied does not decide"):
            shops.check(NAME, made.account, accepted=True, who=north)
        with pytest.raises(UsageError, match="no accepted application of operator 2 waits"):
            shops.join(NAME, 2, signers=bank.signers(NORTH), who=north)
        with pytest.raises(UsageError, match="a refusal has a reason"):
            shops.check(NAME, made.account, accepted=False, who=ann)
        declined = shops.check(NAME, made.account, accepted=False, who=ann, reason="not in the district")
        assert (declined.state, declined.reason) == ("declined", "not in the district")
        assert shops.check(NAME, made.account, accepted=True, who=ann).state == "accepted"
        assert bank.check() == []
        (joined,) = shops.join(NAME, 2, signers=bank.signers(NORTH), who=north)
        assert (joined.account, joined.state) == (made.account, "joined")
        assert bank.check() == []
        assert shops.leave(NAME, made.account, signers=bank.signers(NORTH), who=north).state == "left"
        assert bank.check() == []
        with pytest.raises(UsageError, match="the application is left"):
            shops.check(NAME, made.account, accepted=True, who=ann)
        again = shops.apply(NAME, merchant, who=north)
        assert (again.state, again.checked_by) == ("applied", None)
        shops.check(NAME, made.account, accepted=True, who=ann)
        assert shops.join(NAME, 2, signers=bank.signers(NORTH), who=north)[0].state == "joined"
        assert bank.check() == []


def test_packet_money_reaches_shops_that_joined_and_no_others(tmp_path: Path) -> None:
    with town(tmp_path) as bank:
        bank.set_clock(moment(7, 9))
        tea, cafe = (open_shop(bank, each) for each in ("Tea house", "Cafe"))
        let_join(bank, tea)
        (wallet,) = claim(bank, [0])
        assert pay(bank, wallet, tea, 1_00).is_paid
        assert pay(bank, wallet, cafe, 1_00).answer == "EXCEEDS_BALANCE"


def test_others_cannot_apply_check_or_join(tmp_path: Path) -> None:
    with town(tmp_path) as bank:
        shops, north, south = bank.shops, person(bank, NORTH), person(bank, SOUTH)
        merchant = bank.institutions.find("merchant", "Tea house").id
        with pytest.raises(DutyMissing):
            shops.apply(NAME, merchant, who=south)
        with pytest.raises(UsageError, match="has no merchant group 'markets'"):
            shops.apply(NAME, merchant, who=north, group="markets")
        made = shops.apply(NAME, merchant, who=north)
        with pytest.raises(DutyMissing):
            shops.check(NAME, made.account, accepted=True, who=south)
        shops.check(NAME, made.account, accepted=True, who=person(bank, ANN))
        with pytest.raises(DutyMissing):
            shops.join(NAME, 2, signers=bank.signers(SOUTH), who=south)
        with pytest.raises(NotFound, match="did not apply"):
            shops.get(NAME, 5)
        wallet = world.wallets(bank)[0].account
        with pytest.raises(UsageError, match="is not of Tea house"):
            shops.apply(NAME, merchant, who=north, account=wallet)
        bank.set_clock(moment(15))
        cafe = bank.institutions.find("merchant", "Cafe").id
        with pytest.raises(UsageError, match="the spending of autumn-2026 is over"):
            shops.apply(NAME, cafe, who=north)


def test_a_shop_that_joined_past_the_service_is_reported(tmp_path: Path) -> None:
    with town(tmp_path) as bank:
        shops, north = bank.shops, person(bank, NORTH)
        made = shops.apply(NAME, bank.institutions.find("merchant", "Tea house").id, who=north)
        record = operations.join_group(
            bank.stores.ledger.new_id(), group=bank.programmes.group_of(NAME, "city-shops"), account=made.account
        )
        signed = bank.stores.ledger.signed_by(*bank.signers(NORTH))
        assert signed.submit(record)["code"].tolist() == [Result.CREATED]
        (found,) = bank.check()
        assert "is applied in autumn-2026, and the ledger has it in the group city-shops" in found


def test_outlets_that_took_no_test_payment(tmp_path: Path) -> None:
    with town(tmp_path) as bank:
        shops, north = bank.shops, person(bank, NORTH)
        merchant = bank.institutions.find("merchant", "Tea house").id
        outlets = [bank.institutions.add_outlet(merchant, code, by=north) for code in ("MAIN", "SIDE")]
        tills = [bank.institutions.add_till(each, "T1", by=north) for each in outlets]
        account = open_shop(bank, "Tea house")
        let_join(bank, account)
        assert [each.code for each in shops.untested(NAME)] == ["MAIN", "SIDE"]
        bank.set_clock(moment(7, 9))
        (wallet,) = claim(bank, [0])
        assert pay(bank, wallet, account, 1, till=tills[0]).is_paid
        assert [(each.code, each.operator) for each in shops.untested(NAME)] == [("SIDE", 2)]


# --- kills ---


@cache
def accepted() -> Copies:
    folder = world.world.temporary_folder()
    with world.opened(folder, shop_town().copy(folder)) as bank:
        merchant = bank.institutions.find("merchant", "Tea house").id
        made = bank.shops.apply(NAME, merchant, who=person(bank, NORTH))
        bank.shops.check(NAME, made.account, accepted=True, who=person(bank, ANN))
    return Copies(folder, "")


def join(bank: Bank) -> None:
    bank.shops.join(NAME, 2, signers=bank.signers(NORTH), who=person(bank, NORTH), id=JOIN_ID)


def expect_joined(bank: Bank) -> None:
    assert [each.state for each in bank.shops.list(NAME)] == ["joined"]


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_a_killed_join_is_made_once(tmp_path: Path, every: bool) -> None:
    killing.check_kills("", tmp_path, accepted(), join, expect=expect_joined, every=every)
