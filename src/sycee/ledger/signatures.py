"""Signatures of envelopes: the key that each envelope must be verified with, and the result.

Verification needs 70 to 110 µs per signature and no state. The lookup of the key needs the frame's state and almost no
time. The two steps are therefore separate:

    admission   find_jobs: look up the current key, which may be stale -> jobs -> keys.verify_jobs, in any process
    admission   Jobs.checks: the key tried for each envelope, and whether the signature is valid under this key
    writer      find_signers: use a check made with the key that counts in this frame, otherwise verify again

A check counts only for the key that was tried, so a stale lookup never makes a bad signature valid.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np
from blake3 import blake3

from sycee.core import ids, keys
from sycee.core.arrays import Array
from sycee.core.limits import RECORD_BYTES
from sycee.core.records import envelopes as envelope_format
from sycee.core.records.layout import LINKED, AccountKind, KeyFlag, Role
from sycee.core.result_codes import Result
from sycee.ledger import kernels
from sycee.ledger.account_rows import account_rows

if TYPE_CHECKING:
    from sycee.ledger.models import Grant

People = dict[int, dict[int, dict[bytes, list["Grant"]]]]  # grants by person, key flags and key


class SigningState(Protocol):
    """Part of a state that determines signers: accounts with their keys, and grants."""

    tables: kernels.Tables
    grants: dict[int, Grant]


# Result of one verification. With NOT_TRIED the key has no meaning.
CHECK: Final = np.dtype([("key", "V32"), ("outcome", "u1"), ("reserved", "u1", 7)])
NOT_TRIED: Final = 0
VALID: Final = 1
INVALID: Final = 2  # under `key`; for a person with several keys, `key` is the `_fingerprint` of all of them

# keys.JOB as a NumPy type; the message is divided as in docs/reference/authority.md section 2.
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
FEW: Final = 8  # envelopes that are examined one by one: arrays of so few take several times as long
KEY_FLAGS: Final = (KeyFlag.ED25519, KeyFlag.P256, KeyFlag.P256 | KeyFlag.Y_ODD)
_KEY_FLAGS: Final = tuple(map(int, KEY_FLAGS))
_INVALID_CODE: Final = np.uint16(Result.SIGNATURE_INVALID)

_ISSUANCE: Final = int(AccountKind.ISSUANCE)
_CONTEXT: Final = np.frombuffer(envelope_format.CONTEXT, "V32")[0]

assert JOB.itemsize == keys.JOB.size and CHECK.itemsize == 40


@dataclass(frozen=True, slots=True, eq=False)
class Jobs:
    """Signatures to verify for the envelopes of one submission: one job per envelope and possible key."""

    jobs: Array  # (k,) JOB
    envelopes: Array  # (k,) i8: index of the envelope of each job, ascending
    count: int  # number of envelopes, m

    def checks(self, outcomes: bytes) -> Array:
        """Return (m,) CHECK for the (k,) bytes that `keys.verify_jobs` returned for `jobs`."""
        checks = np.zeros(self.count, CHECK)
        is_valid = np.frombuffer(outcomes, np.uint8) != 0
        # Later jobs of one envelope overwrite earlier ones, so failures are written first.
        for outcome, chosen in ((INVALID, ~is_valid), (VALID, is_valid)):
            at = self.envelopes[chosen]
            checks["key"][at], checks["outcome"][at] = self.jobs["key"][chosen], outcome
        tried = np.bincount(self.envelopes, minlength=self.count)
        for at in np.flatnonzero((tried > 1) & (checks["outcome"] == INVALID)).tolist():
            checks["key"][at] = np.void(_fingerprint(self.jobs["key"][self.envelopes == at].tolist()))
        return checks


def find_jobs(
    state: SigningState,
    ledger_id: bytes,
    now_ns: int,
    operations: Array,
    envelopes: Array,
    firsts: Array | None = None,
) -> Jobs:
    """Return the jobs for a submission's envelopes, each with the key that counts at `now_ns`.

    operations: (n,) layout.OPERATION; envelopes: (m,) ENVELOPE; firsts: (m,) i8, the first operation of each envelope's
    range, None to read it from the envelopes. A malformed envelope, or one of an unknown signer, has no job.

    Another thread may apply frames at the same time. The result may then be stale, which costs the writer one more
    verification. The bytes given must be the bytes that are submitted.
    """
    tables, grants = state.tables, tuple(state.grants.values())
    firsts = envelopes["first"].astype(np.int64) if firsts is None else firsts
    well_formed = are_well_formed(envelopes, firsts, operations.size)
    by_account = np.flatnonzero(well_formed & (envelopes["currency"] != 0))
    at, found = by_account, np.zeros(0, "V32")
    if by_account.size:
        codes, _, found = _account_keys(tables, envelopes[by_account])
        at, found = by_account[codes == Result.CREATED], found[codes == Result.CREATED]
    by_person = np.flatnonzero(well_formed & (envelopes["currency"] == 0))
    if by_person.size:
        people = people_of(grants, now_ns)
        pairs = [
            (place, key)
            for place, (person, flags) in zip(by_person.tolist(), _names(envelopes[by_person]), strict=True)
            for key in people.get(person, {}).get(flags, ())
        ]
        at = np.concatenate([at, np.array([place for place, _ in pairs], np.int64)])
        found = np.concatenate([found, _as_keys(key for _, key in pairs)])
        order = np.argsort(at, kind="stable")
        at, found = at[order], found[order]
    return Jobs(_jobs(ledger_id, operations, envelopes[at], firsts[at], found), at, envelopes.size)


def _names(envelopes: Array) -> list[tuple[int, int]]:
    """Return the signer's id and the key flags of each envelope."""
    return list(zip(ids.of_records(envelopes, "signer"), envelopes["flags"].tolist(), strict=True))


