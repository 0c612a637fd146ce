"""The life of a programme in a bank: each step, who may take it, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection
from tests.programmes import world
from tests.programmes.world import (
    ANN,
    BEACON_VALUE,
    BOB,
    FILE,
    NORTH,
    SOUTH,
    WITNESS,
    Register,
    advance,
    funder,
    moment,
    person,
)

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.errors import BusyError, IntegrityError, NotFound, Refused, UnavailableError, UsageError
from sycee.core.records.layout import PurseState, Reason
from sycee.core.result_codes import Result
from sycee.database.events import events_after
from sycee.database.transactions import write
from sycee.identity.people import DutyMissing
from sycee.programmes import draw, draw_files, purse_sums, states
from sycee.programmes.dropping import PacketClaim
from sycee.programmes.stored import Figures
from sycee.programmes.tables import PROGRAMMES
from sycee.sequencer import frozen
from sycee.sequencer.sequencer import Sequencer

NAME = "autumn-2026"
At = Callable[[str], Bank]


@pytest.fixture
def at(tmp_path: Path) -> Iterator[At]:
    """Open a copy of the bank at a stage; it is closed at the end."""
    opened: list[Bank] = []

    def open_at(stage: str) -> Bank:
        folder = tmp_path / f"{stage}-{len(opened)}"
        opened.append(world.opened(folder, world.at(stage).copy(folder)))
        return opened[-1]

    yield open_at
    for bank in opened:
        bank.close()


def kinds(bank: Bank) -> list[str]:
    return [each.kind.value for each in events_after(bank.stores.engine, 0, most=10_000) if each.subject == NAME]


def members(bank: Bank) -> list[int]:
    return [ids.to_int(each) for each in bank.programmes.cohort_of(NAME).members]


def claim_all(bank: Bank, chosen: list[int]) -> None:
    """Claim packets into the winners' wallets, one operator after the other."""
    register = bank.programmes.registered
    assert isinstance(register, Register)
    for operator, key in ((2, NORTH), (3, SOUTH)):
        claims = [PacketClaim(each, register.wallet_of(each).account) for each in chosen]
        own = [each for each in claims if bank.directory.get(each.wallet).operator == operator]
        if own:
            (outcome,) = bank.programmes.claim_many(NAME, 0, own, signers=bank.signers(key), who=person(bank, key))
            assert outcome.created


def test_a_whole_life(server: str, tmp_path: Path) -> None:
    """On both databases: every state, every event, and every cent back."""
    options = world.at("funded", server).copy(tmp_path)
    with world.opened(tmp_path, options) as bank:
        supply = bank.stores.ledger.supply("CNY")
        for stage in world.STAGES[1:]:
            advance(bank, stage)
            assert bank.check() == [], stage
        found = bank.programmes.occurrence(NAME)
        assert (found.state, found.entries, found.members, found.minor) == (states.DROPPED, 9, 5, 160_00)
        assert bank.stores.ledger.balance(funder(bank)) == 840_00
        assert bank.stores.ledger.supply("CNY") == supply
        bank.set_clock(moment(7, 9))
        claimed = members(bank)[:4]
        claim_all(bank, claimed)
        with bank.stores.ledger.sequencer.reading() as state:
            purses = state.purses(found.number or 0)
            assert purses["state"].tolist() == [PurseState.CLAIMED] * 4 + [PurseState.DROPPED]
            assert purses["dropped"].tolist() == [50_00, 50_00, 20_00, 20_00, 20_00]
        assert bank.programmes.exposure() == 160_00
        whole = bank.programmes.figures(NAME)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(purse_sums, "PIECE_PURSES", 2)
            assert bank.programmes.figures(NAME) == whole == Figures(5, 4, 160_00, left_minor=160_00)
        bank.set_clock(moment(15))  # the job of the expiry runs
        found = bank.programmes.occurrence(NAME)
        assert found.state == states.EXPIRED
        assert 0 < (found.dropped_frame or 0) < (found.expired_frame or 0)
        assert bank.stores.ledger.balance(funder(bank)) == 1_000_00
        assert bank.programmes.exposure() == 0
        assert bank.programmes.close(NAME, who=person(bank, NORTH)).state == states.CLOSED
        assert bank.programmes.get(NAME).state == states.CLOSED
        assert kinds(bank) == [
            "programme.drafted", "programme.registering", "programme.frozen", "programme.published", "programme.drawn",
            "programme.approved", "programme.allotted", "programme.dropped", "programme.expired", "programme.closed",
        ]  # fmt: skip
        assert bank.check() == []
        assert bank.stores.ledger.supply("CNY") == supply


