"""Life events on a ledger with authority."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.life.world import (
    ANNA,
    BANK,
    BERT,
    BY_OTTO,
    CNY,
    LIMITS,
    NEW_KEY,
    OLD_KEY,
    OLGA,
    OTHER,
    OTTO,
    RECOVERY,
    SECOND,
    SHOP,
    TRANSIT,
    WALLET,
    World,
)  # fmt: skip
from tests.personal.world import ANN, BOB, CASE, NOON

from sycee.core import ids
from sycee.core.errors import Refused, UsageError
from sycee.core.records import operations
from sycee.core.records.envelopes import ENVELOPE
from sycee.core.records.layout import OPERATION, Block, PayFlag, Reason
from sycee.core.records.signed_messages import proof_message
from sycee.core.result_codes import Result
from sycee.database.actions import Intent
from sycee.database.transactions import write
from sycee.life.notices import KEY_REPLACED
from sycee.life.rules import RECOVERY_NS, LifeEventKind
from sycee.sequencer.embedded import Signer

PACKETS, OWN = PayFlag.PURSES_ONLY, PayFlag.OWN_ONLY


def test_a_lost_phone_spends_packets_only_for_a_day(bank: World) -> None:
    assert bank.pay(1, OLD_KEY, flags=OWN) is Result.CREATED
    recovery = bank.lose()
    assert recovery.until_ns == NOON + RECOVERY_NS
    assert bank.ledger.account(WALLET).rule_set == RECOVERY
    assert bank.ledger.account(WALLET).debit_reasons == frozenset()
    assert bank.pay(1, OLD_KEY) is Result.SIGNATURE_INVALID
    assert bank.pay(10, NEW_KEY, flags=PACKETS) is Result.CREATED
    assert bank.pay(10, NEW_KEY, flags=OWN) is Result.PAYEE_NOT_ALLOWED
    assert bank.pay(60, NEW_KEY) is Result.PAYEE_NOT_ALLOWED  # the packet has less
    assert bank.pay(10, NEW_KEY, payee=SECOND, flags=OWN) is Result.PAYEE_NOT_ALLOWED
    for record in (
        operations.send(bank.ledger.new_id(), source=WALLET, destination=BANK, through=TRANSIT, amount=10),
        operations.transfer(bank.ledger.new_id(), debit=WALLET, credit=SECOND, amount=10),
        operations.hold(bank.ledger.new_id(), payer=WALLET, payee=SHOP, amount=70, until_ns=NOON + 2 * RECOVERY_NS),
    ):
        assert bank.submit(record, Signer(WALLET, NEW_KEY, currency=CNY, key_epoch=2)) is Result.PAYEE_NOT_ALLOWED
    bank.clock.set(NOON + RECOVERY_NS - 1)
    assert bank.stores.jobs.run_due() == 0
    assert bank.pay(1, NEW_KEY, flags=OWN) is Result.PAYEE_NOT_ALLOWED
    assert bank.disagreements() == []
    bank.clock.set(NOON + RECOVERY_NS)
    assert bank.stores.jobs.run_due() == 1
    assert bank.ledger.account(WALLET).rule_set == LIMITS
    assert bank.pay(10, NEW_KEY, flags=OWN) is Result.CREATED
    assert bank.life.restrictions() == []
    assert bank.disagreements() == []


def test_the_notice_goes_to_the_old_channel(bank: World) -> None:
    bank.lose()
    bank.personal.register.change(ANN, {"phone": "13700137000"}, access=BY_OTTO)
    (notice,) = bank.life.outbox.waiting()
    assert (notice.person, notice.text) == (ANN, "KEY_REPLACED")
    assert bank.personal.register.open_own(ANN, "channel", notice.channel_sealed) == "+8613800138000"
    assert bank.life.outbox.due() == notice
    bank.life.outbox.sent(notice.id)
    assert bank.life.outbox.due() is None
    bank.lose()
    (notice,) = bank.life.outbox.waiting()
    assert bank.life.opened(notice) == ("+8613700137000", "")


def test_shredding_removes_the_notices_to_a_person(bank: World) -> None:
    bank.life.dormant(WALLET, who=OTTO.id, signers=[OTTO])
    write(bank.personal.engine, lambda connection: bank.life.outbox.forget(connection, BOB))
    assert len(bank.life.outbox.waiting()) == 1
    write(bank.personal.engine, lambda connection: [also(connection, ANN) for also in bank.personal.register.on_shred])
    assert bank.life.outbox.waiting() == []


def test_a_recovery_without_proof_case_duty_or_key_changes_nothing(bank: World) -> None:
    before = bank.ledger.account(WALLET)
    for changes, match in (
        ({"proof": OLD_KEY.sign(b"something")}, "the proof is not a signature"),
        ({"key": OLD_KEY}, "is the key that was lost"),
        ({"evidence": replace(BY_OTTO, case=99)}, "case 99 is not open"),
        ({"evidence": replace(BY_OTTO, who=OLGA.id)}, r"may not request life\.phone-lost"),
        ({"evidence": replace(BY_OTTO, who=BOB)}, r"may not request life\.phone-lost"),
    ):
        with pytest.raises(UsageError, match=match):
            bank.lose(**changes)
    with pytest.raises(Refused, match="has no new key"):
        bank.lose(signers=[OLGA])
    # Two persons of the wallet's operator: neither the signer alone, nor another customer, nor another operator.
    for opener in (OTTO.id, BOB, OLGA.id, ANNA.id):
        bank.personal.cases.opened_by = opener
        with pytest.raises(UsageError, match="two persons of the staff are needed"):
            bank.lose()
    assert bank.ledger.account(WALLET) == before
    assert bank.life.restrictions() == []
    assert bank.life.outbox.waiting() == []
    assert bank.disagreements() == []


def test_a_wallet_whose_key_was_revoked_gets_one_by_the_event_of_a_lost_phone(bank: World) -> None:
    assert bank.keys.revoke(WALLET, reason="stolen", signers=[OTTO], who=OTTO.id).created
    assert bank.pay(1, OLD_KEY) is not Result.CREATED
    bank.lose()
    account = bank.ledger.account(WALLET)
    assert (account.key, account.key_epoch, account.rule_set) == (NEW_KEY.public.key, 3, RECOVERY)
    bank.clock.advance(RECOVERY_NS)
    bank.stores.jobs.run_due()
    assert bank.pay(1, NEW_KEY) is Result.CREATED
    assert [row.reason for row in bank.keys.history(WALLET)] == ["stolen", "phone-lost"]
    assert bank.disagreements() == []


def test_the_holder_is_told_about_each_new_key(bank: World) -> None:
    told: list[tuple[int, int]] = []
    bank.life.on_new_key.append(lambda connection, person, by, event: told.append((person, by)))
    message = proof_message(bank.ledger.ledger_id, WALLET, 2, NEW_KEY.public)
    change = {"signers": [OTTO], "who": OTTO.id, "consent": OLD_KEY.sign(message)}
    assert bank.keys.set(WALLET, NEW_KEY.public, NEW_KEY.sign(message), **change).created
    bank.lose()
    assert [(each.person, each.text) for each in bank.life.outbox.waiting()] == [(ANN, KEY_REPLACED)] * 2
    assert told == [(ANN, OTTO.id)] * 2


def test_a_second_loss_begins_the_day_anew_and_keeps_the_first_rule_set(bank: World) -> None:
    bank.lose()
    bank.clock.advance(RECOVERY_NS // 2)
    bank.lose()
    assert bank.ledger.account(WALLET).key_epoch == 3
    bank.clock.advance(RECOVERY_NS // 2)
    bank.stores.jobs.run_due()
    assert bank.ledger.account(WALLET).rule_set == RECOVERY
    bank.clock.advance(RECOVERY_NS // 2)
    bank.stores.jobs.run_due()
    assert bank.ledger.account(WALLET).rule_set == LIMITS
    assert bank.disagreements() == []


def test_a_class_that_was_set_in_the_meantime_stays(bank: World) -> None:
    bank.lose()
    record = operations.set_rule_set(bank.ledger.new_id(), account=WALLET, rule_set=0)
    assert bank.submit(record, OTTO) is Result.CREATED
    bank.clock.advance(RECOVERY_NS)
    assert bank.stores.jobs.run_due() == 1
    assert bank.ledger.account(WALLET).rule_set == 0
    assert bank.life.restrictions() == []


def test_a_recovery_whose_signature_expired_is_finished_by_the_operator(bank: World) -> None:
    bank.lose()
    with pytest.raises(UsageError, match="is not over yet"):
        bank.life.finish_recovery(WALLET, who=OTTO.id, signers=[OTTO])
    bank.clock.advance(40 * RECOVERY_NS)
    assert bank.stores.jobs.run_due() == 0
    (failing,) = bank.stores.jobs.failing()
    assert failing.name == "life.restore"
    assert "the stored signature of the operator is not accepted" in failing.error
    assert bank.ledger.account(WALLET).rule_set == RECOVERY
    assert bank.life.finish_recovery(WALLET, who=OTTO.id, signers=[OTTO]) is not None
    assert bank.ledger.account(WALLET).rule_set == LIMITS
    assert bank.stores.jobs.failing() == []
    assert bank.life.finish_recovery(WALLET, who=OTTO.id, signers=[OTTO]) is None
    assert bank.disagreements() == []


def test_a_death_blocks_the_wallets_of_one_operator_and_begins_retention(bank: World) -> None:
    done = bank.life.deceased(ANN, operator=1, evidence=BY_OTTO, signers=[OTTO])
    assert (set(done.accounts), done.others) == ({WALLET, SECOND}, (OTHER,))
    assert bank.pay(1, OLD_KEY, flags=OWN) is Result.DEBIT_ACCOUNT_BLOCKED
    assert bank.ledger.account(WALLET).credit_reasons == frozenset()  # money still arrives, for the estate
    assert str(bank.personal.retention.until(ANN)) == "2031-11-01"
    assert [each.kind for each in bank.life.restrictions()] == ["deceased"] * 2
    bank.life.release(WALLET, LifeEventKind.DECEASED, who=OTTO.id, signers=[OTTO], case=CASE)
    assert bank.pay(1, OLD_KEY, flags=OWN) is Result.CREATED
    assert [each.account for each in bank.life.restrictions()] == [SECOND]
    assert bank.disagreements() == []
    with pytest.raises(UsageError, match="has 0 wallets to block"):
        bank.life.deceased(BOB, operator=1, evidence=BY_OTTO, signers=[OTTO])


def test_what_a_restore_takes_back_is_undone(bank: World) -> None:
    """`lapsed`, and `done` with refusals, set the final state although `done` had succeeded before."""
    for act, action, restriction in (
        (lambda: bank.lose().outcome, "life.phone-lost", "phone-lost"),
        (
            lambda: bank.life.deceased(ANN, operator=1, evidence=BY_OTTO, signers=[OTTO]).outcome,
            "life.restrict",
            "deceased",
        ),
    ):
        outcome = act()
        stored = bank.stores.intents.find(outcome.intent)
        assert stored is not None
        assert restriction in [each.kind for each in bank.life.restrictions()]
        intent = Intent(stored.id, action, stored.payload, np.zeros(0, OPERATION), np.zeros(0, ENVELOPE), 0, stored.who)
        refused = [Result.ACCOUNT_CLOSED] * len(outcome.results)
        for undo in (
            lambda connection, it=intent, r=refused: bank.stores.actions.get(it.action).done(connection, it, r),
            lambda connection, it=intent: bank.stores.actions.get(it.action).lapsed(connection, it),
        ):
            write(bank.personal.engine, undo)
            assert restriction not in [each.kind for each in bank.life.restrictions()]
            assert bank.life.outbox.waiting() == []
        assert bank.personal.retention.until(ANN) is None
    assert bank.keys.history(WALLET) == []
    bank.clock.advance(RECOVERY_NS)
    assert bank.stores.jobs.run_due() == 0


def test_a_dormant_wallet_wakes_up(bank: World) -> None:
    bank.life.dormant(WALLET, who=OTTO.id, signers=[OTTO])
    assert bank.pay(1, OLD_KEY, flags=OWN) is Result.DEBIT_ACCOUNT_BLOCKED
    assert [each.text for each in bank.life.outbox.waiting()] == ["WALLET_BLOCKED"]
    bank.life.release(WALLET, LifeEventKind.DORMANT, who=OTTO.id, signers=[OTTO])
    assert bank.pay(1, OLD_KEY, flags=OWN) is Result.CREATED
    with pytest.raises(UsageError, match="has no block by dormant"):
        bank.life.release(WALLET, LifeEventKind.DORMANT, who=OTTO.id, signers=[OTTO])
    assert bank.disagreements() == []


def test_a_court_order_is_lifted_by_an_officer_only(bank: World) -> None:
    bank.life.court_order(WALLET, evidence=BY_OTTO, signers=[OTTO])
    assert bank.pay(1, OLD_KEY, flags=OWN) is Result.DEBIT_ACCOUNT_BLOCKED
    with pytest.raises(UsageError, match="not lifted by an operator"):
        bank.life.release(WALLET, LifeEventKind.COURT_ORDER, who=OTTO.id, signers=[OTTO])

    def unblock(*signers: Signer) -> Result:
        record = operations.unblock_account(
            bank.ledger.new_id(), account=WALLET, sides=Block.DEBIT, reason=Reason.COURT_ORDER
        )
        return bank.submit(record, *signers)

    # The ledger refuses it, whatever a service permits.
    assert [unblock(OTTO), unblock(OLGA)] == [Result.NOT_AUTHORISED] * 2
    assert bank.disagreements() == []
    assert unblock(ANNA) is Result.CREATED
    assert bank.disagreements() == [
        f"wallet {ids.format(WALLET)}: block by court-order is active in the database, and the ledger differs"
    ]


def test_officers_lift_a_court_order_by_proposal(bank: World) -> None:
    bank.life.court_order(WALLET, evidence=BY_OTTO, signers=[OTTO])
    with pytest.raises(UsageError, match=r"may not request life\.lift-order"):
        bank.life.lift_order(WALLET, case=CASE, maker=OTTO.id)
    proposal = bank.life.lift_order(WALLET, case=CASE, maker=ANNA.id)
    assert bank.proposals.sign(proposal.id, ANNA.key).needs
    assert bank.pay(1, OLD_KEY, flags=OWN) is Result.DEBIT_ACCOUNT_BLOCKED
    second = bank.life.lift_order(WALLET, case=CASE, maker=BERT.id)
    assert bank.proposals.sign(proposal.id, BERT.key).needs == ()
    assert bank.pay(1, OLD_KEY, flags=OWN) is Result.CREATED
    assert bank.life.restrictions() == []
    bank.proposals.withdraw(second.id, by=BERT.id)
    assert bank.life.restrictions() == []
    assert bank.disagreements() == []


def test_a_guardian_reads_the_log_of_the_ward(bank: World) -> None:
    log = bank.personal.log
    log.enter(BY_OTTO, [ANN], ["name"])
    with pytest.raises(UsageError, match=r"may not request person\.log"):
        bank.life.access_log(ANN, by=BOB)
    proposal = bank.life.guardian(ANN, BOB, maker=OTTO.id, until_ns=NOON + RECOVERY_NS)
    assert not bank.life.is_guardian(BOB, ANN)
    bank.proposals.sign(proposal.id, OTTO.key)
    assert bank.proposals.sign(proposal.id, ANNA.key).needs == ()
    assert bank.life.is_guardian(BOB, ANN)
    assert not bank.life.is_guardian(ANN, BOB)
    assert bank.life.access_log(ANN, by=BOB) == log.of_person(ANN, by=ANN) != []
    bank.clock.set(NOON + RECOVERY_NS)
    assert not bank.life.is_guardian(BOB, ANN)
    with pytest.raises(UsageError, match="not their own guardian"):
        bank.life.guardian(ANN, ANN, maker=OTTO.id)


def test_blocks_of_several_kinds_are_independent(bank: World) -> None:
    bank.life.dormant(WALLET, who=OTTO.id, signers=[OTTO])
    bank.life.court_order(WALLET, evidence=BY_OTTO, signers=[OTTO])
    bank.life.release(WALLET, LifeEventKind.DORMANT, who=OTTO.id, signers=[OTTO])
    assert bank.pay(1, OLD_KEY, flags=OWN) is Result.DEBIT_ACCOUNT_BLOCKED
    assert [each.kind for each in bank.life.restrictions(account=WALLET)] == ["court-order"]
    assert bank.disagreements() == []


def test_a_block_that_the_ledger_refuses_is_not_active(bank: World) -> None:
    with pytest.raises(Refused, match="are not blocked"):
        bank.life.dormant(WALLET, who=OTTO.id, signers=[OLGA])
    assert bank.life.restrictions() == []
    assert bank.life.outbox.waiting() == []
    assert bank.disagreements() == []
