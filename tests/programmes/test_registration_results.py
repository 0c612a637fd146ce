"""After the draw: successors, holders of packets, receipts, the support look-up, and the shredding."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.bank import planting, world
from tests.programmes.registering import ANN, BOB, CASEWORKER, NAME, NORTH, SOUTH, drawn, person, prepared, registering
from tests.programmes.world import ACCOUNTS, FILE, funder, moment

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.errors import NotFound, UsageError
from sycee.core.records.proposal_format import Proposal
from sycee.database.events import events_after
from sycee.database.transactions import write
from sycee.personal.access import Access, Reason
from sycee.programmes import draw, draw_files
from sycee.programmes.registration_entering import Receipt
from sycee.programmes.registration_results import Looked

PEOPLE = 9
PLANTED = 4  # this person's phone and document are the planted ones
DOCUMENT = "77465129774651297"


def document(number: int) -> str:
    return DOCUMENT if number == PLANTED else str(10**16 + number)


def phone(number: int) -> str:
    return planting.PHONE if number == PLANTED else f"+861390000{number:04}"


@cache
def prepared_draw() -> world.Copies:
    """A closed bank whose nine people are drawn."""
    folder = world.temporary_folder()
    prepared("").copy(folder)
    with Bank.open(folder / "bank") as made:
        path = folder / "people.csv"
        lines = [f"{document(n)},{phone(n)},{('north', 'south')[n % 2]},{ids.format(n + 1)}" for n in range(PEOPLE)]
        path.write_text("document,phone,bank,wallet\n" + "\n".join(lines) + "\n")
        made.registrations.register_file(NAME, 0, path, who=person(made, NORTH), is_confirmed=True)
        path.unlink()
        drawn(made)
    return world.Copies(folder, "")


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    prepared_draw().copy(tmp_path)
    with Bank.open(tmp_path / "bank") as made:
        yield made


def receipt_of(bank: Bank, entry: int) -> Receipt:
    return bank.registration_results.receipt(NAME, 0, entry, access=access(bank))


def access(bank: Bank) -> Access:
    """An access of a caseworker with an open case."""
    who = person(bank, CASEWORKER)
    customer = bank.directory.get(ids.to_int(ACCOUNTS[0])).holder
    case = bank.cases.open("complaint", by=who, person=customer, id=ids.new(3))
    return Access(who, Reason.COMPLAINT, case)


def look(bank: Bank, entry: int) -> Looked:
    (found,) = bank.registration_results.lookup(NAME, access=access(bank), entry=entry)
    return found


def ranked(bank: Bank) -> list[int]:
    """Entries by rank: five of them win, two large and three small packets."""
    return sorted(range(PEOPLE), key=lambda entry: look(bank, entry).rank or 0)


def withdraw(bank: Bank, entry: int, **options: bool) -> None:
    bank.registrations.withdraw(NAME, 0, entry, who=desk_of(bank, entry), **options)


def desk_of(bank: Bank, entry: int) -> int:
    """Return a person at the desk of an entry's bank."""
    return person(bank, (NORTH, SOUTH)[entry % 2])


def exclude(bank: Bank, entry: int) -> None:
    """Exclude an entry, with a second person."""
    assert bank.registrations.exclude(NAME, 0, [entry], reason="staff", who=desk_of(bank, entry)) == 0
    (waiting,) = bank.registrations.removals(NAME, state="waiting")
    bank.registrations.decide_removal(waiting.number, is_allowed=True, who=person(bank, CASEWORKER))


def propose(bank: Bank) -> Proposal:
    return bank.programmes.propose_terms(NAME, maker=person(bank, ANN))


def allot(bank: Bank) -> list[int]:
    """Approve and allot; return the entries of the members in cohort order."""
    proposal = propose(bank)
    assert bank.proposals.sign(proposal.id, ANN, BOB).needs == ()
    signers, who = bank.signers(NORTH), person(bank, NORTH)
    bank.programmes.allot(NAME, signers=signers, who=who)
    members = [member for _, member in bank.registration_results.members(NAME, 0)]
    assert [ids.to_int(each) for each in bank.programmes.cohort_of(NAME).members] == members
    return [bank.registration_results.wallet_of(NAME, 0, member) - 1 for member in members]


# --- successors ---------------------------------------------------------------------------------------------------


