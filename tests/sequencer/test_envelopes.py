"""Signatures are checked before a frame is written, stored with it, and checked again by `verify`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.sequencer.small import ANN, BOB, ISSUANCE, LEDGER_ID, SHOP, START_NS, SUSPENSE, TREASURY, some_ids
from tests.sequencer.test_threads import gathered

from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.keys import SigningKey
from sycee.core.limits import FRAME_RECORDS_MAX, I64_MAX
from sycee.core.records import layout, operations
from sycee.core.records.envelopes import ENVELOPE, Envelope, decode, sign
from sycee.core.records.layout import AccountKind, Role
from sycee.core.result_codes import Result
from sycee.journal import Journal
from sycee.sequencer import verify as verify_module
from sycee.sequencer.embedded import Ledger, Signer
from sycee.sequencer.sequencer import Sequencer
from sycee.sequencer.verify import verify
from sycee.testing.disk import FakeDisk

KEYS = {person: SigningKey.derive(bytes([person]) * 32) for person in (91, 92, 93, 94)}
ANNS_KEY = SigningKey.derive(bytes(31) + b"\7", "p256")
OFFICERS, OPERATOR, STRANGER = (91, 92), 93, 94
OPERATOR_NUMBER = 5
LATER_NS = START_NS + 10**12
TAKEN, UNSIGNED, SHORT = Result.CREATED, Result.NOT_AUTHORISED, Result.TWO_PERSONS_MUST_SIGN


def grant(id: int, person: int, role: Role, operator: int = 0) -> Array:
    public = KEYS[person].public
    return operations.grant_role(
        id, person=person, role=role, key=public.key, flags=public.flags, from_ns=0, until_ns=I64_MAX, operator=operator
    )


def opening() -> Array:
    """Return records for one operator's accounts, Ann's with a key, money, and the officers, who turn authority on."""
    kinds = {
        ISSUANCE: AccountKind.ISSUANCE, SUSPENSE: AccountKind.SUSPENSE, TREASURY: AccountKind.VAULT,
        ANN: AccountKind.WALLET, BOB: AccountKind.WALLET, SHOP: AccountKind.MERCHANT,
    }  # fmt: skip
    accounts = [
        operations.open_account(
            100 + account, account=account, currency=156, kind=kind, operator=OPERATOR_NUMBER,
            suspense=0 if account in (ISSUANCE, SUSPENSE) else SUSPENSE,
        )
        for account, kind in kinds.items()
    ]  # fmt: skip
    public = ANNS_KEY.public
    return np.concatenate(
        [
            operations.define_currency(100, currency=156, zone="Asia/Shanghai"),
            *accounts,
            operations.set_key(110, account=ANN, key=public.key, flags=public.flags),
            operations.transfer(111, debit=ISSUANCE, credit=TREASURY, amount=1_000_000),
            operations.transfer(112, debit=TREASURY, credit=ANN, amount=500),
            grant(113, OPERATOR, Role.OPERATOR, OPERATOR_NUMBER),
            grant(114, OFFICERS[0], Role.OFFICER),
            grant(115, OFFICERS[1], Role.OFFICER),
        ]
    )


class Town:
    """A ledger that needs signatures."""

    def __init__(self) -> None:
        self.disk, self.clock = FakeDisk(), SimulatedClock(START_NS)
        journal = Journal.create(self.disk, ledger_id=LEDGER_ID)
        self.sequencer = Sequencer(journal, clock=self.clock, overlap=False)
        assert set(self.sequencer.submit(opening())["code"].tolist()) == {TAKEN}

    def submit(self, records: Array, *envelopes: Envelope) -> list[Result]:
        return [Result(code) for code in self.sequencer.submit(records, envelopes)["code"].tolist()]

    def frames(self) -> int:
        return self.sequencer.durable_sequence

    def verified(self, monkeypatch: pytest.MonkeyPatch) -> str:
        """Return what a verification of all signatures proves, as one text, after comparing the digests."""
        monkeypatch.setattr(verify_module, "existing_journal_disk", lambda _: self.disk.kill())
        monkeypatch.setattr(verify_module, "snapshot_disk", lambda _: FakeDisk(folder="fake/snapshots"))
        found = verify("ledger", authority=True)
        assert found.digest == self.sequencer.state.digest().hex()
        return "\n".join(found.proved)


@pytest.fixture
def town() -> Town:
    return Town()


def by(person: int, records: Array, first: int = 0, until_ns: int = LATER_NS) -> Envelope:
    return sign(records, LEDGER_ID, person, KEYS[person], until_ns, first=first)


def by_ann(records: Array, first: int = 0, epoch: int = 1) -> Envelope:
    return sign(records, LEDGER_ID, ANN, ANNS_KEY, LATER_NS, first=first, currency=156, key_epoch=epoch)


def mint(id: int) -> Array:
    return operations.transfer(id, debit=ISSUANCE, credit=TREASURY, amount=1)


def pays(count: int, purpose: str = "pays") -> Array:
    """Return pays of the vault, which has no key: its operator signs."""
    return operations.pay(some_ids(purpose, count), payer=TREASURY, payee=SHOP, amount=1)


@pytest.mark.parametrize("count", [1, 511, 512, 600, FRAME_RECORDS_MAX, FRAME_RECORDS_MAX + 600])
def test_many_mints_in_order_need_their_officers_too(town: Town, count: int) -> None:
    """New ids in ascending order skip a lookup, but not the signatures."""
    records = operations.transfer(some_ids("mints", count), debit=ISSUANCE, credit=TREASURY, amount=1)
    before = town.frames()
    assert town.submit(records) == [UNSIGNED] * count
    assert town.frames() == before, "what was refused was journaled"
    assert Ledger(town.sequencer).supply("CNY") == 1_000_000
    assert town.submit(pays(count)) == [UNSIGNED] * count


def test_minting_needs_two_officers(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = OFFICERS
    record = mint(500)
    before = town.frames()
    assert town.submit(record) == [UNSIGNED]
    assert town.submit(record, by(one, record)) == [SHORT]
    assert town.submit(record, by(one, record), by(one, record)) == [SHORT]
    assert town.submit(record, by(OPERATOR, record)) == [UNSIGNED]
    assert town.submit(record, by(STRANGER, record)) == [Result.SIGNER_NOT_FOUND]
    assert town.submit(record, by(one, mint(501)), by(other, record)) == [Result.SIGNATURE_INVALID]
    assert town.submit(record, by(one, record, until_ns=START_NS), by(other, record)) == [Result.SIGNATURE_EXPIRED]
    assert town.frames() == before, "what was refused was journaled"
    # Nothing was bound: the same id succeeds now, and exists after that, signed or not.
    assert town.submit(record, by(one, record), by(other, record)) == [TAKEN]
    assert town.frames() == before + 1
    assert town.submit(record) == [Result.EXISTS]
    assert town.submit(record, by(one, record)) == [Result.EXISTS]
    assert town.frames() == before + 1
    assert "2 by officers" in town.verified(monkeypatch)


def test_an_account_with_a_key_signs_its_own_payments(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    record = operations.pay(500, payer=ANN, payee=SHOP, amount=7)
    assert town.submit(record, by(OPERATOR, record)) == [UNSIGNED]
    assert town.submit(record, by_ann(record, epoch=2)) == [Result.KEY_EPOCH_DIFFERS]
    assert town.submit(record, by_ann(record)) == [TAKEN]
    assert "1 by accounts" in town.verified(monkeypatch)


def test_one_signature_for_many_operations_of_which_one_is_refused(town: Town) -> None:
    records = pays(10)
    foreign = records.copy()
    foreign[6] = mint(600)[0]
    before = town.frames()
    # One of them needs more signatures: the common signature cannot be stored, so none is done, and none is bound.
    assert town.submit(foreign, by(OPERATOR, foreign)) == [UNSIGNED] * 10
    assert town.frames() == before
    assert town.submit(records, by(OPERATOR, records)) == [TAKEN] * 10
    assert town.frames() == before + 1


def test_a_refusal_touches_no_other_unit(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    records = np.concatenate(
        [pays(3), mint(600), pays(3, "more"), operations.expire(601, programme=1, first=0, count=1)]
    )
    results = town.submit(
        records, by(OPERATOR, records[:3]), by(OPERATOR, records[4:7], first=4), by(OPERATOR, records[7:], first=7)
    )
    assert results == [TAKEN] * 3 + [UNSIGNED] + [TAKEN] * 3 + [Result.PROGRAMME_NOT_FOUND]
    assert "3 by operators" in town.verified(monkeypatch)


def test_a_chain_with_an_unsigned_operation_is_broken(town: Town) -> None:
    one, other = OFFICERS
    chain = operations.chain(mint(600), operations.transfer(601, debit=TREASURY, credit=BOB, amount=1))
    before = town.frames()
    by_officers = (by(one, chain), by(other, chain))
    assert town.submit(chain, *by_officers) == [Result.CHAIN_BROKEN, UNSIGNED]
    only_its_part = by(OPERATOR, chain[1:], first=1)
    assert town.submit(chain, *by_officers, only_its_part) == [Result.CHAIN_BROKEN, UNSIGNED]
    assert town.frames() == before
    assert town.submit(chain, *by_officers, by(OPERATOR, chain)) == [TAKEN, TAKEN]


def test_bound_ids_are_journaled_again_if_their_signature_covers_new_ones(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = pays(6)
    records["amount"][5] = -1
    assert town.submit(records[1:3], by(OPERATOR, records[1:3])) == [TAKEN] * 2
    before = town.frames()
    expected = [TAKEN, Result.EXISTS, Result.EXISTS, TAKEN, TAKEN, Result.AMOUNT_MUST_BE_POSITIVE]
    assert town.submit(records, by(OPERATOR, records)) == expected
    assert town.frames() == before + 1
    frame = list(Journal.open(town.disk.kill(), read_only=True).recover())[-1]
    assert frame.records.reshape(-1).view(layout.OPERATION).tolist() == records.tolist()
    assert town.submit(records[:5], by(OPERATOR, records[:5])) == [Result.EXISTS] * 5
    assert town.frames() == before + 1
    assert town.sequencer.state.account(SHOP).balance == 5  # type: ignore[union-attr]
    town.verified(monkeypatch)
    reopened = Sequencer(Journal.open(town.disk.kill()), clock=town.clock)
    assert reopened.state.digest() == town.sequencer.state.digest()


def test_unsigned_operations_are_not_journaled_with_bound_ones(town: Town) -> None:
    records = np.concatenate([pays(2), mint(600), pays(2, "more")])
    assert town.submit(records[:2], by(OPERATOR, records[:2])) == [TAKEN] * 2
    assert town.submit(records, by(OPERATOR, records[:2]), by(OPERATOR, records[3:], first=3)) == [
        Result.EXISTS, Result.EXISTS, UNSIGNED, TAKEN, TAKEN,
    ]  # fmt: skip
    frame = list(Journal.open(town.disk.kill(), read_only=True).recover())[-1]
    kept = decode(frame.envelopes)
    assert [(int(row["first"]), int(row["count"])) for row in kept] == [(0, 2)]


def test_an_expired_signature_over_bound_ids_blocks_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    records = pays(4)
    early = by(OPERATOR, records[:2], until_ns=START_NS + 10)
    assert town.submit(records[:2], early) == [TAKEN] * 2
    town.clock.advance(100)
    assert town.submit(records, early, by(OPERATOR, records[1:], first=1)) == [Result.EXISTS] * 2 + [TAKEN] * 2
    assert town.submit(records, early) == [Result.EXISTS] * 4
    town.verified(monkeypatch)


def test_ranges_move_when_calls_are_gathered(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Callable[[], object]] = []
    for number in range(5):
        records = pays(number + 1, f"call {number}")
        half = number // 2
        signed = [by(OPERATOR, records[half:], first=half)] + ([by(OPERATOR, records[:half])] if half else [])
        calls.append(lambda records=records, signed=signed: town.submit(records, *signed))
    bad = mint(700)
    calls.append(lambda: town.submit(bad, by(OFFICERS[0], bad)))
    before = town.frames()
    with gathered(town.sequencer, calls) as results:
        assert results == [[TAKEN] * (number + 1) for number in range(5)] + [[SHORT]]
    assert town.frames() == before + 1
    frame = list(Journal.open(town.disk.kill(), read_only=True).recover())[-1]
    assert len(frame.records) == 15
    assert "7 by operators" not in town.verified(monkeypatch), "the fifth call has two, as has the fourth and the third"
    assert "8 by operators" in town.verified(monkeypatch)


def test_more_than_a_frame_under_signatures_of_a_frame_each(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    records = pays(FRAME_RECORDS_MAX + 500)
    with pytest.raises(UsageError, match="an envelope covers 1 to 8,064 records"):
        by(OPERATOR, records)
    parts = [(0, 5_000), (5_000, records.size)]
    before = town.frames()
    results = town.submit(records, *(by(OPERATOR, records[start:end], first=start) for start, end in parts))
    assert set(results) == {TAKEN}
    assert town.frames() == before + 2
    sizes = [len(frame.records) for frame in Journal.open(town.disk.kill(), read_only=True).recover()]
    assert sizes[-2:] == [5_000, FRAME_RECORDS_MAX + 500 - 5_000]
    town.verified(monkeypatch)


def test_an_envelope_must_cover_existing_operations(town: Town) -> None:
    record = pays(1)
    with pytest.raises(UsageError, match="covers 1 operations from index 3 on; the submission has 1"):
        town.submit(record, by(OPERATOR, record, first=3))
    with pytest.raises(UsageError, match="envelopes must be a one-dimensional array"):
        town.sequencer.submit(record, np.zeros(1, "u1"))
    # Also as an array, and strided.
    array = np.zeros(2, ENVELOPE)
    array[1:] = np.frombuffer(by(OPERATOR, record).encode(), ENVELOPE)
    assert town.sequencer.submit(record, array[1:])["code"].tolist() == [TAKEN]


def test_signatures_are_judged_before_there_are_officers_too() -> None:
    sequencer = Sequencer(Journal.create(FakeDisk(), ledger_id=LEDGER_ID), clock=SimulatedClock(START_NS))
    record = operations.define_group(1, group=1)
    assert sequencer.submit(record, [by(STRANGER, record)])["code"].tolist() == [Result.SIGNER_NOT_FOUND]
    assert sequencer.submit(record)["code"].tolist() == [TAKEN]


def test_verify_finds_unsigned_operations(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal written without the sequencer: its checksums are valid, its authority is not."""
    with pytest.MonkeyPatch.context() as careless:
        careless.setattr("sycee.ledger.authority.authorise", lambda *a, **_: np.zeros(a[3].size, np.uint16))
        assert town.submit(mint(800)) == [TAKEN]
    monkeypatch.setattr(verify_module, "existing_journal_disk", lambda _: town.disk.kill())
    monkeypatch.setattr(verify_module, "snapshot_disk", lambda _: FakeDisk(folder="fake/snapshots"))
    assert verify("ledger").frames == 3
    with pytest.raises(IntegrityError, match=r"frame 3, operation 0 \(TRANSFER\): NOT_AUTHORISED"):
        verify("ledger", authority=True)


