"""Comparisons are paired: designs have the same draws, and differences, shares and regret follow their definitions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sycee import cli, data
from sycee.core.errors import UsageError
from sycee.core.limits import COHORT_MEMBERS_MAX
from sycee.programmes import definition
from sycee.programmes.definition import DrawRule, Programme, Split, Stratum
from sycee.programmes.merchant_groups import MerchantGroup
from sycee.programmes.zones import Zone
from sycee.report import chart, page
from sycee.report.heat import heat
from sycee.sandbox.behaviour import parameters
from sycee.sandbox.city import files
from sycee.sandbox.city.model import tiny_town
from sycee.sandbox.experiments import comparing, ensemble, granting, pages, sensitivity
from sycee.sandbox.experiments.candidates import Trial, sampled
from sycee.sandbox.inference import posterior
from sycee.sandbox.ledger_run import programme_text, recipients
from sycee.sandbox.ledger_run import run as runs
from sycee.sandbox.plan import HOUR_NS

TOWN = tiny_town(3_000, 90)
FEW: dict[str, Any] = {"draws": 3, "seeds": 2, "structures": ("income", "habit")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a base of 400 packets, and three variants: equal, with a threshold, with twice the amount."""
    path = tmp_path_factory.mktemp("programmes")
    text = data.content("pilots", "luohu-2020").decode().split("[published.registered]")[0]
    for old, new in (
        ("50_000", "400"),
        ('"10000000.00"', '"80000.00"'),
        ('zones = ["luohu"]', ""),
        ("3_389", "60"),
    ):
        assert old in text
        text = text.replace(old, new)
    (path / "base.toml").write_text(text)
    (path / "same.toml").write_text("rules.divisible = true\n")
    (path / "threshold.toml").write_text('rules.payment_min = "60.00"\n')
    (path / "twice.toml").write_text('packets.packet.amount = "400.00"\nbudget.amount = "160000.00"\n')
    return path


def compared(folder: Path, *names: str, **changes: Any) -> dict[str, Any]:
    trial = Trial.of(TOWN, 2_000)
    candidates = trial.candidates(folder / "base.toml", [folder / f"{name}.toml" for name in names])
    return comparing.compare(trial, candidates, posterior.prior(), **FEW | changes)


def test_equal_designs_have_no_difference_and_twice_the_money_has_more(folder: Path) -> None:
    found = compared(folder, "same", "twice")
    assert compared(folder, "same", "twice") == found
    assert compared(folder, "same", "twice", seed=2)["runs"] != found["runs"]
    base, same, twice = found["designs"]
    assert same["outcomes"] == base["outcomes"]
    pairs = {(each["a"], each["b"]): each for each in found["pairs"]}
    equal = pairs["same", "luohu-2020"]["new"]
    assert equal["a_beats_b"] == 0.5
    assert set(equal["difference"]["quantiles"].values()) == {0.0}
    assert pairs["twice", "luohu-2020"]["new"]["a_beats_b"] == 1.0
    assert twice["regret"]["new"] == {
        "mean": 0.0,
        "quantiles": dict.fromkeys(("5", "25", "50", "75", "95"), 0.0),
        "best": 1.0,
    }
    assert base["regret"]["new"]["mean"] > 0
    assert twice["keys"] == ["packets.packet.amount", "budget.amount"]
    assert base["recipients"] == 267


def test_differences_are_attributed_key_by_key(folder: Path, tmp_path: Path) -> None:
    both = tmp_path / "both.toml"
    both.write_text((folder / "twice.toml").read_text() + (folder / "threshold.toml").read_text())
    trial = Trial.of(TOWN, 2_000)
    candidates, steps = trial.candidates(folder / "base.toml", [both]), trial.steps(folder / "base.toml", [both])
    few = {"draws": 2, "seeds": 1, "structures": ("habit",)}
    found = comparing.compare(trial, candidates, posterior.prior(), steps=steps, **few)
    rows = found["attribution"]
    assert [each["keys"] for each in rows] == [["packets.packet.amount", "budget.amount"], ["rules.payment_min"]]
    assert [each["design"] for each in rows] == ["both", "both"]
    whole = found["pairs"][0]["new"]["difference"]["quantiles"]["50"]  # of two runs, so medians add up
    assert sum(each["new"]["quantiles"]["50"] for each in rows) == pytest.approx(whole, rel=1e-4)
    assert comparing.compare(trial, candidates, posterior.prior(), **few)["designs"] == found["designs"]