def _as_keys(several: Iterable[bytes]) -> Array:
    return np.frombuffer(b"".join(several), "V32")


def _jobs(ledger_id: bytes, operations: Array, envelopes: Array, firsts: Array, found: Array) -> Array:
    """Return one JOB per envelope, (k,), with the key `found` for it. Raise UsageError for a malformed ledger id."""
    jobs = np.zeros(envelopes.size, JOB)
    if not envelopes.size:
        return jobs
    envelope_format.check_ledger_id(ledger_id)
    for name in ("flags", "signer_low", "signer_high", "valid_until_ns", "key_epoch", "currency", "count"):
        jobs[name] = envelopes[name]
    jobs["key"] = found
    jobs["signature"] = envelopes["signature"].view("V64").reshape(-1)
    jobs["context"] = _CONTEXT
    jobs["ledger"] = np.void(ledger_id)
    jobs["digest"] = _as_keys(_digests(operations, firsts, envelopes["count"]))
    return jobs


def _digests(operations: Array, firsts: Array, counts: Array) -> Iterator[bytes]:
    """Yield the BLAKE3 digest of each range of operations. Envelopes over one range usually follow each other."""
    covered = memoryview(np.ascontiguousarray(operations).view(np.uint8).data)
    last, digest = (-1, -1), b""
    for span in zip(firsts.tolist(), counts.tolist(), strict=True):
        if span != last:
            first, count = last = span
            digest = blake3(covered[first * RECORD_BYTES : (first + count) * RECORD_BYTES]).digest()
        yield digest


def are_well_formed(envelopes: Array, firsts: Array, operations: int) -> Array:
    """Return which envelopes satisfy rule 1 of docs/reference/authority.md section 4, (m,) bool."""
    flags, counts, currencies, epochs, reserved = (
        envelopes[name] for name in ("flags", "count", "currency", "key_epoch", "reserved")
    )
    if envelopes.size <= FEW:
        each = zip(*(values.tolist() for values in (firsts, flags, counts, currencies, epochs, reserved)), strict=True)
        return np.array(
            [
                flag in _KEY_FLAGS and not rest and 0 < count <= operations - first and (currency != 0 or epoch == 0)
                for first, flag, count, currency, epoch, rest in each
            ],
            np.bool_,
        )
    well_formed = np.isin(flags, _KEY_FLAGS) & (reserved == 0) & (counts != 0)
    well_formed &= (firsts + counts <= operations) & ((currencies != 0) | (epochs == 0))
    result: Array = well_formed
    return result


def people_of(grants: Iterable[Grant], now_ns: int) -> People:
    """Return the grants that count at `now_ns`, by person, key flags and key."""
    people: People = {}
    for grant in grants:
        if grant.counts(now_ns):
            people.setdefault(grant.person, {}).setdefault(int(grant.flags), {}).setdefault(grant.key, []).append(grant)
    return people


def _fingerprint(several: Iterable[bytes]) -> bytes:
    """Return 32 bytes that identify a set of keys; for a single key, the key itself."""
    found = sorted(set(several))
    return found[0] if len(found) == 1 else blake3(b"".join(found)).digest()


