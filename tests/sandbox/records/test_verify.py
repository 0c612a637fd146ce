"""A record is verified: changes of record, inputs and result are found and named, with the exit codes of the CLI."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sycee import cli, data
from sycee.sandbox.city import files
from sycee.sandbox.city.model import tiny_town
from sycee.sandbox.inference import posterior
from sycee.sandbox.pilots import description
from sycee.sandbox.records import checking, record

Run = Callable[..., tuple[int, str, str]]
DIGITS = 64


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def called(*words: object) -> tuple[int, str, str]:
        code = cli.main([str(each) for each in words])
        return code, *capsys.readouterr()

    return called


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a city, a pilot and its results, and records of a comparison, a prediction and scores."""
    folder = tmp_path_factory.mktemp("results")
    files.write(tiny_town(2_000, 60), folder / "town")
    text = data.content("pilots", "luohu-2020").decode().split("[published.registered]")[0]
    text = text.replace("50_000", "400").replace('"10000000.00"', '"80000.00"').replace('zones = ["luohu"]', "")
    (folder / "base.toml").write_text(text.replace("3_389", "60"))
    (folder / "threshold.toml").write_text('rules.payment_min = "60.00"\n')
    pilot = data.content(description.FOLDER, "suzhou-2020").decode().replace("suzhou-2020", "mine")
    (folder / "mine.toml").write_text(pilot)
    (folder / "results.toml").write_text(
        'pilot = "mine"\n[[outcome]]\nname = "claim_rate"\ndate = 2020-12-27\nvalue = 0.9\nsource = "s"\nmark = "1"\n'
    )
    few = ["--draws", "2", "--people", "500"]
    designs = [str(folder / "base.toml"), str(folder / "threshold.toml"), "--city", str(folder / "town")]
    p, c, s = (str(folder / name) for name in ("p.json", "c.json", "s.json"))
    assert cli.main(["sandbox", "predict", str(folder / "mine.toml"), "--out", p, *few]) == 0
    assert cli.main(["sandbox", "compare", *designs, "--out", c, "--seeds", "1", *few]) == 0
    assert cli.main(["sandbox", "score", p, str(folder / "results.toml"), "--out", s]) == 0
    return folder


def changed(made: Path, tmp_path: Path, name: str, change: Callable[[dict[str, Any]], None], *, sealed: bool) -> Path:
    """Write a record with a change, beside a copy of its inputs; `sealed` makes its own digest right again."""
    folder = shutil.copytree(made, tmp_path / "copy")
    stored = json.loads((folder / name).read_text())
    change(stored)
    if sealed:
        stored[record.RECORD] = record.digest(stored)
    (folder / name).write_bytes(record.content(stored))
    return folder / name


