"""Officers of one currency: their operations, the board's operations, and keys granted to two persons."""

from __future__ import annotations

import numpy as np
import pytest
from tests.ledger.signers import (
    ANNA,
    BERT,
    CURRENCY,
    HELD,
    ISSUANCE,
    KEYS,
    LEDGER_ID,
    MISSING,
    NOW_NS,
    PAID,
    POSTED,
    TRANSIT,
    UNTIL_NS,
    VAULT,
    World,
    make_world,
    record,
)
from tests.ledger.table import Table, play

from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError
from sycee.core.keys import SigningKey
from sycee.core.records import envelopes, operations
from sycee.core.records.envelopes import Envelope
from sycee.core.records.layout import AccountKind, Kind, Reason, Role
from sycee.core.result_codes import Result
from sycee.ledger import authority

EURO = 978
# Two officers of each currency, and one person who is an officer of both.
YUAN_1, YUAN_2, EURO_1, EURO_2, BOTH = range(61, 66)
PERSON_KEYS = {person: SigningKey.derive(bytes([person]) * 32) for person in range(YUAN_1, BOTH + 1)}
EUROS, EURO_SUSPENSE, EURO_VAULT, EURO_WALLET = range(71, 75)
EURO_PAID = 81


def world() -> World:
    made = make_world()
    currency = record(Kind.DEFINE_CURRENCY, 301, number=EURO)
    currency.view(np.uint8)[32:35] = np.frombuffer(b"UTC", np.uint8)
    kinds = {EUROS: AccountKind.ISSUANCE, EURO_SUSPENSE: AccountKind.SUSPENSE, EURO_VAULT: AccountKind.VAULT}
    opened = [opening(310 + at, account, kind) for at, (account, kind) in enumerate(kinds.items())]
    made.frame(30, currency, *opened, opening(320, EURO_WALLET, AccountKind.WALLET))
    made.frame(40, record(Kind.TRANSFER, EURO_PAID, debit=EUROS, credit=EURO_WALLET, amount=50))
    of = [(YUAN_1, CURRENCY), (YUAN_2, CURRENCY), (EURO_1, EURO), (EURO_2, EURO), (BOTH, CURRENCY), (BOTH, EURO)]
    made.frame(50, *(grant(330 + at, person, number) for at, (person, number) in enumerate(of)))
    return made


def opening(id: int, account: int, kind: AccountKind, *, currency: int = EURO) -> Array:
    alone = kind in (AccountKind.ISSUANCE, AccountKind.SUSPENSE)
    suspense = 0 if alone else EURO_SUSPENSE
    return record(
        Kind.OPEN_ACCOUNT, id, debit=account, credit=suspense, number=currency, first=kind, count=7
    )  # fmt: skip


def grant(id: int, person: int, currency: int) -> Array:
    return operations.grant_role(
        id, person=person, role=Role.OFFICER, key=PERSON_KEYS[person].public.key, flags=1, from_ns=0,
        until_ns=UNTIL_NS, currency=currency,
    )  # fmt: skip


WORLD = world()


def by(records: Array, *persons: int) -> list[Envelope]:
    """Return one envelope per person over all records."""
    keys = {**KEYS, **PERSON_KEYS}
    return [envelopes.sign(records, LEDGER_ID, person, keys[person], UNTIL_NS) for person in persons]


def code_of(operation: Array, *persons: int) -> str:
    """Return the code of the last record."""
    return WORLD.authorise(operation, *by(operation, *persons))[-1]


def mint(currency: int) -> Array:
    debit, credit = (EUROS, EURO_WALLET) if currency == EURO else (ISSUANCE, VAULT)
    return record(Kind.TRANSFER, debit=debit, credit=credit, amount=1)


def test_an_officer_of_one_currency_cannot_mint_another() -> None:
    for signers, yuan, euro in [
        ((YUAN_1, YUAN_2), "CREATED", "NOT_AUTHORISED"),
        ((EURO_1, EURO_2), "NOT_AUTHORISED", "CREATED"),
        ((YUAN_1, EURO_1), "NOT_AUTHORISED", "NOT_AUTHORISED"),  # each envelope must authorise a record
        ((YUAN_1,), "TWO_PERSONS_MUST_SIGN", "NOT_AUTHORISED"),
        ((YUAN_1, ANNA), "CREATED", "NOT_AUTHORISED"),
        ((EURO_1, BERT), "NOT_AUTHORISED", "CREATED"),
        ((BOTH, YUAN_1), "CREATED", "NOT_AUTHORISED"),
        ((BOTH, EURO_2), "NOT_AUTHORISED", "CREATED"),
        ((BOTH,), "TWO_PERSONS_MUST_SIGN", "TWO_PERSONS_MUST_SIGN"),
        ((BOTH, BERT), "CREATED", "CREATED"),
        ((ANNA, BERT), "CREATED", "CREATED"),
    ]:
        assert (code_of(mint(CURRENCY), *signers), code_of(mint(EURO), *signers)) == (yuan, euro), signers


