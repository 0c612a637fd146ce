from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.bank.killing import check_kills
from tests.bank.world import ANN, BOB, NORTH, OTHERS, START_NS
from tests.bulk.world import Payer, content_of, parts_of, rows_of, uuids
from tests.wallets import world
from tests.wallets.world import Town

from sycee.bank.bank import Bank
from sycee.bulk.dry_run import DryRun
from sycee.bulk.service import BulkPayments
from sycee.bulk.tables import FILES
from sycee.core import ids
from sycee.core.errors import BusyError, NotFound, Refused, UsageError
from sycee.core.records import bulk_rows
from sycee.core.records.bulk_rows import BATCH_ROWS, FileIds, Mode, RowCode
from sycee.core.records.layout import PayFlag
from sycee.core.result_codes import Result
from sycee.database.events import events_after
from sycee.database.transactions import write
from sycee.identity.people import DutyMissing
from sycee.sequencer.sequencer import Sequencer

PAID, STAGED, REFUSED = "CREATED", "STAGED", "PAYEE_CANNOT_RECEIVE"
DAY_MS = 86_400_000
NEDS_LIMIT = 10_000_00  # of his class
# Mia in most rows; each other row has one fault.
FAULTS = (
    "ACCOUNT_ID_MUST_NOT_BE_ZERO",
    "ACCOUNTS_MUST_BE_DIFFERENT",
    REFUSED,
    "AMOUNT_MUST_BE_POSITIVE",
    "EXCEEDS_BALANCE",
)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with world.bank("", tmp_path_factory.mktemp("bulk")) as made:
        yield made


@pytest.fixture
def leo(town: Town) -> Iterator[Payer]:
    yield Payer.leo(town)
    assert town.bank.check() == []


def faulty(town: Town):
    payees = [town.mia, 0, town.leo, 12_345, town.mia, town.mia, town.mia]
    return rows_of(payees, [100, 100, 100, 100, 0, 900_000_00, 100])


def test_each_kind_of_bad_row_has_its_code_and_the_others_are_paid(town: Town, leo: Payer) -> None:
    rows, before = faulty(town), town.balance(town.mia)
    file = leo.declare(rows)
    if file.state == "waiting":
        approve(town, file.id)
        file = town.bank.bulk.get(file.id)
    dry = DryRun(town.bank.stores, file.ids, town.bank.registry.own_accounts())
    expected = [PAID, *FAULTS, PAID]
    assert [bulk_rows.code_name(code) for code in dry.answer(rows, 0).codes] == expected
    assert town.balance(town.mia) == before
    assert leo.pay(file, rows) == expected
    assert town.balance(town.mia) == before + 200
    assert leo.pay(file, rows) == expected, "the same file again"
    assert town.balance(town.mia) == before + 200
    found = town.bank.bulk.results(file, 0)
    assert [bulk_rows.code_name(code) for code in found.codes] == expected
    assert found.frames[0] == found.frames[-1] > 0 == found.frames[1]
    summary = town.bank.bulk.summary(file)
    assert summary.counts == {PAID: 2} | dict.fromkeys(FAULTS, 1)
    assert (summary.paid_minor, summary.done, summary.paid) == (200, 7, 2)


def test_rows_that_were_changed_after_the_declaration_pay_nothing(town: Town, leo: Payer) -> None:
    rows, before = rows_of([town.mia] * 3, [1, 2, 3]), town.balance(town.mia)
    file = leo.declare(rows)
    changed = rows_of([town.mia] * 3, [1, 2, 4])
    with pytest.raises(UsageError, match="not those that were declared"):
        leo.pay(file, changed)
    with pytest.raises(UsageError, match="has 3 rows; 2 came"):
        leo.pay(file, rows.part(0, 2))
    with pytest.raises(UsageError, match="there is no batch 1"):
        leo.pay(file, rows, number=1)
    # The envelope of other rows: the ledger refuses the whole batch.
    answers = town.bank.bulk.append(file, 0, rows, leo.envelopes(file, 0, changed)).take()
    assert {bulk_rows.code_name(code) for code in answers.codes} == {"SIGNATURE_INVALID"}
    assert town.balance(town.mia) == before
    assert town.bank.bulk.summary(file).counts == {"NOT_PAID_YET": 3}
    assert leo.pay(file, rows) == [PAID] * 3, "a signature that failed binds nothing"


