"""Signers required by each kind, as one table; every code of signatures; signatures used in the wrong place."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from tests.each import case
from tests.ledger.signers import (
    ANNA,
    ANNAS_OTHER_KEY,
    BERT,
    CARD,
    COIN,
    CURRENCY,
    GRANT,
    HELD,
    ISSUANCE,
    KEYS,
    LEDGER_ID,
    MISSING,
    NOBODY,
    NOW_NS,
    OLGA,
    OTTO,
    PAID,
    PHONE,
    POSTED,
    PURSE,
    SEALED,
    SENT,
    SHOP,
    TRANSIT,
    UNTIL_NS,
    VAULT,
    WILL,
    World,
    granting,
    make_world,
    open_world,
    opening,
    record,
    shared,
    signed,
    verified,
)

from sycee.core.errors import IntegrityError, UsageError
from sycee.core.ids import ID
from sycee.core.keys import ALGORITHMS, SigningKey
from sycee.core.records import envelopes, layout
from sycee.core.records.envelopes import Envelope
from sycee.core.records.layout import AccountKind, Kind, Reason, Role
from sycee.core.result_codes import Result
from sycee.ledger import authority, signatures

# --- the table ---

TWO, OFFICER, STAFF, NOTHING, ANY = "two officers", "an officer", "any officer or operator", "nothing", "any signer"
OPERATOR, OWNER = "operator 7, or an officer", "operator 7"
OPERATOR_8, OWNER_8 = "operator 8, or an officer", "operator 8"
PHONES, CARDS = "the phone's key", "the card's key"
PHONES_WITH_7 = "the phone's key and operator 7"

# Signers, and the requirements above that their signatures satisfy. Anna with two keys is one person.
GOOD_FOR: dict[tuple[int | str, ...], set[str]] = {
    (): {NOTHING},
    (ANNA,): {NOTHING, ANY, OFFICER, STAFF, OPERATOR, OPERATOR_8},
    (ANNA, "Anna's other key"): {NOTHING, ANY, OFFICER, STAFF, OPERATOR, OPERATOR_8},
    (ANNA, BERT): {NOTHING, ANY, OFFICER, STAFF, OPERATOR, OPERATOR_8, TWO},
    (OTTO,): {NOTHING, ANY, STAFF, OPERATOR, OWNER},
    (OLGA,): {NOTHING, ANY, STAFF, OPERATOR_8, OWNER_8},
    (WILL,): {NOTHING, ANY},
    (PHONE,): {NOTHING, ANY, PHONES},
    (CARD,): {NOTHING, ANY, CARDS},
    (PHONE, OTTO): {NOTHING, ANY, PHONES_WITH_7},
}

TABLE = [
    (TWO, record(Kind.GRANT_ROLE, debit=NOBODY, key=KEYS[NOBODY], first=1, until_ns=9)),
    (TWO, record(Kind.REVOKE_ROLE, reference=GRANT)),
    (TWO, record(Kind.DEFINE_RULE_SET, number=2, until_ns=10**6)),
    (TWO, record(Kind.REVERSE, reference=PAID, amount=1)),
    (TWO, record(Kind.TRANSFER, debit=ISSUANCE, credit=VAULT, amount=1)),
    (TWO, record(Kind.PAY, debit=ISSUANCE, credit=VAULT, amount=1)),
    (TWO, record(Kind.HOLD, debit=ISSUANCE, credit=VAULT, amount=1, until_ns=10**6)),
    (TWO, record(Kind.SEND, debit=ISSUANCE, credit=VAULT, reference=TRANSIT, amount=1)),
    (TWO, record(Kind.STAGE, debit=ISSUANCE, credit=VAULT, amount=1, number=1)),
    (TWO, record(Kind.SET_RULE_SET, debit=ISSUANCE, rule_set=1)),
    (TWO, record(Kind.SET_RULE_SET, debit=VAULT, rule_set=1)),
    (TWO, record(Kind.SET_KEY, debit=ISSUANCE, key=KEYS[NOBODY])),
    (TWO, record(Kind.SET_KEY, debit=VAULT, key=KEYS[NOBODY])),
    (TWO, record(Kind.LINK_ACCOUNT, debit=VAULT, credit=TRANSIT)),
    (TWO, record(Kind.LINK_ACCOUNT, debit=ISSUANCE)),
    (TWO, opening(500, COIN, AccountKind.ISSUANCE, 7)),
    (OFFICER, record(Kind.DEFINE_CURRENCY, number=840, debit=67)),
    (OFFICER, record(Kind.DEFINE_GROUP, number=1)),
    (OPERATOR, record(Kind.SETTLE, number=1, count=1, amount=1, first=7)),
    (OPERATOR_8, record(Kind.SETTLE, number=1, count=1, amount=1, first=8, flags=1)),
    (OPERATOR, opening(500, COIN, AccountKind.WALLET, 7)),
    (TWO, opening(500, COIN, AccountKind.VAULT, 8)),
    (OPERATOR, record(Kind.BLOCK_ACCOUNT, debit=PHONE, flags=1, first=1)),
    (OPERATOR_8, record(Kind.BLOCK_ACCOUNT, debit=SHOP, flags=1, first=1)),
    (OPERATOR, record(Kind.UNBLOCK_ACCOUNT, debit=ISSUANCE, flags=1, first=1)),
    (OFFICER, record(Kind.UNBLOCK_ACCOUNT, debit=VAULT, flags=1, first=1)),
    (OFFICER, record(Kind.UNBLOCK_ACCOUNT, debit=SHOP, flags=1, first=Reason.COURT_ORDER)),
    (OFFICER, record(Kind.UNBLOCK_ACCOUNT, debit=PHONE, flags=1, first=Reason.SANCTIONS)),
    (STAFF, record(Kind.UNBLOCK_ACCOUNT, debit=MISSING, flags=1, first=Reason.SANCTIONS)),
    (OPERATOR, record(Kind.CLOSE_ACCOUNT, debit=PURSE, first=1)),
    (STAFF, record(Kind.CLOSE_ACCOUNT, debit=MISSING, first=1)),
    (OPERATOR, record(Kind.SET_RULE_SET, debit=PHONE, rule_set=1)),
    (OPERATOR_8, record(Kind.SET_RULE_SET, debit=SHOP)),
    (OPERATOR, record(Kind.SET_KEY, debit=PHONE, key=KEYS[NOBODY])),
    (OPERATOR, record(Kind.LINK_ACCOUNT, debit=PHONE, credit=TRANSIT)),
    (OPERATOR, record(Kind.JOIN_GROUP, debit=PURSE, number=1)),
    (OPERATOR_8, record(Kind.LEAVE_GROUP, debit=SHOP, number=1)),
    (STAFF, record(Kind.JOIN_GROUP, debit=MISSING, number=1)),
    (OPERATOR, record(Kind.CONFIRM, reference=SENT)),
    (OPERATOR, record(Kind.REJECT, reference=SENT)),
    (STAFF, record(Kind.CONFIRM, reference=PAID)),
    (STAFF, record(Kind.REJECT, reference=MISSING)),
    (OPERATOR_8, record(Kind.OPEN_PROGRAMME, number=2, debit=SHOP, rule_set=1, count=1, until_ns=9)),
    (STAFF, record(Kind.OPEN_PROGRAMME, number=2, debit=MISSING, rule_set=1, count=1, until_ns=9)),
    (OPERATOR, record(Kind.ADD_MEMBERS, number=1, count=1, debit=1)),
    (OPERATOR, record(Kind.SEAL_COHORT, number=1, debit=1)),
    (OWNER, record(Kind.DROP, number=1, count=1, amount=1, reference=SEALED)),
    (ANY, record(Kind.DROP, number=9, count=1, amount=1, reference=SEALED)),
    (OWNER, record(Kind.TRANSFER, debit=VAULT, credit=PURSE, amount=1)),
    (OWNER_8, record(Kind.TRANSFER, debit=SHOP, credit=PURSE, amount=1)),
    (PHONES, record(Kind.TRANSFER, debit=PHONE, credit=PURSE, amount=1)),
    (CARDS, record(Kind.TRANSFER, debit=CARD, credit=PHONE, amount=1)),
    (ANY, record(Kind.TRANSFER, debit=MISSING, credit=PHONE, amount=1)),
    (PHONES, record(Kind.PAY, debit=PHONE, credit=SHOP, amount=1)),
    (CARDS, record(Kind.HOLD, debit=CARD, credit=SHOP, amount=1, until_ns=10**6)),
    (PHONES, record(Kind.SEND, debit=PHONE, credit=VAULT, reference=TRANSIT, amount=1)),
    (OWNER, record(Kind.STAGE, debit=PURSE, credit=VAULT, amount=1, number=1)),
    (OWNER_8, record(Kind.STAGE, debit=SHOP, credit=PURSE, amount=1, number=1)),
    (PHONES_WITH_7, record(Kind.STAGE, debit=PHONE, credit=SHOP, amount=1, number=1)),
    (ANY, record(Kind.STAGE, debit=MISSING, credit=SHOP, amount=1, number=1)),
    (CARDS, record(Kind.POST, debit=CARD, reference=HELD, amount=1)),
    (OWNER_8, record(Kind.POST, debit=SHOP, reference=HELD, amount=1)),
    (CARDS, record(Kind.VOID, debit=CARD, reference=HELD)),
    (PHONES, record(Kind.EXTEND, debit=PHONE, reference=HELD, until_ns=10**7)),
    (CARDS, record(Kind.POST_HOLDS, debit=HELD, credit=HELD, reference=CARD)),
    (OWNER_8, record(Kind.VOID_HOLDS, debit=HELD, credit=HELD, reference=SHOP)),
    (OPERATOR, record(Kind.CLAIM, number=1, reference=77, credit=PHONE)),
    (OPERATOR_8, record(Kind.CLAIM, number=1, reference=77, credit=SHOP)),
    (OWNER_8, record(Kind.REFUND, reference=PAID, amount=1)),
    (CARDS, record(Kind.REFUND, reference=POSTED, amount=1)),
    (ANY, record(Kind.REFUND, reference=MISSING, amount=1)),
    (ANY, record(Kind.REFUND, reference=SENT, amount=1)),
    (CARDS, record(Kind.REFUND, reference=HELD, amount=1)),
    (STAFF, record(Kind.EXPIRE, number=1, count=1)),
    (NOTHING, record(Kind.UPGRADE, number=2, debit=1)),
    (ANY, record(Kind.UPGRADE, number=1, debit=1)),
]


def test_the_table_names_every_kind() -> None:
    assert {int(operation["kind"][0]) for _, operation in TABLE} == set(Kind)


def test_each_kind_needs_the_signers_in_the_table() -> None:
    for need, operation in TABLE:
        with case(Kind(int(operation["kind"][0])).name, need):
            for signers, good_for in GOOD_FOR.items():
                given = [
                    signed(operation, ANNA, key=ANNAS_OTHER_KEY)
                    if isinstance(signer, str)
                    else signed(operation, signer)
                    for signer in signers
                ]
                expected = "CREATED" if need in good_for else "NOT_AUTHORISED"
                if need == TWO and expected != "CREATED" and ANNA in signers:
                    expected = "TWO_PERSONS_MUST_SIGN"
                assert shared().authorise(operation, *given) == [expected], signers


def test_without_two_officers_no_signature_is_needed() -> None:
    for need, operation in TABLE:
        with case(Kind(int(operation["kind"][0])).name, need):
            assert silent().authorise(operation) == ["CREATED"]


@cache
def silent() -> World:
    return open_world()


# --- codes ---

PAYMENT = record(Kind.PAY, debit=PHONE, credit=SHOP, amount=5)
BY_PHONE = signed(PAYMENT, PHONE)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({}, "CREATED"),
        ({"signature": bytes(64)}, "SIGNATURE_INVALID"),
        ({"signature": BY_PHONE.signature[:-1] + bytes([BY_PHONE.signature[-1] ^ 1])}, "SIGNATURE_INVALID"),
        ({"valid_until_ns": UNTIL_NS + 1}, "SIGNATURE_INVALID"),
        ({"signer": CARD}, "SIGNATURE_INVALID"),
        ({"flags": 0}, "SIGNATURE_INVALID"),
        ({"flags": 2}, "SIGNATURE_INVALID"),
        ({"flags": 3}, "SIGNATURE_INVALID"),
        ({"flags": 5}, "SIGNATURE_INVALID"),
        ({"count": 2}, "SIGNATURE_INVALID"),
        ({"currency": 840}, "KEY_EPOCH_DIFFERS"),
        ({"key_epoch": 0}, "KEY_EPOCH_DIFFERS"),
        ({"key_epoch": 2}, "KEY_EPOCH_DIFFERS"),
        ({"signer": PURSE}, "SIGNER_NOT_FOUND"),
        ({"signer": MISSING}, "SIGNER_NOT_FOUND"),
        ({"signer": ANNA}, "SIGNER_NOT_FOUND"),
        ({"currency": 0, "key_epoch": 0}, "SIGNER_NOT_FOUND"),
        ({"currency": 0}, "SIGNATURE_INVALID"),
    ],
)
def test_a_changed_envelope_is_refused(changed: dict[str, Any], code: str) -> None:
    assert shared().authorise(PAYMENT, replace(BY_PHONE, **changed)) == [code]


def test_reserved_bytes_are_zero() -> None:
    array = envelopes.as_array([BY_PHONE])
    array["reserved"] = 1
    assert authority.authorise(shared().state, LEDGER_ID, NOW_NS, PAYMENT, array).tolist() == [Result.SIGNATURE_INVALID]


def test_an_envelope_expires_at_valid_until() -> None:
    assert shared().authorise(PAYMENT, BY_PHONE, now_ns=UNTIL_NS - 1) == ["CREATED"]
    assert shared().authorise(PAYMENT, BY_PHONE, now_ns=UNTIL_NS) == ["SIGNATURE_EXPIRED"]
    # With two errors, the code with the higher precedence is returned.
    broken = replace(BY_PHONE, signature=bytes(64))
    assert shared().authorise(PAYMENT, broken, now_ns=UNTIL_NS) == ["SIGNATURE_INVALID"]
    unknown = replace(BY_PHONE, signer=MISSING)
    assert shared().authorise(PAYMENT, unknown, now_ns=UNTIL_NS) == ["SIGNATURE_EXPIRED"]


@pytest.mark.parametrize("signer", [PHONE, CARD, ANNA, BERT])
def test_a_signature_is_valid_for_one_ledger_record_and_range_only(signer: int) -> None:
    key = KEYS[signer]
    operation = record(Kind.TRANSFER, debit=signer if signer > 10 else ISSUANCE, credit=SHOP, amount=5)
    given = signed(operation, signer)
    good = ["CREATED"] if signer > 10 else ["TWO_PERSONS_MUST_SIGN"]
    assert shared().authorise(operation, given) == good
    assert shared().authorise(operation, given, ledger_id=bytes(16)) == ["SIGNATURE_INVALID"]
    for other in (
        record(Kind.TRANSFER, 501, debit=int(operation["debit_low"][0]), credit=SHOP, amount=5),
        record(Kind.TRANSFER, debit=int(operation["debit_low"][0]), credit=SHOP, amount=6),
        record(Kind.TRANSFER, debit=int(operation["debit_low"][0]), credit=PURSE, amount=5),
    ):
        assert shared().authorise(other, given) == ["SIGNATURE_INVALID"]
        both = np.concatenate([operation, other])
        assert shared().authorise(both, replace(given, count=2)) == ["SIGNATURE_INVALID"] * 2
    assert key.public.flags == given.flags


def test_a_signature_over_part_of_a_chain_does_not_count() -> None:
    """Otherwise a signature over a part of a chain could be used in another chain."""
    chain = np.concatenate([
        record(Kind.TRANSFER, 501, debit=PHONE, credit=SHOP, amount=5),
        record(Kind.TRANSFER, 502, debit=PURSE, credit=PHONE, amount=5),
    ])  # fmt: skip
    chain["flags"][0] = layout.LINKED
    by_both = [signed(chain, PHONE), signed(chain, OTTO)]
    assert shared().authorise(chain, *by_both) == ["CREATED", "CREATED"]
    assert shared().authorise(chain, signed(chain[:1], PHONE), by_both[1]) == ["NOT_AUTHORISED", "CREATED"]
    assert shared().authorise(chain, by_both[0], signed(chain[1:], OTTO, first=1)) == ["CREATED", "NOT_AUTHORISED"]
    # The envelope over the second record alone is valid for a single record, but not at the end of a chain.
    assert shared().authorise(chain[1:], signed(chain[1:], OTTO)) == ["CREATED"]


def test_the_position_in_the_frame_is_not_signed() -> None:
    operations = np.concatenate([record(Kind.UPGRADE, 501, number=2, debit=1), PAYMENT])
    assert shared().authorise(operations, replace(BY_PHONE, first=1)) == ["CREATED", "CREATED"]
    assert shared().authorise(operations, BY_PHONE) == ["SIGNATURE_INVALID", "NOT_AUTHORISED"]


def test_a_range_beyond_the_frame_refuses_the_records_it_covers() -> None:
    operations = np.concatenate([record(Kind.UPGRADE, 501, number=2, debit=1), PAYMENT])
    beyond = replace(signed(operations, PHONE), first=1)
    assert shared().authorise(operations, beyond) == ["CREATED", "SIGNATURE_INVALID"]
    assert shared().authorise(operations, replace(BY_PHONE, first=1), replace(BY_PHONE, first=2)) == [
        "CREATED",
        "CREATED",
    ]
    assert shared().authorise(operations, replace(BY_PHONE, first=1), replace(BY_PHONE, count=0)) == [
        "CREATED",
        "CREATED",
    ]


def test_a_valid_envelope_does_not_outweigh_an_invalid_one() -> None:
    stranger = signed(PAYMENT, NOBODY)
    assert shared().authorise(PAYMENT, BY_PHONE, stranger) == ["SIGNER_NOT_FOUND"]
    assert shared().authorise(PAYMENT, stranger, BY_PHONE) == ["SIGNER_NOT_FOUND"]
    free = record(Kind.UPGRADE, number=2, debit=1)
    assert shared().authorise(free, signed(free, NOBODY)) == ["SIGNER_NOT_FOUND"]


def test_an_envelope_without_authority_for_any_record_is_refused() -> None:
    assert shared().authorise(PAYMENT, BY_PHONE, signed(PAYMENT, CARD)) == ["NOT_AUTHORISED"]
    two = np.concatenate([PAYMENT, record(Kind.PAY, 501, debit=CARD, credit=SHOP, amount=5)])
    assert shared().authorise(two, signed(two, PHONE), signed(two, CARD)) == ["CREATED", "CREATED"]
    assert shared().authorise(two, signed(two, PHONE)) == ["CREATED", "NOT_AUTHORISED"]


def test_one_envelope_authorises_only_the_operators_records_of_a_bulk() -> None:
    bulk = np.concatenate(
        [
            opening(501, 601, AccountKind.WALLET, 7),
            record(Kind.TRANSFER, 502, debit=VAULT, credit=PURSE, amount=1),
            record(Kind.TRANSFER, 503, debit=SHOP, credit=PURSE, amount=1),
            record(Kind.UPGRADE, 504, number=2, debit=1),
            PAYMENT,
        ]
    )
    by_otto = signed(bulk, OTTO)
    expected = ["CREATED", "CREATED", "NOT_AUTHORISED", "CREATED", "NOT_AUTHORISED"]
    assert shared().authorise(bulk, by_otto) == expected
    by_olga = signed(bulk[2:3], OLGA, first=2)
    by_phone = replace(BY_PHONE, first=4)
    assert shared().authorise(bulk, by_otto, by_olga, by_phone) == ["CREATED"] * 5


def test_two_officers_may_sign_different_ranges() -> None:
    mints = np.concatenate([record(Kind.TRANSFER, 501 + n, debit=ISSUANCE, credit=VAULT, amount=1) for n in range(3)])
    anna, bert = signed(mints[:2], ANNA), signed(mints[1:], BERT, first=1)
    expected = ["TWO_PERSONS_MUST_SIGN", "CREATED", "TWO_PERSONS_MUST_SIGN"]
    assert shared().authorise(mints, anna, bert) == expected
    assert shared().authorise(mints, bert, anna) == expected
    again = signed(mints, ANNA, key=ANNAS_OTHER_KEY)
    assert shared().authorise(mints, anna, again) == ["TWO_PERSONS_MUST_SIGN"] * 3
    assert shared().authorise(mints, again, bert) == ["TWO_PERSONS_MUST_SIGN", "CREATED", "CREATED"]


def test_only_the_operator_adds_payments_to_its_batch() -> None:
    """A customer with a key cannot stage a payment alone, and the operator alone cannot spend the customer's money."""
    theirs = record(Kind.STAGE, 501, debit=PURSE, credit=SHOP, amount=50, number=1)
    customers = record(Kind.STAGE, 502, debit=PHONE, credit=SHOP, amount=1, number=1)
    alone = [(PHONE,), (OTTO,), (OTTO, ANNA), (PHONE, ANNA), (PHONE, OLGA), (PHONE, CARD), (ANNA, BERT)]
    together = [(PHONE, OTTO), (OTTO, PHONE)]
    for signers in alone + together:
        expected = "CREATED" if signers in together else "NOT_AUTHORISED"
        assert shared().authorise(customers, *(signed(customers, each) for each in signers)) == [expected], signers
    # The same with one envelope over several records: the customer's signature counts only for its own record.
    frame = np.concatenate([theirs, customers])
    operators = signed(frame, OTTO)
    assert shared().authorise(frame, operators) == ["CREATED", "NOT_AUTHORISED"]
    assert shared().authorise(frame, operators, signed(customers, PHONE, first=1)) == ["CREATED", "CREATED"]
    assert shared().authorise(frame, signed(frame, PHONE), operators) == ["CREATED", "CREATED"]
    assert shared().authorise(frame, signed(frame, PHONE)) == ["NOT_AUTHORISED"] * 2
    officers = [signed(frame, ANNA), signed(frame, BERT)]
    assert shared().authorise(frame, *officers) == ["NOT_AUTHORISED"] * 2
    # The same with an envelope of the debited account per record, which is sufficient for payments.
    by_cards = record(Kind.STAGE, 503, debit=CARD, credit=SHOP, amount=1, number=1)
    frame = np.concatenate([customers, by_cards])
    by_payers = [signed(customers, PHONE), signed(by_cards, CARD, first=1)]
    checks = verified(signatures.find_jobs(shared().state, LEDGER_ID, NOW_NS, frame, envelopes.as_array(by_payers)))
    codes = authority.authorise(shared().state, LEDGER_ID, NOW_NS, frame, by_payers, checks=checks)
    assert codes.tolist() == [Result.NOT_AUTHORISED] * 2
    with pytest.raises(IntegrityError, match="it needs both the account itself and operator 7"):
        authority.verify_frame(shared().state, LEDGER_ID, 9, NOW_NS, customers, [signed(customers, PHONE)])


