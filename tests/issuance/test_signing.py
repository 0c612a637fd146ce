"""Minting with the signatures of two officers: without the required signatures no money moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from sycee import verify
from sycee.core import ids
from sycee.core.clock import SimulatedClock
from sycee.core.errors import Refused, UsageError
from sycee.core.keys import SigningKey
from sycee.core.limits import ENVELOPE_BYTES, FRAME_RECORDS_MAX
from sycee.core.records import layout, operations
from sycee.core.records.layout import AccountKind
from sycee.core.result_codes import Result
from sycee.issuance.central_bank import MINTING_RULE_SET, CentralBank
from sycee.issuance.signing import SigningLedger, grants
from sycee.ledger.batch import prepare
from sycee.sequencer.embedded import SIGNATURE_VALIDITY_NS, Ledger, Signer

SEED, CNY, START_NS = b"a signed bank", 156, 1_602_000_000 * 10**9
YEAR_NS = 366 * 86_400 * 10**9


def person(number: int, algorithm: str = "ed25519") -> Signer:
    return Signer(number, SigningKey.derive(bytes([number]) * 32, algorithm))


ANNA, BERT, DESK, OTTO, OLGA, TINA = person(1), person(2, "p256"), person(3), person(4), person(5, "p256"), person(6)
OFFICERS = (ANNA, BERT)
OPERATORS = {0: DESK, 1: OTTO, 2: OLGA, 3: TINA}  # operator 0 has the bank's own accounts, operator 3 the treasury's


def some_ids(purpose: str, count: int) -> np.ndarray:
    return ids.derive(SEED, purpose, count, time_ms=START_NS // 10**6)


def one_id(purpose: str) -> int:
    return ids.to_int(some_ids(purpose, 1)[0])


@dataclass
class World:
    """Ledger with authority, a bank opened by two officers, and reserves of operator 1."""

    folder: Path
    ledger: Ledger
    clock: SimulatedClock
    bank: CentralBank

    def by(self, *signers: Signer) -> SigningLedger:
        return SigningLedger(self.ledger, self.ledger.ledger_id, signers, self.clock)

    @property
    def supply(self) -> int:
        return self.ledger.supply("CNY")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    bank = CentralBank.derive(SEED, currency=CNY, zone="Asia/Shanghai", operators=2, time_ms=START_NS // 10**6)
    clock = SimulatedClock(START_NS)
    with Ledger.open(tmp_path, clock=clock) as ledger:
        world = World(tmp_path, ledger, clock, bank)
        roles = grants(
            some_ids("roles", 6), officers=OFFICERS, operators=OPERATORS, from_ns=0, until_ns=START_NS + YEAR_NS
        )
        assert codes(ledger.submit(roles)) == {Result.CREATED}
        opening = bank.opening(some_ids("opening", bank.opening_records))
        assert codes(world.by(*OFFICERS).submit(opening)) == {Result.CREATED}
        bank.credit_reserves(world.by(*OFFICERS), one_id("paid in"), bank.operators[0], 5_000)
        yield world
        bank.check(ledger)
        ledger.check()
    verify(tmp_path, authority=True)


def codes(answers: np.ndarray) -> set[Result]:
    return {Result(code) for code in answers["code"].tolist()}


def test_two_officers_and_the_operator_mint(world: World) -> None:
    for _ in range(2):
        world.bank.issue(world.by(ANNA, BERT, OTTO), some_ids("issued", 2), world.bank.operators[0], 3_000)
        assert (world.supply, world.ledger.balance(world.bank.operators[0].reserve)) == (3_000, 2_000)


@pytest.mark.parametrize(
    ("signers", "code"),
    [
        ((ANNA, OTTO), Result.TWO_PERSONS_MUST_SIGN),
        ((OTTO,), Result.NOT_AUTHORISED),
        ((ANNA, BERT), Result.NOT_AUTHORISED),  # the operator must sign for its reserves
        ((ANNA, BERT, OLGA), Result.NOT_AUTHORISED),
        ((ANNA, BERT, OTTO, OLGA), Result.NOT_AUTHORISED),  # OLGA has no authority for any record
        ((ANNA, Signer(2, ANNA.key), OTTO), Result.SIGNATURE_INVALID),
        ((ANNA, BERT, OTTO, person(9)), Result.SIGNER_NOT_FOUND),
    ],
)
def test_a_mint_without_the_required_signatures_is_refused(
    world: World, signers: tuple[Signer, ...], code: Result
) -> None:
    frames = world.ledger.sequencer.durable_sequence
    with pytest.raises(Refused, match="nothing issued: ") as refused:
        world.bank.issue(world.by(*signers), some_ids("issued", 2), world.bank.operators[0], 3_000)
    assert refused.value.result is code
    assert refused.value.hint is not None
    assert (world.supply, world.ledger.balance(world.bank.operators[0].reserve)) == (0, 5_000)
    assert world.ledger.sequencer.durable_sequence == frames
    # No id was bound: the same request succeeds with the required signatures.
    world.bank.issue(world.by(ANNA, BERT, OTTO), some_ids("issued", 2), world.bank.operators[0], 3_000)
    assert world.supply == 3_000


def test_without_any_signature_nothing_is_minted(world: World) -> None:
    with pytest.raises(Refused, match="NOT_AUTHORISED"):
        world.bank.issue(world.ledger, some_ids("issued", 2), world.bank.operators[0], 3_000)
    assert world.supply == 0


def test_a_signature_expires(world: World) -> None:
    late = SigningLedger(world.ledger, world.ledger.ledger_id, (ANNA, BERT, OTTO), SimulatedClock(START_NS))
    world.clock.set(START_NS + SIGNATURE_VALIDITY_NS)
    with pytest.raises(Refused, match="SIGNATURE_EXPIRED"):
        world.bank.issue(late, some_ids("issued", 2), world.bank.operators[0], 3_000)


def test_a_signature_for_another_ledger_is_invalid(world: World) -> None:
    elsewhere = SigningLedger(world.ledger, bytes(16), (ANNA, BERT, OTTO), world.clock)
    with pytest.raises(Refused, match="SIGNATURE_INVALID"):
        world.bank.issue(elsewhere, some_ids("issued", 2), world.bank.operators[0], 3_000)


def test_redeeming_needs_the_operator_and_the_banks_desk(world: World) -> None:
    operator = world.bank.operators[0]
    world.bank.issue(world.by(ANNA, BERT, OTTO), some_ids("issued", 2), operator, 3_000)
    for signers in ((OTTO,), (DESK,), (OLGA, DESK)):
        with pytest.raises(Refused, match=r"nothing redeemed: .*NOT_AUTHORISED"):
            world.bank.redeem(world.by(*signers), some_ids("redeemed", 2), operator, 1_000)
    world.bank.redeem(world.by(OTTO, DESK), some_ids("redeemed", 2), operator, 1_000)
    assert (world.supply, world.ledger.balance(operator.reserve)) == (2_000, 3_000)


@pytest.mark.parametrize("signers", [(ANNA,), (OTTO,)])
def test_only_two_officers_change_limits(world: World, signers: tuple[Signer, ...]) -> None:
    bank = world.bank
    changes: list[Callable[[SigningLedger], None]] = [
        lambda by: bank.cap_minting(by, some_ids("cap", 2), 1_000),
        lambda by: bank.set_quota(by, some_ids("quota", 2), 1, 700),
        lambda by: bank.change_cap(by, one_id("cap later"), 2_000, effective_ns=START_NS + YEAR_NS),
        lambda by: bank.change_quota(by, one_id("quota later"), 1, 900, effective_ns=START_NS + YEAR_NS),
    ]
    for change in changes:
        with pytest.raises(Refused) as refused:
            change(world.by(*signers))
        assert refused.value.result in (Result.TWO_PERSONS_MUST_SIGN, Result.NOT_AUTHORISED)
        change(world.by(*OFFICERS))
    with world.ledger.sequencer.reading() as state:
        assert int(state.tables.rule_sets[MINTING_RULE_SET]["day_max"]) == 1_000
    with pytest.raises(Refused, match="EXCEEDS_DAY_LIMIT"):
        bank.issue(world.by(ANNA, BERT, OTTO), some_ids("too much", 2), bank.operators[0], 1_001)
    with pytest.raises(Refused, match="EXCEEDS_BALANCE_LIMIT"):
        bank.issue(world.by(ANNA, BERT, OTTO), some_ids("too much at once", 2), bank.operators[0], 701)
    bank.issue(world.by(ANNA, BERT, OTTO), some_ids("issued", 2), bank.operators[0], 700)


# --- bulk ---


def wallets(bank: CentralBank, operators: np.ndarray, purpose: str = "wallets") -> np.ndarray:
    """Open one wallet per element, with that operator (from 1)."""
    accounts = some_ids(purpose, operators.size)
    suspense = np.array([party.suspense for party in bank.operators], object)[operators - 1]
    halves = np.zeros(operators.size, ids.ID)
    halves["low"] = [value & 2**64 - 1 for value in suspense]
    halves["high"] = [value >> 64 for value in suspense]
    return operations.open_account(
        some_ids(f"{purpose} opened", operators.size),
        account=accounts,
        currency=CNY,
        kind=AccountKind.WALLET,
        suspense=halves,
        operator=operators,
    )


def test_a_bulk_has_one_signature_per_operator_and_frame(world: World) -> None:
    operators = np.where(np.arange(20_000) % 3, 1, 2)
    operators[-3_000:] = 1  # the last frame has records of the first operator only
    records = wallets(world.bank, operators)
    both = world.by(OTTO, OLGA)
    sealed = both.sign(records, by=operators - 1)
    assert [(each.first, each.count, each.signer) for each in sealed] == [
        (0, FRAME_RECORDS_MAX, OTTO.id),
        (0, FRAME_RECORDS_MAX, OLGA.id),
        (FRAME_RECORDS_MAX, FRAME_RECORDS_MAX, OTTO.id),
        (FRAME_RECORDS_MAX, FRAME_RECORDS_MAX, OLGA.id),
        (2 * FRAME_RECORDS_MAX, 20_000 - 2 * FRAME_RECORDS_MAX, OTTO.id),
        (2 * FRAME_RECORDS_MAX, 20_000 - 2 * FRAME_RECORDS_MAX, OLGA.id),
    ]
    frames = world.ledger.sequencer.durable_sequence
    assert codes(both.submit(records, by=operators - 1)) == {Result.CREATED}
    assert world.ledger.sequencer.durable_sequence == frames + 3
    assert codes(both.submit(records, by=operators - 1)) == {Result.EXISTS}


def test_a_signer_without_a_record_in_a_frame_does_not_sign_it(world: World) -> None:
    operators = np.repeat([1, 2], FRAME_RECORDS_MAX)
    sealed = world.by(OTTO, OLGA).sign(wallets(world.bank, operators), by=operators - 1)
    assert [(each.first, each.signer) for each in sealed] == [(0, OTTO.id), (FRAME_RECORDS_MAX, OLGA.id)]


def test_signing_again_gives_the_same_bytes(world: World) -> None:
    records = wallets(world.bank, np.array([1, 2, 2]))
    assert world.by(OTTO, OLGA).sign(records) == world.by(OTTO, OLGA).sign(records)


def test_one_operator_does_not_sign_for_another(world: World) -> None:
    operators = np.array([1, 2, 2])
    answers = world.by(OTTO).submit(wallets(world.bank, operators))
    assert codes(answers) == {Result.NOT_AUTHORISED}


# --- division into frames ---


def linked(*lengths: int) -> np.ndarray:
    """Return records in chains of these lengths."""
    records = np.zeros(sum(lengths), layout.OPERATION)
    records["flags"] = layout.LINKED
    records["flags"][np.cumsum(lengths) - 1] = 0
    return records


def ranges(records: np.ndarray, signatures: int) -> list[tuple[int, int]]:
    """Return first and end of each frame's records with this number of envelopes."""
    parts = prepare(records).split_into_frames(signatures * ENVELOPE_BYTES)
    ends = np.cumsum([part.size for part in parts], dtype=np.int64).tolist()
    return list(zip([0, *ends], ends, strict=False))