def test_another_file_under_the_same_id_is_refused(town: Town, leo: Payer) -> None:
    rows = rows_of([town.mia], [5])
    file = leo.declare(rows)
    assert leo.declare(rows, id=file.id) == file
    with pytest.raises(UsageError, match="another file has the id"):
        leo.declare(rows_of([town.mia], [6]), id=file.id)
    with pytest.raises(UsageError, match="is not an id of today"):
        leo.declare(rows, id=file.id + (36_500 * DAY_MS << 80))
    with pytest.raises(NotFound, match="there is no file"):
        town.bank.bulk.get(7)


def test_a_file_continues_at_its_first_unpaid_batch(town: Town, leo: Payer) -> None:
    rows = rows_of([town.mia] * (2 * BATCH_ROWS + 5), [1] * (2 * BATCH_ROWS + 5))
    parts = [rows.part(start, start + BATCH_ROWS) for start in range(0, rows.size, BATCH_ROWS)]
    file, before = leo.declare(rows), town.balance(town.mia)
    bulk = town.bank.bulk
    assert bulk.next_batch(file) == 0
    assert set(leo.pay(file, parts[0])) == {PAID}
    assert bulk.next_batch(file) == 1
    pending = [bulk.append(file, at, parts[at], leo.envelopes(file, at, parts[at])) for at in (1, 2)]
    assert [set(each.take().codes.tolist()) for each in pending] == [{0}, {0}]
    assert bulk.next_batch(file) == 3
    assert town.balance(town.mia) == before + rows.size
    assert bulk.summary(file).counts == {PAID: rows.size}
    assert bulk.get(file.id) in bulk.list(town.leo)


def test_accounts_of_the_issuer_are_not_payable(town: Town, leo: Payer) -> None:
    issuance = town.bank.registry.issuer.issuance
    rows = rows_of([town.mia, issuance], [1, 1])
    file, before = leo.declare(rows), town.balance(town.mia)
    expected = ["BATCH_NOT_TAKEN", "PAYEE_NOT_PAYABLE"]
    assert leo.pay(file, rows) == expected
    dry = DryRun(town.bank.stores, FileIds(file.id, town.leo), town.bank.registry.own_accounts())
    assert [bulk_rows.code_name(code) for code in dry.answer(rows, 0).codes] == expected
    assert town.balance(town.mia) == before


def test_flags_choose_the_source_of_money_and_references_become_notes(town: Town, leo: Payer) -> None:
    columns = {"flags": np.array([0, 1, 2], np.uint16), "references": uuids([7, 8, 9])}
    rows = rows_of([town.mia] * 3, [1, 1, 1], **columns)
    assert PayFlag.PURSES_ONLY == 1
    file = leo.declare(rows)
    assert leo.pay(file, rows) == [PAID, "EXCEEDS_BALANCE", PAID]  # Leo has no packet
    records = bulk_rows.records(rows, file.ids, 0)
    assert records["note_low"].tolist() == [7, 8, 9]


# --- two persons ---


def approve(town: Town, id: int) -> None:
    made = town.bank.bulk.approve(id, maker=town.north)
    assert town.bank.proposals.sign(made.id, NORTH).needs
    assert town.bank.proposals.sign(made.id, OTHERS[0]).needs == ()


def test_a_file_above_the_amount_needs_two_persons(town: Town, leo: Payer) -> None:
    rows = rows_of([town.mia] * 2, [100_000_00, 1])
    file = leo.declare(rows)
    assert file.state == "waiting"
    with pytest.raises(UsageError, match="waiting and takes no rows"):
        leo.pay(file, rows)
    with pytest.raises(DutyMissing):
        town.bank.bulk.approve(file.id, maker=leo.who)
    ann = world.person(town.bank, ANN)
    proposal = town.bank.bulk.approve(file.id, maker=ann)
    assert proposal.effect["digest"] == file.content.digest.hex()
    assert proposal.effect["sum_minor"] == 100_000_01
    needs = town.bank.proposals.sign(proposal.id, ANN).needs
    assert needs == ("a person other than the maker, with the duty officer or operator",)
    with pytest.raises(UsageError, match=r"signed .* already"):
        town.bank.proposals.sign(proposal.id, ANN)
    assert town.bank.bulk.get(file.id).state == "waiting", "one officer alone"
    assert town.bank.proposals.sign(proposal.id, BOB).needs == ()
    approved = town.bank.bulk.get(file.id)
    assert (approved.state, approved.proposal) == ("open", proposal.id)
    assert leo.pay(approved, rows) == ["EXCEEDS_BALANCE", PAID]
    with pytest.raises(UsageError, match="only a file that waits"):
        town.bank.bulk.approve(file.id, maker=ann)


def test_files_up_to_the_amount_need_nobody(town: Town, leo: Payer) -> None:
    assert leo.declare(rows_of([town.mia], [100_000_00])).state == "open"


