"""Vouchers: reserved, activated for a beneficiary, redeemed in parts, cancelled, and expired by the ledger's time.

Money is the ledger's: a voucher is a HOLD of the funder's money, which ends automatically. Further data in SQL are
written by intents, so that both stores agree after a crash.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.limits import I64_MAX
from sycee.core.records import operations
from sycee.core.records.layout import HoldState
from sycee.core.result_codes import Result
from sycee.core.words import quantity
from sycee.database.actions import Draft, Intent, IntentOutcome
from sycee.database.jobs import Run
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity.people import People
from sycee.ledger import queries
from sycee.personal.keys import PersonalKeys
from sycee.programmes.service import Programmes
from sycee.sequencer.signer import Signer
from sycee.vouchers import numbers, steps, tables
from sycee.vouchers.groups import EXPIRE_JOB, Group, Groups
from sycee.vouchers.refusals import AttemptsExhausted, Code, VoucherRefused, of_ledger, of_state
from sycee.vouchers.steps import Step, Voucher, vouchers_in
from sycee.vouchers.tables import ATTEMPTS, DONE, LIVE, REFUSED, SENT, STEP_ROWS, VOUCHERS
from sycee.wallets.directory import Directory

ISSUE: Final = "voucher.issue"
ACTIVATE: Final = "voucher.activate"
REDEEM: Final = "voucher.redeem"
CANCEL: Final = "voucher.cancel"
PRINT: Final = "voucher.print"
ROWS_MAX: Final = 1_000  # of one request: its answer has a row for each
ATTEMPTS_MAX: Final = 10  # wrong numbers of one person for one shop on one day
_LEDGER_STATES: Final = {tables.REDEEMED: HoldState.POSTED, tables.CANCELLED: HoldState.VOIDED}


@dataclass(frozen=True, slots=True)
class RowResult:
    """The outcome of one row. `step`: what was asked; `outcome`: done, refused or sent; `code`: of a refusal, or ""."""

    serial: int
    step: str
    outcome: str
    code: str
    minor: int
    state: str


@dataclass(frozen=True, slots=True)
class Redemption:
    """A redemption. `payment`: the operation that paid the shop. `rest_minor`, `state`: of the voucher now."""

    payment: int
    serial: int
    minor: int
    rest_minor: int
    state: str


class Vouchers:
    """The vouchers of one bank. `zone`: of the days on which wrong numbers are counted."""

    def __init__(
        self, stores: Stores, people: People, directory: Directory, programmes: Programmes, groups: Groups,
        keys: PersonalKeys, zone: ZoneInfo,
    ) -> None:  # fmt: skip
        self._stores, self._people, self._directory = stores, people, directory
        self._programmes, self.groups, self._keys, self._zone = programmes, groups, keys, zone
        stores.actions.register(*(_Finish(name) for name in (ISSUE, REDEEM, CANCEL)))
        stores.jobs.register(EXPIRE_JOB, self._expire)

    # --- reading ---

    def get(self, serial: int) -> Voucher:
        """Return a voucher; one whose time is over is expired, whether or not the job ran. NotFound if none."""
        with reading(self._stores.engine) as connection:
            found = vouchers_in(connection, [serial]).get(serial)
        if found is None:
            raise NotFound(f"there is no voucher {serial}", hint="name the first ten digits of its number")
        return self._now(found)

    def steps(self, serial: int) -> Sequence[Step]:
        """Return what was done with a voucher, in order."""
        with reading(self._stores.engine) as connection:
            return steps.steps_in(connection, [serial])

    def batch(self, id: int, *, after: int = -1, most: int = ROWS_MAX) -> Sequence[RowResult]:
        """Return up to `most` rows of a request with serials above `after`, by serial, each with its outcome."""
        chosen = (STEP_ROWS.c.id == id) & (STEP_ROWS.c.serial > after)
        query = sqlalchemy.select(STEP_ROWS).where(chosen).order_by(STEP_ROWS.c.serial).limit(most)
        with reading(self._stores.engine) as connection:
            made = [steps.step_of(row) for row in connection.execute(query)]
            found = vouchers_in(connection, [each.serial for each in made])
        return [self._row(each, found[each.serial]) for each in made]

    def group_of(self, id: int) -> Group:
        """Return the group of the vouchers of a request. Raises NotFound if there is no such request."""
        joined = VOUCHERS.join(STEP_ROWS, VOUCHERS.c.serial == STEP_ROWS.c.serial)
        query = sqlalchemy.select(VOUCHERS.c.group).select_from(joined).where(STEP_ROWS.c.id == id).limit(1)
        with reading(self._stores.engine) as connection:
            group = connection.scalar(query)
        if group is None:
            raise NotFound(f"there is no batch {ids.format(id)}", hint="name the id that the request printed")
        return self.groups.get(group)

    def operator_of(self, number: str) -> int | None:
        """Return the operator of the voucher that a number names, right or wrong; None if there is none."""
        serial, _ = numbers.parse(number)
        with reading(self._stores.engine) as connection:
            found = vouchers_in(connection, [serial]).get(serial)
        return None if found is None else self.groups.get(found.group).operator

    def numbers(self, batch: int, *, who: int) -> dict[int, str]:
        """Return the numbers of a batch's vouchers by serial, for printing. Each one gets a step that names the reader.

        Raises NotFound if there is no such batch.
        """
        found = self.group_of(batch)
        self._people.require(who, PRINT, operator=found.operator)
        now_ns = read_ns(self._stores.clock)
        id = ids.new(now_ns // 1_000_000)

        def store(connection: Connection) -> list[Voucher]:
            chosen = (VOUCHERS.c.batch == batch) & (VOUCHERS.c.state.in_(LIVE))
            query = sqlalchemy.select(VOUCHERS).where(chosen).order_by(VOUCHERS.c.serial)
            rows = [steps.voucher_of(row) for row in connection.execute(query)]
            steps.add(connection, [_step(each, id, tables.PRINT, who, now_ns, state=DONE) for each in rows])
            return rows

        key = self._keys.hash_key
        return {
            each.serial: numbers.number_text(each.serial, numbers.secret_of(key, each.serial, each.hold))
            for each in write(self._stores.engine, store)
        }

    # --- pre-activation ---

    def reserve(
        self, group: str, amounts: Sequence[int], *, signers: Sequence[Signer], who: int, id: int = 0
    ) -> Sequence[RowResult]:
        """Reserve money of a group's funder for new vouchers; return a row for each. The operator signs.

        `id`: of the batch; the same id again returns its rows. A row that the ledger refuses has its code, and the
        others are reserved all the same. Raises UsageError for a group that is not open and for wrong amounts;
        VoucherRefused if all of them together exceed the budget that is left: nothing is reserved then.
        """
        found = self.groups.get(group)
        self._people.require(who, ISSUE, operator=found.operator)
        now_ns = read_ns(self._stores.clock)
        id = id or ids.new(now_ns // 1_000_000)
        if self._stores.intents.outcome(id, ISSUE) is not None:
            return self.batch(id)
        self._programmes.get(found.programme).require_running()
        found.require_open(now_ns)
        _check_rows(amounts)
        if not all(0 < minor <= I64_MAX for minor in amounts):
            raise UsageError("the amount of a voucher must be positive", hint="give minor units, such as 1250")
        holds = [ids.new(now_ns // 1_000_000) for _ in amounts]
        records = operations.hold(
            np.array([ids.split(each) for each in holds], ids.ID),
            payer=found.funder, payee=found.account, amount=np.array(amounts, np.int64), until_ns=found.until_ns,
        )  # fmt: skip

        def before(connection: Connection) -> None:
            _check_budget(connection, found, sum(amounts))
            last = connection.scalar(sqlalchemy.select(sqlalchemy.func.max(VOUCHERS.c.serial))) or 0
            if last + len(amounts) > numbers.SERIAL_MAX:
                raise UsageError("no serials of vouchers are left", hint="serials are never used twice")
            made = [
                Voucher(last + 1 + row, group, hold, id, row, minor, 0, found.until_ns, None, tables.RESERVING)
                for row, (hold, minor) in enumerate(zip(holds, amounts, strict=True))
            ]
            names = Voucher.__slots__
            connection.execute(VOUCHERS.insert(), [{name: getattr(each, name) for name in names} for each in made])
            steps.add(connection, [_step(each, id, tables.RESERVE, who, now_ns, minor=each.minor) for each in made])

        draft = Draft(ISSUE, records, {"group": group}, who=who, signers=signers, before=before, id=id)
        self._stores.intents.perform(draft)
        return self.batch(id)

    # --- activation ---

    def activate(self, group: str, rows: Sequence[tuple[int, str]], *, who: int, id: int = 0) -> Sequence[RowResult]:
        """Activate vouchers of a group, each for a beneficiary: (serial, id). Return a row for each, by serial.

        An id is stored as a keyed hash. A voucher that is activated for the same beneficiary stays so. `id`: of the
        request; the same id again returns its rows. A serial that the group does not have is refused with its code.
        """
        found = self.groups.get(group)
        self._people.require(who, ACTIVATE, operator=found.operator)
        serials = [serial for serial, _ in rows]
        _check_rows(serials, distinct=True)
        key = self._keys.hash_key
        hashes = {serial: numbers.beneficiary_hash(key, text) for serial, text in rows}
        now_ns = read_ns(self._stores.clock)
        id = id or ids.new(now_ns // 1_000_000)
        self._programmes.get(found.programme).require_running()

        def store(connection: Connection) -> dict[int, RowResult]:
            if steps.steps_of(connection, id):
                return _unknown(self._own(connection, group, serials), serials)
            own = self._own(connection, group, serials)
            codes = {serial: _activation_code(each, hashes[serial]) for serial, each in own.items()}
            for serial, code in codes.items():
                if not code:
                    chosen = VOUCHERS.c.serial == serial
                    connection.execute(VOUCHERS.update().where(chosen).values(beneficiary=hashes[serial]))
            made = [
                _step(each, id, tables.ACTIVATE, who, now_ns, state=REFUSED if codes[serial] else DONE,
                      code=codes[serial])
                for serial, each in own.items()
            ]  # fmt: skip
            steps.add(connection, made)
            steps.derive(connection, list(own))
            return _unknown(own, serials)

        unknown = write(self._stores.engine, store)
        return sorted([*self.batch(id), *unknown.values()], key=lambda each: each.serial)

    # --- redemption ---

    def redeem(
        self, number: str, payee: int, minor: int, *, signers: Sequence[Signer], who: int, beneficiary: str = "",
        operation: int = 0,
    ) -> Redemption:  # fmt: skip
        """Pay a shop from a voucher: all of it, or a part. The group's operator signs.

        - `payee`: the shop's account. `beneficiary`: an id that must be the one of the activation, if it is given.
        - `operation`: the payment's id. The same id again returns the first outcome.

        Raises UsageError for a number of wrong form, AttemptsExhausted after ten wrong numbers for one shop today, and
        VoucherRefused with a stable code otherwise: nothing was paid.
        """
        self._people.require(who, REDEEM)
        serial, secret = numbers.parse(number)
        if not 0 < minor <= I64_MAX:
            raise UsageError("the amount must be positive", hint="give minor units, such as 1250")
        if operation and (outcome := self._stores.intents.outcome(operation, REDEEM)) is not None:
            return self._redeemed(outcome, serial, payee, minor)
        found = self._proven(serial, secret, payee, who)
        group = self.groups.get(found.group)
        self._people.require(who, REDEEM, operator=group.operator)
        if found.state != tables.ACTIVATED:
            raise VoucherRefused(of_state(found.state))
        if beneficiary and found.beneficiary != numbers.beneficiary_hash(self._keys.hash_key, beneficiary):
            raise VoucherRefused(Code.BENEFICIARY_DIFFERS)
        if minor > found.rest_minor:
            raise VoucherRefused(Code.EXCEEDS_VOUCHER)
        if self._directory.find(payee) is None:
            raise VoucherRefused(Code.SHOP_NOT_IN_GROUP)
        now_ns = read_ns(self._stores.clock)
        operation = operation or ids.new(now_ns // 1_000_000)
        records = operations.chain(
            operations.post(ids.new(now_ns // 1_000_000), hold=found.hold, by=group.account, amount=minor),
            operations.pay(operation, payer=group.account, payee=payee, amount=minor),
        )

        def before(connection: Connection) -> None:
            made = _step(found, operation, tables.REDEEM, who, now_ns, minor=minor, payee=payee)
            steps.add(connection, [made])

        payload = {"group": group.group, "serial": serial}
        draft = Draft(REDEEM, records, payload, who=who, signers=signers, before=before, id=operation)
        return self._redeemed(self._stores.intents.perform(draft), serial, payee, minor)

    def _redeemed(self, outcome: IntentOutcome, serial: int, payee: int, minor: int) -> Redemption:
        """Return the redemption of an outcome. Raises VoucherRefused if it was refused."""
        with reading(self._stores.engine) as connection:
            (step,) = steps.steps_of(connection, outcome.intent)
        if (step.serial, step.payee, step.minor) != (serial, payee, minor):
            raise UsageError(
                f"another redemption has the id {ids.format(outcome.intent)}", hint="use a fresh id for a new one"
            )
        found = self.get(serial)
        if step.state != DONE:
            if step.code != Result.HOLD_DONE.name:
                raise VoucherRefused(step.code)
            # The hold ended by a redemption or a cancellation, whose outcome SQL may not have yet.
            raise VoucherRefused(Code.EXCEEDS_VOUCHER if found.state in LIVE else of_state(found.state))
        return Redemption(outcome.intent, serial, minor, found.rest_minor, found.state)

    def _proven(self, serial: int, secret: int, payee: int, who: int) -> Voucher:
        """Return the voucher whose number a person sent. Count a wrong number against this person and this shop."""
        now_ns = read_ns(self._stores.clock)
        day = datetime.fromtimestamp(now_ns / 1e9, self._zone).date().isoformat()
        chosen = (ATTEMPTS.c.who == who) & (ATTEMPTS.c.payee == payee) & (ATTEMPTS.c.day == day)
        with reading(self._stores.engine) as connection:
            count = connection.scalar(sqlalchemy.select(ATTEMPTS.c.count).where(chosen)) or 0
            found = vouchers_in(connection, [serial]).get(serial)
        if count >= ATTEMPTS_MAX:
            raise AttemptsExhausted(
                f"{ATTEMPTS_MAX} wrong numbers were sent for this shop today",
                hint="try again tomorrow; no voucher is locked",
            )
        # One comparison in any case, so that its time does not tell whether the serial exists.
        right = numbers.secret_of(self._keys.hash_key, serial, found.hold if found is not None else 0)
        is_right = secrets.compare_digest(right.to_bytes(8, "big"), secret.to_bytes(8, "big"))
        if found is not None and is_right:
            return self._now(found)

        def store(connection: Connection) -> None:
            if not connection.execute(ATTEMPTS.update().where(chosen).values(count=ATTEMPTS.c.count + 1)).rowcount:
                connection.execute(ATTEMPTS.insert().values(who=who, payee=payee, day=day, count=1))

        write(self._stores.engine, store)
        raise VoucherRefused(Code.VOUCHER_NUMBER_WRONG, hint="check the number; the voucher is not locked")

    # --- cancellation ---

    def cancel(
        self, group: str, serials: Sequence[int], *, signers: Sequence[Signer], who: int, id: int = 0
    ) -> Sequence[RowResult]:
        """Cancel vouchers of a group: the rest of each returns to the funder. Return a row for each, by serial.

        The operator signs one VOID for each. Redeemed amounts stay paid. `id`: of the request; the same id again
        returns its rows. A voucher that is used, cancelled or expired is refused with its code. Raises NotFound, with
        nothing done, if the group does not have one of the vouchers.
        """
        found = self.groups.get(group)
        self._people.require(who, CANCEL, operator=found.operator)
        _check_rows(serials, distinct=True)
        now_ns = read_ns(self._stores.clock)
        id = id or ids.new(now_ns // 1_000_000)
        if self._stores.intents.outcome(id, CANCEL) is not None:
            return self.batch(id)
        with reading(self._stores.engine) as connection:
            own = self._own(connection, group, serials)
        if unknown := [serial for serial in serials if serial not in own]:
            raise NotFound(f"the group {group} has no voucher {unknown[0]}", hint="nothing was cancelled")
        records = operations.void(
            np.array([ids.split(ids.new(now_ns // 1_000_000)) for _ in serials], ids.ID),
            hold=np.array([ids.split(own[serial].hold) for serial in serials], ids.ID), by=found.account,
        )  # fmt: skip
        made = [_step(own[serial], id, tables.CANCEL, who, now_ns) for serial in serials]
        draft = Draft(
            CANCEL, records, {"group": group, "serials": list(serials)}, who=who, signers=signers, id=id,
            before=lambda connection: steps.add(connection, made),
        )  # fmt: skip
        self._stores.intents.perform(draft)
        return self.batch(id)

    # --- expiry ---

    def _expire(self, run: Run) -> None:
        """Store the end of a group's vouchers, whose holds the ledger has ended by its time."""
        now_ns = read_ns(self._stores.clock)
        chosen = (VOUCHERS.c.group == run.payload["group"]) & VOUCHERS.c.state.in_(LIVE)
        query = sqlalchemy.select(VOUCHERS).where(chosen & (VOUCHERS.c.until_ns <= now_ns)).limit(ROWS_MAX)

        def expire(connection: Connection) -> int:
            found = [steps.voucher_of(row) for row in connection.execute(query)]
            made = [_step(each, run.id, tables.EXPIRE, 0, now_ns, minor=each.rest_minor, state=DONE) for each in found]
            steps.add(connection, made)
            steps.derive(connection, [each.serial for each in found])
            return len(found)

        while write(self._stores.engine, expire):
            pass

    # --- agreement ---

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each voucher whose hold is not in its state, or has not its rest."""
        accounts = {each.group: each.account for each in self.groups.list()}
        query = sqlalchemy.select(VOUCHERS).where(VOUCHERS.c.state != tables.RESERVING).order_by(VOUCHERS.c.serial)
        with reading(self._stores.engine) as connection:
            found = [steps.voucher_of(row) for row in connection.execute(query)]
        for at in range(0, len(found), queries.READS_MAX):
            part = found[at : at + queries.READS_MAX]
            sequencer = self._stores.ledger.sequencer
            answers = sequencer.read(queries.holds([each.hold for each in part]))
            now_ns = int(sequencer.frame_times[answers.sequence])
            for number, each in enumerate(part):
                hold = answers.hold(number)
                if hold is None or each.state == REFUSED:
                    is_right = hold is None and each.state == REFUSED
                elif each.state in _LEDGER_STATES:
                    is_right = hold.state is _LEDGER_STATES[each.state]
                elif hold.state is HoldState.OPEN:
                    is_right = hold.held == each.minor - each.redeemed_minor
                else:
                    is_right = hold.state is HoldState.TIMED_OUT and each.until_ns <= now_ns
                if not is_right or (hold is not None and hold.payee != accounts.get(each.group)):
                    yield f"the voucher {each.serial} is {each.state}, and the ledger disagrees"

    # --- helpers ---

    def _now(self, voucher: Voucher) -> Voucher:
        """Return a voucher as of now: one whose time is over is expired."""
        if voucher.state in LIVE and voucher.until_ns <= read_ns(self._stores.clock):
            return Voucher(**{**{name: getattr(voucher, name) for name in Voucher.__slots__}, "state": tables.EXPIRED})
        return voucher

    def _own(self, connection: Connection, group: str, serials: Sequence[int]) -> dict[int, Voucher]:
        """Return those of the vouchers that a group has, as of now."""
        found = vouchers_in(connection, serials)
        return {serial: self._now(each) for serial, each in found.items() if each.group == group}

    def _row(self, step: Step, voucher: Voucher) -> RowResult:
        if step.step == tables.CANCEL:
            minor = voucher.returned_minor if step.state == DONE else 0
        else:
            minor = step.minor if step.step == tables.REDEEM else voucher.minor
        return RowResult(step.serial, step.step, step.state, step.code, minor, self._now(voucher).state)


class _Finish:
    """Set the outcomes of the steps whose records went to the ledger, and derive their vouchers."""

    def __init__(self, name: str) -> None:
        self.name = name

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Set the outcome of each step: of each record, or of the chain of a redemption."""
        if self.name == REDEEM:
            refusal = IntentOutcome(intent.id, DONE, tuple(results), 0).refusal
            code = "" if refusal is None else of_ledger(refusal, tables.REDEEM)
            steps.finish(connection, intent.id, {intent.payload["serial"]: code})
            return
        serials, step = self._serials(connection, intent), tables.RESERVE if self.name == ISSUE else tables.CANCEL
        found = vouchers_in(connection, serials)
        codes = {}
        for serial, result in zip(serials, results, strict=True):
            # A hold that ended by redemption in full or by cancellation, which the voucher's state shows.
            ended = result is Result.HOLD_DONE
            code = of_state(found[serial].state) if ended else of_ledger(result, step)
            codes[serial] = "" if result is Result.CREATED else code
        steps.finish(connection, intent.id, codes)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Refuse the steps: the ledger took nothing."""
        serials = self._serials(connection, intent)
        steps.finish(connection, intent.id, dict.fromkeys(serials, Result.SIGNATURE_EXPIRED.name))

    def _serials(self, connection: Connection, intent: Intent) -> list[int]:
        """Return the vouchers of an intent in the order of its records."""
        if self.name == REDEEM:
            return [intent.payload["serial"]]
        if self.name == CANCEL:
            return list(intent.payload["serials"])
        query = sqlalchemy.select(VOUCHERS.c.serial).where(VOUCHERS.c.batch == intent.id).order_by(VOUCHERS.c.row)
        return list(connection.scalars(query))


def _step(
    voucher: Voucher, id: int, step: str, who: int, at_ns: int, *, minor: int = 0, payee: int | None = None,
    state: str = SENT, code: str = "",
) -> Step:  # fmt: skip
    return Step(voucher.serial, id, step, minor, payee, code, who, at_ns, state)


def _check_rows(rows: Sequence[int], *, distinct: bool = False) -> None:
    if not 0 < len(rows) <= ROWS_MAX:
        raise UsageError(f"{quantity(len(rows), 'row')} in one request", hint=f"send 1 to {ROWS_MAX:,} rows")
    if distinct and len(set(rows)) < len(rows):
        raise UsageError("a voucher is twice in one request", hint="name each serial once")


def _check_budget(connection: Connection, group: Group, minor: int) -> None:
    """Raise VoucherRefused if a group's vouchers would promise, or have paid, more than its budget."""
    of_group = VOUCHERS.c.group == group.group
    live = of_group & VOUCHERS.c.state.in_((*LIVE, tables.RESERVING, tables.REDEEMED))
    promised = connection.scalar(sqlalchemy.select(sqlalchemy.func.sum(VOUCHERS.c.minor)).where(live)) or 0
    ended = of_group & VOUCHERS.c.state.in_((tables.CANCELLED, tables.EXPIRED))
    paid = connection.scalar(sqlalchemy.select(sqlalchemy.func.sum(VOUCHERS.c.redeemed_minor)).where(ended)) or 0
    if int(promised) + int(paid) + minor > group.budget_minor:
        raise VoucherRefused(Code.BUDGET_EXHAUSTED, hint="nothing was reserved; ask officers for another group")


def _activation_code(voucher: Voucher, beneficiary: bytes) -> str:
    """Return why a voucher cannot be activated for a beneficiary, or ""."""
    if voucher.state == tables.ACTIVATED:
        return "" if voucher.beneficiary == beneficiary else Code.VOUCHER_ACTIVATED
    return "" if voucher.state == tables.PREACTIVATED else of_state(voucher.state)


def _unknown(own: dict[int, Voucher], serials: Sequence[int]) -> dict[int, RowResult]:
    """Return rows for the serials that a group does not have."""
    return {
        serial: RowResult(serial, tables.ACTIVATE, REFUSED, str(Code.VOUCHER_NOT_FOUND), 0, "")
        for serial in serials
        if serial not in own
    }
