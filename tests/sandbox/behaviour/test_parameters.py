"""Files of parameters: priors, sources, and errors that name the nearest key."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import pytest

from sycee import data
from sycee.core.documents import DocumentError
from sycee.core.errors import UsageError
from sycee.sandbox.behaviour import parameters
from sycee.sandbox.behaviour.parameters import ASSUMED, NAMES, Prior

pytestmark = pytest.mark.fast
TEXT = data.content("behaviour", "standard").decode()


def refused(tmp_path: Path, text: str) -> DocumentError:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(DocumentError) as error:
        parameters.load(file)
    return error.value


def test_every_parameter_has_a_source_and_a_prior_around_its_value() -> None:
    for each in parameters.standard().parameters:
        assert each.prior.low <= each.value <= each.prior.high, each.name
        assert (each.mark == ASSUMED) == each.source.startswith(ASSUMED), each.name
        assert len(each.source) > len(ASSUMED), each.name


def test_a_misspelt_parameter_is_named_with_the_nearest(tmp_path: Path) -> None:
    error = refused(tmp_path, TEXT.replace("[parameters.use_share]", "[parameters.use_shara]"))
    assert "use_shara" in str(error)
    assert "use_share" in f"{error} {error.hint}"


def test_a_misspelt_key_is_named_with_the_nearest(tmp_path: Path) -> None:
    error = refused(tmp_path, TEXT.replace("mark =", "marks =", 1))
    assert "outing_share" in error.key
    assert '"mark"' in error.hint


def test_an_unknown_parameter_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, TEXT.replace("[parameters.habit_boost]", "[parameters.luck]\n[parameters.habit_boost]"))
    assert error.key == "parameters.luck"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("value = 0.5\n", "value = 0.95\n", "parameters.outing_share.value"),
        ("value = 0.5\n", 'value = "0.5"\n', "parameters.outing_share.value"),
        ("low = 0.3, high = 0.8", "low = 0.8, high = 0.3", "parameters.outing_share.prior.high"),
        ('family = "uniform"', 'family = "uniforn"', "parameters.outing_share.prior.family"),
        ('mark = "1"', 'mark = "assumed"', "parameters.outing_share.source"),
        ("sd = 0.15", "sd = 0", "parameters.weekend_ratio.prior.sd"),
    ],
)
def test_impossible_values_are_refused(tmp_path: Path, old: str, new: str, key: str) -> None:
    assert old in TEXT
    assert refused(tmp_path, TEXT.replace(old, new, 1)).key == key


@pytest.mark.parametrize(
    ("prior", "expected"),
    [
        (Prior("uniform", 0.2, 0.6), 0.4),
        (Prior("normal", 0.0, 1.0, 0.25, 0.1), 0.252),
        (Prior("lognormal", 0.01, 3.0, 0.35, 0.5), 0.3966),
    ],
)
def test_quantiles_give_the_mean_of_the_prior_and_stay_within_bounds(prior: Prior, expected: float) -> None:
    values = [prior.quantile((each + 0.5) / 2_000) for each in range(2_000)]
    assert values == sorted(values)
    assert prior.low <= values[0]
    assert values[-1] <= prior.high
    assert mean(values) == pytest.approx(expected, rel=0.01)


def test_values_are_integers_and_the_rest_is_central() -> None:
    found = parameters.standard().of({"mpc_cash": 0.3, "salience_days": 20})
    assert found["mpc_cash"] == 300_000
    assert found["salience_days"] == 20_000
    assert found["use_share"] == 450_000
    assert set(found.values) == set(NAMES)
    assert found.digest() != parameters.standard().central().digest()


@pytest.mark.parametrize(("name", "hint"), [("mpc_cach", "mpc_cash"), ("mpc_cash", "a share from 0 to 1")])
def test_wrong_values_are_refused(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        parameters.standard().of({name: 1.5})
    assert hint in error.value.hint
