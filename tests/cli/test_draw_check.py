"""`sycee draw check`: a right programme file, and one with an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sycee import data


def test_a_programme_file_is_checked(sycee: Any, tmp_path: Path) -> None:
    whole = data.content("pilots", "luohu-2020").decode()
    right, wrong = tmp_path / "right.toml", tmp_path / "wrong.toml"
    right.write_text(whole, encoding="utf-8")
    wrong.write_text(whole.replace('rest_to = "funder"', 'rest_to = "fonder"'), encoding="utf-8")
    found = sycee("draw", "check", right)
    assert (found.code, found.err) == (0, "")
    assert f"{right} is a programme: Shenzhen Luohu, October 2020 (luohu-2020)\n" in found.out
    assert "  packets       50,000 x 200.00 CNY: " in found.out
    assert "  expiry        2020-10-19 00:00:00+08:00; the rest returns to the funder\n" in found.out
    fields = sycee("draw", "check", right, "--json").json()
    assert (fields["ok"], fields["budget_minor"]) == (True, 1_000_000_000)
    assert sum(each["winners"] for each in fields["strata"]) == 50_000
    refused = sycee("draw", "check", wrong, "--json")
    assert (refused.code, refused.out) == (2, "")
    assert f"error: {wrong}:" in refused.err
    assert 'expiry.rest_to: found "fonder"' in refused.err
    assert 'did you mean "funder"?' in refused.err


def test_a_schedule_shows_when_the_next_occurrence_begins(sycee: Any, tmp_path: Path) -> None:
    path, rule = tmp_path / "yearly.toml", "FREQ=YEARLY;COUNT=3"
    schedule = f'[schedule]\nrule = "{rule}"\ncatch_up = "each"\noverlap = false\nbeacon_period_s = 3\n'
    path.write_text(data.content("pilots", "luohu-2020").decode() + schedule, encoding="utf-8")
    assert f"  schedule      {rule}, next 2021-10-09 00:00:00+08:00\n" in sycee("draw", "check", path).out
    assert sycee("draw", "check", path, "--json").json()["schedule"] == rule
