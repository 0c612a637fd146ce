"""The state machine around the kernels: tables that grow, the rare operations, and reading.

Pure: frames in, answers out. No file, no clock, no randomness, so that a replay gives the same state anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import blake3
import numpy as np

from sycee.core import limits
from sycee.core.codes import Result
from sycee.core.errors import IntegrityError, UnavailableError
from sycee.ledger import digest, kernels, layout
from sycee.ledger.growing import GrowingArray
from sycee.ledger.layout import AccountKind, Kind

Array = np.ndarray[Any, Any]

GROWTH_CHECKED_BYTES: Final = 64 << 20  # smaller growth is not worth asking how much memory there is
_ROWS_MAX: Final = {"accounts": limits.ACCOUNTS_MAX, "purses": limits.PURSES_MAX, "bound": limits.BOUND_MAX}
_INDEXES: Final = (("account_slots", "accounts"), ("bound_slots", "bound"))  # index, and the table whose ids it holds
SLOTS_LOAD_MAX: Final = 0.5  # linear probing stays short below it


@dataclass(frozen=True, slots=True)
class Account:
    """One account as it stands. Amounts in minor units."""

    id: int
    currency: int
    kind: AccountKind
    blocks: layout.Block
    operator: int
    suspense: int
    rule_set: int
    debits_posted: int
    credits_posted: int
    debits_pending: int
    credits_pending: int

    @property
    def balance(self) -> int:
        """Credits less debits, posted."""
        return self.credits_posted - self.debits_posted

    @property
    def available(self) -> int:
        """What may be taken."""
        return self.balance - self.debits_pending


@dataclass(frozen=True, slots=True)
class Purse:
    """What one member holds of one programme. Amounts in minor units; `wallet` is 0 until it is claimed."""

    programme: int
    member: int
    member_id: int
    wallet: int
    state: layout.PurseState
    dropped: int
    spent: int
    refunded: int
    returned: int

    @property
    def left(self) -> int:
        """What may still be spent or returned."""
        return self.dropped - self.spent + self.refunded - self.returned


class LedgerState:
    """All of one ledger, in memory. For one thread: the sequencer lets one frame or reader in at a time."""

    def __init__(self) -> None:
        self.tables = kernels.empty_tables()
        self._growing = {
            name: GrowingArray(getattr(self.tables, name).dtype, getattr(self.tables, name).size)
            for name in ("accounts", "purses", "movements", "bound")
        }
        self.tables = self.tables._replace(**{name: growing.array for name, growing in self._growing.items()})
        self.zones: dict[int, str] = {}  # currency number -> time zone name, in order of definition
        self.groups: set[int] = set()
        self.rule_sets: dict[int, bytes] = {}  # number -> the record that defined it

    # --- frames ---

    def resolve(self, operations: Array) -> tuple[Array, int]:
        """Answer malformed operations and known ids without judging anything: (answers, how many are pending).

        operations: (n,) layout.OPERATION. A pending operation has code kernels.PENDING in its answer.
        """
        answers = np.zeros(operations.size, layout.ANSWER)
        pending = kernels.resolve(self.tables, operations, _words(operations), answers)
        return answers, int(pending)

    def reserve(self, operations: Array, *, available_bytes: Callable[[], int] | None = None) -> None:
        """Make room for all that a frame may create, before it is journaled; `apply` then needs nothing more.

        Raises UnavailableError, with nothing changed, where this machine cannot hold it: `available_bytes` says how
        much memory there is, and is asked only when much is needed. A table in memory is real only once it is written
        to, so a promise of the operating system is not enough: a journaled frame must not kill every start.
        """
        needs, in_use = self._needs(operations), self._in_use()
        for name, most in _ROWS_MAX.items():
            if needs[name] > most:
                raise UnavailableError(
                    f"a ledger holds at most {most:,} rows of {name}, and {needs[name]:,} are asked for"
                )
        bits_shape = self._bits_shape(needs)
        new_bytes = sum((needs[name] - in_use[name]) * getattr(self.tables, name).itemsize for name in self._growing)
        new_bytes += 8 * sum(self._slots(name, needs[rows]) for name, rows in _INDEXES)
        new_bytes += 8 * bits_shape[0] * bits_shape[1] if bits_shape != self.tables.group_bits.shape else 0
        if new_bytes > GROWTH_CHECKED_BYTES and available_bytes and new_bytes > (left := available_bytes()):
            raise _no_memory(f"{new_bytes:,} bytes are needed and {left:,} are there")
        try:
            for name in self._growing:
                self._grow(name, needs[name])
            for name, rows in _INDEXES:
                self._grow_slots(name, needs[rows])
            self._grow_bits(bits_shape)
        except MemoryError as error:
            raise _no_memory(f"{new_bytes:,} bytes are needed") from error

    def _in_use(self) -> dict[str, int]:
        counters = self.tables.counters
        return {
            "accounts": int(counters[kernels.ACCOUNTS]),
            "purses": int(counters[kernels.PURSES]),
            "movements": int(counters[kernels.MOVEMENTS]),
            "bound": int(counters[kernels.BOUND]),
            "groups": len(self.groups),
            "payees": int(counters[kernels.PAYEES]),
        }

    def _needs(self, operations: Array) -> dict[str, int]:
        """How many rows there may be of everything after these operations, at most."""
        needs = self._in_use()
        needs["bound"] += operations.size
        needs["movements"] += operations.size  # a transfer makes one
        kinds = operations["kind"]
        if not kinds.size or int(kinds.min()) == int(kinds.max()) == Kind.TRANSFER:
            return needs

        def count(kind: Kind) -> int:
            return int(np.count_nonzero(kinds == kind))

        # A pay has a leg for each purse and one of its own; a refund retraces them, and each purse's may go home.
        needs["movements"] += limits.PURSES_PER_WALLET_MAX * (count(Kind.PAY) + 2 * count(Kind.REFUND))
        if int(kinds.min()) < Kind.TRANSFER:
            needs["accounts"] += count(Kind.OPEN_ACCOUNT)
            needs["groups"] += count(Kind.DEFINE_GROUP)
            needs["payees"] += count(Kind.JOIN_GROUP)
            opened = operations[kinds == Kind.OPEN_PROGRAMME]
            needs["purses"] += int(opened["count"].astype(np.int64).sum())
            for kind in (Kind.DROP, Kind.EXPIRE):
                needs["movements"] += self._block_movements(operations[kinds == kind], opened)
        return needs

    def _block_movements(self, records: Array, opened: Array) -> int:
        """At most so many movements come of drops, or of expiries: one for each purse of a programme, however often."""
        total = 0
        for number in np.unique(records["number"]).tolist():
            asked = int(records["count"][records["number"] == number].astype(np.int64).sum())
            sizes = opened["count"][opened["number"] == number].tolist()
            if number < self.tables.programmes.size:
                sizes.append(int(self.tables.programmes[number]["count"]))
            total += min(asked, max(sizes, default=0))
        return total

    def apply(self, sequence: int, now_ns: int, operations: Array) -> Array:
        """Apply one frame, in order; (n,) layout.ANSWER. `operations` must have been reserved for."""
        answers = np.zeros(operations.size, layout.ANSWER)
        words = _words(operations)
        at = 0
        while True:
            at = int(kernels.apply(self.tables, operations, words, at, sequence, now_ns, answers))
            if at == operations.size:
                return answers
            result = _HANDLERS[Kind(int(operations["kind"][at]))](self, operations, at)
            kernels.bind_one(self.tables, operations, words, at, sequence, int(result))
            answers[at]["code"] = result
            at += 1

    def digest(self) -> bytes:
        """The 32-byte state digest, docs/reference/ledger.md section 7."""
        return digest.state_digest(self)

    # --- the rare operations; checks in order of precedence ---

    def _define_currency(self, operations: Array, at: int) -> Result:
        number = int(operations["number"][at])
        if number in self.zones:
            return Result.CURRENCY_EXISTS
        if len(self.zones) >= limits.CURRENCIES_MAX:
            return Result.TOO_MANY_CURRENCIES
        zone = operations[at : at + 1].view(np.uint8)[32 : 32 + limits.ZONE_BYTES_MAX].tobytes()
        self.zones[number] = zone.rstrip(b"\0").decode("latin-1")
        self.tables.issuance[number] = -1
        return Result.CREATED

    def _define_group(self, operations: Array, at: int) -> Result:
        number = int(operations["number"][at])
        if number in self.groups:
            return Result.GROUP_EXISTS
        self.groups.add(number)
        self.tables.group_rows[number] = len(self.groups)
        return Result.CREATED

    def _define_rule_set(self, operations: Array, at: int) -> Result:
        record = operations[at : at + 1].view(layout.RULE_SET_OPERATION)[0]
        number = int(record["number"])
        groups = [int(group) for group in record["groups"]]
        if any(group and group not in self.groups for group in groups):
            return Result.GROUP_NOT_FOUND
        if number in self.rule_sets:
            return Result.RULE_SET_EXISTS
        return_row = 0
        if record["return_low"] or record["return_high"]:
            return_row = self.row(join(record["return_low"], record["return_high"]))
            if return_row < 0:
                return Result.RETURN_ACCOUNT_NOT_FOUND
        self._grow("rule_sets", number + 1)
        rules = self.tables.rule_sets[number]
        rules["defined"] = 1
        rules["return_row"] = return_row
        for field in ("flags", "groups", "from_ns", "until_ns"):
            rules[field] = record[field]
        self.rule_sets[number] = record.tobytes()
        return Result.CREATED

    def _open_programme(self, operations: Array, at: int) -> Result:
        record = operations[at]
        number, rule_set = int(record["number"]), int(record["rule_set"])
        rules = self.rule_sets.get(rule_set)
        if rules is None:
            return Result.RULE_SET_NOT_FOUND
        if number < self.tables.programmes.size and self.tables.programmes[number]["defined"]:
            return Result.PROGRAMME_EXISTS
        definition = np.frombuffer(rules, layout.RULE_SET_OPERATION)[0]
        if not (definition["return_low"] or definition["return_high"]):
            return Result.RETURN_ACCOUNT_NOT_FOUND
        funder = self.row(join(record["debit_low"], record["debit_high"]))
        if funder < 0:
            return Result.DEBIT_ACCOUNT_NOT_FOUND
        return_row = int(self.tables.rule_sets[rule_set]["return_row"])
        currency = self.tables.accounts[funder]["currency"]
        if self.tables.accounts[return_row]["currency"] != currency:
            return Result.CURRENCIES_MUST_MATCH
        first, count = int(self.tables.counters[kernels.PURSES]), int(record["count"])
        self._grow("purses", first + count)
        self._grow("programmes", number + 1)
        self.tables.purses["programme"][first : first + count] = number
        self.tables.counters[kernels.PURSES] = first + count
        programme = self.tables.programmes[number]
        programme["defined"] = 1
        programme["rule_set"], programme["funder"], programme["currency"] = rule_set, funder, currency
        programme["count"], programme["first_purse"] = count, first
        programme["claim_from_ns"], programme["claim_until_ns"] = record["from_ns"], record["until_ns"]
        return Result.CREATED

    def _seal_cohort(self, operations: Array, at: int) -> Result:
        record = operations[at]
        number = int(record["number"])
        if number >= self.tables.programmes.size or not self.tables.programmes[number]["defined"]:
            return Result.PROGRAMME_NOT_FOUND
        programme = self.tables.programmes[number]
        if programme["sealed"]:
            return Result.COHORT_SEALED
        if programme["filled"] != programme["count"]:
            return Result.COHORT_INCOMPLETE
        if operations[at : at + 1].view(np.uint8)[32:64].tobytes() != self.cohort_digest(number):
            return Result.COHORT_DIGEST_DIFFERS
        programme["sealed"] = 1
        programme["seal_low"], programme["seal_high"] = record["id_low"], record["id_high"]
        return Result.CREATED

    # --- reading ---

    def row(self, account_id: int) -> int:
        """Row of an account, -1 where there is none."""
        return int(self.rows(np.array([split(account_id)], dtype=[("low", "<u8"), ("high", "<u8")]))[0])

    def rows(self, ids: Array) -> Array:
        """Account rows of many ids: (n,) records with `low` and `high` to (n,) int64, -1 where there is none."""
        rows = np.empty(ids.size, np.int64)
        low, high = np.ascontiguousarray(ids["low"]), np.ascontiguousarray(ids["high"])
        kernels.rows_of(self.tables, low, high, rows)
        return rows

    def account(self, account_id: int) -> Account | None:
        """The account with this id, or None."""
        row = self.row(account_id)
        if row < 0:
            return None
        record = self.tables.accounts[row]
        return Account(
            id=account_id,
            currency=int(record["currency"]),
            kind=AccountKind(int(record["kind"])),
            blocks=layout.Block(int(record["blocks"])),
            operator=int(record["operator"]),
            suspense=self.account_id(int(record["suspense"])),
            rule_set=int(record["rule_set"]),
            debits_posted=int(record["debits_posted"]),
            credits_posted=int(record["credits_posted"]),
            debits_pending=int(record["debits_pending"]),
            credits_pending=int(record["credits_pending"]),
        )

    def account_id(self, row: int) -> int:
        """Id of the account in a row."""
        record = self.tables.accounts[row]
        return join(record["id_low"], record["id_high"])

    def purse(self, programme: int, member: int) -> Purse | None:
        """The purse of a member of a programme, or None."""
        if (
            not 0 < programme < self.tables.programmes.size
            or not 0 <= member < self.tables.programmes[programme]["count"]
        ):
            return None
        record = self.purses(programme)[member]
        return Purse(
            programme=programme,
            member=member,
            member_id=join(record["member_low"], record["member_high"]),
            wallet=self.account_id(int(record["wallet"]) - 1) if record["wallet"] else 0,
            state=layout.PurseState(int(record["state"])),
            dropped=int(record["dropped"]),
            spent=int(record["spent"]),
            refunded=int(record["refunded"]),
            returned=int(record["returned"]),
        )

    def purses(self, programme: int) -> Array:
        """A programme's block, in cohort order: (count,) layout.PURSE, a view that must not be written."""
        record = self.tables.programmes[programme]
        first = int(record["first_purse"])
        block: Array = self.tables.purses[first : first + int(record["count"])]
        return block

    @property
    def accounts(self) -> Array:
        """All accounts in order of opening: a view that must not be written."""
        array: Array = self.tables.accounts[: self.tables.counters[kernels.ACCOUNTS]]
        return array

    @property
    def movements(self) -> Array:
        """All movements; number n stands at index n - 1: a view that must not be written."""
        array: Array = self.tables.movements[: self.tables.counters[kernels.MOVEMENTS]]
        return array

    @property
    def bound(self) -> Array:
        """All bound operations in order of place: a view that must not be written."""
        array: Array = self.tables.bound[: self.tables.counters[kernels.BOUND]]
        return array

    def movement_numbers(self, row: int, *, newest: int | None = None) -> list[int]:
        """Numbers of an account's movements, newest first, along its chain: O(k)."""
        movements = self.tables.movements
        number = int(self.tables.accounts[row]["last_movement"])
        numbers: list[int] = []
        while number and (newest is None or len(numbers) < newest):
            numbers.append(number)
            movement = movements[number - 1]
            number = int(
                movement["debit_previous"] if int(movement["debit_row"]) == row else movement["credit_previous"]
            )
        return numbers

    def supply(self, currency: int) -> int:
        """Money in circulation: the debit balance of the currency's issuance account, in minor units."""
        row = int(self.tables.issuance[currency]) - 1
        if row < 0:
            return 0
        account = self.tables.accounts[row]
        return int(account["debits_posted"]) - int(account["credits_posted"])

    def cohort_digest(self, programme: int) -> bytes:
        """BLAKE3-256 over the member ids that came so far, in order."""
        purses = self.purses(programme)[: int(self.tables.programmes[programme]["filled"])]
        members = np.empty((purses.size, 2), np.uint64)
        members[:, 0], members[:, 1] = purses["member_low"], purses["member_high"]
        return blake3.blake3(members.tobytes()).digest()

    def check(self) -> None:
        """Recompute what must always hold, from the tables and from the movements. Raises IntegrityError."""
        accounts, purses = self.accounts, self.tables.purses[: self.tables.counters[kernels.PURSES]]
        left = purses["dropped"] - purses["spent"] + purses["refunded"] - purses["returned"]
        balance = accounts["credits_posted"] - accounts["debits_posted"]
        purse_currency = self.tables.programmes["currency"][purses["programme"]]
        for currency in self.zones:
            total = exact_sum(balance[accounts["currency"] == currency]) + exact_sum(left[purse_currency == currency])
            if total:
                raise IntegrityError(f"currency {currency}: all accounts and purses sum to {total}, not to zero")
        below = (balance - accounts["debits_pending"] < 0) & (accounts["kind"] != AccountKind.ISSUANCE)
        for name, wrong in (("account", np.flatnonzero(below)), ("purse", np.flatnonzero(left < 0))):
            if wrong.size:
                raise IntegrityError(f"{name} row {wrong[0]} is below zero")
        for name, wrong in (
            ("an expired purse holds money", (purses["state"] == layout.PurseState.EXPIRED) & (left != 0)),
            (
                "an empty purse has a history",
                (purses["state"] == layout.PurseState.EMPTY) & (purses["last_movement"] != 0),
            ),
        ):
            if wrong.any():
                raise IntegrityError(f"purse row {np.flatnonzero(wrong)[0]}: {name}")
        too_much = self.bound["refunded"] > self.bound["amount"]
        if too_much.any():
            raise IntegrityError(f"bound row {np.flatnonzero(too_much)[0]}: more was refunded than was paid")
        self._check_movements(accounts, purses)

    def check_times(self, frame_times: Array) -> None:
        """No purse paid outside its programme's spending window or returned before its end. Raises IntegrityError.

        frame_times: (frames + 1,) int64 by sequence, nanoseconds.
        """
        movements = self.movements
        times = frame_times[(movements["place"] >> np.uint64(limits.PLACE_INDEX_BITS)).astype(np.int64)]
        rule_set = self.tables.programmes["rule_set"][self.tables.purses["programme"]]
        for purposes, name in (
            ((layout.Purpose.PAY_PURSE,), "paid outside its spending window"),
            ((layout.Purpose.RETURN, layout.Purpose.RETURN_SUSPENSE), "returned before its programme expired"),
        ):
            chosen = np.isin(movements["purpose"], purposes)
            purse = movements["debit_row"][chosen].astype(np.int64) - layout.PURSE_BIT
            rules = self.tables.rule_sets[rule_set[purse]]
            inside = (rules["from_ns"] <= times[chosen]) & (times[chosen] < rules["until_ns"])
            wrong = ~inside if layout.Purpose.PAY_PURSE in purposes else times[chosen] < rules["until_ns"]
            if wrong.any():
                raise IntegrityError(f"purse row {purse[np.flatnonzero(wrong)[0]]} {name}")

    def _check_movements(self, accounts: Array, purses: Array) -> None:
        """Movements added up from zero must give every posted total."""
        movements = self.movements
        for column, side in (("debit_row", "debits_posted"), ("credit_row", "credits_posted")):
            rows = movements[column].astype(np.int64)
            is_account = rows < layout.PURSE_BIT
            totals = _totals(rows[is_account], movements["amount"][is_account], accounts.size)
            wrong = np.flatnonzero(totals != accounts[side])
            if wrong.size:
                raise IntegrityError(f"account row {wrong[0]}: its movements do not add up to its {side}")
        for column, purpose, side in (
            ("credit_row", (layout.Purpose.DROP,), "dropped"),
            ("debit_row", (layout.Purpose.PAY_PURSE,), "spent"),
            ("credit_row", (layout.Purpose.REFUND_PURSE,), "refunded"),
            ("debit_row", (layout.Purpose.RETURN, layout.Purpose.RETURN_SUSPENSE), "returned"),
        ):
            chosen = movements[np.isin(movements["purpose"], purpose)]
            rows = chosen[column].astype(np.int64) - layout.PURSE_BIT
            wrong = np.flatnonzero(_totals(rows, chosen["amount"], purses.size) != purses[side])
            if wrong.size:
                raise IntegrityError(f"purse row {wrong[0]}: its movements do not add up to its {side}")

    # --- growth ---

    def _enlarged(self, name: str, needed: int) -> int:
        """The length to give a table that must hold `needed` rows: its own, or twice that."""
        length: int = getattr(self.tables, name).shape[0]
        return length if needed <= length else max(needed, 2 * length)

    def _grow(self, name: str, needed: int) -> None:
        array: Array = getattr(self.tables, name)
        length = self._enlarged(name, needed)
        if length == array.shape[0]:
            return
        if name in self._growing:
            larger = self._growing[name].grow(length)
        else:
            larger = np.zeros(length, array.dtype)
            larger[: array.shape[0]] = array
        self.tables = self.tables._replace(**{name: larger})

    def _slots(self, name: str, needed: int) -> int:
        """How many slots an index must get to hold `needed` ids; 0 where it has enough."""
        if needed <= (getattr(self.tables, name).size - 1) * SLOTS_LOAD_MAX:
            return 0
        return 1 << (int(needed / SLOTS_LOAD_MAX) - 1).bit_length()

    def _grow_slots(self, name: str, needed: int) -> None:
        size = self._slots(name, needed)
        if not size:
            return
        slots = kernels.empty_slots(size)
        if name == "account_slots":
            kernels.rehash_accounts(slots, self.tables.accounts, int(self.tables.counters[kernels.ACCOUNTS]))
        else:
            # What is bound was hashed with the key that it has: the contents of retries are compared by it.
            slots[-1] = self.tables.bound_slots[-1]
            kernels.rehash_bound(slots, self.tables.bound, int(self.tables.counters[kernels.BOUND]))
        self.tables = self.tables._replace(**{name: slots})

    def _bits_shape(self, needs: dict[str, int]) -> tuple[int, int]:
        """Rows and words of the payee groups' bits for so many groups and payees; payees count from 1."""
        rows, words = self.tables.group_bits.shape
        needed_words = (needs["payees"] >> 6) + 1
        return (
            rows if needs["groups"] <= rows else max(needs["groups"], 2 * rows),
            words if needed_words <= words else max(needed_words, 2 * words),
        )

    def _grow_bits(self, shape: tuple[int, int]) -> None:
        bits = self.tables.group_bits
        if shape != bits.shape:
            wider = np.zeros(shape, np.uint64)
            wider[: bits.shape[0], : bits.shape[1]] = bits
            self.tables = self.tables._replace(group_bits=wider)


