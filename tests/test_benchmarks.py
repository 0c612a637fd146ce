"""The benchmarks run, check their work and report in the form promised. What they measure is no matter of tests."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import sys
import tempfile
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from benchmarks import __main__ as command
from benchmarks import (
    catalogue,
    charts,
    cities,
    clearing_days,
    clearing_peak,
    clearing_queues,
    compliance,
    compliance_names,
    crowd,
    draw,
    drops,
    first_run,
    identifiers,
    iso20022_messages,
    known_ids,
    ledger,
    measure,
    open_loop,
    postgresql,
    programmes_live,
    purses,
    purses_http,
    report,
    sandbox_engine,
    sandbox_experiments,
    screening,
    signed,
    sqlite,
    starts,
    tables,
    town,
    voucher_model,
    wallets,
)
from benchmarks.measure import BATCH, MILLION, RATE, TOTAL_MS, Benchmark, Goal, Measure, Row, Setting, Timing
from tests.days.worlds import SMALL as SMALL_DAY

from sycee.core.errors import UnavailableError, UsageError
from sycee.core.result_codes import Result
from sycee.days import assumptions
from sycee.sandbox.behaviour import layout
from sycee.sandbox.behaviour.decide import basket, propensity
from sycee.sandbox.behaviour.draws import Draws, happens, person_key, share_of
from sycee.sandbox.engine.run import Columns
from sycee.server.main import SWITCH_INTERVAL_S

MACHINE = {"cpu", "cores", "memory_gib", "python", "numpy", "numba", "date"}
ISSUE = {
    *("transfers-10k", "transfers-1m", "transfers-100m", "pay-1m", "holds-10k", "drop-50k", "drop-1m", "drop-10m"),
    *("drop-100m", "ids-1b", "expire-1m", "replay", "journal-bytes", "restart-1m", "snapshot-1m", "memory-per-wallet"),
    *("peer-sqlite", "peer-postgresql", "first-run", "single-open-loop", "reads-beside-writes", "signed-single"),
}


SMALL: dict[str, Measure] = {
    # Of each kind of row one, at the smallest size that does all of its work.
    "transfers": partial(ledger.transfers, accounts=50),
    "pays": partial(ledger.pays, accounts=50),
    "messages": iso20022_messages.read_messages,
    "peak of a house": partial(clearing_peak.peak, banks=3),
    "queue": partial(
        clearing_queues.choose, banks=5, liquidity=0.01, deviation=1.2, effort=0.1, deadline=60.0, of_solver=True
    ),
    "synthetic city": cities.built,
    "clearing day": clearing_days.day,
    "sandbox": partial(sandbox_engine.ran, is_universal=True),
    "compared designs": sandbox_experiments.compared,
    "predicted pilot": sandbox_experiments.predicted,
    "holds": partial(ledger.holds, accounts=50),
    "journal bytes": partial(ledger.journal_bytes, accounts=50),
    "drop": drops.drop,
    "settle": drops.settle,
    "expire": drops.expire,
    "replay": partial(starts.replay, accounts=50),
    "restart": partial(starts.restart, accounts=50),
    "snapshot beside": lambda setting: starts.snapshot_beside(replace(setting, operations=16 * BATCH), accounts=50),
    "wallet bytes": starts.wallet_bytes,
    "known ids": known_ids.known_ids,
    "ids": identifiers.generate,
    "draw": draw.freeze_and_draw,
    "verdicts": compliance.verdicts,
    "judged again": compliance.judged_again,
    "names": compliance_names.lookups,
    "screened": screening.screen_many,
    "wallets": wallets.open_many,
    "allotment": programmes_live.allot,
    "purses": purses.drop,
    "purses over HTTP": lambda setting: purses_http.drop(replace(setting, operations=20_000)),
    "statement": wallets.statement_lines,
    "sqlite": partial(sqlite.transfers, size=100),
    "postgresql": partial(postgresql.transfers, size=100),
    "signed": partial(signed.signed_single, accounts=20),
    "open loop": partial(open_loop.open_loop, rate_per_s=3_000),
    "reads beside writes": open_loop.reads_beside_writes,
}


def test_a_first_payment_is_made(tmp_path: Path) -> None:
    first_run.pay(tmp_path / "ledger", 3)
    assert list((tmp_path / "ledger" / "journal").glob("*.segment"))


# --- the command ---


def test_list_names_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    command.run(list_=True, full=True, as_json=True)
    assert {row["work"] for row in json.loads(capsys.readouterr().out)["rows"]} >= ISSUE


def test_a_row_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = ["--operations", "600", "--repeats", "2"]
    assert command.main(["--only", "transfers-10k", *size, "--json", "--folder", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["machine"]) >= MACHINE
    [row] = found["rows"]
    assert set(row) == {*Row.__dataclass_fields__, "took_s", "date", "command", "machine", "commit", "label"}
    assert (row["work"], row["accounts"], row["operations"], row["repeats"]) == ("transfers-10k", 10_000, 600, 2)
    assert 0 < row["lowest"] <= row["median"] <= row["highest"]
    assert set(row["limits"]) == {"disk", "memory"}
    assert row["ratio"] > 0
    assert row["peak_mib"] > 0
    assert row["met"] is None  # this is not the size that its goal is for
    assert row["command"] == "python -m benchmarks --only transfers-10k --operations 600 --repeats 2"
    assert list(tmp_path.iterdir()) == []  # the folder is removed


def test_an_unknown_row_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--only", "nothing"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "hint:" in err


# Another test makes a row of transfers, and what most of these do is done by other rows or tests of their modules too.
# The row over HTTP waits for seconds without a drop, and that of queues, which only the soak makes, solves for seconds.
REPEATED = {
    "transfers", "holds", "settle", "expire", "snapshot beside", "wallet bytes", "reads beside writes", "judged again",
    "purses over HTTP", "pays", "purses", "queue",
}  # fmt: skip


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.soak) if kind in REPEATED else kind for kind in SMALL]
)
def test_every_kind_of_row_checks_its_work(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # 300 ids are in memory. What reads the disk meanwhile is a page of code that the system had dropped.
    monkeypatch.setattr(known_ids.Use, "has_read_since", lambda *_: False)
    with tempfile.TemporaryDirectory() as name:  # not pytest's own, where no other user may pass
        try:
            [(work, *limits)] = SMALL[kind](Setting(Path(name), 300, 1, lambda _: None))
        except UnavailableError as error:
            if kind == "postgresql":
                pytest.skip(error.message)
            raise
        assert list(Path(name).iterdir()) == []
    assert work.operations >= 300
    assert work.total_s > 0 or work.value is not None
    assert all(limit.total_s > 0 or limit.value for limit in limits)
    assert limits


def test_peers_of_the_sandbox_have_the_draws_of_the_engine() -> None:
    made = voucher_model.model()
    persons, days = voucher_model.persons_of(made, 40), list(voucher_model.days_of(made, 40))
    assert voucher_model.totals_of(made.engine(40)).shape == (voucher_model.DAYS, len(voucher_model.TOTALS))
    for number in (0, 7, 39):
        person = Columns.of(made.place.people, made.design).person(number, 1)
        for at in (0, 11):
            drawn = Draws(person_key(voucher_model.SEED, number), at)
            assert days[at].used[number] == share_of(drawn.bits(layout.USE))
            assert person.month * int(days[at].basket[number]) >> layout.BASKET_BITS == basket(
                person, made.setting, drawn
            )
            assert persons.propensity[number] == propensity(person, made.setting, drawn)
            assert persons.never[number] == happens(drawn.once(layout.NEVER), made.setting.rules[layout.R_NEVER])


def test_the_model_of_peers_has_no_refunds_which_peers_do_not_compute() -> None:
    outcome = voucher_model.model().engine(2_000)
    assert outcome.total("payments") > 0
    assert outcome.total("refunded") == 0


def test_days_are_shared_between_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assumptions, "load", lambda: SMALL_DAY)
    repeats = list(clearing_days.ahead(Setting(Path(), 3, 2, lambda _: None), value_by_prefund=30))
    assert [work.operations for work, _ in repeats] == [2, 1]
    for work, _ in repeats:
        assert work.value in (0.0, 50.0, 100.0)
        assert f"ahead on {work.operations} of {work.operations} days" in work.note or work.value < 100


def test_a_wrong_answer_ends_an_open_loop() -> None:
    async def refused() -> Result:
        await asyncio.sleep(0)
        return Result.EXCEEDS_BALANCE

    async def main() -> None:
        callers = crowd.Crowd(refused, iter([()] * 3), lambda result: result is Result.CREATED)
        callers.draw(1_000, 3)
        await callers.offer()

    with pytest.raises(UnavailableError, match="a call was answered EXCEEDS_BALANCE"):
        asyncio.run(main())


def test_an_open_loop_counts_from_when_each_call_was_due() -> None:
    """A call that holds up the loop makes those late that were due meanwhile."""
    calls = iter(range(10))

    async def slow_first() -> bool:
        if next(calls) == 0:
            time.sleep(0.2)
        return True

    async def main() -> Timing:
        callers = crowd.Crowd(slow_first, iter([()] * 10), bool)
        callers.draw(100, 10)
        return await callers.offer()

    timing = asyncio.run(main())
    assert timing.operations == len(timing.batches_s) == 10
    assert sorted(timing.batches_s)[5] > 0.09


def test_a_server_s_settings_end_with_it() -> None:
    before = sys.getswitchinterval(), gc.get_threshold()
    with crowd.as_a_server():
        assert sys.getswitchinterval() == pytest.approx(crowd.SWITCH_S) == pytest.approx(SWITCH_INTERVAL_S)
    assert (sys.getswitchinterval(), gc.get_threshold()) == before


# --- rows that are left out, or fail ---


def test_the_subset_leaves_out_what_takes_long() -> None:
    subset = {one.work for one in catalogue.chosen((), full=False)}
    whole = {one.work for one in catalogue.chosen((), full=True)}
    assert subset < whole
    assert whole - subset >= {"transfers-100m", "drop-10m", "drop-100m", "restart-1m"}
    assert [one.work for one in catalogue.chosen(("drop-100m",), full=False)] == ["drop-100m"]
    with pytest.raises(UsageError):
        catalogue.chosen(("nothing",), full=True)


def test_names_are_given_once() -> None:
    names = [one.work for one in catalogue.BENCHMARKS]
    assert len(set(names)) == len(names)


def test_what_could_not_be_done_is_said() -> None:
    assert "NOT RUN: no server" in tables.sentence({"work": "peer", "not_run": "no server"})


# --- rows ---


def benchmark(**changed: Any) -> Benchmark:
    return replace(Benchmark("work", "what", 10, 100, "limit", lambda _: iter(())), **changed)


def timing(operations: int, total_s: float, *, name: str = "", peak_bytes: int = 0) -> Timing:
    return Timing(operations, total_s, [total_s], name=name, peak_bytes=peak_bytes)


def test_a_row_has_the_median_the_spread_and_the_limit_that_decides() -> None:
    repeats = [
        (timing(100, work_s), timing(100, 0.5, name="disk"), timing(100, 0.1, name="memory"))
        for work_s in (4.0, 1.0, 2.0)
    ]
    row = Row.of(benchmark(goal=Goal(50)), repeats, peak_bytes=3 << 20)
    assert (row.lowest, row.median, row.highest) == (25, 50, 100)
    assert (row.limit_by, row.limit_value, row.limits) == ("disk", 200, {"disk": 200, "memory": 1000})
    assert (row.ratio, row.met, row.peak_mib) == (0.25, True, 3)
    assert row.longest_ms == 4000


@pytest.mark.parametrize(
    ("goal", "operations", "met"),
    [
        (Goal(40), 100, True),
        (Goal(60), 100, False),
        (Goal(40), 99, None),  # not at its size
        (Goal(40, memory_gib=1), 100, True),
        (Goal(40, memory_gib=0.001), 100, False),
        (Goal(40, steady=True), 100, False),  # there is no million to compare
    ],
)
def test_a_goal_is_met_at_its_own_size_only(goal: Goal, operations: int, met: bool | None) -> None:
    row = Row.of(benchmark(goal=goal), [(timing(operations, operations / 50, peak_bytes=2 << 20),)])
    assert row.met is met


def test_where_less_is_better_the_limit_is_the_longest() -> None:
    repeats = [(timing(1, 0.040), timing(1, 0.010, name="disk"), timing(1, 0.002, name="memory"))]
    row = Row.of(benchmark(unit=TOTAL_MS, goal=Goal(60), operations=1), repeats)
    assert (row.median, row.limit_by, row.ratio, row.met) == (40, "disk", 0.25, True)
    assert row.goal == "≤ 60 ms"
    assert Goal(5_000_000, steady=True).text(RATE) == "≥ 5,000,000/s, last million as the first"


def test_millions_are_whole_ones_of_full_frames() -> None:
    frames = MILLION // BATCH
    two = Timing(2 * MILLION + 5, 3.0, [1 / frames] * frames + [2 / frames] * frames + [0.1])
    assert two.millions_per_s() == pytest.approx([MILLION, MILLION / 2])
    in_turns = Timing(MILLION, 1.0, [1 / frames] * (frames + 2))  # the last frame of each kind is not full
    assert in_turns.millions_per_s() == pytest.approx([MILLION])
    assert Timing(MILLION, 1.0, [0.001] * MILLION).millions_per_s() == []  # calls of one operation
    assert Timing(100, 1.0, [1.0]).millions_per_s() == []
    assert Timing(2 * MILLION, value=3.0).millions_per_s() == []  # no matter of time


def test_only_the_calls_are_timed() -> None:
    found = measure.timed(iter([1, 2]), lambda _: None, 2)
    assert found.total_s == pytest.approx(sum(found.batches_s))


# --- the town ---


def test_ids_are_different_and_look_like_ids() -> None:
    made = np.concatenate(
        [town.ids_of(purpose, np.arange(100), series=series) for purpose in town.Purpose for series in (0, 1)]
    )
    assert np.unique(made).size == made.size
    assert (made["high"] >> np.uint64(12) & np.uint64(15) == 7).all()
    assert (made["low"] >> np.uint64(62) == 2).all()


def test_payments_do_not_hang_on_how_many_are_made() -> None:
    many = next(town.Town(50, 1_000).transfers())
    few = next(town.Town(50, 10).transfers())
    assert np.array_equal(many[:10], few)
    assert not ((many["debit_low"] == many["credit_low"]) & (many["debit_high"] == many["credit_high"])).any()


# --- the page ---


def test_the_page_shows_the_newest_results() -> None:
    rows = report.newest()
    page = report.PAGE.read_text(encoding="utf-8")
    assert report.with_block(page, report.block(rows)) == page, "python -m benchmarks --report"
    for name, text in report.images(rows).items():
        assert (report.IMAGES / name).read_text(encoding="utf-8") == text, "python -m benchmarks --report"


def test_the_page_explains_every_row_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    explained = page.partition("## What is measured")[2]
    names = [(one.work, one.work.removesuffix("-single")) for one in catalogue.BENCHMARKS]
    assert [work for work, family in names if f"`{work}`" not in explained and f"`{family}`" not in explained] == []
    command.app("--help", result_action="return_value")
    options = set(re.findall(r"--[a-z]+", capsys.readouterr().out)) - {"--help", "--version"}
    assert [option for option in sorted(options) if f"`{option}" not in page] == []


@pytest.mark.xfail(strict=True, reason="remove this mark with the last row: python -m benchmarks --full --save")
def test_every_row_of_the_catalogue_has_a_saved_result() -> None:
    assert report.missing(report.newest()) == []


FACTS: dict[str, Any] = dict.fromkeys(report.SAME_MACHINE, 1) | {"load_average_1min": 0.1, "late_ms": 0.2}


def saved(work: str, median: float, *, day: int = 25, label: str = "", **values: Any) -> None:
    """Save a row of a day in November 2026."""
    date = f"2026-11-{day}T10:00:00+00:00"
    row = asdict(Row.of(catalogue.named(work), [(Timing(1_000, 1, value=median),)])) if work != "gone" else {}
    row |= {"work": work, "median": median, "date": date, "commit": "c0ffee", "label": label, "command": "run"}
    report.save(row | {"machine": FACTS | {"date": date}} | values)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    return tmp_path


def shown() -> list[tuple[str, str, float]]:
    return [(row["work"], row["label"], row["median"]) for row in report.newest()]


def test_newer_results_take_the_place_of_older_ones(results: Path) -> None:
    for work in ("draw", "replay", "gone"):
        saved(work, 1)
    (results / "stages-before.json").write_text("{}")  # not of a day
    saved("draw", 2)
    assert [each.name for each in sorted(results.iterdir())] == ["2026-11-25.json", "stages-before.json"]
    assert shown() == [("replay", "", 1), ("draw", "", 2)]  # in the order of the catalogue, which lists no "gone"
    saved("drop-1m", 3, day=28)
    saved("draw", 4, day=26)
    assert shown() == [("drop-1m", "", 3), ("replay", "", 1), ("draw", "", 4)]
    assert {"draw", "drop-1m", "replay"}.isdisjoint(report.missing(report.newest()))


def test_a_row_that_was_not_run_replaces_no_result(results: Path) -> None:
    saved("draw", 1)
    saved("draw", 2, not_run="no memory")
    saved("draw", 2, day=26, not_run="no memory")
    assert shown() == [("draw", "", 1)]
    saved("replay", 1, not_run="no memory")
    assert "replay" in report.missing(report.newest())
    assert "- `replay`: no memory" in report.block(report.newest())


def test_two_runs_of_a_row_are_shown_side_by_side(results: Path) -> None:
    limit = {"ratio": 0.5, "limit_value": 2.0}
    saved("reads-beside-writes", 4.5, met=True, **limit)
    busy = FACTS | {"cpu": "another", "load_average_1min": 2.5, "date": "2026-11-26T10:00:00+00:00"}
    saved("reads-beside-writes", 12.5, day=26, label="shared cores", met=False, machine=busy, commit="", **limit)
    text = report.block(report.newest())
    first, second = (line for line in text.splitlines() if line.startswith("| `reads") and "≤" in line)
    assert first.startswith("| `reads-beside-writes` |")
    assert first.endswith("| met | B, 2026-11-25, `c0ffee` |")
    assert second.startswith("| `reads-beside-writes` (shared cores) |")
    assert second.endswith("| **missed** | A, 2026-11-26, commit unknown, busy |")
    assert "Goals met: 1. Goals missed: 1: `reads-beside-writes` (shared cores)." in text
    assert "- A: another, " in text
    assert "- `draw`: not recorded yet" in text
    picture = report.images(report.newest())[report.LIMITS_IMAGE]
    assert (picture.count("reads-beside-writes"), picture.count("(shared cores)")) == (2, 1)


def test_each_row_is_saved_at_once(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is cut off after its first row has saved it."""
    measured = command.runner.measured

    def once(one: Benchmark, *arguments: Any, **named: Any) -> dict[str, Any]:
        if one.work != "transfers-10k":
            raise KeyboardInterrupt
        return measured(one, *arguments, **named)

    monkeypatch.setattr(command.runner, "measured", once)
    size = ["--operations", "600", "--repeats", "1", "--folder", str(tmp_path)]
    with pytest.raises(SystemExit, match="130"):
        command.main(["--only", "transfers-1", *size, "--save", "--label", "small"])
    [row] = report.newest()
    assert (row["work"], row["label"], row["met"], row["operations"]) == ("transfers-10k", "small", None, 600)
    assert re.fullmatch(r"([0-9a-f]{10,}\+?)?", row["commit"])
    assert set(row["machine"]) >= MACHINE
    assert command.main(["--only", "transfers-10k", "--label", "small"]) == 2


