"""The feed: every created operation once, in order, with the accounts that it concerns, however often it is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.bank.world import ANN, DESK
from tests.bulk.world import Payer, rows_of
from tests.wallets import world
from tests.wallets.world import LEO_KEY, MIA_KEY, Town, person

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.records import operations
from sycee.core.records.layout import Block, Kind, Reason
from sycee.core.result_codes import Result
from sycee.database.events import EventKind, events_after
from sycee.sequencer.frame_records import FrameRecords
from sycee.server.auth import caller as callers
from sycee.server.auth.caller import Caller
from sycee.server.events import ledger_events
from sycee.server.events.feed import START, Cursor, Feed, Page
from sycee.server.events.kinds import TYPES
from sycee.server.events.scopes import scope_of


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder: Path = tmp_path_factory.mktemp("feed")
    with world.bank("sqlite", folder) as made:
        yield made


def feed_of(town: Town) -> Feed:
    return Feed(town.bank.stores, FrameRecords(town.bank.folder.path))


def pages(feed: Feed, after: Cursor = START) -> list[Page]:
    found = []
    while True:
        page = feed.page(after)
        found.append(page)
        after = page.end
        if page.is_last:
            return found


def events(feed: Feed, after: Cursor = START) -> list[dict[str, Any]]:
    return [page.event(at) for page in pages(feed, after) for at in range(page.size)]


def of_ledger(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in found if "operation" in each]


def submit(town: Town, record: Array, account: int, key: Any) -> int:
    """Submit a record of a wallet with its key; return the operation's id."""
    answer = town.bank.stores.ledger.signed_by(*town.signer(account, key)).submit(record)
    assert [Result(code) for code in answer["code"].tolist()] == [Result.CREATED]
    return ids.of_record(record[0], "id")