def test_a_ledger_without_authority(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.define_currency("CNY", zone="Asia/Shanghai")
        assert not ledger.authority_on
    assert "the ledger has no officers: no operation needed a signature" in verify(tmp_path, authority=True).proved
    assert not any("authorit" in sentence for sentence in verify(tmp_path).proved)


def test_signers_of_an_embedded_ledger(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, clock=SimulatedClock(START_NS)) as ledger:
        ledger.submit(opening())
        assert ledger.authority_on
        officers = ledger.signed_by(*(Signer(person, KEYS[person]) for person in OFFICERS))
        operator = ledger.signed_by(Signer(OPERATOR, KEYS[OPERATOR]))
        ann = ledger.signed_by(Signer(ANN, ANNS_KEY, currency=156, key_epoch=1))
        assert ledger.transfer(ISSUANCE, TREASURY, 5) is UNSIGNED
        assert operator.transfer(ISSUANCE, TREASURY, 5) is UNSIGNED
        assert officers.transfer(ISSUANCE, TREASURY, 5) is TAKEN
        assert operator.transfer(TREASURY, BOB, 5) is TAKEN
        assert operator.transfer(ANN, BOB, 5) is UNSIGNED
        assert ann.transfer(ANN, BOB, 5) is TAKEN
        assert ledger.balance(BOB) == 10
        with operator.chain() as chain:
            chain.transfer(TREASURY, BOB, 1)
            chain.transfer(BOB, SHOP, 2)
        assert chain.results == [TAKEN, TAKEN]
        many = pays(FRAME_RECORDS_MAX + 2)
        assert set(operator.submit(many)["code"].tolist()) == {TAKEN}
    assert "1 by accounts" in "\n".join(verify(tmp_path, authority=True).proved)