def test_every_step_can_be_repeated(at: At) -> None:
    bank = at("dropped")
    north, ann, signers = person(bank, NORTH), person(bank, ANN), bank.signers(NORTH)
    frames, found = bank.stores.ledger.sequencer.frame_times.size, bank.programmes.occurrence(NAME)
    assert bank.programmes.drop(NAME, signers=signers, who=north) == found
    assert bank.programmes.draft(FILE, funder=funder(bank), maker=north).state == states.RUNNING
    for step in (bank.programmes.open_registration, bank.programmes.freeze, bank.programmes.publish):
        assert step(NAME, who=north) == found
    assert bank.programmes.draw(NAME, who=north) == found
    assert bank.programmes.propose_terms(NAME, maker=ann).id == found.proposal
    assert bank.programmes.allot(NAME, signers=signers, who=north) == found
    assert bank.programmes.freeze(NAME, who=north, entries=world.entries()) == found
    others = replace(world.entries(), documents=world.entries().documents + np.uint64(1))
    with pytest.raises(UsageError, match=r"announcement\.json is published already, with other content"):
        bank.programmes.freeze(NAME, who=north, entries=others)
    with pytest.raises(UsageError, match="is running, with another file"):
        bank.programmes.draft(FILE.replace("Old town", "New town"), funder=funder(bank), maker=north)
    assert bank.stores.ledger.sequencer.frame_times.size == frames
    sealed = at("allotted")
    assert sealed.programmes.allot(NAME, signers=sealed.signers(NORTH), who=person(sealed, NORTH)).seal is not None


def test_registration_freeze_and_publication(at: At) -> None:
    bank = at("registering")
    north = person(bank, NORTH)
    assert bank.programmes.open_registration(NAME, who=north).state == states.REGISTRATION
    with pytest.raises(UsageError, match="closes 2026-11-05 00:00"):
        bank.programmes.freeze(NAME, who=north)
    with pytest.raises(UsageError, match="is registration: publish needs frozen"):
        bank.programmes.publish(NAME, who=north)
    with pytest.raises(DutyMissing):
        bank.programmes.freeze(NAME, who=person(bank, SOUTH))
    bank.set_clock(moment(6, 13))
    with pytest.raises(UsageError, match="the beacon is due 2026-11-06T04:00:00Z and may be known"):
        bank.programmes.freeze(NAME, who=north)


def test_another_list_under_the_same_announcement_is_refused(at: At) -> None:
    bank = at("frozen")
    north, register = person(bank, NORTH), bank.programmes.registered
    assert isinstance(register, Register)
    frozen = bank.programmes.occurrence(NAME)
    assert bank.programmes.freeze(NAME, who=north) == frozen  # the same list
    other = replace(register.entries, phones=register.entries.phones + np.uint64(1))
    with pytest.raises(UsageError, match="published already, with other content"):
        bank.programmes.freeze(NAME, who=north, entries=other)
    assert bank.programmes.publish(NAME, who=north).published_ns is not None
    assert bank.programmes.publish(NAME, who=north).announcement == frozen.announcement
    path = bank.programmes.files_of(frozen) / draw_files.ANNOUNCEMENT
    path.write_bytes(path.read_bytes().replace(b'"entries": 9', b'"entries": 8'))
    bank.set_clock(moment(6, 13))
    for key in (NORTH, ANN):
        bank.programmes.bring_beacon(NAME, value=BEACON_VALUE, who=person(bank, key))
    with pytest.raises((UsageError, IntegrityError)):
        bank.programmes.draw(NAME, who=north)


