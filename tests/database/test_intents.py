"""Intents: each branch of their life, on both databases."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy
from sqlalchemy.engine import Connection
from tests.database.town import CLERK, PAYMENTS, SIGNER, Pay, Town, payments, town
from tests.sequencer.small import START_NS

from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError, Refused, UnavailableError, UsageError
from sycee.core.records import layout
from sycee.core.result_codes import Result
from sycee.database.actions import Draft, LedgerOnly
from sycee.database.intents import INTENT_RECORDS_MAX, Intents, Resumed
from sycee.database.migrations import upgrade
from sycee.database.tables import INTENT_RECORDS, SCHEMA
from sycee.database.transactions import write
from sycee.sequencer.embedded import SIGNATURE_VALIDITY_NS

LATER_NS = START_NS + SIGNATURE_VALIDITY_NS


class Stop(Exception):
    """Instead of a kill: the process goes no further."""


def stop(*_: Any) -> Any:
    raise Stop


def stopped_before_submit(made: Town, draft: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(made.ledger.sequencer, "submit", stop)
        with pytest.raises(Stop):
            made.intents.perform(draft)


def stopped_after_submit(made: Town, draft: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = made.ledger.sequencer.submit

    def then_stop(records: Array, envelopes: Array) -> Array:
        submit(records, envelopes)
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(made.ledger.sequencer, "submit", then_stop)
        with pytest.raises(Stop):
            made.intents.perform(draft)


def test_ledger_and_sql_agree(where: str, tmp_path: Path) -> None:
    with town(tmp_path, where) as made:
        outcome = made.intents.perform(made.draft(1000, [10, 20, 5_000], id=9))
        assert outcome.state == "done"
        assert outcome.results == (Result.CREATED, Result.CREATED, Result.EXCEEDS_BALANCE)
        assert outcome.frame == made.ledger.sequencer.durable_sequence
        assert made.states() == {1000: "paid", 1001: "paid", 1002: "EXCEEDS_BALANCE"}
        assert made.shop() == 30
        with pytest.raises(Refused, match="the third cannot be paid: EXCEEDS_BALANCE"):
            outcome.require_created("the third cannot be paid")
        stored = made.intents.find(9)
        assert (stored.state, stored.size, stored.who, stored.outcome) == ("done", 3, CLERK, outcome)
        assert made.intents.resume() == Resumed(0, 0)


def test_parts_are_submitted_one_after_another(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with town(tmp_path, where) as made:
        submit, sizes = made.ledger.sequencer.submit, []

        def third_stops(records: Array, envelopes: Array) -> Array:
            sizes.append((records.size, envelopes["first"].tolist(), envelopes["count"].tolist()))
            return stop() if len(sizes) == 3 else submit(records, envelopes)

        draft = replace(made.draft(1000, [10, 20, 5_000, 40], id=9), parts=(1, 2, 1))
        with pytest.raises(UsageError, match="parts of 3 records, and the intent has 4"):
            made.intents.perform(replace(draft, parts=(1, 2)))
        with monkeypatch.context() as patch:
            patch.setattr(made.ledger.sequencer, "submit", third_stops)
            with pytest.raises(Stop):
                made.intents.perform(draft)
        assert sizes == [(1, [0], [1]), (2, [0], [2]), (1, [0], [1])]
        assert (made.shop(), set(made.states().values())) == (30, {"asked"})
    with town(tmp_path, where) as made:
        assert made.intents.resume() == Resumed(1, 0)
        results = made.intents.find(9).results
        assert results == (Result.CREATED, Result.CREATED, Result.EXCEEDS_BALANCE, Result.CREATED)
        assert made.intents.perform(replace(draft, before=None)).results == results
        assert made.shop() == 70


def test_the_same_id_again_returns_the_stored_outcome(where: str, tmp_path: Path) -> None:
    with town(tmp_path, where) as made:
        first = made.intents.perform(made.draft(1000, [10], id=9))
        assert made.intents.perform(made.draft(2000, [10], id=9)) == first
        assert made.states() == {1000: "paid"}
        assert made.shop() == 10


def test_an_id_of_another_action_is_refused(where: str, tmp_path: Path) -> None:
    with town(tmp_path, where) as made:
        other = Pay()
        other.name = "town.other"
        made.stores.actions.register(other)
        made.intents.perform(made.draft(1000, [10], id=9))
        with pytest.raises(UsageError, match=r"is of the action town\.pay, not town\.other"):
            made.intents.perform(replace(made.draft(2000, [10], id=9), action="town.other"))


@pytest.mark.parametrize("stopped", [stopped_before_submit, stopped_after_submit])
@pytest.mark.parametrize("late", [False, True])
def test_resume(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: Any, late: bool) -> None:
    with town(tmp_path, where) as made:
        stopped(made, made.draft(1000, [10, 5_000], id=9), monkeypatch)
        assert made.states() == {1000: "asked", 1001: "asked"}
        assert made.intents.pending() == 1
    with town(tmp_path, where) as made:
        made.clock.set(LATER_NS if late else START_NS)
        lapses = late and stopped is stopped_before_submit
        assert made.intents.resume() == Resumed(int(not lapses), int(lapses))
        assert made.intents.resume() == Resumed(0, 0)
        if lapses:
            assert made.states() == {1000: "lapsed", 1001: "lapsed"}
            assert made.intents.find(9).reason == "SIGNATURE_EXPIRED"
        else:
            assert made.states() == {1000: "paid", 1001: "EXCEEDS_BALANCE"}
        assert made.shop() == (0 if lapses else 10)
        assert made.intents.pending() == 0


def test_the_same_call_goes_on_after_a_stop(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with town(tmp_path, where) as made:
        draft = made.draft(1000, [10], id=9)
        stopped_before_submit(made, draft, monkeypatch)
        assert made.intents.perform(draft).created
        assert made.states() == {1000: "paid"}


def test_a_lapsed_intent_is_renewed(where: str, tmp_path: Path) -> None:
    with town(tmp_path, where) as made:
        draft = made.draft(1000, [10], id=9, signers=())
        outcome = made.intents.perform(draft)
        assert (outcome.state, outcome.results, outcome.frame) == ("lapsed", (Result.NOT_AUTHORISED,), 0)
        assert made.states() == {1000: "lapsed"}
        with pytest.raises(Refused, match="NOT_AUTHORISED"):
            outcome.require_created("unsigned")
        assert made.intents.perform(draft) == outcome  # never submitted by itself

        def again(connection: Connection) -> None:
            connection.execute(PAYMENTS.update().values(state="asked again"))

        assert made.intents.renew(9, signers=[SIGNER], before=again).created
        assert made.states() == {1000: "paid"}
        for id, problem in ((9, "is done"), (8, "does not exist")):
            with pytest.raises(UsageError, match=problem):
                made.intents.renew(id, signers=[SIGNER])


def test_many_at_once(where: str, tmp_path: Path) -> None:
    with town(tmp_path, where) as made:
        good = made.draft(1000, [10, 20], id=7)
        unsigned = made.draft(2000, [30], id=8, signers=())
        poor = made.draft(3000, [1, 9_999, 2], id=9)
        outcomes = made.intents.perform_many([good, unsigned, poor])
        assert [outcome.state for outcome in outcomes] == ["done", "lapsed", "done"]
        assert [outcome.intent for outcome in outcomes] == [7, 8, 9]
        assert outcomes[2].refusal is Result.EXCEEDS_BALANCE
        assert made.shop() == 33
        assert set(made.states().values()) == {"paid", "lapsed", "EXCEEDS_BALANCE"}
        assert made.intents.perform_many([poor, good]) == [outcomes[2], outcomes[0]]
        with pytest.raises(UsageError, match="two drafts have the same id"):
            made.intents.perform_many([good, good])
        with pytest.raises(UsageError, match="17 drafts at once"):
            made.intents.perform_many([good] * 17)


def test_more_records_than_one_submission(tmp_path: Path) -> None:
    with town(tmp_path, str(tmp_path / "a.db")) as made:
        drafts = [
            replace(made.draft(0, []), records=payments(10_000 * at, [9_999] * INTENT_RECORDS_MAX), before=None)
            for at in range(1, 11)
        ]
        records = [draft.records for draft in drafts]
        nothing = Pay()
        nothing.name, nothing.done = "town.nothing", lambda *_: None  # type: ignore[method-assign]
        made.stores.actions.register(nothing)
        outcomes = made.intents.perform_many([replace(draft, action="town.nothing") for draft in drafts])
        assert [outcome.state for outcome in outcomes] == ["done"] * 10
        assert {result for outcome in outcomes for result in outcome.results} == {Result.EXCEEDS_BALANCE}
        assert sum(each.size for each in records) > 65_535
        newest = max(outcome.frame for outcome in outcomes)
        assert made.intents.prune(newest) == 10
        assert made.intents.prune(newest) == 0


def test_a_failed_transaction_stores_nothing(where: str, tmp_path: Path) -> None:
    with town(tmp_path, where) as made:
        with pytest.raises(Stop):
            made.intents.perform(made.draft(1000, [10], id=9, before=stop))
        assert made.intents.find(9) is None
        assert made.shop() == 0


def test_a_failing_action_leaves_the_intent_pending(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with town(tmp_path, where) as made:
        with monkeypatch.context() as patch:
            patch.setattr(Pay, "done", stop)
            with pytest.raises(Stop):
                made.intents.perform(made.draft(1000, [10], id=9))
        assert made.states() == {1000: "asked"}
        assert made.intents.resume() == Resumed(1, 0)
        assert made.states() == {1000: "paid"}
        assert made.shop() == 10


def test_an_id_with_other_content_is_an_error_once(where: str, tmp_path: Path) -> None:
    with town(tmp_path, where) as made:
        made.intents.perform(made.draft(1000, [10], id=8))
        with pytest.raises(IntegrityError, match="the id of record 0 belongs to another operation"):
            made.intents.perform(made.draft(1000, [11], id=9, before=None))
        assert made.intents.find(9).reason == "EXISTS_WITH_DIFFERENT_CONTENT"
        assert made.intents.resume() == Resumed(0, 0)
        assert made.shop() == 10


def test_changed_records_are_not_submitted(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with town(tmp_path, where) as made:
        stopped_before_submit(made, made.draft(1000, [10], id=9), monkeypatch)
        other = payments(1000, [99]).tobytes()
        changed = INTENT_RECORDS.update().values(records=other)
        write(made.stores.engine, lambda connection: connection.execute(changed))
        with pytest.raises(IntegrityError, match="were changed since it was stored"):
            made.intents.resume()
        assert made.shop() == 0


def test_an_outcome_does_not_write_the_records_again(tmp_path: Path) -> None:
    """A row is written as a whole: the log of SQLite grows by the bytes of the records once."""
    log, sizes = tmp_path / "bank.sqlite-wal", []
    with town(tmp_path, tmp_path / "bank.sqlite") as made:

        def log_bytes() -> int:
            return log.stat().st_size

        made.stores.actions.register(LedgerOnly("town.nothing"))
        draft = Draft("town.nothing", payments(1000, [1] * 2_000), {}, who=CLERK, signers=[SIGNER])
        submit = made.ledger.sequencer.submit

        def measured(records: Array, envelopes: Array) -> Array:
            sizes.append(log_bytes())
            return submit(records, envelopes)

        sizes.append(log_bytes())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(made.ledger.sequencer, "submit", measured)
            made.intents.perform(draft)
        sizes.append(log_bytes())
    stored, finished = sizes[1] - sizes[0], sizes[2] - sizes[1]
    assert stored > 2_000 * layout.OPERATION.itemsize
    assert finished < stored / 4


def test_a_database_of_an_older_release_keeps_its_intents(where: str, tmp_path: Path, monkeypatch: Any) -> None:
    with town(tmp_path, where) as made:
        made.intents.perform(made.draft(1000, [10], id=8))
        stopped_before_submit(made, made.draft(2000, [20], id=9), monkeypatch)

        def undo(connection: Connection) -> None:
            binary = "BLOB" if made.stores.engine.dialect.name == "sqlite" else "BYTEA"
            bytes_of = "SELECT {0} FROM database_intent_records AS r WHERE r.id = database_intents.id"
            for name in ("records", "envelopes"):
                connection.exec_driver_sql(f"ALTER TABLE database_intents ADD COLUMN {name} {binary}")
                connection.exec_driver_sql(f"UPDATE database_intents SET {name} = ({bytes_of.format(name)})")  # noqa: S608
            connection.exec_driver_sql("DROP TABLE database_intent_records")
            connection.exec_driver_sql(f"UPDATE {SCHEMA.version_table} SET version_num = '0003'")  # noqa: S608

        write(made.stores.engine, undo)
        upgrade(made.stores.engine, SCHEMA)
        assert made.intents.resume() == Resumed(1, 0)
        assert made.shop() == 30
        assert list(made.intents.disagreements()) == []


def test_an_intent_that_a_thread_performs_is_no_disagreement(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with town(tmp_path, where) as made:
        submitted, found, settled = Intents._submitted, [], threading.Event()

        def settle() -> None:
            made.intents.settle(60.0)
            settled.set()

        waiting = threading.Thread(target=settle)

        def checked(intents: Intents, group: Any) -> Any:
            waiting.start()
            found.append((intents.pending(), list(intents.disagreements()), settled.wait(0.05)))
            return submitted(intents, group)

        monkeypatch.setattr(Intents, "_submitted", checked)
        made.intents.perform(made.draft(1000, [100], id=90))
        assert found == [(1, [], False)]
        assert settled.wait(60.0)
        waiting.join()


@pytest.mark.parametrize("late", [False, True])
def test_after_a_restore(where: str, tmp_path: Path, late: bool) -> None:
    """The ledger was restored up to a frame; later intents run again, in the order of their frames, or lapse."""
    with town(tmp_path, where) as made:
        kept = made.intents.perform(made.draft(1000, [100], id=90))
    shutil.copytree(tmp_path / "ledger", tmp_path / "restored" / "ledger")
    with town(tmp_path, where) as made:
        for first, id in ((2000, 80), (3000, 70), (4000, 60)):
            made.intents.perform(made.draft(first, [200], id=id))
        result = {1000: "paid", 2000: "paid", 3000: "paid", 4000: "EXCEEDS_BALANCE"}
        assert made.states() == result
    with town(tmp_path / "restored", where) as made:
        assert made.shop() == 100
        assert made.intents.reopen_after(kept.frame) == 3
        assert made.intents.pending() == 3
        if not late:
            assert made.intents.resume() == Resumed(3, 0)
            assert made.states() == result
            return
        made.clock.set(LATER_NS)
        assert made.intents.resume() == Resumed(0, 3)
        assert made.states() == {1000: "paid", 2000: "lapsed", 3000: "lapsed", 4000: "lapsed"}
        for id in (60, 70, 80):
            made.intents.renew(id, signers=[SIGNER])
        assert made.states() == {1000: "paid", 2000: "EXCEEDS_BALANCE", 3000: "paid", 4000: "paid"}


def test_pruned_records_cannot_be_reopened(where: str, tmp_path: Path) -> None:
    with town(tmp_path, where) as made:
        outcome = made.intents.perform(made.draft(1000, [100], id=9))
        assert made.intents.prune(outcome.frame - 1) == 0
        assert made.intents.prune(outcome.frame) == 1
        assert made.intents.find(9).outcome == outcome
        with pytest.raises(IntegrityError, match="were pruned"):
            made.intents.reopen_after(outcome.frame - 1)
        assert made.intents.reopen_after(outcome.frame) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"records": payments(1, [])}, "1 to 8,000 records, not 0"),
        ({"records": payments(1, [1] * 8_001)}, "1 to 8,000 records, not 8,001"),
        ({"payload": {"holders": [{"Phone": 1}]}}, "'Phone', which suggests personal data"),
        ({"payload": {"a": 0.5}}, "is of type float"),
        ({"action": "town.unknown"}, "there is no action 'town.unknown'"),
        ({"records": np.zeros(3, np.int64)}, "submit needs a one-dimensional array of operations"),
    ],
)
def test_what_cannot_be_stored_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with town(tmp_path, str(tmp_path / "a.db")) as made:
        with pytest.raises(UsageError, match=message):
            made.intents.perform(replace(made.draft(1000, [10]), **change))
        assert made.states() == {}


def test_an_action_of_another_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with town(tmp_path, str(tmp_path / "a.db")) as made:
        stopped_before_submit(made, made.draft(1000, [10], id=9), monkeypatch)
        made.stores.actions._by_name.clear()
        with pytest.raises(UnavailableError, match=r"no action 'town\.pay'"):
            made.intents.resume()
        made.stores.actions.register(Pay())
        with pytest.raises(UsageError, match="two actions"):
            made.stores.actions.register(Pay())
        assert made.intents.resume() == Resumed(1, 0)


def test_no_error_of_the_database_shows_a_parameter(where: str, tmp_path: Path) -> None:
    with town(tmp_path, where) as made:
        statement = sqlalchemy.text("SELECT * FROM nothing WHERE a = :a")
        with pytest.raises(sqlalchemy.exc.DBAPIError) as caught:
            write(made.stores.engine, lambda connection: connection.execute(statement, {"a": "Wang Lei"}))
        assert "Wang" not in str(caught.value)
