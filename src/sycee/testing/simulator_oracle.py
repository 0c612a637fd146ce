"""Oracle: the expected behaviour of the simulated ledger, from the naive twin of the journaled frames.

The oracle also computes the results of a submission and the operations to be journaled, in order, from the twin, the
naive check of signatures and docs/reference/authority.md, never from the sequencer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from sycee.core import limits
from sycee.core.errors import UsageError
from sycee.core.records.envelopes import Envelope, as_array
from sycee.core.records.layout import OPERATION, HoldState, Kind
from sycee.core.result_codes import Result
from sycee.core.time_zones import zone_info
from sycee.journal.frame import FrameKind
from sycee.ledger.state import LedgerState
from sycee.sequencer.frame_time import FIRST_TIME_NS_MAX
from sycee.sequencer.rules_version import RULES_VERSION
from sycee.sequencer.sequencer import Sequencer
from sycee.testing.naive import Answer, NaiveLedger
from sycee.testing.naive_record import Operation
from sycee.testing.simulator_authority import Judge, chains_of
from sycee.testing.simulator_disk import Written

SECOND_NS: Final = 10**9
NO_PLACE: Final = 0


class Difference(Exception):
    """Unexpected behaviour of the ledger. `what` names the broken promise in a few words."""

    def __init__(self, what: str, detail: str = "") -> None:
        super().__init__(f"{what}: {detail}" if detail else what)
        self.what = what
        self.detail = detail


def expect(condition: object, what: str, detail: object = "") -> None:
    """Raise Difference unless the condition is true."""
    if not condition:
        raise Difference(what, str(detail))


class Expected(NamedTuple):
    """Expected result of a submission."""

    answers: list[Answer | None]  # None if the frame's own result counts
    journaled: list[int]  # indexes of the operations to journal, in order
    envelopes: bytes  # envelopes as the frame must contain them
    needs_frame: bool  # whether any operation is new, so that time and memory matter even if all are refused


class Oracle:
    """The twin, its frames, and the expectations derived from them."""

    def __init__(self, ledger_id: bytes) -> None:
        self.twin = NaiveLedger()
        self.frames: list[Written] = []
        self.places: dict[int, int] = {}  # place of each bound id
        self._ledger_id = ledger_id
        self._digest = b""

    @property
    def last_time_ns(self) -> int:
        return self.frames[-1].time_ns if self.frames else 0

    def time_of_next(self, clock_ns: int) -> int:
        """Return the time that the next frame must carry, in nanoseconds."""
        return max(clock_ns, self.last_time_ns + 1)

    def is_wild(self, clock_ns: int) -> bool:
        """Return whether the clock is too far ahead for any frame."""
        last_ns = self.last_time_ns
        if not last_ns:
            return clock_ns > FIRST_TIME_NS_MAX
        return clock_ns > limits.FRAME_TIME_NS_MAX or clock_ns > last_ns + limits.CLOCK_AHEAD_NS_MAX

    def next_due_ns(self) -> int | None:
        due = [each.scheduled.effective_ns for each in self.twin.rule_sets.values() if each.scheduled is not None]
        due += [hold.end_ns for hold in self.twin.holds.values() if hold.state is HoldState.OPEN]
        return min(due, default=None)

    # ── Frames ───────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, frame: Written) -> list[Answer]:
        """Apply a journaled frame and compare its results."""
        expect(frame.sequence == len(self.frames) + 1, "a frame is out of order", f"{frame.sequence}")
        expect(frame.time_ns > self.last_time_ns, "time went back", f"frame {frame.sequence} at {frame.time_ns}")
        expect(
            frame.movement_digest == self.twin.movement_digest,
            "the header has another digest of movements",
            f"frame {frame.sequence}",
        )
        if frame.kind is not FrameKind.CLOSE:
            self._check_calendar(frame)
        self.frames.append(frame)
        self._digest = b""
        if frame.kind is not FrameKind.OPERATIONS:
            expect(not frame.records, "a frame without operations has some", f"frame {frame.sequence}")
            self.twin.pass_time(frame.time_ns, frame.calendar)
            return []
        records = np.frombuffer(frame.records, OPERATION)
        answers = self.twin.apply(frame.sequence, frame.time_ns, records, frame.calendar)
        for index, record in enumerate(records):
            id = int.from_bytes(record.tobytes()[:16], "little")
            if id in self.twin.bound:
                self.places.setdefault(id, frame.sequence << limits.PLACE_INDEX_BITS | index)
        return answers

    def _check_calendar(self, frame: Written) -> None:
        wanted = []
        for currency, zone in self.twin.currencies.items():
            local = datetime.fromtimestamp(frame.time_ns // SECOND_NS, ZoneInfo(zone.rstrip(b"\0").decode()))
            day = local.date().toordinal() - datetime(1970, 1, 1).toordinal()  # noqa: DTZ001 - a date alone
            wanted.append((currency, day, (local.year - 1970) * 12 + local.month - 1, local.year))
        expect(
            sorted(frame.calendar) == sorted(wanted),
            "the frame has other local dates",
            f"frame {frame.sequence} at {frame.time_ns}: {frame.calendar}, not {wanted}",
        )

    # ── Submissions ──────────────────────────────────────────────────────────────────────────────────────────

    def usage_error(self, records: npt.NDArray[Any]) -> str:
        """Return the usage error of a submission that every ledger must refuse, or ""."""
        operations = [Operation.read(each.tobytes()) for each in records]
        if operations and operations[-1].is_linked:
            return "its last operation is linked"
        for operation in operations:
            if operation.kind == Kind.UPGRADE and operation.number > RULES_VERSION:
                return "it names a version of the rules that this release does not have"
            if operation.kind == Kind.DEFINE_CURRENCY:
                zone = operation.field("zone").rstrip(b"\0")
                if zone and zone[0] and not _is_zone(zone):
                    return "it names a time zone that does not exist"
        return ""

    def expected(self, records: npt.NDArray[Any], envelopes: Sequence[Envelope], now_ns: int) -> Expected:
        """Return the results and journaled operations of a submission, if its frame has this time."""
        resolved = self.twin.resolve(records)
        if all(answer is not None for answer in resolved):
            return Expected(resolved, [], b"", needs_frame=False)
        operations = [Operation.read(each.tobytes()) for each in records]
        # An envelope over no new operation delays nothing, valid or not.
        envelopes = [each for each in envelopes if None in resolved[each.first : each.first + each.count]]
        unit_of = _units(operations, envelopes)
        alive = {unit_of[at] for at, answer in enumerate(resolved) if answer is None}
        # Operations that are not journaled are not in the checked frame.
        kept = [at for at in range(len(operations)) if unit_of[at] in alive]
        place = {at: index for index, at in enumerate(kept)}
        moved = [replace(each, first=place[each.first]) for each in envelopes if each.first in place]
        judge = Judge(
            self.twin, self._ledger_id, now_ns, [operations[at] for at in kept], [resolved[at] is None for at in kept]
        )
        codes = dict(zip(kept, judge.codes(moved), strict=True))
        refused = {at: code for at, code in codes.items() if code is not Result.CREATED}
        answers = list(resolved)
        fallen: dict[int, Result] = {}
        for at, code in refused.items():
            fallen.setdefault(unit_of[at], code)
        chain_at = chains_of(operations)
        broken = {chain for at in refused for chain in chain_at[at]}
        for at in kept:
            if unit_of[at] in fallen and resolved[at] is None:
                other = Result.CHAIN_BROKEN if at in broken else fallen[unit_of[at]]
                answers[at] = refused.get(at, other), Result.CREATED
        journaled = [at for at in kept if unit_of[at] not in fallen]
        place = {at: index for index, at in enumerate(journaled)}
        written = [replace(each, first=place[each.first]) for each in envelopes if each.first in place]
        return Expected(
            [None if at in place else answer for at, answer in enumerate(answers)],
            journaled,
            as_array(written).tobytes(),
            needs_frame=True,
        )

    def place_of(self, record: np.void) -> int:
        """Return the place where an id was bound, 0 if it is unbound."""
        return self.places.get(int.from_bytes(record.tobytes()[:16], "little"), NO_PLACE)

    # ── The state ────────────────────────────────────────────────────────────────────────────────────────────

    def digest(self) -> bytes:
        if not self._digest:
            self._digest = self.twin.digest()
        return self._digest

    def check(self, sequencer: Sequencer) -> None:
        """Compare the ledger's state with the twin's, and let both recompute their sums."""
        expect(
            sequencer.durable_sequence == len(self.frames),
            "another frame is the newest",
            f"{sequencer.durable_sequence}, not {len(self.frames)}",
        )
        said_ns, due_ns = sequencer.next_due_ns(), self.next_due_ns()
        # The due time may be early: the end of a hold that was released or undone is still scheduled.
        in_time = due_ns is None or (said_ns is not None and said_ns <= due_ns)
        expect(in_time, "an event is due before the announced time", f"{said_ns}, not {due_ns}")
        with sequencer.reading() as state:
            self.check_state(state)
            times = [0, *(frame.time_ns for frame in self.frames)]
            expect(state.frame_times[1:].tolist() == times[1:], "the times of frames differ")

    def check_state(self, state: LedgerState) -> None:
        expect(state.movement_digest == self.twin.movement_digest, "the movement digests differ")
        expect(state.digest() == self.digest(), "the state digests differ", differences(state, self.twin))
        expect(state.bound.size == len(self.twin.bound), "other ids are bound")
        expect(state.movements.size == len(self.twin.movements), "there are other movements")
        for currency in self.twin.currencies:
            supply = self.twin.supply(currency)
            expect(state.supply(currency) == supply, "the supply differs", f"currency {currency}: {supply}")
        state.check()
        self.twin.check()


def _is_zone(name: bytes) -> bool:
    try:
        zone_info(name.decode("latin-1"))
    except UsageError:
        return False
    return True


def _units(operations: Sequence[Operation], envelopes: Sequence[Envelope]) -> list[int]:
    """Return for each operation the number of the unit that must be journaled with it."""
    glued = [False] * len(operations)  # linked to the operation before it
    for at, (one, _) in enumerate(pairwise(operations), 1):
        glued[at] = one.is_linked
    for envelope in envelopes:
        for at in range(envelope.first + 1, envelope.first + envelope.count):
            glued[at] = True
    numbers: list[int] = []
    for at, is_glued in enumerate(glued):
        numbers.append(numbers[-1] if is_glued else at)
    return numbers


def differences(state: LedgerState, twin: NaiveLedger) -> str:
    """Return the differing accounts and purses as text."""
    found = []
    for id, account in twin.accounts.items():
        other = state.account(id)
        if other is None:
            found.append(f"account {id} is not there")
            continue
        mine = (
            account.debits_posted, account.credits_posted, account.debits_pending, account.credits_pending,
            *account.used, account.rule_set, account.key_epoch,
        )  # fmt: skip
        its = (
            other.debits_posted, other.credits_posted, other.debits_pending, other.credits_pending, other.day_used,
            other.month_used, other.year_used, other.rule_set, other.key_epoch,
        )  # fmt: skip
        if mine != its:
            found.append(f"account {id}: {its}, not {mine}")
    for (programme, member), purse in twin.purses.items():
        that = state.purse(programme, member)
        left = None if that is None else (that.dropped, that.spent, that.refunded, that.returned, that.pending)
        if left != (purse.dropped, purse.spent, purse.refunded, purse.returned, purse.pending):
            found.append(f"purse {programme}/{member}: {left}")
    return "; ".join(found[:5]) or "neither accounts nor purses differ"
