"""Tables that grow beyond their initial size, and the links between their rows."""

from __future__ import annotations

import numpy as np
import pytest
from tests.ledger.saved_state import loaded
from tests.ledger.side_by_side import Sides
from tests.ledger.test_snapshot_tables import require_same

from sycee.core import ids, limits
from sycee.core.errors import UnavailableError
from sycee.core.records import layout, operations
from sycee.core.records.layout import AccountKind, Kind
from sycee.core.result_codes import Result
from sycee.ledger import capacity, kernels
from sycee.ledger.batch import PreparedBatch
from sycee.ledger.kernels import constants
from sycee.ledger.kernels.tables import ARRAYS
from sycee.ledger.state import LedgerState

ACCOUNTS = 2_100
PAYS = 1_600
MEMBERS = 2_150
ISSUANCE, SUSPENSE, FUNDER, WAY, VAULT = 1, 2, 3, 4, 5


def some_ids(purpose: str, count: int) -> np.ndarray:
    return ids.derive(b"growth", purpose, count, time_ms=1)


def grow() -> Sides:
    """One ledger on kernels and twin, with more rows of every kind than the initial tables have."""
    sides = Sides(resolve_first=False, compare_every=16)  # the tables are large: a comparison takes a fifth of a second
    first = kernels.empty_tables()
    accounts = some_ids("accounts", ACCOUNTS)
    frames = [
        operations.define_currency(some_ids("currency", 1), currency=156, zone="UTC"),
        operations.open_account(some_ids("issuance", 1), account=ISSUANCE, currency=156, kind=AccountKind.ISSUANCE),
        operations.open_account(some_ids("suspense", 1), account=SUSPENSE, currency=156, kind=AccountKind.SUSPENSE),
        operations.open_account(
            some_ids("funder", 1), account=FUNDER, currency=156, kind=AccountKind.FUNDER, suspense=SUSPENSE
        ),
        operations.open_account(
            some_ids("open", ACCOUNTS), account=accounts, currency=156, kind=AccountKind.WALLET, suspense=SUSPENSE
        ),
        operations.transfer(some_ids("mint", 1), debit=ISSUANCE, credit=FUNDER, amount=10**9),
        operations.transfer(some_ids("to each", ACCOUNTS), debit=FUNDER, credit=accounts, amount=100),
    ]
    # Groups: first a few accounts, then more than one word and than 16 words hold; and a group with a high number.
    groups = np.array([1, 2, 300, 4_096])
    frames.append(operations.define_group(some_ids("groups", 4), group=groups))
    for group, count in ((1, 10), (300, 70), (4_096, 1_100), (2, ACCOUNTS)):
        joins = some_ids(f"join {group}", count)
        frames.append(operations.join_group(joins, group=group, account=accounts[:count]))
    frames.append(operations.leave_group(some_ids("leave", 3), group=4_096, account=accounts[[0, 63, 1_090]]))
    # More than 16 rule sets and programmes, in random order.
    for number in (17, 40, 3, 65_535):
        frames.append(
            operations.define_rule_set(
                some_ids(f"rules {number}", 1), rule_set=number, groups=[4_096], from_ns=0, until_ns=1_000,
                return_account=FUNDER,
            )
        )  # fmt: skip
    for number, rule_set in ((40, 17), (17, 65_535), (3, 3)):
        frames += programme(number, rule_set, 100)
    frames += programme(5, 40, MEMBERS)
    frames.append(
        operations.claim(
            some_ids("claims", ACCOUNTS), programme=5, member=np.arange(ACCOUNTS),
            member_id=some_ids("members 5", MEMBERS)[:ACCOUNTS], wallet=accounts,
        )
    )  # fmt: skip
    random = np.random.default_rng(5)
    pairs = random.integers(0, ACCOUNTS, (2, PAYS))
    pairs[1, pairs[0] == pairs[1]] = (pairs[0, pairs[0] == pairs[1]] + 1) % ACCOUNTS
    frames.append(
        operations.pay(
            some_ids("pays", PAYS), payer=accounts[pairs[0]], payee=accounts[pairs[1]],
            amount=random.integers(1, 60, PAYS),
        )
    )  # fmt: skip
    for now_ns, frame in enumerate(frames, 1):
        sides.frame(now_ns, frame)
    grow_holds(sides, accounts)
    grow_ways(sides, accounts)
    grow_batches(sides, accounts)
    grow_chains(sides, accounts)
    sides.frame(1_000, operations.expire(some_ids("expire", 1), programme=5, first=0, count=MEMBERS))
    sides.compare()
    tables = sides.state.tables
    for name in (
        *("accounts", "purses", "movements", "bound", "account_slots", "unordered_slots", "rule_sets", "programmes"),
        *("holds", "hold_legs", "time_outs", "transits", "batches", "staged", "gross", "keys", "undo_accounts"),
        *("refunds", "refund_slots", "recent_slots", "batch_slots"),
        *("undo_account_rows", "undo_purses", "undo_purse_rows", "undo_holds", "undo_hold_rows", "undo_values"),
    ):
        assert getattr(tables, name).size > getattr(first, name).size, f"{name} did not grow"
    assert tables.group_bits.shape > first.group_bits.shape
    assert tables.group_bits.shape[1] > first.group_bits.shape[1]
    return sides


