"""Frames whose records refer to each other, and random frames compared with a simple model of the reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.ledger.signers import (
    ANNA,
    BERT,
    CARD,
    COIN,
    HELD,
    ISSUANCE,
    KEYS,
    LEDGER_ID,
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
    TREASURY,
    VAULT,
    WILL,
    granting,
    make_world,
    opening,
    record,
    shared,
    signed,
)

from sycee.core.arrays import Array
from sycee.core.records.envelopes import Envelope
from sycee.core.records.layout import LINKED, AccountKind, Kind, Role
from sycee.core.result_codes import Result
from sycee.ledger import authority
from sycee.ledger.kernels import constants

# --- references within one frame ---


def test_the_operator_signs_for_an_account_opened_in_the_frame() -> None:
    opened = opening(501, 601, AccountKind.WALLET, 7)
    spent = record(Kind.TRANSFER, 502, debit=601, credit=PURSE, amount=1)
    frame = np.concatenate([opened, spent, record(Kind.SET_KEY, 503, debit=601, key=KEYS[NOBODY])])
    assert shared().authorise(frame, signed(frame, OTTO)) == ["CREATED"] * 3
    first = signed(opened, OTTO)
    for person, code in ((WILL, "NOT_AUTHORISED"), (OLGA, "NOT_AUTHORISED"), (OTTO, "CREATED")):
        assert shared().authorise(frame[:2], first, signed(spent, person, first=1)) == ["CREATED", code]
    # A second opening of the same id: which of the two succeeds is unknown before the frame is applied.
    rival = np.concatenate([opening(504, 601, AccountKind.WALLET, 8), frame[:2]])
    answers = shared().authorise(rival, signed(rival[:1], OLGA), signed(rival[1:], OTTO, first=1))
    assert answers == ["CREATED", "CREATED", "NOT_AUTHORISED"]


def test_two_officers_sign_for_an_issuance_account_opened_in_the_frame() -> None:
    frame = np.concatenate(
        [opening(501, COIN, AccountKind.ISSUANCE, 7), record(Kind.TRANSFER, 502, debit=COIN, credit=VAULT, amount=1)]
    )
    assert shared().authorise(frame, signed(frame, OTTO)) == ["NOT_AUTHORISED"] * 2
    assert shared().authorise(frame, signed(frame, ANNA), signed(frame, BERT)) == ["CREATED"] * 2


def test_the_funder_signs_for_a_programme_opened_in_the_frame() -> None:
    frame = np.concatenate(
        [
            record(Kind.OPEN_PROGRAMME, 501, number=2, debit=TREASURY, rule_set=1, count=1, until_ns=9),
            record(Kind.ADD_MEMBERS, 502, number=2, count=1, debit=1),
        ]
    )
    assert shared().authorise(frame, signed(frame, OTTO)) == ["CREATED", "CREATED"]
    theirs = signed(frame[1:], OLGA, first=1)
    assert shared().authorise(frame, signed(frame[:1], OTTO), theirs) == ["CREATED", "NOT_AUTHORISED"]


def test_two_officers_sign_a_drop_from_an_issuance_account() -> None:
    world = make_world()
    world.frame(30, record(Kind.OPEN_PROGRAMME, 501, number=2, debit=ISSUANCE, rule_set=1, count=1, until_ns=9))
    drop = record(Kind.DROP, number=2, count=1, amount=1, reference=SEALED)
    assert world.authorise(drop, signed(drop, OTTO)) == ["NOT_AUTHORISED"]
    assert world.authorise(drop, signed(drop, ANNA)) == ["TWO_PERSONS_MUST_SIGN"]
    assert world.authorise(drop, signed(drop, ANNA), signed(drop, BERT)) == ["CREATED"]


def test_two_officers_sign_a_refund_from_an_issuance_account() -> None:
    world = make_world()
    world.frame(30, record(Kind.PAY, 501, debit=PHONE, credit=ISSUANCE, amount=1))
    refund = record(Kind.REFUND, reference=501, amount=1)
    assert world.authorise(refund, signed(refund, OTTO)) == ["NOT_AUTHORISED"]
    assert world.authorise(refund, signed(refund, ANNA), signed(refund, BERT)) == ["CREATED"]


def test_a_reference_into_the_same_frame_uses_that_record() -> None:
    pay = record(Kind.PAY, 501, debit=PHONE, credit=SHOP, amount=5)
    refund = record(Kind.REFUND, 502, reference=501, amount=5)
    frame = np.concatenate([pay, refund])
    assert shared().authorise(frame, signed(pay, PHONE), signed(refund, OLGA, first=1)) == ["CREATED", "CREATED"]
    assert shared().authorise(frame, signed(frame, PHONE)) == ["CREATED", "NOT_AUTHORISED"]
    send = record(Kind.SEND, 501, debit=PHONE, credit=VAULT, reference=TRANSIT, amount=5)
    confirm = record(Kind.CONFIRM, 502, reference=501)
    frame = np.concatenate([send, confirm])
    assert shared().authorise(frame, signed(send, PHONE), signed(confirm, OTTO, first=1)) == ["CREATED", "CREATED"]
    assert shared().authorise(frame, signed(send, PHONE), signed(confirm, OLGA, first=1)) == [
        "CREATED",
        "NOT_AUTHORISED",
    ]
    # Whether a pay begins a transit, and which hold is posted, is unknown before the frame is applied.
    frame = np.concatenate([pay, confirm])
    officer = signed(confirm, ANNA, first=1)
    assert shared().authorise(frame, signed(pay, PHONE), officer) == ["CREATED", "NOT_AUTHORISED"]


def test_removing_refused_records_leaves_the_others_authorised() -> None:
    """The sequencer checks a frame once and removes refused records; a verifier checks the rest."""
    frame = np.concatenate(
        [
            opening(501, 601, AccountKind.WALLET, 8),  # Olga's account, without her signature
            record(Kind.JOIN_GROUP, 502, debit=601, number=1),
            record(Kind.PAY, 503, debit=CARD, credit=PHONE, amount=5),  # not signed
            record(Kind.REFUND, 504, reference=503, amount=5),
            record(Kind.OPEN_PROGRAMME, 505, number=2, debit=SHOP, rule_set=1, count=1, until_ns=9),  # not signed
            record(Kind.ADD_MEMBERS, 506, number=2, count=1, debit=1),
        ]
    )
    given = [
        signed(frame[1:2], OLGA, first=1),
        signed(frame[3:4], PHONE, first=3),
        signed(frame[5:6], OLGA, first=5),
    ]
    codes = authority.authorise(shared().state, LEDGER_ID, NOW_NS, frame, given)
    assert codes.tolist() == [Result.NOT_AUTHORISED, 0] * 3
    kept = [replace(envelope, first=envelope.first // 2) for envelope in given]
    authority.verify_frame(shared().state, LEDGER_ID, 9, NOW_NS, frame[codes == 0], kept)


# --- random frames ---

# Few ids, so that records share them: operations, and two accounts that exist only if the frame opens them.
IDS = range(501, 507)
LINKED_PART = 0.15
ACCOUNTS = (PHONE, CARD, PURSE, SHOP, VAULT, ISSUANCE, 601, 602)
OPERATOR_OF = {SHOP: 8}
OPENED_KINDS = (AccountKind.WALLET, AccountKind.VAULT, AccountKind.ISSUANCE)
KIND_OF = {ISSUANCE: AccountKind.ISSUANCE, VAULT: AccountKind.VAULT}


def random_record(random: np.random.Generator) -> Array:
    def one_of(*choices: Any) -> Any:
        return choices[int(random.integers(len(choices)))]

    id = one_of(*IDS)
    debit, credit = random.permutation(ACCOUNTS)[:2].tolist()
    operation = one_of(*IDS, PAID, SENT, POSTED, HELD)
    choices = (
        lambda: opening(id, one_of(601, 602), one_of(*OPENED_KINDS), one_of(7, 8)),
        lambda: record(Kind.TRANSFER, id, debit=debit, credit=credit, amount=1),
        lambda: record(Kind.PAY, id, debit=debit, credit=credit, amount=1),
        lambda: record(Kind.HOLD, id, debit=debit, credit=credit, amount=1, until_ns=10**6),
        lambda: record(Kind.STAGE, id, debit=debit, credit=credit, amount=1, number=1),
        lambda: record(Kind.POST, id, debit=debit, reference=operation, amount=1),
        lambda: record(Kind.SEND, id, debit=debit, credit=credit, reference=one_of(TRANSIT, 601), amount=1),
        lambda: record(Kind.REFUND, id, reference=operation, amount=1),
        lambda: record(one_of(Kind.CONFIRM, Kind.REJECT), id, reference=operation),
        lambda: record(Kind.SET_RULE_SET, id, debit=debit, rule_set=1),
        lambda: record(Kind.SET_KEY, id, debit=debit, key=KEYS[NOBODY]),
        lambda: record(Kind.JOIN_GROUP, id, debit=debit, number=1),
        lambda: record(Kind.OPEN_PROGRAMME, id, number=2, debit=debit, rule_set=1, count=1, until_ns=9),
        lambda: record(one_of(Kind.ADD_MEMBERS, Kind.DROP), id, number=one_of(1, 2), count=1, debit=0, amount=0),
        lambda: record(Kind.DROP, id, number=one_of(1, 2), count=1, amount=1, reference=SEALED),
        lambda: record(Kind.EXPIRE, id, number=1, count=1),
        lambda: record(Kind.SETTLE, id, number=1, count=1, amount=1, first=one_of(7, 8)),
        lambda: record(Kind.PAY, PAID, debit=PHONE, credit=SHOP, amount=100),
        lambda: granting(id, NOBODY, Role.OPERATOR, KEYS[NOBODY], operator=7),
    )  # fmt: skip
    made = choices[int(random.integers(len(choices)))]()
    if random.random() < LINKED_PART:
        made["flags"] |= LINKED
    return made


def _id(one: Any, field: str) -> int:
    return int(one[f"{field}_high"]) << 64 | int(one[f"{field}_low"])


class Plain:
    """Model of the reference's sections 3 and 4 with sets and loops, for the accounts and operations above."""

    def __init__(self, frame: Array, given: list[Envelope]) -> None:
        answers, _ = shared().state.resolve(frame)
        self.given = given
        self.frame = frame
        self.fresh = [bool(code == constants.PENDING) for code in answers["code"]]
        self.records = [one for one, fresh in zip(frame, self.fresh, strict=True) if fresh]

    def subject(self, account: int) -> tuple[str, int, int]:
        """Return whether an account is there, opened, missing or unclear, its operator and its kind."""
        if account < 600:
            return "there", OPERATOR_OF.get(account, 7), KIND_OF.get(account, AccountKind.WALLET)
        openings = {
            (int(one["count"]), int(one["first"]))
            for one in self.records
            if one["kind"] == Kind.OPEN_ACCOUNT and _id(one, "debit") == account
        }
        if len(openings) == 1:
            return "opened", *openings.pop()
        return ("unclear" if openings else "missing"), 0, 0

    def named(self, one: Any) -> tuple[set[int], bool]:
        """Return the ids of the possible accounts, and whether the account is unclear."""
        kind, reference = Kind(int(one["kind"])), _id(one, "reference")
        same = [other for other in self.records if _id(other, "id") == reference]
        if kind is Kind.REFUND:
            past = {PAID: {SHOP}, POSTED: {CARD}, HELD: {CARD}, SENT: set()}.get(reference)
            pays = {_id(other, "credit") for other in same if other["kind"] in (Kind.PAY, Kind.HOLD)}
            unclear = any(other["kind"] == Kind.POST for other in same)
        elif kind in (Kind.CONFIRM, Kind.REJECT):
            past = {SENT: {TRANSIT}, PAID: set(), POSTED: set(), HELD: set()}.get(reference)
            pays = {_id(other, "reference") for other in same if other["kind"] == Kind.SEND}
            unclear = any(other["kind"] in (Kind.TRANSFER, Kind.PAY, Kind.POST) for other in same)
        elif kind in (Kind.ADD_MEMBERS, Kind.DROP):
            past, unclear = ({TREASURY} if one["number"] == 1 else None), False
            pays = {
                _id(other, "debit")
                for other in self.records
                if other["kind"] == Kind.OPEN_PROGRAMME and other["number"] == one["number"]
            }
        else:
            past, pays, unclear = {_id(one, "debit")}, set(), False
        accounts = pays if past is None else past
        return accounts, (past is None and unclear) or len(accounts) > 1

    def needs(self, at: int) -> set[str] | None:
        """Return the sufficient signers: any one of them; "two": two officers; "X and Y": both; None: nobody."""
        one = self.frame[at]
        kind = Kind(int(one["kind"]))
        if not self.fresh[at]:
            return set()
        if kind is Kind.GRANT_ROLE:
            return {"two"}
        if kind is Kind.EXPIRE:
            return {"officer", "operator"}
        if kind is Kind.SETTLE:
            return {f"operator {one['first']}", "officer"}
        if kind is Kind.OPEN_ACCOUNT:
            by_two = one["first"] in (AccountKind.ISSUANCE, AccountKind.VAULT)
            return {"two"} if by_two else {f"operator {one['count']}", "officer"}
        owned = kind in (Kind.TRANSFER, Kind.PAY, Kind.HOLD, Kind.POST, Kind.SEND, Kind.REFUND, Kind.DROP, Kind.STAGE)
        accounts, unclear = self.named(one)
        if unclear:
            return None
        there, operator, account_kind = self.subject(*accounts) if accounts else ("missing", 0, 0)
        if there == "unclear":
            return None
        if there == "missing":
            return {"anybody"} if owned else {"officer", "operator"}
        makes_money = account_kind == AccountKind.ISSUANCE and (owned or kind in (Kind.SET_KEY, Kind.SET_RULE_SET))
        if makes_money or (account_kind == AccountKind.VAULT and kind in (Kind.SET_KEY, Kind.SET_RULE_SET)):
            return {"two"}
        if not owned:
            return {f"operator {operator}", "officer"}
        (account,) = accounts
        if kind is Kind.STAGE and account in (PHONE, CARD):
            return {f"account {account} and operator {operator}"}
        return {f"account {account}"} if account in (PHONE, CARD) else {f"operator {operator}"}

    def chain_of(self, at: int) -> range:
        """Return the records of the chain of this record."""
        first = last = at
        while first > 0 and self.frame[first - 1]["flags"] & LINKED:
            first -= 1
        while last < self.frame.size - 1 and self.frame[last]["flags"] & LINKED:
            last += 1
        return range(first, last + 1)

    def is_whole(self, at: int, covered: range) -> bool:
        """Return whether the record's whole chain is covered."""
        return all(each in covered for each in self.chain_of(at))

    def codes(self) -> list[str]:
        """Return the expected codes."""
        roles = {
            ANNA: {"officer", "anybody"},
            BERT: {"officer", "anybody"},
            OTTO: {"operator", "operator 7", "anybody"},
            OLGA: {"operator", "operator 8", "anybody"},
            WILL: {"anybody"},
            PHONE: {f"account {PHONE}", "anybody"},
            CARD: {f"account {CARD}", "anybody"},
        }
        found: list[set[Result]] = [set() for _ in self.frame]
        signers: list[set[int]] = [set() for _ in self.frame]
        for envelope in self.given:
            covered = range(envelope.first, envelope.first + envelope.count)
            mine = roles[envelope.signer]
            if not any(envelope.signature):
                verdict = Result.SIGNATURE_INVALID
            else:
                whole = [self.is_whole(at, covered) for at in covered]
                wanted = [self.needs(at) for at in covered]
                good = [wants is not None and (not wants or bool(halves(wants) & mine)) for wants in wanted]
                good = [each and of_whole for each, of_whole in zip(good, whole, strict=True)]
                verdict = Result.CREATED if any(good) else Result.NOT_AUTHORISED
            for at in covered:
                found[at].add(verdict)
                if verdict is Result.CREATED and self.is_whole(at, covered):
                    signers[at].add(envelope.signer)
        return [self._code(at, found[at], [roles[signer] for signer in signers[at]]) for at in range(self.frame.size)]

    def _code(self, at: int, found: set[Result], signers: list[set[str]]) -> str:
        if not self.fresh[at]:
            return "CREATED"
        if Result.SIGNATURE_INVALID in found:
            return "SIGNATURE_INVALID"
        wanted = self.needs(at)
        officers = sum("officer" in roles for roles in signers)
        if Result.NOT_AUTHORISED in found or wanted is None:
            return "NOT_AUTHORISED"
        if wanted == {"two"}:
            return ("NOT_AUTHORISED", "TWO_PERSONS_MUST_SIGN", "CREATED")[min(officers, 2)]
        if wanted and " and " in min(wanted):
            return "CREATED" if halves(wanted) <= set().union(*signers) else "NOT_AUTHORISED"
        return "CREATED" if not wanted or any(wanted & roles for roles in signers) else "NOT_AUTHORISED"


