"""Shops and the closing report of a programme by commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.programmes import test_zones
from tests.programmes.shops_town import NAME, shop_town
from tests.programmes.world import ANN, NORTH


def test_shops_join_by_commands_and_a_report_is_written(sycee: Any, tmp_path: Path) -> None:
    shop_town().copy(tmp_path)
    bank, north, ann = tmp_path / "bank", tmp_path / "north.key", tmp_path / "ann.key"
    for path, key in ((north, NORTH), (ann, ANN)):
        key.save(path)
    applied = sycee("drop", "apply", bank, NAME, "Tea house", "--key", north)
    assert (applied.code, applied.err) == (0, ""), applied.err
    assert "Tea house applied for city-shops of autumn-2026" in applied.out
    (row,) = sycee("drop", "shops", bank, NAME, "--json").json()["rows"]
    assert (row["merchant"], row["state"], row["operator"]) == ("Tea house", "applied", 2)
    refused = sycee("drop", "decide-shop", bank, NAME, row["wallet"], "--key", north)
    assert (refused.code, "who applied does not decide" in refused.err) == (2, True)
    assert "is accepted" in sycee("drop", "decide-shop", bank, NAME, row["wallet"], "--key", ann).out
    assert "1 shop of operator 2 joined autumn-2026" in sycee("drop", "join", bank, NAME, "2", "--key", north).out
    assert "joined" in sycee("drop", "shops", bank, NAME).out
    assert sycee("drop", "shops", bank, NAME, "--untested", "--json").json() == {"rows": []}  # it has no outlet
    assert sycee("drop", "shops", bank, NAME, "--untested").err == "there are no untested outlets\n"
    written = sycee("drop", "report", bank, NAME, tmp_path / "report")
    assert (written.code, (tmp_path / "report" / "report.html").exists()) == (0, True), written.err
    assert "has left autumn-2026" in sycee("drop", "leave", bank, NAME, row["wallet"], "--key", north).out


def test_the_list_and_the_situation_by_commands(sycee: Any, tmp_path: Path) -> None:
    shop_town().copy(tmp_path)
    bank, north, result = tmp_path / "bank", tmp_path / "north.key", tmp_path / "run.json"
    NORTH.save(north)
    result.write_text('{"ok": true}')
    filed = sycee("drop", "evidence", bank, NAME, "conformance", result, "--operator", "2", "--key", north)
    assert (filed.code, filed.out) == (0, "filed: conformance passed\n"), filed.err
    listed = sycee("drop", "ready", bank, NAME)
    assert (listed.code, listed.out.splitlines()[-1]) == (3, "no go")
    found = sycee("drop", "ready", bank, NAME, "--json")
    met = {each["name"]: each["met"] for each in found.json()["conditions"]}
    assert (found.code, met["conformance of north"], met["conformance of south"]) == (3, True, None)
    shown = sycee("drop", "situation", bank, NAME, "--output", tmp_path / "now.html")
    assert (shown.code, "claimed: 0 of 5 packets" in shown.out) == (0, True), shown.err
    assert "For the team" in (tmp_path / "now.html").read_text()
    assert sycee("drop", "situation", bank, NAME, "--json").json()["flags"] == []


def test_a_drop_on_the_first_zone_names_its_packets_alone(sycee: Any, tmp_path: Path) -> None:
    test_zones.prepared().copy(tmp_path)
    NORTH.save(tmp_path / "north.key")
    dropped = sycee("drop", "drop", tmp_path / "bank", NAME, "--key", tmp_path / "north.key")
    assert (dropped.code, "is dropped: 70.00 CNY in 2 packets, frame" in dropped.out) == (0, True), dropped.err
    assert "zone new-town: 3 packets, 90.00 CNY, next" in dropped.out