def test_sobol_indices_find_the_parameters_that_decide(folder: Path) -> None:
    candidates = Trial.of(TOWN, 1_000).candidates(folder / "base.toml", [folder / "same.toml"])
    found = sensitivity.sobol(candidates, ("income", "habit"), 4, 1, 8)
    assert sensitivity.sobol(candidates[:1], ("income", "habit"), 4, 1, 8)["rows"] == found["rows"][:1]
    assert found["runs"] == 2 * 4 * (len(sensitivity.FACTORS) + 2)
    base, same, difference = found["rows"]
    assert base["factors"] == same["factors"]
    assert difference["against"] == "luohu-2020"
    assert difference["factors"] is None  # equal designs have no difference
    totals = {each["factor"]: each["total"] for each in base["factors"]}
    assert list(totals.values()) == sorted(totals.values(), reverse=True)
    assert max(totals["mpc_cash"], totals["mpc_expiry"]) > 0.05
    assert totals["respend_share"] == totals["lift_share"] == 0  # later rounds are left out, and there is no threshold
    with pytest.raises(UsageError, match="24 samples are no power of two"):
        sensitivity.sobol(candidates, ("income",), 24, 1, 14)


def test_each_structure_has_the_parameters_that_were_fitted_with_it(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "posterior.parquet"
    values = np.array([[0.0, 0.0], [0.6, 0.3]])
    posterior.store(path, ("mpc_cash", "mpc_expiry"), values, np.ones(2), ("deadline", "habit"))
    trial = Trial.of(TOWN, 1_000)
    few: dict[str, Any] = {"draws": 2, "seeds": 1, "structures": ("deadline", "habit")}
    (base,) = comparing.compare(trial, trial.candidates(folder / "base.toml", []), posterior.load(path), **few)[
        "designs"
    ]
    found = base["outcomes"]["new_of_spent"]["by_structure"]
    assert found["deadline"]["95"] < 0.2 < 0.3 < found["habit"]["5"]


def test_uncertainties_are_kept_apart() -> None:
    structure = np.array([10.0, 20.0])[:, None, None]
    parameters = np.array([-1.0, 0.0, 1.0])[None, :, None]
    sampling = np.array([-0.1, 0.1])[None, None, :]
    found = comparing.bands(structure + parameters + sampling, ("one", "other"))
    assert found["by_structure"]["one"]["50"] == pytest.approx(10.0)
    assert found["by_structure"]["other"]["50"] == pytest.approx(20.0)
    assert found["parameters"]["50"] == pytest.approx(0.0, abs=1e-12)
    assert found["parameters"]["95"] == pytest.approx(1.0)
    assert found["sampling"]["95"] == pytest.approx(0.1 * 2**0.5, rel=1e-5)
    assert comparing.bands(structure + parameters, ("one", "other"))["sampling"] is None


def test_a_run_without_new_consumption_has_no_cost_per_unit() -> None:
    values = np.array([[[np.nan, 2.0]]])
    found = comparing.bands(values, ("one",))
    assert found["quantiles"]["50"] == 2.0
    assert found["without_figure"] == 1
    assert comparing.beats(values, np.array([[[1.0, 1.0]]])) == 1.0
    assert comparing.beats(values, np.full((1, 1, 2), np.nan)) is None


def test_a_sample_keeps_households_zones_and_shops() -> None:
    made = sampled(TOWN, 1_000)
    made.check()
    assert 900 <= len(made.persons) <= 1_100
    assert len(made.merchants) == len(TOWN.merchants)
    share = made.zones.population / TOWN.zones.population
    assert np.abs(share - 1 / 3).max() < 0.1
    kept = np.unique(TOWN.persons.household, return_counts=True)[1]
    assert set(np.unique(made.persons.household, return_counts=True)[1]) == set(kept)
    assert sampled(TOWN, 3_000) is TOWN


BASE = replace(
    definition.load("luohu-2020"),
    merchants=(MerchantGroup("food", 20, "town", ("food",)), MerchantGroup("others", 20, "town")),
)
SHARED = {"packets": (), "budget_minor": 2_400_000}
LARGE, SMALL = (replace(BASE.packets[0], name=name, count=60) for name in ("large", "small"))
HALVES = (LARGE, replace(SMALL, amount_minor=5_000))
ALL = DrawRule(definition.ALL_RULE, tuple(Stratum(each.name, each.count) for each in HALVES))
EVERYBODY = DrawRule(definition.ALL_RULE, (Stratum(definition.EVERYBODY, COHORT_MEMBERS_MAX),))


def lottery(*zones: Zone, **changes: Any) -> Programme:
    """Return a programme of 60 large and 60 small packets, with these zones."""
    strata = [Stratum(each.name, sum(each.packets)) for each in zones] or [Stratum("all", 120)]
    draw = replace(BASE.draw, strata=tuple(strata))
    return replace(BASE, **{"packets": HALVES, "budget_minor": 1_500_000, "draw": draw, "zones": zones} | changes)


def two_zones(later: int | None = None) -> tuple[Zone, Zone]:
    """Return a zone of 36 large and 24 small packets, and one of the others, which is dropped days after the first."""
    from_ns = None if later is None else BASE.claim.from_ns + later * 24 * HOUR_NS
    return Zone("a", (36, 24), None, False), Zone("b", (24, 36), from_ns, False)


PLANS = {
    "zones": lottery(*two_zones(2)),
    "first-come": lottery(mode=definition.FIRST_COME, draw=ALL),
    "list": lottery(mode=definition.LIST, draw=ALL),
    "equal": lottery(mode=definition.EQUAL, draw=EVERYBODY, **SHARED),
    "random-split": lottery(mode=definition.RANDOM_SPLIT, split=Split(5_000, 500), **SHARED),
}


def totals(programme: Programme, seed: int = 3) -> dict[str, int]:
    """Return the totals of one run of a programme on the whole town, as a comparison has them."""
    candidate = Trial.of(TOWN, len(TOWN.persons)).candidate("one", (), b"", programme)
    found = ensemble.totals_of(candidate, parameters.standard().central(), "habit", seed, 21)
    return dict(zip(ensemble.TOTALS, found, strict=True))


@pytest.mark.parametrize("plan", PLANS)
def test_every_mode_and_zone_plan_of_a_run_is_compared(
    plan: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files.write(TOWN, tmp_path / "town")
    base, variant, grid = (tmp_path / f"{name}.toml" for name in ("base", "threshold", "grid"))
    base.write_text(programme_text.text_of(PLANS[plan]))
    variant.write_text('rules.payment_min = "60.00"\nrules.divisible = false\n')
    grid.write_text('[threshold]\n"40" = { rules.payment_min = "40.00" }\n')
    few = ["--draws", "2", "--seeds", "1", "--people", "700", "--sobol", "1", "--attribution", "--grid", str(grid)]
    out = tmp_path / "c.json"
    words = ["sandbox", "compare", str(base), str(variant), "--city", str(tmp_path / "town"), "--out", str(out)]
    assert cli.main([*words, *few]) == 0, capsys.readouterr().err
    found = json.loads(out.read_text())
    assert [each["name"] for each in found["designs"]] == ["luohu-2020", "threshold", "threshold 40"]
    assert {each["recipients"] for each in found["designs"]} == ({None} if plan == "equal" else {28})
    assert len({json.dumps(each["outcomes"]["issued"]) for each in found["designs"]}) == 1  # keys that spend otherwise
    assert found["designs"][0]["outcomes"]["spent"] != found["designs"][1]["outcomes"]["spent"]
    if plan == "zones":
        assert cli.main(["sandbox", "verify", str(out), "--rerun"]) == 0, capsys.readouterr().err


def test_zones_that_are_dropped_at_once_are_a_lottery_without_zones() -> None:
    assert totals(lottery(*two_zones())) == totals(lottery())


def test_packets_of_a_later_zone_are_claimed_later_or_never() -> None:
    at_once, later, never = (totals(lottery(*two_zones(days))) for days in (0, 5, 8))
    assert at_once["issued"] == later["issued"] == never["issued"] == 1_500_000
    assert at_once["claimed"] > later["claimed"] > never["claimed"]
    assert never["claimed"] <= 36 * 20_000 + 24 * 5_000  # the packets of the first zone
    assert never["returned"] >= 24 * 20_000 + 36 * 5_000


def test_zones_share_winners_who_are_fewer_than_packets() -> None:
    classes = tuple(replace(each, count=600) for each in HALVES)
    zones = (Zone("a", (100, 200), None, False), Zone("b", (500, 400), BASE.claim.from_ns + 24 * HOUR_NS, False))
    plan = lottery(*zones, packets=classes, budget_minor=15_000_000)
    found = Trial.of(TOWN, len(TOWN.persons)).candidate("one", (), b"", plan)
    given = granting.granted(plan, found.design, found.place, parameters.standard().central(), "habit", 3)
    assert given.grants is not None
    assert given.from_days is not None
    winners = int((given.grants > 0).sum())
    assert 200 < winners < 400
    assert int(((given.grants == 20_000) & (given.from_days == 0)).sum()) in (winners // 4, winners // 4 + 1)
    assert int(((given.grants == 20_000) & (given.from_days == 2)).sum()) in (winners * 3 // 4, winners * 3 // 4 + 1)
    assert (given.grants == 5_000).sum() == 0


def test_a_zone_without_a_packet_in_the_city_delays_none_as_in_a_run() -> None:
    town, day = replace(TOWN, one_in=20), 24 * HOUR_NS
    classes = tuple(replace(each, count=1_200) for each in HALVES)
    zones = (
        Zone("a", (600, 600), None, False),
        Zone("b", (4, 4), BASE.claim.from_ns + 5 * day, False),
        Zone("c", (596, 596), BASE.claim.from_ns + day, False),
    )
    plan = lottery(*zones, packets=classes, budget_minor=30_000_000)
    found, central = Trial.of(town, len(town.persons)).candidate("one", (), b"", plan), parameters.standard().central()
    given = granting.granted(plan, found.design, found.place, central, "habit", 3)
    case = runs.prepare(plan, town, central, seed=3, variant="habit", days=21)
    run = recipients.choose(plan, case.place, case.setting, 3)
    assert given.grants is not None
    assert given.from_days is not None
    assert sorted(given.from_days[given.grants > 0]) == sorted(run.since)


def test_who_shares_a_budget_gets_what_a_run_gives() -> None:
    equal = PLANS["equal"]
    case = runs.prepare(equal, TOWN, parameters.standard().central(), seed=3, variant="habit", days=21)
    outcome = runs.alone(case, runs.choose(case))
    found = totals(equal)
    assert {name: outcome.total(name) for name in found if name != "forward"} | {
        "forward": outcome.open_forward()
    } == found
    assert 2_399_000 < found["issued"] <= 2_400_000


def test_a_random_split_divides_the_whole_budget_by_chance() -> None:
    split = PLANS["random-split"]
    candidate = Trial.of(TOWN, len(TOWN.persons)).candidate("one", (), b"", split)
    given = granting.granted(
        split, candidate.design, candidate.place, parameters.standard().central(), "habit", 3
    ).grants
    assert given is not None
    amounts = given[given > 0]
    assert (amounts.size, amounts.sum()) == (120, 2_400_000)
    assert amounts.min() >= 5_000
    assert set((amounts % 500).tolist()) == {0}
    assert amounts.std() > 2_000
    assert totals(split) != totals(lottery(packets=(replace(LARGE, count=120),)))


def test_impossible_comparisons_are_refused(folder: Path, tmp_path: Path) -> None:
    trial = Trial.of(TOWN, 2_000)
    twin = tmp_path / "same.toml"
    twin.write_text("rules.divisible = false\n")
    with pytest.raises(UsageError, match='two designs have the name "same"'):
        trial.candidates(folder / "base.toml", [folder / "same.toml", twin])
    few = lottery(packets=(replace(LARGE, count=1),), draw=replace(BASE.draw, strata=(Stratum("all", 1),)))
    with pytest.raises(UsageError, match=r"has no recipient among 9\d\d of 3,000 persons") as caught:
        Trial.of(TOWN, 1_000).candidate("few", (), b"", few)
    assert "a larger --people" in str(caught.value.hint)
    with pytest.raises(UsageError, match='names the zone "luohu"'):
        trial.candidates("luohu-2020", [])


def test_the_command_stores_a_comparison_and_its_page(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files.write(TOWN, tmp_path / "town")
    out, page = tmp_path / "c.json", tmp_path / "c.html"
    designs = [str(folder / "base.toml"), str(folder / "threshold.toml")]
    few = ["--city", str(tmp_path / "town"), "--out", str(out), "--draws", "2", "--seeds", "1", "--people", "500"]
    assert cli.main(["sandbox", "compare", *designs, *few, "--page", str(page), "--attribution"]) == 0
    shown = capsys.readouterr().out
    assert "threshold against luohu-2020: more new consumption in" in shown
    assert "threshold: rules.payment_min changes new by" in shown
    assert "What each key does" in page.read_text()
    assert json.loads(out.read_text())["designs"][1]["keys"] == ["rules.payment_min"]
    assert "what this comparison cannot say" in page.read_text()
    assert page.read_text().count("<svg") >= 6
    assert "\n[" in page.read_text()  # a band is below its median, so that tables fit into a window
    grid = tmp_path / "grid.toml"
    grid.write_text('[threshold]\n"40" = { rules.payment_min = "40.00" }\n"60" = { rules.payment_min = "60.00" }\n')
    assert cli.main(["sandbox", "compare", designs[0], "--grid", str(grid), *few, "--page", str(page), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in found["designs"]] == ["luohu-2020", "threshold 40", "threshold 60"]
    assert [each["axes"] for each in found["designs"]] == [{}, {"threshold": "40"}, {"threshold": "60"}]
    assert "What the values of the grid do" in page.read_text()
    assert cli.main(["sandbox", "compare", designs[0], *few]) == 2
    assert "no design to compare" in capsys.readouterr().err
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('rules.payment_mim = "60.00"\n')
    assert cli.main(["sandbox", "compare", designs[0], str(wrong), *few]) == 2
    assert "payment_min" in capsys.readouterr().err


@pytest.mark.soak  # it draws eleven plots twice
def test_a_page_of_very_many_designs_is_below_a_megabyte(folder: Path) -> None:
    found = compared(folder, "same", draws=2, seeds=2)
    base, other = found["designs"]
    designs = [other | {"name": f"threshold {at}, of a long name", "axes": {"threshold": str(at)}} for at in range(64)]
    names = [each["name"] for each in designs]
    pairs = [found["pairs"][0] | {"a": one, "b": other} for one in names for other in names if one != other]
    found |= {"designs": [base, *designs], "pairs": pairs[:2_080]}
    shown = page.render(pages.comparison_page(found))
    assert len(shown.encode()) < 1_000_000
    for title in ("Three uncertainties of each design", "What a choice can lose", "what this comparison cannot say"):
        assert title in shown


@pytest.mark.parametrize("narrow", [False, True])
def test_a_map_has_a_cell_for_each_figure(narrow: bool) -> None:
    drawn = heat(["a", "b"], ["c", "d"], [[0.1, None], [0.5, 0.9]], middle=0.5, text=lambda value: f"v{value}")
    shown = chart.svg(drawn, name="map", width=400, height=200, narrow=narrow)
    assert [f">v{value}<" in shown for value in (0.1, 0.5, 0.9)] == [True] * 3
    nothing = heat(["a"], ["c"], [[None]], middle=0.0, text=str)
    assert "nothing to show" in chart.svg(nothing, name="map", width=400, height=200)