def new(town: Town) -> int:
    return ids.new(town.bank.stores.clock.now_ns() // 1_000_000)


def pay(town: Town, minor: int = 500) -> int:
    return submit(town, operations.pay(new(town), payer=town.leo, payee=town.shop, amount=minor), town.leo, LEO_KEY)


def text(id: int) -> str:
    return ids.format(id)


def test_each_operation_of_the_history_is_one_event_in_order(town: Town) -> None:
    found = of_ledger(events(feed_of(town)))
    with town.bank.stores.ledger.sequencer.reading() as state:
        bound = state.bound[state.bound["result"] == Result.CREATED]
        expected = [f"{place >> 13}.{place & 8191}" for place in bound["place"].tolist()]
        kinds = bound["kind"].tolist()
    assert [each["id"] for each in found] == expected
    assert [each["operation"] for each in found] == [text(each) for each in ids.of_records(bound, "id")]
    renamed = {"money.minted", "money.redeemed"}
    for event, kind in zip(found, kinds, strict=True):
        assert event["type"] == TYPES[Kind(kind)].name or (kind == Kind.TRANSFER and event["type"] in renamed)
    assert {"money.minted", "account.opened", "role.granted", "key.set"} <= {each["type"] for each in found}


def test_pages_of_any_size_give_the_same_events(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = events(feed_of(town))
    monkeypatch.setattr(ledger_events, "OPERATIONS_MAX", 3)
    monkeypatch.setattr(ledger_events, "MOVEMENTS_MAX", 1)
    small = pages(feed_of(town))
    assert [page.event(at) for page in small for at in range(page.size)] == whole
    assert len(small) > 10
    middle = small[len(small) // 2]
    assert [page.event(at) for page in small if page.start >= middle.start for at in range(page.size)] == events(
        feed_of(town), middle.start
    )
    for page in (small[1], small[-1]):
        after = page.cursor(0)
        rest = feed_of(town).page(after)
        assert rest.event(0) == (page.event(1) if page.size > 1 else small[small.index(page) + 1].event(0))


def test_payments_and_holds_name_their_accounts_amounts_and_what_they_are_about(town: Town) -> None:
    feed = feed_of(town)
    before = feed.newest()
    leo, mia, shop = town.leo, town.mia, town.shop
    paid = pay(town)
    refund = operations.refund(new(town), original=paid, amount=200)
    assert town.bank.stores.ledger.signed_by(*town.operator).submit(refund)["code"].tolist() == [Result.CREATED]
    until_ns = town.bank.stores.clock.now_ns() + world.world.HOUR_NS
    holds = [new(town) for _ in range(2)]
    for each in holds:
        submit(town, operations.hold(each, payer=leo, payee=mia, amount=300, until_ns=until_ns), leo, LEO_KEY)
    submit(town, operations.extend(new(town), hold=holds[0], by=leo, until_ns=until_ns + 1), leo, LEO_KEY)
    submit(town, operations.post(new(town), hold=holds[0], by=mia, amount=250, release_rest=True), mia, MIA_KEY)
    submit(town, operations.void(new(town), hold=holds[1], by=mia), mia, MIA_KEY)
    refused = operations.pay(new(town), payer=leo, payee=shop, amount=10**9)
    assert town.bank.stores.ledger.signed_by(*town.signer(leo, LEO_KEY)).submit(refused)["code"] == [
        Result.EXCEEDS_BALANCE
    ]
    found = [
        (each["type"], each["accounts"], each.get("amount"), each.get("about"))
        for each in of_ledger(events(feed, before))
    ]
    parties = [text(leo), text(mia)]
    assert found == [
        ("payment.made", [text(leo), text(shop)], "500", None),
        ("payment.refunded", [text(shop), text(leo)], "200", text(paid)),
        ("hold.made", parties, "300", None),
        ("hold.made", parties, "300", None),
        ("hold.extended", parties, None, text(holds[0])),
        ("hold.posted", parties, "250", text(holds[0])),
        ("hold.voided", parties, None, text(holds[1])),
    ]
    assert all(each["currency"] == "CNY" for each in of_ledger(events(feed, before)))


def test_events_of_accounts_are_found_from_their_records(town: Town) -> None:
    feed = feed_of(town)
    before = feed.newest()
    ledger = town.bank.stores.ledger
    for build in (operations.block_account, operations.unblock_account):
        record = build(new(town), account=town.ned, sides=Block.DEBIT, reason=Reason.OPERATOR)
        assert ledger.signed_by(*town.operator).submit(record)["code"].tolist() == [Result.CREATED]
    found = of_ledger(events(feed, before))
    assert [(each["type"], each["accounts"]) for each in found] == [
        ("account.blocked", [text(town.ned)]),
        ("account.unblocked", [text(town.ned)]),
    ]
    json.dumps(found)


def test_events_of_registers_follow_those_of_the_ledger(town: Town) -> None:
    feed = feed_of(town)
    before = feed.newest()
    maker = person(town.bank, ANN)
    proposal = town.bank.issuance.mint(2, 100, maker=maker)
    pay(town)
    town.bank.proposals.withdraw(proposal.id, by=maker)
    found = events(feed, before)
    assert [each["type"] for each in found] == ["payment.made", "proposal.waiting", "proposal.ended"]
    assert [each["id"] for each in found[1:]] == [str(before.number + 1), str(before.number + 2)]
    assert found[1]["subject"] == text(proposal.id)
    assert found[1]["operator"] == 2
    assert found[2]["data"] == {"action": proposal.action, "state": "withdrawn"}
    (page,) = pages(feed, before)
    assert page.cursor(0) == Cursor(page.end.frame, page.end.offset, before.number)
    assert page.cursor(2) == page.end == feed.newest()


# --- who sees what ---


def caller(town: Town, who: int, operator: int | None = None) -> Caller:
    kind = callers.CallerKind.PERSON if operator is None else callers.CallerKind.MACHINE
    return Caller(kind, "127.0.0.1", who, client=operator or 0, operator=operator)


def seen_by(town: Town, who: Caller, page: Page) -> list[str]:
    scope = scope_of(town.bank, who)
    return [page.type_of(at) for at in scope.visible(page, scope.seen(page))]


def test_each_role_sees_its_own_events(town: Town) -> None:
    feed = feed_of(town)
    before = feed.newest()
    pay(town)
    maker = person(town.bank, ANN)
    town.bank.proposals.withdraw(town.bank.issuance.mint(2, 100, maker=maker).id, by=maker)
    (page,) = pages(feed, before)
    proposals = ["proposal.waiting", "proposal.ended"]
    everything = ["payment.made", *proposals]
    assert seen_by(town, caller(town, town.holder(town.leo)), page) == ["payment.made"]
    assert seen_by(town, caller(town, town.holder(town.mia)), page) == []
    assert seen_by(town, caller(town, maker), page) == everything
    assert seen_by(town, caller(town, town.north), page) == everything, "staff of the payer's and the mint's operator"
    assert seen_by(town, caller(town, town.north, operator=2), page) == everything
    assert seen_by(town, caller(town, town.north, operator=3), page) == []
    assert seen_by(town, caller(town, maker, operator=2), page) == [], "a program of an operator is no officer"
    assert seen_by(town, caller(town, person(town.bank, DESK)), page) == []
    assert seen_by(town, Caller(callers.CallerKind.ANONYMOUS, "127.0.0.1"), page) == []


def test_the_payer_of_a_bulk_file_and_its_operator_see_the_end(town: Town) -> None:
    feed = feed_of(town)
    before = feed.newest()
    leo, rows = Payer.leo(town), rows_of([town.mia], [1])
    leo.pay(leo.declare(rows), rows)
    (page,) = pages(feed, before)
    for who in (caller(town, town.holder(town.leo)), caller(town, town.north), caller(town, town.north, operator=2)):
        assert "bulk.ended" in seen_by(town, who, page)
    for who in (caller(town, town.holder(town.ned)), caller(town, town.north, operator=3)):
        assert "bulk.ended" not in seen_by(town, who, page)


def test_a_bulk_operation_shows_a_caller_its_own_accounts_only(town: Town) -> None:
    """A settlement of two payers and two payees: each sees the event and itself, and nobody but staff the sum."""
    feed = feed_of(town)
    before = feed.newest()
    ledger = town.bank.stores.ledger
    number = 1
    staged = [
        operations.stage(new(town), batch=number, debit=town.ned, credit=credit, amount=amount)
        for credit, amount in ((town.leo, 10), (town.mia, 20))
    ]
    town.fund(town.ned, 100, "in-ned")
    before = feed.newest()
    records = np.concatenate([*staged, operations.settle(new(town), batch=number, operator=2, payments=2, total=30)])
    answers = ledger.signed_by(*town.operator).submit(records)
    assert answers["code"].tolist() == [Result.CREATED] * 3
    (page,) = pages(feed, before)
    for who, expected in (
        (town.leo, ([text(town.leo)], None)),
        (town.mia, ([text(town.mia)], None)),
        (town.ned, ([text(town.ned)], None)),
    ):
        scope = scope_of(town.bank, caller(town, town.holder(who)))
        seen = scope.seen(page)
        at = scope.visible(page, seen)[-1]
        event = json.loads(page.text(at, seen))
        assert event["type"] == "batch.settled"
        assert (event["accounts"], event.get("amount")) == expected
    event = page.event(2)
    assert event["amount"] == "30"
    assert event["accounts"] == [text(town.ned), text(town.leo), text(town.mia)]


# --- cursors ---


@pytest.mark.parametrize("wrong", ["", "1.2", "1.2.3.4", "01.2.3", "-1.2.3", "1.8192.3", "1.2.x", "9" * 50, "1.2.3\n"])
def test_a_wrong_cursor_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="is no cursor"):
        Cursor.parse(wrong)


def test_a_cursor_beyond_the_bank_is_refused(town: Town) -> None:
    feed = feed_of(town)
    newest = feed.newest()
    assert feed.reached(newest) == newest
    assert feed.reached(Cursor(newest.frame, 8_191, 0)) == Cursor(newest.frame, newest.offset, 0)
    for wrong in (Cursor(newest.frame + 1_000, 0, 0), Cursor(0, 0, newest.number + 1)):
        with pytest.raises(UsageError, match="is later than frame"):
            feed.reached(wrong)
    assert events_after(town.bank.stores.engine, newest.number, most=1) == []
    assert set(EventKind) == {each for each in EventKind if each.value.count(".") == 1}
