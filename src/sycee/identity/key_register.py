"""Keys of accounts: rotation, revocation and proof of possession. Each change of a key begins a new key epoch.

Authority is decided by the state before a frame. So the frame that sets a new key could accept a payment under the old
one. A rotation therefore blocks debits first, in the same range of records, and lifts the block in a later frame: after
the block no payment under the old key is accepted. Both steps are signed at the start and stored, so that nobody must
sign again after a crash between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import Clock, read_ns
from sycee.core.errors import UsageError
from sycee.core.keys import PublicKey
from sycee.core.records import operations
from sycee.core.records.envelopes import as_array, decode
from sycee.core.records.layout import AccountKind, Block, Reason
from sycee.core.records.proposal_format import records_of
from sycee.core.records.signed_messages import proof_message
from sycee.core.result_codes import Result
from sycee.database.actions import Draft, Intent, IntentOutcome
from sycee.database.comparing import differences
from sycee.database.stores import Stores
from sycee.database.transactions import reading
from sycee.identity.people import People
from sycee.identity.tables import KEYS, SET, SETTING
from sycee.ledger.models import Account
from sycee.ledger.state import LedgerState
from sycee.sequencer.embedded import SIGNATURE_VALIDITY_NS
from sycee.sequencer.signer import Signer, sign_records

SET_KEY: Final = "key.set"
REVOKE: Final = "key.revoke"
LIFT: Final = "key.lift"
ROTATION: Final = "rotation"
# Accounts whose owner is another party than their operator: the operator alone replaces no key of theirs.
OWNED: Final = (AccountKind.WALLET, AccountKind.MERCHANT)
Told: TypeAlias = "Callable[[int, int], Callable[[Connection, int], None]]"


def _nobody_told(account: int, who: int) -> Callable[[Connection, int], None]:
    return lambda connection, intent: None


class KeyRegister:
    """The keys of the accounts of one bank."""

    def __init__(self, stores: Stores, people: People) -> None:
        self._stores = stores
        self._people = people
        # Given an account and who acts, prepares a notice to its holder; the result stores it under the intent's id.
        # `untold` removes it.
        self.told: Told = _nobody_told
        self.untold: Callable[[Connection, int], None] = lambda connection, intent: None
        stores.actions.register(_Change(SET_KEY, self), _Change(REVOKE, self), _Lift())

    def set(
        self, account: int, key: PublicKey, proof: bytes, *, signers: Sequence[Signer], who: int,
        consent: bytes = b"", reason: str = ROTATION, id: int = 0,
    ) -> IntentOutcome:  # fmt: skip
        """Give an account a new key: block its debits, set the key, and lift the block in a later frame.

        `proof`: the new key's signature of `proof_message` for the next epoch. `consent`: the present key's signature
        of the same message, if there is one. `signers`: of the account's operator. The holder is told. Calling it again
        with the key that is set finishes a rotation whose block was not lifted. `id`: of the intent; the same id again
        returns the first outcome. Returns the outcome of the change of the key. Raises UsageError for a wrong proof or
        consent, a revoked key of a wallet, and a duty that does not permit it.
        """
        found = self._stores.ledger.account(account)
        self._people.require(who, SET_KEY, operator=found.operator)
        newest = self._newest(account)
        if newest is not None and newest.state == SET and (earlier := self._earlier(id, SET_KEY, account)) is not None:
            return earlier
        if newest is not None and newest.state == SETTING and newest.public_key == str(key):
            return self.lift(account, signers=signers, who=who)
        epoch = self.require_possession(account, key, proof)
        self._check_block(found, newest)
        self._require_consent(found, key, epoch, consent)
        new_id = self._stores.new_id
        told, intent = self.told(account, who), id or new_id()
        change = np.concatenate(
            [
                operations.block_account(new_id(), account=account, sides=Block.DEBIT, reason=Reason.RECOVERY),
                operations.set_key(new_id(), account=account, key=key.key, flags=key.flags),
            ]
        )
        lift = operations.unblock_account(new_id(), account=account, sides=Block.DEBIT, reason=Reason.RECOVERY)
        payload = {
            "account": ids.format(account),
            "epoch": epoch,
            "key": str(key),
            "reason": reason,
            "lift": {
                "intent": ids.format(new_id()),
                "records": lift.tobytes().hex(),
                "envelopes": as_array(self._signed(lift, signers)).tobytes().hex(),
            },
        }
        outcome = self._stores.intents.perform(
            Draft(
                SET_KEY,
                change,
                payload,
                who=who,
                envelopes=self._signed(change, signers),
                id=intent,
                before=lambda connection: told(connection, intent),
            )
        )
        if outcome.created:
            self._lift(payload, who)
        return outcome

    def revoke(self, account: int, *, reason: str, signers: Sequence[Signer], who: int, id: int = 0) -> IntentOutcome:
        """Remove an account's key. Its debits stay blocked, for its operator too, until it has a new key.

        A wallet gets one by the event of a lost phone, another account by `set`. `id`: of the intent; the same id again
        returns the first outcome.
        """
        found = self._stores.ledger.account(account)
        self._people.require(who, REVOKE, operator=found.operator)
        if (earlier := self._earlier(id, REVOKE, account)) is not None:
            return earlier
        self._check_block(found, self._newest(account))
        new_id = self._stores.new_id
        change = np.concatenate(
            [
                operations.block_account(new_id(), account=account, sides=Block.DEBIT, reason=Reason.RECOVERY),
                operations.set_key(new_id(), account=account),
            ]
        )
        payload = {"account": ids.format(account), "epoch": found.key_epoch + 1, "key": "", "reason": reason}
        return self._stores.intents.perform(
            Draft(REVOKE, change, payload, who=who, envelopes=self._signed(change, signers), id=id)
        )

    def lift(self, account: int, *, signers: Sequence[Signer], who: int) -> IntentOutcome:
        """Finish a rotation that was interrupted for longer than its signatures are valid: lift its block."""
        found = self._stores.ledger.account(account)
        self._people.require(who, SET_KEY, operator=found.operator)
        newest = self._newest(account)
        if newest is None or newest.state != SETTING:
            raise UsageError(
                f"account {ids.format(account)} has no rotation that waits", hint="set a new key to begin one"
            )
        id = self._stores.new_id()
        record = operations.unblock_account(id, account=account, sides=Block.DEBIT, reason=Reason.RECOVERY)
        payload = {"account": ids.format(account), "epoch": newest.epoch}
        return self._stores.intents.perform(
            Draft(LIFT, record, payload, who=who, envelopes=self._signed(record, signers))
        )

    def require_possession(self, account: int, key: PublicKey, proof: bytes) -> int:
        """Return the account's next key epoch. Raises UsageError unless `proof` is the key's signature for it."""
        epoch = self._stores.ledger.account(account).key_epoch + 1
        if not key.verifies(proof, proof_message(self._stores.ledger.ledger_id, account, epoch, key)):
            raise UsageError(
                f"the proof is not a signature of {key} for account {ids.format(account)}, key epoch {epoch}",
                hint="the owner of the new key signs the proof with it: `sycee key prove`",
            )
        return epoch

    def record(
        self, connection: Connection, account: int, key: PublicKey | None, *, epoch: int, reason: str, intent: int
    ) -> None:
        """Store a key that another action's records set, in the caller's transaction; None for no key.

        Repeating the call changes nothing.
        """
        shown = "" if key is None else str(key)
        _store(connection, account, epoch, shown, reason, read_ns(self._stores.clock), intent, SET, None)

    def forget(self, connection: Connection, account: int, *, epoch: int) -> None:
        """Take a stored key back, in the caller's transaction, because a restore took back the records that set it."""
        _forget(connection, account, epoch)

    def is_custodial(self, account: int) -> bool:
        """Return whether an account has no own key, so that its operator signs for it."""
        return not self._stores.ledger.account(account).key

    def history(self, account: int) -> list[Row[Any]]:
        """Return the rows of an account's keys, oldest first."""
        with reading(self._stores.engine) as connection:
            chosen = sqlalchemy.select(KEYS).where(KEYS.c.subject == account)
            return list(connection.execute(chosen.order_by(KEYS.c.epoch)))

    def resume(self) -> int:
        """Lift the blocks of rotations that a crash interrupted, if the stored signatures are valid."""
        with reading(self._stores.engine) as connection:
            rows = list(connection.execute(sqlalchemy.select(KEYS).where(KEYS.c.state == SETTING)))
        done = 0
        for row in rows:
            intent = self._stores.intents.find(row.intent)
            if intent is not None and "lift" in intent.payload:
                done += self._lift(intent.payload, intent.who).created
        return done

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each account whose newest key differs from the ledger's, or whose block stays."""
        newest = sqlalchemy.select(KEYS.c.subject, sqlalchemy.func.max(KEYS.c.epoch).label("epoch"))
        newest_of = newest.group_by(KEYS.c.subject).subquery()
        joined = (KEYS.c.subject == newest_of.c.subject) & (KEYS.c.epoch == newest_of.c.epoch)
        with reading(self._stores.engine) as connection:
            rows = list(connection.execute(sqlalchemy.select(KEYS).join(newest_of, joined)))

        def compared(state: LedgerState, row: Row[Any]) -> Iterator[str]:
            account = state.account(row.subject)
            if account is None:
                return  # the subject is a person
            name = f"account {ids.format(row.subject)}"
            shown = str(PublicKey(int(account.key_flags), account.key)) if account.key else ""
            if (account.key_epoch, shown) != (row.epoch, row.public_key):
                yield f"{name} has key epoch {account.key_epoch} in the ledger, and {row.epoch} in the database"
            elif row.state == SETTING:
                yield f"{name} has its new key and is still blocked: set the same key again to lift the block"

        return differences(self._stores.ledger, rows, compared)

    # --- helpers ---

    @property
    def clock(self) -> Clock:
        """Return the bank's clock."""
        return self._stores.clock

    def _require_consent(self, found: Account, key: PublicKey, epoch: int, consent: bytes) -> None:
        """Raise UsageError unless the owner of an account agrees to a new key, or its operator signs for it anyway."""
        name = ids.format(found.id)
        if found.key:
            present = PublicKey(int(found.key_flags), found.key)
            if not present.verifies(consent, proof_message(self._stores.ledger.ledger_id, found.id, epoch, key)):
                raise UsageError(
                    f"the owner of account {name} did not agree to the key {key}: {present} did not sign it",
                    hint="sign it with the present key: `sycee key prove --new-key`; if that key is lost: "
                    "`sycee person lost`",
                )
        elif found.key_epoch and found.kind in OWNED:
            raise UsageError(
                f"the key of account {name} was revoked, and the operator alone gives it no new one",
                hint="a case that another person opened permits one: `sycee person lost`",
            )

    def _signed(self, records: Array, signers: Sequence[Signer]) -> Any:
        until_ns = read_ns(self._stores.clock) + SIGNATURE_VALIDITY_NS
        return sign_records(records, self._stores.ledger.ledger_id, signers, until_ns)

    def _earlier(self, id: int, action: str, account: int) -> IntentOutcome | None:
        """Return the outcome of an earlier call with this id. Raises UsageError if it was for another account."""
        stored = self._stores.intents.find(id) if id else None
        if stored is None:
            return None
        if stored.payload.get("account") != ids.format(account):
            raise UsageError(f"the id {ids.format(id)} is of another change", hint="choose a fresh id")
        return self._stores.intents.outcome(id, action)

    def _newest(self, account: int) -> Row[Any] | None:
        rows = self.history(account)
        return rows[-1] if rows else None

    def _check_block(self, account: Account, newest: Row[Any] | None) -> None:
        """Raise UsageError if another process of recovery blocks the account: its block must not be lifted here."""
        revoked = newest is not None and newest.public_key == ""
        if Reason.RECOVERY in account.debit_reasons and not revoked:
            raise UsageError(
                f"account {ids.format(account.id)} is blocked for RECOVERY",
                hint="finish that recovery first, or lift the block if a rotation was interrupted",
            )

    def _lift(self, payload: Any, who: int) -> IntentOutcome:
        lift = payload["lift"]
        return self._stores.intents.perform(
            Draft(
                LIFT,
                records_of(bytes.fromhex(lift["records"])),
                {"account": payload["account"], "epoch": payload["epoch"]},
                who=who,
                envelopes=decode(bytes.fromhex(lift["envelopes"])),
                id=ids.parse(lift["intent"]),
            )
        )