def test_an_unpublished_list_is_not_drawn(at: At) -> None:
    bank = at("frozen")
    bank.set_clock(moment(6, 13))
    with pytest.raises(UsageError, match="is not published"):
        bank.programmes.bring_beacon(NAME, value=BEACON_VALUE, who=person(bank, NORTH))
    with pytest.raises(UsageError, match="may be known"):
        bank.programmes.publish(NAME, who=person(bank, NORTH))
    assert bank.programmes.cancel(NAME, who=person(bank, ANN)).state == states.CANCELLED
    assert bank.programmes.get(NAME).state == states.CANCELLED
    with pytest.raises(UsageError, match="is cancelled and cannot become drawn"):
        bank.programmes.draw(NAME, who=person(bank, NORTH))


def test_two_persons_bring_the_beacon(at: At) -> None:
    bank = at("frozen")
    north, ann = person(bank, NORTH), person(bank, ANN)
    bank.programmes.publish(NAME, who=north)
    with pytest.raises(UsageError, match="the beacon is due 2026-11-06 12:00"):
        bank.programmes.bring_beacon(NAME, value=BEACON_VALUE, who=north)
    bank.set_clock(moment(6, 13))
    with pytest.raises(UsageError, match="has 32 bytes, not 31"):
        bank.programmes.bring_beacon(NAME, value=BEACON_VALUE[1:], who=north)
    with pytest.raises(UsageError, match="0 of 2 persons"):
        bank.programmes.draw(NAME, who=north)
    for _ in range(2):  # one person twice is one person
        bank.programmes.bring_beacon(NAME, value=BEACON_VALUE, who=north)
    with pytest.raises(UsageError, match="1 of 2 persons"):
        bank.programmes.draw(NAME, who=north)
    bank.programmes.bring_beacon(NAME, value=bytes(32), who=ann)
    with pytest.raises(UsageError, match="different values of the beacon"):
        bank.programmes.draw(NAME, who=north)
    bank.programmes.bring_beacon(NAME, value=BEACON_VALUE, who=ann)  # corrected
    with pytest.raises(DutyMissing):
        bank.programmes.bring_beacon(NAME, value=BEACON_VALUE, who=ids.new(1))
    bank.programmes.bring_beacon(NAME, value=BEACON_VALUE, who=person(bank, WITNESS))
    assert len(bank.programmes.beacons(NAME)) == 3
    drawn = bank.programmes.draw(NAME, who=north)
    assert bank.programmes.draw(NAME, who=north) == drawn
    assert draw.verify(bank.programmes.files_of(drawn)).ok