def _account_keys(tables: kernels.Tables, envelopes: Array) -> tuple[Array, Array, Array]:
    """Return, per signing account, a code before verification, the row (-1 for no key) and the key."""
    low, high = np.ascontiguousarray(envelopes["signer_low"]), np.ascontiguousarray(envelopes["signer_high"])
    rows = account_rows(tables, low, high)
    stored = tables.keys.view(np.ndarray)
    account = tables.accounts.view(np.ndarray)[np.where(rows < 0, 0, rows)]
    numbers = account["key"].astype(np.int64)
    # A key that another thread adds at this moment may be beyond the table read here.
    rows[(numbers == 0) | (numbers > stored.size)] = -1
    exists = rows >= 0
    found, flags = np.zeros(envelopes.size, "V32"), np.zeros(envelopes.size, np.uint32)
    chosen = stored[numbers[exists] - 1]
    found[exists] = np.ascontiguousarray(chosen["key"]).view("V32").reshape(-1)
    flags[exists] = chosen["flags"]
    # The key of an earlier epoch is not stored, so its signatures cannot be verified.
    same_epoch = (account["currency"] == envelopes["currency"]) & (account["key_epoch"] == envelopes["key_epoch"])
    codes = np.where(flags == envelopes["flags"], np.uint16(Result.CREATED), np.uint16(Result.SIGNATURE_INVALID))
    codes[~same_epoch] = Result.KEY_EPOCH_DIFFERS
    codes[~exists] = Result.SIGNER_NOT_FOUND
    return codes, rows, found


# --- signers, by the state of a frame ---


@dataclass(frozen=True, slots=True)
class Signer:
    """Person who signed an envelope, with the authority of the grants that name the key."""

    id: int
    is_board: bool = False  # an officer without a currency
    currencies: tuple[int, ...] = ()  # of an officer
    operators: tuple[int, ...] = ()

    @property
    def role(self) -> str:
        """Return the first role that applies: officer, operator, witness."""
        is_officer = self.is_board or self.currencies
        return "officer" if is_officer else "operator" if self.operators else "witness"


class Signers(NamedTuple):
    """Signers of m envelopes. An envelope with a `code` other than CREATED has no valid signer."""

    code: Array  # (m,) u2 of Result
    row: Array  # (m,) i8: row of the account that signed, -1 for none
    person: Array  # (m,) i8: index in `people`, -1 for none
    people: list[Signer]


class _Frame(NamedTuple):
    """Data that all signature checks of one frame need."""

    state: SigningState
    ledger_id: bytes
    now_ns: int
    operations: Array
    envelopes: Array
    checks: Array


def find_signers(
    state: SigningState,
    ledger_id: bytes,
    now_ns: int,
    operations: Array,
    envelopes: Array,
    checks: Array | None = None,
) -> Signers:
    """Return the signer of each envelope by the keys and grants of `state` at `now_ns`.

    checks: (m,) CHECK, the result of `Jobs.checks` for these envelopes over these records; None for no checks. A
    signature that was not tried with the key that counts is verified here.
    """
    size = envelopes.size
    frame = _Frame(state, ledger_id, now_ns, operations, envelopes, np.zeros(size, CHECK) if checks is None else checks)
    found = Signers(np.full(size, _INVALID_CODE), np.full(size, -1), np.full(size, -1), [])
    well_formed = are_well_formed(envelopes, envelopes["first"].astype(np.int64), operations.size)
    is_person = envelopes["currency"] == 0
    by_account = np.flatnonzero(well_formed & ~is_person)
    if by_account.size:
        _find_accounts(frame, by_account, found)
    by_person = np.flatnonzero(well_formed & is_person)
    if by_person.size:
        _find_people(frame, by_person, found)
    expired = envelopes["valid_until_ns"] <= now_ns
    if expired.any():
        expired &= found.code != _INVALID_CODE
        found.code[expired], found.row[expired], found.person[expired] = Result.SIGNATURE_EXPIRED, -1, -1
    return found


