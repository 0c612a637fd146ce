from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.programmes.test_draw import drawn, receipt

from sycee.cli import main
from sycee.programmes.draw_files import Beacon


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, frozen, _ = drawn(tmp_path)
    code, out, err = run(capsys, "draw", "verify", tmp_path)
    assert (code, err.strip()) == (0, "")
    for name in ("announcement", "entries", "list order", "root", "beacon", "tickets", "winners", "SYNTHETIC"):
        assert name in out
    code, out, _ = run(capsys, "draw", "verify", tmp_path, "--json", "--announced", frozen.announcement.digest().hex())
    found = json.loads(out)
    assert (code, found["ok"], found["entries"], found["winners"]) == (0, True, 100, 20)
    assert found["announcement_sha256"] == frozen.announcement.digest().hex()


def test_verify_ends_with_a_verdict_and_the_beacon_to_compare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, winners = drawn(tmp_path)
    code, out, _ = run(capsys, "draw", "verify", tmp_path)
    assert code == 0
    assert out.splitlines()[-6:] == [
        "Compare the beacon with its source:",
        "  source  sycee-replay",
        "  round   7",
        f"  value   {winners.beacon.value.hex()}",
        "  where   nowhere: the value is computed from the seed of a replay and proves nothing about chance",
        "verification passed: 20 of 100 entries won, each as computed",
    ]
    _, out, _ = run(capsys, "draw", "verify", tmp_path, "--json")
    assert json.loads(out)["beacon"]["value"] == winners.beacon.value.hex()
    (tmp_path / "tickets.bin").write_bytes(bytes(3_200))
    (tmp_path / "winners.csv").write_bytes(b"")
    code, out, err = run(capsys, "draw", "verify", tmp_path)
    assert code == 3
    assert out.splitlines()[-1] == "verification failed: tickets, winners"
    assert "error: the draw does not prove its winners" in err


@pytest.mark.parametrize(
    ("source", "where"),
    [
        (
            "drand quicknet",
            "https://api.drand.sh/52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971/public/7",
        ),
        ("our town hall", "round 7 as published by the source itself"),
    ],
)
def test_a_beacon_is_compared_at_its_source(source: str, where: str) -> None:
    assert Beacon(source, 7, bytes(32)).address == where


def test_a_file_that_is_missing_is_named_with_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn(tmp_path)
    for name in ("beacon.json", "winners.csv"):
        (tmp_path / name).unlink()
    code, out, err = run(capsys, "draw", "verify", tmp_path, "--json")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {tmp_path} lacks beacon.json, winners.csv\nhint: ")
    (tmp_path / "beacon.json").symlink_to("nowhere")
    (tmp_path / "winners.csv").mkdir()
    code, _, err = run(capsys, "draw", "verify", tmp_path)
    assert code == 2
    assert "there is no such file" in err


def test_a_receipt_of_deep_json_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn(tmp_path)
    (tmp_path / "receipt.json").write_text("[" * 60_000)
    code, _, err = run(capsys, "draw", "entry", tmp_path, tmp_path / "receipt.json")
    assert code == 2
    assert "more than 64 levels" in err


def test_verify_names_failed_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn(tmp_path)
    (tmp_path / "tickets.bin").write_bytes(bytes(3_200))
    code, out, err = run(capsys, "draw", "verify", tmp_path, "--json")
    assert code == 3
    assert [check["name"] for check in json.loads(out)["checks"] if not check["passed"]] == ["tickets"]
    assert "error: the draw does not prove its winners\n  tickets: tickets.bin: 100 tickets are wrong" in err
    code, out, _ = run(capsys, "draw", "verify", tmp_path)
    assert code == 3
    assert "FAILED" in out


def test_entry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries, _, winners = drawn(tmp_path)
    assert winners.entries is not None
    document, phone, salt = receipt(entries, int(winners.entries[2]))
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps({"document": str(document), "phone": str(phone), "salt": salt.hex()}))
    code, out, _ = run(capsys, "draw", "entry", tmp_path, path, "--json")
    found = json.loads(out)
    assert (code, found["ok"], found["won"], found["rank"]) == (0, True, True, 3)
    code, out, _ = run(capsys, "draw", "entry", tmp_path, path)
    assert code == 0
    assert "this entry won" in out
    path.write_text(json.dumps({"document": str(document), "phone": str(phone), "salt": "00" * 32}))
    code, _, err = run(capsys, "draw", "entry", tmp_path, path)
    assert code == 3
    assert "in the list" in err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON"),
        ("[]", "is not a JSON object"),
        ('{"document": "1", "phone": "x", "salt": ""}', 'phone is "x", not digits'),
        ('{"document": "1", "phone": "2"}', "salt is"),
    ],
)
def test_receipts_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    path = tmp_path / "receipt.json"
    path.write_text(content)
    code, _, err = run(capsys, "draw", "entry", tmp_path, path)
    assert code == 2
    assert message in err
    assert "hint: " in err


def test_missing_folders_are_usage_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "draw", "verify", tmp_path / "none")
    assert code == 2
    assert "is not a folder" in err
    code, out, err = run(capsys, "draw", "verify", tmp_path)
    assert (code, out) == (2, "")
    assert err == f"error: {tmp_path} holds no announcement.json\nhint: name the folder that holds announcement.json\n"


def test_the_folder_of_a_ledger_gives_a_hint_to_its_draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "draw").mkdir()
    (tmp_path / "draw" / "announcement.json").write_text("{}")
    for words in (("verify", tmp_path, "--json"), ("entry", tmp_path, tmp_path / "receipt.json")):
        (tmp_path / "receipt.json").write_text(json.dumps({"document": "1", "phone": "2", "salt": "00" * 32}))
        code, out, err = run(capsys, "draw", *words)
        assert (code, out) == (2, "")
        assert err.endswith(f"\nhint: did you mean {tmp_path / 'draw'}?\n")


def test_a_list_is_checked_before_the_draw_and_after_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, frozen, _ = drawn(tmp_path)
    digest = frozen.announcement.digest().hex()
    for name in ("beacon.json", "tickets.bin", "winners.csv"):
        (tmp_path / name).unlink()
        code, out, _ = run(capsys, "draw", "list", tmp_path, "--announced", digest)
        assert (code, out.splitlines()[-1]) == (0, "verification passed: 100 entries, as announced")
    code, out, _ = run(capsys, "draw", "list", tmp_path, "--json")
    found = json.loads(out)
    assert [check["name"] for check in found["checks"]] == ["announcement", "entries", "list order", "root"]
    assert (code, found["ok"], found["beacon"]) == (0, True, None)
    content = (tmp_path / "entries.bin").read_bytes()
    (tmp_path / "entries.bin").write_bytes(content[32:64] + content[:32] + content[64:])
    code, out, err = run(capsys, "draw", "list", tmp_path)
    assert (code, out.splitlines()[-1]) == (3, "verification failed: list order, root")
    assert "error: the list is not the announced one" in err
    assert run(capsys, "draw", "list", tmp_path, "--announced", "00" * 32)[0] == 3
    (tmp_path / "entries.bin").unlink()
    assert run(capsys, "draw", "list", tmp_path)[0] == 2
