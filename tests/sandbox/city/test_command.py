from __future__ import annotations

import json
from pathlib import Path

import pytest

from sycee import cli
from sycee.cli.sandbox_city import comparisons
from sycee.cli.terminal import print_table
from sycee.sandbox.city import files


def test_a_city_is_built_shown_and_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "town"
    assert cli.main(["sandbox", "city", "market-town", "--out", str(out), "--one-in", "100", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == json.loads((out / files.MANIFEST).read_text())
    city = files.read(out)
    assert city.digest() == shown["digest"]
    page = (out / files.PAGE).read_text()
    assert "what this city cannot say" in page
    assert page.count("<svg") >= 8  # four plots for wide and for narrow screens
    print_table(comparisons(city))
    assert "poorest fifth" in capsys.readouterr().out
    assert cli.main(["sandbox", "verify", str(out), "--source", "market-town", "--json"]) == 0
    verified = json.loads(capsys.readouterr().out)
    assert verified["ok"]
    assert verified["rebuilt"] == verified["digest"] == shown["digest"]
    assert cli.main(["sandbox", "verify", str(out), "--source", "shenzhen"]) == 3
    assert "name the file that the city was built from" in capsys.readouterr().err
    (out / files.ZONES).write_bytes((out / files.MERCHANTS).read_bytes())
    assert cli.main(["sandbox", "verify", str(out)]) == 3
    assert "has no column 'name'" in capsys.readouterr().err


def test_a_folder_with_other_files_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert cli.main(["sandbox", "city", "market-town", "--out", str(tmp_path)]) == 2
    assert "holds other files: notes.txt" in capsys.readouterr().err