def test_others_beside_the_work_count_for_a_goal() -> None:
    benchmark = Benchmark("a", "b", None, 10, "", lambda _: iter(()), TOTAL_MS, Goal(100, beside_max=2))
    for beside, met in ((1.5, True), (2.5, False), (None, False)):
        row = Row.of(benchmark, [(Timing(10, 0.001, beside=beside),)])
        assert (row.beside, row.met) == (beside, met)
    assert Row.of(benchmark, [(Timing(3, 0.001, beside=1),)]).met is None
    assert Row.of(benchmark, [(Timing(3, 0.001, beside=1),)], size=10).met is True
    assert Goal(100, beside_max=2).text(TOTAL_MS) == "≤ 100 ms, others' p99 ≤ 2 times"


def test_plots_are_whole_pictures() -> None:
    stages = json.loads((report.RESULTS / "stages-before.json").read_text(encoding="utf-8"))
    pictures = [
        *report.images(report.newest()).values(),
        report.flame_of(stages),
        charts.limits([]),
        charts.millions([]),
    ]
    for picture in pictures:
        assert ET.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314  (our own)


def test_stages_add_up() -> None:
    stages = json.loads((report.RESULTS / "stages-before.json").read_text(encoding="utf-8"))["rows"]
    mean = {row["stage"]: row["mean_ms"] for row in stages}
    for whole in ("submit", "submit/journal", "submit/apply/kernel"):
        parts = [value for stage, value in mean.items() if stage.rpartition("/")[0] == whole]
        assert sum(parts) == pytest.approx(mean[whole], rel=0.01)