def test_malformed_and_bound_operations_need_no_signature() -> None:
    bulk = np.concatenate(
        [
            record(Kind.TRANSFER, 0, debit=VAULT, credit=PURSE, amount=1),
            record(Kind.UPGRADE, 501, number=2, debit=1),
            PAYMENT,
        ]
    )
    again = record(Kind.PAY, PAID, debit=PHONE, credit=SHOP, amount=100)
    assert shared().authorise(again) == ["CREATED"]
    assert shared().authorise(bulk, signed(bulk[:2], OTTO)) == ["CREATED", "CREATED", "NOT_AUTHORISED"]
    # Their codes do not depend on the envelope, even if it is invalid.
    assert shared().authorise(bulk, signed(bulk[:2], NOBODY)) == ["CREATED", "SIGNER_NOT_FOUND", "NOT_AUTHORISED"]


# --- time, keys and grants ---


def test_a_new_key_invalidates_signatures_of_the_old_key() -> None:
    world = make_world()
    new = SigningKey.derive(b"\xbb" * 32, "p256")
    world.frame(30, record(Kind.SET_KEY, 401, debit=PHONE, key=new))
    assert world.authorise(PAYMENT, BY_PHONE) == ["KEY_EPOCH_DIFFERS"]
    renewed = envelopes.sign(PAYMENT, LEDGER_ID, PHONE, new, UNTIL_NS, currency=CURRENCY, key_epoch=2)
    assert world.authorise(PAYMENT, renewed) == ["CREATED"]
    old_key = envelopes.sign(PAYMENT, LEDGER_ID, PHONE, KEYS[PHONE], UNTIL_NS, currency=CURRENCY, key_epoch=2)
    assert world.authorise(PAYMENT, old_key) == ["SIGNATURE_INVALID"]


