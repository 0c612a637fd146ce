"""Signatures verified apart from the state: the same answers, and no trust in a key that no longer counts."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.ledger.signers import (
    ANNA,
    ANNAS_OTHER_KEY,
    BERT,
    CARD,
    GRANT,
    ISSUANCE,
    KEYS,
    LEDGER_ID,
    NOBODY,
    NOW_NS,
    OTTO,
    PAID,
    PHONE,
    SHOP,
    World,
    granting,
    make_world,
    opening,
    record,
    shared,
    signed,
)
from tests.ledger.test_authority_frames import random_frame

from sycee.core import keys
from sycee.core.arrays import Array
from sycee.core.keys import SigningKey
from sycee.core.result_codes import Result
from sycee.ledger import authority, envelopes, kernels, signatures
from sycee.ledger.envelopes import Envelope, as_array
from sycee.ledger.kernels import constants
from sycee.ledger.layout import LINKED, AccountKind, Kind, Role

PAYMENT = record(Kind.TRANSFER, 501, debit=PHONE, credit=SHOP, amount=1)
MINT = record(Kind.SET_RULE_SET, 501, debit=SHOP, rule_set=1)


def checked(world: World, frame: Array, *given: Envelope) -> Array:
    """What admission learns of the envelopes."""
    return signatures.find_jobs(world.state, LEDGER_ID, NOW_NS, frame, as_array(given)).verify()


def judged(world: World, frame: Array, checks: Array | None, *given: Envelope) -> list[str]:
    codes = authority.authorise(world.state, LEDGER_ID, NOW_NS, frame, given, checks=checks)
    return [Result(int(code)).name for code in codes]


@pytest.fixture
def in_line(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Keys with which the writer itself verifies signatures."""
    tried: list[bytes] = []
    verify_jobs = keys.verify_jobs

    def counted(jobs: bytes) -> bytes:
        tried.extend(key for _, key, *_ in keys.JOB.iter_unpack(jobs))
        return verify_jobs(jobs)

    monkeypatch.setattr(keys, "verify_jobs", counted)
    return tried


def test_random_frames_are_judged_the_same_with_checks_and_without(in_line: list[bytes]) -> None:
    seen = 0
    for seed in range(300):
        frame, given = random_frame(seed)
        alone = judged(shared(), frame, None, *given)
        in_line.clear()
        assert judged(shared(), frame, checked(shared(), frame, *given), *given) == alone, seed
        fresh = shared().state.resolve(frame)[0]["code"] == constants.PENDING
        again = authority.authorise(shared().state, LEDGER_ID, NOW_NS, frame, given, fresh=fresh)
        assert [Result(int(code)).name for code in again] == alone
        seen += len(given)
    assert seen > 600


def test_the_writer_verifies_nothing_that_was_checked(in_line: list[bytes]) -> None:
    for seed in range(100):
        frame, given = random_frame(seed)
        checks = checked(shared(), frame, *given)
        in_line.clear()
        judged(shared(), frame, checks, *given)
        assert not in_line, seed


def test_a_signature_that_fails_costs_the_writer_nothing(in_line: list[bytes]) -> None:
    for signer, frame in ((PHONE, PAYMENT), (OTTO, MINT), (ANNA, MINT)):
        forged = replace(signed(frame, signer), signature=bytes(64))
        checks = checked(shared(), frame, forged)
        assert checks["outcome"].tolist() == [signatures.INVALID]
        in_line.clear()
        assert judged(shared(), frame, checks, forged) == ["SIGNATURE_INVALID"]
        assert not in_line


def test_a_check_is_not_trusted_for_another_key(in_line: list[bytes]) -> None:
    """Whatever a check says of some other key, the answer is that of a ledger without checks."""
    good, forged = signed(PAYMENT, PHONE), replace(signed(PAYMENT, PHONE), signature=bytes(64))
    for envelope, code in ((good, "CREATED"), (forged, "SIGNATURE_INVALID")):
        for outcome in (signatures.VALID, signatures.INVALID, signatures.NOT_TRIED):
            checks = np.zeros(1, signatures.CHECK)
            checks["key"], checks["outcome"] = np.void(KEYS[CARD].public.key), outcome
            in_line.clear()
            assert judged(shared(), PAYMENT, checks, envelope) == [code]
            assert in_line == [KEYS[PHONE].public.key]