def test_all_records_of_a_folder_are_computed_again(made: Path, run: Run) -> None:
    code, out, _ = run("sandbox", "verify", made, "--rerun", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["ok"]
    kinds = {each["kind"]: each for each in found["records"]}
    assert set(kinds) == {"comparison", "prediction", "scores", "city"}
    assert all(kinds[name]["differences"] == [] for name in ("comparison", "prediction", "scores"))
    roles = [each["of"].split()[0] for each in kinds["comparison"]["digests"]]
    assert roles == ["record", "code", "programme", "variant", "behaviour", "posterior", "city"]
    assert all(each["equal"] and len(each["now"]) == DIGITS for each in kinds["comparison"]["digests"])


def test_a_changed_input_is_named(made: Path, tmp_path: Path, run: Run) -> None:
    folder = shutil.copytree(made, tmp_path / "copy")
    (folder / "threshold.toml").write_text('rules.payment_min = "70.00"\n')
    stored = json.loads((folder / "c.json").read_text())
    for each in stored["inputs"]:
        each["name"] = each["name"].replace(str(made), str(folder))
    stored[record.RECORD] = record.digest(stored)
    (folder / "c.json").write_bytes(record.content(stored))
    code, out, err = run("sandbox", "verify", folder / "c.json", "--rerun")
    assert code == 3
    assert "differs" in out
    assert "computed again" not in out  # another input gives another result anyway
    assert f"differs in variant {folder / 'threshold.toml'}" in err


def test_a_changed_record_is_found(made: Path, tmp_path: Path, run: Run) -> None:
    def change(stored: dict[str, Any]) -> None:
        stored["outcomes"][0]["quantiles"]["50"] = 0.5

    path = changed(made, tmp_path, "p.json", change, sealed=False)
    code, _, err = run("sandbox", "verify", path)
    assert code == 3
    assert "differs in record" in err


def test_a_changed_value_is_found_by_a_second_run(made: Path, tmp_path: Path, run: Run) -> None:
    def change(stored: dict[str, Any]) -> None:
        stored["outcomes"][0]["quantiles"]["50"] = 0.5

    path = changed(made, tmp_path, "p.json", change, sealed=True)
    assert run("sandbox", "verify", path)[0] == 0
    code, out, err = run("sandbox", "verify", path, "--rerun")
    assert code == 3
    assert "outcomes[0].quantiles.50: recorded 0.5, now" in out
    assert "1 value differs" in out
    assert "differs in 1 value" in err


def test_other_code_is_no_difference_if_its_values_are_equal(made: Path, tmp_path: Path, run: Run) -> None:
    path = changed(made, tmp_path, "p.json", lambda stored: stored.update(code="0" * DIGITS), sealed=True)
    code, _, err = run("sandbox", "verify", path)
    assert code == 3
    assert "--rerun computes the result with this one" in err
    assert run("sandbox", "verify", path, "--rerun")[0] == 0


def test_inputs_are_looked_for_beside_the_record_and_in_a_folder(made: Path, tmp_path: Path, run: Run) -> None:
    def change(stored: dict[str, Any]) -> None:
        for each in stored["inputs"]:
            each["name"] = each["name"].replace(str(made), "gone")
        stored["arguments"]["pilot"] = "gone/mine.toml"

    path = changed(made, tmp_path, "p.json", change, sealed=True)
    assert run("sandbox", "verify", path)[0] == 0  # by its name alone
    (path.parent / "mine.toml").unlink()
    code, out, err = run("sandbox", "verify", path, "--rerun")
    assert code == 2
    assert "verification is incomplete" in out
    assert "not found: pilot gone/mine.toml" in err
    assert run("sandbox", "verify", path, "--inputs", made)[0] == 0


def test_what_is_no_record_is_refused(made: Path, tmp_path: Path, run: Run) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    code, _, err = run("sandbox", "verify", other)
    assert (code, "is no record of a result" in err) == (2, True)
    code, _, err = run("sandbox", "verify", tmp_path)
    assert (code, "holds no record and no city" in err) == (2, True)
    path = changed(made, tmp_path, "s.json", lambda stored: stored.pop("inputs"), sealed=False)
    code, _, err = run("sandbox", "verify", path)
    assert (code, "has no inputs: an earlier release wrote it" in err) == (2, True)
    path.write_text(json.dumps(json.loads((made / "s.json").read_text()) | {"inputs": [3]}))
    code, _, err = run("sandbox", "verify", path)
    assert (code, "that no command writes" in err) == (3, True)
    code, _, err = run("sandbox", "verify", made / "s.json", "--source", "market-town")
    assert (code, "--source is the file of a city" in err) == (2, True)
    code, _, err = run("sandbox", "verify", tmp_path / "nothing.json")
    assert (code, "there is no such file" in err) == (2, True)


def test_an_input_that_a_record_does_not_list_is_found_by_a_second_run(made: Path, tmp_path: Path, run: Run) -> None:
    def change(stored: dict[str, Any]) -> None:
        stored["inputs"] = [each for each in stored["inputs"] if each["role"] != "posterior"]

    path = changed(made, tmp_path, "p.json", change, sealed=True)
    assert run("sandbox", "verify", path)[0] == 0
    code, out, _ = run("sandbox", "verify", path, "--rerun")
    assert (code, "inputs, number of values: recorded 2, now 3" in out) == (3, True)


@pytest.mark.parametrize("content", ["[]", "3", '{"format": {}}', '{"format": []}', '{"format": 1}'])
def test_foreign_json_is_no_record(content: str, tmp_path: Path, run: Run) -> None:
    path = tmp_path / "foreign.json"
    path.write_text(content)
    code, _, err = run("sandbox", "verify", path)
    assert (code, "is no record of a result" in err) == (2, True)
    assert run("sandbox", "verify", tmp_path)[0] == 2


@pytest.mark.parametrize("key", ["release", "code", "record", "arguments", "inputs"])
def test_values_of_another_type_are_refused(key: str, made: Path, tmp_path: Path, run: Run) -> None:
    path = changed(made, tmp_path, "s.json", lambda stored: stored.update({key: 3}), sealed=False)
    code, _, err = run("sandbox", "verify", path)
    assert (code, f"has a value of {key} that no command writes" in err) == (3, True)
    assert "make the result again" in err


def test_the_record_of_a_posterior_needs_its_columns(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "posterior.json"
    path.write_bytes(record.content(posterior.load().record))
    code, _, err = run("sandbox", "verify", path)
    assert (code, "without its columns" in err) == (2, True)


@pytest.mark.fast
def test_differences_name_the_place() -> None:
    one = {"a": [1, {"b": 2.0}], "c": "x", "e": {"f": 1, "g": 2}}
    other = {"a": [1, {"b": 2}], "c": "x", "d": None, "e": {"f": 2, "g": 3}}
    found = {each.key: (each.recorded, each.again) for each in record.differences(one, other, {"e.g"})}
    assert found == {"a[1].b": (2.0, 2), "d": ("absent", None), "e.f": (1, 2)}
    (length,) = record.differences({"a": [1]}, {"a": [1, 2]})
    assert length.key == "a, number of values"
    assert {"record", "code"} <= checking.NOT_COMPARED
