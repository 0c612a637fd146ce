"""An `AsyncLedger` alone founds a town and reads all of it, as `Ledger` does."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from tests.sequencer.small import START_NS

from sycee.core.clock import SimulatedClock
from sycee.core.errors import Refused, UnavailableError, UsageError
from sycee.core.keys import SigningKey
from sycee.core.records.layout import AccountKind, Block, Reason, Role
from sycee.core.result_codes import Result
from sycee.sequencer.embedded import AsyncLedger, Ledger

ANN, SHOP, TRANSIT = 11, 12, 13
KEY = SigningKey.derive(b"\7" * 32)


async def founded(ledger: AsyncLedger) -> int:
    """Found a town; return its issuance account."""
    assert await ledger.define_currency("CNY", zone="Asia/Shanghai", id=1) is Result.CREATED
    assert await ledger.define_currency("CNY", zone="Asia/Shanghai") is Result.EXISTS
    issuance = await ledger.open_account("CNY", AccountKind.ISSUANCE)
    assert await ledger.open_account("CNY", AccountKind.WALLET, account=ANN, id=2) == ANN
    assert await ledger.open_account("CNY", AccountKind.MERCHANT, account=SHOP) == SHOP
    assert await ledger.open_account("CNY", AccountKind.IN_TRANSIT, account=TRANSIT) == TRANSIT
    assert await ledger.transfer(issuance, ANN, 900) is Result.CREATED
    return issuance


def test_a_town_is_founded_and_read_without_a_ledger(tmp_path: Path) -> None:
    async def main(ledger: Ledger) -> None:
        async with ledger.asynchronous() as a:
            issuance = await founded(a)
            (suspense,) = await a.accounts(currency="CNY", kind=AccountKind.SUSPENSE)  # opened with the first wallet
            assert (await a.account(ANN)).suspense == (await a.account(SHOP)).suspense == suspense.id
            assert await a.define_rule_set(1, single_max=500) is Result.CREATED
            assert await a.set_rule_set(ANN, 1) is Result.CREATED
            assert await a.pay(ANN, SHOP, 501) is Result.EXCEEDS_SINGLE_LIMIT
            assert await a.block(ANN, Reason.OPERATOR, sides=Block.DEBIT) is Result.CREATED
            assert await a.pay(ANN, SHOP, 5) is Result.DEBIT_ACCOUNT_BLOCKED
            assert await a.unblock(ANN, Reason.OPERATOR, sides=Block.DEBIT) is Result.CREATED
            assert await a.send(ANN, SHOP, 40, through=TRANSIT, id=77) is Result.CREATED
            sent = await a.find_transit(77)
            assert (sent and sent.amount, await a.find_transit(78)) == (40, None)
            assert await a.confirm(77) is Result.CREATED
            assert await a.set_key(ANN, KEY.public) is Result.CREATED
            by_ann = a.signed_by(await a.signer_for(ANN, KEY))
            assert (a.signs, by_ann.signs, await by_ann.pay(ANN, SHOP, 60)) == (False, True, Result.CREATED)
            assert (await a.issuance("CNY"), await a.supply("CNY"), await a.balance(SHOP)) == (issuance, 900, 100)
            assert [line.amount for line in await a.statement(ANN)] == [900, -40, -60]
            assert await a.tick() is False
            assert not a.authority_on
            for person in (501, 502):
                key = SigningKey.derive(bytes([person % 256]) * 32)
                assert await a.grant_role(person, Role.OFFICER, key.public, id=person) is Result.CREATED
            assert a.authority_on is ledger.authority_on is True
            assert await a.revoke_role(501) is Result.NOT_AUTHORISED
            await a.check()
            # Both classes show the same ledger.
            assert (await a.digest(), a.ledger_id, a.findings) == (ledger.digest(), ledger.ledger_id, ledger.findings)
            assert (await a.snapshot()).endswith(".snapshot")

    with Ledger.open(tmp_path, clock=SimulatedClock(START_NS)) as ledger:
        asyncio.run(main(ledger))


def test_refusals_are_those_of_a_ledger(tmp_path: Path) -> None:
    async def main(ledger: Ledger) -> None:
        async with ledger.asynchronous() as a:
            with pytest.raises(Refused, match=r"WALLET account in CNY, and the SUSPENSE account .* CURRENCY_NOT_FOUND"):
                await a.open_account("CNY", AccountKind.WALLET)
            await founded(a)
            with pytest.raises(Refused, match="ISSUANCE_EXISTS"):
                await a.open_account("CNY", AccountKind.ISSUANCE)
            with pytest.raises(UsageError, match="needs account="):
                await a.open_account("CNY", AccountKind.WALLET, id=5)
            assert await a.open_account("CNY", AccountKind.WALLET, account=ANN, id=2) == ANN  # again: the same call
            assert await a.close_account(ANN) is Result.ACCOUNT_NOT_EMPTY
            assert await a.link_account(SHOP, TRANSIT) is Result.CREATED

    with Ledger.open(tmp_path) as ledger:
        asyncio.run(main(ledger))


def test_reads_of_the_whole_state_keep_the_loop_free_and_are_awaited_by_closing(tmp_path: Path) -> None:
    async def main(ledger: Ledger) -> None:
        a = ledger.asynchronous()
        await founded(a)
        held, free = threading.Event(), threading.Event()

        def hold() -> None:
            with ledger.sequencer.reading():
                held.set()
                free.wait(60)

        holder = asyncio.create_task(asyncio.to_thread(hold))
        while not held.is_set():
            await asyncio.sleep(0)
        reading = asyncio.create_task(a.supply("CNY"))
        await asyncio.sleep(0.05)  # the loop runs, although the read waits for the state
        closing = asyncio.create_task(a.aclose())
        await asyncio.sleep(0.05)
        assert not reading.done()
        assert not closing.done()
        with pytest.raises(UnavailableError, match="closed"):
            await a.digest()
        free.set()
        await closing
        assert reading.done()
        assert await reading == 900
        await holder

    with Ledger.open(tmp_path) as ledger:
        asyncio.run(main(ledger))
