#!/usr/bin/env python3
"""Check a published draw with nothing but Python 3.8 or later: no installation, no network.

    python3 draw_checker.py FOLDER
    python3 draw_checker.py FOLDER --announced SHA256
    python3 draw_checker.py FOLDER --receipt receipt.json
    python3 draw_checker.py FOLDER --receipt receipt.json --packets large=100,small=400
    python3 draw_checker.py FOLDER --receipt receipt.json --packets east:large=1,small=4 --packets west:small=5

FOLDER holds the published files: announcement.json, entries.bin, beacon.json, tickets.bin and winners.csv, and
successions.csv where winners were replaced. The first form recomputes the root of the list, every ticket, every winner
and every successor. --announced compares announcement.json with a
SHA-256 that was published elsewhere before the beacon. --receipt also finds your own entry, and --packets its packet,
from the packet classes of the programme in their order; of a programme with zones, from those of each zone, the zones
in their order. Before the draw only the list is checked.

docs/reference/draw.md of Sycee specifies the rules; a comment such as "§3" names its section. This program was written
from that page and shares no code with Sycee.

Exit codes: 0 verification passed; 2 a file is missing, or an argument or the receipt is wrong; 3 verification failed;
4 a file cannot be read.
"""

# ruff: noqa: B905, UP017 - an older Python has neither

import argparse
import hashlib
import io
import itertools
import json
import re
import sys
from datetime import datetime, timezone
from pathlib import Path

JSON_BYTES_MAX = 2**20
DEPTH_MAX = 64
ENTRIES_MAX = 2**27
NUMBER_MAX = 2**63 - 1
LINE_SHOWN_MAX = 400
DRAW_RULE = "sycee.draw.v1"
ALL_RULE = "sycee.all.v1"  # every entry of the list gets a packet, without a beacon
REASONS = ("withdrawn", "lapsed", "excluded")
DIGEST = re.compile(r"[0-9a-f]{64}")
MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])(\.[0-9]{1,6})?Z")
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
DRAND = {
    "drand quicknet": "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971",
    "drand default": "8990e7a9aaed2ffed73dbd7092123d6f289930540d7651336225dc172e51b2ce",
}


class Failed(Exception):
    """The published files do not prove the draw."""


class Wrong(Exception):
    """An argument or the receipt is wrong."""


def require(condition, problem):
    """Raise Failed unless the condition holds."""
    if not condition:
        raise Failed(problem)


