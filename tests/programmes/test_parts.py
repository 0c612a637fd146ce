"""A cohort is added, and dropped on, in parts: payments go between them, and a refused part is made up for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.programmes import world
from tests.programmes.test_modes import EQUAL, entries, held
from tests.programmes.world import NORTH, funder, moment, person

from sycee.bank.bank import Bank
from sycee.core import merkle
from sycee.core.arrays import Array
from sycee.core.errors import BusyError, Refused, UsageError
from sycee.core.records import parts
from sycee.core.records.layout import Kind, PurseState
from sycee.database.events import events_after
from sycee.database.transactions import reading
from sycee.programmes import states
from sycee.programmes.allotment import Share, drops_of
from sycee.programmes.dropping import require_no_drop_of
from sycee.sequencer import frozen
from sycee.sequencer.sequencer import Sequencer
from sycee.storage.snapshot_copy import SnapshotCopy

NAME = "autumn-2026"
AMOUNTS = [50_00, 50_00, 20_00, 20_00, 20_00]
Submit = Callable[..., Array]


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bank]:
    """A bank with a sealed cohort of five, which is dropped on in five parts."""
    monkeypatch.setattr(parts, "PURSES_MAX", 1)
    with world.opened(tmp_path, world.at("allotted").copy(tmp_path)) as made:
        yield made


def drop(bank: Bank) -> str:
    return bank.programmes.drop(NAME, signers=bank.signers(NORTH), who=person(bank, NORTH)).state


def cancel(bank: Bank) -> None:
    bank.programmes.cancel(NAME, who=person(bank, NORTH))


def packets(bank: Bank, column: str = "dropped") -> list[int]:
    with bank.stores.ledger.sequencer.reading() as state:
        found: list[int] = state.purses(bank.programmes.occurrence(NAME).number or 0)[column].tolist()
        return found


def kinds(bank: Bank) -> list[str]:
    found = events_after(bank.stores.engine, 0, most=10_000)
    return [each.kind.value for each in found if each.subject == NAME and each.kind.value.startswith("programme.")]


def after_part(monkeypatch: pytest.MonkeyPatch, number: int, then: Callable[[], None]) -> None:
    """Call `then` once, before the part of this number is submitted."""
    submit, seen = Sequencer.submit, 0

    def counted(sequencer: Sequencer, records: Array, *others: object) -> Array:
        nonlocal seen
        if (records["kind"] == Kind.DROP).all():
            seen += 1
            if seen == number:
                monkeypatch.setattr(Sequencer, "submit", submit)
                then()
        return submit(sequencer, records, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(Sequencer, "submit", counted)


def test_each_part_is_in_a_frame_of_its_own(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    between: list[object] = []

    def pay() -> None:
        signers, north = bank.signers(NORTH), person(bank, NORTH)
        assert bank.funders.pay_in(funder(bank), 1, signers=signers, who=north).created
        with reading(bank.stores.engine) as connection, pytest.raises(BusyError, match="dropped from the same funder"):
            require_no_drop_of(connection, funder(bank))
        with pytest.raises(BusyError, match="is being dropped"):
            cancel(bank)
        bank.programmes.halt(NAME, "a doubt", who=north)
        between.append(packets(bank))

    after_part(monkeypatch, 3, pay)
    before = bank.stores.ledger.sequencer.durable_sequence
    assert drop(bank) == states.DROPPED, "a halt does not stop what has begun"
    assert between == [[50_00, 50_00, 0, 0, 0]]
    assert bank.stores.ledger.sequencer.durable_sequence == before + len(AMOUNTS) + 1
    assert packets(bank) == AMOUNTS
    assert drop(bank) == states.DROPPED
    assert bank.stores.ledger.balance(funder(bank)) == 840_01
    assert kinds(bank)[-2:] == ["programme.halted", "programme.dropped"]
    assert bank.check() == []
    before = bank.stores.ledger.sequencer.durable_sequence
    bank.set_clock(moment(15))
    bank.programmes.expire(NAME)
    assert bank.stores.ledger.sequencer.durable_sequence >= before + len(AMOUNTS), "the rest returns in parts, too"
    assert bank.stores.ledger.balance(funder(bank)) == 1_000_01
    assert bank.check() == []


def short_drop(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pay the funder's money out while its drop goes on, so that three packets stay empty."""
    signers, north = bank.signers(NORTH), person(bank, NORTH)
    after_part(
        monkeypatch,
        3,
        lambda: bank.funders.pay_out(funder(bank), 890_00, signers=signers, who=north).require_created(""),
    )
    with pytest.raises(Refused, match="the drop was refused: EXCEEDS_BALANCE"):
        drop(bank)
    assert packets(bank) == [50_00, 50_00, 0, 0, 0]
    assert bank.programmes.occurrence(NAME).is_dropped_in_part
    assert bank.check() == []