def halves(wanted: set[str]) -> set[str]:
    """Return the signers whose signature is sufficient, or one of two required signatures."""
    return {"officer"} if wanted == {"two"} else {half for each in wanted for half in each.split(" and ")}


# One or two signers for the last sufficient requirement.
GOOD_SIGNERS = {
    "two": (ANNA, BERT),
    "operator 7": (OTTO,),
    "operator 8": (OLGA,),
    "operator": (OTTO,),
    "anybody": (WILL,),
    f"account {PHONE}": (PHONE,),
    f"account {CARD}": (CARD,),
    f"account {PHONE} and operator 7": (PHONE, OTTO),
    f"account {CARD} and operator 7": (OTTO, CARD),
}


def random_frame(seed: int) -> tuple[Array, list[Envelope]]:
    """Return random records with random signatures, most of them also with the required signatures."""
    random = np.random.default_rng(seed)
    frame = np.concatenate([random_record(random) for _ in range(int(random.integers(1, 9)))])
    given = []
    for _ in range(int(random.choice([0, 1, 2, 12]))):
        first = int(random.integers(frame.size))
        part = frame[first : first + int(random.choice([1, 1, 2, 3]))]
        signer = int(random.choice([ANNA, BERT, OTTO, OTTO, OLGA, WILL, PHONE, CARD]))
        envelope = signed(part, signer, first=first)
        given.append(replace(envelope, signature=bytes(64)) if random.random() < 0.05 else envelope)
    plain = Plain(frame, given)
    for at in range(frame.size):
        wanted = sorted(plain.needs(at) or ())
        if wanted and random.random() < 0.8:
            wanting = GOOD_SIGNERS[wanted[-1]][: 1 if random.random() < 0.2 else 2]
            chain = plain.chain_of(at) if random.random() < 0.9 else range(at, at + 1)
            given += [signed(frame[chain.start : chain.stop], signer, first=chain.start) for signer in wanting]
    return frame, given