def test_a_draw_that_was_killed_can_be_corrected(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = at("frozen")
    north, persons = person(bank, NORTH), (person(bank, NORTH), person(bank, ANN))
    bank.programmes.publish(NAME, who=north)
    bank.set_clock(moment(6, 13))
    for who in persons:
        bank.programmes.bring_beacon(NAME, value=bytes(32), who=who)
    with monkeypatch.context() as killed:
        killed.setattr(bank.programmes, "_store_members", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            bank.programmes.draw(NAME, who=north)
    for who in persons:
        bank.programmes.bring_beacon(NAME, value=BEACON_VALUE, who=who)
    drawn = bank.programmes.draw(NAME, who=north)
    folder = bank.programmes.files_of(drawn)
    assert draw_files.read_beacon(folder / draw_files.BEACON).value == BEACON_VALUE
    assert draw.verify(folder).ok


def test_one_officer_alone_approves_nothing(at: At) -> None:
    bank = at("drawn")
    ann = person(bank, ANN)
    with pytest.raises(DutyMissing):
        bank.programmes.propose_terms(NAME, maker=person(bank, NORTH))
    proposal = bank.programmes.propose_terms(NAME, maker=ann)
    found = bank.programmes.occurrence(NAME)
    assert bank.programmes.propose_terms(NAME, maker=ann).id == proposal.id
    allotment = bank.programmes.cohort_of(NAME)
    assert {name: proposal.effect[name] for name in ("budget", "members", "cohort", "announcement")} == {
        "budget": 160_00, "members": 5, "cohort": allotment.digest.hex(), "announcement": found.announcement,
    }  # fmt: skip
    assert bank.proposals.sign(proposal.id, ANN).needs != ()
    with pytest.raises(UsageError, match="signed"):
        bank.proposals.sign(proposal.id, ANN)
    assert bank.programmes.occurrence(NAME).state == states.DRAWN
    with pytest.raises(UsageError, match="is drawn and cannot become allotted"):
        bank.programmes.allot(NAME, signers=bank.signers(NORTH), who=person(bank, NORTH))
    with pytest.raises(UsageError, match=r"the terms of .* are proposed"):
        bank.programmes.cancel(NAME, who=ann)
    assert bank.proposals.sign(proposal.id, BOB).needs == ()
    assert bank.programmes.occurrence(NAME).state == states.APPROVED
    assert bank.check() == []


def test_withdrawn_terms_are_proposed_again_with_fresh_ids(at: At) -> None:
    bank = at("drawn")
    ann = person(bank, ANN)
    first = bank.programmes.propose_terms(NAME, maker=ann)
    bank.proposals.withdraw(first.id, by=ann)
    second = bank.programmes.propose_terms(NAME, maker=ann)
    assert second.id != first.id
    assert not set(second.records["id_low"].tolist()) & set(first.records["id_low"].tolist())
    assert (second.effect["number"], second.effect["rule_set"]) == (first.effect["number"], first.effect["rule_set"])
    assert bank.proposals.sign(second.id, ANN, BOB).needs == ()
    advance(bank, "allotted")
    assert bank.check() == []


def test_a_drop_before_the_draw_is_refused(at: At) -> None:
    bank = at("frozen")
    with pytest.raises(UsageError, match="is frozen and cannot become dropped"):
        bank.programmes.drop(NAME, signers=bank.signers(NORTH), who=person(bank, NORTH))
    with pytest.raises(UsageError, match="not drawn yet"):
        bank.programmes.cohort_of(NAME)


def test_only_the_operator_of_the_funder_allots_and_drops(at: At) -> None:
    bank = at("approved")
    south = {"signers": bank.signers(SOUTH), "who": person(bank, SOUTH)}
    with pytest.raises(DutyMissing):
        bank.programmes.allot(NAME, **south)
    with pytest.raises(Refused) as refused:  # the right person requests, with the key of another operator
        bank.programmes.allot(NAME, signers=bank.signers(SOUTH), who=person(bank, NORTH))
    assert refused.value.result is Result.NOT_AUTHORISED
    bank = at("allotted")
    with pytest.raises(DutyMissing):
        bank.programmes.drop(NAME, signers=bank.signers(SOUTH), who=person(bank, SOUTH))


def test_a_changed_list_of_winners_is_not_allotted(at: At) -> None:
    bank = at("approved")
    path = bank.programmes.files_of(bank.programmes.occurrence(NAME)) / draw_files.WINNERS
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[2], lines[1], *lines[3:]]))
    with pytest.raises(IntegrityError, match="another cohort than the signed one"):
        bank.programmes.allot(NAME, signers=bank.signers(NORTH), who=person(bank, NORTH))


def test_a_drop_reads_no_members_but_a_changed_announcement_stops_it(at: At) -> None:
    bank = at("allotted")
    folder, north = bank.programmes.files_of(bank.programmes.occurrence(NAME)), person(bank, NORTH)
    for name in (draw_files.WINNERS, draw_files.ENTRIES, draw_files.TICKETS):
        (folder / name).unlink()
    path = folder / draw_files.ANNOUNCEMENT
    announced = path.read_bytes()
    path.write_bytes(announced.replace(NAME.encode(), b"autumn-2027"))
    with pytest.raises(UsageError, match="not the one that was frozen"):
        bank.programmes.drop(NAME, signers=bank.signers(NORTH), who=north)
    path.write_bytes(announced)
    found = bank.programmes.drop(NAME, signers=bank.signers(NORTH), who=north)
    assert (found.state, found.minor) == (states.DROPPED, 160_00)
    assert bank.programmes.figures(NAME).dropped_minor == 160_00