def test_grants_count_in_their_window_until_they_are_revoked() -> None:
    world = make_world()
    group = record(Kind.DEFINE_GROUP, number=3)
    by_anna, by_carl = signed(group, ANNA, until_ns=10**9), signed(group, NOBODY, until_ns=10**9)
    world.frame(30, granting(401, NOBODY, Role.OFFICER, KEYS[NOBODY], from_ns=50))
    assert world.authorise(group, by_carl, now_ns=49) == ["SIGNER_NOT_FOUND"]
    assert world.authorise(group, by_carl, now_ns=50) == ["CREATED"]
    assert world.authorise(group, by_anna, now_ns=UNTIL_NS - 1) == ["CREATED"]
    assert world.authorise(group, by_anna, now_ns=UNTIL_NS) == ["SIGNER_NOT_FOUND"]
    world.frame(60, record(Kind.REVOKE_ROLE, 402, reference=GRANT))
    assert world.authorise(group, by_anna, now_ns=70) == ["SIGNATURE_INVALID"]
    assert world.authorise(group, signed(group, ANNA, key=ANNAS_OTHER_KEY), now_ns=70) == ["CREATED"]


def test_authority_stays_on_when_all_grants_have_ended() -> None:
    group = record(Kind.DEFINE_GROUP, number=3)
    assert shared().authorise(group, now_ns=UNTIL_NS + 10) == ["NOT_AUTHORISED"]