SEEDS = range(250)


def test_random_frames_get_the_codes_of_the_reference() -> None:
    seen = set()
    for seed in SEEDS:
        frame, given = random_frame(seed)
        plain = Plain(frame, given)
        answers = shared().authorise(frame, *given)
        assert answers == plain.codes(), seed
        seen.update(answers)
    assert seen == {"CREATED", "SIGNATURE_INVALID", "NOT_AUTHORISED", "TWO_PERSONS_MUST_SIGN"}


def test_envelopes_examined_in_small_groups_give_the_same_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in SEEDS[:100]:
        frame, given = random_frame(seed)
        codes = shared().authorise(frame, *given)
        for pairs_max in (1, 3):
            with monkeypatch.context() as small:
                small.setattr(authority, "PAIRS_MAX", pairs_max)
                assert shared().authorise(frame, *given) == codes, seed


def test_random_frames_verify_without_their_refused_records() -> None:
    """Remove ranges with a refused operation, and envelopes without a fresh record; the rest verifies unchanged."""
    kept_records = 0
    for seed in SEEDS:
        frame, given = random_frame(seed)
        fresh = shared().state.resolve(frame)[0]["code"] == constants.PENDING
        given = [one for one in given if fresh[one.first : one.first + one.count].any()]
        out = authority.authorise(shared().state, LEDGER_ID, NOW_NS, frame, given) != 0
        ranges = [slice(envelope.first, envelope.first + envelope.count) for envelope in given]
        ranges += [slice(at, at + 2) for at in np.flatnonzero(frame["flags"] & LINKED).tolist()]
        while any(out[covered].any() and not out[covered].all() for covered in ranges):
            for covered in ranges:
                out[covered] |= out[covered].any()
        shift = np.cumsum(out) - out
        left = [
            replace(envelope, first=envelope.first - int(shift[envelope.first]))
            for envelope in given
            if not out[envelope.first]
        ]
        authority.verify_frame(shared().state, LEDGER_ID, seed, NOW_NS, frame[~out], left)
        kept_records += int(np.count_nonzero(~out))
    assert kept_records > 2 * len(SEEDS)