def test_a_funder_without_money_does_not_drop(at: At) -> None:
    bank = at("allotted")
    north, signers = person(bank, NORTH), bank.signers(NORTH)
    assert bank.funders.pay_out(funder(bank), 900_00, signers=signers, who=north).created
    with pytest.raises(UsageError, match=r"the funder has 100\.00, and the packets come to 160\.00 CNY"):
        bank.programmes.drop(NAME, signers=signers, who=north)
    assert bank.funders.pay_in(funder(bank), 60_00, signers=signers, who=north).created
    assert bank.programmes.drop(NAME, signers=signers, who=north).state == states.DROPPED
    assert bank.stores.ledger.balance(funder(bank)) == 0


def test_a_drop_that_the_ledger_refused_is_repeated_with_fresh_ids(at: At) -> None:
    bank = at("allotted")
    north, signers = person(bank, NORTH), bank.signers(NORTH)
    bank.programmes.halt(NAME, "a test of the block", who=north)
    block = bank.programmes.propose_block(NAME, maker=north)
    assert bank.proposals.sign(block.id, NORTH, ANN).needs == ()
    with pytest.raises(UsageError, match="is halted: a test of the block"):
        bank.programmes.drop(NAME, signers=signers, who=north)
    resumed = bank.programmes.propose_resume(NAME, "the test is over", maker=north)
    # The block alone, without the halt: the ledger refuses.
    write(bank.stores.engine, lambda connection: connection.execute(PROGRAMMES.update().values(halted_ns=None)))
    with pytest.raises(Refused) as refused:
        bank.programmes.drop(NAME, signers=signers, who=north)
    assert refused.value.result is Result.DEBIT_ACCOUNT_BLOCKED
    assert bank.proposals.sign(resumed.id, NORTH, BOB).needs == ()
    assert bank.programmes.drop(NAME, signers=signers, who=north).state == states.DROPPED
    assert bank.check() == []


def test_claims_that_are_refused(at: At) -> None:
    bank = at("dropped")
    register = bank.programmes.registered
    assert isinstance(register, Register)
    of_south = next(each for each in members(bank) if register.banks_of(NAME, 0, [each]) == ["south"])
    of_north = next(each for each in members(bank) if register.banks_of(NAME, 0, [each]) == ["north"])
    own, other = register.wallet_of(of_north), register.wallet_of(of_south)
    north = {"signers": bank.signers(NORTH), "who": person(bank, NORTH)}
    early = bank.programmes.claim(NAME, 0, of_north, own.account, **north)
    assert early.refusal is Result.CLAIM_WINDOW_NOT_OPEN
    bank.set_clock(moment(7, 9))
    with pytest.raises(UsageError, match="the winner chose south, and the wallet is at operator 2"):
        bank.programmes.claim(NAME, 0, of_south, own.account, **north)
    with pytest.raises(DutyMissing, match=r"programme\.claim"):
        bank.programmes.claim(NAME, 0, of_north, other.account, signers=bank.signers(NORTH), who=ids.new(1))
    another = next(each for each in world.wallets(bank) if each.operator == 2 and each.account != own.account)
    with pytest.raises(UsageError, match="is not the person who registered"):
        bank.programmes.claim(NAME, 0, of_north, another.account, **north)
    with pytest.raises(UsageError, match="is another person's wallet"):
        bank.programmes.claim(NAME, 0, of_north, own.account, signers=bank.signers(NORTH), who=other.holder)
    with pytest.raises(NotFound, match="is no member"):
        bank.programmes.claim(NAME, 0, ids.new(1), own.account, **north)
    wrong_key = bank.programmes.claim(NAME, 0, of_north, own.account, signers=bank.signers(SOUTH), who=own.holder)
    assert wrong_key.refusal is Result.NOT_AUTHORISED
    bank.programmes.halt(NAME, "the wrong shops were announced", who=north["who"])
    with pytest.raises(UsageError, match="is halted: the wrong shops were announced"):
        bank.programmes.claim(NAME, 0, of_north, own.account, **north)
    resumed = bank.programmes.propose_resume(NAME, "the list is right now", maker=north["who"])
    assert bank.proposals.sign(resumed.id, NORTH, ANN).needs == ()
    once = ids.new(1)
    claimed = bank.programmes.claim(
        NAME, 0, of_north, own.account, signers=bank.signers(NORTH), who=own.holder, id=once
    )
    assert claimed.created
    assert bank.programmes.claim(NAME, 0, of_north, own.account, **north, id=once) == claimed
    assert bank.programmes.claim(NAME, 0, of_north, own.account, **north).refusal is Result.PURSE_CLAIMED
    assert kinds(bank)[-2:] == ["programme.halted", "programme.resumed"]
    assert bank.check() == []