def test_authority_is_on_from_the_frame_in_which_the_second_officer_counts() -> None:
    world = open_world()
    world.frame(
        20, granting(201, ANNA, Role.OFFICER, KEYS[ANNA]), granting(202, BERT, Role.OFFICER, KEYS[BERT], from_ns=50)
    )
    assert world.authorise(PAYMENT, now_ns=49) == ["CREATED"]
    assert world.authorise(PAYMENT, now_ns=50) == ["NOT_AUTHORISED"]


def test_without_authority_invalid_signatures_are_refused_too() -> None:
    world = open_world()
    assert world.authorise(PAYMENT, BY_PHONE) == ["CREATED"]
    assert world.authorise(PAYMENT, replace(BY_PHONE, signature=bytes(64))) == ["SIGNATURE_INVALID"]
    assert world.authorise(PAYMENT, signed(PAYMENT, ANNA)) == ["SIGNER_NOT_FOUND"]
    assert world.authorise(PAYMENT, BY_PHONE, now_ns=UNTIL_NS) == ["SIGNATURE_EXPIRED"]
    # No operation needs a signature, so no signer lacks authority.
    assert world.authorise(PAYMENT, signed(PAYMENT, CARD)) == ["CREATED"]


def test_a_grant_does_not_count_in_its_own_frame() -> None:
    operations = np.concatenate(
        [granting(501, NOBODY, Role.OFFICER, KEYS[NOBODY]), record(Kind.DEFINE_GROUP, number=3)]
    )
    both = [signed(operations[:1], person) for person in (ANNA, BERT)]
    own = signed(operations[1:], NOBODY, first=1)
    assert shared().authorise(operations, *both, own) == ["CREATED", "SIGNER_NOT_FOUND"]