def test_a_drop_that_was_refused_in_part_is_completed(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    signers, north = bank.signers(NORTH), person(bank, NORTH)
    short_drop(bank, monkeypatch)
    with pytest.raises(UsageError, match=r"some packets of .* are filled"):
        cancel(bank)
    with pytest.raises(UsageError, match=r"the funder has 10\.00, and the packets come to 60\.00"):
        drop(bank)
    tried = bank.programmes.dry_run(NAME)
    assert [(each.name, each.records) for each in tried.steps] == [("drop", 3), ("expiry", 5)]
    assert tried.problems == ("the funder has 10.00 CNY, 50.00 CNY less than the packets",)
    assert bank.funders.pay_in(funder(bank), 50_00, signers=signers, who=north).created
    assert drop(bank) == states.DROPPED
    assert packets(bank) == AMOUNTS
    assert bank.stores.ledger.balance(funder(bank)) == 0
    assert kinds(bank).count("programme.dropped") == 1
    assert bank.check() == []


def test_a_drop_that_was_refused_in_part_expires(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    short_drop(bank, monkeypatch)
    bank.set_clock(moment(15))
    bank.run_due()
    expired = bank.programmes.occurrence(NAME)
    assert (expired.state, expired.minor) == (states.EXPIRED, 100_00)
    assert packets(bank, "state") == [PurseState.EXPIRED] * 5
    assert bank.stores.ledger.balance(funder(bank)) == 110_00
    assert bank.check() == []
    assert bank.programmes.close(NAME, who=person(bank, NORTH)).state == states.CLOSED


def test_payments_go_on_during_a_dry_run_as_of_one_frame(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "PIECE_BYTES", 1)  # a piece for each row
    signers, north = bank.signers(NORTH), person(bank, NORTH)
    before, frame = bank.programmes.dry_run(NAME), bank.stores.ledger.sequencer.durable_sequence
    paid: list[bool] = []
    copy_rows = SnapshotCopy.copy_rows

    def pay_meanwhile(copying: SnapshotCopy, *piece: Any) -> None:
        if len(paid) < 4:
            paid.append(bank.funders.pay_in(funder(bank), 1, signers=signers, who=north).created)
        copy_rows(copying, *piece)

    monkeypatch.setattr(SnapshotCopy, "copy_rows", pay_meanwhile)
    found = bank.programmes.dry_run(NAME)
    assert paid == [True] * 4
    assert bank.stores.ledger.sequencer.durable_sequence == frame + 4
    assert (found.frame, found.funder_minor, found.steps) == (frame, before.funder_minor, before.steps)
    assert bank.programmes.dry_run(NAME).funder_minor == before.funder_minor + 4
    assert bank.check() == []


def test_members_are_added_in_parts_and_the_root_is_computed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MEMBER_RECORDS_MAX", 1)
    merkle._known.clear()
    roots, sizes = [], []
    root, submit = merkle.root, Sequencer.submit

    def counted(sequencer: Sequencer, records: Array, *others: object) -> Array:
        sizes.extend([records.size] if (records["kind"] == Kind.ADD_MEMBERS).all() else [])
        return submit(sequencer, records, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(merkle, "root", lambda items, **named: roots.append(len(items)) or root(items, **named))
    monkeypatch.setattr(Sequencer, "submit", counted)
    with held(tmp_path, EQUAL, lambda: entries(7)) as bank:
        assert bank.check() == []
    assert sizes == [1, 1]
    assert roots == [7, 7], "once to freeze the list, and once to verify it before the terms"


@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["", "a"])), min_size=1, max_size=6), st.integers(1, 9))
def test_drops_fill_each_share_exactly(given_shares: list[tuple[int, str]], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "PURSES_MAX", most)
        shares, first = [], 0
        for count, zone in given_shares:
            shares.append(Share(f"class-{first}", first, count, 1_00, zone))
            first += count
        drops = drops_of(shares)
        sizes = parts.sizes([Kind.DROP] * len(drops), [each.count for each in drops])
    assert [place for each in drops for place in range(each.first, each.first + each.count)] == list(range(first))
    assert all(each.count <= most for each in drops)
    for share in shares:
        own = [each for each in drops if each.name == share.name]
        assert (sum(each.count for each in own), {each.zone for each in own}) == (share.count, {share.zone})
    starts = [sum(sizes[:at]) for at in range(len(sizes) + 1)]
    assert starts[-1] == len(drops)
    weights = [sum(each.count for each in drops[at:end]) for at, end in itertools.pairwise(starts)]
    assert all(weight <= most for weight in weights)
    assert all(weight + drops[end].count > most for weight, end in zip(weights, starts[1:-1], strict=False))


@pytest.mark.parametrize(
    ("kinds", "counts", "expected"),
    [
        ([Kind.ADD_MEMBERS] * 1_025, [5] * 1_025, (512, 512, 1)),
        ([Kind.DROP] * 3, [10_000, 15_000, 1], (2, 1)),
        ([Kind.DROP] * 2, [100_000_001, 100_000_001], (1, 1)),
        ([Kind.DROP] * 5, [26_000] * 5, (1,) * 5),
        ([Kind.DROP] * 8_000, [30_000] * 8_000, (2,) * 4_000),
        ([Kind.SEAL_COHORT], [0], (1,)),
        ([Kind.CLAIM] * 3, [0] * 3, (3,)),
        ([Kind.DROP, Kind.CLAIM], [12_000, 12_000], (2,)),
    ],
)
def test_the_parts_of_records(kinds: list[int], counts: list[int], expected: tuple[int, ...]) -> None:
    assert parts.sizes(kinds, counts) == expected
