"""Frames of ranges with one signer each: the fast path gives the codes of the general path."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from tests.ledger.signers import (
    ANNA,
    CARD,
    ISSUANCE,
    KEYS,
    LEDGER_ID,
    NOW_NS,
    OLGA,
    OTTO,
    PAID,
    PHONE,
    PURSE,
    SEALED,
    SHOP,
    VAULT,
    WILL,
    World,
    granting,
    make_world,
    record,
    signed,
    verified,
)

from sycee.core.arrays import Array
from sycee.core.records.envelopes import as_array
from sycee.core.records.layout import LINKED, Kind, Role
from sycee.ledger import authority, signatures, signed_ranges

FUNDERS = {2: ISSUANCE, 3: SHOP, 4: CARD}  # of programmes; programme 1 is the treasury's, programme 9 does not exist
SIGNERS = (OTTO, OTTO, OTTO, OLGA, ANNA, WILL, PHONE, CARD)
SIZES = (1, 1, 2, 2, 3, 4, signed_ranges.RANGES_MAX, signed_ranges.RANGES_MAX + 1)  # ranges of a frame
FLAWS = ("link", "known id", "repeated id", "gap", "twice", "expired", "untried", "failed", "another kind", "a number")


@cache
def programmes() -> World:
    """The shared ledger with more programmes, and with authority over both operators for Will."""
    world = make_world()
    world.frame(
        30,
        *(
            record(Kind.OPEN_PROGRAMME, 600 + number, number=number, debit=funder, rule_set=1, count=9, until_ns=9)
            for number, funder in FUNDERS.items()
        ),
        granting(610, WILL, Role.OPERATOR, KEYS[WILL], operator=7),
        granting(611, WILL, Role.OPERATOR, KEYS[WILL], operator=8),
    )
    return world


def paths(frame: Array, given: Array, checks: Array) -> tuple[bool, list[int], list[int]]:
    """Return whether the fast path is taken, the codes of `authorise`, and those of the general path."""
    state = programmes().state
    signers = signatures.find_signers(state, LEDGER_ID, NOW_NS, frame, given, checks)
    taken = signed_ranges.signed_by_owners(state, frame, given, signers)
    codes = authority.authorise(state, LEDGER_ID, NOW_NS, frame, given, checks=checks)
    general = authority._decide(state, NOW_NS, frame, given, signers).codes
    return taken, codes.tolist(), general.tolist()


def admitted(frame: Array, given: Array) -> Array:
    return verified(signatures.find_jobs(programmes().state, LEDGER_ID, NOW_NS, frame, given))


def members(number: int, size: int, first_id: int = 700) -> Array:
    return np.concatenate(
        [
            record(Kind.ADD_MEMBERS, first_id + at, number=number, count=1, first=at, debit=900 + at)
            for at in range(size)
        ]
    )


MAY = {
    1: {OTTO, WILL}, 2: {OTTO, WILL}, 3: {OLGA, WILL}, 4: {OTTO, WILL}, 9: set(),
}  # fmt: skip


@pytest.mark.parametrize("number", MAY)
@pytest.mark.parametrize("signer", [OTTO, OLGA, WILL, ANNA, CARD])
def test_members_of_one_programme_need_the_operator_of_its_funder(number: int, signer: int) -> None:
    frame = members(number, 40)
    given = as_array([signed(frame, signer)])
    taken, codes, general = paths(frame, given, admitted(frame, given))
    assert codes == general
    assert taken is (signer in MAY[number])
    if taken or signer == ANNA or (number == 9 and signer != CARD):  # an officer, or any staff: on the general path
        assert not any(codes)
    else:
        assert all(codes)


@pytest.mark.parametrize(
    ("number", "signer", "may"),
    [(1, OTTO, True), (1, OLGA, False), (2, OTTO, False), (4, OTTO, False), (4, CARD, True), (9, OTTO, False)],
)
def test_drops_need_the_owner_of_the_funder(number: int, signer: int, may: bool) -> None:
    drops = [record(Kind.DROP, 700 + at, number=number, count=1, amount=1, reference=SEALED) for at in range(3)]
    frame = np.concatenate(drops)
    given = as_array([signed(frame, signer)])
    taken, codes, general = paths(frame, given, admitted(frame, given))
    assert (taken, codes) == (may, general)


def test_members_of_two_programmes_are_not_one_range() -> None:
    frame = np.concatenate([members(1, 3), members(3, 3, 720)])
    given = as_array([signed(frame, OTTO)])
    taken, codes, general = paths(frame, given, admitted(frame, given))
    assert not taken
    assert codes == general != [0] * 6


@pytest.mark.parametrize(
    ("field", "value"),
    [("flags", LINKED), ("kind", Kind.SEAL_COHORT), ("debit_low", CARD), ("debit_high", 1), ("kind", 60_000)],
)
def test_one_other_record_within_payments_ends_the_fast_path(field: str, value: int) -> None:
    frame = np.concatenate(
        [record(Kind.TRANSFER, 700 + at, debit=VAULT, credit=SHOP, amount=1) for at in range(4)]
    )  # fmt: skip
    for is_alike in (True, False):
        if not is_alike:
            frame[field][2] = value
        given = as_array([signed(frame, OTTO)])
        taken, codes, general = paths(frame, given, admitted(frame, given))
        assert taken is is_alike
        assert codes == general


def random_range(random: np.random.Generator, first_id: int) -> tuple[Array, int]:
    """Return 1 to 6 records of one kind, and somebody who signs them."""

    def one_of(*choices: Any) -> Any:
        return choices[int(random.integers(len(choices)))]

    size, number = int(random.integers(1, 7)), one_of(1, 1, 1, 1, 3, 4, 2, 9)
    debit, credit = random.permutation((PHONE, CARD, PURSE, SHOP, VAULT, ISSUANCE))[:2].tolist()
    kind = one_of(Kind.ADD_MEMBERS, Kind.DROP, Kind.PAY, Kind.TRANSFER, Kind.SEAL_COHORT)
    if kind in (Kind.PAY, Kind.TRANSFER):
        fields = {"debit": debit, "credit": credit, "amount": 1}
        owner = {PHONE: PHONE, CARD: CARD, SHOP: OLGA}.get(debit, OTTO)
    else:
        fields = {"number": number, "count": 1, "debit": 5, "amount": int(kind == Kind.DROP)}
        owner = CARD if (kind, number) == (Kind.DROP, 4) else OLGA if number == 3 else OTTO
    if kind == Kind.DROP:
        fields = {"number": number, "count": 1, "amount": 1, "reference": SEALED}
    records = np.concatenate([record(kind, first_id + at, **fields) for at in range(size)])
    return records, owner if random.random() < 0.9 else one_of(*SIGNERS)


def with_flaw(flaw: str, random: np.random.Generator, frame: Array, given: Array, checks: Array) -> None:
    at, which = int(random.integers(frame.size)), int(random.integers(given.size))
    if flaw == "link":
        frame["flags"][: frame.size - 1][at : at + 1] |= np.uint16(LINKED)
    elif flaw == "known id":
        frame["id_low"][at] = PAID
    elif flaw == "repeated id":
        frame["id_low"][at] = frame["id_low"][0]
    elif flaw == "gap":
        given["count"][which] -= 1
    elif flaw == "twice":
        given["first"][which] = 0
    elif flaw == "expired":
        given["valid_until_ns"][which] = NOW_NS
    elif flaw == "untried":
        checks["outcome"][which] = signatures.NOT_TRIED
    elif flaw == "failed":
        checks["outcome"][which] = signatures.INVALID
    elif flaw == "another kind":
        frame["kind"][at] = int(random.choice([Kind.SEAL_COHORT, Kind.EXPIRE, Kind.PAY, 60_000]))
    else:
        frame["number"][at] = int(random.choice([1, 2, 3, 4, 9]))


@pytest.mark.parametrize("seed", range(20))
def test_random_ranges_get_the_codes_of_the_general_path(seed: int) -> None:
    random = np.random.default_rng(seed)
    taken_count = 0
    for _ in range(60):
        ranges = [random_range(random, 700 + 10 * at) for at in range(int(random.choice(SIZES)))]
        frame = np.concatenate([records for records, _ in ranges])
        firsts = np.cumsum([0, *(records.size for records, _ in ranges)]).tolist()
        envelopes = [
            signed(records, signer, first=first) for (records, signer), first in zip(ranges, firsts, strict=False)
        ]
        given = as_array(envelopes)
        checks = admitted(frame, given)
        if random.random() < 0.4:
            with_flaw(FLAWS[int(random.integers(len(FLAWS)))], random, frame, given, checks)
        taken, codes, general = paths(frame, given, checks)
        assert codes == general
        assert not taken or not any(general)
        taken_count += taken
    assert taken_count >= 2
