"""docs/validity.md follows from the stored scores, and opens with what it cannot say and with the misses."""

from __future__ import annotations

import json

import pytest

from sycee import data
from sycee.sandbox.behaviour import parameters
from sycee.sandbox.pilots import description, published
from sycee.sandbox.validity import calibration
from tools import validity_page


def test_the_page_is_the_one_that_its_scores_give() -> None:
    for path, text in validity_page.written().items():
        assert path.exists(), validity_page.COMMAND
        if path.suffix == ".md":  # plots differ between releases of matplotlib
            assert path.read_text(encoding="utf-8") == text, validity_page.COMMAND


def test_every_result_of_the_fitting_set_is_on_the_page_misses_first() -> None:
    left = json.loads((validity_page.FOLDER / "leave-one-out.json").read_text(encoding="utf-8"))
    assert left["priors"] == parameters.standard().digest(), f"{validity_page.COMMAND} --compute leave-one-out"
    assert {each["pilot"] for each in left["pilots"]} == set(data.names(description.FOLDER))
    for each in left["pilots"]:
        results = published.load(each["pilot"])
        assert each["results"] == results.digest
        assert len(each["scored"]["scores"]) + len(each["scored"]["not_predicted"]) == len(results.results)
        assert each["people"] == left["arguments"]["people_of_prediction"]
    rows = validity_page.scored(left)
    assert [row["in_90"] for row in rows] == sorted(row["in_90"] for row in rows)
    assert {(row["pilot"], row["name"]) for row in rows if not row["in_90"]} == set(validity_page.REASONS)
    text = validity_page.PAGE.read_text(encoding="utf-8")
    assert text.index("cannot say") < text.index("## Misses") < text.index("## Coverage")


def test_synthetic_pilots_are_covered_as_the_page_says() -> None:
    prior = json.loads((validity_page.FOLDER / "prior.json").read_text(encoding="utf-8"))
    assert 0.85 <= prior["in_90"] / prior["results"] <= 0.95
    assert 0.45 <= prior["in_50"] / prior["results"] <= 0.55
    marked = []
    for name, row in prior["outcomes"].items():
        off = abs(row["in_90"] / row["results"] - 0.9)
        assert off <= calibration.margin(row["results"]), name
        marked += [name] * (off > 0.05)
    assert validity_page.PAGE.read_text(encoding="utf-8").count("| **outside** |") == len(marked)


def test_the_page_names_each_part_of_an_earlier_state_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [json.loads((validity_page.FOLDER / f"{name}.json").read_text()) for name in validity_page.COMPUTED]
    assert len({each["code"] for each in parts}) == 1, f"{validity_page.COMMAND} --compute …, all parts"
    monkeypatch.setattr(validity_page, "code_digest", lambda: "0" * 64)
    assert "\n".join(validity_page.record_rows(*parts)).count("| **an earlier one** |") == 4
    monkeypatch.setattr(validity_page, "code_digest", lambda: parts[0]["code"])
    assert "\n".join(validity_page.record_rows(*parts)).count("| this one |") >= 3
