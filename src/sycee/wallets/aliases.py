"""Aliases of wallets: a phone, a handle or a beneficiary's id, found by keyed hash and shown with a masked name.

A phone proves its owner by a code that is sent to it; a handle needs the signature of the wallet's key; the id of a
beneficiary in another register is entered, and looked up, by staff of operators alone. An alias that
moves to another wallet cools off for 24 hours: payments go to the earlier wallet until then, and its owner can object.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy
from blake3 import blake3
from sqlalchemy.engine import Connection, Engine, Row

from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.keys import PublicKey
from sycee.core.records.signed_messages import alias_message
from sycee.database.jobs import Run
from sycee.database.stores import Stores
from sycee.database.transactions import Also, nothing_else, reading, write
from sycee.identity.people import People
from sycee.personal import sealing
from sycee.personal.register import Register
from sycee.personal.sealing import SearchKind
from sycee.wallets.alias_rows import AliasKind
from sycee.wallets.directory import Directory, Wallet, wallet_in
from sycee.wallets.tables import (
    ACTIVE,
    ALIASES,
    CHALLENGES,
    COOLING,
    ENDED,
    FAILED,
    LOOKUPS,
    OPEN,
    USED,
    WAITING,
    WALLETS,
)

if TYPE_CHECKING:
    from sycee.identity.institutions import Institutions

MOVE: Final = "alias.move"
BENEFICIARY: Final = "alias.beneficiary"
CODE_DIGITS: Final = 6
CODE_NS: Final = 10 * 60 * 10**9  # a code is valid for ten minutes
ATTEMPTS_MAX: Final = 5
COOLING_NS: Final = 24 * 3_600 * 10**9
CODES_MAX: Final = 10  # in 24 hours, of one holder and to one phone: each is a message, and five guesses
CODES_TO_PHONE_MAX: Final = 3  # of one holder to one phone: nobody uses up the codes of another person's phone
DAY_NS: Final = 24 * 3_600 * 10**9
LOOKUPS_MAX: Final = 100  # of one person on one day: enough to pay, too few to collect names

_HANDLE: Final = re.compile(r"@[a-z][a-z0-9_.-]{2,29}")
_BENEFICIARY: Final = re.compile(r"id:[a-z0-9][a-z0-9./-]{2,35}")
_PLACE: Final = "challenge"


class LookupsExhausted(UsageError):
    """A person looked up the maximum of aliases of one day."""


@dataclass(frozen=True, slots=True)
class Masked:
    """Data that a payer is shown before signing. `name`: masked for a person ("W** L*"), in full for a merchant."""

    account: int
    name: str


@dataclass(frozen=True, slots=True)
class Code:
    """A code to deliver to a phone, which is in E.164."""

    challenge: int
    phone: str = field(repr=False)
    code: str = field(repr=False)


class Aliases:
    """The aliases of one bank. `zone`: of the days on which look-ups are counted."""

    def __init__(
        self, stores: Stores, people: People, institutions: Institutions, directory: Directory, register: Register,
        zone: ZoneInfo,
    ) -> None:  # fmt: skip
        self._stores, self._people, self._institutions = stores, people, institutions
        self._directory, self._register, self._zone = directory, register, zone
        register.on_shred.append(self._forget)
        stores.jobs.register(MOVE, self._complete_move)

    # --- finding ---

    def resolve(self, text: str, *, by: int) -> Masked:
        """Return the wallet of an alias with its masked name; `by`: the person whose look-ups are counted.

        `text`: a phone, a handle such as @tea, or for staff of an operator a beneficiary's id such as id:CASE-0017.
        Raises UsageError for an unknown alias, and after 100 look-ups on one day. The error does not repeat the alias.
        """
        kind, hash = self._hashed(text)
        if kind is AliasKind.BENEFICIARY:
            self._people.require(by, BENEFICIARY)
        self._count(by)
        # One query in any case, so that its time does not tell why there is no wallet.
        joined = ALIASES.join(WALLETS, ALIASES.c.account == WALLETS.c.account)
        chosen = _chosen(kind, hash) & (ALIASES.c.state != ENDED) & (WALLETS.c.state == OPEN)
        query = sqlalchemy.select(ALIASES.c.account, ALIASES.c.masked).select_from(joined).where(chosen)
        with reading(self._stores.engine) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound("there is no wallet with this alias", hint="ask the payee for the alias, or for a QR code")
        return Masked(row.account, row.masked)

    def name_of(self, account: int) -> str:
        """Return the masked name of a wallet's holder, for a payer who has the wallet's id. UsageError without one."""
        return self._masked(self._directory.require_open(account))

    def of_account(self, account: int) -> list[AliasKind]:
        """Return the kinds of the aliases that an account has. Their texts are stored nowhere."""
        chosen = (ALIASES.c.account == account) & (ALIASES.c.state != ENDED)
        with reading(self._stores.engine) as connection:
            return [AliasKind(each) for each in connection.scalars(sqlalchemy.select(ALIASES.c.kind).where(chosen))]

    # --- handles ---

    def message(self, account: int, text: str) -> bytes:
        """Return the 32 bytes that a wallet's key signs to register, end or keep an alias."""
        return alias_message(self._stores.ledger.ledger_id, account, self._epoch(account), self.hash_of(text))

    def hash_of(self, text: str) -> bytes:
        """Return the keyed hash of an alias, from which its owner computes the message to sign."""
        _, hash = self._hashed(text)
        return hash

    def register_handle(self, account: int, text: str, *, proof: bytes = b"", by: int) -> None:
        """Make a handle, or a beneficiary's id, the alias of a wallet.

        - `proof`: the signature of `message` by the wallet's key. For a custodial wallet, and for a beneficiary's id,
          `by` is a person of its operator instead.

        Raises UsageError for a wrong proof and for an alias that another wallet has; LookupsExhausted as `resolve`,
        because anyone who tries aliases learns which exist.
        """
        kind, hash = self._hashed(text)
        if kind is AliasKind.PHONE:
            raise UsageError("a phone is registered by a code that is sent to it", hint="send the code first")
        wallet = self._directory.require_open(account)
        self._require_owner(wallet, kind, hash, proof, by)
        if self._stores.ledger.account(account).key or kind is AliasKind.BENEFICIARY:
            self._count(by)
        masked = self._masked(wallet)
        now_ns = read_ns(self._stores.clock)

        def store(connection: Connection) -> None:
            row = _row(connection, kind, hash)
            if row is not None and row.state != ENDED and row.account != account:
                if kind is AliasKind.BENEFICIARY:
                    raise UsageError("another wallet has this beneficiary's id", hint="end it at that wallet first")
                raise UsageError("another wallet has this handle", hint="choose another one")
            _store(connection, kind, hash, account, masked, now_ns)

        write(self._stores.engine, store)

    def end(self, account: int, text: str, *, proof: bytes = b"", by: int, also: Also = nothing_else) -> None:
        """End an alias of a wallet. `proof`, `by`: as `register_handle`. `also` writes in the same transaction."""
        kind, hash = self._hashed(text)
        wallet = self._directory.get(account)
        self._require_owner(wallet, kind, hash, proof, by)
        chosen = _chosen(kind, hash) & (ALIASES.c.account == account)
        values = {"state": ENDED, "until_ns": None, "to_account": None}

        def end(connection: Connection) -> None:
            if not connection.execute(ALIASES.update().where(chosen).values(values)).rowcount:
                raise UsageError("the wallet does not have this alias", hint="name an alias of this wallet")
            also(connection)

        write(self._stores.engine, end)

    # --- phones ---

    def challenge(
        self, account: int, text: str, *, proof: bytes = b"", by: int,
        also: Callable[[Connection, int], None] = lambda connection, challenge: None,
    ) -> int:  # fmt: skip
        """Prepare a code for a phone that becomes the alias of a wallet; return the challenge's id.

        `proof`, `by`: as `register_handle`. `also` writes in the same transaction, and gets the id. The delivery
        service sends the code. `confirm` takes it within ten minutes. Raises UsageError if too many codes were asked
        for in 24 hours: `_require_few`.
        """
        kind, hash = self._hashed(text)
        if kind is not AliasKind.PHONE:
            raise UsageError("a code is sent to phones only", hint="register a handle with the wallet's signature")
        wallet = self._directory.require_open(account)
        self._require_owner(wallet, kind, hash, proof, by)
        now_ns = read_ns(self._stores.clock)
        challenge = ids.fresh(now_ns // 1_000_000)  # `_require_few` reads the time from the id
        code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
        sealed = self._register.seal(wallet.holder, _PLACE, json.dumps([self._register.phone(text), code]))
        row = {
            "id": challenge,
            "kind": int(kind),
            "hash": hash,
            "account": account,
            "code_hash": self._code_hash(challenge, code),
            "sealed": sealed,
            "attempts": 0,
            "expires_ns": now_ns + CODE_NS,
            "state": WAITING,
        }

        def store(connection: Connection) -> None:
            self._require_few(connection, wallet, hash, now_ns)
            connection.execute(CHALLENGES.insert().values(row))
            also(connection, challenge)

        write(self._stores.engine, store)
        return challenge

    def _require_few(self, connection: Connection, wallet: Wallet, hash: bytes, now_ns: int) -> None:
        """Raise UsageError if the wallet's holder, or all together, asked for too many codes in 24 hours.

        The limit of a phone stops neither a holder's first code to it nor the holder of the wallet whose alias it is:
        otherwise others could use up the codes, and the owner of the phone would get none.
        """
        accounts = {each.account for each in self._directory.of_holder_in(connection, wallet.holder)}
        same = CHALLENGES.c.account.in_(accounts) | (CHALLENGES.c.hash == hash)
        recent = CHALLENGES.c.expires_ns > now_ns + CODE_NS - DAY_NS
        since = CHALLENGES.c.id >= max(0, (now_ns - DAY_NS) // 1_000_000) << 80  # ids begin with their time
        query = sqlalchemy.select(CHALLENGES.c.account, CHALLENGES.c.hash).where(same & recent & since)
        asked = [(row.account in accounts, bytes(row.hash) == hash) for row in connection.execute(query)]
        mine = sum(is_mine for is_mine, _ in asked)
        to_phone = sum(is_phone for _, is_phone in asked)
        both = sum(is_mine and is_phone for is_mine, is_phone in asked)
        alias = _row(connection, AliasKind.PHONE, hash)
        is_owner = alias is not None and alias.state != ENDED and alias.account in accounts
        if mine >= CODES_MAX:
            why = f"{CODES_MAX} codes were asked for in 24 hours by the holder of this wallet"
        elif both >= CODES_TO_PHONE_MAX:
            why = f"{CODES_TO_PHONE_MAX} codes to this phone were asked for in 24 hours by the holder of this wallet"
        elif to_phone >= CODES_MAX and both and not is_owner:
            why = f"{CODES_MAX} codes to this phone were asked for in 24 hours"
        else:
            return
        raise UsageError(why, hint="try again tomorrow")

    def waiting_codes(self) -> list[int]:
        """Return the challenges whose codes were not sent and are still valid, oldest first."""
        query = sqlalchemy.select(CHALLENGES.c.id).where(self._waits()).order_by(CHALLENGES.c.id)
        with reading(self._stores.engine) as connection:
            return list(connection.scalars(query))

    def code(self, challenge: int) -> Code | None:
        """Return a code for the machine that delivers it; None if it is over, or was sent."""
        query = sqlalchemy.select(CHALLENGES).where(self._waits() & (CHALLENGES.c.id == challenge))
        with reading(self._stores.engine) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        holder = self._directory.holder_of(row.account)
        return Code(row.id, *json.loads(self._register.open_own(holder, _PLACE, bytes(row.sealed))))

    def sent(self, challenge: int) -> None:
        """Delete the text of a code that was sent or is given up. A crash before this sends it twice."""
        sent = CHALLENGES.update().where(CHALLENGES.c.id == challenge).values(sealed=None)
        write(self._stores.engine, lambda connection: connection.execute(sent))

    def _waits(self) -> sqlalchemy.ColumnElement[bool]:
        now_ns = read_ns(self._stores.clock)
        return (CHALLENGES.c.state == WAITING) & CHALLENGES.c.sealed.is_not(None) & (CHALLENGES.c.expires_ns > now_ns)

    def account_of(self, challenge: int) -> int:
        """Return the account for which a challenge was made. Raises NotFound if there is none."""
        query = sqlalchemy.select(CHALLENGES.c.account).where(CHALLENGES.c.id == challenge)
        with reading(self._stores.engine) as connection:
            account = connection.scalar(query)
        if account is None:
            raise NotFound(f"there is no challenge {ids.format(challenge)}", hint="ask for a code first")
        return int(account)

    def confirm(
        self, challenge: int, code: str, *, also: Callable[[Connection, bool], None] = lambda connection, active: None
    ) -> bool:
        """Take the code that a phone received: its alias begins, or begins to move from another wallet.

        Return whether the alias is in effect now; False: it cools off for 24 hours. `also` writes in the transaction
        of the alias, and gets the same value. Raises UsageError for a wrong code, after five attempts, and after ten
        minutes.
        """
        now_ns = read_ns(self._stores.clock)
        given = self._code_hash(challenge, code)

        def take(connection: Connection) -> str:
            chosen = CHALLENGES.c.id == challenge
            row = connection.execute(sqlalchemy.select(CHALLENGES).where(chosen)).one_or_none()
            if row is None or row.state != WAITING or row.expires_ns <= now_ns:
                return "the code is no longer valid"
            if not secrets.compare_digest(bytes(row.code_hash), given):
                state = FAILED if row.attempts + 1 >= ATTEMPTS_MAX else WAITING
                connection.execute(CHALLENGES.update().where(chosen).values(attempts=row.attempts + 1, state=state))
                return "the code is wrong"
            connection.execute(CHALLENGES.update().where(chosen).values(state=USED, sealed=None))
            state = self._begin(connection, row, now_ns)
            also(connection, state == ACTIVE)
            return state

        result = write(self._stores.engine, take)
        if result not in (ACTIVE, COOLING):
            raise UsageError(result, hint="ask for another code")
        return result == ACTIVE

    def _begin(self, connection: Connection, challenge: Row[Any], now_ns: int) -> str:
        """Make the phone an alias, or start its cooling-off; return the state."""
        kind, hash = AliasKind(challenge.kind), bytes(challenge.hash)
        row = _row(connection, kind, hash)
        earlier = wallet_in(connection, row.account) if row is not None and row.state != ENDED else None
        wallet = wallet_in(connection, challenge.account)
        assert wallet is not None, "a challenge is made for a wallet"
        if row is None or earlier is None or earlier.state != OPEN or earlier.account == wallet.account:
            _store(connection, kind, hash, wallet.account, self._masked(wallet), now_ns)
            return ACTIVE
        until_ns = now_ns + COOLING_NS
        connection.execute(
            ALIASES.update()
            .where(_chosen(kind, hash))
            .values(state=COOLING, until_ns=until_ns, to_account=wallet.account)
        )
        key = ids.format(challenge.id)
        self._stores.jobs.add(
            connection,
            MOVE,
            until_ns,
            key=key,
            payload={"hash": hash.hex(), "kind": int(kind), "account": wallet.account},
        )
        return COOLING

    def keep(self, account: int, text: str, *, proof: bytes = b"", by: int, also: Also = nothing_else) -> None:
        """Object to the move of an alias, as the owner of the wallet that has it: the move ends.

        `proof`, `by`: as `register_handle`. `also` writes in the same transaction. Raises UsageError if the alias of
        this wallet does not move.
        """
        kind, hash = self._hashed(text)
        self._require_owner(self._directory.get(account), kind, hash, proof, by)
        chosen = _chosen(kind, hash) & (ALIASES.c.account == account) & (ALIASES.c.state == COOLING)
        values = {"state": ACTIVE, "until_ns": None, "to_account": None}

        def keep(connection: Connection) -> None:
            if not connection.execute(ALIASES.update().where(chosen).values(values)).rowcount:
                raise UsageError(
                    "no alias of this wallet moves", hint="the move has ended, or the alias is of another wallet"
                )
            also(connection)

        write(self._stores.engine, keep)

    def moving_from(self, account: int) -> list[int]:
        """Return the wallets to which aliases of an account move, so that its owner can object."""
        chosen = (ALIASES.c.account == account) & (ALIASES.c.state == COOLING)
        with reading(self._stores.engine) as connection:
            return list(connection.scalars(sqlalchemy.select(ALIASES.c.to_account).where(chosen)))

    def _complete_move(self, run: Run) -> None:
        kind, hash, account = AliasKind(run.payload["kind"]), bytes.fromhex(run.payload["hash"]), run.payload["account"]
        now_ns = read_ns(self._stores.clock)

        def move(connection: Connection) -> None:
            row, wallet = _row(connection, kind, hash), wallet_in(connection, account)
            if row is None or row.state != COOLING or row.to_account != account or row.until_ns > now_ns:
                return
            if wallet is None or wallet.state != OPEN:
                values = {"state": ACTIVE, "until_ns": None, "to_account": None}
                connection.execute(ALIASES.update().where(_chosen(kind, hash)).values(values))
                return
            _store(connection, kind, hash, account, self._masked(wallet), now_ns)

        write(self._stores.engine, move)

    # --- helpers ---

    def _hashed(self, text: str) -> tuple[AliasKind, bytes]:
        """Return the kind and the keyed hash of an alias. Raises UsageError, which does not repeat the text."""
        if text.startswith("@"):
            handle = text.casefold()
            if not _HANDLE.fullmatch(handle):
                raise UsageError(
                    "the handle has a wrong form",
                    hint="a handle is @ and 3 to 30 letters, digits, or . _ -: @tea.house",
                )
            return AliasKind.HANDLE, blake3(b"handle\0" + handle.encode(), key=self._register.keys.hash_key).digest(16)
        if is_beneficiary(text):
            beneficiary = text.casefold()
            if not _BENEFICIARY.fullmatch(beneficiary):
                raise UsageError(
                    "the id of the beneficiary has a wrong form",
                    hint="an id is id: and 3 to 36 letters, digits, or . / -: id:CASE-0017",
                )
            key = self._register.keys.hash_key
            return AliasKind.BENEFICIARY, blake3(b"beneficiary\0" + beneficiary.encode(), key=key).digest(16)
        return AliasKind.PHONE, self._register.phone_hash(text)

    def _count(self, by: int) -> None:
        now = datetime.fromtimestamp(read_ns(self._stores.clock) / 1e9, self._zone)
        day = now.date().isoformat()
        chosen = (LOOKUPS.c.who == by) & (LOOKUPS.c.day == day)

        def count(connection: Connection) -> int:
            found = connection.scalar(sqlalchemy.select(LOOKUPS.c.count).where(chosen))
            if found is None:
                connection.execute(LOOKUPS.insert().values(who=by, day=day, count=1))
            elif found < LOOKUPS_MAX:
                connection.execute(LOOKUPS.update().where(chosen).values(count=found + 1))
            return int(found or 0)

        if write(self._stores.engine, count) >= LOOKUPS_MAX:
            raise LookupsExhausted(
                f"{LOOKUPS_MAX} aliases were looked up today", hint="try again tomorrow, or scan the payee's QR code"
            )

    def _epoch(self, account: int) -> int:
        return self._stores.ledger.account(account).key_epoch

    def _require_owner(self, wallet: Wallet, kind: AliasKind, hash: bytes, proof: bytes, by: int) -> None:
        if kind is AliasKind.BENEFICIARY:
            self._people.require(by, BENEFICIARY, operator=wallet.operator)
            return
        account = self._stores.ledger.account(wallet.account)
        if not account.key:
            self._people.require(by, "wallet.open", operator=wallet.operator)
            return
        key = PublicKey(int(account.key_flags), account.key)
        message = alias_message(self._stores.ledger.ledger_id, wallet.account, account.key_epoch, hash)
        if not key.verifies(proof, message):
            raise UsageError(
                f"the proof is not a signature of the key of wallet {ids.format(wallet.account)}",
                hint="the owner signs with the wallet's present key",
            )

    def _masked(self, wallet: Wallet) -> str:
        if self._people.state_of(wallet.holder) is None:
            return self._institutions.get(wallet.holder).name
        return self._register.mask_of(wallet.holder)

    def _code_hash(self, challenge: int, code: str) -> bytes:
        return blake3(challenge.to_bytes(16, "big") + code.encode(), key=self._register.keys.hash_key).digest(16)

    def _forget(self, connection: Connection, person: int) -> None:
        """Delete the masked names, the aliases and the codes of a person who is shredded."""
        for account in [each.account for each in self._directory.of_holder_in(connection, person)]:
            connection.execute(ALIASES.delete().where(ALIASES.c.account == account))
            connection.execute(CHALLENGES.delete().where(CHALLENGES.c.account == account))


def is_beneficiary(text: str) -> bool:
    """Return whether an alias is the id of a beneficiary."""
    return text[:3].casefold() == "id:"


def handle_hash(text: str, hash_key: bytes) -> bytes:
    """Return the keyed hash of a handle. Raises UsageError, which does not repeat the text, for a wrong form."""
    handle = text.casefold()
    if not _HANDLE.fullmatch(handle):
        raise UsageError(
            "the handle has a wrong form", hint="a handle is @ and 3 to 30 letters, digits, or . _ -: @tea.house"
        )
    return blake3(b"handle\0" + handle.encode(), key=hash_key).digest(16)


def account_of(engine: Engine, text: str, hash_key: bytes, phone_prefix: str) -> int:
    """Return the account of an alias, from a database without an open bank. Raises UsageError for an unknown one.

    The caller has the data folder and the master key, so look-ups are not counted.
    """
    if text.startswith("@"):
        kind, hash = AliasKind.HANDLE, handle_hash(text, hash_key)
    else:
        normal = sealing.phone(text, phone_prefix)
        kind, hash = AliasKind.PHONE, sealing.search_hash(hash_key, SearchKind.PHONE, normal)
    with reading(engine) as connection:
        row = _row(connection, kind, hash)
    if row is None or row.state == ENDED:
        raise NotFound("there is no wallet with this alias", hint="name the wallet's id instead")
    return int(row.account)


def _chosen(kind: AliasKind, hash: bytes) -> sqlalchemy.ColumnElement[bool]:
    return (ALIASES.c.kind == int(kind)) & (ALIASES.c.hash == hash)


def _row(connection: Connection, kind: AliasKind, hash: bytes) -> Row[Any] | None:
    return connection.execute(sqlalchemy.select(ALIASES).where(_chosen(kind, hash))).one_or_none()


def _store(connection: Connection, kind: AliasKind, hash: bytes, account: int, masked: str, now_ns: int) -> None:
    """Store an alias as active, which replaces its earlier row."""
    values = {"account": account, "masked": masked, "state": ACTIVE, "since_ns": now_ns}
    if connection.execute(
        ALIASES.update().where(_chosen(kind, hash)).values(**values, until_ns=None, to_account=None)
    ).rowcount:
        return
    connection.execute(ALIASES.insert().values(kind=int(kind), hash=hash, **values))
