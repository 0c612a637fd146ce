"""A checker of draws written from docs/reference/draw.md alone: it shares no line of code with the package."""

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


def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def check(folder: Path) -> None:
    announced = json.loads((folder / "announcement.json").read_text(), object_pairs_hook=once)
    beacon = json.loads((folder / "beacon.json").read_text(), object_pairs_hook=once)
    entries = digests(folder / "entries.bin")
    strata = announced["strata"]
    assert announced["rule"] == "sycee.draw.v1"
    assert announced["frozen_at"] < announced["beacon"]["due"]
    assert announced["winners"] == sum(stratum["winners"] for stratum in strata)
    assert len(entries) == announced["entries"] == sum(stratum["entries"] for stratum in strata)
    assert merkle_root(entries).hex() == announced["root"]
    assert (beacon["source"], beacon["round"]) == (announced["beacon"]["source"], announced["beacon"]["round"])
    assert beacon.get("synthetic", False) == announced["synthetic"]
    value = bytes.fromhex(beacon["value"])
    assert len(value) == 32
    tickets = [sha256(b"sycee.draw.ticket.v1", value, bytes.fromhex(announced["root"]), entry) for entry in entries]
    assert tickets == digests(folder / "tickets.bin")
    winners = "rank,stratum,index,commitment,ticket\n"
    start = 0
    for stratum in strata:
        places = range(start, start + stratum["entries"])
        assert stratum["winners"] <= len(places)
        assert all(entries[place] < entries[place + 1] for place in places[:-1])
        ranked = sorted(places, key=lambda place: (tickets[place], entries[place]))[: stratum["winners"]]
        for rank, place in enumerate(ranked, 1):
            winners += f"{rank},{stratum['name']},{place},{entries[place].hex()},{tickets[place].hex()}\n"
        start += stratum["entries"]
    assert (folder / "winners.csv").read_bytes() == winners.encode()
