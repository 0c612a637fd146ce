"""A ledger written frame by frame at a fixed clock under fixed ids, so that the same steps give the same bytes.

State and journal are used directly, without a sequencer, so that a frame also holds what a sequencer would keep out of
it: malformed operations, known ids, broken chains. An independent reader must know what to make of those.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from blake3 import blake3

from sycee.core.arrays import Array
from sycee.core.errors import require
from sycee.core.records import operations
from sycee.core.records.envelopes import Envelope, as_array
from sycee.core.records.layout import AccountKind
from sycee.core.result_codes import Result
from sycee.journal import FrameKind, Journal, RealDisk
from sycee.ledger import authority
from sycee.ledger.state import LedgerState
from sycee.sequencer.time_zones import calendar_of

SEGMENT_BYTES = 32 << 10  # seven frames of up to 27 records: most of these ledgers need more than one segment
CURRENCY, ZONE = 999, "Etc/GMT-8"  # its days begin at 16:00 UTC, by no rule that could change
OPERATOR = 7
EVER_NS = 2**62  # a time that does not come


def named(name: str) -> int:
    """The id of whatever has this name: 128 bits, so that both halves and their order count."""
    return int.from_bytes(blake3(name.encode()).digest(16), "little")


def at(text: str) -> int:
    """Nanoseconds since 1970 of a moment in UTC, such as 2031-12-31T15:59:59."""
    since = datetime.fromisoformat(text).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(microseconds=1) * 1_000


ISSUANCE, SUSPENSE, RESERVE, VAULT, FUNDER, ANN, BOB, SHOP, CAFE, WAY = map(
    named, ("issuance", "suspense", "reserve", "vault", "funder", "ann", "bob", "shop", "cafe", "way")
)
KINDS = {
    ISSUANCE: AccountKind.ISSUANCE, SUSPENSE: AccountKind.SUSPENSE, RESERVE: AccountKind.RESERVE,
    VAULT: AccountKind.VAULT, FUNDER: AccountKind.FUNDER, ANN: AccountKind.WALLET, BOB: AccountKind.WALLET,
    SHOP: AccountKind.MERCHANT, CAFE: AccountKind.MERCHANT, WAY: AccountKind.IN_TRANSIT,
}  # fmt: skip


class Book:
    """One ledger in the making. Every frame says what the ledger must answer, so a golden journal is never a surprise.

    `lines` has for each frame its sequence, and the movement digest and state digest after it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.ledger_id = blake3(f"ledger {name}".encode()).digest(16)
        self.state = LedgerState()
        self.lines: list[str] = []
        self._journal = Journal.create(
            RealDisk(folder / "journal"), ledger_id=self.ledger_id, segment_bytes=SEGMENT_BYTES
        )
        self._ids = 0

    def new(self) -> int:
        """An operation's id that was not used yet."""
        self._ids += 1
        return named(f"operation {self._ids}")

    def frame(self, moment: str, *records: Array, codes: str = "", signed: Sequence[Envelope] = ()) -> None:
        """A frame of these operations at this time, UTC. `codes`: the answers in order, if not all are CREATED.

        Raises IntegrityError where the ledger answers otherwise, or wants other signatures than these.
        """
        now_ns, rows = at(moment), np.concatenate(records)
        wanted = codes.split() or ["CREATED"] * rows.size
        calendar = calendar_of(self.state.zones, now_ns)
        judged = authority.authorise(self.state, self.ledger_id, now_ns, rows, signed)
        require(not judged.any(), f"{moment}: signatures: {_names(judged)}")
        self.state.reserve(rows)
        self._journal.append(
            kind=FrameKind.OPERATIONS,
            time_ns=now_ns,
            records=rows.tobytes(),
            calendar=calendar,
            envelopes=as_array(signed).tobytes(),
            movement_digest=self.state.movement_digest,
        )
        answers = self.state.apply(self._journal.last_sequence, now_ns, rows, calendar)
        require(_names(answers["code"]) == wanted, f"{moment}: {_names(answers['code'])}, not {wanted}")
        self._note()

    def wait(self, moment: str) -> None:
        """A frame without operations: time passes."""
        now_ns = at(moment)
        calendar = calendar_of(self.state.zones, now_ns)
        digest = self.state.movement_digest
        self._journal.append(kind=FrameKind.EMPTY, time_ns=now_ns, calendar=calendar, movement_digest=digest)
        self.state.pass_time(now_ns, calendar, sequence=self._journal.last_sequence)
        self._note()

    def begin_epoch(self) -> None:
        """Another writer takes the journal over."""
        self._journal.begin_epoch()

    def close(self) -> None:
        """End the journal with its CLOSE frame, and check all that must hold of the ledger."""
        self._journal.close(movement_digest=self.state.movement_digest)
        self.state.pass_time(self._journal.last_time_ns, sequence=self._journal.last_sequence)
        self._note()
        self.state.check()

    def _note(self) -> None:
        digests = f"{self.state.movement_digest.hex()} {self.state.digest().hex()}"
        self.lines.append(f"{self._journal.last_sequence} {digests}")


def _names(codes: Array) -> list[str]:
    return [Result(int(code)).name for code in codes]


def open_town(book: Book, moment: str) -> None:
    """One currency, one account of every kind and a few more, and what the issuer lends to whom."""
    new = book.new
    book.frame(
        moment,
        operations.define_currency(new(), currency=CURRENCY, zone=ZONE),
        *(
            operations.open_account(
                new(),
                account=account,
                currency=CURRENCY,
                kind=kind,
                suspense=0 if account in (ISSUANCE, SUSPENSE) else SUSPENSE,
                operator=OPERATOR,
            )
            for account, kind in KINDS.items()
        ),
        *(
            operations.transfer(new(), debit=ISSUANCE, credit=account, amount=amount)
            for account, amount in ((VAULT, 500_000), (FUNDER, 300_000), (ANN, 100_000), (BOB, 50_000), (SHOP, 20_000))
        ),
    )