def test_a_halt_blocks_the_funder_by_two_persons(at: At) -> None:
    bank = at("allotted")
    north, ann = person(bank, NORTH), person(bank, ANN)
    for attempt in (
        bank.programmes.propose_block,
        lambda name, maker: bank.programmes.propose_resume(name, "x", maker=maker),
    ):
        with pytest.raises(UsageError, match="is not halted"):
            attempt(NAME, maker=north)
    with pytest.raises(UsageError, match="a reason has 1 to 200"):
        bank.programmes.halt(NAME, " ", who=north)
    with pytest.raises(DutyMissing):
        bank.programmes.halt(NAME, "from elsewhere", who=person(bank, SOUTH))
    assert bank.programmes.halt(NAME, "a rumour", who=ann).halted_by == ann
    assert bank.programmes.halt(NAME, "a second reason", who=north).halt_reason == "a rumour"
    block = bank.programmes.propose_block(NAME, maker=north)
    assert bank.proposals.sign(block.id, NORTH).needs != ()
    assert bank.proposals.sign(block.id, ANN).needs == ()
    refused = bank.funders.pay_out(funder(bank), 1, signers=bank.signers(NORTH), who=north)
    assert refused.refusal is Result.DEBIT_ACCOUNT_BLOCKED
    # A second halted programme of the funder joins the block, which ends with the last of them.
    other = "winter-2026"
    bank.programmes.draft(FILE.replace(NAME, other), funder=funder(bank), maker=north)
    bank.programmes.halt(other, "a rumour", who=north)
    joined = bank.programmes.propose_block(other, maker=north)
    with pytest.raises(UsageError, match=r"programme\.block of this funder is proposed"):
        bank.programmes.propose_resume(NAME, "it was false", maker=north)
    assert bank.proposals.sign(joined.id, NORTH, ANN).needs == ()
    for name, reasons in ((other, {Reason.REQUEST}), (NAME, set())):
        resumed = bank.programmes.propose_resume(name, "it was false", maker=north)
        with pytest.raises(UsageError, match=r"programme\.resume of this funder is proposed"):
            bank.programmes.propose_resume(name, "it was false", maker=north)
        assert bank.proposals.sign(resumed.id, NORTH, BOB).needs == ()
        assert bank.stores.ledger.account(funder(bank)).debit_reasons == reasons
    assert not bank.programmes.get(NAME).is_halted
    assert bank.programmes.drop(NAME, signers=bank.signers(NORTH), who=north).state == states.DROPPED
    assert kinds(bank)[-3:] == ["programme.halted", "programme.resumed", "programme.dropped"]


