"""Signatures of envelopes: which key each must hold under, and whether it does.

Verifying costs 70 to 110 microseconds a signature and needs no state; knowing which key counts needs the state of the
frame and costs next to nothing. So the two are apart:

    admission   find_jobs: the key that counts now, which may be stale -> jobs -> keys.verify_jobs, in any process
    admission   jobs.checks: which key was tried for each envelope, and whether the signature holds under it
    writer      find_signers: is that the key that counts in this frame? Else verify again, in line

A check is never trusted for another key than the one that was tried, so it does not matter how stale the look-up was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np
from blake3 import blake3

from sycee.core import keys
from sycee.core.arrays import Array
from sycee.core.limits import KEY_BYTES, RECORD_BYTES
from sycee.core.result_codes import Result
from sycee.ledger import envelopes as sealed
from sycee.ledger import kernels
from sycee.ledger.layout import LINKED, AccountKind, KeyFlag, Role

if TYPE_CHECKING:
    from sycee.ledger.entities import Grant


class SigningState(Protocol):
    """The part of a state that decides about signatures: accounts with their keys, and grants."""

    tables: kernels.Tables
    grants: dict[int, Grant]


# What became of the signature of one envelope, under which key. With NOT_TRIED the key means nothing.
CHECK: Final = np.dtype([("key", "V32"), ("outcome", "u1"), ("reserved", "u1", 7)])
NOT_TRIED: Final = 0
VALID: Final = 1
INVALID: Final = 2  # under the key; of a person who has several, under `_name` of all of them

# keys.JOB as numpy has it, with the message's parts as docs/reference/authority.md section 2 names them.
JOB: Final = np.dtype(
    [
        ("flags", "<u4"),
        ("key", "V32"),
        ("signature", "V64"),
        ("context", "V32"),
        ("ledger", "V16"),
        ("signer_low", "<u8"),
        ("signer_high", "<u8"),
        ("valid_until_ns", "<i8"),
        ("key_epoch", "<u4"),
        ("currency", "<u2"),
        ("count", "<u2"),
        ("digest", "V32"),
    ]
)
KEY_FLAGS: Final = (KeyFlag.ED25519, KeyFlag.P256, KeyFlag.P256 | KeyFlag.Y_ODD)

_ISSUANCE: Final = int(AccountKind.ISSUANCE)
_CONTEXT: Final = np.frombuffer(sealed.CONTEXT, "V32")[0]

assert JOB.itemsize == keys.JOB.size and CHECK.itemsize == 40


@dataclass(frozen=True, slots=True, eq=False)
class Jobs:
    """Signatures to verify for the envelopes of one submission. A person with several keys has a job for each."""

    jobs: Array  # (k,) JOB
    envelopes: Array  # (k,) i8: the envelope of each job, ascending
    count: int  # of envelopes, m

    def verify(self) -> Array:
        """Verify all of them on this thread: (m,) CHECK."""
        return self.checks(keys.verify_jobs(self.jobs.tobytes()))

    def checks(self, outcomes: bytes) -> Array:
        """Return what was learned, (m,) CHECK, from the (k,) bytes that `keys.verify_jobs` returns for `jobs`."""
        checks = np.zeros(self.count, CHECK)
        holds = np.frombuffer(outcomes, np.uint8) != 0
        # Later jobs of one envelope would overwrite earlier ones: those that fail are written first.
        for outcome, chosen in ((INVALID, ~holds), (VALID, holds)):
            at = self.envelopes[chosen]
            checks["key"][at], checks["outcome"][at] = self.jobs["key"][chosen], outcome
        if self.envelopes.size > np.count_nonzero(checks["outcome"]):
            self._name_several(checks)
        return checks

    def _name_several(self, checks: Array) -> None:
        """Where all of a person's several keys failed, keep the name of all."""
        tried: dict[int, list[bytes]] = {}
        for at, key in zip(self.envelopes.tolist(), self.jobs["key"], strict=True):
            tried.setdefault(at, []).append(key.tobytes())
        for at, several in tried.items():
            if len(several) > 1 and checks["outcome"][at] == INVALID:
                checks["key"][at] = np.void(_name(several))