def printable(text):
    """Return text with an escape for each character that could command a terminal."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def sha256(*parts):
    """Return the SHA-256 of the joined parts."""
    return hashlib.sha256(b"".join(parts)).digest()


# --- the rule -----------------------------------------------------------------------------------------------------


def commitment(document, phone, salt):
    """Return the commitment of an entry (§2)."""
    return sha256(b"sycee.draw.entry.v1", salt, f"document={document:020};phone={phone:015}".encode())


def merkle_root(items):
    """Return the root over a list that is not empty (§3)."""
    level = [sha256(b"\x00", item) for item in items]
    while len(level) > 1:
        pairs = [level[at : at + 2] for at in range(0, len(level), 2)]
        level = [sha256(b"\x01", *pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0]


def ticket(beacon, root, entry):
    """Return the ticket of an entry (§6)."""
    return sha256(b"sycee.draw.ticket.v1", beacon, root, entry)


def rank_entries(strata, entries, tickets):
    """Return for each stratum the places of its entries by rank: by ticket, then by commitment (§6)."""
    ranked, start = [], 0
    for stratum in strata:
        places = range(start, start + stratum["entries"])
        ranked.append(sorted(places, key=lambda place: (tickets[place], entries[place])))
        start += stratum["entries"]
    return ranked


def packet_order(strata, ranked, entries, beacon, root, classes):
    """Return the places of all winners in the order in which packets are handed out (§6)."""
    winners = [place for stratum, places in zip(strata, ranked) for place in places[: stratum["winners"]]]
    if classes > 1 and len(strata) > 1:
        winners.sort(key=lambda at: (sha256(b"sycee.draw.packet.v1", beacon, root, entries[at]), entries[at]))
    return winners


def packet_parts(packets, strata, ranked, entries, beacon, root):
    """Return the winners in packet order with the classes that they share: of each zone, or of all together (§6)."""
    if not packets or not packets[0][0]:
        classes = packets[0][1] if packets else []
        return [(packet_order(strata, ranked, entries, beacon, root, len(classes)), classes)]
    zones, names = [zone for zone, _ in packets], [stratum["name"] for stratum in strata]
    if zones != names:
        raise Wrong(f"--packets names the zones {', '.join(zones)}; the announcement has {', '.join(names)}")
    return [(places[: stratum["winners"]], classes) for stratum, places, (_, classes) in zip(strata, ranked, packets)]


def holders(order, follower):
    """Return who has the packets of winners after all successions, without the packets that nobody has."""
    held = []
    for place in order:
        while place in follower:
            place = follower[place]
        held.append(place)
    return [place for place in held if place is not None]


def follow(strata, ranked, entries, removed):
    """Return the lines of successions.csv, and who follows whom: {place: place, or None if no ticket is left} (§6).

    `removed` is {commitment: reason}.
    """
    lines, follower = [], {}
    for stratum, places in zip(strata, ranked):
        free = stratum["winners"]
        for first in range(stratum["winners"]):
            rank = first
            while rank < len(places) and entries[places[rank]] in removed:
                place, is_left = places[rank], free < len(places)
                follower[place] = places[free] if is_left else None
                after = f"{free + 1},{entries[places[free]].hex()}" if is_left else ","
                reason = removed[entries[place]]
                lines.append(f"{stratum['name']},{rank + 1},{entries[place].hex()},{reason},{after}\n")
                rank, free = free, free + is_left
    return lines, follower


# --- the files ----------------------------------------------------------------------------------------------------


def read(path, bytes_max):
    """Return the content of a file, which is refused if it is larger than `bytes_max`."""
    with path.open("rb") as file:
        content = file.read(bytes_max + 1)
    require(len(content) <= bytes_max, f"{path.name} has more than {bytes_max} bytes")
    return content


def unique_members(pairs):
    """Return the members of a JSON object; a repeated key is refused (§1)."""
    require(len(dict(pairs)) == len(pairs), "a key is repeated in a JSON object")
    return dict(pairs)


def refuse_constant(name):
    """Refuse NaN and Infinity, which Python's reader would accept."""
    raise Failed(f"{name} is no number in JSON")


