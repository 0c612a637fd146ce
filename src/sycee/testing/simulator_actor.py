"""Requests to the simulated ledger: random steps of `histories` in real time zones, with keys to sign them.

Steps are guided by the twin of the journaled frames, so after a power cut they continue from the remaining state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from sycee.core.keys import SigningKey
from sycee.core.records.envelopes import Envelope, sign
from sycee.core.records.layout import Kind, Role
from sycee.sequencer.rules_version import RULES_VERSION
from sycee.testing.histories import Builder
from sycee.testing.histories_stage import SETTING_BYTES as STAGE_BYTES
from sycee.testing.histories_steps import PEOPLE
from sycee.testing.histories_world import (
    ANN,
    CURRENCIES,
    FAR_TICKS,
    OVERLAYS,
    SHOP,
    Dice,
    Frame,
    Record,
    account_id,
    record,
)  # fmt: skip
from sycee.testing.naive import NaiveLedger
from sycee.testing.naive_record import Operation
from sycee.testing.naive_rows import Grant
from sycee.testing.simulator_authority import Judge, Need, chains_of, is_on

SETTING_BYTES: Final = STAGE_BYTES + 16

ZONES: Final = ("Asia/Shanghai", "Europe/Paris", "America/New_York", "Pacific/Auckland")
_ZONES_OF_STEPS: Final = (b"Asia/Shanghai", b"UTC", b"Europe/Zurich")
# Histories begin shortly before these moments: midnights, ends of months and years, changes of summer time.
TURNS: Final = tuple(
    int(datetime.fromisoformat(text).timestamp()) * 10**9
    for text in (
        "2026-03-08T07:00+00:00", "2026-03-29T01:00+00:00", "2026-06-30T16:00+00:00", "2026-09-26T14:00+00:00",
        "2026-10-25T01:00+00:00", "2026-11-01T06:00+00:00", "2026-12-31T11:00+00:00", "2026-12-31T16:00+00:00",
        "2026-12-31T23:00+00:00", "2027-01-01T05:00+00:00", "2027-04-03T14:00+00:00", "2028-02-28T16:00+00:00",
        "2028-02-29T23:00+00:00",
    )
)  # fmt: skip
TICKS_NS: Final = (3_600 * 10**9, 1, 10**9 // 2, 60 * 10**9, 1_200 * 10**9, 3 * 3_600 * 10**9)
FAR_NS: Final = 60 * 366 * 86_400 * 10**9

OFFICERS: Final = (901, 902 << 64 | 5)
OPERATOR: Final = 903
STRANGER: Final = 904  # has no grant
OPERATOR_NUMBER: Final = 9  # key of all accounts of the stage


@cache
def key_ring() -> tuple[SigningKey, ...]:
    """Return all keys of the simulated world, the same in every run."""
    return tuple(SigningKey.derive(bytes([at]) * 32, "p256" if at % 3 == 1 else "ed25519") for at in range(8))


@cache
def private_keys() -> dict[tuple[int, bytes], SigningKey]:
    return {(int(key.public.flags), key.public.key): key for key in key_ring()}


class Group(NamedTuple):
    """One submission, and the time that passes after it."""

    records: npt.NDArray[Any]
    passes_ns: int


class Actor(Builder):
    """Source of the records of one history. Creating an Actor sets the stage; `first` contains its operations."""

    def __init__(self, setting: bytes, twin: NaiveLedger) -> None:
        dice = Dice(setting[STAGE_BYTES:])
        self.is_signed = dice.pick((0, 0, 0, 1, 1)) == 1
        self.pace_ns = dice.pick(TICKS_NS)
        self.start_ns = dice.pick(TURNS) - dice.pick((10, 3, 30)) * self.pace_ns - dice.pick((0, 1))
        self._zone_shift = dice.below(4)
        self._groups: list[Group] = []
        self._is_set_up = False
        super().__init__(setting[:STAGE_BYTES])
        self._is_set_up = True
        if self.is_signed:
            self._set_up_authority()
        self.first = self._gathered(0).records
        self._guide = twin

    def _choose(self, dice: Dice) -> None:
        super()._choose(dice)
        self._tick_ns = self.pace_ns

    def _ns(self, ticks: int) -> int:
        return self.start_ns + (FAR_NS if ticks == FAR_TICKS else ticks * self.pace_ns)

    def _set_up_authority(self) -> None:
        for at, person in enumerate((*OFFICERS, OPERATOR)):
            role = Role.OPERATOR if person == OPERATOR else Role.OFFICER
            number = OPERATOR_NUMBER if role == Role.OPERATOR else 0
            public = key_ring()[at].public
            self._emit(
                Kind.GRANT_ROLE, debit=person, key=public.key, flags=public.flags, first=role, count=number,
                from_ns=self._ns(-10), until_ns=self._ns(FAR_TICKS),
            )  # fmt: skip
        for number, at in ((ANN, 3), (SHOP, 4)):
            public = key_ring()[at].public
            self._emit(Kind.SET_KEY, debit=account_id(0, number), key=public.key, flags=public.flags)

    # ── Steps ────────────────────────────────────────────────────────────────────────────────────────────────

    def add_operation(self, data: bytes, now_ns: int) -> None:
        """Add the operation chosen by these bytes at this time to the next submission."""
        self._ticks = (now_ns - self.start_ns) // self.pace_ns
        self.step(data)

    def next_submission(self) -> list[Group]:
        """Return and clear the waiting submissions, in order."""
        if self._rows:
            self._groups.append(self._gathered(0))
        groups, self._groups = self._groups, []
        return groups

    def record(self, now_ns: int, records: npt.NDArray[Any]) -> None:
        """Record a submission, so that a later step may repeat it."""
        self._done.append(Frame(now_ns, records, ()))

    def _gathered(self, passes_ns: int) -> Group:
        rows, self._rows = self._rows, []
        return Group(np.concatenate(rows) if rows else record(0, 0)[:0], passes_ns)

    def _pass(self, ticks: int) -> None:
        if self._is_set_up:
            self._groups.append(self._gathered(ticks * self.pace_ns))
            self._ticks += ticks
        else:
            super()._pass(ticks)

    def _flush(self) -> None:
        if self._is_set_up:
            self._waiting = []  # the guide applies journaled frames only
        else:
            super()._flush()

    def _append(self, row: Record) -> None:
        if row["kind"][0] == Kind.DEFINE_CURRENCY:
            raw = row.view("u1")
            if raw[OVERLAYS["zone"] :][:48].tobytes().rstrip(b"\0") in _ZONES_OF_STEPS:
                zone = ZONES[(CURRENCIES.index(n) if (n := int(row["number"][0])) in CURRENCIES else n) % 4]
                zone = ZONES[(ZONES.index(zone) + self._zone_shift) % 4]
                raw[OVERLAYS["zone"] : OVERLAYS["zone"] + 48] = np.frombuffer(zone.encode().ljust(48, b"\0"), np.uint8)
        super()._append(row)

    def _step_set_key(self, dice: Dice) -> dict[str, Any]:
        return self._with_real_key(super()._step_set_key(dice), dice)

    def _step_grant_role(self, dice: Dice) -> dict[str, Any]:
        return self._with_real_key(super()._step_grant_role(dice), dice)

    def _with_real_key(self, fields: dict[str, Any], dice: Dice) -> dict[str, Any]:
        if fields["flags"] and any(fields["key"]) and not dice.one_in(8):
            keys = key_ring()
            # A key belongs to one person: mostly no other person is granted these.
            if "first" in fields and not dice.one_in(6):
                at = PEOPLE.index(fields["debit"])
                keys = (keys[at], keys[5 + at])
            public = dice.pick(keys).public
            fields |= {"key": public.key, "flags": int(public.flags)}
        return fields

    def _step_upgrade(self, dice: Dice) -> dict[str, Any]:
        fields = super()._step_upgrade(dice)
        # Skip upgrades to an unknown version: the sequencer refuses the whole submission.
        return fields if dice.one_in(4) else {**fields, "number": min(fields["number"], RULES_VERSION)}


class SubmissionSigner:
    """Signer of submissions: mostly correct signatures, sometimes each kind of wrong one."""

    WRONG: Final = (
        "nobody",
        "one officer",
        "stranger",
        "expired",
        "tampered",
        "epoch",
        "elsewhere",
        "too much",
        "replayed",
        "part of a chain",
    )

    def __init__(self, twin: NaiveLedger, ledger_id: bytes) -> None:
        self._twin = twin
        self._ledger_id = ledger_id
        self._overheard: Envelope | None = None  # an earlier envelope

    def envelopes(self, records: npt.NDArray[Any], now_ns: int, dice: Dice) -> list[Envelope]:
        """Return envelopes for a submission that will be checked at this time; mostly none if none is needed."""
        on = is_on(self._twin, now_ns)
        if not on and not dice.one_in(12):
            return []
        operations = [Operation.read(each.tobytes()) for each in records]
        fresh = [answer is None for answer in self._twin.resolve(records)]
        needs = Judge(self._twin, self._ledger_id, now_ns, operations, fresh).needs
        wrong = dice.pick(self.WRONG) if dice.one_in(5) else ""
        together = dice.one_in(3)
        made: list[Envelope] = []
        for first, count, need in _ranges(operations, needs, together=together):
            if wrong == "too much":
                first, count = 0, len(records)
            if wrong == "part of a chain" and count > 1:
                first, count = first + dice.below(2), count - 1
            made += self._sign(records, need, first, count, now_ns, wrong, dice)
            if wrong and dice.one_in(2):
                wrong = ""
        self._overheard = made[-1] if made else self._overheard
        return made

    def _sign(
        self, records: npt.NDArray[Any], need: Need, first: int, count: int, now_ns: int, wrong: str, dice: Dice
    ) -> list[Envelope]:
        signers = list(self._signers(need, now_ns))
        if wrong == "nobody":
            return []
        if wrong == "replayed" and self._overheard is not None:
            return [replace(self._overheard, first=first, count=count)]
        if wrong == "one officer":
            signers = signers[:1]
        if wrong == "stranger":
            signers = [dice.pick(((STRANGER, key_ring()[7], 0, 0), (OFFICERS[0], key_ring()[7], 0, 0), *signers))]
        until_ns = now_ns + dice.pick((10**15, 1, 10**18)) if wrong != "expired" else now_ns - dice.pick((0, 1, 10**9))
        covered = records[first : first + count]
        ledger_id = bytes(16) if wrong == "elsewhere" else self._ledger_id
        made = []
        for signer, key, currency, epoch in signers:
            if wrong == "epoch" and currency:
                epoch += 1
            envelope = sign(
                covered, ledger_id, signer, key, max(0, until_ns), first=first, currency=currency, key_epoch=epoch
            )
            if wrong == "tampered":
                envelope = _tampered(envelope, dice)
            made.append(envelope)
        return made

    def _signers(self, need: Need, now_ns: int) -> Iterator[tuple[int, SigningKey, int, int]]:
        """Return the required signers with key, account currency and epoch, if their keys are available."""
        if need.who in ("key", "key and operator"):
            account = self._twin.accounts[need.account]
            key = private_keys().get((account.key_flags, account.key))
            if key is not None:
                yield account.id, key, account.currency, account.key_epoch
        if need.who == "key":
            return
        grants = [g for g in self._twin.grants.values() if g.counts(now_ns) and (g.flags, g.key) in private_keys()]
        officers = {
            grant.person: grant
            for grant in grants
            if grant.role == Role.OFFICER and grant.currency in (0, need.currency)
        }
        operators = [g for g in grants if g.role == Role.OPERATOR and need.operator in (g.operator, -1)]
        chosen: Sequence[Grant]
        if need.who == "nobody":  # with authority off, signatures are still verified
            chosen = [] if is_on(self._twin, now_ns) else list(officers.values())[:1]
        elif need.who == "two officers":
            chosen = list(officers.values())[:2]
        elif need.who in ("own operator", "key and operator", "any"):
            chosen = operators[:1]
        else:
            chosen = [*operators[: need.who != "officer"], *officers.values()][:1]
        for grant in chosen:
            yield grant.person, private_keys()[grant.flags, grant.key], 0, 0


def _ranges(
    operations: Sequence[Operation], needs: Sequence[Need], *, together: bool
) -> Iterator[tuple[int, int, Need]]:
    """Return signers and ranges: each chain as a whole; other records one by one, or together for equal signers."""
    first = 0
    for at, chain in enumerate([*chains_of(operations), range(len(operations), 0)]):
        if at < max(first, chain.start):
            continue
        if len(chain) > 1 or at == len(operations) or not together or needs[at] != needs[first]:
            if at > first:
                yield first, at - first, needs[first]
            first = at
        if len(chain) > 1:
            for need in dict.fromkeys(needs[chain.start : chain.stop]):
                yield chain.start, len(chain), need
            first = chain.stop


def _tampered(envelope: Envelope, dice: Dice) -> Envelope:
    """Return the envelope with one change made after signing."""
    changes: dict[str, Any] = dice.pick((
        {"signature": bytes([envelope.signature[0] ^ 1]) + envelope.signature[1:]},
        {"valid_until_ns": envelope.valid_until_ns + 1},
        {"flags": 1 if envelope.flags != 1 else 2},
        {"key_epoch": envelope.key_epoch + 1},
        {"currency": 978 - envelope.currency},
        {"signer": envelope.signer + 1},
    ))  # fmt: skip
    return replace(envelope, **changes)
