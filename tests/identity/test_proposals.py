"""Proposals: made, signed by several persons, submitted once, withdrawn and lapsed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.bank.killing import EMPTY_POSTGRESQL_IN_SOAK
from tests.identity.world import (
    ANN,
    BOB,
    CARL,
    CLEO,
    CONVERTED,
    DESK,
    EVE,
    HOUR_NS,
    KEYS,
    NORTH,
    RESERVE,
    SOUTH,
    VAULT,
    World,
)

from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.records import operations
from sycee.core.records.proposal_format import sign
from sycee.core.result_codes import Result
from sycee.database.events import events_after
from sycee.identity.proposals import Missing, Proposals


def test_a_mint_takes_two_officers_and_the_operator(bank: World) -> None:
    one = bank.mint()
    assert bank.proposals.missing(one.id).needs == ("two officers of the board", "operator 2")
    answer = bank.proposals.add_signature(sign(one, ANN, KEYS[ANN]))
    assert answer.needs == ("a second officer of the board", "operator 2")
    answer = bank.proposals.add_signature(sign(one, NORTH, KEYS[NORTH]))
    assert answer.needs == ("a second officer of the board",)
    assert bank.ledger.balance(VAULT) == 0
    answer = bank.proposals.add_signature(sign(one, BOB, KEYS[BOB]))
    assert answer.needs == ()
    assert answer.outcome is not None
    assert answer.outcome.created
    assert answer.outcome.intent == one.id
    assert bank.ledger.balance(VAULT) == 5_000
    stored = bank.proposals.get(one.id)
    assert stored.state == "done"
    assert set(stored.signers) == {ANN, BOB, NORTH}
    waiting, ended = (
        each for each in events_after(bank.stores.engine, 0, most=100) if each.subject == ids.format(one.id)
    )
    assert (waiting.kind, waiting.data, waiting.operator) == ("proposal.waiting", {"action": "mint"}, 2)
    assert (ended.kind, ended.data["state"], ended.operator) == ("proposal.ended", "done", 2)
    assert bank.actions["mint"].done_ids == [one.id]
    assert bank.check() == []
    # Repeating the last step changes nothing.
    assert bank.proposals.submit(one.id) == answer.outcome
    assert bank.ledger.balance(VAULT) == 5_000


def test_a_proposal_killed_before_its_submission_is_submitted_at_the_next_start(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = small.mint()
    for name, key in ((NORTH, KEYS[NORTH]), (ANN, KEYS[ANN])):
        small.proposals.add_signature(sign(one, name, key))
    with monkeypatch.context() as patched:
        patched.delattr(Proposals, "submit")  # stands for a kill between the last signature and the submission
        with pytest.raises(AttributeError, match="submit"):
            small.proposals.add_signature(sign(one, BOB, KEYS[BOB]))
    assert small.proposals.get(one.id).state == "open"
    assert small.proposals.missing(one.id).needs == ()
    assert small.proposals.catch_up() == 1
    assert small.proposals.get(one.id).state == "done"
    assert small.ledger.balance(VAULT) == 5_000
    assert small.proposals.catch_up() == 0


def test_the_maker_need_not_sign(small: World) -> None:
    one = small.mint(maker=NORTH)
    assert small.proposals.sign(one.id, KEYS[BOB], KEYS[EVE]).needs == ("operator 2",)
    assert small.proposals.sign(one.id, KEYS[NORTH]).outcome is not None
    assert small.ledger.balance(VAULT) == 5_000


def test_a_redemption_takes_the_operator_and_the_desk(small: World) -> None:
    mint = small.mint()
    small.proposals.sign(mint.id, KEYS[ANN], KEYS[BOB], KEYS[NORTH])
    records = operations.chain(
        operations.transfer(small.new_id(), debit=VAULT, credit=101, amount=2_000),
        operations.transfer(small.new_id(), debit=CONVERTED, credit=RESERVE, amount=2_000),
    )
    one = small.proposals.propose("redeem", records, {"operator": 2}, maker=NORTH)
    assert small.proposals.sign(one.id, KEYS[NORTH]).needs == ("operator 1, the reserve desk",)
    assert small.proposals.sign(one.id, KEYS[DESK]).outcome is not None
    assert small.ledger.balance(VAULT) == 3_000


@EMPTY_POSTGRESQL_IN_SOAK
def test_a_refused_proposal_has_the_code(bank: World) -> None:
    """The operator's reserves do not suffice: the chain is refused, its ids are bound, and the state says so."""
    one = bank.proposals.propose("mint", bank.issue(2_000_000), {"operator": 2}, maker=ANN)
    outcome = bank.proposals.sign(one.id, KEYS[ANN], KEYS[BOB], KEYS[NORTH]).outcome
    assert outcome is not None
    assert outcome.refusal is Result.EXCEEDS_BALANCE
    stored = bank.proposals.get(one.id)
    assert (stored.state, stored.reason) == ("refused", "EXCEEDS_BALANCE")
    assert bank.actions["mint"].done_ids == [one.id]
    assert bank.check() == []
    with pytest.raises(UsageError, match=r"is refused: EXCEEDS_BALANCE"):
        bank.proposals.add_signature(sign(one, EVE, KEYS[EVE]))