def depth(value):
    """Return the number of levels of arrays and objects."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def parse(content, name):
    """Return the JSON object in UTF-8 bytes (§1)."""
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=unique_members, parse_constant=refuse_constant)
        require(depth(value) <= DEPTH_MAX, f"{name} has more than {DEPTH_MAX} levels of arrays and objects")
    except (ValueError, RecursionError) as error:
        raise Failed(f"{name} is not JSON in UTF-8: {error}") from error
    require(isinstance(value, dict), f"{name} is not a JSON object")
    return value


def member(fields, key, kind, form=None):
    """Return a member of a JSON object; its type and form must be right."""
    value = fields.get(key)
    require(type(value) is kind, f"{key} is {json.dumps(value)}, not of the right type")
    require(kind is not int or 0 <= value <= NUMBER_MAX, f"{key} is {value}, not from 0 to {NUMBER_MAX}")
    require(form is None or form.fullmatch(value), f"{key} is {json.dumps(value)}, not of the right form")
    return value


def moment(fields, key):
    """Return a moment as (whole seconds, decimals), which compares like the moments (§1)."""
    seconds, _, decimals = MOMENT.fullmatch(member(fields, key, str, MOMENT)).groups()
    try:
        whole = datetime.strptime(seconds, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise Failed(f"{key}: {error}") from error
    return whole, (decimals or ".").ljust(7, "0")


def read_announcement(content):
    """Return the announcement after checking everything that it says about itself (§4)."""
    announcement = parse(content, "announcement.json")
    rule = member(announcement, "rule", str)
    require(rule in (DRAW_RULE, ALL_RULE), "announcement.json has an unknown rule")
    member(announcement, "programme", str)
    member(announcement, "root", str, DIGEST)
    member(announcement, "synthetic", bool)
    frozen_at = moment(announcement, "frozen_at")
    if rule == ALL_RULE:
        require(announcement.get("beacon", 0) is None, f"beacon is not null, but the rule is {ALL_RULE}")
    else:
        beacon = member(announcement, "beacon", dict)
        member(beacon, "source", str)
        member(beacon, "round", int)
        require(frozen_at < moment(beacon, "due"), "the list was frozen when the beacon was due")
    strata = member(announcement, "strata", list)
    require(1 <= len(strata) <= 256, f"there are {len(strata)} strata, not 1 to 256")
    for stratum in strata:
        require(isinstance(stratum, dict), "a stratum is not a JSON object")
        member(stratum, "name", str, NAME)
        require(member(stratum, "entries", int) >= 1, f"stratum {stratum['name']} has no entries")
        require(member(stratum, "winners", int) <= stratum["entries"], f"stratum {stratum['name']}: too many winners")
    require(len({stratum["name"] for stratum in strata}) == len(strata), "two strata have the same name")
    for key in ("entries", "winners"):
        total = sum(stratum[key] for stratum in strata)
        require(member(announcement, key, int) == total, f"{key} is {announcement[key]}, the strata sum to {total}")
    require(announcement["entries"] <= ENTRIES_MAX, f"there are more than {ENTRIES_MAX} entries")
    everybody = announcement["winners"] == announcement["entries"]
    require(rule == DRAW_RULE or everybody, f"under {ALL_RULE} every entry wins")
    return announcement


def read_digests(path, count):
    """Return `count` digests of 32 bytes."""
    content = read(path, 32 * count)
    require(len(content) == 32 * count, f"{path.name} has {len(content)} bytes, but {count} entries take {32 * count}")
    return [content[at : at + 32] for at in range(0, len(content), 32)]


def read_beacon(folder, announcement):
    """Return the value of the published beacon, which must be the announced one (§5)."""
    beacon = parse(read(folder / "beacon.json", JSON_BYTES_MAX), "beacon.json")
    value = member(beacon, "value", str, DIGEST)
    for key in ("source", "round"):
        require(member(beacon, key, str if key == "source" else int) == announcement["beacon"][key], f"{key} differs")
    beacon.setdefault("synthetic", False)
    require(member(beacon, "synthetic", bool) == announcement["synthetic"], "synthetic differs from the announcement")
    return bytes.fromhex(value)


# --- the checks ---------------------------------------------------------------------------------------------------


def check(folder, announced=None, show=lambda line: None):
    """Check a published draw (§7). Return (announcement, entries, ranked places, beacon value, {place: successor}).

    The last three are None before the draw. Raises Failed for the first check that fails, and OSError.
    """
    content = read(folder / "announcement.json", JSON_BYTES_MAX)
    digest = hashlib.sha256(content).hexdigest()
    announcement = read_announcement(content)
    strata, root = announcement["strata"], bytes.fromhex(announcement["root"])
    show(f"announcement: {printable(announcement['programme'])}, {announcement['entries']} entries")
    show(f"SHA-256 of announcement.json: {digest}")
    require(announced in (None, digest), f"SHA-256 of announcement.json is {digest}, expected {announced}")

    entries = read_digests(folder / "entries.bin", announcement["entries"])
    require(len(set(entries)) == len(entries), "entries.bin: a commitment is repeated")
    start = 0
    for stratum in strata:
        part = entries[start : start + stratum["entries"]]
        require(part == sorted(part), f"entries.bin: stratum {stratum['name']} is not in order")
        start += stratum["entries"]
    found = merkle_root(entries)
    require(found == root, f"entries.bin leads to the root {found.hex()}, but {root.hex()} was announced")
    show("entries: as announced")
    if announcement["rule"] == ALL_RULE:
        show("every entry gets a packet, nothing is drawn")
        return announcement, entries, None, None, None
    if not (folder / "beacon.json").exists():
        for name in ("tickets.bin", "winners.csv", "successions.csv"):
            if (folder / name).exists():
                raise Wrong(f"{name} is here, but beacon.json is missing: ask the organiser for it")
        return announcement, entries, None, None, None

    beacon = read_beacon(folder, announcement)
    show("beacon to compare at its source:")
    for line in beacon_lines(announcement, beacon):
        show(f"  {line}")
    tickets = [ticket(beacon, root, entry) for entry in entries]
    listed = read_digests(folder / "tickets.bin", len(entries))
    wrong = [place for place, each in enumerate(tickets) if listed[place] != each]
    require(not wrong, f"tickets.bin: {len(wrong)} tickets are wrong, the first at {wrong[0] if wrong else None}")
    show("tickets: as computed")
    ranked = rank_entries(strata, entries, tickets)
    winners = "rank,stratum,index,commitment,ticket\n" + "".join(
        f"{rank},{stratum['name']},{place},{entries[place].hex()},{tickets[place].hex()}\n"
        for stratum, places in zip(strata, ranked)
        for rank, place in enumerate(places[: stratum["winners"]], 1)
    )
    compare("winners.csv", read(folder / "winners.csv", 2 * len(winners) + 4096), winners.encode())
    show("winners: as computed")
    follower = check_successions(folder / "successions.csv", strata, ranked, entries)
    if follower:
        show(f"successions: {len(follower)} packets passed on, as computed")
    return announcement, entries, ranked, beacon, follower


def check_successions(path, strata, ranked, entries):
    """Return who follows whom in successions.csv, after computing it anew from who was removed; {} without it (§6)."""
    if not path.exists():
        return {}
    content = read(path, (256 + max(len(stratum["name"]) for stratum in strata)) * (len(entries) + 2))
    removed = {}
    for number, line in enumerate(content.decode("ascii", "replace").splitlines()[1:], 2):
        cells = line.split(",")
        require(
            len(cells) == 6 and DIGEST.fullmatch(cells[2]) and cells[3] in REASONS,
            f"successions.csv, line {number} does not have the required form: {line[:LINE_SHOWN_MAX]}",
        )
        removed[bytes.fromhex(cells[2])] = cells[3]
    lines, follower = follow(strata, ranked, entries, removed)
    header = "stratum,rank,commitment,reason,successor_rank,successor_commitment\n"
    compare("successions.csv", content, (header + "".join(lines)).encode())
    return follower


def compare(name, published, computed):
    """Raise Failed with the first line of a file that differs (§6)."""
    lines, expected = (io.BytesIO(content).readlines() for content in (published, computed))
    for number, (line, right) in enumerate(itertools.zip_longest(lines, expected), 1):
        if line != right:
            require(line is None or line + b"\n" != right, f"{name} does not end with a line break")
            found = "missing" if line is None else line.decode("utf-8", "replace")[:LINE_SHOWN_MAX].rstrip("\n")
            computed = right.decode().rstrip("\n") if right else "no such line"
            raise Failed(f"{name}, line {number} is {found or 'empty'}; computed is {computed}")


def beacon_lines(announcement, value):
    """Return what to compare with the source of the beacon, and where."""
    source, number = announcement["beacon"]["source"], announcement["beacon"]["round"]
    where = f"round {number} as published by the source itself"
    if source in DRAND:
        where = f'"randomness" in https://api.drand.sh/{DRAND[source]}/public/{number}'
    if announcement["synthetic"]:
        where = "nowhere: this draw is synthetic and proves nothing about chance"
    return f"source {printable(source)}", f"round  {number}", f"value  {value.hex()}", f"where  {where}"


def read_receipt(path):
    """Return document, phone and salt of a receipt. Spaces are ignored, as are hyphens and the plus sign of a phone."""
    with path.open("rb") as file:
        content = file.read(JSON_BYTES_MAX)
    try:
        receipt = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Wrong(f"{path} is not JSON in UTF-8: {error}") from error
    if not isinstance(receipt, dict):
        raise Wrong(f"{path} is not a JSON object with document, phone and salt")
    missing = [key for key in ("document", "phone", "salt") if key not in receipt]
    if missing:
        raise Wrong(f"{path} has no {' and no '.join(missing)}; a receipt has document, phone and salt")
    document, phone, salt = ("".join(str(receipt[key]).split()) for key in ("document", "phone", "salt"))
    phone = phone.replace("-", "")
    phone = phone[1:] if phone.startswith("+") else phone
    if not re.fullmatch("[0-9]{1,20}", document) or int(document) >= 2**64:
        raise Wrong(f"{path}: document is not a number of up to 20 digits and below 2^64")
    if not re.fullmatch("[0-9]{1,15}", phone):
        raise Wrong(f"{path}: phone is not a number of up to 15 digits")
    if not re.fullmatch("[0-9a-fA-F]{64}", salt):
        raise Wrong(f"{path}: the salt is not 64 hexadecimal digits")
    return int(document), int(phone), bytes.fromhex(salt)


def check_receipt(path, packets, announcement, entries, ranked, beacon, follower):
    """Return sentences about the entry of a receipt. Raises Failed if it is not in the list."""
    own = commitment(*read_receipt(path))
    require(own in entries, f"{own.hex()} is not in entries.bin; compare the digits of the receipt first")
    place = entries.index(own)
    lines = [f"your entry is in the list, at place {place} counted from 0"]
    if announcement["rule"] == ALL_RULE:
        bounds = itertools.accumulate(stratum["entries"] for stratum in announcement["strata"])
        part = next(each["name"] for each, end in zip(announcement["strata"], bounds) if place < end)
        return [*lines, f"your entry gets a packet, in the part {part}"]
    if ranked is None:
        return [*lines, "not drawn yet"]
    for stratum, places in zip(announcement["strata"], ranked):
        if place in places:
            rank, winners = places.index(place) + 1, stratum["winners"]
            lines.append(f"rank {rank} of {len(places)} in stratum {stratum['name']}, of which {winners} win")
            lines.append("your entry won" if rank <= winners else "your entry did not win")
    if place in follower:
        lines.append("your entry was removed later, and its packet passed on: see successions.csv")
    elif place in follower.values():
        lines.append("your entry follows a winner who was removed, and has a packet: see successions.csv")
    root = bytes.fromhex(announcement["root"])
    for order, classes in packet_parts(packets, announcement["strata"], ranked, entries, beacon, root):
        held = holders(order, follower)
        if place in held and classes:
            won = [name for name, count in classes for _ in range(count)]
            at = held.index(place)
            lines.append(f"packet: {won[at]}" if at < len(won) else "packet: none is left, there are too few")
    return lines


def packet_classes(text):
    """Return (zone, [(name, count)]) of `east:large=100,small=400`; the zone is "" without a colon."""
    zone, _, classes = text.rpartition(":")
    parts = [part.partition("=") for part in classes.split(",")]
    if not all(name and count.isascii() and count.isdigit() and int(count) <= ENTRIES_MAX for name, _, count in parts):
        raise argparse.ArgumentTypeError("write the classes in their order, such as large=100,small=400")
    return zone, [(name, int(count)) for name, _, count in parts]


def digest_argument(text):
    """Return a SHA-256 in lower case."""
    if not DIGEST.fullmatch(text.lower()):
        raise argparse.ArgumentTypeError("give 64 hexadecimal digits")
    return text.lower()


def sentence(error):
    """Return an error of the operating system as a sentence."""
    if isinstance(error, FileNotFoundError):
        return f"{error.filename} does not exist"
    if isinstance(error, NotADirectoryError):
        return f"{error.filename} is not inside a folder"
    if isinstance(error, IsADirectoryError):
        return f"{error.filename} is a folder, not a file"
    return f"{error.filename} cannot be read: {error.strerror}" if error.filename else str(error)


def main(arguments=None):
    """Run the program and return its exit code."""
    parser = argparse.ArgumentParser(
        description="Check a published draw.", epilog=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder with the published files")
    parser.add_argument("--announced", type=digest_argument, help="SHA-256 of announcement.json from another place")
    parser.add_argument("--receipt", type=Path, help="JSON file with document, phone and salt")
    parser.add_argument(
        "--packets",
        type=packet_classes,
        action="append",
        default=[],
        help="packet classes, such as large=100,small=400; of a programme with zones once for each: east:large=100",
    )
    given = parser.parse_args(arguments)
    if given.packets and not given.receipt:
        parser.error("--packets needs --receipt: it computes the packet of one entry")
    if len(given.packets) > 1 and not all(zone for zone, _ in given.packets):
        parser.error("--packets is given once, or once for each zone with its name, such as east:large=100,small=400")
    try:
        result = check(given.folder, given.announced, print)
        for line in check_receipt(given.receipt, given.packets, *result) if given.receipt else ():
            print(line)
    except Failed as error:
        print(f"verification failed: {printable(str(error))}")
        return 3
    except Wrong as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {printable(sentence(error))}", file=sys.stderr)
        if str(error.filename) == str(given.folder / "announcement.json"):
            print("hint: name the folder with the published files, such as luohu/draw", file=sys.stderr)
        return 2 if isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError)) else 4
    announcement, _, ranked, _, _ = result
    if ranked is None:
        print("the list is as announced; the draw has not been held yet, so no winner was checked")
    else:
        print(f"verification passed: {announcement['winners']} of {announcement['entries']} entries won, as computed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