def find_jobs(
    state: SigningState,
    ledger_id: bytes,
    now_ns: int,
    operations: Array,
    envelopes: Array,
    firsts: Array | None = None,
) -> Jobs:
    """Return what must be verified of a submission's envelopes, each under the key that counts at `now_ns`.

    operations: (n,) layout.OPERATION; envelopes: (m,) ENVELOPE; firsts: (m,) i8, the operation with which the range of
    each begins, None where the envelopes themselves say so. An envelope that cannot hold, or whose signer is not known,
    has no job.

    May be called beside the thread that applies frames: the answer may then be stale, which costs the writer one more
    verification. It must be called for the very bytes that are submitted.
    """
    tables, grants = state.tables, tuple(state.grants.values())
    firsts = envelopes["first"].astype(np.int64) if firsts is None else firsts
    sound = are_well_formed(envelopes, firsts, operations.size)
    by_account = np.flatnonzero(sound & (envelopes["currency"] != 0))
    at, found = by_account, np.zeros(0, "V32")
    if by_account.size:
        asked = envelopes[by_account]
        rows, found, flags = _account_keys(tables, asked)
        account = tables.accounts.view(np.ndarray)[np.where(rows < 0, 0, rows)]
        good = (rows >= 0) & (flags == asked["flags"]) & (account["currency"] == asked["currency"])
        good &= account["key_epoch"] == asked["key_epoch"]
        at, found = by_account[good], found[good]
    by_person = np.flatnonzero(sound & (envelopes["currency"] == 0))
    if by_person.size:
        more, more_keys = _person_jobs(grants, now_ns, envelopes, by_person.tolist())
        at = np.concatenate([at, np.array(more, np.int64)])
        found = np.concatenate([found, np.frombuffer(b"".join(more_keys), "V32")])
        order = np.argsort(at, kind="stable")
        at, found = at[order], found[order]
    return Jobs(_jobs(ledger_id, operations, envelopes[at], firsts[at], found), at, envelopes.size)


def _person_jobs(
    grants: Sequence[Grant], now_ns: int, envelopes: Array, places: Sequence[int]
) -> tuple[list[int], list[bytes]]:
    """Which of these envelopes are to be tried under which keys; both of one length."""
    people, at, found = people_of(grants, now_ns), [], []
    for place in places:
        envelope = envelopes[place]
        for key in people.get(sealed.signer_of(envelope), {}).get(int(envelope["flags"]), ()):
            at.append(place)
            found.append(key)
    return at, found


def _jobs(ledger_id: bytes, operations: Array, envelopes: Array, firsts: Array, found: Array) -> Array:
    """The (k,) JOBs of envelopes, each under the key found for it."""
    jobs = np.zeros(envelopes.size, JOB)
    if not envelopes.size:
        return jobs
    for name in ("flags", "signer_low", "signer_high", "valid_until_ns", "key_epoch", "currency", "count"):
        jobs[name] = envelopes[name]
    jobs["key"] = found
    jobs["signature"] = envelopes["signature"].view("V64").reshape(-1)
    jobs["context"] = _CONTEXT
    jobs["ledger"] = np.void(ledger_id)
    jobs["digest"] = np.frombuffer(b"".join(_digests(operations, firsts, envelopes["count"])), "V32")
    return jobs


def _digests(operations: Array, firsts: Array, counts: Array) -> Iterable[bytes]:
    """BLAKE3 of each range of operations. Envelopes over one range follow one another, as a rule."""
    covered = memoryview(np.ascontiguousarray(operations).view(np.uint8).data)
    last, digest = (-1, -1), b""
    for span in zip(firsts.tolist(), counts.tolist(), strict=True):
        if span != last:
            first, count = last = span
            digest = blake3(covered[first * RECORD_BYTES : (first + count) * RECORD_BYTES]).digest()
        yield digest


def are_well_formed(envelopes: Array, firsts: Array, operations: int) -> Array:
    """Which envelopes may hold at all, (m,) bool: docs/reference/authority.md section 4, rule 1."""
    flags = envelopes["flags"]
    known = (flags == KEY_FLAGS[0]) | (flags == KEY_FLAGS[1]) | (flags == KEY_FLAGS[2])
    sound = known & (envelopes["reserved"] == 0) & (envelopes["count"] != 0)
    sound &= firsts + envelopes["count"] <= operations
    good: Array = sound & ((envelopes["currency"] != 0) | (envelopes["key_epoch"] == 0))
    return good


def people_of(grants: Iterable[Grant], now_ns: int) -> dict[int, dict[int, dict[bytes, list[Grant]]]]:
    """The grants that count, by person, flags of the key, and key."""
    people: dict[int, dict[int, dict[bytes, list[Grant]]]] = {}
    for grant in grants:
        if grant.counts(now_ns):
            people.setdefault(grant.person, {}).setdefault(int(grant.flags), {}).setdefault(grant.key, []).append(grant)
    return people


def _name(several: Iterable[bytes]) -> bytes:
    """32 bytes for a set of keys: the key, where it is one."""
    found = sorted(set(several))
    return found[0] if len(found) == 1 else blake3(b"".join(found)).digest()


