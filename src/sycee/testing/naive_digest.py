"""Naive twin: state digest (docs/reference/ledger.md §12), bytes of movements and their digest (§6, §13)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from blake3 import blake3

from sycee.core.result_codes import Result
from sycee.testing.naive_book import Book
from sycee.testing.naive_programmes import id_bytes
from sycee.testing.naive_rows import Movement, Row, Rules


def state_digest(book: Book) -> bytes:
    """Return BLAKE3-256 over the whole state, in the order of numbers and ids."""
    digest = blake3(b"sycee.state.v3")
    for section in SECTIONS:
        rows = list(section(book))
        digest.update(struct.pack("<Q", len(rows)))
        digest.update(b"".join(rows))
    return digest.digest()


def _currencies(book: Book) -> Iterator[bytes]:
    for number, zone in sorted(book.currencies.items()):
        yield struct.pack("<H48s", number, zone)


def _groups(book: Book) -> Iterator[bytes]:
    for number, members in sorted(book.groups.items()):
        yield struct.pack("<IQ", number, len(members)) + b"".join(map(id_bytes, sorted(members)))


def _rule_sets(book: Book) -> Iterator[bytes]:
    for number, rule_set in sorted(book.rule_sets.items()):
        current = _version(rule_set.current)
        scheduled = bytes(len(current)) if rule_set.scheduled is None else _version(rule_set.scheduled)
        yield struct.pack("<I", number) + current + scheduled


def _version(rules: Rules) -> bytes:
    return (
        struct.pack("<H4H", rules.flags, *rules.groups)
        + id_bytes(rules.return_account)
        + struct.pack("<qq", rules.from_ns, rules.until_ns)
        + struct.pack("<qqqqq", rules.balance_max, rules.single_max, *rules.period_max)
        + struct.pack("<qqqI", rules.refund_reserve, rules.payment_min, rules.effective_ns, rules.refund_window_s)
    )


def _accounts(book: Book) -> Iterator[bytes]:
    for _, a in sorted(book.accounts.items()):
        yield (
            id_bytes(a.id)
            + struct.pack("<HH", a.currency, a.kind)
            + struct.pack("<BBBB", a.debit_reasons, a.credit_reasons, a.closed, a.key_flags)
            + struct.pack("<II", a.operator, a.rule_set)
            + id_bytes(a.suspense)
            + id_bytes(a.link)
            + struct.pack("<qqqq", a.debits_posted, a.credits_posted, a.debits_pending, a.credits_pending)
            + struct.pack("<qqqihh", *a.used, *a.periods)
            + struct.pack("<I", a.key_epoch)
            + a.key
        )


def _programmes(book: Book) -> Iterator[bytes]:
    for number, p in sorted(book.programmes.items()):
        yield (
            struct.pack("<II", number, p.rule_set)
            + id_bytes(p.funder)
            + struct.pack("<IIH", p.count, p.filled, p.sealed)
            + id_bytes(p.seal)
            + struct.pack("<qq", p.claim_from_ns, p.claim_until_ns)
        )


def _purses(book: Book) -> Iterator[bytes]:
    for _, p in sorted(book.purses.items()):
        yield (
            struct.pack("<II", p.programme, p.member)
            + id_bytes(p.member_id)
            + id_bytes(p.wallet)
            + struct.pack("<5qH", p.dropped, p.spent, p.refunded, p.returned, p.pending, p.state)
        )


def _holds(book: Book) -> Iterator[bytes]:
    for id, hold in sorted(book.holds.items()):
        yield (
            b"".join(map(id_bytes, (id, hold.payer, hold.payee, hold.third)))
            + hold.hash
            + struct.pack("<qqBB", hold.end_ns, hold.own, hold.state, hold.counted)
            + struct.pack("<Hihh", len(hold.purse_legs), *hold.periods)
        )


def _hold_legs(book: Book) -> Iterator[bytes]:
    for id, hold in sorted(book.holds.items()):
        for (programme, member), held in hold.purse_legs:
            yield id_bytes(id) + struct.pack("<IIq", programme, member, held)


def _transits(book: Book) -> Iterator[bytes]:
    for id, transit in sorted(book.transits.items()):
        yield (
            b"".join(map(id_bytes, (id, transit.source, transit.through, transit.destination)))
            + struct.pack("<qBB", transit.amount, transit.state, transit.counted)
            + struct.pack("<ihh", *transit.periods)
        )


def _batches(book: Book) -> Iterator[bytes]:
    for number, batch in sorted(book.batches.items()):
        yield struct.pack("<IIIq", number, batch.operator, len(batch.payments), batch.total)
    if book.newest_batch and book.newest_batch not in book.batches:
        yield struct.pack("<IIIq", book.newest_batch, 0, 0, 0)


def _staged(book: Book) -> Iterator[bytes]:
    for number, batch in sorted(book.batches.items()):
        for debit, credit, amount in batch.payments:
            yield struct.pack("<I", number) + id_bytes(debit) + id_bytes(credit) + struct.pack("<q", amount)


def _grants(book: Book) -> Iterator[bytes]:
    for id, grant in sorted(book.grants.items()):
        yield (
            id_bytes(id)
            + id_bytes(grant.person)
            + struct.pack("<BBB", grant.role, grant.flags, grant.revoked)
            + grant.key
            + struct.pack("<IHqq", grant.operator, grant.currency, grant.from_ns, grant.until_ns)
        )


def _rules(book: Book) -> Iterator[bytes]:
    yield struct.pack("<IB", book.rules, book.authority_on)


def _bound(book: Book) -> Iterator[bytes]:
    for id, bound in sorted(book.bound.items()):
        final = id in book.pays and book.pays[id].final
        yield id_bytes(id) + struct.pack("<HHqB", bound.kind, bound.result, book.refunded.get(id, 0), final)


SECTIONS = (
    _currencies, _groups, _rule_sets, _accounts, _programmes, _purses, _holds, _hold_legs, _transits, _batches,
    _staged, _grants, _rules, _bound,
)  # fmt: skip


# ── Movements ────────────────────────────────────────────────────────────────────────────────────────────────────


class MovementDigest:
    """Running digest of all movements. Movements are numbered from 1 in the order of `add_frame`."""

    def __init__(self) -> None:
        self.value = bytes(32)
        self._count = 0
        self._newest: dict[Row, int] = {}  # number of the newest movement of each row

    def add_frame(self, book: Book, sequence: int, codes: Iterable[Result], movements: Iterable[Movement]) -> None:
        """Add a frame: its number, the codes of all its operations and all its movements."""
        digest = blake3(self.value + struct.pack("<Q", sequence))
        digest.update(b"".join(struct.pack("<H", code) for code in codes))
        digest.update(b"".join(self._encode(book, movement) for movement in movements))
        self.value = digest.digest()

    def _encode(self, book: Book, movement: Movement) -> bytes:
        self._count += 1
        debit_previous = self._newest.get(movement.debit, 0)
        credit_previous = self._newest.get(movement.credit, 0)
        self._newest[movement.debit] = self._newest[movement.credit] = self._count
        return (
            struct.pack("<II", row_number(book, movement.debit), row_number(book, movement.credit))
            + struct.pack("<qqq", movement.amount, movement.debit_balance, movement.credit_balance)
            + struct.pack("<qqQ", debit_previous, credit_previous, movement.place)
            + struct.pack("<HHI", movement.purpose, movement.leg, 0)
        )


def row_number(book: Book, row: Row) -> int:
    """Return the row number used in the bytes of a movement."""
    if len(row) == 2:
        return book.accounts[row[1]].row_number
    return book.purses[row[1], row[2]].row_number