def test_without_withdrawals_the_winners_have_the_packets_and_there_is_no_file(bank: Bank) -> None:
    winners = ranked(bank)[:5]
    assert allot(bank) == winners
    assert not (files(bank) / draw_files.SUCCESSIONS).exists()
    with pytest.raises(UsageError, match="is allotted: packets are assigned after its draw"):
        bank.registration_results.assign_packets(NAME)
    with pytest.raises(UsageError, match="its entries do not change") as caught:
        withdraw(bank, winners[0])
    assert "does not claim it" in str(caught.value.hint)


def files(bank: Bank) -> Path:
    return bank.programmes.files_of(bank.programmes.occurrence(NAME))


def test_the_next_tickets_follow_those_who_leave(bank: Bank) -> None:
    order = ranked(bank)
    withdraw(bank, order[1])
    withdraw(bank, order[5])  # no winner, and reached by the second succession only
    withdraw(bank, order[3], is_lapse=True)
    exclude(bank, order[8])
    assert bank.registration_results.assign_packets(NAME) == 3
    # Another one leaves before the terms: it is computed anew.
    exclude(bank, order[0])
    assert bank.registration_results.assign_packets(NAME) == 5  # the last one finds no further ticket
    proposal = propose(bank)
    shown = proposal.effect
    assert (shown["successions"], shown["succession_causes"]) == (5, "2 excluded, 1 lapsed, 2 withdrawn")
    bank.proposals.withdraw(proposal.id, by=person(bank, ANN))
    assert allot(bank) == [order[6], order[7], order[2], order[4]]
    assert draw.verify(files(bank)).ok
    assert look(bank, order[6]).follows == 6
    assert look(bank, order[6]).answer == "you have the packet large, which is not paid yet"
    assert look(bank, order[1]).answer == "your registration is withdrawn"
    assert look(bank, order[3]).answer == "your registration is lapsed: no-answer"
    assert look(bank, order[0]).answer == "your registration is excluded: staff"


def test_only_the_own_bank_lets_an_entry_leave_after_the_draw(bank: Bank) -> None:
    entry = ranked(bank)[0]
    other, own = desk_of(bank, entry + 1), desk_of(bank, entry)
    with pytest.raises(UsageError, match=rf"is frozen, and entry {entry} chose (North|South) Bank"):
        bank.registrations.withdraw(NAME, 0, entry, who=other)
    with pytest.raises(UsageError, match="is frozen"):
        bank.registrations.exclude(NAME, 0, [entry], reason="other", who=other)
    withdraw(bank, entry)
    withdraw(bank, entry)
    (left,) = bank.registrations.removals(NAME)
    assert (left.entry, left.kind, left.state, left.who) == (entry, "withdrawn", "left", own)
    (event,) = [each for each in events_after(bank.stores.engine, 0, most=1_000) if each.kind == "programme.removal"]
    wanted = {
        "occurrence": 0,
        "removal": left.number,
        "entry": entry,
        "kind": "withdrawn",
        "reason": "",
        "state": "left",
    }
    assert (event.operator, event.data) == (None, wanted)


def test_an_exclusion_after_the_draw_waits_for_a_second_person(bank: Bank) -> None:
    entry = ranked(bank)[0]
    own, caseworker = desk_of(bank, entry), person(bank, CASEWORKER)
    for _ in range(2):
        assert bank.registrations.exclude(NAME, 0, [entry], reason="other", who=own) == 0
    (waiting,) = bank.registrations.removals(NAME, state="waiting")
    assert look(bank, entry).entry.state == "confirmed"
    with pytest.raises(UsageError, match="1 exclusions wait for their second person"):
        propose(bank)
    with pytest.raises(UsageError, match="may not request"):
        bank.registrations.decide_removal(waiting.number, is_allowed=True, who=own)
    for _ in range(2):
        assert bank.registrations.decide_removal(waiting.number, is_allowed=False, who=caseworker).state == "refused"
    with pytest.raises(UsageError, match="decided before: refused"):
        bank.registrations.decide_removal(waiting.number, is_allowed=True, who=caseworker)
    with pytest.raises(NotFound, match="no removal 99"):
        bank.registrations.decide_removal(99, is_allowed=True, who=caseworker)
    assert entry in allot(bank)


