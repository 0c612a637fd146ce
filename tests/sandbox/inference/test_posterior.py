"""The shipped posterior follows from the shipped pilots and priors, and is the default of every command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sycee import cli, data
from sycee.core.errors import UsageError
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
    posterior.store(path, ("mpc_cash",), np.array([[0.2]]), np.array([1.0]), ("habit",), {"priors": "x"})
    found = posterior.load(path)
    assert (found.source, found.record) == ("mine.parquet", {"priors": "x"})
    with pytest.raises(UsageError, match='no posterior "standart"') as caught:
        posterior.load("standart")
    assert "standard" in str(caught.value.hint)


def test_a_pilot_differs_from_what_pilots_share(shipped: posterior.Posterior) -> None:
    standard = parameters.standard()
    shared = [each["claim_app"] for each in shipped.draws(standard, 200, 1, "habit", of_pilots=False)]
    own = [each["claim_app"] for each in shipped.draws(standard, 200, 1, "habit")]
    assert set(shared) <= {standard["claim_app"].integer(value) for value in shipped.values[:, 0]}
    assert len(set(own)) > len(set(shared))
    assert shipped.draws(standard, 3, 1, "habit") == shipped.draws(standard, 3, 1, "habit")


def test_a_command_says_that_its_posterior_is_older(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "old.parquet", tmp_path / "p.json"
    posterior.store(path, ("mpc_cash",), np.array([[0.2]]), np.array([1.0]), ("habit",))
    few = ["--out", str(out), "--draws", "2", "--people", "200"]
    assert cli.main(["sandbox", "predict", "suzhou-2020", "--posterior", str(path), *few]) == 0
    assert "old.parquet does not say what it was fitted on" in capsys.readouterr().out
    assert cli.main(["sandbox", "predict", "suzhou-2020", "--posterior", str(path), "--prior", *few]) == 2
