"""The worked example of docs/reference/draw.md, recomputed twice: by the independent checker and by the package."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from sycee.programmes import draw
from tools import draw_checker

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "draw.md").read_text(encoding="utf-8")
EXAMPLE = PAGE[PAGE.index("## 10. A worked example") :]


def block(start: str) -> str:
    """The first fenced block after `start`."""
    match = re.search(r"```\w*\n(.*?)```", EXAMPLE[EXAMPLE.index(start) :], re.DOTALL)
    assert match is not None
    return match[1]


def digests(start: str) -> list[bytes]:
    return [bytes.fromhex(line) for line in block(start).splitlines()]


def rows() -> list[tuple[str, str, bytes]]:
    """Stratum, identity text and salt of each entry."""
    found = re.findall(
        r"^\| \d \| ([\w-]+) \| `(document=\d{20};phone=\d{15})` \| `(\w{64})` \|$", EXAMPLE, re.MULTILINE
    )
    return [(stratum, text, bytes.fromhex(salt)) for stratum, text, salt in found]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("announcement.json", "beacon.json", "winners.csv", "successions.csv"):
        (tmp_path / name).write_text(block(f"`{name}`"))
    for name in ("entries.bin", "tickets.bin"):
        (tmp_path / name).write_bytes(b"".join(digests(f"`{name}`")))
    return tmp_path


def test_the_example_checks(folder: Path) -> None:
    draw_checker.check(folder)
    known = re.search(r"with SHA-256 `(\w{64})`", EXAMPLE)
    assert known is not None
    verification = draw.verify(folder, announced=bytes.fromhex(known[1]))
    verification.require()
    assert verification.ok


def test_commitments_and_order() -> None:
    commitments = [draw_checker.sha256(b"sycee.draw.entry.v1", salt, text.encode()) for _, text, salt in rows()]
    assert len(commitments) == 5
    assert [commitments[row] for row in (2, 0, 1, 3, 4)] == digests("`entries.bin`")


def test_salts_and_beacon_are_those_of_the_seed() -> None:
    seed = (2026).to_bytes(8, "big")
    salts = [draw_checker.sha256(b"sycee.replay.salt.v1", seed, row.to_bytes(8, "big")) for row in range(5)]
    assert salts == [salt for _, _, salt in rows()] == [salt.tobytes() for salt in draw.replay_salts(2026, 5)]
    beacon = draw_checker.sha256(b"sycee.replay.beacon.v1", seed, (1).to_bytes(8, "big"))
    assert beacon.hex() in block("`beacon.json`")


def test_every_level_of_the_tree() -> None:
    leaves, first, second = digests("Leaves:"), digests("The level above"), digests("The next:")
    assert leaves == [hashlib.sha256(b"\0" + entry).digest() for entry in digests("`entries.bin`")]
    node = lambda left, right: hashlib.sha256(b"\1" + left + right).digest()  # noqa: E731  (one line of RFC 6962)
    assert first == [node(*leaves[:2]), node(*leaves[2:4]), leaves[4]]
    assert second == [node(*first[:2]), first[2]]
    assert node(*second).hex() in block("`announcement.json`")


def test_the_proof_shown_is_the_proof(folder: Path) -> None:
    _, text, salt = rows()[4]
    document, phone = (int(part.split("=")[1]) for part in text.split(";"))
    result = draw.check_entry(folder, document, phone, salt)
    result.require()
    assert result.won
    ((side, neighbour),) = result.proof
    assert side == "left"
    assert f"`{neighbour.hex()}` on the left" in EXAMPLE


def test_the_checks_listed_are_the_checks_made(folder: Path) -> None:
    listed = re.findall(r"^\| ([a-z ]+) \| ", PAGE[PAGE.index("## 7.") : PAGE.index("## 8.")], re.MULTILINE)
    made = [check.name for check in draw.verify(folder, announced=bytes(32)).checks]
    assert listed == ["check", *made]
