"""Predictions follow from their arguments alone, and scores count hits as their definitions say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sycee import cli, data
from sycee.core.errors import UsageError
from sycee.report.page import Block, Plot, Table
from sycee.sandbox.behaviour import parameters, variants
from sycee.sandbox.experiments import comparing
from sycee.sandbox.inference import fitting, posterior
from sycee.sandbox.pilots import description, published, town
from sycee.sandbox.pilots.simulation import Key, Simulation
from sycee.sandbox.validity import pages, predicting, scoring

LUOHU = description.load("luohu-2020")
FEW: dict[str, Any] = {"draws": 6, "people": 2_000, "seed": 3}


@pytest.fixture(scope="module")
def prediction() -> dict[str, Any]:
    return predicting.predict(LUOHU, posterior.prior(), **FEW)


def test_equal_arguments_give_an_equal_prediction(prediction: dict[str, Any]) -> None:
    assert predicting.predict(LUOHU, posterior.prior(), **FEW) == prediction
    assert predicting.predict(LUOHU, posterior.prior(), **FEW | {"seed": 4})["outcomes"] != prediction["outcomes"]
    for row in prediction["outcomes"]:
        values = list(row["quantiles"].values())
        assert values == sorted(values)
        assert len(row["sample"]) == FEW["draws"] * len(prediction["structures"])


@pytest.mark.fast
def test_the_digest_of_the_code_is_of_all_that_results_follow_from() -> None:
    found = set(predicting.code_files(predicting.CODE))
    assert {"sandbox/validity/predicting.py", "sandbox/city/build.py", "sandbox/seeded_choices.py"} <= found
    assert {f"{folder}/luohu-2020.toml" for folder in ("data/pilot-designs", "data/pilot-results")} <= found
    assert {"data/sector-names/standard.toml", "data/behaviour/standard.toml", "data/cities/market-town.toml"} <= found
    of_run = set(predicting.code_files(predicting.RUN_CODE))
    assert {"sandbox/ledger_run/run.py", "sandbox/plan.py", "programmes/draw.py", "sandbox/city/build.py"} <= of_run
    assert {"sandbox/experiments/comparing.py", "programmes/definition.py", "sandbox/ledger_run/recipients.py"} <= set(
        predicting.code_files(comparing.COMPARISON_CODE)
    )
    assert predicting.code_digest() != predicting.code_digest(predicting.RUN_CODE)


def test_a_simulated_town_has_the_facts_of_its_description() -> None:
    facts = town.facts(LUOHU, (0.5, 0.5, 0.5, 0.5))
    place = town.place(LUOHU, facts)
    persons = place.city.persons
    assert (persons.age >= 60).mean() == pytest.approx(0.0536, abs=0.001)
    assert (persons.wallet != 0).mean() == pytest.approx(facts.wallet_ppm / 1e6, abs=0.001)
    consumption = persons.income_month.mean() * place.city.consumption_ppm / 1e6
    assert consumption == pytest.approx(LUOHU.consumption_month, rel=0.001)


def test_rates_of_a_run_are_quotients_of_its_totals() -> None:
    simulation = Simulation.of(LUOHU)
    outcome = simulation.run(parameters.standard().central(), "habit", 5, 4_000)
    outcome.check()
    values = simulation.values(outcome)
    last = LUOHU.ask.dates[-1]
    until = LUOHU.day(last) + 1
    spent = int(outcome.flow("spent")[:until].sum())
    assert values[Key("claim_rate", last, None)] == outcome.total("claims") / outcome.total("recipients")
    assert values[Key("spent_of_issued", last, None)] == spent / outcome.total("issued")
    assert values[Key("payment_mean", last, None)] == spent / int(outcome.effect("payments")[:until].sum()) / 100
    assert values[Key("mpc", None, None)] == outcome.consumption_change()[:30].sum() / outcome.flow("spent")[:30].sum()


def test_draws_of_a_posterior_keep_its_weights(tmp_path: Path) -> None:
    path = tmp_path / "posterior.parquet"
    values = np.array([[0.1], [0.2], [0.3]])
    posterior.store(path, ("mpc_cash",), values, np.array([1.0, 3.0, 4.0]), ("habit", "habit", "income"))
    stored = posterior.load(path)

    def drawn(variant: str) -> list[int]:
        drawn = stored.draws(parameters.standard(), 40, 1, variant, of_pilots=False)
        return [each["mpc_cash"] for each in drawn]

    assert (drawn("habit").count(100_000), drawn("habit").count(200_000)) == (10, 30)
    assert drawn("income") == [300_000] * 40
    assert drawn("deadline").count(300_000) == 20  # was not fitted: from all
    path.write_bytes(b"PAR1")
    with pytest.raises(UsageError, match="no Parquet file"):
        posterior.load(path)


def made(sample: list[float]) -> dict[str, Any]:
    row = {"name": "mpc", "date": None, "sector": None, "quantiles": predicting.quantiles(sample), "sample": sample}
    return {"pilot": "p", "outcomes": [row]}


def result(bounds: str) -> published.Published:
    text = f'pilot = "p"\n[[outcome]]\nname = "mpc"\n{bounds}\nsource = "s"\nmark = "1"\n'
    return published.parse(text.encode(), "results.toml")


@pytest.mark.parametrize(
    ("bounds", "in_50", "in_90"),
    [
        ("value = 50", True, True),
        ("value = 20", False, True),
        ("value = 97", False, False),
        ("low = 70\nhigh = 80", True, True),
        ("low = 94\nhigh = 200", False, True),
        ("low = 96\nhigh = 200", False, False),
    ],
)
def test_a_result_is_a_hit_where_it_meets_the_band(bounds: str, in_50: bool, in_90: bool) -> None:
    (found,) = scoring.score(made([float(each) for each in range(101)]), result(bounds)).scores
    assert (found.in_50, found.in_90) == (in_50, in_90)
    assert found.result.is_interval == bounds.startswith("low")


def test_crps_and_pit_follow_their_definitions() -> None:
    sample = [0.0, 1.0, 3.0, 8.0]
    (found,) = scoring.score(made(sample), result("value = 2")).scores
    assert found.pit == 0.5
    pairs = sum(abs(one - other) for one in sample for other in sample) / (2 * 4 * 4)
    assert found.crps == pytest.approx(sum(abs(each - 2) for each in sample) / 4 - pairs)


def test_scores_of_several_pilots_name_them_and_show_what_was_not_predicted() -> None:
    other = published.parse(
        b'pilot = "q"\n[[outcome]]\nname = "mpc"\nvalue = 9\nsource = "s"\nmark = "1"\n'
        b'[[outcome]]\nname = "claim_rate"\nlow = 0.4\nhigh = 0.5\nsource = "s"\nmark = "1"\n',
        "q.toml",
    )
    alone = scoring.score(made([1.0, 2.0, 3.0]), result("value = 2"))
    found = scoring.together([alone, scoring.score(made([1.0, 2.0, 3.0]) | {"pilot": "q"}, other)])
    assert [pages.result_name(each.result, found) for each in found.scores] == ["q: mpc", "p: mpc"]
    assert pages.result_name(alone.scores[0].result, alone) == "mpc"
    stored = found.as_json()
    assert [each["pilot"] for each in (*stored["scores"], *stored["not_predicted"])] == ["q", "p", "q"]
    table = pages.scores_page(found, []).sections[0].blocks[-1]
    assert isinstance(table, Table)
    ((name, value, why),) = table.rows
    assert (name, value) == ("q: claim rate", "0.4 to 0.5")
    assert "add claim_rate to `ask.outcomes`" in str(why)
    assert len(pages.scores_page(alone, []).sections[0].blocks) == 2


def test_a_plot_of_ratios_has_no_counts_and_says_what_it_leaves_out(prediction: dict[str, Any]) -> None:
    (ratio,) = made([0.1, 0.2, 0.3])["outcomes"]
    rows = [ratio | {"by_structure": {}, "by_seed": None, "name": name} for name in ("mpc", "payments_per_claimer")]

    def blocks(outcomes: list[dict[str, Any]]) -> tuple[Block, ...]:
        return pages.prediction_page(prediction | {"outcomes": outcomes}).sections[0].blocks

    plot, table = blocks(rows)
    assert isinstance(plot, Plot)
    assert isinstance(table, Table)
    assert plot.height == pages.height(1)
    assert plot.sentence.endswith("Amounts and numbers of payments are in the table.")
    assert [row[0] for row in table.rows] == ["mpc", "payments per claimer"]
    many, _ = blocks(rows[:1] * 61)
    assert isinstance(many, Plot)
    assert many.sentence.endswith("Only the first 60 of 61 rows are drawn.")
    assert len(blocks(rows[1:])) == 1
    unknown = scoring.score(made([1.0, 2.0]) | {"outcomes": []}, result("value = 2"))
    assert len(pages.scores_page(unknown, []).sections[0].blocks) == 1


def test_the_commands_predict_score_and_draw_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pilot = tmp_path / "mine.toml"
    pilot.write_text(data.content(description.FOLDER, "suzhou-2020").decode().replace("suzhou-2020", "mine"))
    results = tmp_path / "results.toml"
    results.write_text(
        'pilot = "mine"\n[[outcome]]\nname = "claim_rate"\ndate = 2020-12-27\nvalue = 0.1\nsource = "s"\nmark = "1"\n'
        '[[outcome]]\nname = "payment_mean"\nvalue = 3\nsource = "s"\nmark = "1"\n'
    )
    out, page = tmp_path / "p.json", tmp_path / "p.html"
    few = ["--draws", "2", "--people", "500"]
    assert cli.main(["sandbox", "predict", str(pilot), "--out", str(out), "--page", str(page), *few]) == 0
    shown = capsys.readouterr().out
    assert "claim rate 2020-12-27" in shown
    assert "people.wallet_share is not in the file" in shown
    assert "what this prediction cannot say" in page.read_text()
    assert cli.main(["sandbox", "score", str(out), str(results), "--page", str(page)]) == 0
    shown = capsys.readouterr().out
    assert "1 value: 0 in the band of 90 %" in shown
    assert "not predicted: payment mean: the description does not ask for it" in shown
    assert page.read_text().count("<svg") >= 2
    assert cli.main(["sandbox", "score", str(out), str(results), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["values"] == {"results": 1, "in_50": 0, "in_90": 0}
    assert cli.main(["sandbox", "score", str(out), "luohu-2020"]) == 2
    assert 'the results are of "luohu-2020"' in capsys.readouterr().err
    assert cli.main(["sandbox", "score", str(out), str(pilot)]) == 2
    assert "this file is the description of a pilot" in capsys.readouterr().err
    assert cli.main(["sandbox", "score", str(out)]) == 2
    assert cli.main(["sandbox", "score", *[str(out), str(results)] * 2]) == 2
    assert "are named twice" in capsys.readouterr().err
    results.write_text(results.read_text().replace("0.1", "71"))
    assert cli.main(["sandbox", "score", str(out), str(results)]) == 0
    assert "claim_rate is 71, and a share is from 0 to 1: write 71 % as 0.71" in capsys.readouterr().err
    assert cli.main(["sandbox", "predict", str(results), "--out", str(out)]) == 2
    assert "has no results" in capsys.readouterr().err


@pytest.mark.fast
def test_simulations_of_a_fit_follow_from_its_particles() -> None:
    assert fitting.expected(1_000, 1) == 1_000
    assert fitting.expected(4_000, 3) == 12_000  # no generation begins after as many as `SIMULATIONS_MAX`
    assert fitting.expected(100, 3) == 500


def test_a_fit_narrows_what_its_pilots_show_and_stores_it_for_predictions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "posterior.parquet"
    few = ["--particles", "60", "--generations", "1", "--people", "200", "--seed", "5"]
    assert cli.main(["sandbox", "fit", "luohu-2020", "--out", str(out), "--json", *few]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in shown["variants"]] == list(variants.SHIPPED)
    by_name = {each["name"]: each for each in shown["parameters"]}
    low, _, high = by_name["claim_app"]["posterior"]
    assert high - low < np.diff(np.array(by_name["claim_app"]["prior"])[[0, 2]])
    assert posterior.load(out).weights.size == 240
    steps: list[tuple[int, int]] = []
    (again,) = fitting.fit(
        fitting.cases(["luohu-2020"], [], 5),
        ["liquid-wealth"],
        particles=60,
        generations=1,
        people=200,
        seed=5,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert steps[-1] == (60, 60)
    assert again.simulations == 60
    stored = posterior.load(out)
    assert np.array_equal(stored.values[:60], again.values)
    capsys.readouterr()
    assert cli.main(["sandbox", "verify", str(out), "--json"]) == 0
    (verified,) = json.loads(capsys.readouterr().out)["records"]
    names = ["record", "code", "columns", "behaviour standard", "pilot luohu-2020", "results luohu-2020"]
    assert [each["of"] for each in verified["digests"]] == names
    other = tmp_path / "other.parquet"
    posterior.store(other, stored.names, stored.values[::-1], stored.weights, stored.variants, stored.record)
    assert cli.main(["sandbox", "verify", str(other)]) == 3
    assert "differs in columns" in capsys.readouterr().err
    renamed = other.rename(tmp_path / "other.dat")
    assert cli.main(["sandbox", "verify", str(renamed), "--rerun"]) == 3
    assert "differs in columns" in capsys.readouterr().err
    assert cli.main(["sandbox", "fit", "luohu-2020", "mine.toml", "--out", str(out)]) == 2
    assert "no pairs of description and results" in capsys.readouterr().err
    assert cli.main(["sandbox", "fit", "--leave-out", "luohu-2021", "--out", str(out)]) == 2
    assert "luohu-2020" in capsys.readouterr().err


def test_named_structures_are_fitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(variants._VARIANTS, "mine", replace(variants.named("habit"), name="mine"))
    out = tmp_path / "posterior.parquet"
    fit = ["sandbox", "fit", "luohu-2020", "--out", str(out), "--particles", "10", "--people", "100"]
    assert cli.main([*fit, "--structure", "mine", "--structure", "income"]) == 0
    assert list(dict.fromkeys(posterior.load(out).variants)) == ["mine", "income"]
    capsys.readouterr()
    assert cli.main(["sandbox", "verify", str(out), "--rerun"]) == 0
    assert "all values are equal" in capsys.readouterr().out
    assert cli.main([*fit, "--structure", "habits"]) == 2
    assert "habit" in capsys.readouterr().err.split("hint")[1]
    assert cli.main([*fit, "--structure", "income", "--structure", "income"]) == 2
    assert "the structure 'income' is named twice" in capsys.readouterr().err