@EMPTY_POSTGRESQL_IN_SOAK
def test_a_proposal_without_records_has_two_approvals(bank: World) -> None:
    effect = {"days": 30}
    one = bank.proposals.propose("log.delay", None, effect, maker=ANN)
    needs = bank.proposals.missing(one.id).needs
    assert len(needs) == 2
    assert "a person other than the maker, with the duty officer or privacy" in needs
    assert "privacy" in bank.proposals.sign(one.id, KEYS[ANN]).needs[0]
    outcome = bank.proposals.sign(one.id, KEYS[BOB]).outcome
    assert outcome is not None
    assert (outcome.state, outcome.results) == ("done", ())
    assert bank.actions["log.delay"].done_ids == [one.id]
    assert bank.proposals.get(one.id).state == "done"
    assert bank.proposals.submit(one.id).state == "done"
    assert bank.check() == []


@EMPTY_POSTGRESQL_IN_SOAK
def test_withdrawing(bank: World) -> None:
    one, two, three = (bank.mint(maker=NORTH) for _ in range(3))
    with pytest.raises(UsageError, match=r"may not withdraw"):
        bank.proposals.withdraw(one.id, by=SOUTH)
    bank.proposals.withdraw(one.id, by=NORTH)
    bank.proposals.withdraw(two.id, by=EVE)
    assert {stored.id for stored in bank.proposals.list("withdrawn")} == {one.id, two.id}
    assert [stored.id for stored in bank.proposals.list("open")] == [three.id]
    assert bank.actions["mint"].lapsed_ids == [one.id, two.id]
    with pytest.raises(UsageError, match=r"is withdrawn"):
        bank.proposals.add_signature(sign(one, ANN, KEYS[ANN]))
    with pytest.raises(UsageError, match=r"is withdrawn"):
        bank.proposals.withdraw(one.id, by=NORTH)
    with pytest.raises(UsageError, match=r"is withdrawn"):
        bank.proposals.submit(one.id)


@EMPTY_POSTGRESQL_IN_SOAK
def test_lapsing(bank: World) -> None:
    one, two = bank.mint(valid_ns=HOUR_NS), bank.mint()
    bank.clock.advance(HOUR_NS)
    assert bank.stores.jobs.run_due() == 1
    assert [stored.id for stored in bank.proposals.list("lapsed")] == [one.id]
    assert bank.proposals.get(one.id).reason == "SIGNATURE_EXPIRED"
    assert bank.proposals.get(two.id).state == "open"
    assert bank.actions["mint"].lapsed_ids == [one.id]


@pytest.mark.parametrize("person", [CLEO, CARL, SOUTH, 12345])
def test_who_may_not_propose_a_mint(small: World, person: int) -> None:
    with pytest.raises(UsageError, match=r"may not request mint.*it needs the duty officer or operator"):
        small.mint(maker=person)


def test_what_cannot_be_proposed(small: World) -> None:
    def propose(action: str = "mint", records: object = None, effect: object = None, **others: object) -> None:
        given = small.issue() if records is None else records
        small.proposals.propose(action, given, effect or {}, maker=ANN, **others)  # type: ignore[arg-type]

    with pytest.raises(UsageError, match=r"there is no action 'print'"):
        propose("print")
    with pytest.raises(UsageError, match=r"needs no proposal"):
        propose("day.close")
    with pytest.raises(UsageError, match=r"up to 72 hours"):
        propose(valid_ns=73 * HOUR_NS)
    with pytest.raises(UsageError, match=r"personal data"):
        propose(effect={"phone": "+1"})
    with pytest.raises(UsageError, match=r"accounts do not sign proposals"):
        propose(records=operations.transfer(small.new_id(), debit=108, credit=109, amount=1))
    with pytest.raises(UsageError, match=r"there is no proposal"):
        small.proposals.get(5)
    assert small.proposals.list() == []


def test_two_last_signatures_at_once(bank: World) -> None:
    """Bob and North sign in the same moment, from two threads: the money is minted once, and both are told so."""
    one = bank.mint()
    bank.proposals.sign(one.id, KEYS[ANN])
    begun = threading.Barrier(2)

    def signs(person: int) -> Missing:
        signature = sign(one, person, KEYS[person])
        begun.wait()
        return bank.proposals.add_signature(signature)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(signs, (BOB, NORTH)))
    outcomes = [answer.outcome for answer in answers if answer.outcome is not None]
    assert outcomes, "whoever was last submits"
    assert all(outcome.created for outcome in outcomes)
    assert bank.ledger.balance(VAULT) == 5_000
    assert bank.proposals.get(one.id).state == "done"
    assert bank.actions["mint"].done_ids == [one.id]
    assert bank.check() == []