def test_the_exposure_has_a_maximum(at: At) -> None:
    bank = at("drawn")
    ann = person(bank, ANN)
    bank.programmes.exposure_max_minor = 159_99
    with pytest.raises(UsageError, match=r"packets of 160\.00, .* more than the maximum of 159\.99"):
        bank.programmes.propose_terms(NAME, maker=ann)
    bank.programmes.exposure_max_minor = 160_00
    assert bank.programmes.exposure() == 0
    advance(bank, "approved")
    assert bank.programmes.exposure() == 160_00
    advance(bank, "allotted")
    bank.programmes.exposure_max_minor = 1_00
    with pytest.raises(UsageError, match="more than the maximum"):
        bank.programmes.drop(NAME, signers=bank.signers(NORTH), who=person(bank, NORTH))


def test_the_end_waits_for_the_expiry(at: At) -> None:
    bank = at("dropped")
    with pytest.raises(UsageError, match="expires 2026-11-15 00:00"):
        bank.programmes.expire(NAME)
    with pytest.raises(UsageError, match="is dropped and cannot become closed"):
        bank.programmes.close(NAME, who=person(bank, NORTH))
    with pytest.raises(UsageError, match="is dropped and cannot become cancelled"):
        bank.programmes.cancel(NAME, who=person(bank, NORTH))
    bank.set_clock(moment(15))
    expired = bank.programmes.occurrence(NAME)
    assert expired.state == states.EXPIRED
    assert bank.programmes.expire(NAME) == expired
    closed = bank.programmes.close(NAME, who=person(bank, NORTH))
    assert bank.programmes.close(NAME, who=person(bank, NORTH)) == closed


def test_a_dry_run_does_what_the_steps_do(at: At) -> None:
    bank = at("drawn")
    register = bank.programmes.registered
    assert isinstance(register, Register)
    digest, frame = bank.stores.ledger.digest(), bank.stores.ledger.sequencer.frame_times.size - 1
    wallets = {each: register.wallet_of(each).account for each in members(bank)}
    tried = bank.programmes.dry_run(NAME, wallets=wallets)
    assert bank.stores.ledger.digest() == digest  # nothing was written
    assert (tried.frame, tried.is_invented, tried.members, tried.minor) == (frame, False, 5, 160_00)
    assert [each.name for each in tried.steps] == ["terms", "members", "seal", "drop", "claims", "expiry"]
    assert tried.ok
    assert tried.refused_claims == {}
    assert {each.supply_minor for each in tried.steps} == {tried.supply_minor}
    assert [each.funder_minor for each in tried.steps] == [1_000_00] * 3 + [840_00] * 2 + [1_000_00]
    for stage in ("approved", "allotted", "dropped"):
        advance(bank, stage)
    assert bank.stores.ledger.balance(funder(bank)) == tried.steps[3].funder_minor
    assert bank.stores.ledger.supply("CNY") == tried.supply_minor
    assert [each.name for each in bank.programmes.dry_run(NAME).steps] == ["expiry"]


def test_a_dry_run_of_a_draft_says_what_stands_in_the_way(at: At) -> None:
    bank = at("funded")
    north, signers = person(bank, NORTH), bank.signers(NORTH)
    bank.programmes.draft(FILE, funder=funder(bank), maker=north)
    bank.funders.pay_out(funder(bank), 950_00, signers=signers, who=north).require_created("it is paid out")
    bank.programmes.exposure_max_minor = 100_00
    tried = bank.programmes.dry_run(NAME)
    assert (tried.is_invented, tried.members, tried.ok) == (True, 5, False)
    assert [(each.name, each.count, each.minor) for each in tried.shares] == [("large", 2, 50_00), ("small", 3, 20_00)]
    assert tried.problems == (
        "the funder has 50.00 CNY, 110.00 CNY less than the packets",
        "unspent packets and vouchers would be 160.00 CNY, above the maximum of 100.00 CNY",
    )
    by_name = {each.name: each.refused for each in tried.steps}
    assert by_name["drop"] == {"EXCEEDS_BALANCE": 2}
    bank.set_clock(moment(15))
    late = bank.programmes.dry_run(NAME)
    assert "the time of registration is over" in late.problems
    assert {each.name: each.refused for each in late.steps}["drop"] == {"PROGRAMME_EXPIRED": 2}
    with pytest.raises(UsageError, match="the registration of autumn-2026 ended"):
        bank.programmes.open_registration(NAME, who=north)