# --- verifying a journal ---


def test_a_correctly_signed_frame_verifies_and_is_counted() -> None:
    frame = np.concatenate(
        [
            record(Kind.TRANSFER, 501, debit=ISSUANCE, credit=VAULT, amount=1),
            record(Kind.UPGRADE, 502, number=2, debit=1),
            PAYMENT,
        ]
    )
    given = [signed(frame[:1], ANNA), signed(frame[:1], BERT), replace(BY_PHONE, first=2)]
    report = authority.Report()
    raw = envelopes.as_array(given).tobytes()
    authority.verify_frame(shared().state, LEDGER_ID, 3, NOW_NS, frame, raw, report)
    authority.verify_frame(shared().state, LEDGER_ID, 4, NOW_NS, frame[:0], b"", report)
    assert report.by_role == {"officer": 2, "account": 1}
    assert report.by_signer == {ANNA: 1, BERT: 1, PHONE: 1}
    assert report.needed == {True: 2, False: 1}
    assert "3 signatures are valid, from 3 signers: 1 by accounts, 2 by officers" in report.sentences()[0]


def test_the_report_states_that_a_ledger_has_no_officers() -> None:
    report = authority.Report()
    authority.verify_frame(silent().state, LEDGER_ID, 3, NOW_NS, PAYMENT, (), report)
    assert report.sentences() == ("the ledger has no officers: no operation needed a signature",)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((), r"frame 3, operation 0 \(PAY\): NOT_AUTHORISED; it needs the account itself"),
        (
            (replace(BY_PHONE, signature=bytes(64)),),
            r"frame 3, envelope 0 \(from operation 0 on, signed by .*\): SIGNATURE_INVALID",
        ),
        ((BY_PHONE, replace(BY_PHONE, first=1)), "frame 3: envelope 1 covers no operation"),
        ((BY_PHONE, replace(BY_PHONE, count=0)), "frame 3: envelope 1 covers no operation"),
        ((BY_PHONE, signed(PAYMENT, CARD)), "envelope 1 .*: NOT_AUTHORISED"),
        (b"short", "frame 3: 5 bytes are not envelopes"),
    ],
)
def test_a_wrongly_signed_frame_is_named(given: Any, says: str) -> None:
    with pytest.raises(IntegrityError, match=says):
        authority.verify_frame(shared().state, LEDGER_ID, 3, NOW_NS, PAYMENT, given)