def test_ranges_leave_space_for_the_signatures() -> None:
    records = np.zeros(10_000, layout.OPERATION)
    assert ranges(records, 100) == [(0, FRAME_RECORDS_MAX), (FRAME_RECORDS_MAX, 10_000)]
    first = ranges(records, 1_000)[0][1]
    assert (first, 1_048_000 - 128 < first * 128 + 1_000 * 104 <= 1_048_000) == (7_375, True)
    assert ranges(records[:0], 1) == []


def test_no_range_divides_a_chain() -> None:
    assert ranges(linked(8_000, 64, 2, 1), 2) == [(0, 8_064), (8_064, 8_067)]
    assert ranges(linked(8_000, 65, 1), 2) == [(0, 8_000), (8_000, 8_066)]


def test_a_chain_that_fits_no_frame_is_refused(world: World) -> None:
    with pytest.raises(UsageError, match="from operation 3 on, 8,065 operations and 0 envelopes must be in one frame"):
        world.by(OTTO).sign(linked(3, FRAME_RECORDS_MAX + 1))
    open_ended = linked(3, 2)
    open_ended["flags"][-1] = layout.LINKED
    with pytest.raises(UsageError, match="the last operation has the flag LINKED, but no operation follows"):
        world.by(OTTO).sign(open_ended)


# --- invalid arguments ---


def test_one_person_is_not_two_officers(world: World) -> None:
    with pytest.raises(UsageError, match="a signer is listed twice"):
        world.by(ANNA, Signer(ANNA.id, person(7).key))
    with pytest.raises(UsageError, match="fewer than 2 persons"):
        grants(some_ids("roles", 2), officers=(ANNA, ANNA), operators={}, from_ns=0, until_ns=1)


def test_an_empty_list_of_signers_is_refused(world: World) -> None:
    with pytest.raises(UsageError, match="the list of signers is empty"):
        world.by()


def test_by_must_have_one_element_per_record(world: World) -> None:
    records = wallets(world.bank, np.array([1, 2]))
    with pytest.raises(UsageError, match="by has 3 elements for 2 records"):
        world.by(OTTO, OLGA).submit(records, by=np.zeros(3, np.int64))


def test_records_with_envelopes_are_not_signed_again(world: World) -> None:
    records = wallets(world.bank, np.array([1]))
    sealed = world.by(OTTO).sign(records)
    with pytest.raises(UsageError, match="have envelopes already"):
        world.by(OTTO).submit(records, sealed)