def all_signed_by_payers(
    state: SigningState, now_ns: int, operations: Array, envelopes: Array, checks: Array | None
) -> bool:
    """Return whether each operation has exactly one valid envelope, in order, by the account in its `debit`.

    This fast path covers most frames of signed payments. False also where a signature was not checked with the key
    that counts.
    """
    if checks is None or not operations.size or envelopes.size != operations.size:
        return False
    low, high = np.ascontiguousarray(envelopes["signer_low"]), np.ascontiguousarray(envelopes["signer_high"])
    tables = state.tables
    rows = account_rows(tables, low, high)
    if rows.min() < 0:
        return False
    account = tables.accounts.view(np.ndarray)[rows]
    good = (operations["debit_low"] == low) & (operations["debit_high"] == high)
    good &= (operations["flags"] & LINKED == 0) & (envelopes["reserved"] == 0)
    good &= (envelopes["first"] == np.arange(rows.size)) & (envelopes["count"] == 1)
    good &= (envelopes["valid_until_ns"] > now_ns) & (checks["outcome"] == VALID)
    good &= (account["kind"] != _ISSUANCE) & (account["key"] != 0) & (account["key_epoch"] == envelopes["key_epoch"])
    # A person's envelope has currency 0, which no account has.
    good &= account["currency"] == envelopes["currency"]
    if not good.all():
        return False
    stored = tables.keys.view(np.ndarray)[account["key"].astype(np.int64) - 1]
    if stored["key"].tobytes() != checks["key"].tobytes():
        return False
    return bool((stored["flags"] == envelopes["flags"]).all())


def _find_accounts(frame: _Frame, at: Array, found: Signers) -> None:
    """Set the result of the envelopes `at`, which name accounts."""
    checked = frame.checks[at]
    codes, rows, key = _account_keys(frame.state.tables, frame.envelopes[at])
    is_same_key = (checked["outcome"] != NOT_TRIED) & (checked["key"] == key)
    is_open = codes == Result.CREATED
    codes[is_open & is_same_key & (checked["outcome"] == INVALID)] = Result.SIGNATURE_INVALID
    stale = np.flatnonzero(is_open & ~is_same_key)
    if stale.size:
        codes[stale[~_verify(frame, at[stale], key[stale])]] = Result.SIGNATURE_INVALID
    found.code[at] = codes
    found.row[at] = np.where(codes == Result.CREATED, rows, -1)


def _find_people(frame: _Frame, at: Array, found: Signers) -> None:
    """Set the result of the envelopes `at`, which name persons. A person may have several keys."""
    people = people_of(frame.state.grants.values(), frame.now_ns)
    checked = frame.checks[at]
    places, names = at.tolist(), _names(frame.envelopes[at])
    valid: dict[int, tuple[int, int, bytes]] = {}  # person, key flags and key, by envelope
    stale: list[tuple[int, tuple[int, int, bytes]]] = []
    for place, (person, flags), outcome, key in zip(
        places, names, checked["outcome"].tolist(), checked["key"].tolist(), strict=True
    ):
        granted = people.get(person, {}).get(flags, {})
        if person not in people:
            found.code[place] = Result.SIGNER_NOT_FOUND
        elif outcome == VALID and key in granted:
            valid[place] = person, flags, key
        elif outcome != INVALID or key != _fingerprint(granted):
            stale += [(place, (person, flags, each)) for each in granted]
    if stale:
        outcomes = _verify(frame, np.array([place for place, _ in stale]), _as_keys(key for _, (*_, key) in stale))
        for place_and_key, is_valid in zip(stale, outcomes.tolist(), strict=True):
            if is_valid:
                valid.setdefault(*place_and_key)
    numbers: dict[tuple[int, int, bytes], int] = {}
    for place, name in valid.items():
        if name not in numbers:
            person, flags, key = name
            numbers[name] = len(found.people)
            found.people.append(_signer(person, people[person][flags][key]))
        found.code[place], found.person[place] = Result.CREATED, numbers[name]


def _signer(person: int, grants: Sequence[Grant]) -> Signer:
    """Return a person with the authority of the grants that name one key."""
    return Signer(
        person,
        is_board=any(grant.is_board for grant in grants),
        currencies=tuple(sorted({grant.currency for grant in grants if grant.currency})),
        operators=tuple(sorted({grant.operator for grant in grants if grant.role == Role.OPERATOR})),
    )


def _verify(frame: _Frame, at: Array, found: Array) -> Array:
    """Verify envelopes `at` with the keys `found` on this thread, (k,) bool. Rarely needed."""
    chosen = frame.envelopes[at]
    jobs = _jobs(frame.ledger_id, frame.operations, chosen, chosen["first"].astype(np.int64), found)
    is_valid: Array = np.frombuffer(keys.verify_jobs(jobs.tobytes()), np.uint8) != 0
    return is_valid
