"""Receive deliveries: check the participant's signature, keep the content, and store each payment once.

A delivery is kept before anything of it moves money. One transaction stores the content, its messages and payments, so
a crash leaves all of it or nothing, and the same delivery again gets the first answer.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import sqlalchemy
from blake3 import blake3
from sqlalchemy.engine import Connection

from sycee.clearing import inbox, instructions, reasons
from sycee.clearing.house import Register
from sycee.clearing.instructions import Instructions, Receipt
from sycee.clearing.tables import (
    BOOKED,
    CANCELLED,
    CHAINS,
    CLEARED,
    DELIVERIES,
    MESSAGES,
    OPEN,
    PAIRS,
    PAYMENTS,
    PERMITS,
    QUEUED,
    REFUSED,
    UNMATCHED,
    VALID,
)
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import IntegrityError, NotFound, UsageError, require
from sycee.database.bulk import any_of, insert_columns
from sycee.database.columns import id_bytes
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity.people import People

if TYPE_CHECKING:
    from sycee.clearing.chains import Chain

DELIVER: Final = "clearing.deliver"
CONTENT_MAX: Final = 1 << 30
ANSWERS_MAX: Final = 500  # that one transaction stores
_PART: Final = 500  # values of one condition
AMOUNT_MAX: Final = 1 << 56  # minor units of one payment, 7 × 10^14 in a currency of two decimals
# With the receipt, and a function that matches a payment against payment with the message of its other side.
Also = Callable[[Connection, Receipt, Callable[[int, int], None]], None]
_STATES: Final = np.array([REFUSED, UNMATCHED, VALID, CLEARED, QUEUED], object)


class SameId(UsageError):
    """A message has the business message id of a message of another kind."""


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """A delivery whose signature is checked. `code`: its participant's; `row`: as of `clearing_deliveries`.

    `owes_answers`: whether its new messages wait until `Receiving.answer` stores their answers.
    """

    participant: int
    code: str
    content: bytes
    row: Mapping[str, Any]
    owes_answers: bool = False


class Place(NamedTuple):
    """Where a stored message is. Fields as of the table `clearing_messages`."""

    business_id: str
    kind: str
    delivery: int
    part: int


class Receiving:
    """Deliveries to the house of one bank. `screens`: whether payments across a border need a permit of compliance."""

    def __init__(self, stores: Stores, people: People, register: Register, *, screens: bool) -> None:
        self._stores, self._people, self._register, self._screens = stores, people, register, screens

    def receive(
        self, participant: int, content: bytes, signature: bytes, made: Instructions, *, kind: str, who: int,
        also: Also | None = None,
    ) -> Receipt:  # fmt: skip
        """Store the payments of a participant's delivery, and return a receipt.

        `content`: the messages as they came, whose payments are `made`; `kind`: of the messages, such as "pacs.009".
        A payment that the house cannot book is stored as refused, with its reason. A duplicate, by its UETR or its
        business message id, gets the number of the first. Payment against payment waits for the message of the other
        side: the same UETR, with both legs reversed. `also`: called in the same transaction.

        Raises UsageError, with nothing kept, for a signature that is not the participant's.
        """
        return self.store(self.verified(participant, content, signature, who=who), made, kind=kind, also=also)

    def verified(
        self, participant: int, content: bytes, signature: bytes, *, who: int, compressed: bytes | None = None
    ) -> Delivery:
        """Check the signature of a delivery, for `store` and `keep`. `compressed`: its content by zlib, or None.

        Raises as `receive`.
        """
        self._people.require(who, DELIVER, operator=participant)
        code = self._register.participant(participant).code
        row = self._delivery(participant, content, signature, who)
        compressed = zlib.compress(content, 1) if compressed is None else compressed
        return Delivery(participant, code, content, row | {"content": compressed})

    def store(self, verified: Delivery, made: Instructions, *, kind: str, also: Also | None = None) -> Receipt:
        """Store some payments of a verified delivery, as `receive`."""
        participant, delivery = verified.participant, verified.row
        checked = self._checked(participant, made, delivery["at_ns"])

        def store(connection: Connection) -> Receipt:
            earlier = _earlier(connection, participant, delivery["digest"])
            if earlier is None:
                connection.execute(DELIVERIES.insert().values(delivery))
            storing = _Storing(connection, participant, made, checked, verified, screens=self._screens)
            receipt = storing.run(kind, earlier)
            if also is not None:
                also(connection, receipt, storing.match)
            return receipt

        return write(self._stores.engine, store)

    def keep(
        self, verified: Delivery, business_id: str, *, kind: str, part: int = 0,
        also: Callable[[Connection, int], None] | None = None,
    ) -> tuple[int, bytes | None]:  # fmt: skip
        """Keep a message of a delivery that has no payments; return its number and its answer, if it has one already.

        The same business message id again returns the first message. `part`: the message's number in the delivery.
        `also`: writes more, with the number of a new message, in the same transaction. Raises SameId if the first
        message is of another kind.
        """
        participant, delivery = verified.participant, verified.row
        mine = (MESSAGES.c.participant == participant) & (MESSAGES.c.business_id == business_id)

        def store(connection: Connection) -> tuple[int, bytes | None]:
            found = connection.execute(sqlalchemy.select(MESSAGES).where(mine)).one_or_none()
            if found is not None:
                if found.kind != kind:
                    raise SameId(f"{business_id} is the id of a {found.kind}", hint="give each message a new id")
                return found.message, None if found.answer is None else bytes(found.answer)
            if (earlier := _earlier(connection, participant, delivery["digest"])) is None:
                connection.execute(DELIVERIES.insert().values(delivery))
            number = next_number(connection, MESSAGES.c.message)
            row = {
                "message": number, "participant": participant, "business_id": business_id, "kind": kind,
                "delivery": delivery["id"] if earlier is None else earlier, "part": part, "answer": None,
                "owes_answer": int(verified.owes_answers),
            }  # fmt: skip
            connection.execute(MESSAGES.insert().values(row))
            if also is not None:
                also(connection, number)
            return number, None

        return write(self._stores.engine, store)

    def kept(self, participant: int, business_id: str, *, kind: str) -> tuple[int, bytes | None] | None:
        """Return a participant's message of this id and kind, with its answer if it has one; None without one."""
        mine = (MESSAGES.c.participant == participant) & (MESSAGES.c.business_id == business_id)
        query = sqlalchemy.select(MESSAGES.c.message, MESSAGES.c.answer).where(mine, MESSAGES.c.kind == kind)
        with reading(self._stores.engine) as connection:
            found = connection.execute(query).one_or_none()
        return None if found is None else (found.message, None if found.answer is None else bytes(found.answer))

    def unanswered(self, *, message: int = 0) -> Mapping[int, Sequence[int]]:
        """Return the messages that wait for their answer: by delivery, their numbers. Oldest first.

        `message`: this one alone.
        """
        waits = MESSAGES.c.owes_answer == 1
        query = sqlalchemy.select(MESSAGES.c.delivery, MESSAGES.c.message).where(waits).order_by(MESSAGES.c.message)
        if message:
            query = query.where(MESSAGES.c.message == message)
        found: dict[int, list[int]] = {}
        with reading(self._stores.engine) as connection:
            for row in connection.execute(query):
                found.setdefault(row.delivery, []).append(row.message)
        return found

    def answer(self, message: int, answer: bytes) -> bytes:
        """Store the answer to a message, and return its first answer."""
        return self.store_answers({message: answer})[message]

    def store_answers(self, answers: Mapping[int, bytes]) -> Mapping[int, bytes]:
        """Store the answers to messages in one transaction, by number; return the first answer to each.

        At most `ANSWERS_MAX` messages.
        """
        require(len(answers) <= ANSWERS_MAX, f"{len(answers)} answers of one transaction; at most {ANSWERS_MAX}")
        chosen = MESSAGES.c.message == sqlalchemy.bindparam("number")
        update = MESSAGES.update().where(chosen, MESSAGES.c.answer.is_(None))
        update = update.values(answer=sqlalchemy.bindparam("made"), owes_answer=0)
        query = sqlalchemy.select(MESSAGES.c.message, MESSAGES.c.answer).where(MESSAGES.c.message.in_(list(answers)))

        def store(connection: Connection) -> Mapping[int, bytes]:
            connection.execute(update, [{"number": number, "made": made} for number, made in answers.items()])
            return {number: bytes(first) for number, first in connection.execute(query)}

        return write(self._stores.engine, store)

    def stored(self, delivery: int) -> Delivery:
        """Return a stored delivery, whose signature was checked when it came.

        Raises IntegrityError if it is damaged.
        """
        with reading(self._stores.engine) as connection:
            found = connection.execute(sqlalchemy.select(DELIVERIES).where(DELIVERIES.c.id == delivery)).one_or_none()
        if found is None:
            raise IntegrityError(f"delivery {ids.format(delivery)} is not stored")
        row = dict(found._mapping)
        try:
            code = self._register.participant(row["participant"]).code
        except NotFound as error:
            raise IntegrityError(f"delivery {ids.format(delivery)} is damaged: {error.message}") from error
        return Delivery(row["participant"], code, _decompressed(delivery, row["content"]), row)

    def now_ns(self) -> int:
        """Return the time of the bank's clock."""
        return read_ns(self._stores.clock)

    def place(self, message: int) -> Place:
        """Return the place of a message in the delivery with which it was stored. Raises IntegrityError without one."""
        query = sqlalchemy.select(*(MESSAGES.c[name] for name in Place._fields)).where(MESSAGES.c.message == message)
        with reading(self._stores.engine) as connection:
            found = connection.execute(query).one_or_none()
        if found is None:
            raise IntegrityError(f"message {message} is not stored")
        return Place(*found)

    def content(self, delivery: int) -> bytes:
        """Return the content of a delivery, as it came. Raises IntegrityError if it is damaged."""
        return self.stored(delivery).content

    def _delivery(self, participant: int, content: bytes, signature: bytes, who: int) -> dict[str, Any]:
        """Return the row of a delivery without its content. Raises UsageError for a wrong signature."""
        if len(content) > CONTENT_MAX:
            raise UsageError(f"a delivery has at most {CONTENT_MAX:,} bytes", hint="divide it")
        key = self._register.message_key(participant)
        if not key.verifies(signature, instructions.mandate(self._stores.ledger.ledger_id, participant, content)):
            raise UsageError(
                f"the signature is not operator {participant}'s over these bytes",
                hint=f"sign the delivery with the key {key}",
            )
        now_ns = read_ns(self._stores.clock)
        return {
            "id": ids.new(now_ns // 1_000_000), "participant": participant, "digest": blake3(content).hexdigest(),
            "key": str(key), "signature": signature, "at_ns": now_ns, "who": who,
        }  # fmt: skip

    def _checked(self, participant: int, made: Instructions, now_ns: int) -> _Checked:
        """Return the state and reason of each payment, as far as its columns decide."""
        open_ = {(each.participant, each.currency) for each in self._register.positions(OPEN)}
        members = np.array(sorted({each for each, _ in open_}), np.int64)
        places = np.array(sorted(one << 32 | other for one, other in open_), np.int64)
        reason = np.full(made.size, "", object)

        def refuse(rows: Array, code: str) -> None:
            reason[rows & (reason == "")] = code

        has_back = made.back_amounts > 0
        refuse(made.amounts < 1, reasons.ZERO_AMOUNT)
        refuse((made.amounts > AMOUNT_MAX) | (made.back_amounts > AMOUNT_MAX), reasons.TOO_LARGE)
        refuse(~np.isin(made.receivers, members) | (made.receivers == participant), reasons.NO_RECEIVER)
        for currencies, rows in ((made.currencies, np.ones(made.size, bool)), (made.back_currencies, has_back)):
            for party in (np.full(made.size, participant, np.int64), made.receivers):
                refuse(rows & ~np.isin(party << 32 | currencies, places), reasons.NO_CURRENCY)
        refuse((made.until_ns > 0) & (made.until_ns <= now_ns), reasons.TOO_LATE)
        crossing = np.zeros(made.size, np.int64)
        crossing[[*made.chains, *made.back_chains]] = 1
        waits = (crossing == 1) & self._screens
        state = np.select([reason != "", has_back, waits, made.from_ns > now_ns], [0, 1, 2, 3], 4)
        return _Checked(state, reason.tolist(), crossing)


@dataclass(frozen=True, slots=True, eq=False)
class _Checked:
    state: Array  # index of _STATES
    reason: list[str]
    crossing: Array


class _Storing:
    """The messages and payments of one delivery in one transaction."""

    def __init__(
        self, connection: Connection, participant: int, made: Instructions, checked: _Checked,
        verified: Delivery, *, screens: bool,
    ) -> None:  # fmt: skip
        self._connection, self._participant, self._made = connection, participant, made
        self._checked, self._delivery, self._screens = checked, verified.row, screens
        self._owes_answer = int(verified.owes_answers)
        self._reasons: dict[int, str] = {}
        self._own = np.zeros(0, np.int64)  # numbers of the messages, new or not
        self._mismatched = np.zeros(made.size, bool)  # the other side names other amounts
        self._paired: set[int] = set()  # rows whose other side was there before

    def run(self, kind: str, earlier: int | None) -> Receipt:
        size = self._made.size
        message_of = self._messages(kind, earlier)
        numbers = np.zeros(size, np.int64)
        rows = np.flatnonzero(message_of > 0)
        self._check_returns(rows)
        rows = self._pair(rows, message_of, numbers)
        if rows.size:
            numbers[rows] = self._payments(rows, message_of[rows])
        is_new = numbers > 0
        self._remember_partners(rows[is_new[rows]], numbers)
        others = np.flatnonzero(~is_new & ~self._mismatched)
        if others.size:
            self._duplicates(others, message_of, numbers)
        self._permits(numbers, is_new)
        if kind == inbox.CUSTOMER_TRANSFER:
            self._add_to_inbox(numbers, is_new)
        delivery = self._delivery["id"] if earlier is None else earlier
        return Receipt(delivery, numbers, is_new, self._reasons, self._own[self._made.messages], message_of == 0)

    def _add_to_inbox(self, numbers: Array, is_new: Array) -> None:
        """Let the messages of new payments that are not refused wait for their receivers."""
        rows = np.flatnonzero(is_new & (self._checked.state > 0))
        if rows.size:
            own = self._own[self._made.messages[rows]]
            inbox.add_waiting(self._connection, own, numbers[rows], self._made.receivers[rows])

    def _messages(self, kind: str, earlier: int | None) -> Array:
        """Store the new messages; return the number of each payment's message, 0 for one that was there before.

        A message of this delivery that was kept and not answered, as a crash leaves it, counts as new.
        """
        made, first = self._made, next_number(self._connection, MESSAGES.c.message)
        count = len(made.business_ids)
        delivery = self._delivery["id"] if earlier is None else earlier
        columns = {
            "message": np.arange(first, first + count), "participant": self._participant,
            "business_id": list(made.business_ids), "kind": kind, "delivery": id_bytes(delivery),
            "part": np.array(made.parts, np.int64), "owes_answer": self._owes_answer,
        }  # fmt: skip
        insert_columns(self._connection, MESSAGES, columns, may_exist=True)
        query = sqlalchemy.select(MESSAGES.c.message).where(MESSAGES.c.message >= first)
        stored = np.array(self._connection.scalars(query).all(), np.int64)
        is_new = np.zeros(count, bool)
        is_new[stored - first] = True
        self._own = np.arange(first, first + count)
        before = np.flatnonzero(~is_new)
        self._own[before], is_new[before] = self._messages_before(
            [made.business_ids[at] for at in before.tolist()], kind, earlier
        )
        return np.where(is_new, self._own, 0)[made.messages]

    def _messages_before(self, business_ids: Sequence[str], kind: str, earlier: int | None) -> tuple[Array, Array]:
        """Return the number of each message that was there before, and whether it waits for its answer.

        The number is 0 for a message of another kind. `earlier`: the delivery of these bytes, whose messages may wait.
        """
        found: dict[str, tuple[int, bool]] = {}
        mine = (MESSAGES.c.participant == self._participant) & (MESSAGES.c.kind == kind)
        columns = (MESSAGES.c.business_id, MESSAGES.c.message, MESSAGES.c.delivery, MESSAGES.c.answer.is_(None))
        for start in range(0, len(business_ids), _PART):
            chosen = mine & MESSAGES.c.business_id.in_(business_ids[start : start + _PART])
            for id, message, delivery, waits in self._connection.execute(sqlalchemy.select(*columns).where(chosen)):
                found[id] = message, bool(waits) and delivery == earlier
        rows = [found.get(each, (0, False)) for each in business_ids]
        return np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows], bool)

    def _payments(self, rows: Array, messages: Array) -> Array:
        """Store payments; return the number of each, 0 for one whose UETR was there before."""
        made, checked, first = self._made, self._checked, next_number(self._connection, PAYMENTS.c.number)
        states = _STATES[checked.state[rows]].tolist()
        columns = {
            "number": np.arange(first, first + rows.size), "uetr": made.uetrs[rows], "sender": self._participant,
            "receiver": made.receivers[rows], "currency": made.currencies[rows], "minor": made.amounts[rows],
            "back_currency": made.back_currencies[rows], "back_minor": made.back_amounts[rows],
            "priority": made.priorities[rows], "crossing": checked.crossing[rows], "message": messages,
            "back_message": 0, "original": made.originals[rows], "from_ns": made.from_ns[rows],
            "until_ns": made.until_ns[rows], "at_ns": self._delivery["at_ns"], "booked_ns": 0, "answered_ns": 0,
            "reason": [checked.reason[row] for row in rows.tolist()], "state": states,
        }  # fmt: skip
        insert_columns(self._connection, PAYMENTS, columns, may_exist=True)
        query = sqlalchemy.select(PAYMENTS.c.number).where(PAYMENTS.c.number >= first)
        stored = np.array(self._connection.scalars(query).all(), np.int64)
        is_new = np.zeros(rows.size, bool)
        is_new[stored - first] = True
        return np.where(is_new, first + np.arange(rows.size), 0)

    def _check_returns(self, rows: Array) -> None:
        """Refuse returns of payments that are not booked, not the other way, smaller, or returned already."""
        made, checked = self._made, self._checked
        returned: set[int] = set()
        for row in rows[made.originals[rows] != 0].tolist():
            number = int(made.originals[row])
            query = sqlalchemy.select(PAYMENTS).where(PAYMENTS.c.number == number)
            paid = self._connection.execute(query).one_or_none()
            again = (PAYMENTS.c.original == number) & PAYMENTS.c.state.not_in((REFUSED, CANCELLED))
            other = self._connection.scalar(sqlalchemy.select(PAYMENTS.c.number).where(again).limit(1))
            is_right = (
                paid is not None
                and paid.state == BOOKED
                and (paid.receiver, paid.sender, paid.currency)
                == (self._participant, made.receivers[row], made.currencies[row])
                and made.amounts[row] <= paid.minor
                and not made.back_amounts[row]
            )
            if checked.reason[row] == "" and (not is_right or other is not None or number in returned):
                checked.state[row], checked.reason[row] = 0, reasons.NO_ORIGINAL
            returned.add(number)

    def _duplicates(self, rows: Array, message_of: Array, numbers: Array) -> None:
        """Find the first payment of each UETR: a duplicate, or the other side of payment against payment."""
        made = self._made
        names = ("number", "uetr", "sender", "receiver", "currency", "minor", "back_currency", "back_minor", "state")
        condition, parameters = any_of(self._connection, "uetr", made.uetrs[rows])
        query = f"SELECT {', '.join(names)} FROM clearing_payments WHERE {condition}"  # noqa: S608  (our own names)
        stored = self._connection.exec_driver_sql(query, parameters)
        found: dict[bytes, tuple[Any, ...]] = {bytes(each[1]): tuple(each) for each in stored}
        found |= self._paired_before(rows)
        for row in rows.tolist():
            number, _, sender, receiver, *legs, state = found.get(made.uetrs[row].tobytes(), (0, b"", 0, 0, ""))
            mine = (int(made.currencies[row]), int(made.amounts[row]))
            back = (int(made.back_currencies[row]), int(made.back_amounts[row]))
            if (sender, receiver) == (self._participant, made.receivers[row]) and tuple(legs) == (*mine, *back):
                numbers[row] = number
            elif (sender, receiver) == (made.receivers[row], self._participant) and made.back_amounts[row]:
                if tuple(legs) != (*back, *mine):
                    self._reasons[row] = reasons.WRONG_AMOUNT
                elif state == UNMATCHED and message_of[row] and self._checked.reason[row]:
                    self._reasons[row] = self._checked.reason[row]
                else:
                    numbers[row] = number
                    if state == UNMATCHED and message_of[row]:
                        self._merge(number, row, int(message_of[row]))
            else:
                self._reasons[row] = reasons.SAME_UETR if message_of[row] else reasons.SAME_MESSAGE

    def _pair(self, rows: Array, message_of: Array, numbers: Array) -> Array:
        """Join payments to the other side, whose message names this one; return the rows that are stored as new ones.

        A UETR is used, too, if it is the other side's of a payment.
        """
        made = self._made
        left = [True] * rows.size
        used = self._paired_before(rows)
        if not used and not made.partners[rows].any():
            return rows
        for at, row in enumerate(rows.tolist()):
            uetr = made.uetrs[row].tobytes()
            if uetr in used:
                left[at] = False
            elif made.partners[row].any() and not self._checked.reason[row]:
                left[at] = not self._join(row, uetr, message_of, numbers)
        return rows[left]

    def _join(self, row: int, uetr: bytes, message_of: Array, numbers: Array) -> bool:
        """Join a payment to the other side, and return whether it is there."""
        made, connection = self._made, self._connection
        names_this = sqlalchemy.exists().where(PAIRS.c.payment == PAYMENTS.c.number, PAIRS.c.uetr == uetr)
        waits = (PAYMENTS.c.uetr == made.partners[row].tobytes()) & (PAYMENTS.c.state == UNMATCHED)
        other = connection.execute(sqlalchemy.select(PAYMENTS).where(waits, names_this)).one_or_none()
        is_stored = sqlalchemy.select(PAYMENTS.c.number).where(PAYMENTS.c.uetr == uetr)
        ends = (made.receivers[row], self._participant)
        if other is None or (other.sender, other.receiver) != ends or connection.scalar(is_stored) is not None:
            return False
        legs = (made.back_currencies[row], made.back_amounts[row], made.currencies[row], made.amounts[row])
        if (other.currency, other.minor, other.back_currency, other.back_minor) != legs:
            self._mismatched[row], self._reasons[row] = True, reasons.WRONG_AMOUNT
            return True
        self._merge(other.number, row, int(message_of[row]))
        self._paired.add(row)
        numbers[row] = other.number
        return True

    def _merge(self, number: int, row: int, message: int) -> None:
        """Add the terms and the chain of the other side to a payment that waits for it, and let the payment continue.

        The later start, the earlier end and the more urgent priority count. A payment that is matched stays as it is.
        """
        made, connection = self._made, self._connection
        waits = (PAYMENTS.c.number == number) & (PAYMENTS.c.state == UNMATCHED)
        columns = (PAYMENTS.c.from_ns, PAYMENTS.c.until_ns, PAYMENTS.c.priority)
        first = connection.execute(sqlalchemy.select(*columns).where(waits)).one_or_none()
        if first is None:
            return
        until = [each for each in (first.until_ns, int(made.until_ns[row])) if each]
        values = {
            "from_ns": max(first.from_ns, int(made.from_ns[row])), "until_ns": min(until, default=0),
            "priority": min(first.priority, int(made.priorities[row])),
        }  # fmt: skip
        connection.execute(PAYMENTS.update().where(waits).values(values))
        if row in made.chains:
            self._add_chain(number, made.chains[row])
        self.match(number, message)

    def _add_chain(self, number: int, chain: Chain) -> None:
        """Store the chain of the other side: compliance is asked about both."""
        connection, back = self._connection, chain_number(self._connection, chain)
        mine = PERMITS.c.payment == number
        if not connection.execute(PERMITS.update().where(mine).values(back_chain=back)).rowcount:
            row = {
                "payment": number, "chain": 0, "back_chain": back, "digests": "", "network": "", "library": "",
                "until_day": "",
            }  # fmt: skip
            connection.execute(PERMITS.insert().values(row))
        connection.execute(PAYMENTS.update().where(PAYMENTS.c.number == number).values(crossing=1))

    def _remember_partners(self, rows: Array, numbers: Array) -> None:
        """Store which UETR the other side of new payments has."""
        chosen = rows[self._made.partners[rows].any(axis=1)]
        if chosen.size:
            columns = {"payment": numbers[chosen], "uetr": self._made.partners[chosen]}
            insert_columns(self._connection, PAIRS, columns)

    def _paired_before(self, rows: Array) -> dict[bytes, tuple[Any, ...]]:
        """Return the payments whose other side has the UETR of one of these rows, by that UETR."""
        connection = self._connection
        if not rows.size or connection.scalar(sqlalchemy.select(PAIRS.c.payment).limit(1)) is None:
            return {}
        condition, parameters = any_of(connection, "r.uetr", self._made.uetrs[rows])
        names = ("number", "sender", "receiver", "currency", "minor", "back_currency", "back_minor", "state")
        query = (
            f"SELECT r.uetr, {', '.join(f'p.{name}' for name in names)} FROM clearing_pairs r "  # noqa: S608
            f"JOIN clearing_payments p ON p.number = r.payment WHERE p.back_message > 0 AND {condition}"
        )
        return {
            bytes(uetr): (number, uetr, *rest) for uetr, number, *rest in connection.exec_driver_sql(query, parameters)
        }

    def match(self, number: int, message: int) -> None:
        """Let a payment against payment continue: both sides sent its message."""
        now_ns = self._delivery["at_ns"]
        needs, late = (PAYMENTS.c.crossing == 1) & self._screens, PAYMENTS.c.from_ns > now_ns
        state = sqlalchemy.case((needs, VALID), (late, CLEARED), else_=QUEUED)
        chosen = (PAYMENTS.c.number == number) & (PAYMENTS.c.state == UNMATCHED)
        values = {"state": state, "back_message": message}
        self._connection.execute(PAYMENTS.update().where(chosen).values(values))

    def _permits(self, numbers: Array, is_new: Array) -> None:
        """Store the chains of new payments, about which compliance is asked."""
        made = self._made
        crossing = dict.fromkeys([*made.chains, *made.back_chains])
        rows = [row for row in crossing if is_new[row] and row not in self._paired]
        if not rows:
            return
        found = {id(None): 0}  # by the identity of a chain, which many payments share

        def stored(chains: Mapping[int, Chain]) -> Array:
            for chain in map(chains.get, rows):
                if chain is not None and id(chain) not in found:
                    found[id(chain)] = chain_number(self._connection, chain)
            return np.array([found[id(chains.get(row))] for row in rows], np.int64)

        columns = {
            "payment": numbers[rows], "chain": stored(made.chains), "back_chain": stored(made.back_chains),
            "digests": "", "network": "", "library": "", "until_day": "",
        }  # fmt: skip
        insert_columns(self._connection, PERMITS, columns)