def test_nobody_leaves_while_the_terms_wait_for_signatures(bank: Bank) -> None:
    order = ranked(bank)
    propose(bank)
    with pytest.raises(UsageError, match=r"the packets of .* are assigned") as caught:
        withdraw(bank, order[0])
    assert "`sycee proposal withdraw`" in str(caught.value.hint)
    with pytest.raises(UsageError, match=r"the packets of .* are assigned"):
        bank.registration_results.assign_packets(NAME)


def test_from_a_file_to_the_shredding_on_both_databases(tmp_path: Path, where: str) -> None:
    with registering(tmp_path, where) as bank:
        path = tmp_path / "people.csv"
        path.write_text("document,phone,bank\n" + "".join(f"{n},{phone(n)},north\n" for n in (1, 2, 3, 4, 5, 6, 1)))
        bank.registrations.register_file(NAME, 0, path, who=person(bank, NORTH), is_confirmed=True)
        late = bank.registrations.register(NAME, who=person(bank, NORTH), document="7", phone=phone(2), bank="north")
        assert late.reason == "same-phone"
        bank.registrations.withdraw(NAME, 0, late.entry, who=person(bank, NORTH))
        drawn(bank)
        assert bank.programmes.occurrence(NAME).entries == 6
        (first,) = [entry for entry in range(6) if look(bank, entry).rank == 1]
        bank.registrations.withdraw(NAME, 0, first, who=person(bank, NORTH))  # every entry of the file chose North
        proposal = propose(bank)
        assert bank.proposals.sign(proposal.id, ANN, BOB).needs == ()
        signers, who = bank.signers(NORTH), person(bank, NORTH)
        bank.programmes.allot(NAME, signers=signers, who=who)
        assert len(bank.registration_results.members(NAME, 0)) == 5
        bank.set_clock(moment(15))
        assert rows(bank, "SELECT count(*) FROM programmes_parts") == [(0,)]
        assert bank.check() == []


# --- claims -------------------------------------------------------------------------------------------------------


def test_who_a_member_is(bank: Bank) -> None:
    results = bank.registration_results
    entries = allot(bank)
    members = dict(zip(entries, (member for _, member in results.members(NAME, 0)), strict=True))
    entry = entries[0]
    member = members[entry]
    assert results.banks_of(NAME, 0, [member]) == [("north", "south")[entry % 2]]
    # The person's phone in this bank is that of the registration.
    own = [bank.directory.get(ids.to_int(account)).holder for account in ACCOUNTS]
    is_same = results.are_persons(NAME, 0, [member] * len(own), own)
    same = [each for each, is_one in zip(own, is_same, strict=True) if is_one]
    assert same == ([] if entry == PLANTED else [own[entry]])
    assert results.members(NAME, 0, after=0, most=2) == [(1, members[entries[1]]), (2, members[entries[2]])]
    with pytest.raises(NotFound, match="has no packet"):
        results.banks_of(NAME, 0, [1])


def test_the_cohort_on_the_ledger_is_compared_with_the_registrations(bank: Bank) -> None:
    allot(bank)
    assert bank.check() == []
    statement = "UPDATE programmes_holders SET member = randomblob(16) WHERE place = 2"
    write(bank.stores.engine, lambda connection: connection.exec_driver_sql(statement))
    (found,) = bank.check()
    assert found == "the members of occurrence 0 of autumn-2026 on the ledger are not those of its registrations"


# --- reading identities -------------------------------------------------------------------------------------------


def test_a_receipt_again_and_the_published_list_agree(bank: Bank) -> None:
    results, number = bank.registration_results, bank.access.head()[0]
    receipt = results.receipt(NAME, 0, 3, access=access(bank))
    found = draw.check_entry(files(bank), receipt.document, receipt.phone, receipt.salt)
    assert (found.ok, found.index, found.rank) == (True, look(bank, 3).position, look(bank, 3).rank)
    entries = bank.access.entries(after=number)
    assert [each.fields for each in entries] == [("programme-receipt",), ("programme-entry",), ("programme-entry",)]
    assert {each.who for each in entries} == {person(bank, CASEWORKER)}


