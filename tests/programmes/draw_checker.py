"""A checker of draws written from docs/reference/draw.md alone: it shares no line of code with the package."""

import csv
import hashlib
import json
from pathlib import Path


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def digests(path: Path) -> list[bytes]:
    content = path.read_bytes()
    return [content[at : at + 32] for at in range(0, len(content), 32)]


def merkle_root(items: list[bytes]) -> bytes:
    level = [sha256(b"\x00", item) for item in items]
    while len(level) > 1:
        pairs = [level[at : at + 2] for at in range(0, len(level), 2)]
        level = [sha256(b"\x01", *pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0]


def commitment(document: int, phone: int, salt: bytes) -> bytes:
    return sha256(b"sycee.draw.entry.v1", salt, f"document={document:020};phone={phone:015}".encode())


def check(folder: Path) -> None:
    announced = json.loads((folder / "announcement.json").read_text())
    beacon = json.loads((folder / "beacon.json").read_text())
    entries = digests(folder / "entries.bin")
    assert len(entries) == announced["entries"] == sum(stratum["entries"] for stratum in announced["strata"])
    assert merkle_root(entries).hex() == announced["root"]
    assert (beacon["source"], beacon["round"]) == (announced["beacon"]["source"], announced["beacon"]["round"])
    seed = (b"sycee.draw.ticket.v1", bytes.fromhex(beacon["value"]), bytes.fromhex(announced["root"]))
    tickets = [sha256(*seed, entry) for entry in entries]
    assert tickets == digests(folder / "tickets.bin")
    expected = [["rank", "stratum", "index", "commitment", "ticket"]]
    start = 0
    for stratum in announced["strata"]:
        places = range(start, start + stratum["entries"])
        assert all(entries[place] < entries[place + 1] for place in places[:-1])
        ranked = sorted(places, key=lambda place: (tickets[place], entries[place]))[: stratum["winners"]]
        for rank, place in enumerate(ranked, 1):
            expected.append([str(rank), stratum["name"], str(place), entries[place].hex(), tickets[place].hex()])
        start += stratum["entries"]
    with (folder / "winners.csv").open(newline="") as file:
        assert list(csv.reader(file)) == expected