def test_a_bound_operation_verifies_but_not_under_an_invalid_envelope() -> None:
    again = record(Kind.PAY, PAID, debit=PHONE, credit=SHOP, amount=100)
    authority.verify_frame(shared().state, LEDGER_ID, 3, NOW_NS, again, ())
    with pytest.raises(IntegrityError, match="SIGNER_NOT_FOUND"):
        authority.verify_frame(shared().state, LEDGER_ID, 3, NOW_NS, again, [signed(again, NOBODY)])


# --- bytes ---


def test_an_envelope_has_104_bytes_and_can_be_read_back() -> None:
    raw = BY_PHONE.encode()
    assert len(raw) == 104
    (row,) = envelopes.decode(raw)
    numbers = {name: int(row[name]) for name in ("first", "count", "flags", "currency", "key_epoch", "valid_until_ns")}
    assert Envelope(signer=envelopes.signer_of(row), signature=row["signature"].tobytes(), **numbers) == BY_PHONE
    assert (
        raw[:40].hex()
        == "00000100" + "01009c00" + "01000000" + "00000000" + f"{PHONE:02x}" + "00" * 15 + "d007000000000000"
    )
    assert raw[40:] == BY_PHONE.signature


def test_the_signed_message_is_as_documented() -> None:
    envelope = Envelope(
        first=9, count=5, flags=1, currency=4, key_epoch=3, signer=1 << 64, valid_until_ns=-2, signature=b""
    )
    message = envelopes.signing_message(envelope, LEDGER_ID, b"\x06" * 32)
    assert message == (
        b"sycee.envelope.v1" + bytes(15) + LEDGER_ID + bytes(8) + b"\x01" + bytes(7) + b"\xfe" + b"\xff" * 7
        + b"\x03\0\0\0" + b"\x04\0" + b"\x05\0" + b"\x06" * 32
    )  # fmt: skip


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: envelopes.decode(bytes(103)), "103 bytes are not envelopes"),
        (lambda: envelopes.as_array([replace(BY_PHONE, first=65_536)]), "first = 65536 does not fit"),
        (lambda: envelopes.as_array([replace(BY_PHONE, signer=1 << 128)]), "does not fit the 128 bits"),
        (lambda: envelopes.as_array([replace(BY_PHONE, signature=b"")]), "64 bytes, not 0"),
        (lambda: envelopes.as_array(np.zeros(1, ID)), "array of ENVELOPE"),
        (lambda: envelopes.sign(PAYMENT[:0], LEDGER_ID, ANNA, KEYS[ANNA], 1), "covers 1 to 8,064 records, not 0"),
        (lambda: envelopes.sign(PAYMENT, b"", ANNA, KEYS[ANNA], 1), "16 bytes, not 0"),
        (lambda: envelopes.sign(PAYMENT, LEDGER_ID, ANNA, KEYS[ANNA], 1 << 63), "a number does not fit its field"),
        (lambda: authority.authorise(shared().state, b"", NOW_NS, PAYMENT, [BY_PHONE]), "16 bytes, not 0"),
    ],
)
def test_values_that_do_not_fit_an_envelope_are_refused(make: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make()


# --- size ---


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_full_frame_is_checked_under_a_few_envelopes(algorithm: str) -> None:
    world = make_world()
    key = SigningKey.derive(b"\xcc" * 32, algorithm)
    world.frame(30, granting(401, NOBODY, Role.OPERATOR, key, operator=7))
    payments = np.zeros(8_064, layout.OPERATION)
    payments["id_low"] = np.arange(payments.size) + 10_000
    payments["kind"] = Kind.TRANSFER
    payments["debit_low"] = np.where(np.arange(payments.size) % 2, PURSE, VAULT)
    payments["credit_low"], payments["amount"] = SHOP, 1
    bulk = [
        envelopes.sign(payments[at : at + 2_016], LEDGER_ID, NOBODY, key, UNTIL_NS, first=at)
        for at in range(0, 8_064, 2_016)
    ]
    assert not authority.authorise(world.state, LEDGER_ID, NOW_NS, payments, bulk).any()
    payments["amount"][4_000] = 2
    codes = authority.authorise(world.state, LEDGER_ID, NOW_NS, payments, bulk)
    assert codes.any()
    assert not codes[:2_016].any()
    assert codes[2_016:4_032].all()
