"""Signatures verified before the frame: the same codes, and no check counts for a key that was replaced."""

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
    OLGA,
    OTTO,
    PAID,
    PHONE,
    PURSE,
    SHOP,
    VAULT,
    World,
    granting,
    make_world,
    opening,
    record,
    shared,
    signed,
    verified,
)
from tests.ledger.test_authority_frames import random_frame

from sycee.core import keys
from sycee.core.arrays import Array
from sycee.core.keys import SigningKey
from sycee.core.records import envelopes
from sycee.core.records.envelopes import Envelope, as_array
from sycee.core.records.layout import LINKED, AccountKind, Kind, Role
from sycee.core.result_codes import Result
from sycee.ledger import authority, signatures, signed_ranges
from sycee.ledger.kernels import constants, indexes

PAYMENT = record(Kind.TRANSFER, 501, debit=PHONE, credit=SHOP, amount=1)
MINT = record(Kind.SET_RULE_SET, 501, debit=SHOP, rule_set=1)


def checked(world: World, frame: Array, *given: Envelope) -> Array:
    """Return the checks that admission makes of the envelopes."""
    return verified(signatures.find_jobs(world.state, LEDGER_ID, NOW_NS, frame, as_array(given)))


def codes_of(world: World, frame: Array, checks: Array | None, *given: Envelope) -> list[str]:
    codes = authority.authorise(world.state, LEDGER_ID, NOW_NS, frame, given, checks=checks)
    return [Result(int(code)).name for code in codes]


