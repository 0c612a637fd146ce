"""Life events: a lost phone, a death, a dormant wallet, a court order, a guardian.

**Phone lost.** A case shows the new proof of identity; another person than the one who signs opened it. One frame
blocks the wallet, sets the new key and the recovery rule set; the old key can then sign nothing. The next frame lifts
the block: for 24 hours packets can be spent and own money cannot. A notice goes to the old channel, so that the owner
can object to another person's recovery. Then a job restores the earlier rule set. The operator signs all three steps at
the start.

Only officers lift a court order; the ledger refuses other signers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.errors import Refused, UsageError
from sycee.core.keys import PublicKey
from sycee.core.records import operations
from sycee.core.records.layout import Block
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.database.actions import Draft, IntentOutcome
from sycee.database.comparing import differences
from sycee.database.intents import StoredIntent
from sycee.database.jobs import Run
from sycee.database.numbers import Numbers
from sycee.database.states import DONE
from sycee.database.stores import Stores
from sycee.database.tables import NUMBERS
from sycee.database.transactions import reading, write
from sycee.identity import duties
from sycee.identity.key_register import KeyRegister
from sycee.identity.people import People
from sycee.identity.proposals import Proposals
from sycee.identity.tables import KEYS
from sycee.ledger.models import Account
from sycee.ledger.state import LedgerState
from sycee.life import actions, restrictions, signed_steps
from sycee.life.notices import KEY_REPLACED, WALLET_BLOCKED, WITH_SECRET, Addressed, Notice, Notices, Outbox
from sycee.life.restrictions import Restriction
from sycee.life.rules import LATE_NS, REASONS, RECOVERY_NS, RECOVERY_OWNER, LifeEventKind
from sycee.life.tables import ACTIVE, RESTRICTIONS, STARTING
from sycee.personal.access import Access, Entry
from sycee.personal.register import CHANNEL, Register
from sycee.sequencer.signer import Signer

DECEASED: Final = "life.deceased"
DORMANT: Final = "life.dormant"
COURT_ORDER: Final = "life.court-order"
CASE_WORK: Final = "case.act"  # the action whose duties may open the case about a lost phone
WALLETS_MAX: Final = 64  # of one person at one operator
WITH_CHANNEL: Final = "channel-secret"  # the place of the secret of a message


class Wallets(Protocol):
    """The part of the wallets that life events use."""

    def holder_of(self, account: int) -> int:
        """Return the person who holds a wallet. Raises UsageError if the account is no wallet."""
        ...

    def accounts_of(self, person: int) -> list[int]:
        """Return the wallets of a person, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Recovery:
    """A started recovery, which ends at `until_ns`."""

    outcome: IntentOutcome
    person: int
    until_ns: int


@dataclass(frozen=True, slots=True)
class Restricted:
    """The outcome of a block. `others`: wallets of the person at other operators, which stay unchanged."""

    outcome: IntentOutcome
    accounts: tuple[int, ...]
    others: tuple[int, ...] = ()


