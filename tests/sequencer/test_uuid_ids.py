"""UUIDs, and their text, are ids wherever a ledger's methods accept one."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from tests.sequencer.small import START_NS
from tests.sequencer.test_embedded import SECOND_NS

from sycee.core.clock import SimulatedClock
from sycee.core.errors import UsageError
from sycee.core.ids import AnyId
from sycee.core.keys import SigningKey
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind, Block, Reason
from sycee.core.result_codes import Result
from sycee.ledger import queries
from sycee.sequencer.embedded import Ledger, Signer

END_NS = START_NS + 3_600 * SECOND_NS
KEY = SigningKey.derive(bytes(32))

Write = Callable[[uuid.UUID], AnyId]


@pytest.fixture(params=[lambda one: one, str], ids=["UUID", "text"])
def write(request: pytest.FixtureRequest) -> Write:
    written: Write = request.param
    return written


def test_every_method_accepts_uuids(tmp_path: Path, write: Write) -> None:
    clock = SimulatedClock(START_NS)
    made = iter(uuid.UUID(int=number << 64 | number) for number in range(1, 100))
    numbers = {}

    def new() -> AnyId:
        one = next(made)
        numbers[write(one)] = one.int
        return write(one)

    with Ledger.open(tmp_path, clock=clock) as ledger:
        ledger.define_currency("CNY", zone="Asia/Shanghai", id=new())
        mint, ann, shop, transit, suspense = (new() for _ in range(5))
        assert ledger.open_account("CNY", AccountKind.SUSPENSE, account=suspense) == numbers[suspense]
        for account, kind in ((mint, AccountKind.ISSUANCE), (ann, AccountKind.WALLET), (shop, AccountKind.MERCHANT),
                              (transit, AccountKind.IN_TRANSIT)):  # fmt: skip
            given: AnyId = 0 if kind is AccountKind.ISSUANCE else suspense
            assert ledger.open_account("CNY", kind, account=account, suspense=given, id=new()) == numbers[account]
        assert ledger.account(ann).suspense == numbers[suspense]
        first = new()
        assert ledger.transfer(mint, ann, "100.00", id=first).ok
        assert ledger.transfer(mint, ann, "100.00", id=first) is Result.EXISTS
        assert ledger.transfer(numbers[mint], numbers[ann], "100.00", id=numbers[first]) is Result.EXISTS
        paid = new()
        assert ledger.pay(ann, shop, 500, id=paid).ok
        assert ledger.refund(paid, "1.00").ok
        reversal = new()
        assert ledger.reverse(paid, "1.00", id=reversal).ok
        assert ledger.unrecovered_of(reversal) == 0
        held = new()
        assert ledger.hold(ann, shop, "2.00", until_ns=END_NS, third=transit, id=held).ok
        assert ledger.void(held, by=transit).ok
        held = new()
        assert ledger.hold(ann, shop, "2.00", until_ns=END_NS, id=held).ok
        assert ledger.extend(held, by=ann, until_ns=END_NS + 1).ok
        assert ledger.post(held, "0.50", by=shop).ok
        found = ledger.find_hold(held)
        assert found is not None
        assert found.payer == numbers[ann]
        for end in (ledger.confirm, ledger.reject):
            sent = new()
            assert ledger.send(ann, shop, "1.00", through=transit, id=sent).ok
            assert ledger.find_transit(sent) is not None
            assert end(sent).ok
        with ledger.chain() as chain:
            later = new()
            chain.hold(ann, shop, "1.00", until_ns=END_NS, id=later)
            chain.post(later, "1.00", by=shop)
        assert chain.results == [Result.CREATED] * 2
        assert ledger.block(ann, Reason.SANCTIONS, sides=Block.DEBIT).ok
        assert ledger.unblock(ann, Reason.SANCTIONS, sides=Block.DEBIT).ok
        assert ledger.set_key(ann, KEY.public).ok
        assert ledger.signer_for(ann, KEY).id == Signer(numbers[ann], KEY).id == numbers[ann]
        assert ledger.set_key(ann, None).ok
        bound = ledger.result_of(paid)
        assert bound is not None
        assert bound.id == numbers[paid]
        assert ledger.balance(shop) == ledger.read(queries.accounts([shop])).balance(0) == 500 - 200 + 50 + 100 + 100
        assert len(ledger.statement_page(shop).lines) == len(ledger.statement(shop))
        assert ledger.submit(operations.transfer(new(), debit=ann, credit=shop, amount=1))["code"].tolist() == [0]

        async def use_asynchronously() -> None:
            async with ledger.asynchronous() as async_ledger:
                assert (await async_ledger.pay(ann, shop, 5, id=new())).ok
                assert await async_ledger.balance(shop) == ledger.balance(shop)

        asyncio.run(use_asynchronously())
        ledger.check()


def test_uuids_and_numbers_make_the_same_records() -> None:
    one, other = uuid.uuid5(uuid.NAMESPACE_URL, "one"), uuid.uuid5(uuid.NAMESPACE_URL, "other")
    expected = operations.transfer(5, debit=one.int, credit=other.int, amount=7)
    assert np.array_equal(operations.transfer(5, debit=one, credit=str(other), amount=7), expected)
    expected = operations.define_rule_set(one.int, rule_set=1, from_ns=0, until_ns=1, return_account=other.int)
    given = operations.define_rule_set(str(one), rule_set=1, from_ns=0, until_ns=1, return_account=other)
    assert np.array_equal(given, expected)


def test_a_decimal_or_float_amount_is_refused_with_both_forms(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, clock=SimulatedClock(START_NS)) as ledger:
        for amount in (Decimal("200.00"), 200.0):
            with pytest.raises(UsageError, match=r"amount must .*; got .*200") as caught:
                ledger.transfer(1, 2, amount)  # type: ignore[arg-type]
            assert '"200.00"' in (caught.value.hint or "")
            assert "minor units" in (caught.value.hint or "")
