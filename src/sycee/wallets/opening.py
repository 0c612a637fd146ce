"""Opening of wallets: one, or a million in batches of one frame each.

Order for a group of batches: the rows are checked and sealed, while the group before is stored. Persons and phones that
are known are refused by code. The secrets of new persons are written first, in their own file. One transaction then
stores the persons, their sealed records, aliases and wallets in the state `opening`, with the intents; the ledger opens
the accounts; a second transaction sets the state.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.compliance.enforcement.admission import ADMITTED
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.ids import Ids
from sycee.core.keys import PublicKey
from sycee.core.limits import KEY_BYTES
from sycee.core.money import Currency
from sycee.core.records import layout, operations
from sycee.core.records.layout import AccountKind, Kind
from sycee.core.records.signed_messages import proof_message
from sycee.core.result_codes import Result
from sycee.core.worker_thread import one_ahead
from sycee.database.actions import Draft, Intent, IntentOutcome
from sycee.database.bulk import insert_columns
from sycee.database.columns import ids_bytes
from sycee.database.intents import INTENT_RECORDS_MAX, StoredIntent
from sycee.database.stores import Stores
from sycee.database.transactions import reading
from sycee.identity.key_register import KeyRegister
from sycee.identity.people import People
from sycee.identity.tables import ACTIVE as INSTITUTION_ACTIVE
from sycee.identity.tables import ACTIVE as PERSON_ACTIVE
from sycee.identity.tables import PERSONS
from sycee.personal import sealing
from sycee.personal.register import Examined, Prepared, Register
from sycee.personal.sealing import SearchKind
from sycee.sequencer.embedded import SIGNATURE_VALIDITY_NS
from sycee.sequencer.signer import Signer, sign_records
from sycee.wallets.alias_rows import AliasKind, end_aliases_of, known_hashes, store_aliases
from sycee.wallets.directory import Directory, Wallet
from sycee.wallets.tables import LAPSED, OPEN, OPENING, REFUSED, WALLETS
from sycee.wallets.tiers import Preset, Tier

if TYPE_CHECKING:
    from sycee.compliance.enforcement.service import Compliance
    from sycee.identity.institutions import Institutions
    from sycee.issuance.registry import Registry

ACTION: Final = "wallet.open"
GROUP_ROWS: Final = 8 * INTENT_RECORDS_MAX  # of one pair of transactions
PERSON: Final = "person"

# Why a row was not opened, besides the codes of `personal.register` and those of the ledger.
DUPLICATE_PERSON: Final = "DUPLICATE_PERSON"
DUPLICATE_PHONE: Final = "DUPLICATE_PHONE"

Progress = Callable[[int], None]


class PersonRefused(UsageError):
    """A person cannot be registered. `code`: as of refused rows of `open_many`."""

    def __init__(self, code: str) -> None:
        super().__init__(
            f"the person cannot be registered: {code}",
            hint="a person who is registered gets another wallet by the person's id",
        )
        self.code = code


@dataclass(frozen=True, slots=True)
class OpenedMany:
    """The outcome of a bulk opening: the account of each row, 0 where it was refused, and the codes of refused rows."""

    accounts: list[int]
    refused: dict[int, str] = field(default_factory=dict)  # row number from 0 → code

    @property
    def opened(self) -> int:
        """Return the number of wallets opened."""
        return len(self.accounts) - len(self.refused)


@dataclass(frozen=True, slots=True)
class LapsedOpening:
    """An opening whose signatures expired before the ledger had it, of one wallet or a batch.

    `account`: the first wallet. `key`: of the only wallet, "" for custodial ones. `is_person`: of persons, or of a
    merchant.
    """

    id: int
    operator: int
    wallet_class: str
    account: int
    wallets: int
    key: str
    is_person: bool


@dataclass(frozen=True, slots=True, eq=False)
class _NewPersons:
    """Rows of persons that are examined and sealed but not stored."""

    examined: Examined
    rows: Array  # (n,) of `examined`, ascending
    persons: Ids
    prepared: Prepared
    masked: list[str] = field(repr=False)

    def of(self, chosen: Array) -> _NewPersons:
        """Return the chosen persons, (k,) ascending."""
        masked = [self.masked[at] for at in chosen.tolist()]
        return _NewPersons(self.examined, self.rows[chosen], self.persons[chosen], self.prepared.of(chosen), masked)


class Opening:
    """Opens wallets. `rule_sets` returns the number of each class. `compliance`: None if the setting is off."""

    def __init__(
        self, stores: Stores, people: People, institutions: Institutions, keys: KeyRegister, register: Register,
        registry: Registry, directory: Directory,
        *, preset: Preset, rule_sets: Callable[[], Mapping[str, int]], currency: Currency,
        compliance: Compliance | None = None,
    ) -> None:  # fmt: skip
        self._stores, self._people, self._institutions = stores, people, institutions
        self._keys, self._register, self._registry = keys, register, registry
        self.directory = directory
        self.preset, self._rule_sets, self._currency = preset, rule_sets, currency
        self._compliance = compliance
        self._one_at_a_time = threading.Lock()  # between the search for duplicates and the transaction
        stores.actions.register(_Open(keys, institutions))

    # --- one wallet ---

    def new_account(self) -> int:
        """Return the id for a wallet to open, which the wallet's key signs as proof of its possession."""
        return self._stores.new_id()

    def open(
        self,
        holder: int,
        *,
        operator: int,
        tier: str,
        signers: Sequence[Signer],
        who: int,
        account: int = 0,
        key: PublicKey | None = None,
        proof: bytes = b"",
        id: int = 0,
    ) -> Wallet:
        """Open a wallet for a registered person, or for a verified merchant, and return it.

        - `tier`: a class of the preset; "" for a merchant without limits.
        - `account`: of `new_account`; with `key`, required. `proof`: the key's signature of `proof_message` for key
          epoch 1. Without a key the wallet is custodial: its operator signs for it.
        - `id`: of the intent. The same id again returns the same wallet.

        Raises UsageError for a person without the duty, an unknown holder or class, a wrong proof, and an operator that
        compliance did not admit; Refused with the ledger's code.
        """
        is_person = self._people.state_of(holder) is not None
        self._check_opening(operator, tier, key, who, is_person=is_person)
        if (earlier := self._earlier(id, operator)) is not None:
            return earlier
        self._check_holder(holder, operator, is_person=is_person)
        account = self._account(account, key, proof)
        named, holders = ids.from_ints([account]), ids.from_ints([holder])
        (draft,) = self._drafts(named, holders, operator, tier, [key], (), who, None, is_person=is_person, id=id)
        signed = self._signed(draft, signers)
        if not is_person:
            self._register.keys.create([holder])  # its side of payment references is sealed under its key
        return self._opened(account, signed)

    def open_person(
        self,
        fields: Mapping[str, str],
        *,
        operator: int,
        tier: str,
        signers: Sequence[Signer],
        who: int,
        account: int = 0,
        key: PublicKey | None = None,
        proof: bytes = b"",
        id: int = 0,
    ) -> Wallet:
        """Register a new person, open a wallet for the person, and make the phone its alias. Errors as `open`.

        `fields` are those of `personal.sealing.FIELDS`. `id`: as for `open`. Raises PersonRefused for a person or a
        phone that is registered. Nothing is stored before the records are signed.
        """
        examined = self._register.examine({name: [text] for name, text in fields.items()})
        self._check_opening(operator, tier, key, who, is_person=True)
        with self._one_at_a_time:
            if (earlier := self._earlier(id, operator)) is not None:
                return earlier
            faults = self._faults(examined)
            if faults:
                raise PersonRefused(faults[0])
            account = self._account(account, key, proof)
            person = self._stores.new_id()
            masked = [sealing.mask(text) for text in examined.columns.get("name", [""])]
            prepared: list[Prepared] = []

            def persons() -> tuple[Prepared, list[str]]:
                return prepared[0], masked

            (draft,) = self._drafts(
                ids.from_ints([account]),
                ids.from_ints([person]),
                operator,
                tier,
                [key],
                (),
                who,
                persons,
                is_person=True,
                id=id,
            )
            signed = self._signed(draft, signers)
            prepared.append(self._register.prepare([person], examined))
            return self._opened(account, signed)

    def _earlier(self, id: int, operator: int) -> Wallet | None:
        """Return the wallet that an earlier call with this id opened; None without one.

        Raises Refused as that call did, and UsageError for the id of another operator's opening.
        """
        outcome = self._stores.intents.outcome(id, ACTION) if id else None
        if outcome is None:
            return None
        with reading(self._stores.engine) as connection:
            of_intent = sqlalchemy.select(WALLETS.c.account).where(WALLETS.c.intent == id)
            account = connection.execute(of_intent).scalar_one()
        wallet = self.directory.get(account)
        if wallet.operator != operator:
            raise UsageError(f"the id {ids.format(id)} is of another opening", hint="choose a fresh id")
        outcome.require_created(f"wallet {ids.format(account)} was not opened")
        return wallet

    def _signed(self, draft: Draft, signers: Sequence[Signer]) -> Draft:
        until_ns = read_ns(self._stores.clock) + SIGNATURE_VALIDITY_NS
        envelopes = sign_records(draft.records, self._stores.ledger.ledger_id, signers, until_ns)
        return replace(draft, envelopes=envelopes)

    def _account(self, account: int, key: PublicKey | None, proof: bytes) -> int:
        """Return the account to open. Raises UsageError unless `proof` is the key's signature for it."""
        if key is not None:
            if not account:
                raise UsageError("a wallet with a key needs its account id first", hint="call new_account")
            if not key.verifies(proof, proof_message(self._stores.ledger.ledger_id, account, 1, key)):
                raise UsageError(
                    f"the proof is not a signature of {key} for account {ids.format(account)}, key epoch 1",
                    hint="the owner of the key signs the proof with it",
                )
        if account and self._is_taken(account):
            raise UsageError(f"the id {ids.format(account)} is taken", hint="choose a fresh id")
        return account or self.new_account()

    def _is_taken(self, account: int) -> bool:
        """Return whether a wallet, or another account of the ledger, has an id."""
        with self._stores.ledger.sequencer.reading() as state:
            in_ledger = state.account(account) is not None
        return in_ledger or self.directory.find(account) is not None

    def _opened(self, account: int, draft: Draft) -> Wallet:
        outcome = self._stores.intents.perform(draft)
        outcome.require_created(f"wallet {ids.format(account)} was not opened")
        return self.directory.get(account)

    # --- many wallets ---

    def open_many(
        self,
        columns: Mapping[str, Sequence[str]],
        *,
        operator: int,
        tier: str,
        signers: Sequence[Signer],
        who: int,
        progress: Progress | None = None,
    ) -> OpenedMany:
        """Register many new persons and open a custodial wallet for each; the phone is the wallet's alias.

        `columns`: field of `personal.sealing.FIELDS` → n texts, "" for none. `progress(rows)` is called after each
        group of batches. Each batch of 8,000 rows is opened atomically; rows that cannot be opened are
        in `refused`, by code. Raises the errors of `open`, before anything is stored.
        """
        self._check_opening(operator, tier, None, who, is_person=True)
        size = len(next(iter(columns.values()), ()))
        found = OpenedMany([0] * size)
        starts = range(0, size, GROUP_ROWS)
        parts = ({name: texts[start : start + GROUP_ROWS] for name, texts in columns.items()} for start in starts)
        with closing(one_ahead(self._sealed, parts)) as groups:
            for start, group in zip(starts, groups, strict=True):
                with self._one_at_a_time:
                    self._open_group(group, start, operator, tier, signers, who, found)
                if progress is not None:
                    progress(group.examined.size)
        return found

    def _sealed(self, columns: Mapping[str, Sequence[str]]) -> _NewPersons:
        """Examine rows and seal those without a fault. Writes nothing."""
        examined = self._register.examine(columns)
        rows = np.array([row for row in range(examined.size) if row not in examined.faults], np.int64)
        persons = ids.generate(rows.size, time_ms=read_ns(self._stores.clock) // 1_000_000)
        prepared = self._register.seal_rows(ids_bytes(persons), examined, rows)
        names = examined.columns.get("name", [""] * examined.size)
        return _NewPersons(examined, rows, persons, prepared, [sealing.mask(names[row]) for row in rows.tolist()])

    def _open_group(
        self, new: _NewPersons, start: int, operator: int, tier: str, signers: Sequence[Signer], who: int,
        found: OpenedMany,
    ) -> None:  # fmt: skip
        faults = self._faults(new.examined)
        found.refused.update({start + row: code for row, code in faults.items()})
        good = np.flatnonzero(~np.isin(new.rows, list(faults)))
        if not good.size:
            return
        if good.size < new.rows.size:
            new = new.of(good)
        self._register.store_secrets(new.prepared)
        accounts = ids.generate(good.size, time_ms=read_ns(self._stores.clock) // 1_000_000)
        persons = (new.prepared, new.masked)
        drafts = self._drafts(accounts, new.persons, operator, tier, (), signers, who, lambda: persons, is_person=True)
        outcomes = self._stores.intents.perform_many(drafts)
        opened = zip(new.rows.tolist(), ids.to_ints(accounts), strict=True)
        for outcome in outcomes:
            for result, (row, account) in zip(outcome.results, opened, strict=False):
                if outcome.state == LAPSED or result is not Result.CREATED:
                    found.refused[start + row] = result.name
                else:
                    found.accounts[start + row] = account

    # --- openings whose signatures expired ---

    def lapsed(self, operator: int | None = None, *, after: int = 0, most: int = 1_000) -> list[LapsedOpening]:
        """Return openings whose signatures had expired when an interrupted call was finished, by their ids.

        `operator`: its openings alone. `after`: an id of an opening; those behind it are returned.
        """
        chosen = (WALLETS.c.state == LAPSED) & (WALLETS.c.intent > after)
        if operator is not None:
            chosen &= WALLETS.c.operator == operator
        query = sqlalchemy.select(WALLETS.c.intent).distinct().where(chosen).order_by(WALLETS.c.intent).limit(most)
        with reading(self._stores.engine) as connection:
            batches = list(connection.scalars(query))
        return [self._lapsed(each) for each in batches]

    def _lapsed(self, opening: int) -> LapsedOpening:
        stored = self._stores.intents.find(opening)
        assert stored is not None, "intents are never deleted"
        payload = stored.payload
        first = sqlalchemy.select(WALLETS.c.account).where(WALLETS.c.intent == opening).order_by(WALLETS.c.account)
        with reading(self._stores.engine) as connection:
            account = connection.execute(first.limit(1)).scalar_one()
        return LapsedOpening(
            opening, payload["operator"], payload["class"], account, payload["size"], payload["key"],
            "merchant" not in payload,
        )  # fmt: skip

    def renew(self, *, signers: Sequence[Signer], who: int) -> int:
        """Sign every lapsed opening anew; return the number of wallets opened."""
        opened, after = 0, 0
        while found := self.lapsed(after=after):
            for each in found:
                opened += self.renew_one(each.id, operator=each.operator, signers=signers, who=who)
            after = found[-1].id
        return opened

    def renew_one(self, opening: int, *, operator: int, signers: Sequence[Signer], who: int) -> int:
        """Sign a lapsed opening anew; return the number of wallets opened. A repeated call returns the same number.

        `opening`: its id, of `lapsed`. Raises NotFound for the id of no opening of the operator, and UsageError for a
        person without the duty.
        """
        self._people.require(who, ACTION, operator=operator)
        stored = self._stores.intents.find(opening)
        if stored is None or stored.action != ACTION or stored.payload["operator"] != operator:
            raise NotFound(
                f"{ids.format(opening)} is no opening of operator {operator}",
                hint="list the openings whose signatures expired",
            )

        outcome = self._finished(stored, signers)
        opened = outcome.results[: stored.payload["size"]]
        return sum(result is Result.CREATED for result in opened)

    def _finished(self, stored: StoredIntent, signers: Sequence[Signer]) -> IntentOutcome:
        """Return the outcome of a stored opening, which is signed anew if it lapsed."""

        def reopen(connection: Connection) -> None:
            connection.execute(WALLETS.update().where(WALLETS.c.intent == stored.id).values(state=OPENING))

        if stored.state == LAPSED:
            return self._stores.intents.renew(stored.id, signers=signers, before=reopen)
        outcome = self._stores.intents.outcome(stored.id, ACTION)
        assert outcome is not None, "it is stored"
        return outcome

    # --- checks ---

    def _check_opening(self, operator: int, tier: str, key: PublicKey | None, who: int, *, is_person: bool) -> None:
        self._people.require(who, ACTION, operator=operator)
        self._registry.require_active(operator)
        self._check_admitted(operator)
        if is_person or tier:
            self.check_class(self.preset.tier(tier), is_person=is_person, has_key=key is not None)

    def check_class(self, tier: Tier, *, is_person: bool, has_key: bool) -> None:
        """Raise UsageError for a class of another kind of holder, and for one above the lowest without a key."""
        if (tier.holder == PERSON) is not is_person:
            raise UsageError(f"the class {tier.name} is for a {tier.holder}", hint="name a class of this holder")
        lowest = self.lowest_class()
        if is_person and not has_key and tier.name != lowest:
            raise UsageError(
                f"a wallet without its own key cannot be of the class {tier.name}",
                hint=f"its operator signs for it, so it is kept to the lowest class, {lowest}; or give it a key",
            )

    def rule_set(self, tier: str) -> int:
        """Return the number of the rule set of a class; 0 for ""."""
        return self._rule_sets()[tier] if tier else 0

    def lowest_class(self) -> str:
        """Return the name of the class of persons with the smallest maximum balance."""
        tiers = [each for each in self.preset.tiers if each.holder == PERSON]
        limited = [each for each in tiers if each.balance_max_minor] or tiers
        return min(limited, key=lambda each: each.balance_max_minor).name

    def _check_admitted(self, operator: int) -> None:
        """Raise UsageError unless compliance admitted the operator's participant; nothing if compliance is off."""
        if self._compliance is None:
            return
        found = self._institutions.of_operator(operator)
        participant = found.participant if found is not None else ""
        if not participant:
            raise UsageError(
                f"operator {operator} is no participant of the compliance network",
                hint="enter it with --participant, or found the bank with the setting compliance = false",
            )
        status = self._compliance.admission_status(participant)
        if status.outcome not in ADMITTED:
            raise UsageError(
                f"compliance did not admit {participant}: {status.outcome or 'no decision'}, {status.digest or 'none'}",
                hint="admit it with the compliance service: docs/reference/compliance-service.md",
            )

    def _check_holder(self, holder: int, operator: int, *, is_person: bool) -> None:
        if is_person:
            if self._people.state_of(holder) != PERSON_ACTIVE:
                raise UsageError(f"person {ids.format(holder)} was shredded", hint="name another person")
            return
        found = self._institutions.require_approved(holder)
        if found.operator != operator:
            raise UsageError(
                f"{found.name} is served by operator {found.operator}, not by operator {operator}",
                hint="its own operator opens its wallets",
            )

    def _faults(self, examined: Examined) -> dict[int, str]:
        """Return the rows that cannot be opened, with their codes."""
        faults = dict(examined.faults)
        searches = examined.searches
        is_phone = searches.kinds == SearchKind.PHONE
        with reading(self._stores.engine) as connection:
            for row, kind in self._register.duplicate_rows(connection, examined).items():
                faults.setdefault(row, DUPLICATE_PHONE if kind is SearchKind.PHONE else DUPLICATE_PERSON)
            taken = known_hashes(connection, AliasKind.PHONE, searches.hashes[is_phone])
        if taken:
            for row, value in zip(searches.owners[is_phone].tolist(), searches.hashes[is_phone], strict=True):
                if value.tobytes() in taken:
                    faults.setdefault(row, DUPLICATE_PHONE)
        return faults

    # --- drafts ---

    def _drafts(
        self, accounts: Ids, holders: Ids, operator: int, tier: str, keys: Sequence[PublicKey | None],
        signers: Sequence[Signer], who: int, persons: Callable[[], tuple[Prepared, list[str]]] | None,
        *, is_person: bool, id: int = 0,
    ) -> list[Draft]:  # fmt: skip
        """Return the drafts that open n accounts, with 8,000 accounts each.

        `keys`: of each wallet of a single draft; () for custodial ones. `persons` returns the holders and their masked
        names when they are stored; None: they are registered. `id`: of the only intent, 0 for a fresh one.
        """
        rule_set = self.rule_set(tier)
        now_ns = read_ns(self._stores.clock)
        starts = range(0, accounts.size, INTENT_RECORDS_MAX)
        intents = ids.from_ints([id]) if id else ids.generate(len(starts), time_ms=now_ns // 1_000_000)
        named, holder_of = ids_bytes(accounts), ids_bytes(holders)
        is_custodial = np.array([each is None for each in keys], np.int64) if keys else True
        wallets = {
            "account": named, "holder": holder_of, "operator": operator, "class": tier, "rule_set": rule_set,
            "is_custodial": is_custodial, "state": OPENING, "opened_ns": now_ns,
            "intent": ids_bytes(intents)[np.arange(accounts.size) // INTENT_RECORDS_MAX],
        }  # fmt: skip

        def before(connection: Connection) -> None:
            if persons is not None:
                prepared, names = persons()
                row = {"id": holder_of, "state": PERSON_ACTIVE, "made_ns": now_ns}
                insert_columns(connection, PERSONS, row)
                self._register.store_many(connection, prepared)
                searches = prepared.searches
                is_phone = searches.kinds == SearchKind.PHONE
                owners = searches.owners[is_phone]
                masked = [names[owner] for owner in owners.tolist()]
                store_aliases(connection, AliasKind.PHONE, searches.hashes[is_phone], named[owners], masked, now_ns)
            insert_columns(connection, WALLETS, wallets)

        (key,) = keys if len(keys) == 1 else (None,)
        payload = {"operator": operator, "class": tier, "key": str(key) if key else ""}
        if len(keys) > 1 and any(keys):
            payload["keyed"] = sum(each is not None for each in keys)
        if not is_person:
            payload["merchant"] = ids.format(holders[0])
        drafts = []
        for start, intent in zip(starts, ids.to_ints(intents), strict=True):
            part = accounts[start : start + INTENT_RECORDS_MAX]
            records = self._records(part, operator, rule_set, keys, is_person=is_person)
            # One transaction stores all drafts, so the first writes the rows of all.
            writes = None if start else before
            sized = payload | {"size": part.size}
            drafts.append(Draft(ACTION, records, sized, who=who, signers=signers, before=writes, id=intent))
        return drafts

    def _records(
        self, accounts: Ids, operator: int, rule_set: int, keys: Sequence[PublicKey | None], *, is_person: bool
    ) -> Array:
        """Return the records that open accounts, and then those that set the keys of accounts with one."""
        time_ms = read_ns(self._stores.clock) // 1_000_000
        opened = operations.open_account(
            ids.generate(accounts.size, time_ms=time_ms),
            account=accounts,
            currency=self._currency.numeric,
            kind=AccountKind.WALLET if is_person else AccountKind.MERCHANT,
            suspense=self._registry.operator(operator).accounts.suspense,
            operator=operator,
            rule_set=rule_set,
        )
        set_keys = [
            operations.set_key(ids.new(time_ms), account=ids.to_int(account), key=key.key, flags=key.flags)
            for account, key in zip(accounts, keys, strict=False)
            if key is not None
        ]
        return np.concatenate([opened, *set_keys])


class _Open:
    """Set the state of the wallets of a batch."""

    name = ACTION

    def __init__(self, keys: KeyRegister, institutions: Institutions) -> None:
        self._keys, self._institutions = keys, institutions

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Open the wallets whose accounts were created, and store the keys of wallets with one."""
        of_batch = WALLETS.c.intent == intent.id
        connection.execute(WALLETS.update().where(of_batch).values(state=OPEN))
        refused = [at for at, result in enumerate(results) if result is not Result.CREATED]
        accounts = {ids.of_record(intent.records[at], "debit") for at in refused}
        for account in accounts:
            connection.execute(WALLETS.update().where(WALLETS.c.account == account).values(state=REFUSED))
            end_aliases_of(connection, account)
        if "merchant" in intent.payload and not accounts:
            self._institutions.set_state(connection, ids.parse(intent.payload["merchant"]), INSTITUTION_ACTIVE)
        for account, key in _keys_of(intent.records):
            if account not in accounts:
                self._keys.record(connection, account, key, epoch=1, reason="opening", intent=intent.id)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Mark the wallets: `Opening.renew` opens them under a new signature."""
        connection.execute(WALLETS.update().where(WALLETS.c.intent == intent.id).values(state=LAPSED))
        for account, _ in _keys_of(intent.records):
            self._keys.forget(connection, account, epoch=1)


def _keys_of(records: Array) -> Iterator[tuple[int, PublicKey]]:
    """Yield account and key of each record that sets one."""
    start = 8 * layout.KEY_WORD
    for record in records[records["kind"] == Kind.SET_KEY]:
        key = record.tobytes()[start : start + KEY_BYTES]
        yield ids.of_record(record, "debit"), PublicKey(int(record["flags"]), key)