def _account_keys(tables: kernels.Tables, envelopes: Array) -> tuple[Array, Array, Array]:
    """Of each signing account its row, -1 where there is none or it has no key; its key; the key's flags."""
    rows = np.empty(envelopes.size, np.int64)
    low, high = np.ascontiguousarray(envelopes["signer_low"]), np.ascontiguousarray(envelopes["signer_high"])
    kernels.rows_of(tables.account_slots, tables.accounts, low, high, rows)
    kept = tables.keys.view(np.ndarray)
    numbers = tables.accounts["key"][np.where(rows < 0, 0, rows)].astype(np.int64)
    # A key that was made meanwhile may stand beyond the table as it was.
    rows[(numbers == 0) | (numbers > kept.size)] = -1
    there = rows >= 0
    found, flags = np.zeros(envelopes.size, "V32"), np.zeros(envelopes.size, np.uint32)
    chosen = kept[numbers[there] - 1]
    found[there] = np.ascontiguousarray(chosen["key"]).view("V32").reshape(-1)
    flags[there] = chosen["flags"]
    return rows, found, flags


# --- who signed, as a frame's state says ---


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed an envelope, and as what. `row` is the account's, -1 where a person signed."""

    id: int
    row: int = -1
    is_board: bool = False  # an officer without a currency
    currencies: tuple[int, ...] = ()  # of which the person is an officer
    operators: tuple[int, ...] = ()

    @property
    def role(self) -> str:
        """In one word, the first that applies: account, officer, operator, witness."""
        if self.row >= 0:
            return "account"
        is_officer = self.is_board or self.currencies
        return "officer" if is_officer else "operator" if self.operators else "witness"


class Signers(NamedTuple):
    """Who signed each of m envelopes. Where `code` is not CREATED, the envelope has no valid signer."""

    code: Array  # (m,) u2 of Result
    row: Array  # (m,) i8: of the account that signed, -1 for none
    person: Array  # (m,) i8: number in `people`, -1 for none
    people: list[Signer]


def find_signers(
    state: SigningState,
    ledger_id: bytes,
    now_ns: int,
    operations: Array,
    envelopes: Array,
    checks: Array | None = None,
) -> Signers:
    """Say who signed each envelope, by the keys and grants of `state` at `now_ns`.

    checks: (m,) CHECK, what `Jobs.checks` learned of these very envelopes over these very records; None: nothing is
    known. A signature that was not tried under the key that counts is verified here.
    """
    size = envelopes.size
    if checks is None:
        checks = np.zeros(size, CHECK)
    found = Signers(np.full(size, Result.SIGNATURE_INVALID, np.uint16), np.full(size, -1), np.full(size, -1), [])
    sound = are_well_formed(envelopes, envelopes["first"].astype(np.int64), operations.size)
    by_account = np.flatnonzero(sound & (envelopes["currency"] != 0))
    verify = _Verifying(ledger_id, operations, envelopes)
    if by_account.size:
        _judge_accounts(state, envelopes, by_account, checks, verify, found)
    by_person = np.flatnonzero(sound & (envelopes["currency"] == 0))
    if by_person.size:
        _judge_people(state, now_ns, envelopes, by_person, checks, verify, found)
    expired = (found.code != Result.SIGNATURE_INVALID) & (envelopes["valid_until_ns"] <= now_ns)
    found.code[expired], found.row[expired], found.person[expired] = Result.SIGNATURE_EXPIRED, -1, -1
    return found


def all_signed_by_payers(
    state: SigningState, now_ns: int, operations: Array, envelopes: Array, checks: Array | None
) -> bool:
    """Return whether each operation carries one good envelope of its own, in order, by the account in its `debit`.

    So it is in most frames of signed payments, and then nothing else need be looked at. False where anything is not so,
    or was not checked under the key that counts.
    """
    if checks is None or not operations.size or envelopes.size != operations.size:
        return False
    low, high = np.ascontiguousarray(envelopes["signer_low"]), np.ascontiguousarray(envelopes["signer_high"])
    tables, rows = state.tables, np.empty(envelopes.size, np.int64)
    kernels.rows_of(tables.account_slots, tables.accounts, low, high, rows)
    if rows.min() < 0:
        return False
    account = tables.accounts.view(np.ndarray)[rows]
    good = (operations["debit_low"] == low) & (operations["debit_high"] == high)
    good &= (operations["flags"] & LINKED == 0) & (envelopes["reserved"] == 0)
    good &= (envelopes["first"] == np.arange(rows.size)) & (envelopes["count"] == 1)
    good &= (envelopes["valid_until_ns"] > now_ns) & (checks["outcome"] == VALID)
    good &= (account["kind"] != _ISSUANCE) & (account["key"] != 0) & (account["key_epoch"] == envelopes["key_epoch"])
    # No account has currency 0, which a person's envelope has.
    good &= account["currency"] == envelopes["currency"]
    if not good.all():
        return False
    kept = tables.keys.view(np.ndarray)[account["key"].astype(np.int64) - 1]
    if kept["key"].tobytes() != checks["key"].tobytes():
        return False
    return bool((kept["flags"] == envelopes["flags"]).all())