def test_the_support_look_up(bank: Bank) -> None:
    results, order = bank.registration_results, ranked(bank)
    loser = order[5]
    (by_phone,) = results.lookup(NAME, access=access(bank), phone=phone(loser))
    (by_document,) = results.lookup(NAME, access=access(bank), document=document(loser))
    assert by_phone == by_document == look(bank, loser)
    assert by_phone.answer == "you took part: rank 6 of 9, and the first 5 won"
    assert (by_phone.bank, by_phone.stratum) == (("north", "south")[loser % 2], "everybody")
    assert results.lookup(NAME, access=access(bank), phone="+8613911111111") == []
    with pytest.raises(UsageError, match="needs an entry, a document or a phone"):
        results.lookup(NAME, access=access(bank))
    with pytest.raises(UsageError, match="that is no phone"):
        results.lookup(NAME, access=access(bank), phone="yes")
    number = bank.access.head()[0]
    with pytest.raises(UsageError, match="needs an open case"):
        results.lookup(NAME, access=Access(person(bank, CASEWORKER), Reason.COMPLAINT, 99), entry=0)
    with pytest.raises(UsageError, match="may not"):
        results.receipt(NAME, 0, 0, access=Access(person(bank, ANN), Reason.COMPLAINT, access(bank).case))
    assert bank.access.head()[0] == number  # nothing was shown
    entries = allot(bank)
    winner = look(bank, entries[0])
    assert winner.packet is not None
    assert (winner.packet.name, winner.packet.minor, winner.packet.purse) == ("large", 50_00, "")
    bank.programmes.drop(NAME, signers=bank.signers(NORTH), who=person(bank, NORTH))
    assert look(bank, entries[0]).answer == "you have the packet large: dropped"
    assert look(bank, entries[4]).answer == "you have the packet small: dropped"


def test_support_before_the_draw(tmp_path: Path) -> None:
    with registering(tmp_path) as bank:
        who = person(bank, NORTH)
        for number in ("1", "2"):
            bank.registrations.register(NAME, who=who, document=number, phone="+8613900000001", bank="north")
        appeal = bank.appeals.file(NAME, 0, 1, "We are a family.", who=who)
        assert look(bank, 0).answer == "your registration is registered"
        told = look(bank, 1)
        assert told.answer == "your registration is a duplicate (same-phone) of one that is registered"
        assert told.appeals == ("open",)
        bank.appeals.decide(appeal.id, is_allowed=False, answer="no", who=person(bank, CASEWORKER))
        assert look(bank, 1).appeals == ("refused",)


# --- shredding ----------------------------------------------------------------------------------------------------


def readable(where: Path, salts: list[bytes]) -> list[str]:
    """Where the planted document, the phone or a salt is readable, as text or as a number of eight bytes."""
    numbers = [int(DOCUMENT), int(phone(PLANTED)[1:])]
    values = [form for number in numbers for form in planting.forms(str(number))] + salts
    values += [number.to_bytes(8, order) for number in numbers for order in ("little", "big")]
    places = []
    for path in where.rglob("*"):
        if path.is_file():
            content = path.read_bytes().replace(bytes(4_096), b"")  # a segment of the journal is mostly zeros
            places += [f"{value!r} in {path}" for value in values if value in content]
    return places


def test_losers_are_shredded_and_the_list_stays(bank: Bank, tmp_path: Path) -> None:
    order = ranked(bank)
    withdraw(bank, order[0])
    receipts = [receipt_of(bank, entry) for entry in range(PEOPLE)]
    entries = allot(bank)
    assert entries == [order[5], *order[1:5]]
    with pytest.raises(UsageError, match="are kept until the date in the file"):
        bank.registration_results.shred(NAME)
    before = files_of(bank)
    secrets = tmp_path / "bank" / "people.keys"
    bank.set_clock(moment(15))  # expiry, and the job
    assert files_of(bank) == before
    assert draw.verify(files(bank)).ok
    for entry in range(PEOPLE):
        if entry in entries:
            assert receipt_of(bank, entry) == receipts[entry]
            assert look(bank, entry).rank is not None
        else:
            with pytest.raises(UsageError, match="were shredded"):
                receipt_of(bank, entry)
            assert look(bank, entry).rank is None
        # With the receipt, a registrant still finds the entry.
        receipt = receipts[entry]
        assert draw.check_entry(files(bank), receipt.document, receipt.phone, receipt.salt).ok
    with pytest.raises(UsageError, match="were shredded"):
        bank.registration_results.lookup(NAME, access=access(bank), phone=phone(0))
    bank.registration_results.shred(NAME)
    assert readable(tmp_path, [receipts[entry].salt for entry in range(PEOPLE) if entry not in entries]) == []
    # Neither key file has the key of the list; both have that of the members.
    (row,) = rows(bank, "SELECT secret, kept_secret FROM programmes_lists")
    for path in (secrets, tmp_path / "people-backup" / "people.keys"):
        with closing(sqlite3.connect(path)) as connection:
            found = {each for (each,) in connection.execute("SELECT person FROM personal_keys_secrets")}
        assert (row[0] in found, row[1] in found) == (False, True)
    with pytest.raises(NotFound, match="was shredded"):
        bank.personal_keys.key_of(int.from_bytes(row[0], "big"))
    assert rows(bank, "SELECT count(*) FROM programmes_parts") == [(0,)]
    assert rows(bank, "SELECT count(*) FROM programmes_entry_keys") == [(0,)]
    assert bank.check() == []