def test_a_dry_run_finds_claims_that_would_be_refused(at: At) -> None:
    bank = at("drawn")
    register = bank.programmes.registered
    assert isinstance(register, Register)
    chosen = members(bank)
    wallets = {each: register.wallet_of(each).account for each in chosen}
    closing = bank.directory.get(wallets[chosen[0]])
    key = {2: NORTH, 3: SOUTH}[closing.operator]
    bank.changes.close(closing.account, signers=bank.signers(key), who=person(bank, key))
    tried = bank.programmes.dry_run(NAME, wallets=wallets)
    assert tried.refused_claims == {closing.account: "CREDIT_ACCOUNT_CLOSED"}
    assert not tried.ok


@pytest.mark.parametrize("interrupt", ["cancel", "halt"])
def test_a_drop_does_not_pass_a_cancel_or_a_halt_after_its_check(
    at: At, monkeypatch: pytest.MonkeyPatch, interrupt: str
) -> None:
    """Another person's request comes between the check of the drop and its intent."""
    bank = at("allotted")
    programmes, north, perform = bank.programmes, person(bank, NORTH), bank.programmes._perform

    def interrupted(*arguments: Any) -> None:
        monkeypatch.undo()
        if interrupt == "cancel":
            programmes.cancel(NAME, who=north)
        else:
            programmes.halt(NAME, "stop", who=north)
        perform(*arguments)

    monkeypatch.setattr(programmes, "_perform", interrupted)
    with pytest.raises(UsageError, match="is cancelled" if interrupt == "cancel" else "is halted"):
        programmes.drop(NAME, signers=bank.signers(NORTH), who=north)
    assert bank.stores.ledger.balance(funder(bank)) == 1_000_00
    assert bank.check() == []


def test_a_drop_that_waits_for_the_ledger_cannot_be_cancelled(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = at("allotted")
    programmes, north = bank.programmes, person(bank, NORTH)
    submit, refused = Sequencer.submit, []

    def slow(*arguments: Any, **named: Any) -> Any:
        monkeypatch.undo()
        with pytest.raises(BusyError, match="is being dropped") as caught:
            programmes.cancel(NAME, who=north)
        refused.append(caught.value)
        return submit(*arguments, **named)

    monkeypatch.setattr(Sequencer, "submit", slow)
    assert programmes.drop(NAME, signers=bank.signers(NORTH), who=north).state == states.DROPPED
    assert len(refused) == 1
    assert bank.check() == []


@pytest.mark.parametrize("step", ["close", "cancel"])
def test_the_end_of_an_occurrence_and_of_its_programme_are_one(at: At, step: str) -> None:
    """A kill between the two would leave a programme that runs for ever."""
    bank = at("dropped" if step == "close" else "frozen")
    if step == "close":
        bank.set_clock(moment(15))
    seen: list[tuple[str, str]] = []

    def committing(connection: Connection) -> None:
        programme = connection.exec_driver_sql("SELECT state FROM programmes_programmes").scalar_one()
        occurrence = connection.exec_driver_sql("SELECT state FROM programmes_occurrences").scalar_one()
        seen.append((programme, occurrence))

    event.listen(bank.stores.engine, "commit", committing)
    getattr(bank.programmes, step)(NAME, who=person(bank, NORTH))
    ended = {"close": states.CLOSED, "cancel": states.CANCELLED}[step]
    assert seen[-1] == (ended, ended)
    assert {programme for programme, occurrence in seen if occurrence == ended} == {ended}


def test_a_dry_run_does_not_take_the_memory_that_the_bank_needs(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = at("allotted")
    monkeypatch.setattr(frozen, "available_bytes", lambda: 0)
    with pytest.raises(UnavailableError, match="a copy of the ledger's state takes"):
        bank.programmes.dry_run(NAME)
