"""Corners of docs/reference/draw.md, checked by the package and by tools/draw_checker.py, which must agree."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.programmes.test_draw import FROZEN_NS, THREE, drawn, edit, make_rule, people, rewrite

from sycee.core import merkle
from sycee.core.errors import IntegrityError, UnavailableError, UsageError
from sycee.programmes import draw, draw_files, draw_rule
from sycee.programmes.definition import Stratum
from sycee.programmes.draw_files import Announcement, StratumAnnounced
from tools import draw_checker

Change = Callable[[Path], None]


def moments(frozen_at: str, due: str) -> Change:
    def change(members: dict[str, object]) -> None:
        beacon = members["beacon"]
        assert isinstance(beacon, dict)
        members["frozen_at"] = frozen_at
        beacon["due"] = due

    return edit("announcement.json", change)


def round_number(text: str) -> Change:
    """Write the round as this JSON text into both files."""

    def apply(folder: Path) -> None:
        for name in ("announcement.json", "beacon.json"):
            rewrite(name, lambda content: content.replace(b'"round": 7', b'"round": ' + text.encode()))(folder)

    return apply


def edit_text(old: str, new: str) -> Change:
    return rewrite("announcement.json", lambda content: content.replace(old.encode(), new.encode()))


def nested(levels: int) -> object:
    value: object = "inner"
    for _ in range(levels):
        value = [value]
    return value


def both_agree(folder: Path) -> str | None:
    """Return the failed checks of the package, or None. The plain checker must agree."""
    result = draw.verify(folder)
    if result.ok:
        draw_checker.check(folder)
        return None
    with pytest.raises(draw_checker.Failed):
        draw_checker.check(folder)
    return "; ".join(check.detail for check in result.checks if check.passed is False)


BOM = "\ufeff".encode()
ACCEPTED = [
    ("round 0", round_number("0")),
    ("the largest round", round_number(str(2**63 - 1))),
    ("zeros after the decimals", moments("2020-10-11T11:00:00.500000Z", "2020-10-11T12:00:00.50Z")),
    ("a fraction before the whole second", moments("2020-10-11T11:59:59.999999Z", "2020-10-11T12:00:00Z")),
    # As texts these two are in the other order: "." is less than "Z".
    ("a fraction after the whole second", moments("2020-10-11T12:00:00Z", "2020-10-11T12:00:00.000001Z")),
    ("64 levels", edit("announcement.json", lambda m: m.update(note=nested(63)))),
    ("members that nobody knows", edit("announcement.json", lambda m: m.update(note="hello"))),
]
REFUSED = [
    ("a negative round", round_number("-1"), "round is -1"),
    ("a round beyond 63 bits", round_number(str(2**63)), "more than 64 bits"),
    ("a round as a fraction", round_number("7.0"), "round is 7.0"),
    ("a round as text", round_number('"7"'), 'round is "7"'),
    ("a round that is no number", round_number("true"), "round is true"),
    ("a byte order mark", rewrite("announcement.json", lambda content: BOM + content), "byte order mark"),
    ("a byte order mark in the beacon", rewrite("beacon.json", lambda content: BOM + content), "byte order mark"),
    ("a key twice in an inner object", edit_text('"round": 7', '"round": 7, "round": 7'), "is twice in one object"),
    ("a number that is none", edit("announcement.json", lambda m: m.update(note=float("nan"))), "no number in JSON"),
    ("another encoding", rewrite("beacon.json", lambda content: content.decode().encode("utf-16")), "not UTF-8"),
    ("65 levels", edit("announcement.json", lambda m: m.update(note=nested(64))), "more than 64 levels"),
    ("seven decimals", moments("2020-10-11T11:00:00.0000001Z", "2020-10-11T12:00:00Z"), "frozen_at is"),
    ("hour 24", moments("2020-10-10T24:00:00Z", "2020-10-11T12:00:00Z"), "frozen_at is"),
    ("a leap second", moments("2016-12-31T23:59:60Z", "2020-10-11T12:00:00Z"), "frozen_at is"),
    ("a day that does not exist", moments("2020-02-30T00:00:00Z", "2020-10-11T12:00:00Z"), "frozen_at is"),
    ("an offset", moments("2020-10-11T11:00:00+00:00", "2020-10-11T12:00:00Z"), "frozen_at is"),
    ("digits of another script", moments("٢٠٢٠-10-11T11:00:00Z", "2020-10-11T12:00:00Z"), "frozen_at is"),
    ("frozen at the very moment", moments("2020-10-11T12:00:00.0Z", "2020-10-11T12:00:00Z"), "not before the beacon"),
    ("a line feed after a digest", edit("beacon.json", lambda m: m.update(value="00" * 32 + "\n")), "value is"),
    ("deep JSON", rewrite("announcement.json", lambda _: b'{"a":' + b"[" * 100_000), "more than 64 levels"),
    ("deep JSON in the beacon", rewrite("beacon.json", lambda _: b"[" * 100_000), "more than 64 levels"),
]


@pytest.mark.parametrize("change", [row[1] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED])
def test_allowed_corners(tmp_path: Path, change: Change) -> None:
    drawn(tmp_path)
    change(tmp_path)
    assert both_agree(tmp_path) is None


@pytest.mark.parametrize(("change", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_corners(tmp_path: Path, change: Change, says: str) -> None:
    drawn(tmp_path)
    change(tmp_path)
    assert says in str(both_agree(tmp_path))


def publish(folder: Path, parts: list[list[bytes]], winners: list[int]) -> None:
    """Publish a draw over these commitments, which `freeze` might refuse."""
    items = np.frombuffer(b"".join(each for part in parts for each in part), np.uint8).reshape(-1, 32)
    root = merkle.root(items) if len(items) else bytes(32)
    strata = tuple(
        StratumAnnounced(f"s{at}", len(part), count)
        for at, (part, count) in enumerate(zip(parts, winners, strict=True))
    )
    announcement = Announcement(
        "test", "sycee.draw.v1", strata, root, "sycee-replay", 7, FROZEN_NS + 10**9, FROZEN_NS, True
    )
    (folder / "announcement.json").write_bytes(announcement.content())
    (folder / "entries.bin").write_bytes(items.tobytes())
    beacon = draw.replay_beacon(1, announcement)
    (folder / "beacon.json").write_bytes(beacon.content())
    tickets = draw_rule.tickets(beacon.value, root, items) if len(items) else items
    (folder / "tickets.bin").write_bytes(tickets.tobytes())
    selected = draw._select(announcement, beacon, tickets, None)
    (folder / "winners.csv").write_bytes(draw.winners_csv(selected, items))


ONE, TWO = b"1" * 32, b"2" * 32


def test_a_list_without_entries_has_no_root_and_is_refused(tmp_path: Path) -> None:
    publish(tmp_path, [[]], [0])
    assert "entries is 0" in str(both_agree(tmp_path))


def test_a_stratum_without_entries_is_refused_and_one_without_winners_is_not(tmp_path: Path) -> None:
    publish(tmp_path, [[ONE], []], [1, 0])
    assert "entries is 0" in str(both_agree(tmp_path))
    publish(tmp_path, [[ONE], [TWO]], [1, 0])
    assert both_agree(tmp_path) is None


def test_one_commitment_in_two_strata_is_refused(tmp_path: Path) -> None:
    publish(tmp_path, [[ONE, TWO], [TWO]], [1, 1])
    assert "entries (1, 2) in two strata are the same commitment" in str(both_agree(tmp_path))


def test_one_person_in_two_strata_is_not_frozen() -> None:
    entries = people(10, THREE)
    both = draw.Entries(
        np.concatenate((entries.documents, entries.documents[3:4])),
        np.concatenate((entries.phones, entries.phones[3:4])),
        np.concatenate((entries.salts, entries.salts[3:4])),
        np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1], np.uint8),
    )
    with pytest.raises(UsageError, match="entries 3 and 10 are the same person"):
        draw.freeze_list(None, "test", make_rule(THREE), both, frozen_at_ns=FROZEN_NS)


def test_more_entries_than_the_specification_allows_are_refused(tmp_path: Path) -> None:
    drawn(tmp_path)

    def change(members: dict[str, object]) -> None:
        strata = members["strata"]
        assert isinstance(strata, list)
        members["entries"] = strata[0]["entries"] = draw_files.ENTRIES_MAX + 1

    edit("announcement.json", change)(tmp_path)
    assert "134217729 entries, more than 134217728" in draw.verify(tmp_path).checks[0].detail
    with pytest.raises(draw_checker.Failed, match="more than 134217728 entries"):
        draw_checker.check(tmp_path)


# --- files that cannot be read ------------------------------------------------------------------------------------

NAMES = ("announcement.json", "entries.bin", "beacon.json", "tickets.bin", "winners.csv")


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_a_usage_error(tmp_path: Path, name: str) -> None:
    drawn(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(UsageError, match=f"{name} cannot be read: there is no such file"):
        draw.verify(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_the_user_may_not_read_is_unavailable(tmp_path: Path, name: str) -> None:
    drawn(tmp_path)
    (tmp_path / name).chmod(0)
    user = os.geteuid()
    if user == 0:  # permissions do not bind root
        os.seteuid(65_534)
    try:
        with pytest.raises(UnavailableError, match="permission denied"):
            draw.verify(tmp_path)
        with pytest.raises(PermissionError):
            draw_checker.check(tmp_path)
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("name", NAMES)
def test_a_sparse_file_of_eight_gigabytes_is_not_read(tmp_path: Path, name: str) -> None:
    drawn(tmp_path)
    with (tmp_path / name).open("r+b") as file:
        file.truncate(8 << 30)
    if name == "announcement.json":
        with pytest.raises(IntegrityError, match="8589934592 bytes"):
            draw.verify(tmp_path)
    else:
        assert any("8589934592 bytes" in check.detail for check in draw.verify(tmp_path).checks)
    with pytest.raises(draw_checker.Failed):
        draw_checker.check(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_link_to_a_device_without_end_is_refused(tmp_path: Path, name: str) -> None:
    drawn(tmp_path)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(UsageError, match="is larger than"):
        draw.verify(tmp_path)
    with pytest.raises(draw_checker.Failed, match="more than"):
        draw_checker.check(tmp_path)


# --- texts with terminal escapes ----------------------------------------------------------------------------------

ESCAPE = "\x1b[2J\x9b31m\r\n"


def test_no_text_of_a_published_file_commands_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sycee.cli import main

    def source(members: dict[str, object]) -> None:
        beacon = members["beacon"]
        assert isinstance(beacon, dict)
        beacon["source"] = members["programme"] = ESCAPE

    drawn(tmp_path)
    edit("announcement.json", source)(tmp_path)
    edit("beacon.json", lambda members: members.update(source=ESCAPE))(tmp_path)
    rewrite("winners.csv", lambda content: content.replace(b"\n1,all", f"\n{ESCAPE[:-2]},all".encode()))(tmp_path)
    for words in ([], ["--json"]):
        assert main(["draw", "verify", str(tmp_path), *words]) == 3
    edit("beacon.json", lambda members: members.update(source="other"))(tmp_path)
    assert main(["draw", "verify", str(tmp_path)]) == 3
    assert draw_checker.main([str(tmp_path)]) == 3
    edit("announcement.json", lambda members: members.update(rule=ESCAPE))(tmp_path)
    assert main(["draw", "verify", str(tmp_path)]) == 3
    captured = capsys.readouterr()
    for text in (captured.out, captured.err):
        assert not {"\x1b", "\x9b", "\r"} & set(text)
        assert r"\x1b[2J" in text or r"\u001b[2J" in text


# --- packets of several classes -----------------------------------------------------------------------------------

STRATA = (Stratum("under-60", 400), Stratum("from-60", 100))


def large_packets(folder: Path | None, strata: tuple[Stratum, ...], classes: int) -> tuple[list[int], draw.Winners]:
    """Return the number of large packets per stratum, of 100 large and 400 small ones, and the winners."""
    _, frozen, winners = drawn(folder, 3_000, strata)
    order = winners.packet_order(frozen.commitments, classes)
    return np.bincount(winners.stratum[order[:100]], minlength=len(strata)).tolist(), winners


def test_every_stratum_can_win_a_packet_of_each_class(tmp_path: Path) -> None:
    found, _ = large_packets(tmp_path, STRATA, 2)
    # Expected are 80 and 20; four standard deviations are 15.
    assert abs(found[0] - 80) < 15
    assert sum(found) == 100


def test_a_stratum_where_few_win_gets_no_more_large_packets_than_its_share() -> None:
    """Tickets of winners are small where few win, so an order by ticket would give all large packets to them."""
    entries = people(4_000, STRATA)
    entries = draw.Entries(entries.documents, entries.phones, entries.salts, (np.arange(4_000) >= 500).astype(np.uint8))
    frozen = draw.freeze_list(None, "test", make_rule(STRATA), entries, frozen_at_ns=FROZEN_NS)
    winners = draw.draw_winners(frozen, draw.replay_beacon(1, frozen.announcement))
    order = winners.packet_order(frozen.commitments, 2)
    assert abs(int((winners.stratum[order[:100]] == 1).sum()) - 20) < 15


def test_one_stratum_or_one_class_has_the_order_of_the_winners() -> None:
    for strata, classes in (((Stratum("all", 500),), 2), (STRATA, 1)):
        _, frozen, winners = drawn(None, 3_000, strata)
        assert winners.packet_order(frozen.commitments, classes).tolist() == list(range(500))


def test_the_plain_checker_hands_out_packets_in_the_same_order(tmp_path: Path) -> None:
    _, frozen, winners = drawn(tmp_path, 3_000, STRATA)
    announcement, entries, ranked, beacon, _ = draw_checker.check(tmp_path)
    for classes in (1, 2):
        order = draw_checker.packet_order(
            announcement["strata"], ranked, entries, beacon, frozen.announcement.root, classes
        )
        assert order == winners.index[winners.packet_order(frozen.commitments, classes)].tolist()


def test_receipts_with_spaces_a_mark_and_a_plus_sign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sycee.cli import main

    entries, _, winners = drawn(tmp_path)
    assert winners.entries is not None
    row = int(winners.entries[0])
    document, phone, salt = int(entries.documents[row]), int(entries.phones[row]), entries.salts[row].tobytes().hex()
    text = str(phone)
    path = tmp_path / "receipt.json"
    for written in (f"+{text[:2]} {text[2:5]}-{text[5:]}", f" {text}\n", f"{text[:4]}\u00a0{text[4:]}"):
        receipt = {"document": f"{document} ", "phone": written, "salt": f" {salt[:32]} {salt[32:].upper()}"}
        path.write_bytes(BOM + json.dumps(receipt).encode())
        assert main(["draw", "entry", str(tmp_path), str(path)]) == 0
        assert "this entry won" in capsys.readouterr().out
        assert draw_checker.main([str(tmp_path), "--receipt", str(path)]) == 0
        assert "your entry won" in capsys.readouterr().out