def grow_holds(sides: Sides, accounts: np.ndarray) -> None:
    """Holds of purses and of own money: some, then many; posted singly and in bulk, released, and timed out."""
    random = np.random.default_rng(6)
    for part, count in enumerate((100, 2_000)):
        payers = random.integers(0, ACCOUNTS, count)
        payees = (payers + random.integers(1, 40, count)) % 40  # a few payees get many
        payees[payees == payers] = 41
        sides.frame(
            100,
            operations.hold(
                some_ids(f"holds {part}", count), payer=accounts[payers], payee=accounts[payees],
                amount=random.integers(1, 48, count), until_ns=random.integers(500, 900, count),
            ),
        )  # fmt: skip
        sides.frame(
            101,
            operations.post(
                some_ids(f"posts {part}", count // 3), hold=some_ids(f"holds {part}", count)[: count // 3],
                by=accounts[payees[: count // 3]], amount=random.integers(1, 30, count // 3), release_rest=part == 1,
            ),
        )  # fmt: skip
        sides.frame(
            102,
            operations.extend(
                some_ids(f"extensions {part}", count // 2), hold=some_ids(f"holds {part}", count)[count // 2 :],
                by=accounts[payers[count // 2 :]], until_ns=950,
            ),
        )  # fmt: skip
    state = sides.state
    made = state.bound[["id_low", "id_high"]][state.holds["bound"]]
    first, last = (int(row["id_high"]) << 64 | int(row["id_low"]) for row in (made[0], made[-1]))
    before = state.movements.size
    sides.frame(103, operations.post_holds(some_ids("bulk posts", 15), first=first, last=last, by=accounts[:15]))
    assert state.movements.size > before + 200
    sides.frame(104, operations.void_holds(some_ids("bulk voids", 10), first=first, last=last, by=accounts[10:20]))
    assert {1, 2} == set(state.holds["state"].tolist()) - {0}
    sides.frame(600, operations.set_key(some_ids("key", 1), account=accounts[0], key=bytes([7] * 32), flags=1))
    assert np.count_nonzero(state.holds["state"] == layout.HoldState.TIMED_OUT) > 50


def grow_ways(sides: Sides, accounts: np.ndarray) -> None:
    """Sends, confirms and rejects; then full wallets, whose excess is sent to the bank."""
    sides.frame(
        601,
        np.concatenate(
            [
                operations.open_account(
                    some_ids("way", 1), account=WAY, currency=156, kind=AccountKind.IN_TRANSIT, suspense=SUSPENSE
                ),
                operations.open_account(
                    some_ids("vault", 1), account=VAULT, currency=156, kind=AccountKind.VAULT, suspense=SUSPENSE
                ),
                operations.link_account(some_ids("way to vault", 1), account=WAY, to=VAULT),
            ]
        ),
    )
    for part, count in enumerate((60, 300)):
        sent = some_ids(f"sent {part}", count)
        sides.frame(
            602, operations.send(sent, source=accounts[:count], destination=VAULT, through=WAY, amount=3 + part)
        )
        sides.frame(603, operations.confirm(some_ids(f"confirm {part}", count // 3), sent=sent[: count // 3]))
        sides.frame(604, operations.reject(some_ids(f"reject {part}", count // 3), sent=sent[-(count // 3) :]))
    sides.frame(
        605,
        operations.define_rule_set(
            some_ids("rules 50", 1), rule_set=50, from_ns=0, until_ns=10**6, balance_max=120, day_max=10**9
        ),
    )
    sides.frame(606, operations.set_rule_set(some_ids("under 50", ACCOUNTS), account=accounts, rule_set=50))
    sides.frame(607, operations.link_account(some_ids("to the way", ACCOUNTS), account=accounts, to=WAY))
    before = sides.state.transits.size
    full = operations.transfer(some_ids("full", ACCOUNTS), debit=FUNDER, credit=accounts, amount=100)
    sides.frame(608, full, ((156, 5, 4, 3),))
    assert sides.state.transits.size > before + ACCOUNTS // 2


def grow_batches(sides: Sides, accounts: np.ndarray) -> None:
    """A batch of many payments, settled on the net effect; many batches in one frame; and keys."""
    random = np.random.default_rng(7)
    # Accounts that would exceed a limit lose their rule set: this test is about many payments.
    sides.frame(609, operations.set_rule_set(some_ids("free", ACCOUNTS), account=accounts, rule_set=0))
    for batch, count in ((1, 50), (2, 1_600), (3, 5)):
        payers = random.integers(0, ACCOUNTS, count)
        payees = (payers + 1 + random.integers(0, ACCOUNTS - 1, count)) % ACCOUNTS
        amount = random.integers(1, 20, count)
        staged = operations.stage(
            some_ids(f"stage {batch}", count), batch=batch, debit=accounts[payers], credit=accounts[payees],
            amount=amount,
        )  # fmt: skip
        sides.frame(609, staged)
        settled = operations.settle(
            some_ids(f"settle {batch}", 1), batch=batch, payments=count, total=int(amount.sum())
        )
        assert sides.frame(611, settled)[0][0] in (Result.CREATED, Result.EXCEEDS_BALANCE)
    assert np.count_nonzero(sides.state.movements["purpose"] == layout.Purpose.SETTLEMENT) >= 1_600
    for part, count in enumerate((30, 300)):
        sides.frame(
            612,
            operations.set_key(
                some_ids(f"keys {part}", count), account=accounts[:count], key=bytes([part + 1] * 32), flags=1
            ),
        )


def grow_chains(sides: Sides, accounts: np.ndarray) -> None:
    """Long chains that are undone, and the same chains applied."""
    for part, count in enumerate((5, 150)):
        pays = some_ids(f"pays of chain {part}", count)
        good = [
            operations.pay(pays, payer=accounts[:count], payee=accounts[1_000 : 1_000 + count], amount=20),
            operations.refund(some_ids(f"refunds of chain {part}", count), original=pays, amount=10),
            operations.hold(
                some_ids(f"holds of chain {part}", count), payer=accounts[500 : 500 + count], payee=FUNDER, amount=9,
                until_ns=990,
            ),
            operations.post(
                some_ids(f"posts of chain {part}", count), hold=some_ids(f"holds of chain {part}", count), by=FUNDER,
                amount=4,
            ),
            operations.send(
                some_ids(f"sends of chain {part}", count), source=FUNDER, destination=VAULT, through=WAY, amount=1
            ),
        ]  # fmt: skip
        bad = operations.transfer(some_ids(f"bad {part}", 1), debit=WAY, credit=VAULT, amount=1)
        retried = operations.chain(*good)
        retried["id_low"] ^= np.uint64(1 << 40)  # other ids, hence other originals and holds
        chosen = np.isin(retried["kind"], (layout.Kind.REFUND, layout.Kind.POST))
        retried["reference_low"][chosen] ^= np.uint64(1 << 40)
        before = sides.state.movements.size
        codes = {code for code, _ in sides.frame(613, operations.chain(*good, bad))}
        assert codes == {Result.LINKED_FAILED, Result.ACCOUNT_IS_IN_TRANSIT}
        assert sides.state.movements.size == before
        assert {code for code, _ in sides.frame(614, retried)} == {Result.CREATED}
        assert sides.state.movements.size >= before + 4 * count


def programme(number: int, rule_set: int, members: int, funder: int = FUNDER) -> list[np.ndarray]:
    cohort = some_ids(f"members {number}", members)
    seal = some_ids(f"seal {number}", 1)
    return [
        operations.open_programme(
            some_ids(f"programme {number}", 1), programme=number, funder=funder, rule_set=rule_set, members=members,
            claim_from_ns=0, claim_until_ns=900,
        ),
        operations.add_members(
            some_ids(f"add {number}", operations.add_members_records(members)), programme=number, members=cohort
        ),
        operations.seal_cohort(seal, programme=number, digest=operations.cohort_digest(cohort)),
        operations.drop(some_ids(f"drop {number}", 1), programme=number, first=0, count=members, amount=50, seal=seal),
    ]  # fmt: skip


def test_all_tables_grow_and_kernels_agree_with_the_twin() -> None:
    """One test, because the ledger grows for seconds: also links between movements, and a copy that continues."""
    sides = grow()
    bound = sides.state.bound
    assert np.count_nonzero(bound["result"] == Result.CREATED) > 10_000
    assert np.count_nonzero(bound["result"] == Result.EXCEEDS_BALANCE) > 20
    paid = sides.state.movements["purpose"] == layout.Purpose.PAY_PURSE
    assert np.count_nonzero(paid) > 1_000
    require_links_cover_exactly_the_movements_of_an_account(sides.state)
    require_a_loaded_state_continues_to_grow(sides.state)


def require_links_cover_exactly_the_movements_of_an_account(state: LedgerState) -> None:
    movements = state.movements
    for row in range(state.accounts.size):
        named = (movements["debit_row"] == row) | (movements["credit_row"] == row)
        numbers = (np.flatnonzero(named) + 1)[::-1].tolist()
        assert state.movement_numbers(row) == numbers
        assert state.movement_numbers(row, newest=3) == numbers[:3]
    for number in range(0, int(state.tables.counters[constants.PURSES]), 7):
        row = number | layout.PURSE_BIT
        at, chain = int(state.tables.purses[number]["last_movement"]), []
        while at:
            chain.append(at)
            movement = movements[at - 1]
            at = int(movement["debit_previous" if movement["debit_row"] == row else "credit_previous"])
        named = (movements["debit_row"] == row) | (movements["credit_row"] == row)
        assert chain == (np.flatnonzero(named) + 1)[::-1].tolist()


def require_a_loaded_state_continues_to_grow(state: LedgerState) -> None:
    again = loaded(state)
    require_same(state, again)
    count = 5_000
    ids = np.arange(1, count + 1)
    records = operations.transfer(
        np.array([(number, 1 << 40) for number in ids.tolist()], [("low", "<u8"), ("high", "<u8")]),
        debit=3,
        credit=2,
        amount=1,
    )
    again.reserve(records)
    codes = again.apply(state.sequence + 1, 2_000, records)["code"]
    assert set(codes.tolist()) == {Result.CREATED}
    again.check()
    assert state.sequence + 1 == again.sequence


def test_one_frame_may_exceed_every_table() -> None:
    """A frame is applied in one pass: tables that grow during it make no operation happen twice."""
    frames = [
        operations.define_currency(some_ids("currency", 1), currency=156, zone="UTC"),
        operations.open_account(some_ids("issuance", 1), account=ISSUANCE, currency=156, kind=AccountKind.ISSUANCE),
        operations.open_account(some_ids("suspense", 1), account=SUSPENSE, currency=156, kind=AccountKind.SUSPENSE),
        operations.open_account(
            some_ids("funder", 1), account=FUNDER, currency=156, kind=AccountKind.FUNDER, suspense=SUSPENSE
        ),
        operations.transfer(some_ids("mint", 1), debit=ISSUANCE, credit=FUNDER, amount=10**9),
        operations.define_rule_set(
            some_ids("rules", 1), rule_set=600, from_ns=0, until_ns=9, return_account=FUNDER
        ),
        *programme(700, 600, 5_000),
        operations.define_group(some_ids("group", 1), group=4_000),
        operations.open_account(
            some_ids("open", 1_100), account=some_ids("accounts", 1_100), currency=156, kind=AccountKind.WALLET,
            suspense=SUSPENSE,
        ),
        operations.join_group(some_ids("joins", 1_100), group=4_000, account=some_ids("accounts", 1_100)),
        operations.open_account(
            some_ids("way", 1), account=WAY, currency=156, kind=AccountKind.IN_TRANSIT, suspense=SUSPENSE
        ),
        operations.open_account(
            some_ids("vault", 1), account=VAULT, currency=156, kind=AccountKind.VAULT, suspense=SUSPENSE
        ),
        operations.hold(
            some_ids("holds", 300), payer=FUNDER, payee=some_ids("accounts", 300), amount=2, until_ns=900
        ),
        operations.post_holds(
            some_ids("bulk", 1), first=number_of(some_ids("holds", 300)[0]), last=number_of(some_ids("holds", 300)[-1]),
            by=FUNDER,
        ),
        operations.send(some_ids("sends", 300), source=FUNDER, destination=VAULT, through=WAY, amount=1),
        operations.confirm(some_ids("confirms", 300), sent=some_ids("sends", 300)),
        operations.stage(
            some_ids("stages", 300), batch=1, debit=FUNDER, credit=some_ids("accounts", 300), amount=3
        ),
        operations.settle(some_ids("settle", 1), batch=1, payments=300, total=900),
        operations.set_key(some_ids("keys", 100), account=some_ids("accounts", 100), key=bytes([7] * 32), flags=1),
        operations.chain(
            operations.transfer(some_ids("back", 200), debit=some_ids("accounts", 200), credit=FUNDER, amount=1),
            operations.transfer(some_ids("and back", 1), debit=FUNDER, credit=VAULT, amount=1),
        ),
    ]  # fmt: skip
    frame = np.concatenate(frames)
    assert frame.size <= limits.FRAME_RECORDS_MAX
    sides = Sides()
    assert {code for code, _ in sides.frame(1, frame)} == {Result.CREATED}
    assert sides.state.movements.size == 5_001 + 4 * 300 + 201
    in_parts = LedgerState()
    alone = frame.size - 201  # without the chain, which must be in one frame
    few_each = [frame[at : min(at + 10, alone)] for at in range(0, alone, 10)]
    for sequence, part in enumerate([*few_each, frame[alone:]], 1):
        in_parts.reserve(part)
        in_parts.apply(sequence, 1, part)
    assert in_parts.digest() == sides.state.digest()


def number_of(id: np.void) -> int:
    return int(id["high"]) << 64 | int(id["low"])


class Requests:
    """Records the memory that a state requests for movements: (expected, later) of each frame."""

    def __init__(self, state: LedgerState, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[tuple[int, int]] = []
        monkeypatch.setattr(state._growing["movements"], "use", self._use, raising=False)

    def _use(self, rows: int, expected: int = 0, later: int = 0) -> None:
        self.made.append((expected, later))

    def of(self, state: LedgerState, frame: np.ndarray) -> tuple[int, int]:
        """Return what is requested for a frame."""
        state.reserve(frame)
        return self.made[-1]


def test_purses_are_first_written_when_members_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory for ten million purses would otherwise be allocated in the frame that opens their programme."""
    sides, members, requested = Sides(), 40, []
    monkeypatch.setattr(sides.state._growing["purses"], "use", lambda rows, **_: requested.append(rows))
    for now_ns, frame in enumerate(definitions(), 1):
        sides.frame(now_ns, frame)
    first, second = (programme(number, 1, members, funder=ISSUANCE) for number in (7, 2))
    for now_ns, frame in enumerate((first[0], second[0]), 4):
        sides.frame(now_ns, frame)
    assert sides.state.all_purses.size == 2 * members
    assert not sides.state.all_purses.view(np.uint8).any()
    assert requested == []
    sides.frame(6, second[1][:3])
    sides.frame(7, second[1][3:])
    sides.frame(8, first[1][:1])
    assert requested == [40, 55, 0]
    assert sides.state.all_purses["programme"].tolist() == [7] * 5 + [0] * 35 + [2] * members
    assert sides.state.programmes_of_purses(0, 80).tolist() == [7] * 40 + [2] * 40
    assert sides.state.programmes_of_purses(39, 41).tolist() == [7, 2]
    sides.compare()
    assert loaded(sides.state).digest() == sides.state.digest()


def test_memory_for_a_drop_is_requested_when_members_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    state = LedgerState()
    opened, added, sealed, _ = programme(1, 1, 12, funder=ISSUANCE)
    seal = some_ids("seal 1", 1)
    drops = [
        operations.drop(some_ids(f"part {at}", 1), programme=1, first=first, count=count, amount=amount, seal=seal)
        for at, (first, count, amount) in enumerate(((7, 5, 2**62), (0, 3, 50), (0, 5, 50), (7, 5, 50), (5, 2, 50)))
    ]
    requests = Requests(state, monkeypatch)
    expired = operations.expire(some_ids("expiry", 1), programme=1, first=0, count=12)
    later = []
    frames = [*definitions(), opened, *added.reshape(-1, 1), sealed, *drops, expired]
    for sequence, frame in enumerate(frames, 1):
        later.append(requests.of(state, frame)[1])
        state.apply(sequence, 900 if frame is expired else sequence, frame)
    # The first drop is refused; the third one finds three of its purses filled.
    assert later == [*[0] * 5, 5, 10, 12, 12, 12, 9, 7, 2, 0]
    assert all(not expected for expected, _ in requests.made[:-1])
    assert requests.made[-1] == (12, 0)


def test_memory_for_a_drop_is_no_longer_kept_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    state = LedgerState()
    frames = [*definitions(), *programme(1, 1, 10, funder=ISSUANCE)[:-1]]
    for sequence, frame in enumerate(frames, 1):
        state.reserve(frame)
        state.apply(sequence, sequence, frame)
    states = [state, loaded(state)]
    payment = operations.transfer(some_ids("payment", 1), debit=ISSUANCE, credit=ISSUANCE, amount=1)
    for each in states:
        requests = Requests(each, monkeypatch)
        assert requests.of(each, payment) == (0, 10)
        each.pass_time(899, sequence=each.sequence + 1)
        assert requests.of(each, payment) == (0, 10)
        each.pass_time(900, sequence=each.sequence + 1)
        assert requests.of(each, payment) == (0, 0)
        assert Requests(loaded(each), monkeypatch).made == []
        assert loaded(each).tables.undropped.sum() == 0


def test_memory_is_prepared_for_all_parts_of_an_expiry(monkeypatch: pytest.MonkeyPatch) -> None:
    state, frames = LedgerState(), [*definitions(), *programme(1, 1, 10, funder=ISSUANCE)]
    for now_ns, frame in enumerate(frames, 1):
        state.reserve(frame)
        state.apply(now_ns, now_ns, frame)
    requests = Requests(state, monkeypatch)
    for first, count in ((0, 2), (2, 5), (7, 3)):
        requests.of(state, operations.expire(some_ids(f"part {first}", 1), programme=1, first=first, count=count))
    monkeypatch.setattr(capacity, "EXPIRY_AHEAD_BYTES", 4 * layout.MOVEMENT.itemsize)
    requests.of(state, operations.expire(some_ids("all", 1), programme=1, first=0, count=6))
    requests.of(state, operations.expire(some_ids("one", 1), programme=1, first=0, count=1))
    assert requests.made == [(10, 0), (8, 0), (3, 0), (6, 0), (4, 0)]


def test_a_programme_needs_memory_for_its_purses_and_for_its_drop() -> None:
    """Check what was promised to programmes without their members, too: drops follow without a check of the memory."""
    members, each = 2_000_000, layout.PURSE.itemsize + layout.MOVEMENT.itemsize
    state = LedgerState()
    for sequence, frame in enumerate(definitions(), 1):
        state.reserve(frame)
        state.apply(sequence, sequence, frame)
    opened = programme(1, 1, 1, funder=ISSUANCE)[0]
    opened["count"] = members
    rest = 10_000
    with pytest.raises(UnavailableError, match="cannot hold the rows"):
        state.reserve(opened, available_bytes=lambda: members * each - 1)
    state.reserve(opened, available_bytes=lambda: members * each + rest)
    assert state.apply(9, 9, opened)["code"].tolist() == [Result.CREATED]
    second = opened.copy()
    second["number"], second["id_low"] = 2, 77
    promised = members * each
    with pytest.raises(UnavailableError, match="cannot hold the rows"):
        state.reserve(second, available_bytes=lambda: members * each + promised - 1)
    state.reserve(second, available_bytes=lambda: members * each + promised + rest)


def definitions() -> list[np.ndarray]:
    """A currency, its issuance account and a rule set."""
    return [
        operations.define_currency(some_ids("currency", 1), currency=156, zone="UTC"),
        operations.open_account(some_ids("issuance", 1), account=ISSUANCE, currency=156, kind=AccountKind.ISSUANCE),
        operations.define_rule_set(some_ids("rules", 1), rule_set=1, from_ns=0, until_ns=900, return_account=ISSUANCE),
    ]


def test_leg_numbers_stop_at_65_535() -> None:
    members = 70_000
    state = LedgerState()
    frames = [*definitions(), *programme(1, 1, members, funder=ISSUANCE)]
    for now_ns, frame in enumerate(frames, 1):
        state.reserve(frame)
        assert set(state.apply(now_ns, now_ns, frame)["code"].tolist()) == {Result.CREATED}
    assert state.movements["leg"].tolist() == [min(leg, 65_535) for leg in range(members)]
    assert state.supply(156) == 50 * members
    state.check()


@pytest.mark.parametrize("count", [1, 30, 500, 2_000])
@pytest.mark.parametrize(
    ("kind", "links", "movements_each"),
    [(Kind.TRANSFER, 0, 1), (Kind.TRANSFER, 1, 2), (Kind.PAY, 0, 17), (Kind.PAY, 1, 18), (Kind.ADD_MEMBERS, 1, 0)],
)
def test_a_positive_short_check_means_that_nothing_grows(
    kind: Kind, links: int, movements_each: int, count: int
) -> None:
    """The short check of `reserve` for most frames agrees with the full one, used for a frame of several kinds."""
    state, glances = LedgerState(), set()
    state.tables.counters[constants.LINKS] = links
    for _ in range(20):
        some = ids.generate(count, time_ms=1_800_000_000_000)
        if kind is Kind.TRANSFER:
            frame = operations.transfer(some, debit=1, credit=2, amount=1)
        elif kind is Kind.ADD_MEMBERS:
            members = ids.derive(b"growth", "members", count * limits.MEMBERS_PER_RECORD_MAX, time_ms=1)
            frame = operations.add_members(some, programme=1, members=members)
        else:
            frame = operations.pay(some, payer=1, payee=2, amount=1)
        before = shapes(state)
        has_room = state._fits(count, movements_each * count, count if links and movements_each else 0)
        glances.add(has_room)
        several = PreparedBatch(frame, kinds=1 << kind | 1)  # bit 0 is an unknown kind, which adds nothing
        for batch in (PreparedBatch(frame, kinds=1 << kind), several, frame):
            assert state.reserve(batch) == movements_each * count
            assert (shapes(state) == before) == has_room
        sequence = state.sequence + 1
        state.apply(sequence, 1_800_000_000_000 * 1_000_000 + sequence, frame)
    grows = count > 1 or (links and movements_each)  # the table of transits is empty at first
    assert glances == ({True, False} if grows else {True})


def shapes(state: LedgerState) -> list[tuple[int, ...]]:
    return [getattr(state.tables, name).shape for name in ARRAYS]


@pytest.mark.parametrize("members", [limits.COHORT_MEMBERS_MAX + 1, 2**32 - 1])
def test_a_programme_that_is_refused_needs_no_memory(members: int) -> None:
    """Check that its count, and drops on it, neither end a frame of other operations nor extend a table."""
    state = LedgerState()
    opened = operations.open_programme(
        some_ids("too large", 1), programme=1, funder=FUNDER, rule_set=1, members=1, claim_from_ns=0, claim_until_ns=1
    )
    opened["count"] = members
    drop = operations.drop(some_ids("drop", 1), programme=1, first=0, count=1, amount=1, seal=9)
    drop["count"] = members
    records = np.concatenate([opened, drop])
    state.reserve(records, available_bytes=lambda: 0)
    assert state.tables.purses.size < MEMBERS
    assert state.apply(1, 1, records)["code"][0] == Result.COUNT_OUT_OF_RANGE


def test_tables_accept_only_arrays_that_kernels_can_read() -> None:
    tables = kernels.empty_tables()
    longer = tables.replaced(frame_times=np.zeros(9, np.int64))
    assert longer.frame_times.size == 9
    assert tables.frame_times.size != 9, "the old tables stay as they are"
    for wrong in (np.zeros(9, np.int32), np.zeros((9, 1), np.int64), np.zeros(18, np.int64)[::2]):
        with pytest.raises(TypeError, match="frame_times must be a contiguous array of int64 with 1 dimensions"):
            tables.replaced(frame_times=wrong)
