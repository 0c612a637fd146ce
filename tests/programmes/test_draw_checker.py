"""tools/draw_checker.py as a program: output, exit codes, and its independence of everything but Python."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.programmes.test_draw import FROZEN_NS, THREE, drawn, make_rule, people
from tests.programmes.test_draw_corners import STRATA

from sycee.core.output_files import write_file
from sycee.programmes import draw, draw_files, successions
from tools import draw_checker

TOOL = Path(draw_checker.__file__)


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    code = draw_checker.main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def write_receipt(path: Path, entries: draw.Entries, row: int) -> Path:
    receipt = {"document": str(entries.documents[row]), "phone": str(entries.phones[row])}
    path.write_text(json.dumps(receipt | {"salt": entries.salts[row].tobytes().hex()}))
    return path


def test_it_imports_the_standard_library_alone() -> None:
    tree = ast.parse(TOOL.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= sys.stdlib_module_names
    assert not imported & {"http", "socket", "ssl", "subprocess", "urllib"}


def test_it_runs_as_one_file_elsewhere(tmp_path: Path) -> None:
    drawn(tmp_path / "draw")
    (tmp_path / "checker.py").write_bytes(TOOL.read_bytes())
    command = [sys.executable, "-I", "-S", "-W", "error", "checker.py", "draw"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "verification passed: 20 of 100 entries won, as computed"
    assert done.stderr == ""


def test_it_prints_digest_and_beacon_to_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, frozen, winners = drawn(tmp_path)
    code, out, _ = run(capsys, tmp_path)
    assert code == 0
    assert f"SHA-256 of announcement.json: {frozen.announcement.digest().hex()}" in out
    assert f"value  {winners.beacon.value.hex()}" in out
    assert "where  nowhere: this draw is synthetic" in out


def test_it_names_the_address_of_a_beacon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frozen = draw.freeze_list(tmp_path, "test", make_rule(source="drand quicknet"), people(30), frozen_at_ns=FROZEN_NS)
    beacon = draw.Beacon("drand quicknet", 7, bytes(32))
    draw.draw_winners(frozen, beacon)
    code, out, _ = run(capsys, tmp_path)
    assert code == 0
    assert f'where  "randomness" in {beacon.address}\n' in out
    assert beacon.address.endswith("/public/7")


def test_an_announcement_from_outside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, frozen, _ = drawn(tmp_path)
    known = frozen.announcement.digest().hex()
    assert run(capsys, tmp_path, "--announced", known.upper())[0] == 0
    code, out, _ = run(capsys, tmp_path, "--announced", "00" * 32)
    assert code == 3
    assert out.endswith(f"verification failed: SHA-256 of announcement.json is {known}, expected {'00' * 32}\n")


def test_every_registrant_finds_their_entry_and_their_packet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries, frozen, winners = drawn(tmp_path, 60, THREE)
    assert winners.entries is not None
    order = winners.packet_order(frozen.commitments, 2)
    packets = {int(winners.entries[position]): "large" if at < 4 else "small" for at, position in enumerate(order)}
    for row in range(60):
        receipt = write_receipt(tmp_path / "receipt.json", entries, row)
        code, out, _ = run(capsys, tmp_path, "--receipt", receipt, "--packets", "large=4,small=90")
        assert code == 0
        assert ("your entry won" in out) == (row in packets)
        if row in packets:
            assert f"packet: {packets[row]}\n" in out
    assert set(packets.values()) == {"large", "small"}


def test_each_zone_hands_out_its_own_packets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries, frozen, winners = drawn(tmp_path, 60, THREE)
    assert winners.entries is not None
    larges = {"young": 2, "old": 7, "very-old": 1}
    zones = ("young:large=2,small=3", "old:large=7", "very-old:large=1,small=29")
    words = [word for zone in zones for word in ("--packets", zone)]

    def packet(row: int) -> str:
        receipt = write_receipt(tmp_path / "receipt.json", entries, row)
        code, out, _ = run(capsys, tmp_path, "--receipt", receipt, *words)
        assert code == 0
        return out.partition("\npacket: ")[2].partition("\n")[0]

    for row, rank, stratum in zip(winners.entries.tolist(), winners.rank, winners.stratum, strict=True):
        assert packet(row) == ("large" if rank <= larges[THREE[stratum].name] else "small")
    passed_on = successions.successions(frozen.announcement, winners.tickets, {int(winners.index[0]): "withdrawn"})
    write_file(
        tmp_path / draw_files.SUCCESSIONS,
        successions.content(frozen.announcement, passed_on, frozen.commitments),
    )
    assert frozen.order is not None
    assert packet(int(winners.entries[0])) == ""
    assert packet(int(frozen.order[passed_on[0].successor])) == "large"
    receipt = write_receipt(tmp_path / "receipt.json", entries, 0)
    code, _, err = run(capsys, tmp_path, "--receipt", receipt, "--packets", "old:large=7")
    assert code == 2
    assert err == "error: --packets names the zones old; the announcement has young, old, very-old\n"


def test_before_the_draw_the_list_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = people(10)
    draw.freeze_list(tmp_path, "test", make_rule(), entries, frozen_at_ns=FROZEN_NS)
    code, out, _ = run(capsys, tmp_path, "--receipt", write_receipt(tmp_path / "receipt.json", entries, 4))
    assert code == 0
    assert "your entry is in the list" in out
    assert "the draw has not been held yet" in out
    assert "verification passed" not in out


def test_an_entry_that_was_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn(tmp_path)
    receipt = write_receipt(tmp_path / "receipt.json", people(101, seed=3), 0)
    code, out, _ = run(capsys, tmp_path, "--receipt", receipt)
    assert code == 3
    assert "is not in entries.bin; compare the digits of the receipt first" in out


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is not JSON in UTF-8"),
        ("[]", "is not a JSON object"),
        ("[" * 100_000, "is not JSON in UTF-8"),
        ('{"document": "1", "salt": "00"}', "has no phone"),
        ('{"document": "x", "phone": "2", "salt": "00"}', "document is not a number of up to 20 digits"),
        ('{"document": "1", "phone": "+", "salt": "00"}', "phone is not a number of up to 15 digits"),
        ('{"document": "1", "phone": "2", "salt": "00"}', "the salt is not 64 hexadecimal digits"),
    ],
)
def test_malformed_receipts_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, problem: str
) -> None:
    drawn(tmp_path)
    (tmp_path / "receipt.json").write_text(content)
    code, _, err = run(capsys, tmp_path, "--receipt", tmp_path / "receipt.json")
    assert code == 2
    assert err.startswith(f"error: {tmp_path / 'receipt.json'}")
    assert problem in err
    assert "Error" not in err


def test_missing_files_are_usage_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, tmp_path / "none")[0] == 2
    drawn(tmp_path)
    (tmp_path / "tickets.bin").unlink()
    code, _, err = run(capsys, tmp_path)
    assert code == 2
    assert "tickets.bin" in err


def test_a_draw_without_its_beacon_is_not_a_draw_to_come(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn(tmp_path)
    (tmp_path / "beacon.json").unlink()
    (tmp_path / "winners.csv").write_text("rank,stratum,index,commitment,ticket\n")
    code, out, err = run(capsys, tmp_path)
    assert code == 2
    assert err == "error: tickets.bin is here, but beacon.json is missing: ask the organiser for it\n"
    assert "not been held" not in out
    (tmp_path / "tickets.bin").unlink()
    code, _, err = run(capsys, tmp_path)
    assert code == 2
    assert err == "error: winners.csv is here, but beacon.json is missing: ask the organiser for it\n"


def test_a_file_that_is_missing_is_named_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hint = "hint: name the folder with the published files, such as luohu/draw\n"
    assert run(capsys, tmp_path)[2] == f"error: {tmp_path / 'announcement.json'} does not exist\n{hint}"
    drawn(tmp_path)
    code, _, err = run(capsys, tmp_path, "--receipt", tmp_path / "none.json")
    assert (code, err) == (2, f"error: {tmp_path / 'none.json'} does not exist\n")
    (tmp_path / "file").write_text("")
    assert run(capsys, tmp_path / "file")[2].startswith(f"error: {tmp_path / 'file' / 'announcement.json'} is not")
    assert run(capsys, tmp_path, "--receipt", tmp_path)[2] == f"error: {tmp_path} is a folder, not a file\n"


def test_the_first_wrong_line_of_the_winners_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn(tmp_path)
    path = tmp_path / "winners.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], lines[3], lines[2], *lines[4:]]))
    code, out, _ = run(capsys, tmp_path)
    assert code == 3
    assert out.splitlines()[-1] == (
        f"verification failed: winners.csv, line 3 is {lines[3].strip()}; computed is {lines[2].strip()}"
    )
    path.write_text("".join(lines[:-1]))
    assert run(capsys, tmp_path)[1].splitlines()[-1] == (
        f"verification failed: winners.csv, line {len(lines)} is missing; computed is {lines[-1].strip()}"
    )
    path.write_text("".join([*lines, "21,all,0,00,00\n"]))
    assert run(capsys, tmp_path)[1].splitlines()[-1] == (
        f"verification failed: winners.csv, line {len(lines) + 1} is 21,all,0,00,00; computed is no such line"
    )
    path.write_text("".join([*lines, "\n"]))
    assert "line 22 is empty; computed is no such line" in run(capsys, tmp_path)[1]
    path.write_text("".join(lines)[:-1])
    assert "winners.csv does not end with a line break" in run(capsys, tmp_path)[1]
    path.write_text("".join(lines).replace("\n", "\r\n"))
    assert "winners.csv, line 1 is rank,stratum,index,commitment,ticket\\r;" in run(capsys, tmp_path)[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--announced", "abc"], "give 64 hexadecimal digits"),
        (["--announced", ""], "give 64 hexadecimal digits"),
        (["--packets", "large"], "write the classes in their order, such as large=100,small=400"),
        (["--packets", "large=4"], "--packets needs --receipt"),
        (["--receipt", "r", "--packets", "a=1", "--packets", "b=2"], "once for each zone with its name"),
    ],
)
def test_wrong_arguments_are_usage_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        draw_checker.main([str(tmp_path), *words])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_the_checker_and_the_package_agree_on_two_strata(tmp_path: Path) -> None:
    _, _, winners = drawn(tmp_path, 3_000, STRATA)
    announcement, entries, ranked, _, _ = draw_checker.check(tmp_path)
    assert (len(entries), announcement["winners"]) == (3_000, 500)
    assert [len(places) for places in ranked] == [stratum["entries"] for stratum in announcement["strata"]]
    assert [place for places, each in zip(ranked, STRATA, strict=True) for place in places[: each.winners]] == (
        winners.index.tolist()
    )
    assert draw.verify(tmp_path).ok