@pytest.fixture
def in_line(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Record the keys with which the writer itself verifies signatures."""
    tried: list[bytes] = []
    verify_jobs = keys.verify_jobs

    def counted(jobs: bytes) -> bytes:
        tried.extend(key for _, key, *_ in keys.JOB.iter_unpack(jobs))
        return verify_jobs(jobs)

    monkeypatch.setattr(keys, "verify_jobs", counted)
    return tried


def test_random_frames_get_the_same_codes_with_and_without_checks(in_line: list[bytes]) -> None:
    seen = 0
    for seed in range(120):
        frame, given = random_frame(seed)
        alone = codes_of(shared(), frame, None, *given)
        in_line.clear()
        assert codes_of(shared(), frame, checked(shared(), frame, *given), *given) == alone, seed
        fresh = shared().state.resolve(frame)[0]["code"] == constants.PENDING
        again = authority.authorise(shared().state, LEDGER_ID, NOW_NS, frame, given, fresh=fresh)
        assert [Result(int(code)).name for code in again] == alone
        seen += len(given)
    assert seen > 240


def test_the_writer_does_not_verify_checked_signatures_again(in_line: list[bytes]) -> None:
    for seed in range(100):
        frame, given = random_frame(seed)
        checks = checked(shared(), frame, *given)
        in_line.clear()
        codes_of(shared(), frame, checks, *given)
        assert not in_line, seed


def test_the_writer_does_not_verify_a_failed_signature_again(in_line: list[bytes]) -> None:
    for signer, frame in ((PHONE, PAYMENT), (OTTO, MINT), (ANNA, MINT)):
        forged = replace(signed(frame, signer), signature=bytes(64))
        checks = checked(shared(), frame, forged)
        assert checks["outcome"].tolist() == [signatures.INVALID]
        in_line.clear()
        assert codes_of(shared(), frame, checks, forged) == ["SIGNATURE_INVALID"]
        assert not in_line


def test_a_check_counts_only_for_the_key_that_was_tried(in_line: list[bytes]) -> None:
    """A check of another key does not change the code."""
    good, forged = signed(PAYMENT, PHONE), replace(signed(PAYMENT, PHONE), signature=bytes(64))
    for envelope, code in ((good, "CREATED"), (forged, "SIGNATURE_INVALID")):
        for outcome in (signatures.VALID, signatures.INVALID, signatures.NOT_TRIED):
            checks = np.zeros(1, signatures.CHECK)
            checks["key"], checks["outcome"] = np.void(KEYS[CARD].public.key), outcome
            in_line.clear()
            assert codes_of(shared(), PAYMENT, checks, envelope) == [code]
            assert in_line == [KEYS[PHONE].public.key]


def test_a_key_replaced_between_admission_and_writer() -> None:
    world = make_world()
    new = SigningKey.derive(b"\x77" * 32)
    old, checks = signed(PAYMENT, PHONE), checked(world, PAYMENT, signed(PAYMENT, PHONE))
    assert checks["outcome"].tolist() == [signatures.VALID]
    assert codes_of(world, PAYMENT, checks, old) == ["CREATED"]
    world.frame(30, record(Kind.SET_KEY, 601, debit=PHONE, key=new))
    assert codes_of(world, PAYMENT, checks, old) == ["KEY_EPOCH_DIFFERS"]
    # A signature for the next epoch, made and checked before the key was set.
    early = replace(signed(PAYMENT, PHONE, key=new), key_epoch=2)
    assert codes_of(world, PAYMENT, checks, early) == ["SIGNATURE_INVALID"]


def test_a_signature_of_a_future_key_is_valid_once_the_key_is_set(in_line: list[bytes]) -> None:
    world = make_world()
    new = SigningKey.derive(b"\x77" * 32)
    later = make_world()
    later.frame(30, record(Kind.SET_KEY, 601, debit=PHONE, key=new))
    early = envelopes.sign(PAYMENT, LEDGER_ID, PHONE, new, 2_000, currency=156, key_epoch=2)
    checks = checked(world, PAYMENT, early)
    assert checks["outcome"].tolist() == [signatures.NOT_TRIED]
    assert codes_of(world, PAYMENT, checks, early) == ["KEY_EPOCH_DIFFERS"]
    assert codes_of(later, PAYMENT, checks, early) == ["CREATED"]
    assert in_line == [new.public.key]


def test_a_grant_revoked_between_admission_and_writer(in_line: list[bytes]) -> None:
    world = make_world()
    envelope = signed(MINT, ANNA)
    checks = checked(world, MINT, envelope)
    other = signed(MINT, ANNA, key=ANNAS_OTHER_KEY)
    other_checks = checked(world, MINT, other)
    world.frame(30, record(Kind.REVOKE_ROLE, 601, reference=GRANT))
    # Anna is still an officer with her other key.
    assert codes_of(world, MINT, checks, envelope) == ["SIGNATURE_INVALID"]
    in_line.clear()
    assert codes_of(world, MINT, other_checks, other) == codes_of(shared(), MINT, other_checks, other)
    assert not in_line
    envelope = signed(MINT, OTTO)
    checks = checked(world, MINT, envelope)
    world.frame(31, record(Kind.REVOKE_ROLE, 602, reference=203))
    assert codes_of(world, MINT, checks, envelope) == ["SIGNER_NOT_FOUND"]


def test_a_grant_that_began_or_ended_between_admission_and_writer() -> None:
    world = make_world()
    late = granting(601, NOBODY, Role.OPERATOR, KEYS[NOBODY], operator=8)
    envelope = signed(MINT, NOBODY)
    checks = checked(world, MINT, envelope)
    assert checks["outcome"].tolist() == [signatures.NOT_TRIED]
    assert codes_of(world, MINT, checks, envelope) == ["SIGNER_NOT_FOUND"]
    world.frame(30, late)
    assert codes_of(world, MINT, checks, envelope) == ["CREATED"]
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
        checks = verified(jobs)
        in_line.clear()
        assert codes_of(world, MINT, checks, envelope) == [code]
        assert not in_line
    # A third key, granted after the other keys failed, is tried.
    failed = signed(MINT, ANNA, key=SigningKey.derive(b"\x55" * 32))
    checks = checked(world, MINT, failed)
    world.frame(31, granting(602, ANNA, Role.OFFICER, SigningKey.derive(b"\x55" * 32)))
    assert codes_of(world, MINT, checks, failed) == ["CREATED"]


def test_an_envelope_that_cannot_be_valid_has_no_job() -> None:
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
    assert not verified(jobs)["outcome"].any()


def test_jobs_contain_the_signed_messages() -> None:
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


@pytest.mark.parametrize("find", [indexes.rows_of, indexes.rows_of_few])
def test_a_concurrent_look_up_reads_no_row_beyond_its_table(find: Any) -> None:
    """The index may contain rows beyond the table that the reader holds."""
    world = make_world()
    tables = world.state.tables
    rows = np.empty(1, np.int64)
    low, high = np.array([SHOP], np.uint64), np.zeros(1, np.uint64)
    find(tables.account_slots, tables.accounts, low, high, rows)
    assert rows[0] >= 0
    find(tables.account_slots, tables.accounts[: rows[0]], low, high, rows)
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
def test_the_fast_path_for_payments_gives_the_same_codes(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = np.concatenate([record(Kind.PAY, 501 + at, debit=PHONE, credit=SHOP, amount=1) for at in range(3)])
    given = as_array([signed(frame[at : at + 1], PHONE, first=at) for at in range(3)])
    checks = verified(signatures.find_jobs(shared().state, LEDGER_ID, NOW_NS, frame, given))
    CHANGES[change](frame, given, checks)
    short = signatures.all_signed_by_payers(shared().state, NOW_NS, frame, given, checks)
    codes = authority.authorise(shared().state, LEDGER_ID, NOW_NS, frame, given, checks=checks)
    monkeypatch.setattr(signatures, "all_signed_by_payers", lambda *_: False)
    assert (
        codes.tolist() == authority.authorise(shared().state, LEDGER_ID, NOW_NS, frame, given, checks=checks).tolist()
    )
    alone = change in ("nothing", "another kind", "an unknown kind", "an id that is known")
    assert short == alone  # the caller checks kinds and bound ids


BULK_SIGNERS = [
    (PHONE, PHONE, True), (PHONE, CARD, False), (PHONE, OTTO, False), (PHONE, ANNA, False), (PURSE, OTTO, True),
    (PURSE, OLGA, False), (PURSE, ANNA, False), (PURSE, PHONE, False), (ISSUANCE, ANNA, False), (ISSUANCE, OTTO, False),
    (999, OTTO, False), (VAULT, OTTO, True),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("payer", "signer", "may"), BULK_SIGNERS)
def test_the_fast_path_for_one_payer_gives_the_same_codes(
    payer: int, signer: int, may: bool, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = np.concatenate([record(Kind.TRANSFER, 501 + at, debit=payer, credit=SHOP, amount=1) for at in range(3)])
    given = as_array([signed(frame, signer)])
    checks = verified(signatures.find_jobs(shared().state, LEDGER_ID, NOW_NS, frame, given))
    CHANGES[change](frame, given, checks)
    state = shared().state
    signers = signatures.find_signers(state, LEDGER_ID, NOW_NS, frame, given, checks)
    short = signed_ranges.signed_by_owners(state, frame, given, signers)
    codes = authority.authorise(state, LEDGER_ID, NOW_NS, frame, given, checks=checks)
    monkeypatch.setattr(authority, "signed_by_owners", lambda *_: False)
    assert codes.tolist() == authority.authorise(state, LEDGER_ID, NOW_NS, frame, given, checks=checks).tolist()
    if change == "nothing":
        assert short is may
    if short and change not in ("another kind", "an unknown kind"):  # the caller checks kinds
        assert not codes.any()


def test_two_officers_sign_for_issuance_even_with_a_key() -> None:
    """The key of an issuance account does not replace the two officers."""
    world = make_world()
    world.frame(30, record(Kind.SET_KEY, 601, debit=ISSUANCE, key=KEYS[CARD]))
    mint = record(Kind.TRANSFER, 602, debit=ISSUANCE, credit=SHOP, amount=1)
    envelope = signed(mint, ISSUANCE, key=KEYS[CARD])
    checks = checked(world, mint, envelope)
    assert checks["outcome"].tolist() == [signatures.VALID]
    assert codes_of(world, mint, checks, envelope) == ["NOT_AUTHORISED"]


def test_keys_are_found_while_another_thread_opens_accounts() -> None:
    """Tables and indexes grow meanwhile: the result may be stale, but contains no wrong key."""
    world = make_world()
    given = as_array([signed(PAYMENT, PHONE), signed(PAYMENT, OTTO), replace(signed(PAYMENT, PHONE), signer=700_123)])
    whole = b"".join(KEYS[signer].public.key for signer in (PHONE, OTTO))
    done = threading.Event()
    seen: list[int] = []
    wrong: list[bytes] = []

    def look() -> None:
        while not done.is_set():
            jobs = signatures.find_jobs(world.state, LEDGER_ID, NOW_NS, PAYMENT, given)
            seen.append(jobs.jobs.size)
            if jobs.jobs["key"].tobytes() not in (whole, whole[32:]):
                wrong.append(jobs.jobs["key"].tobytes())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for part in range(30):
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


def test_few_envelopes_are_judged_like_many() -> None:
    """Up to FEW envelopes are examined one by one, more of them as arrays."""
    generator, few = np.random.default_rng(1), signatures.FEW
    many = np.zeros(250 * few, envelopes.ENVELOPE)
    choices = {
        "first": (0, 1, 9, 65_535), "count": (0, 1, 9, 10, 65_535), "flags": (0, 1, 2, 3, 6, 7), "currency": (0, 156),
        "key_epoch": (0, 1), "reserved": (0, 0, 0, 1),
    }  # fmt: skip
    for name, values in choices.items():
        many[name] = generator.choice(values, many.size)
    together = signatures.are_well_formed(many, many["first"].astype(np.int64), 10)
    parts = [signatures.are_well_formed(part, part["first"].astype(np.int64), 10) for part in np.split(many, 250)]
    assert np.concatenate(parts).tolist() == together.tolist()
    assert 0 < together.sum() < together.size