class Life:
    """The life events of a bank."""

    def __init__(
        self, stores: Stores, register: Register, people: People, keys: KeyRegister, wallets: Wallets,
        proposals: Proposals, notices: Notices | None = None,
    ) -> None:  # fmt: skip
        self._stores, self._register, self._people = stores, register, people
        self._keys, self._wallets, self._proposals = keys, wallets, proposals
        self.outbox = Outbox(stores.engine, stores.clock)
        self.notices: Notices = notices or self.outbox
        register.on_shred.append(self.outbox.forget)
        # Called with holder, who acts, and id of each change of a wallet's key, in its transaction; it may be repeated.
        self.on_new_key: list[Callable[[Connection, int, int, int], None]] = []
        keys.told, keys.untold = self._key_told, self.notices.recall
        stores.actions.register(
            actions.Recover(stores.jobs, keys, self.notices),
            actions.Step(stores.jobs),
            actions.Restrict(register.retention, self.notices),
            actions.Release(actions.RELEASE),
            actions.Release(actions.LIFT_ORDER),
            actions.Guard(),
        )
        stores.jobs.register(actions.UNBLOCK_JOB, lambda run: self._run_step(actions.UNBLOCK_JOB, run))
        stores.jobs.register(actions.RESTORE_JOB, lambda run: self._run_step(actions.RESTORE_JOB, run))

    # --- phone lost ---

    def phone_lost(
        self, account: int, key: PublicKey, proof: bytes, *, evidence: Access, signers: Sequence[Signer], id: int = 0
    ) -> Recovery:
        """Give a wallet a new key, and let it spend packets only for 24 hours. The operator's key signs.

        `proof`: the new key's signature, which shows that the holder has it. `evidence`: the person who saw the new
        proof of identity, with the open case, which the holder or another person of the staff opened. `id`: of the
        event; the same id again returns the first outcome. Raises UsageError for the lost key, a wrong proof, a missing
        duty or case, and a case that the same person opened; Refused with the ledger's code.
        """
        stored = self._account(account)
        person = self._wallets.holder_of(account)
        if (earlier_intent := self._done(id)) is not None:
            return Recovery(earlier_intent.outcome, person, earlier_intent.payload["until_ns"])
        self._people.require(evidence.who, actions.RECOVER, operator=stored.operator)
        self._register.log.check(evidence, [person])
        self._require_second(evidence, person, stored.operator)
        if (key.flags, key.key) == (int(stored.key_flags), stored.key):
            raise UsageError(
                f"{key} is the key that was lost",
                hint="the owner makes a new one with `sycee key new` on the new phone",
            )
        self._keys.require_possession(account, key, proof)
        now = self._now()
        until = now + RECOVERY_NS
        rule_set = self.recovery_rule_set()
        with reading(self._stores.engine) as connection:
            current = restrictions.find(connection, account, LifeEventKind.PHONE_LOST)
        earlier = current.earlier_rule_set if current is not None else stored.rule_set
        event = id or ids.new(now // 1_000_000)
        first = np.concatenate(
            [
                operations.block_account(
                    ids.new(now // 1_000_000),
                    account=account,
                    sides=Block.DEBIT,
                    reason=REASONS[LifeEventKind.PHONE_LOST],
                ),
                operations.set_key(ids.new(now // 1_000_000), account=account, key=key.key, flags=key.flags),
                operations.set_rule_set(ids.new(now // 1_000_000), account=account, rule_set=rule_set),
            ]
        )
        payload = {
            "account": ids.format(account),
            "person": ids.format(person),
            "case": evidence.case,
            "at_ns": now,
            "until_ns": until,
            "key": str(key),
            "epoch": stored.key_epoch + 1,
            "replaces": ids.format(current.event) if current is not None else "",
            "unblock": self._step(
                operations.unblock_account(
                    ids.new(now // 1_000_000),
                    account=account,
                    sides=Block.DEBIT,
                    reason=REASONS[LifeEventKind.PHONE_LOST],
                ),
                signers,
                now,
            ),
            "restore": self._step(
                operations.set_rule_set(ids.new(now // 1_000_000), account=account, rule_set=earlier), signers, until
            ),
        }
        told = self._key_told(account, evidence.who)

        def before(connection: Connection) -> None:
            restrictions.put(
                connection, account, LifeEventKind.PHONE_LOST, event=event, from_ns=now, until_ns=until,
                earlier_rule_set=earlier, state=STARTING,
            )  # fmt: skip
            told(connection, event)

        outcome = self._stores.intents.perform(
            Draft(actions.RECOVER, first, payload, evidence.who, signers=signers, before=before, id=event)
        )
        outcome.require_created(f"wallet {ids.format(account)} has no new key")
        self._stores.jobs.run_due()
        return Recovery(outcome, person, until)

    def _require_second(self, evidence: Access, person: int, operator: int) -> None:
        """Raise UsageError unless the holder, or a second person of the staff, opened the case about a lost phone."""
        opener, makers = self._register.log.opener(evidence.case, person), duties.rule(CASE_WORK).makers
        is_second = opener not in (0, evidence.who) and self._people.allowed(
            opener, makers, duties.rule(actions.RECOVER), operator=operator
        )
        if opener != person and not is_second:
            raise UsageError(
                f"case {evidence.case:,} does not permit a new key: two persons of the staff are needed",
                hint="the holder, or another person of the staff, opens a case about a lost phone: `sycee case open`",
            )

    def _key_told(self, account: int, who: int) -> Callable[[Connection, int], None]:
        """Return a write that tells the holder of a wallet about its new key; nothing for an account of nobody."""
        try:
            person = self._wallets.holder_of(account)
        except UsageError:
            return lambda connection, event: None
        message = self.addressed(person, KEY_REPLACED)

        def store(connection: Connection, event: int) -> None:
            if message is not None:
                self.notices.send(connection, event, message)
            for told in self.on_new_key:
                told(connection, person, who, event)

        return store

    def finish_recovery(self, account: int, *, who: int, signers: Sequence[Signer]) -> IntentOutcome | None:
        """Restore the earlier rule set with a fresh signature, where the stored one has expired. None: nothing to do.

        Raises UsageError before the 24 hours are over.
        """
        stored = self._account(account)
        self._people.require(who, actions.RECOVER, operator=stored.operator)
        with reading(self._stores.engine) as connection:
            current = restrictions.find(connection, account, LifeEventKind.PHONE_LOST)
        if current is None or current.until_ns is None:
            return None
        if self._now() < current.until_ns:
            raise UsageError(
                f"the recovery of wallet {ids.format(account)} is not over yet",
                hint="the 24 hours protect the owner; own money can be spent after them",
            )
        event = ids.new(self._now() // 1_000_000)
        unblock = operations.unblock_account(
            ids.new(self._now() // 1_000_000),
            account=account,
            sides=Block.DEBIT,
            reason=REASONS[LifeEventKind.PHONE_LOST],
        )
        restore = operations.set_rule_set(
            ids.new(self._now() // 1_000_000), account=account, rule_set=current.earlier_rule_set
        )
        payload = {
            "account": ids.format(account),
            "event": ids.format(current.event),
            "person": ids.format(self._wallets.holder_of(account)),
            "at_ns": self._now(),
            "job": actions.RESTORE_JOB,
        }
        outcome = self._stores.intents.perform(
            Draft(actions.STEP, np.concatenate([unblock, restore]), payload, who, signers=signers, id=event)
        )
        outcome.require_created(f"wallet {ids.format(account)} is still under recovery")
        return outcome

    def recovery_rule_set(self) -> int:
        """Return the number of the recovery rule set. Raises UsageError if the ledger does not have it."""
        number = self._recovery_number()
        with self._stores.ledger.sequencer.reading() as state:
            is_defined = number in state.rule_sets
        if not is_defined:
            raise UsageError(
                f"the recovery rule set {number} is not defined in the ledger",
                hint="submit life.rules.recovery_records, signed by two officers",
            )
        return number

    def _run_step(self, job: str, run: Run) -> None:
        payload = run.payload
        records, envelopes = signed_steps.read(payload["step"])
        account = ids.parse(payload["account"])
        details = {key: payload[key] for key in ("account", "event", "person")}
        details |= {"at_ns": self._now(), "job": job}
        who = ids.parse(payload["who"])
        with reading(self._stores.engine) as connection:
            current = restrictions.find(connection, account, LifeEventKind.PHONE_LOST)
        if current is None or ids.format(current.event) != payload["event"]:
            return  # a newer recovery, or its end
        if job == actions.RESTORE_JOB and self._account(account).rule_set != self.recovery_rule_set():
            # A person gave the wallet another rule set since: keep it.
            write(
                self._stores.engine,
                lambda connection: actions.end_recovery(connection, run.id, details, who),
            )
            return
        outcome = self._stores.intents.perform(
            Draft(actions.STEP, records, details, who, envelopes=envelopes, id=run.id)
        )
        if outcome.state != DONE:
            raise Refused(
                f"wallet {payload['account']}: the stored signature of the operator is not accepted",
                next(iter(outcome.results), Result.SIGNATURE_EXPIRED),
                hint="finish the recovery with the operator's key: `sycee person recovered`",
            )

    # --- blocks ---

    def deceased(
        self, person: int, *, operator: int, evidence: Access, signers: Sequence[Signer], id: int = 0
    ) -> Restricted:
        """Block the debits of a deceased person's wallets at one operator, and begin the period of retention.

        Money still arrives, for the estate. Raises UsageError without duty, open case or wallets; Refused with the
        ledger's code.
        """
        self._people.require(evidence.who, DECEASED, operator=operator)
        self._register.log.check(evidence, [person])
        accounts = self._wallets.accounts_of(person)
        mine = tuple(each for each in accounts if self._account(each).operator == operator)
        others = tuple(each for each in accounts if each not in mine)
        return self._restrict(LifeEventKind.DECEASED, person, mine, others, evidence, signers, id)

    def court_order(self, account: int, *, evidence: Access, signers: Sequence[Signer], id: int = 0) -> Restricted:
        """Block the debits of a wallet by court order. Only officers can lift it (`lift_order`). Errors: `deceased`."""
        self._people.require(evidence.who, COURT_ORDER, operator=self._account(account).operator)
        person = self._wallets.holder_of(account)
        self._register.log.check(evidence, [person])
        return self._restrict(LifeEventKind.COURT_ORDER, person, (account,), (), evidence, signers, id)

    def dormant(self, account: int, *, who: int, signers: Sequence[Signer], id: int = 0) -> Restricted:
        """Block the debits of a wallet that nobody has used for long. Errors as `deceased`, but no case is needed."""
        self._people.require(who, DORMANT, operator=self._account(account).operator)
        person = self._wallets.holder_of(account)
        return self._restrict(LifeEventKind.DORMANT, person, (account,), (), who, signers, id)

    def release(
        self, account: int, kind: LifeEventKind, *, who: int, signers: Sequence[Signer], case: int = 0, id: int = 0
    ) -> IntentOutcome:
        """Lift the block of a dormant wallet, or of a deceased person's for the estate. The operator's key signs.

        Raises UsageError for a court order, and if the wallet has no such block; Refused with the ledger's code.
        """
        if kind not in (LifeEventKind.DORMANT, LifeEventKind.DECEASED):
            raise UsageError(
                f"a block by {kind.value} is not lifted by an operator", hint="officers lift a court order by proposal"
            )
        if (earlier := self._done(id)) is not None:
            return earlier.outcome
        action = DORMANT if kind is LifeEventKind.DORMANT else DECEASED
        self._people.require(who, action, operator=self._account(account).operator)
        payload = self._release_payload(account, kind, case)
        records = operations.unblock_account(
            self._stores.ledger.new_id(), account=account, sides=Block.DEBIT, reason=REASONS[kind]
        )
        outcome = self._stores.intents.perform(Draft(actions.RELEASE, records, payload, who, signers=signers, id=id))
        outcome.require_created(f"wallet {ids.format(account)} stays blocked")
        return outcome

    def lift_order(self, account: int, *, case: int, maker: int) -> Proposal:
        """Propose to lift the block of a court order. Officers sign it. Errors as `release`."""
        payload = self._release_payload(account, LifeEventKind.COURT_ORDER, case)
        records = operations.unblock_account(
            self._stores.ledger.new_id(), account=account, sides=Block.DEBIT, reason=REASONS[LifeEventKind.COURT_ORDER]
        )
        return self._proposals.propose(actions.LIFT_ORDER, records, payload, maker=maker)

    def _restrict(
        self, kind: LifeEventKind, person: int, accounts: tuple[int, ...], others: tuple[int, ...],
        evidence: Access | int, signers: Sequence[Signer], id: int,
    ) -> Restricted:  # fmt: skip
        if not 0 < len(accounts) <= WALLETS_MAX:
            raise UsageError(
                f"{ids.format(person)} has {len(accounts)} wallets to block", hint="name the operator of the wallets"
            )
        who, case = (evidence.who, evidence.case) if isinstance(evidence, Access) else (evidence, None)
        now = self._now()
        event = id or ids.new(now // 1_000_000)
        payload: dict[str, Any] = {
            "kind": kind.value,
            "person": ids.format(person),
            "account": ids.format(accounts[0]) if len(accounts) == 1 else "",
            "accounts": [ids.format(each) for each in accounts],
            "case": case,
            "at_ns": now,
            "day": self._register.retention.today().isoformat(),
        }
        fresh = ids.generate(len(accounts), time_ms=now // 1_000_000)
        records = np.concatenate(
            [
                operations.block_account(
                    ids.to_int(name), account=account, sides=Block.DEBIT, reason=REASONS[kind], code=case or 0
                )
                for name, account in zip(fresh, accounts, strict=True)
            ]
        )
        message = self.addressed(person, WALLET_BLOCKED) if kind is LifeEventKind.DORMANT else None

        def before(connection: Connection) -> None:
            for account in accounts:
                restrictions.put(connection, account, kind, event=event, from_ns=now, state=STARTING)
            if message is not None:
                self.notices.send(connection, event, message)

        outcome = self._stores.intents.perform(
            Draft(actions.RESTRICT, records, payload, who, signers=signers, before=before, id=event)
        )
        outcome.require_created(f"the wallets of {ids.format(person)} are not blocked")
        return Restricted(outcome, accounts, others)

    def _release_payload(self, account: int, kind: LifeEventKind, case: int) -> dict[str, Any]:
        active = {each.kind: each for each in self.restrictions(account=account) if each.state == ACTIVE}
        found = active.get(kind)
        if found is None:
            kinds = ", ".join(active) or "none"
            raise UsageError(
                f"wallet {ids.format(account)} has no block by {kind.value}",
                hint=f"restrictions of this wallet: {kinds}",
            )
        return {
            "kind": kind.value,
            "person": ids.format(self._wallets.holder_of(account)),
            "account": ids.format(account),
            "accounts": [ids.format(account)],
            "case": case or None,
            "at_ns": self._now(),
        }

    # --- guardians ---

    def guardian(self, ward: int, guardian: int, *, maker: int, until_ns: int | None = None) -> Proposal:
        """Propose that a person acts for another, until a time or until a later proposal ends it.

        `until_ns` of this moment ends a guardianship. Raises UsageError for a person as their own guardian.
        """
        if ward == guardian:
            raise UsageError("a person is not their own guardian", hint="name two persons")
        payload = {
            "person": ids.format(ward),
            "guardian": ids.format(guardian),
            "at_ns": self._now(),
            "until_ns": until_ns,
        }
        return self._proposals.propose(actions.GUARD, None, payload, maker=maker)

    def is_guardian(self, guardian: int, ward: int) -> bool:
        """Return whether a person is the guardian of another now."""
        with reading(self._stores.engine) as connection:
            return actions.is_guardian(connection, guardian, ward, self._now())

    def access_log(self, person: int, *, by: int) -> list[Entry]:
        """Return the access log about a person for the person, a guardian, or someone with the duty to read it."""
        return self._register.log.of_person(person, by=person if self.is_guardian(by, person) else by)

    # --- messages to phones ---

    def addressed(self, person: int, text: str, *, secret: str = "", until_ns: int = 0) -> Addressed | None:
        """Return a message to the phone that a person has now; None for a person without a record or a phone.

        It reads SQL and the key file, so call it before a transaction, and `outbox.send` in the transaction. `text`: a
        code of `notices`; those of `WITH_SECRET` need a `secret`, and no other has one. `until_ns`: by the machine's
        clock. Nobody sees the phone here, so this is no access.
        """
        assert bool(secret) is (text in WITH_SECRET), f"{text}: a secret is missing, or is too much"
        if not self._register.has_record(person):
            return None
        channel = self._register.sealed_channel(person)
        if channel is None:
            return None
        sealed = self._register.seal(person, WITH_CHANNEL, secret) if secret else None
        return Addressed(person, text, channel, sealed, until_ns)

    def opened(self, notice: Notice) -> tuple[str, str]:
        """Return the phone and the secret of a message, "" without one, for the machine that delivers it.

        Raises UnavailableError if the person was shredded meanwhile.
        """
        phone = self._register.open_own(notice.person, CHANNEL, notice.channel_sealed)
        if notice.secret_sealed is None:
            return phone, ""
        return phone, self._register.open_own(notice.person, WITH_CHANNEL, notice.secret_sealed)

    # --- reading ---

    def holder_with(self, key: PublicKey) -> int:
        """Return the person whose wallet has this key now.

        Raises UsageError if there is none, and while the wallet is under recovery: the person with the new key may not
        be its owner.
        """
        chosen = (KEYS.c.public_key == str(key)) & KEYS.c.until_ns.is_(None)
        with reading(self._stores.engine) as connection:
            accounts = list(connection.scalars(sqlalchemy.select(KEYS.c.subject).where(chosen)))
            recovered = [each for each in accounts if restrictions.find(connection, each, LifeEventKind.PHONE_LOST)]
        if recovered:
            raise UsageError(
                f"wallet {ids.format(recovered[0])} is under recovery",
                hint="its new key counts for this after 24 hours",
            )
        for account in accounts:
            try:
                return self._wallets.holder_of(account)
            except UsageError:
                continue  # the key of a person with a duty
        raise UsageError(f"no person and no wallet has the key {key} now", hint="name the file of another key")

    def restrictions(self, *, account: int | None = None) -> list[Restriction]:
        """Return the restrictions that start or are active, of one account or of all."""
        of_account = sqlalchemy.true() if account is None else RESTRICTIONS.c.account == account
        where = sqlalchemy.and_(RESTRICTIONS.c.state.in_((STARTING, ACTIVE)), of_account)
        with reading(self._stores.engine) as connection:
            return restrictions.select(connection, where)

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each restriction that the ledger does not have as stated."""
        with reading(self._stores.engine) as connection:
            rows = restrictions.select(connection, sqlalchemy.true())
        recovery = self._recovery_number()

        def compared(state: LedgerState, row: Restriction) -> Iterator[str]:
            name = f"wallet {ids.format(row.account)}"
            account = state.account(row.account)
            if row.state == STARTING:
                yield f"{name}: {row.kind} has begun and has no outcome"
            elif account is None:
                yield f"{name} is {row.kind} in the database and unknown to the ledger"
            elif row.kind == LifeEventKind.PHONE_LOST:
                if row.state == ACTIVE and account.rule_set != recovery:
                    yield f"{name} is under recovery in the database and not in the ledger"
                if row.state != ACTIVE and account.rule_set == recovery:
                    yield f"{name} is under recovery in the ledger and not in the database"
            elif (REASONS[LifeEventKind(row.kind)] in account.debit_reasons) is not (row.state == ACTIVE):
                yield f"{name}: block by {row.kind} is {row.state} in the database, and the ledger differs"

        return differences(self._stores.ledger, rows, compared)

    # --- helpers ---

    def _done(self, id: int) -> StoredIntent | None:
        """Return the intent of a call that is repeated after a crash, if it has an outcome."""
        found = self._stores.intents.find(id) if id else None
        return found if found is not None and found.state == DONE else None

    def _recovery_number(self) -> int:
        chosen = (NUMBERS.c.kind == Numbers.RULE_SETS) & (NUMBERS.c.owner == RECOVERY_OWNER)
        with reading(self._stores.engine) as connection:
            found = connection.scalar(sqlalchemy.select(NUMBERS.c.number).where(chosen))
        if found is not None:
            return int(found)
        return write(
            self._stores.engine,
            lambda connection: self._stores.numbers.allocate(connection, Numbers.RULE_SETS, RECOVERY_OWNER),
        )

    def _step(self, records: Any, signers: Sequence[Signer], due_ns: int) -> dict[str, str]:
        return signed_steps.make(records, self._stores.ledger.ledger_id, signers, due_ns + LATE_NS)

    def _account(self, account: int) -> Account:
        return self._stores.ledger.account(account)

    def _now(self) -> int:
        return read_ns(self._stores.clock)
