"""Registration of one person: receipt, duplicates, check, code, deadlines, exclusion, withdrawal, appeals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.programmes.registering import (
    ANN,
    BOB,
    CASEWORKER,
    CLOSES_NS,
    HOUR_NS,
    NAME,
    NORTH,
    NOW_NS,
    OTHER_CASEWORKER,
    enter,
    person,
    registering,
)
from tests.programmes.world import ACCOUNTS, FILE, funder

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.errors import NotFound, UsageError
from sycee.core.keys import SigningKey
from sycee.database.transactions import write
from sycee.identity.duties import Duty
from sycee.personal.access import Access, Reason
from sycee.programmes.registration_entering import Receipt

DOCUMENT = "44030119800101001"
PHONE = "+86 138 0000 0001"
CLERK = SigningKey.derive(bytes([33]) * 32)


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    with registering(tmp_path) as made:
        yield made


def register(
    bank: Bank, document: str = DOCUMENT, phone: str = PHONE, bank_name: str = "north", id: int = 0
) -> Receipt:
    who = person(bank, NORTH)
    return bank.registrations.register(NAME, who=who, document=document, phone=phone, bank=bank_name, id=id)


def code_of(bank: Bank, entry: int) -> str:
    ((_, code),) = bank.registrations.check(NAME, who=person(bank, NORTH), entries=[entry])
    return code


def confirm(bank: Bank, entry: int, code: str) -> str | None:
    refused = bank.registrations.confirm(NAME, 0, [(entry, code)], who=person(bank, NORTH)).get(entry)
    return None if refused is None else refused.message


def confirmed(bank: Bank, document: str, phone: str = "", bank_name: str = "north") -> int:
    entry = register(bank, document, phone, bank_name).entry
    assert confirm(bank, entry, code_of(bank, entry)) is None
    return entry


def shown(bank: Bank, entry: int) -> tuple[str, str]:
    found = bank.registrations.entry(NAME, 0, entry)
    return found.state, found.reason


# --- one person ---------------------------------------------------------------------------------------------------


def test_a_receipt_has_the_salt_and_the_same_request_gives_the_same_receipt(bank: Bank) -> None:
    id = ids.new(1)
    first = register(bank, id=id)
    assert register(bank, id=id) == first
    assert (first.entry, first.state, first.reason) == (0, "registered", "")
    assert first.members() == {"document": DOCUMENT, "phone": "8613800000001", "salt": first.salt.hex()}
    assert len(first.salt) == 32
    with pytest.raises(UsageError, match="of another registration"):
        register(bank, phone="+8613800000002", id=id)
    assert "13800000001" not in repr(first)
    assert bank.check() == []


@pytest.mark.parametrize(
    ("document", "phone", "bank_name", "message", "hint"),
    [
        ("", "", "north", "there is no identity key", None),
        ("4403X1", "", "north", "the document is not a number", None),
        ("18446744073709551616", "", "north", "the document is not a number", None),
        ("", "+86 12", "north", "the phone is not", None),
        ("", "13800000001 or so", "north", "the phone is not", None),
        (DOCUMENT, "", "East Bank", "the bank is not an operator", "one of north, south"),
        (DOCUMENT, "", "", "the column bank is missing", "needs document, phone, bank"),
    ],
)
def test_a_person_who_cannot_be_registered(
    bank: Bank, document: str, phone: str, bank_name: str, message: str, hint: str | None
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        register(bank, document, phone, bank_name)
    assert hint is None or hint in str(caught.value.hint)
    assert not any(given and given in caught.value.message for given in (document, phone))  # it may be logged
    assert bank.registrations.counts(NAME) == {}
    assert bank.registrations.entries(NAME) == []
    with pytest.raises(NotFound, match="have no entry 0"):
        bank.registrations.entry(NAME, 0, 0)


def test_only_inside_the_window_and_in_registration(bank: Bank) -> None:
    bank.set_clock(CLOSES_NS - 1)
    assert register(bank).entry == 0
    bank.set_clock(CLOSES_NS)
    with pytest.raises(UsageError, match="outside the window") as caught:
        register(bank, "2")
    assert "from 2026-11-03 08:00:00+08:00 until 2026-11-05 00:00:00+08:00" in str(caught.value.hint)
    enter(bank, "frozen")
    for step in (
        lambda: register(bank, "2"),
        lambda: bank.registrations.check(NAME, who=person(bank, NORTH)),
        lambda: confirm(bank, 0, "123456"),
        lambda: bank.registrations.screen(NAME),
        lambda: bank.appeals.file(NAME, 0, 0, "why?", who=person(bank, NORTH)),
    ):
        with pytest.raises(UsageError, match="is frozen: its list does not change now"):
            step()
    with pytest.raises(NotFound, match="no programme"):
        bank.registrations.register("spring", who=person(bank, NORTH), document=DOCUMENT)


def test_who_may_register_and_who_may_decide(bank: Bank) -> None:
    for who in (person(bank, ANN), person(bank, CASEWORKER)):
        with pytest.raises(UsageError, match="may not"):
            bank.registrations.register(NAME, who=who, document=DOCUMENT, bank="north")
    register(bank)
    register(bank, "2")
    appeal = bank.appeals.file(NAME, 0, 1, "we are a family", who=person(bank, NORTH))
    with pytest.raises(UsageError, match="may not"):
        bank.appeals.decide(appeal.id, is_allowed=True, answer="yes", who=person(bank, NORTH))


# --- check and code -----------------------------------------------------------------------------------------------


def test_check_and_code(bank: Bank) -> None:
    entry = register(bank).entry
    code = code_of(bank, entry)
    assert len(code) == 6
    assert code_of(bank, entry) == code
    wrong = f"{(int(code) + 1) % 10**6:06}"
    assert confirm(bank, entry, wrong) == f"the code of entry {entry} is another one of 6 digits"
    assert confirm(bank, entry, code) is None
    assert confirm(bank, entry, code) is None
    assert shown(bank, entry) == ("confirmed", "")
    with pytest.raises(UsageError, match="entry 0 is confirmed"):
        code_of(bank, entry)
    with pytest.raises(NotFound, match="no entry 5"):
        code_of(bank, 5)


def test_everybody_who_waits_is_checked_at_once_and_each_has_a_code(bank: Bank) -> None:
    for number in range(1, 6):
        register(bank, str(number), "")
    codes = bank.registrations.check(NAME, who=person(bank, NORTH))
    assert [entry for entry, _ in codes] == [0, 1, 2, 3, 4]
    assert len({code for _, code in codes}) > 1
    assert bank.registrations.confirm(NAME, 0, codes, who=person(bank, NORTH)) == {}
    assert bank.registrations.counts(NAME) == {("confirmed", ""): 5}
    assert bank.registrations.check(NAME, who=person(bank, NORTH)) == []


@pytest.mark.parametrize(("late_ns", "state"), [(-1, ("checked", "")), (0, ("lapsed", "not-checked"))])
def test_the_check_is_within_two_hours(bank: Bank, late_ns: int, state: tuple[str, str]) -> None:
    entry = register(bank).entry
    bank.set_clock(NOW_NS + 2 * HOUR_NS + late_ns)
    if state[0] == "lapsed":
        with pytest.raises(UsageError, match="entry 0 is lapsed: not-checked"):
            code_of(bank, entry)
    else:
        code_of(bank, entry)
    assert shown(bank, entry) == state


@pytest.mark.parametrize(("late_ns", "state"), [(-1, ("confirmed", "")), (0, ("lapsed", "no-code"))])
def test_the_code_is_within_six_hours_of_the_check(bank: Bank, late_ns: int, state: tuple[str, str]) -> None:
    entry = register(bank).entry
    bank.set_clock(NOW_NS + HOUR_NS)
    code = code_of(bank, entry)
    bank.set_clock(NOW_NS + 7 * HOUR_NS + late_ns)
    problem = confirm(bank, entry, code)
    assert problem == (None if state[0] == "confirmed" else "entry 0 is lapsed: no-code")
    assert shown(bank, entry) == state


def test_deadlines_pass_without_anybody_who_asks(bank: Bank) -> None:
    for number in range(1, 3):
        register(bank, str(number), "")
    code_of(bank, 1)
    bank.set_clock(NOW_NS + 2 * HOUR_NS)  # runs the job
    assert [shown(bank, entry) for entry in (0, 1)] == [("lapsed", "not-checked"), ("checked", "")]
    bank.set_clock(NOW_NS + 6 * HOUR_NS)
    assert shown(bank, 1) == ("lapsed", "no-code")
    assert [each.entry for each in bank.registrations.entries(NAME, state="lapsed")] == [0, 1]


def test_a_refused_code_names_the_next_step(bank: Bank) -> None:
    def hint(entry: int, code: str = "000000") -> str:
        (refused,) = bank.registrations.confirm(NAME, 0, [(entry, code)], who=person(bank, NORTH)).values()
        return refused.hint or ""

    entry = register(bank).entry
    assert "sycee drop check-entries" in hint(entry)
    wrong = f"{(int(code_of(bank, entry)) + 1) % 10**6:06}"
    assert (
        hint(entry, wrong) == "the code is in the message to the registrant's phone; the fifth wrong one ends the entry"
    )
    assert [hint(entry, wrong) for _ in range(4)][-1] == "an appeal can restore it: `sycee drop appeal`"


def test_five_wrong_codes_end_an_entry(bank: Bank) -> None:
    entry = register(bank).entry
    code = code_of(bank, entry)
    wrong = f"{(int(code) + 1) % 10**6:06}"
    answers = [confirm(bank, entry, wrong) for _ in range(5)]
    assert answers[:4] == ["the code of entry 0 is another one of 6 digits"] * 4
    assert answers[4] == "the code of entry 0 was wrong 5 times: the entry lapsed"
    assert confirm(bank, entry, code) == "entry 0 is lapsed: wrong-codes"


# --- one chance ---------------------------------------------------------------------------------------------------


def test_a_second_registration_is_a_duplicate_and_is_told_so_at_once(bank: Bank) -> None:
    assert register(bank, "1", "+8613800000001").state == "registered"
    by_phone = register(bank, "2", "+8613800000001")
    by_document = register(bank, "1", "")
    linked = register(bank, "2", "+8613800000002")  # through entry 1, and so the same person
    other = register(bank, "3", "+8613800000003")
    assert [(each.state, each.reason) for each in (by_phone, by_document, linked, other)] == [
        ("duplicate", "same-phone"),
        ("duplicate", "same-document"),
        ("duplicate", "same-document"),
        ("registered", ""),
    ]
    found = [bank.registrations.entry(NAME, 0, entry) for entry in (1, 2, 3)]
    assert [(each.accepted, each.through) for each in found] == [(0, 0), (0, 0), (0, 1)]
    screened = bank.registrations.screen(NAME)
    assert (screened.duplicates, screened.excluded) == (3, 0)
    assert [bank.registrations.entry(NAME, 0, entry) for entry in (1, 2, 3)] == found
    assert [each.entry for each in bank.registrations.entries(NAME, state="duplicate")] == [1, 2, 3]
    assert bank.registrations.counts(NAME) == {
        ("duplicate", "same-document"): 2, ("duplicate", "same-phone"): 1, ("registered", ""): 2,
    }  # fmt: skip


def test_the_next_registration_of_a_person_counts_once_the_first_is_gone(bank: Bank) -> None:
    first, second = register(bank, "1", "+8613800000001"), register(bank, "2", "+8613800000001")
    bank.registrations.withdraw(NAME, 0, first.entry, who=person(bank, NORTH))
    assert bank.registrations.screen(NAME).duplicates == 0
    assert shown(bank, second.entry) == ("registered", "")
    assert shown(bank, first.entry) == ("withdrawn", "")
    bank.registrations.withdraw(NAME, 0, first.entry, who=person(bank, NORTH))
    with pytest.raises(UsageError, match="has not been drawn"):
        bank.registrations.withdraw(NAME, 0, second.entry, who=person(bank, NORTH), is_lapse=True)


def test_screening_runs_when_registration_closes(bank: Bank) -> None:
    confirmed(bank, "1", "+8613800000001")
    duplicate = confirmed(bank, "2", "+8613800000001")
    # As if the early notice had missed it, which it does while a file is read.
    statement = "UPDATE programmes_entries SET accepted = NULL, through = NULL, shared = 0"
    write(bank.stores.engine, lambda connection: connection.exec_driver_sql(statement))
    assert shown(bank, duplicate) == ("confirmed", "")
    bank.set_clock(CLOSES_NS)
    assert shown(bank, duplicate) == ("duplicate", "same-phone")


def staff(bank: Bank, who: int, phone: str, paper: str = "") -> None:
    """Store the personal data of a person."""
    fields = {"name": "Staff", "phone": phone} | ({"paper": paper, "paper_kind": "card"} if paper else {})
    prepared = bank.personal.prepare_one(who, fields)
    write(bank.stores.engine, lambda connection: bank.personal.store_many(connection, prepared))


def test_staff_and_owners_of_merchants_are_excluded(bank: Bank) -> None:
    staff(bank, person(bank, CASEWORKER), "+8613800000007")
    staff(bank, person(bank, OTHER_CASEWORKER), "+8613800000099", "4403 0119")
    owner = ids.new(1)
    staff(bank, owner, "+8613800000008")
    who = person(bank, NORTH)
    bank.institutions.add("merchant", "Tea House", by=who, owners={owner: 1_000_000}, operator=2)
    numbers = [
        confirmed(bank, "1", "+8613800000007"), confirmed(bank, "2", "+8613800000008"), confirmed(bank, "44030119"),
        confirmed(bank, "3", "+8613800000009"),
    ]  # fmt: skip
    assert bank.registrations.screen(NAME).excluded == 3
    assert [shown(bank, entry) for entry in numbers] == [
        ("excluded", "staff"), ("excluded", "merchant-owner"), ("excluded", "staff"), ("confirmed", ""),
    ]  # fmt: skip
    assert bank.registrations.screen(NAME).excluded == 0
    assert bank.registrations.exclude(NAME, 0, [numbers[3]], reason="other", who=who) == 1
    assert shown(bank, numbers[3]) == ("excluded", "other")
    with pytest.raises(UsageError, match="no reason to exclude"):
        bank.registrations.exclude(NAME, 0, [0], reason="red hair", who=who)
    with pytest.raises(NotFound):
        bank.registrations.exclude(NAME, 0, [99], reason="other", who=who)


# --- appeals ------------------------------------------------------------------------------------------------------


def allow(bank: Bank, entry: int, *, is_allowed: bool = True) -> tuple[str, str]:
    appeal = bank.appeals.file(NAME, 0, entry, "We are a family.", who=person(bank, NORTH))
    bank.appeals.decide(appeal.id, is_allowed=is_allowed, answer="As you say.", who=person(bank, CASEWORKER))
    return shown(bank, entry)


def test_a_family_with_one_phone(bank: Bank) -> None:
    for number in ("1", "2", "3"):
        confirmed(bank, number, PHONE)
    assert allow(bank, 1) == ("confirmed", "")
    assert bank.registrations.screen(NAME).duplicates == 1
    assert [shown(bank, entry)[0] for entry in range(3)] == ["confirmed", "confirmed", "duplicate"]
    # The document still connects.
    assert register(bank, "2", "+8613800000005").reason == "same-document"
    assert bank.registrations.screen(NAME).duplicates == 2
    assert allow(bank, 2, is_allowed=False) == ("duplicate", "same-phone")


def test_an_entry_that_lapsed_or_was_excluded_goes_on_where_it_stopped(bank: Bank) -> None:
    first, second = register(bank, "1", "").entry, register(bank, "2", "").entry
    third = confirmed(bank, "3")
    old_code = code_of(bank, second)
    bank.registrations.exclude(NAME, 0, [third], reason="other", who=person(bank, NORTH))
    bank.set_clock(NOW_NS + 8 * HOUR_NS)
    assert allow(bank, first) == ("registered", "")
    assert confirm(bank, first, code_of(bank, first)) is None
    assert allow(bank, second) == ("checked", "")
    code = code_of(bank, second)
    assert code != old_code
    assert confirm(bank, second, code) is None
    assert allow(bank, third) == ("confirmed", "")
    assert bank.registrations.counts(NAME) == {("confirmed", ""): 3}


def test_an_exclusion_that_was_lifted_is_not_repeated(bank: Bank) -> None:
    staff(bank, person(bank, OTHER_CASEWORKER), "+8613800000007")
    entry = confirmed(bank, "1", "+8613800000007")
    assert bank.registrations.screen(NAME).excluded == 1
    assert allow(bank, entry) == ("confirmed", "")
    assert bank.registrations.screen(NAME).excluded == 0


def test_who_decides_an_appeal_is_another_person(bank: Bank) -> None:
    register(bank, "1", "")
    entry = register(bank, "1", "").entry
    id = ids.new(2)
    caseworker = person(bank, CASEWORKER)
    appeal = bank.appeals.file(NAME, 0, entry, "It is another card.", who=caseworker, id=id)
    assert bank.appeals.file(NAME, 0, entry, "It is another card.", who=caseworker, id=id) == appeal
    with pytest.raises(UsageError, match="has an open appeal"):
        bank.appeals.file(NAME, 0, entry, "again", who=caseworker)
    with pytest.raises(UsageError, match="may not decide it"):
        bank.appeals.decide(appeal.id, is_allowed=True, answer="yes", who=caseworker)
    other = person(bank, OTHER_CASEWORKER)
    assert bank.appeals.texts(appeal.id, who=other) == ("It is another card.", "")
    for _ in range(2):  # a repetition changes nothing
        assert bank.appeals.decide(appeal.id, is_allowed=False, answer="It is not.", who=other).state == "duplicate"
    assert bank.appeals.texts(appeal.id, who=other) == ("It is another card.", "It is not.")
    with pytest.raises(UsageError, match="the appeal was refused before"):
        bank.appeals.decide(appeal.id, is_allowed=True, answer="yes", who=other)
    (listed,) = bank.appeals.list(NAME)
    assert (listed.entry, listed.against, listed.state) == (entry, "duplicate: same-document", "refused")
    assert bank.appeals.list(NAME, state="open") == []
    with pytest.raises(UsageError, match="nothing to appeal against"):
        bank.appeals.file(NAME, 0, 0, "why not?", who=caseworker)
    for text in ("", "x" * 2_001):
        with pytest.raises(UsageError, match="characters"):
            bank.appeals.file(NAME, 0, entry, text, who=caseworker)
    with pytest.raises(NotFound, match="no appeal"):
        bank.appeals.decide(5, is_allowed=True, answer="yes", who=other)


# --- the freeze ---------------------------------------------------------------------------------------------------


def test_a_list_is_frozen_when_nothing_may_change_any_more(bank: Bank) -> None:
    confirmed(bank, "1")
    confirmed(bank, "1")
    with pytest.raises(UsageError, match="is open until 2026-11-05 00:00:00"):
        bank.registrations.accepted(NAME)
    bank.set_clock(CLOSES_NS - HOUR_NS)
    late = register(bank, "2", "").entry
    appeal = bank.appeals.file(NAME, 0, 1, "It is not me.", who=person(bank, NORTH))
    bank.set_clock(CLOSES_NS)
    with pytest.raises(UsageError, match="1 appeals are not decided"):
        bank.registrations.accepted(NAME)
    bank.appeals.decide(appeal.id, is_allowed=False, answer="It is.", who=person(bank, CASEWORKER))
    with pytest.raises(UsageError, match=r"1 registrations still have time .* until 2026-11-05 01:00:00"):
        bank.registrations.accepted(NAME)
    assert confirm(bank, late, code_of(bank, late)) is None
    register_again = bank.registrations.accepted(NAME)
    assert register_again.documents.tolist() == [1, 2]
    assert register_again.strata is None
    bank.set_clock(CLOSES_NS + 9 * HOUR_NS)
    assert bank.registrations.accepted(NAME).documents.tolist() == [1, 2]
    enter(bank, "frozen")
    assert bank.registrations.accepted(NAME).documents.tolist() == [1, 2]


def test_a_clerk_of_another_bank_registers_too(bank: Bank) -> None:
    made = bank.appointments.appoint(
        Duty.CLERK, CLERK.public, until_ns=NOW_NS + 10**15, maker=person(bank, ANN),
        institution=bank.institutions.find("operator", "South Bank").id,
    )  # fmt: skip
    bank.proposals.sign(made.id, ANN, BOB)
    receipt = bank.registrations.register(NAME, who=person(bank, CLERK), document="9", bank="South Bank")
    assert bank.registrations.entry(NAME, 0, receipt.entry).bank == 1


# --- modes --------------------------------------------------------------------------------------------------------


def of_mode(mode: str) -> str:
    """FILE as a programme that is not drawn."""
    text = FILE.replace("autumn-2026", "first-2026").replace('zone = "', f'mode = "{mode}"\nzone = "')
    return text[: text.index("[draw]")] + text[text.index("[claim]") :]


def test_first_come_closes_when_it_is_full_and_opens_when_somebody_leaves(bank: Bank) -> None:
    north = person(bank, NORTH)
    bank.programmes.draft(of_mode("first-come"), funder=funder(bank), maker=north)
    bank.programmes.open_registration("first-2026", who=north)
    path = bank.folder.path.parent / "people.csv"
    # Registered later than the person after them.
    path.write_text("document,phone,bank,registered_at\n1,,north,2026-11-03T08:50:00\n2,,north,2026-11-03T08:40:00\n")
    bank.registrations.register_file("first-2026", 0, path, who=north, is_confirmed=True)
    path.write_text("document,phone,bank\n" + "".join(f"{number},,north\n" for number in range(3, 8)))
    imported = bank.registrations.register_file("first-2026", 0, path, who=north, is_confirmed=True)
    assert (imported.registered, imported.refused) == (3, {"FULL": 2})
    assert [str(fault) for fault in imported.faults] == ["row 4: registration is full", "row 5: registration is full"]

    def late() -> int:
        return bank.registrations.register("first-2026", who=north, document="9", bank="north").entry

    with pytest.raises(UsageError, match="registration is full"):
        late()
    bank.registrations.withdraw("first-2026", 0, 2, who=north)
    entry = late()
    ((_, code),) = bank.registrations.check("first-2026", who=north)
    assert bank.registrations.confirm("first-2026", 0, [(entry, code)], who=north) == {}
    with pytest.raises(UsageError, match="registration is full"):
        late()
    with pytest.raises(UsageError, match="the column stratum has no meaning"):
        bank.registrations.register("first-2026", who=north, document="9", bank="north", stratum="large")
    bank.set_clock(CLOSES_NS)
    bank.programmes.freeze("first-2026", who=north)
    found = bank.programmes.occurrence("first-2026")
    assert found.entries == 5
    assert bank.registrations.accepted("first-2026").documents.tolist() == [2, 1, 4, 5, 9]


def test_a_list_names_the_packet_of_each_entry(bank: Bank) -> None:
    north, ann = person(bank, NORTH), person(bank, ANN)
    bank.programmes.draft(of_mode("list"), funder=funder(bank), maker=north)
    bank.programmes.open_registration("first-2026", who=north)
    path = bank.folder.path.parent / "people.csv"
    lines = "".join(f"{number},,north,{('small', 'large')[number == 2]}\n" for number in range(1, 4))
    path.write_text(f"document,phone,bank,stratum\n{lines}9,,north,huge\n")
    imported = bank.registrations.register_file("first-2026", 0, path, who=north, is_confirmed=True)
    assert [str(each) for each in imported.faults] == ["row 4, stratum: the stratum is not in the programme file"]
    bank.set_clock(CLOSES_NS)
    bank.programmes.freeze("first-2026", who=north)
    with pytest.raises(UsageError, match="is frozen, and nobody follows an entry of it"):
        bank.registrations.withdraw("first-2026", 0, 0, who=north)
    bank.programmes.publish("first-2026", who=north)
    bank.programmes.draw("first-2026", who=north)
    bank.programmes.propose_terms("first-2026", maker=ann)
    results = bank.registration_results
    members = [member for _, member in results.members("first-2026", 0)]
    assert [ids.to_int(each) for each in bank.programmes.cohort_of("first-2026").members] == members
    access = Access(person(bank, CASEWORKER), Reason.COMPLAINT, complaint(bank))
    packets = [results.lookup("first-2026", access=access, entry=entry)[0].packet for entry in range(3)]
    assert [each and each.name for each in packets] == ["small", "large", "small"]


def complaint(bank: Bank) -> int:
    customer = bank.directory.get(ids.to_int(ACCOUNTS[0])).holder
    return bank.cases.open("complaint", by=person(bank, CASEWORKER), person=customer)


def test_a_freeze_without_entries_names_those_that_lapsed(bank: Bank) -> None:
    """Nobody can register any more: an appeal restores an entry."""
    north, caseworker = person(bank, NORTH), person(bank, CASEWORKER)
    bank.set_clock(CLOSES_NS - 1)
    for number in range(7):
        register(bank, f"{number + 1}", f"+861380000001{number}")
    register(bank, "1", "+8613800000019")
    bank.registrations.withdraw(NAME, 0, 6, who=north)
    bank.set_clock(CLOSES_NS + 6 * 3_600 * 10**9)
    with pytest.raises(UsageError) as caught:
        bank.programmes.freeze(NAME, who=north)
    assert caught.value.message == (
        f"no entry of occurrence 0 of {NAME} participates: lapsed, not-checked: entries 0, 1, 2, 3, 4 and 2 more; "
        "withdrawn: entry 6"
    )
    assert "`sycee drop appeal` restores an entry that lapsed" in str(caught.value.hint)
    appeal = bank.appeals.file(NAME, 0, 3, "nobody checked in time", who=north)
    bank.appeals.decide(appeal.id, is_allowed=True, answer="restored", who=caseworker)
    assert confirm(bank, 3, code_of(bank, 3)) is None
    assert bank.programmes.freeze(NAME, who=north).entries == 1
