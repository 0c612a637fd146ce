"""The comparison, its page and its command, on small days."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.days.worlds import SMALL

from sycee import cli, data
from sycee.core.errors import UsageError
from sycee.days import policies
from sycee.days.compare import Comparison, compare


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    chosen = [replace(policy, chains=10, every=3_600) for policy in policies.POLICIES]
    return compare(SMALL, chosen, seeds=range(3), values_per_prefund=[10, 60])


def test_each_policy_settles_the_same_days(comparison: Comparison) -> None:
    assert [level.value_per_prefund for level in comparison.levels] == [10, 60]
    for level in comparison.levels:
        assert set(level.measures) == {policy.name for policy in policies.POLICIES}
        assert {len(days) for days in level.measures.values()} == {len(level.bounds)} == {3}
    one, other = comparison.levels
    assert one.values == other.values


def test_medians_lie_in_their_range_and_pairs_are_by_day(comparison: Comparison) -> None:
    level = comparison.levels[0]
    for name in level.measures:
        spread = level.spread(name, "delay")
        assert spread.low <= spread.median <= spread.high
    delays = [each.delay for each in level.measures["fifo"]]
    less = [each.delay - delay for each, delay in zip(level.measures["sycee"], delays, strict=True)]
    assert level.difference("delay", "sycee", "fifo").median == sorted(less)[1]
    assert 0 <= level.ahead("sycee", "fifo") <= 3
    assert level.ahead("fifo", "fifo") == 0


def test_a_comparison_without_days_is_refused() -> None:
    with pytest.raises(UsageError, match="needs a policy, a seed and a prefund"):
        compare(SMALL, policies.POLICIES, seeds=[], values_per_prefund=[10])


def test_the_command_prints_every_measure_and_writes_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = data.content("clearing-days", "chips-like").decode()
    file = tmp_path / "day.toml"
    file.write_text(text.replace("payments = 20_000 ", "payments = 200 "))
    call = ["clearing", "days", "--assumptions", str(file), "--seeds", "2", "--prefund", "20"]
    call += ["--policy", "fifo", "--policy", "gross"]
    assert cli.main([*call, "--json", "--report", str(tmp_path / "page.html")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["seeds"] == [0, 1]
    (level,) = printed["levels"]
    assert set(level["policies"]) == {"fifo", "gross"}
    assert {len(days) for days in level["policies"].values()} == {2}
    written = (tmp_path / "page.html").read_text()
    assert "cannot rank policies" in written
    assert all(policies.named(name).title in written for name in ("fifo", "gross"))
    assert cli.main(call) == 0
    assert "No policy exceeds" in capsys.readouterr().out
    assert cli.main([*call, "--policy", "fifoo"]) == 2
    assert 'there is no policy "fifoo"' in capsys.readouterr().err