def test_a_stranger_may_not_declare(town: Town, leo: Payer) -> None:
    with pytest.raises(DutyMissing):
        town.bank.bulk.declare(leo.new_id(), content_of(rows_of([town.mia], [1]), town.leo), who=999)


# --- all or nothing ---


def settle(town: Town, id: int, *, discard: bool = False, request: int = 0):
    return town.bank.bulk.settle(id, signers=town.operator, who=town.north, discard=discard, request=request)


def shown(town: Town, id: int) -> tuple[dict[str, int], int]:
    """Rows by code, as results and summary have them, and the money that was paid."""
    file = town.bank.bulk.get(id)
    names = [bulk_rows.code_name(code) for code in town.bank.bulk.results(file, 0).codes.tolist()]
    summary = town.bank.bulk.summary(file)
    assert summary.counts == {name: names.count(name) for name in names}
    return dict(summary.counts), summary.paid_minor


def test_a_file_is_paid_as_a_whole(town: Town, leo: Payer) -> None:
    rows, before = rows_of([town.mia, town.ned], [10, 20]), town.balance(town.mia)
    file = leo.declare(rows, Mode.ALL)
    with pytest.raises(UsageError, match="2 NOT_PAID_YET"):
        settle(town, file.id)
    assert leo.pay(file, rows) == [STAGED] * 2
    assert shown(town, file.id) == ({STAGED: 2}, 0)
    assert town.balance(town.mia) == before, "a staged payment moves no money"
    assert settle(town, file.id).state == "settled"
    assert shown(town, file.id) == ({PAID: 2}, 30)
    assert town.balance(town.mia) == before + 10
    assert settle(town, file.id).state == "settled"
    with pytest.raises(UsageError, match="settled and takes no rows"):
        settle(town, file.id, discard=True)
    with pytest.raises(UsageError, match="settled and takes no rows"):
        leo.pay(town.bank.bulk.get(file.id), rows)


def test_one_refused_row_pays_nothing(town: Town, leo: Payer) -> None:
    rows, before = rows_of([town.mia, 12_345], [10, 20]), town.balance(town.mia)
    file = leo.declare(rows, Mode.ALL)
    assert leo.pay(file, rows) == [STAGED, REFUSED]
    with pytest.raises(UsageError, match="not all rows can be paid: 1 PAYEE_CANNOT_RECEIVE"):
        settle(town, file.id)
    assert settle(town, file.id, discard=True).state == "discarded"
    assert town.balance(town.mia) == before
    assert shown(town, file.id) == ({"DISCARDED": 1, REFUSED: 1}, 0)
    assert settle(town, file.id, discard=True).state == "discarded"


def test_a_settlement_that_the_ledger_refuses_can_be_discarded(town: Town, leo: Payer) -> None:
    rows, before = rows_of([town.mia], [town.balance(town.leo) + 1]), town.balance(town.mia)
    file = leo.declare(rows, Mode.ALL)
    assert leo.pay(file, rows) == [STAGED]
    with pytest.raises(Refused, match="nothing was paid"):
        settle(town, file.id)
    assert town.bank.bulk.get(file.id).state == "open"
    assert settle(town, file.id, discard=True).state == "discarded"
    assert town.balance(town.mia) == before


@pytest.mark.parametrize("discard", [False, True])
def test_a_second_settlement_at_once_changes_nothing(
    town: Town, leo: Payer, monkeypatch: pytest.MonkeyPatch, discard: bool
) -> None:
    rows, before = rows_of([town.mia] * 2, [10, 20]), town.balance(town.mia)
    file = leo.declare(rows, Mode.ALL)
    leo.pay(file, rows)
    submit = Sequencer.submit

    def second_before(*arguments: Any) -> Any:
        monkeypatch.setattr(Sequencer, "submit", submit)
        with pytest.raises(UsageError, match="is settling"):
            settle(town, file.id, discard=discard)
        return submit(*arguments)

    monkeypatch.setattr(Sequencer, "submit", second_before)
    assert settle(town, file.id).state == "settled"
    assert Sequencer.submit is submit
    assert town.bank.bulk.get(file.id).state == "settled"
    assert town.balance(town.mia) == before + 30


def test_a_file_whose_batch_ended_without_it_disagrees(town: Town, leo: Payer) -> None:
    rows = rows_of([town.mia], [10])
    file = leo.declare(rows, Mode.ALL)
    leo.pay(file, rows)
    settle(town, file.id)

    def set_state(state: str) -> None:
        change = FILES.update().where(FILES.c.id == file.id).values(state=state)
        write(town.bank.stores.engine, lambda connection: connection.execute(change))

    set_state("open")
    number = file.settlement
    assert town.bank.check() == [f"file {ids.format(file.id)} is open, and its settlement batch {number} has ended"]
    set_state("settled")