def _judge_accounts(
    state: SigningState, envelopes: Array, at: Array, checks: Array, verify: _Verifying, found: Signers
) -> None:
    """Say which of the envelopes `at` were signed by the accounts that they name."""
    asked, checked = envelopes[at], checks[at]
    rows, key, flags = _account_keys(state.tables, asked)
    account = state.tables.accounts.view(np.ndarray)[np.where(rows < 0, 0, rows)]
    # The key of another epoch is not kept, so whether it signed cannot be told.
    same_epoch = (account["currency"] == asked["currency"]) & (account["key_epoch"] == asked["key_epoch"])
    codes = np.full(at.size, Result.CREATED, np.uint16)
    codes[flags != asked["flags"]] = Result.SIGNATURE_INVALID
    codes[~same_epoch] = Result.KEY_EPOCH_DIFFERS
    codes[rows < 0] = Result.SIGNER_NOT_FOUND
    is_same_key = (checked["outcome"] != NOT_TRIED) & (checked["key"] == key)
    open_ = codes == Result.CREATED
    codes[open_ & is_same_key & (checked["outcome"] == INVALID)] = Result.SIGNATURE_INVALID
    for place in np.flatnonzero(open_ & ~is_same_key).tolist():
        if not verify.holds(int(at[place]), key[place].tobytes()):
            codes[place] = Result.SIGNATURE_INVALID
    found.code[at] = codes
    found.row[at] = np.where(codes == Result.CREATED, rows, -1)


def _judge_people(
    state: SigningState,
    now_ns: int,
    envelopes: Array,
    at: Array,
    checks: Array,
    verify: _Verifying,
    found: Signers,
) -> None:
    """Say which of the envelopes `at` were signed by the persons that they name. A person may have several keys."""
    people = people_of(state.grants.values(), now_ns)
    numbers: dict[tuple[int, int, bytes], int] = {}
    for place in at.tolist():
        envelope, check = envelopes[place], checks[place]
        person, flags = sealed.signer_of(envelope), int(envelope["flags"])
        if person not in people:
            found.code[place] = Result.SIGNER_NOT_FOUND
            continue
        granted = people[person].get(flags, {})
        outcome, key = int(check["outcome"]), check["key"].tobytes()
        if not granted or (outcome == INVALID and key == _name(granted)):
            continue
        if outcome != VALID or key not in granted:
            key = next((each for each in granted if verify.holds(place, each)), b"")
            if not key:
                continue
        if (person, flags, key) not in numbers:
            numbers[person, flags, key] = len(found.people)
            found.people.append(_signer(person, granted[key]))
        found.code[place], found.person[place] = Result.CREATED, numbers[person, flags, key]


def _signer(person: int, mine: Sequence[Grant]) -> Signer:
    """What a person may sign for by the grants with one key."""
    return Signer(
        person,
        is_board=any(grant.is_board for grant in mine),
        currencies=tuple(sorted({grant.currency for grant in mine if grant.currency})),
        operators=tuple(sorted({grant.operator for grant in mine if grant.role == Role.OPERATOR})),
    )


class _Verifying:
    """Verifies single envelopes of a frame in line, which is needed seldom."""

    def __init__(self, ledger_id: bytes, operations: Array, envelopes: Array) -> None:
        self._ledger_id, self._operations, self._envelopes = ledger_id, operations, envelopes
        self._digests: dict[tuple[int, int], bytes] = {}

    def holds(self, at: int, key: bytes) -> bool:
        """Return whether envelope `at` holds under a key of its flags."""
        envelope = sealed.from_row(self._envelopes[at])
        span = envelope.first, envelope.count
        if span not in self._digests:
            self._digests[span] = sealed.records_digest(self._operations[envelope.first : sum(span)])
        message = sealed.signing_message(
            ledger_id=self._ledger_id,
            signer=envelope.signer,
            valid_until_ns=envelope.valid_until_ns,
            key_epoch=envelope.key_epoch,
            currency=envelope.currency,
            count=envelope.count,
            digest=self._digests[span],
        )
        return keys.PublicKey(envelope.flags, key.ljust(KEY_BYTES, b"\0")).verifies(envelope.signature, message)
