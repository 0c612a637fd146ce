"""Role × action: what the ledger asks for is what the row of `duties.ACTIONS` says."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pytest
from tests.each import case
from tests.identity.world import (
    ANN,
    BOB,
    CLEO,
    CONVERTED,
    DESK,
    GRANTS,
    ISSUANCE,
    KEYS,
    NORTH,
    RESERVE,
    RESERVE_ISSUANCE,
    SHOP,
    SOUTH,
    SUSPENSE,
    VAULT,
    WALLET,
    WU,
    ZERO,
    World,
    world,
)

from sycee.core.arrays import Array
from sycee.core.limits import I64_MAX
from sycee.core.records import envelopes, operations
from sycee.core.records.layout import AccountKind, Block, Reason, Role
from sycee.core.result_codes import Result
from sycee.identity import duties
from sycee.identity.duties import ACTIONS, Duty
from sycee.ledger import authority

PERSONS = (ANN, BOB, NORTH, SOUTH, DESK, ZERO, WU, CLEO)


def _issue() -> Array:
    return operations.chain(
        operations.transfer(1, debit=RESERVE, credit=CONVERTED, amount=1),
        operations.transfer(2, debit=ISSUANCE, credit=VAULT, amount=1),
    )


def _redeem() -> Array:
    return operations.chain(
        operations.transfer(1, debit=VAULT, credit=ISSUANCE, amount=1),
        operations.transfer(2, debit=CONVERTED, credit=RESERVE, amount=1),
    )


def _grant() -> Array:
    key = KEYS[CLEO].public
    return operations.grant_role(
        1, person=CLEO, role=Role.WITNESS, key=key.key, flags=key.flags, from_ns=0, until_ns=I64_MAX
    )


def _open(kind: AccountKind) -> Array:
    return operations.open_account(1, account=999, currency=156, kind=kind, suspense=SUSPENSE, operator=2)


def _block(reason: Reason) -> Array:
    return operations.block_account(1, account=WALLET, sides=Block.DEBIT, reason=reason)


def _rules() -> Array:
    return operations.define_rule_set(1, rule_set=9, from_ns=0, until_ns=I64_MAX, balance_max=1)


# What each action that writes records writes, in short: the kinds that decide who must sign.
RECORDS: dict[str, Array] = {
    "duty.appoint": _grant(),
    "duty.dismiss": operations.revoke_role(1, grant=240 + WU),
    "key.set": operations.set_key(1, account=WALLET),
    "key.revoke": operations.set_key(1, account=WALLET),
    "operator.join": _open(AccountKind.VAULT),
    "operator.leave": _issue(),
    "reserves.credit": operations.transfer(1, debit=RESERVE_ISSUANCE, credit=RESERVE, amount=1),
    "mint": _issue(),
    "redeem": _redeem(),
    "cap.change": _rules(),
    "quota.change": _rules(),
    "wallet.fund": operations.transfer(1, debit=SHOP, credit=WALLET, amount=1),
    "wallet.open": _open(AccountKind.WALLET),
    "wallet.close": operations.close_account(1, account=SHOP),
    "wallet.class": operations.set_rule_set(1, account=WALLET, rule_set=0),
    "life.phone-lost": _block(Reason.RECOVERY),
    "life.deceased": _block(Reason.DECEASED),
    "life.dormant": _block(Reason.DORMANT),
    "life.court-order": _block(Reason.COURT_ORDER),
    "life.lift-order": operations.unblock_account(1, account=WALLET, sides=Block.DEBIT, reason=Reason.COURT_ORDER),
    "case.reverse": operations.reverse(1, original=231, amount=1),
    "programme.terms": _rules(),
    "programme.funder": operations.transfer(1, debit=SHOP, credit=WALLET, amount=1),
    "programme.block": _block(Reason.REQUEST),
    "voucher.group": _rules(),
    "voucher.issue": operations.hold(1, payer=SHOP, payee=WALLET, amount=1, until_ns=I64_MAX),
    "voucher.return": operations.transfer(1, debit=SHOP, credit=WALLET, amount=1),
    **dict.fromkeys(
        ("clearing.house", "clearing.currency", "clearing.admit", "clearing.position", "clearing.floor"), _rules()
    ),
    "clearing.pledge": _issue(),
    "clearing.unpledge": _redeem(),
    **dict.fromkeys(
        ("clearing.fill", "clearing.issue"), operations.transfer(1, debit=RESERVE_ISSUANCE, credit=RESERVE, amount=1)
    ),
    **dict.fromkeys(
        ("clearing.prefund", "clearing.pay-out", "clearing.book", "clearing.repay"),
        operations.transfer(1, debit=SHOP, credit=WALLET, amount=1),
    ),
    "clearing.block": _block(Reason.OPERATOR),
    "programme.resume": operations.unblock_account(1, account=WALLET, sides=Block.DEBIT, reason=Reason.REQUEST),
}
# The owner of an account with a key, a transit or a programme that a test would first have to make, and a checkpoint,
# which is no record: tests of the ledger and of the packages with these actions have them.
ELSEWHERE = {
    "wallet.defund", "transit.confirm", "transit.reject", "pay", "pay.fund", "hold", "hold.end", "refund", "sweep",
    "checkpoint", "bulk.pay", "programme.allot", "programme.drop", "programme.claim", "programme.join",
    "voucher.redeem", "voucher.cancel", "clearing.settle",
}  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("roles")
    with world(folder, str(folder / "roles.db")) as made:
        yield made


def codes(bank: World, records: Array, persons: tuple[int, ...]) -> list[Result]:
    """Return what the ledger says to the records with the envelopes of these persons."""
    ledger_id, until_ns = bank.ledger.ledger_id, bank.clock.now_ns() + 10**12
    signed = [envelopes.sign(records, ledger_id, person, KEYS[person], until_ns) for person in persons]
    with bank.ledger.sequencer.reading() as state:
        now_ns = max(bank.clock.now_ns(), state.now_ns + 1)
        return [Result(code) for code in authority.authorise(state, ledger_id, now_ns, records, signed).tolist()]


def expected(ledger: str, persons: tuple[int, ...]) -> bool:
    """Return whether these persons satisfy the words of a row. The operator is operator 2."""
    officers = [person for person in persons if GRANTS.get(person, (None,))[0] is Duty.OFFICER]
    return {
        duties.TWO_OFFICERS: len(officers) == 2,
        duties.TWO_OF_CURRENCY: len(officers) == 2,
        duties.TWO_OFFICERS_AND_OPERATOR: len(officers) == 2 and NORTH in persons,
        duties.OFFICER: len(officers) >= 1,
        duties.OPERATOR: len(officers) >= 1 or NORTH in persons,
        duties.OWNING_OPERATOR: NORTH in persons,
        duties.TWO_OPERATORS: NORTH in persons and DESK in persons,
    }[ledger]


def test_every_action_with_records_is_here() -> None:
    with_records = {name for name, rule in ACTIONS.items() if rule.ledger}
    assert RECORDS.keys() | ELSEWHERE == with_records
    assert not RECORDS.keys() & ELSEWHERE


@pytest.mark.parametrize("action", RECORDS)
def test_the_ledger_asks_for_what_the_row_says(shared: World, action: str) -> None:
    rule, records = ACTIONS[action], RECORDS[action]
    for size in (0, 1, 2, 3):
        for persons in combinations(PERSONS, size):
            given = codes(shared, records, persons)
            if set(given) == {Result.CREATED}:
                assert expected(rule.ledger, persons), (action, persons)
            elif expected(rule.ledger, persons):
                # The ledger refuses an envelope that authorises nothing: one of these persons is not needed.
                smaller = [rest for rest in combinations(persons, size - 1) if expected(rule.ledger, rest)]
                assert smaller, (action, persons, given)


def test_who_signs_a_proposal_can_satisfy_the_ledger(shared: World) -> None:
    """Makers, checkers and the seats of the ledger suffice: no action is impossible."""
    for action in RECORDS:
        with case(action):
            rule = ACTIONS[action]
            persons = {
                duties.TWO_OFFICERS: (ANN, BOB),
                duties.TWO_OF_CURRENCY: (ANN, BOB),
                duties.TWO_OFFICERS_AND_OPERATOR: (ANN, BOB, NORTH),
                duties.OFFICER: (ANN,),
                duties.OPERATOR: (NORTH,),
                duties.OWNING_OPERATOR: (NORTH,),
                duties.TWO_OPERATORS: (NORTH, DESK),
            }[rule.ledger]
            assert set(codes(shared, RECORDS[action], persons)) == {Result.CREATED}


def test_each_person_may_request_what_the_page_says(shared: World) -> None:
    """Walk role × action with real persons, one for each duty, rather than with the table alone."""
    for action in ACTIONS:
        with case(action):
            rule = ACTIONS[action]
            for person, duty in (
                (ANN, Duty.OFFICER),
                (NORTH, Duty.OPERATOR),
                (WU, Duty.WITNESS),
                (CLEO, Duty.COMPLIANCE),
            ):
                allowed = shared.people.allowed(person, rule.makers, rule, operator=2)
                assert allowed is (duty in rule.makers or Duty.CITIZEN in rule.makers)