def test_a_key_that_was_replaced_between_admission_and_writer() -> None:
    world = make_world()
    new = SigningKey.derive(b"\x77" * 32)
    old, checks = signed(PAYMENT, PHONE), checked(world, PAYMENT, signed(PAYMENT, PHONE))
    assert checks["outcome"].tolist() == [signatures.VALID]
    assert judged(world, PAYMENT, checks, old) == ["CREATED"]
    world.frame(30, record(Kind.SET_KEY, 601, debit=PHONE, key=new))
    assert judged(world, PAYMENT, checks, old) == ["KEY_EPOCH_DIFFERS"]
    # A signature for the coming epoch, made and checked before the key was set.
    early = replace(signed(PAYMENT, PHONE, key=new), key_epoch=2)
    assert judged(world, PAYMENT, checks, early) == ["SIGNATURE_INVALID"]


def test_a_signature_for_the_coming_key_holds_once_the_key_is_set(in_line: list[bytes]) -> None:
    world = make_world()
    new = SigningKey.derive(b"\x77" * 32)
    later = make_world()
    later.frame(30, record(Kind.SET_KEY, 601, debit=PHONE, key=new))
    early = envelopes.sign(PAYMENT, LEDGER_ID, PHONE, new, 2_000, currency=156, key_epoch=2)
    checks = checked(world, PAYMENT, early)
    assert checks["outcome"].tolist() == [signatures.NOT_TRIED]
    assert judged(world, PAYMENT, checks, early) == ["KEY_EPOCH_DIFFERS"]
    assert judged(later, PAYMENT, checks, early) == ["CREATED"]
    assert in_line == [new.public.key]


def test_a_grant_that_was_revoked_between_admission_and_writer(in_line: list[bytes]) -> None:
    world = make_world()
    envelope = signed(MINT, ANNA)
    checks = checked(world, MINT, envelope)
    other = signed(MINT, ANNA, key=ANNAS_OTHER_KEY)
    other_checks = checked(world, MINT, other)
    world.frame(30, record(Kind.REVOKE_ROLE, 601, reference=GRANT))
    # Anna is an officer by her other key still.
    assert judged(world, MINT, checks, envelope) == ["SIGNATURE_INVALID"]
    in_line.clear()
    assert judged(world, MINT, other_checks, other) == judged(shared(), MINT, other_checks, other)
    assert not in_line
    envelope = signed(MINT, OTTO)
    checks = checked(world, MINT, envelope)
    world.frame(31, record(Kind.REVOKE_ROLE, 602, reference=203))
    assert judged(world, MINT, checks, envelope) == ["SIGNER_NOT_FOUND"]


def test_a_grant_that_came_or_ended_between_admission_and_writer() -> None:
    world = make_world()
    late = granting(601, NOBODY, Role.OPERATOR, KEYS[NOBODY], operator=8)
    envelope = signed(MINT, NOBODY)
    checks = checked(world, MINT, envelope)
    assert checks["outcome"].tolist() == [signatures.NOT_TRIED]
    assert judged(world, MINT, checks, envelope) == ["SIGNER_NOT_FOUND"]
    world.frame(30, late)
    assert judged(world, MINT, checks, envelope) == ["CREATED"]
    checks = checked(world, MINT, envelope)
    codes = authority.authorise(world.state, LEDGER_ID, 5_000, MINT, [envelope], checks=checks)
    assert codes.tolist() == [Result.SIGNATURE_EXPIRED]