def chain_number(connection: Connection, chain: Chain) -> int:
    """Return the number of a chain, which is stored if it is new."""
    text = chain.text
    digest = blake3(text.encode()).hexdigest()
    stored = connection.scalar(sqlalchemy.select(CHAINS.c.chain).where(CHAINS.c.digest == digest))
    if stored is not None:
        return int(stored)
    number = next_number(connection, CHAINS.c.chain)
    connection.execute(CHAINS.insert().values(chain=number, digest=digest, content=text))
    return number


def _decompressed(delivery: int, content: bytes) -> bytes:
    """Return the content of a stored delivery. Raises IntegrityError if it is damaged."""
    try:
        return zlib.decompress(content)
    except zlib.error as error:
        problem = f"the content of delivery {ids.format(delivery)} is damaged: {error}"
        raise IntegrityError(problem, hint="restore the database from a backup") from error


def _earlier(connection: Connection, participant: int, digest: str) -> int | None:
    chosen = (DELIVERIES.c.participant == participant) & (DELIVERIES.c.digest == digest)
    return connection.scalar(sqlalchemy.select(DELIVERIES.c.id).where(chosen))


def next_number(connection: Connection, column: sqlalchemy.Column[Any]) -> int:
    """Return the number after the largest one of a table."""
    return int(connection.scalar(sqlalchemy.select(sqlalchemy.func.max(column))) or 0) + 1