class _Change:
    """Store the new key of an account: until the payload's later step lifts its block; without such a step the block
    stays.
    """

    def __init__(self, name: str, register: KeyRegister) -> None:
        self.name = name
        self._register = register

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store the key, or take it back if the ledger refused a record."""
        if any(result is not Result.CREATED for result in results):
            self.lapsed(connection, intent)
            return
        payload, lift = intent.payload, intent.payload.get("lift")
        _store(
            connection,
            ids.parse(payload["account"]),
            payload["epoch"],
            payload["key"],
            payload["reason"],
            read_ns(self._register.clock),
            intent.id,
            SETTING if lift else SET,
            ids.parse(lift["intent"]) if lift else None,
        )

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Take the key back, if a restore takes the change back."""
        self._register.untold(connection, intent.id)
        _forget(connection, ids.parse(intent.payload["account"]), intent.payload["epoch"])


class _Lift:
    """Store that the block of a rotation is lifted."""

    name = LIFT

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Mark the key as set, or as waiting if the ledger refused."""
        is_lifted = all(result is Result.CREATED for result in results)
        self._mark(connection, intent, SET if is_lifted else SETTING)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Mark the key as waiting: the block stays until somebody signs anew."""
        self._mark(connection, intent, SETTING)

    def _mark(self, connection: Connection, intent: Intent, state: str) -> None:
        account, epoch = ids.parse(intent.payload["account"]), intent.payload["epoch"]
        chosen = (KEYS.c.subject == account) & (KEYS.c.epoch == epoch)
        connection.execute(KEYS.update().where(chosen).values(state=state))


def _store(
    connection: Connection,
    account: int,
    epoch: int,
    key: str,
    reason: str,
    at_ns: int,
    intent: int,
    state: str,
    lift: int | None,
) -> None:
    """Store a key as an account's newest; repeating the call changes nothing."""
    chosen = (KEYS.c.subject == account) & (KEYS.c.epoch == epoch)
    if connection.scalar(sqlalchemy.select(KEYS.c.epoch).where(chosen)) is not None:
        return
    earlier = (KEYS.c.subject == account) & KEYS.c.until_ns.is_(None)
    connection.execute(KEYS.update().where(earlier).values(until_ns=at_ns))
    values = {"subject": account, "epoch": epoch, "public_key": key, "from_ns": at_ns, "reason": reason}
    connection.execute(KEYS.insert().values(**values, state=state, intent=intent, lift=lift))


def _forget(connection: Connection, account: int, epoch: int) -> None:
    chosen = (KEYS.c.subject == account) & (KEYS.c.epoch == epoch)
    if connection.execute(KEYS.delete().where(chosen)).rowcount:
        earlier = (KEYS.c.subject == account) & (KEYS.c.epoch == epoch - 1)
        connection.execute(KEYS.update().where(earlier).values(until_ns=None))
