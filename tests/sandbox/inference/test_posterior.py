"""The shipped posterior follows from the shipped pilots and priors, and is the default of every command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sycee import cli, data
from sycee.core.errors import IntegrityError, UsageError
from sycee.sandbox.behaviour import parameters, variants
from sycee.sandbox.inference import fitting, posterior, provenance
from sycee.sandbox.pilots import description

AGAIN = "fit again, as docs/internals/ARCHITECTURE.md says: sycee sandbox fit --out …/posteriors/standard.parquet"


@pytest.fixture(scope="module")
def shipped() -> posterior.Posterior:
    return posterior.load()


def test_the_shipped_posterior_is_of_the_shipped_pilots_and_priors(shipped: posterior.Posterior) -> None:
    assert provenance.older(shipped) == (), AGAIN
    assert {each["name"] for each in shipped.record["pilots"]} == set(data.names(description.FOLDER)), AGAIN
    assert shipped.names == fitting.FITTED, AGAIN
    assert set(shipped.variants) == set(variants.SHIPPED), AGAIN


def test_no_few_particles_decide(shipped: posterior.Posterior) -> None:
    for each in shipped.record["variants"]:
        assert each["effective"] >= 50, each["name"]


def test_another_prior_or_pilot_is_said(shipped: posterior.Posterior) -> None:
    changed = replace(shipped, record=dict(shipped.record) | {"priors": "0" * 64})
    assert provenance.older(changed) == ("standard was fitted with other priors than this release has",)
    first, *others = shipped.record["pilots"]
    changed = replace(shipped, record=dict(shipped.record) | {"pilots": [first | {"results": "0" * 64}, *others]})
    assert provenance.older(changed) == (f"standard was fitted to another version of the pilot {first['name']}",)
    assert "does not say" in provenance.older(replace(shipped, record={}))[0]
    assert provenance.older(posterior.prior()) == ()


def test_a_posterior_is_shipped_or_in_a_file(shipped: posterior.Posterior, tmp_path: Path) -> None:
    assert posterior.load("standard").digest == shipped.digest
    path = tmp_path / "mine.parquet"
    posterior.store(path, ("mpc_cash",), np.array([[0.2]]), np.array([1.0]), ("habit",), shipped.record)
    found = posterior.load(path)
    assert (found.source, found.record) == ("mine.parquet", shipped.record)
    with pytest.raises(UsageError, match='no posterior "standart"') as caught:
        posterior.load("standart")
    assert "standard" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("keys", "value", "wrong"),
    [
        ((), [3], "is no JSON object"),
        ((), {"priors": "x"}, "has no list `pilots`"),
        (("priors",), None, "has no text `priors`"),
        (("pilots", 0), 3, "has no text `pilots[0].name`"),
        (("pilots", 1, "results"), 4, "has no text `pilots[1].results`"),
        (("pilots", 0, "features"), None, 'has no feature "amount, in days of consumption" in `pilots[0]`'),
        (("pilots", 0, "features", "channel"), None, 'has no feature "channel" in `pilots[0]`'),
        (("pilots", 0, "features", "days of the window"), 0, 'has no feature "days of the window" in `pilots[0]`'),
    ],
)
def test_a_damaged_record_is_refused(
    keys: tuple[Any, ...], value: Any, wrong: str, shipped: posterior.Posterior, tmp_path: Path
) -> None:
    record = [json.loads(json.dumps(shipped.record))]
    place: Any = record
    *outer, last = (0, *keys)
    for key in outer:
        place = place[key]
    place[last] = value
    path = tmp_path / "mine.parquet"
    posterior.store(path, ("mpc_cash",), np.array([[0.2]]), np.array([1.0]), ("habit",), record[0])
    with pytest.raises(IntegrityError) as caught:
        posterior.load(path)
    assert str(caught.value).endswith(f"mine.parquet has a damaged record of its fit, which {wrong}")
    assert "fit again" in str(caught.value.hint)


def test_a_pilot_differs_from_what_pilots_share(shipped: posterior.Posterior) -> None:
    standard = parameters.standard()
    shared = [each["claim_app"] for each in shipped.draws(standard, 200, 1, "habit", of_pilots=False)]
    own = [each["claim_app"] for each in shipped.draws(standard, 200, 1, "habit")]
    assert set(shared) <= {standard["claim_app"].integer(value) for value in shipped.values[:, 0]}
    assert len(set(own) - set(shared)) > 100
    assert shipped.draws(standard, 3, 1, "habit") == shipped.draws(standard, 3, 1, "habit")


def test_a_command_says_that_its_posterior_is_older(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "old.parquet", tmp_path / "p.json"
    posterior.store(path, ("mpc_cash",), np.array([[0.2]]), np.array([1.0]), ("habit",))
    few = ["--out", str(out), "--draws", "2", "--people", "200"]
    assert cli.main(["sandbox", "predict", "suzhou-2020", "--posterior", str(path), *few]) == 0
    assert "old.parquet does not say what it was fitted on" in capsys.readouterr().out
    assert cli.main(["sandbox", "predict", "suzhou-2020", "--posterior", str(path), "--prior", *few]) == 2
    posterior.store(path, ("mpc_cash",), np.array([[0.2]]), np.array([1.0]), ("habit",), {"priors": "x"})
    capsys.readouterr()
    assert cli.main(["sandbox", "predict", "suzhou-2020", "--posterior", str(path), *few]) == 3
    assert "damaged record of its fit" in capsys.readouterr().err