def test_a_file_without_rows_is_discarded(town: Town, leo: Payer) -> None:
    file = leo.declare(rows_of([town.mia], [1]), Mode.ALL)
    assert settle(town, file.id, discard=True).state == "discarded"
    with pytest.raises(UsageError, match="there is nothing to settle"):
        settle(town, leo.declare(rows_of([town.mia], [1])).id)


def test_a_file_that_was_discarded_meanwhile_stages_nothing_in_the_next_batch(town: Town, leo: Payer) -> None:
    rows, others, before = rows_of([town.mia], [1]), rows_of([town.mia], [5]), town.balance(town.mia)
    earlier = leo.declare(rows, Mode.ALL)  # as its stream has read it
    settle(town, earlier.id, discard=True)
    later = leo.declare(others, Mode.ALL)
    with pytest.raises(UsageError, match="is discarded and takes no rows"):
        leo.pay(earlier, rows)
    assert leo.pay(later, others) == [STAGED]
    assert town.bank.check() == []
    with pytest.raises(UsageError, match="is discarded and takes no rows"):
        leo.pay(earlier, rows)
    assert settle(town, later.id).state == "settled"
    assert town.balance(town.mia) == before + 5


def test_a_file_that_never_comes_stops_no_other(town: Town, leo: Payer) -> None:
    rows, before = rows_of([town.mia], [1]), town.balance(town.mia)
    first, second = leo.declare(rows, Mode.ALL), leo.declare(rows, Mode.ALL)
    assert first.settlement == second.settlement
    refused = town.bank.bulk.append(first, 0, rows, leo.envelopes(first, 0, rows)[:1]).take()
    assert [bulk_rows.code_name(code) for code in refused.codes.tolist()] == ["NOT_AUTHORISED"]
    assert leo.pay(second, rows) == [STAGED], "no row of the first file began the batch"
    with pytest.raises(BusyError, match="another file began settlement batch"):
        leo.pay(first, rows)
    again = town.bank.bulk.get(first.id)
    assert again.settlement == second.settlement + 1
    assert leo.pay(again, rows) == leo.pay(second, rows) == [STAGED]
    assert town.bank.check() == []
    assert settle(town, first.id).state == settle(town, second.id).state == "settled"
    assert town.balance(town.mia) == before + 2


def test_a_file_that_waits_keeps_no_number(town: Town, leo: Payer) -> None:
    waiting = leo.declare(rows_of([town.mia] * 2, [100_000_00, 1]), Mode.ALL)
    rows = rows_of([town.mia], [1])
    for _ in range(2):
        file = leo.declare(rows, Mode.ALL)
        assert leo.pay(file, rows) == [STAGED]
        assert settle(town, file.id).state == "settled"
    approve(town, waiting.id)
    opened = town.bank.bulk.get(waiting.id)
    assert (opened.state, opened.settlement) == ("open", file.settlement + 1)
    assert settle(town, opened.id, discard=True).state == "discarded"


def test_the_operator_signs_a_staged_batch_as_well(town: Town, leo: Payer) -> None:
    rows = rows_of([town.mia], [1])
    file = leo.declare(rows, Mode.ALL)
    alone = leo.envelopes(file, 0, rows)[:1]
    answers = town.bank.bulk.append(file, 0, rows, alone).take()
    assert [bulk_rows.code_name(code) for code in answers.codes] == ["NOT_AUTHORISED"]
    settle(town, file.id, discard=True)


def test_the_operator_of_a_payee_reads_the_exact_code(town: Town, leo: Payer) -> None:
    town.fund(town.ned, NEDS_LIMIT - town.balance(town.ned), "N-9")
    count = 1_200  # more than one query reads
    rows = rows_of([town.ned] * count + [town.mia, 12_345, 0], [5] * (count + 3))
    file = leo.declare(rows)
    for _ in range(2):
        assert leo.pay(file, rows) == [REFUSED] * count + [PAID, REFUSED, "ACCOUNT_ID_MUST_NOT_BE_ZERO"]
    stored = town.bank.payments.refusals(2, by=town.north)
    assert [each.operation for each in stored] == [ids.to_int(each) for each in file.ids.of_rows(0, count)]
    assert {(each.payee, each.code) for each in stored} == {(town.ned, Result.EXCEEDS_BALANCE_LIMIT)}
    assert town.bank.bulk.summary(file).counts["ACCOUNT_ID_MUST_NOT_BE_ZERO"] == 1


