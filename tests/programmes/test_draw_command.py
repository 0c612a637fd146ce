from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.programmes.test_draw import drawn, receipt

from sycee.cli import main


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


def test_verify_says_what_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
        ("", "is not JSON"),
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


def test_folders_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "draw", "verify", tmp_path / "none")
    assert code == 2
    assert "is not a folder" in err
    code, out, err = run(capsys, "draw", "verify", tmp_path)
    assert (code, out) == (2, "")
    assert err == f"error: {tmp_path} holds no announcement.json\nhint: name the folder that holds announcement.json\n"


def test_the_folder_of_a_ledger_leads_to_its_draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "draw").mkdir()
    (tmp_path / "draw" / "announcement.json").write_text("{}")
    for words in (("verify", tmp_path, "--json"), ("entry", tmp_path, tmp_path / "receipt.json")):
        (tmp_path / "receipt.json").write_text(json.dumps({"document": "1", "phone": "2", "salt": "00" * 32}))
        code, out, err = run(capsys, "draw", *words)
        assert (code, out) == (2, "")
        assert err.endswith(f"\nhint: did you mean {tmp_path / 'draw'}?\n")