# Functions rather than bound methods: a state that referred to itself would keep its tables until the next collection.
_HANDLERS: Final = {
    Kind.DEFINE_CURRENCY: LedgerState._define_currency,
    Kind.DEFINE_GROUP: LedgerState._define_group,
    Kind.DEFINE_RULE_SET: LedgerState._define_rule_set,
    Kind.OPEN_PROGRAMME: LedgerState._open_programme,
    Kind.SEAL_COHORT: LedgerState._seal_cohort,
}


def _no_memory(numbers: str) -> UnavailableError:
    return UnavailableError(
        f"this machine's memory cannot hold what these operations create: {numbers}",
        hint="open smaller programmes, or use a machine with more memory",
    )


def exact_sum(values: Array) -> int:
    """Sum of int64 values as a Python int: halves are summed apart, so that nothing wraps."""
    return int((values >> 32).sum(dtype=np.int64)) * (1 << 32) + int((values & 0xFFFFFFFF).sum(dtype=np.int64))


def _totals(rows: Array, amounts: Array, size: int) -> Array:
    """Sum of `amounts` by row, exact below 2**63 (each total is a posted total, which is)."""
    totals = np.zeros(size, np.int64)
    np.add.at(totals, rows, amounts)
    return totals


def split(identifier: int) -> tuple[int, int]:
    """An id as (low, high) 64-bit halves."""
    return identifier & 0xFFFFFFFFFFFFFFFF, identifier >> 64


def join(low: Any, high: Any) -> int:
    """An id from its 64-bit halves."""
    return int(high) << 64 | int(low)


def _words(operations: Array) -> Array:
    return operations.view(np.uint64).reshape(operations.size, limits.RECORD_BYTES // 8)