# --- ends ---


def ended(town: Town, id: int) -> list[str]:
    """The states of the events of a file's end."""
    found = events_after(town.bank.stores.engine, 0, most=10_000)
    mine = [each for each in found if each.kind == "bulk.ended" and each.subject == ids.format(id)]
    assert all(each.operator == 2 and each.data["payer"] == ids.format(town.leo) for each in mine)
    return [each.data["state"] for each in mine]


def test_a_file_ends_when_each_of_its_rows_has_a_result(town: Town, leo: Payer) -> None:
    rows = rows_of([town.mia] * (2 * BATCH_ROWS) + [town.mia, 12_345, 0], [1] * (2 * BATCH_ROWS + 3))
    parts = parts_of(rows)
    file = leo.declare(rows)
    unsigned = town.bank.bulk.append(file, 1, parts[1], leo.envelopes(file, 1, rows_of([town.mia], [1]))[:0])
    assert set(unsigned.take().codes.tolist()) == {Result.NOT_AUTHORISED}, "no result"
    for number in (2, 0):  # in any order
        leo.pay(file, parts[number], number)
        assert ended(town, file.id) == []
    leo.pay(file, parts[1], 1)
    assert ended(town, file.id) == ["answered"]
    found = town.bank.bulk.get(file.id)
    assert (found.state, found.ended_ns is not None) == ("open", True)
    leo.pay(found, parts[2], 2)
    leo.pay(file, parts[1], 1)
    assert ended(town, file.id) == ["answered"]


def test_the_end_that_a_kill_prevented_is_found_by_the_next_start(
    town: Town, leo: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of([town.mia] * 2, [1, 1])
    file, other = leo.declare(rows), leo.declare(rows)
    monkeypatch.setattr(town.bank.bulk.answered, "note", lambda *_: None)
    leo.pay(file, rows)
    assert ended(town, file.id) == []
    for _ in range(2):
        town.bank.bulk.answered.find_ended()
    assert (ended(town, file.id), ended(town, other.id)) == (["answered"], [])


def test_a_file_that_is_paid_as_a_whole_ends_once(town: Town, leo: Payer) -> None:
    rows = rows_of([town.mia], [1])
    paid, left, empty = (leo.declare(rows, Mode.ALL) for _ in range(3))
    assert leo.pay(paid, rows) == [STAGED]
    assert ended(town, paid.id) == []
    for _ in range(2):
        settle(town, paid.id)
        settle(town, empty.id, discard=True)
    left = town.bank.bulk.get(left.id)
    leo.pay(left, rows)
    settle(town, left.id, discard=True)
    assert [ended(town, each.id) for each in (paid, left, empty)] == [["settled"], ["discarded"], ["discarded"]]


# --- kills ---

FILE_ID, SETTLEMENT_ID = (ids.fresh(START_NS // 1_000_000, entropy=lambda n, b=byte: bytes([b]) * n) for byte in (1, 2))


def pay_all(bank: Bank) -> None:
    town = world.town(bank)
    leo, rows = Payer.leo(town), rows_of([town.mia, town.ned], [10, 20])
    file = leo.declare(rows, Mode.ALL, FILE_ID)
    if file.state == "open":
        assert leo.pay(file, rows) == [STAGED] * 2
    settle(town, FILE_ID, request=SETTLEMENT_ID)


def is_settled(bank: Bank) -> None:
    town = world.town(bank)
    assert bank.bulk.get(FILE_ID).state == "settled"
    assert town.balance(town.ned) == 20
    assert ended(town, FILE_ID) == ["settled"]


@pytest.mark.soak
def test_a_killed_settlement_is_finished_once(tmp_path: Path) -> None:
    check_kills("", tmp_path, world.prepared(""), pay_all, expect=is_settled, every=True)


def test_the_next_batch_is_the_first_without_results(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """For every number of batches and of paid ones; a new file is asked for one batch only."""
    asked: list[int] = []

    def results(paid: int) -> Any:
        def of(_: Any, file: Any, number: int) -> Any:
            asked.append(number)
            assert 0 <= number < file.content.count
            return SimpleNamespace(codes=np.array([Result.CREATED if number < paid else RowCode.NOT_PAID_YET]))

        return of

    for count in range(1, 20):
        for paid in range(count + 1):
            asked.clear()
            monkeypatch.setattr(BulkPayments, "results", results(paid))
            file: Any = SimpleNamespace(content=SimpleNamespace(count=count))
            assert town.bank.bulk.next_batch(file) == paid
            assert len(asked) <= (1 if not paid else 2 * count.bit_length())