YUANS, EUROS_ONLY, BOARD, ANY = "yuan", "euro", "board", "any"
# Officers who sign, their number, and the operation.
TABLE = [
    (BOARD, 2, record(Kind.GRANT_ROLE, debit=9, key=SigningKey.derive(b"\x77" * 32), first=1, until_ns=9)),
    (BOARD, 2, record(Kind.REVOKE_ROLE, reference=330)),
    (BOARD, 2, record(Kind.DEFINE_RULE_SET, number=2, until_ns=10**6)),
    (BOARD, 1, record(Kind.DEFINE_CURRENCY, number=840, debit=67)),
    (BOARD, 1, record(Kind.DEFINE_GROUP, number=1)),
    (YUANS, 2, record(Kind.REVERSE, reference=PAID, amount=1)),
    (YUANS, 2, record(Kind.REVERSE, reference=POSTED, amount=1)),
    (YUANS, 2, record(Kind.REVERSE, reference=HELD, amount=1)),
    (EUROS_ONLY, 2, record(Kind.REVERSE, reference=EURO_PAID, amount=1)),
    (BOARD, 2, record(Kind.REVERSE, reference=MISSING, amount=1)),
    (BOARD, 2, record(Kind.REVERSE, reference=301, amount=1)),
    (EUROS_ONLY, 2, opening(500, 90, AccountKind.VAULT)),
    (YUANS, 2, opening(500, 90, AccountKind.VAULT, currency=CURRENCY)),
    (EUROS_ONLY, 1, opening(500, 90, AccountKind.WALLET)),
    (EUROS_ONLY, 2, record(Kind.SET_RULE_SET, debit=EURO_VAULT, rule_set=1)),
    (YUANS, 2, record(Kind.LINK_ACCOUNT, debit=VAULT, credit=TRANSIT)),
    (EUROS_ONLY, 1, record(Kind.UNBLOCK_ACCOUNT, debit=EURO_VAULT, flags=1, first=1)),
    (YUANS, 1, record(Kind.UNBLOCK_ACCOUNT, debit=15, flags=1, first=Reason.SANCTIONS)),
    (EUROS_ONLY, 1, record(Kind.BLOCK_ACCOUNT, debit=EURO_WALLET, flags=1, first=1)),
    (ANY, 1, record(Kind.BLOCK_ACCOUNT, debit=MISSING, flags=1, first=1)),
    (ANY, 1, record(Kind.EXPIRE, number=1, count=1)),
]


@pytest.mark.parametrize(("whose", "many", "operation"), TABLE, ids=[Kind(int(o["kind"][0])).name for *_, o in TABLE])
def test_officers_sign_for_their_currency_and_the_board_for_all(whose: str, many: int, operation: Array) -> None:
    officers = {YUANS: (YUAN_1, YUAN_2), EUROS_ONLY: (EURO_1, EURO_2), BOARD: (ANNA, BERT)}
    for of, persons in officers.items():
        good = of == BOARD or whose in (of, ANY)
        assert code_of(operation, *persons[:many]) == ("CREATED" if good else "NOT_AUTHORISED"), of
        if many == 2 and good:
            assert code_of(operation, persons[0]) == "TWO_PERSONS_MUST_SIGN"


def test_an_account_opened_in_the_frame_has_the_currency_of_its_opening() -> None:
    for currency, officers in ((EURO, (EURO_1, EURO_2)), (CURRENCY, (YUAN_1, YUAN_2))):
        frame = np.concatenate(
            [
                opening(501, 91, AccountKind.VAULT, currency=currency),
                record(Kind.SET_RULE_SET, 502, debit=91, rule_set=1),
            ]
        )
        for persons in ((EURO_1, EURO_2), (YUAN_1, YUAN_2)):
            assert code_of(frame, *persons) == ("CREATED" if persons == officers else "NOT_AUTHORISED")
    both = np.concatenate([opening(501, 91, AccountKind.VAULT), opening(503, 91, AccountKind.VAULT, currency=CURRENCY)])
    rules = record(Kind.SET_RULE_SET, 502, debit=91, rule_set=1)
    frame = np.concatenate([both, rules])
    answers = WORLD.authorise(frame, *by(frame, ANNA, BERT))
    assert answers == ["CREATED", "CREATED", "NOT_AUTHORISED"]  # the currency is unclear before the frame


