"""The feed: events as a function of the ledger's frames and of the registers' rows.

Nothing is stored for an event of the ledger: the operation at index i of frame f is the event "f.i", as often as it is
read. So a reader continues after any event, and no event can be lost.
"""

from __future__ import annotations

import json
import re
from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.limits import I64_MAX, PLACE_INDEX_BITS
from sycee.core.money import currency_code
from sycee.core.timestamps import exact_text
from sycee.database.events import RegisterEvent, events_after, newest_event
from sycee.database.stores import Stores
from sycee.sequencer.frame_records import FrameRecords
from sycee.server.events.kinds import Amount
from sycee.server.events.ledger_events import INDEX_MASK, LedgerEvents, operations_after

REGISTER_EVENTS_MAX: Final = 500  # of one page
BULK_ACCOUNTS_MAX: Final = 100  # shown in one event

_CURSOR: Final = re.compile(r"(0|[1-9][0-9]{0,14})\.(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,17})")


class Cursor(NamedTuple):
    """A position in the feed: after operation `offset` of `frame`, and after register event `number`."""

    frame: int
    offset: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read FRAME.INDEX.NUMBER. Raises UsageError for another text."""
        match = _CURSOR.fullmatch(text)
        if match is None or int(match[2]) > INDEX_MASK:
            raise UsageError(
                f"{text[:60]!a} is no cursor of events",
                hint="use the id of the last event of a stream as it is, or 0.0.0 for all events",
            )
        return cls(*map(int, match.groups()))

    @classmethod
    def of(cls, place: int, number: int) -> Cursor:
        """Return the cursor of a place in the ledger and a number."""
        return cls(place >> PLACE_INDEX_BITS, place & INDEX_MASK, number)

    @property
    def place(self) -> int:
        """Return the place of its last operation."""
        return self.frame << PLACE_INDEX_BITS | self.offset

    def __str__(self) -> str:
        return f"{self.frame}.{self.offset}.{self.number}"


START: Final = Cursor(0, 0, 0)  # before the first frame


class Page:
    """Events after `start`: those of the ledger, then those of registers, each in their order. `end`: after them."""

    def __init__(
        self, start: Cursor, end: Cursor, ledger: LedgerEvents, registers: Sequence[RegisterEvent], *, is_last: bool
    ) -> None:
        self.start = start
        self.end = end
        self.ledger = ledger
        self.registers = registers
        self.is_last = is_last  # nothing newer was there
        self.shared: dict[object, Future[bytes]] = {}  # texts that streams wait for, by their scopes
        self._texts: dict[int, str] = {}
        self._whole: bytes | None = None

    @property
    def operations(self) -> int:
        """Return the number of events of the ledger."""
        return len(self.ledger.places)

    @property
    def size(self) -> int:
        """Return the number of events."""
        return self.operations + len(self.registers)

    def cursor(self, at: int) -> Cursor:
        """Return the cursor after event `at`."""
        if at < self.operations:
            return Cursor.of(self.ledger.places[at], self.start.number)
        return Cursor(self.end.frame, self.end.offset, self.registers[at - self.operations].number)

    def id_of(self, at: int) -> str:
        """Return the number of event `at`."""
        if at >= self.operations:
            return str(self.registers[at - self.operations].number)
        place = self.ledger.places[at]
        return f"{place >> PLACE_INDEX_BITS}.{place & INDEX_MASK}"

    def type_of(self, at: int) -> str:
        """Return the type of event `at`."""
        if at >= self.operations:
            return self.registers[at - self.operations].kind.value
        return self.ledger.names[at]

    def event(self, at: int, seen: Array | None = None) -> dict[str, Any]:
        """Return event `at`. `seen`: which of the accounts the caller may see, (accounts,) bool; None for all.

        The event of a bulk operation has the accounts that the caller may see, and an amount for those who see all.
        """
        if at >= self.operations:
            return _register_event(self.registers[at - self.operations])
        ledger = self.ledger
        kind, time_ns, accounts = ledger.types[at], ledger.times_ns[at], ledger.accounts_of(at).tolist()
        made: dict[str, Any] = {
            "id": self.id_of(at),
            "type": ledger.names[at],
            "at": _time_text(time_ns),
            "at_ns": str(time_ns),
            "operation": ids.format(ledger.ids[at]),
        }
        if accounts:
            made["currency"] = currency_code(ledger.currencies[accounts[0]])
        if kind.is_bulk and seen is not None:
            accounts = [each for each in accounts if seen[each]]
        elif kind.amount is not Amount.NONE:
            made["amount"] = str(ledger.amounts[at])
        made["accounts"] = [ledger.accounts[each] for each in accounts[:BULK_ACCOUNTS_MAX]]
        if kind.about:
            made["about"] = ids.format(ids.of_record(ledger.records[at], "reference"))
        return made

    def text(self, at: int, seen: Array | None = None) -> str:
        """Return event `at` as JSON; a text that is the same for all callers is made once."""
        if seen is not None and at < self.operations and self.ledger.types[at].is_bulk:
            return _json(self.event(at, seen))
        if at not in self._texts:
            self._texts[at] = _json(self.event(at))
        return self._texts[at]

    @property
    def has_whole(self) -> bool:
        """Whether `whole` was called."""
        return self._whole is not None

    def whole(self, lines: Callable[[Page, int], bytes]) -> bytes:
        """Return `lines` of all events together, made once: callers who see everything share it."""
        if self._whole is None:
            self._whole = b"".join(lines(self, at) for at in range(self.size))
        return self._whole


class Feed:
    """The feed of one bank. Not thread-safe."""

    def __init__(self, stores: Stores, frames: FrameRecords) -> None:
        self._stores = stores
        self._frames = frames

    def newest(self) -> Cursor:
        """Return the position after all events so far."""
        number = newest_event(self._stores.engine)
        with self._stores.ledger.sequencer.reading() as state:
            place = int(state.bound["place"][-1]) if state.bound.size else START.place
        return Cursor.of(place, number)

    def reached(self, after: Cursor) -> Cursor:
        """Return a caller's position, at most the newest one.

        Raises UsageError for a position that the bank has not reached: it was restored to an earlier state.
        """
        newest, frame = self.newest(), self._stores.ledger.sequencer.durable_sequence
        if after.frame > frame or after.number > newest.number:
            raise UsageError(
                f"the cursor {after} is later than frame {frame:,} and event {newest.number:,}",
                hint="if the bank was restored to an earlier state, compare your data and begin at the newest event",
            )
        return Cursor.of(min(after.place, newest.place), after.number)

    def page(self, after: Cursor, until: Cursor | None = None) -> Page:
        """Return the next events after a position, up to the limits of a page and to `until`."""
        last_place, last_number = (I64_MAX, I64_MAX) if until is None else (until.place, until.number)
        source = self._stores.ledger.sequencer
        ledger, place, is_last = operations_after(source, self._frames, after.place, last_place)
        registers: list[RegisterEvent] = []
        if is_last and after.number < last_number:  # otherwise the ledger's next page is earlier
            found = events_after(self._stores.engine, after.number, most=REGISTER_EVENTS_MAX)
            is_last = len(found) < REGISTER_EVENTS_MAX or found[-1].number >= last_number
            registers = [each for each in found if each.number <= last_number]
        end = Cursor.of(place, registers[-1].number if registers else after.number)
        return Page(after, end, ledger, registers, is_last=is_last)

    def one(self, event: str) -> Page:
        """Return the page of one event by its number; it is empty if there is none."""
        frame, _, offset = event.partition(".")
        if not offset:
            newest, number = self.newest(), int(event)
            return self.page(newest._replace(number=number - 1), newest._replace(number=number))
        place = int(frame) << PLACE_INDEX_BITS | int(offset)
        return self.page(Cursor.of(place - 1, 0), Cursor.of(place, 0))


@lru_cache(maxsize=64)  # the operations of a frame have one time
def _time_text(time_ns: int) -> str:
    return exact_text(time_ns)


def _register_event(event: RegisterEvent) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": str(event.number),
        "type": event.kind.value,
        "at": exact_text(event.at_ns),
        "at_ns": str(event.at_ns),
        "subject": event.subject,
        "data": dict(event.data),
    }
    return made if event.operator is None else {**made, "operator": event.operator}


_json: Final[Callable[[Mapping[str, Any]], str]] = json.JSONEncoder(separators=(",", ":")).encode