def rows(bank: Bank, query: str) -> list[tuple[Any, ...]]:
    with bank.stores.engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def files_of(bank: Bank) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in files(bank).iterdir()}


def test_an_interrupted_shredding_is_finished_by_the_next_opening(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    allot(bank)
    folder = bank.folder.path
    monkeypatch.setattr(type(bank.personal_keys), "shred", lambda *_: None)  # the process ends before
    bank.set_clock(moment(15))
    (row,) = rows(bank, "SELECT secret FROM programmes_lists")
    secret = int.from_bytes(row[0], "big")
    assert bank.personal_keys.has(secret)
    bank.close()
    monkeypatch.undo()
    with Bank.open(folder) as again:
        assert not again.personal_keys.has(secret)


def test_a_cancelled_programme_is_shredded_wholly(tmp_path: Path) -> None:
    with registering(tmp_path) as bank:
        who = person(bank, NORTH)
        bank.registrations.register(NAME, who=who, document="1", bank="north")
        bank.programmes.cancel(NAME, who=who)
        bank.set_clock(moment(15))
        assert rows(bank, "SELECT count(*) FROM programmes_parts") == [(0,)]
        with pytest.raises(UsageError, match="were shredded"):
            receipt_of(bank, 0)


# --- zones --------------------------------------------------------------------------------------------------------


def test_a_later_zone_excludes_who_has_a_packet(bank: Bank) -> None:
    entries = allot(bank)
    text = FILE.replace("autumn-2026", "winter-2026").replace("2026-11-", "2026-12-")
    text = text.replace("[registration]\n", '[registration]\nexcludes_holders_of = ["autumn-2026"]\n')
    who = person(bank, NORTH)
    bank.programmes.draft(text, funder=funder(bank), maker=who)
    bank.set_clock(moment(33, 9))  # also after the shredding
    bank.programmes.open_registration("winter-2026", who=who)
    for number in range(PEOPLE):
        bank.registrations.register("winter-2026", who=who, document=document(number), bank="north")
    assert bank.registrations.screen("winter-2026").excluded == 5
    found = bank.registrations.entries("winter-2026", state="excluded")
    assert [each.entry for each in found] == sorted(entries)
    assert {each.reason for each in found} == {"has-won"}


def test_nobody_holds_a_packet_of_a_cancelled_occurrence(bank: Bank) -> None:
    """A programme for those without a packet takes everybody, the look-up names no packet, and all are shredded."""
    proposal = propose(bank)
    bank.proposals.withdraw(proposal.id, by=person(bank, ANN))
    who = person(bank, NORTH)
    bank.programmes.cancel(NAME, who=who)
    assert {look(bank, entry).packet for entry in range(PEOPLE)} == {None}
    text = FILE.replace("autumn-2026", "winter-2026").replace("2026-11-", "2026-12-")
    text = text.replace("[registration]\n", '[registration]\nexcludes_holders_of = ["autumn-2026"]\n')
    bank.programmes.draft(text, funder=funder(bank), maker=who)
    bank.set_clock(moment(33, 9))
    for entry in range(PEOPLE):
        with pytest.raises(UsageError, match="were shredded"):
            receipt_of(bank, entry)
    bank.programmes.open_registration("winter-2026", who=who)
    for number in range(PEOPLE):
        bank.registrations.register("winter-2026", who=who, document=document(number), bank="north")
    assert bank.registrations.screen("winter-2026").excluded == 0