def test_several_keys_of_one_person(in_line: list[bytes]) -> None:
    world = make_world()
    second = SigningKey.derive(b"\x66" * 32)
    world.frame(30, granting(601, ANNA, Role.OFFICER, second))
    for key, code in ((KEYS[ANNA], "CREATED"), (second, "CREATED"), (KEYS[BERT], "SIGNATURE_INVALID")):
        envelope = signed(MINT, ANNA, key=key if key is not KEYS[BERT] else SigningKey.derive(b"\x55" * 32))
        jobs = signatures.find_jobs(world.state, LEDGER_ID, NOW_NS, MINT, as_array([envelope]))
        assert jobs.envelopes.tolist() == [0, 0]
        checks = jobs.verify()
        in_line.clear()
        assert judged(world, MINT, checks, envelope) == [code]
        assert not in_line
    # A third key given after all the others failed: it is tried.
    failed = signed(MINT, ANNA, key=SigningKey.derive(b"\x55" * 32))
    checks = checked(world, MINT, failed)
    world.frame(31, granting(602, ANNA, Role.OFFICER, SigningKey.derive(b"\x55" * 32)))
    assert judged(world, MINT, checks, failed) == ["CREATED"]


def test_what_cannot_hold_has_no_job() -> None:
    good = signed(PAYMENT, PHONE)
    cases = [
        replace(good, flags=8),
        replace(good, count=0),
        replace(good, first=1),
        replace(good, currency=0),
        replace(good, currency=840),
        replace(good, key_epoch=3),
        replace(good, signer=SHOP),
        replace(good, signer=999),
        replace(good, flags=keys.P256),
    ]
    jobs = signatures.find_jobs(shared().state, LEDGER_ID, NOW_NS, PAYMENT, as_array(cases))
    assert (jobs.jobs.size, jobs.count) == (0, len(cases))
    assert not jobs.verify()["outcome"].any()


def test_the_jobs_are_what_was_signed() -> None:
    frame = np.concatenate([PAYMENT, record(Kind.TRANSFER, 502, debit=CARD, credit=SHOP, amount=1), MINT])
    given = [signed(frame[2:], OTTO, first=2), signed(frame[:1], PHONE), signed(frame[1:2], CARD, first=1)]
    given.append(signed(frame, ANNA))
    jobs = signatures.find_jobs(shared().state, LEDGER_ID, NOW_NS, frame, as_array(given))
    assert jobs.envelopes.tolist() == [0, 1, 2, 3]
    assert jobs.jobs.tobytes() == b"".join(
        keys.JOB.pack(
            envelope.flags,
            KEYS[signer].public.key,
            envelope.signature,
            _message(envelope, frame),
        )
        for envelope, signer in zip(given, (OTTO, PHONE, CARD, ANNA), strict=True)
    )
    assert keys.verify_jobs(jobs.jobs.tobytes()) == b"\1" * 4


def _message(envelope: Envelope, frame: Array) -> bytes:
    covered = frame[envelope.first : envelope.first + envelope.count]
    return envelopes.signing_message(envelope, LEDGER_ID, envelopes.records_digest(covered))


def test_a_look_up_beside_a_writer_reads_no_row_that_it_cannot_see() -> None:
    """The index may name rows of a table that has grown since it was looked at."""
    world = make_world()
    tables = world.state.tables
    rows = np.empty(1, np.int64)
    low, high = np.array([SHOP], np.uint64), np.zeros(1, np.uint64)
    kernels.rows_of(tables.account_slots, tables.accounts, low, high, rows)
    assert rows[0] >= 0
    kernels.rows_of(tables.account_slots, tables.accounts[: rows[0]], low, high, rows)
    assert rows[0] == -1


CHANGES = {
    "nothing": lambda frame, given, checks: None,
    "another debit": lambda frame, given, checks: _set(frame, "debit_low", CARD),
    "a debit with another high half": lambda frame, given, checks: _set(frame, "debit_high", 1),
    "another kind": lambda frame, given, checks: _set(frame, "kind", Kind.JOIN_GROUP),
    "an unknown kind": lambda frame, given, checks: _set(frame, "kind", 60_000),
    "a link": lambda frame, given, checks: _set(frame[:1], "flags", LINKED),
    "an id that is known": lambda frame, given, checks: _set(frame, "id_low", PAID),
    "another order": lambda frame, given, checks: _set(given, "first", 1),
    "two records": lambda frame, given, checks: _set(given[:1], "count", 2),
    "no record": lambda frame, given, checks: _set(given, "count", 0),
    "something reserved": lambda frame, given, checks: _set(given, "reserved", 1),
    "another currency": lambda frame, given, checks: _set(given, "currency", 840),
    "a person": lambda frame, given, checks: _set(given, "currency", 0),
    "another epoch": lambda frame, given, checks: _set(given, "key_epoch", 2),
    "another algorithm": lambda frame, given, checks: _set(given, "flags", keys.P256),
    "another signer": lambda frame, given, checks: _set(given, "signer_low", CARD),
    "a signer that is not there": lambda frame, given, checks: _set(given, "signer_low", 999),
    "a signer without a key": lambda frame, given, checks: _set(given, "signer_low", SHOP),
    "it ends now": lambda frame, given, checks: _set(given, "valid_until_ns", NOW_NS),
    "not tried": lambda frame, given, checks: _set(checks, "outcome", signatures.NOT_TRIED),
    "it failed": lambda frame, given, checks: _set(checks, "outcome", signatures.INVALID),
    "tried under another key": lambda frame, given, checks: _set(checks, "key", np.void(KEYS[CARD].public.key)),
}  # fmt: skip