def test_only_the_board_signs_a_reversal_of_its_own_frame() -> None:
    frame = np.concatenate([mint(EURO), record(Kind.REVERSE, 501, reference=500, amount=1)])
    assert WORLD.authorise(frame, *by(frame, EURO_1, EURO_2)) == ["CREATED", "NOT_AUTHORISED"]
    assert WORLD.authorise(frame, *by(frame, ANNA, BERT)) == ["CREATED", "CREATED"]


def test_verification_names_the_required_officers() -> None:
    with pytest.raises(IntegrityError, match="needs two officers of the board or of currency 978"):
        authority.verify_frame(WORLD.state, LEDGER_ID, 9, NOW_NS, mint(EURO), ())
    with pytest.raises(IntegrityError, match=r"needs an officer of the board$"):
        authority.verify_frame(WORLD.state, LEDGER_ID, 9, NOW_NS, record(Kind.DEFINE_GROUP, number=1), ())
    report = authority.Report()
    given = by(mint(EURO), EURO_1, BOTH)
    authority.verify_frame(WORLD.state, LEDGER_ID, 9, NOW_NS, mint(EURO), envelopes.as_array(given).tobytes(), report)
    assert report.by_role == {"officer": 2}


# --- grants ---


def test_only_the_board_turns_authority_on_and_keeps_two_officers() -> None:
    play("""
        grant     lin  OFFICER  currency=156
        grant     wu   OFFICER  currency=156
        grant     ma   OFFICER  id=first
        authority off                                  # one officer of the board, two of a currency
        grant     ya   OFFICER  currency=978           CURRENCY_NOT_FOUND
        grant     ya   OPERATOR currency=156           FIELD_MUST_BE_ZERO
        grant     ya   OFFICER  currency=1000          NUMBER_OUT_OF_RANGE
        grant     he   OFFICER  id=second
        authority on
        grant     he   OFFICER  currency=156  id=too
        revoke    second                               OFFICERS_MUST_REMAIN      # her other grant is not for the board
        revoke    too
        grant     li   OFFICER
        revoke    second
    """)


def test_a_key_belongs_to_one_person() -> None:
    play("""
        grant     lin  OFFICER  key=pen   id=lin
        grant     wu   OFFICER  key=pen                KEY_IS_ANOTHERS
        grant     wu   WITNESS  key=pen                KEY_IS_ANOTHERS           # for every role
        grant     wu   OFFICER  key=pen  flags=p256    KEY_IS_ANOTHERS           # for every key type
        authority off
        grant     lin  OPERATOR key=pen  operator=7    # the same person may reuse her key
        grant     lin  OFFICER  key=pen  currency=156
        grant     wu   OFFICER  key=pen  currency=978  CURRENCY_NOT_FOUND
        grant     wu   OFFICER  key=quill
        authority on
    """)


def test_a_key_is_free_after_all_its_grants_ended_or_were_revoked() -> None:
    play("""
        grant     lin  WITNESS  key=pen  id=one
        grant     lin  WITNESS  key=pen  until=50
        grant     lin  WITNESS  key=nib  from=70  until=90
        revoke    one
        at        49
        grant     wu   WITNESS  key=pen                KEY_IS_ANOTHERS
        grant     wu   WITNESS  key=nib                KEY_IS_ANOTHERS           # the grant has not begun yet
        at        50
        grant     wu   WITNESS  key=pen
        at        90
        grant     wu   WITNESS  key=nib
    """)


def test_one_key_of_two_persons_does_not_count_as_two_officers() -> None:
    """Without the refusal, one key would satisfy the requirement for two officers."""
    table: Table = play("""
        grant     lin  OFFICER  key=pen
        grant     wu   OFFICER  key=pen                KEY_IS_ANOTHERS
    """)
    assert len(table.sides.state.grants) == 1
    assert Result.KEY_IS_ANOTHERS in table.codes