def _set(rows: Array, field: str, value: Any) -> None:
    rows[field][-1] = value


@pytest.mark.parametrize("change", CHANGES)
def test_the_short_way_for_payments_says_what_the_long_one_says(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = np.concatenate([record(Kind.PAY, 501 + at, debit=PHONE, credit=SHOP, amount=1) for at in range(3)])
    given = as_array([signed(frame[at : at + 1], PHONE, first=at) for at in range(3)])
    checks = signatures.find_jobs(shared().state, LEDGER_ID, NOW_NS, frame, given).verify()
    CHANGES[change](frame, given, checks)
    short = signatures.all_signed_by_payers(shared().state, NOW_NS, frame, given, checks)
    codes = authority.authorise(shared().state, LEDGER_ID, NOW_NS, frame, given, checks=checks)
    monkeypatch.setattr(signatures, "all_signed_by_payers", lambda *_: False)
    assert (
        codes.tolist() == authority.authorise(shared().state, LEDGER_ID, NOW_NS, frame, given, checks=checks).tolist()
    )
    alone = change in ("nothing", "another kind", "an unknown kind", "an id that is known")
    assert short == alone  # the kinds and known ids are the caller's to look at


def test_money_out_of_issuance_is_no_payment() -> None:
    """An issuance account may have a key, and two officers sign for it all the same."""
    world = make_world()
    world.frame(30, record(Kind.SET_KEY, 601, debit=ISSUANCE, key=KEYS[CARD]))
    mint = record(Kind.TRANSFER, 602, debit=ISSUANCE, credit=SHOP, amount=1)
    envelope = signed(mint, ISSUANCE, key=KEYS[CARD])
    checks = checked(world, mint, envelope)
    assert checks["outcome"].tolist() == [signatures.VALID]
    assert judged(world, mint, checks, envelope) == ["NOT_AUTHORISED"]


def test_keys_are_found_beside_a_thread_that_opens_accounts() -> None:
    """Tables and indexes grow meanwhile: an answer may be stale, but a key that was there is tried or nothing is."""
    world = make_world()
    asked = as_array([signed(PAYMENT, PHONE), signed(PAYMENT, OTTO), replace(signed(PAYMENT, PHONE), signer=700_123)])
    whole = b"".join(KEYS[signer].public.key for signer in (PHONE, OTTO))
    done = threading.Event()
    seen: list[int] = []
    wrong: list[bytes] = []

    def look() -> None:
        while not done.is_set():
            jobs = signatures.find_jobs(world.state, LEDGER_ID, NOW_NS, PAYMENT, asked)
            seen.append(jobs.jobs.size)
            if jobs.jobs["key"].tobytes() not in (whole, whole[32:]):
                wrong.append(jobs.jobs["key"].tobytes())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for part in range(60):
            first = 700_000 + 200 * part
            world.frame(
                30 + part,
                *(opening(first + at, first + at, AccountKind.WALLET, 7) for at in range(200)),
                *(
                    record(Kind.SET_KEY, 800_000 + first + at, debit=first + at, key=KEYS[CARD])
                    for at in range(0, 200, 50)
                ),
            )
    finally:
        done.set()
        thread.join()
    assert not wrong
    assert 2 in seen
