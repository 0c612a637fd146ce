"""Successions: the package and the independent checker agree, and a changed file is found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.programmes.test_draw import FROZEN_NS, make_rule, people

from sycee.cli import main
from sycee.core.errors import UsageError
from sycee.core.output_files import write_file
from sycee.programmes import draw, draw_files, successions
from sycee.programmes.definition import Stratum
from sycee.programmes.successions import NOBODY, REASONS
from tools import draw_checker

# In the second stratum nobody is left after two removals, in the third everybody wins.
STRATA = (Stratum("wide", 5), Stratum("narrow", 8), Stratum("all", 50))
SIZES = (30, 10, 6)


def made(folder: Path | None = None) -> tuple[draw.Entries, draw.FrozenList, draw.Winners]:
    entries = people(sum(SIZES), STRATA)
    strata = np.repeat(np.arange(3, dtype=np.uint8), SIZES)
    entries = draw.Entries(entries.documents, entries.phones, entries.salts, strata)
    frozen = draw.freeze_list(folder, "test", make_rule(STRATA), entries, frozen_at_ns=FROZEN_NS)
    return entries, frozen, draw.draw_winners(frozen, draw.replay_beacon(1, frozen.announcement))


ENTRIES, FROZEN, WINNERS = made()
ANNOUNCEMENT = FROZEN.announcement


def publish(folder: Path, removed: dict[int, str]) -> tuple[successions.Succession, ...]:
    passed_on = successions.successions(ANNOUNCEMENT, WINNERS.tickets, removed)
    write_file(folder / draw_files.SUCCESSIONS, successions.content(ANNOUNCEMENT, passed_on, FROZEN.commitments))
    return passed_on


def ranked(stratum: int) -> list[int]:
    """Positions of one stratum by ticket."""
    span = ANNOUNCEMENT.spans()[stratum][1]
    return sorted(range(span.start, span.stop), key=lambda at: WINNERS.tickets[at].tobytes())


@given(st.dictionaries(st.integers(0, sum(SIZES) - 1), st.sampled_from(REASONS)))
def test_the_package_and_the_checker_agree(removed: dict[int, str]) -> None:
    entries = [each.tobytes() for each in FROZEN.commitments]
    tickets = [each.tobytes() for each in WINNERS.tickets]
    strata = [{"name": s.name, "entries": s.entries, "winners": s.winners} for s in ANNOUNCEMENT.strata]
    places = draw_checker.rank_entries(strata, entries, tickets)
    lines, follower = draw_checker.follow(strata, places, entries, {entries[at]: why for at, why in removed.items()})
    passed_on = successions.successions(ANNOUNCEMENT, WINNERS.tickets, removed)
    content = successions.content(ANNOUNCEMENT, passed_on, FROZEN.commitments)
    assert content.decode() == draw_files.SUCCESSIONS_HEADER + "".join(lines)
    assert {each.index: each.successor for each in passed_on} == {
        place: NOBODY if after is None else after for place, after in follower.items()
    }
    assert successions.check(ANNOUNCEMENT, WINNERS.tickets, FROZEN.commitments, content) == passed_on

    final = successions.holders(WINNERS.index, passed_on)
    have = [int(each) for each in final if each != NOBODY]
    assert len(set(have)) == len(have)
    assert not set(have) & removed.keys()
    # A packet stays without a holder only if everybody of its stratum has one or was removed.
    for number, (stratum, span) in enumerate(ANNOUNCEMENT.spans()):
        left = [at for at in range(span.start, span.stop) if at not in removed]
        mine = final[WINNERS.stratum == number]
        assert sorted(int(each) for each in mine if each != NOBODY) == sorted(
            [at for at in ranked(number) if at in left][: stratum.winners]
        )


def test_the_next_ticket_follows_and_a_removed_successor_is_passed_over() -> None:
    wide = ranked(0)
    removed = {wide[1]: "withdrawn", wide[5]: "lapsed", wide[4]: "excluded", wide[29]: "withdrawn"}
    passed_on = successions.successions(ANNOUNCEMENT, WINNERS.tickets, removed)
    assert [(each.rank, each.successor_rank, each.reason) for each in passed_on] == [
        (2, 6, "withdrawn"),
        (6, 7, "lapsed"),
        (5, 8, "excluded"),
    ]
    final = successions.holders(WINNERS.index, passed_on)
    assert final[:5].tolist() == [wide[0], wide[6], wide[2], wide[3], wide[7]]


def test_a_packet_without_a_further_ticket_stays_with_the_funder() -> None:
    removed = dict.fromkeys([*ranked(1)[:3], ranked(2)[0]], "withdrawn")
    passed_on = successions.successions(ANNOUNCEMENT, WINNERS.tickets, removed)
    assert [(each.rank, each.successor_rank) for each in passed_on] == [(1, 9), (2, 10), (3, 0), (1, 0)]
    assert successions.holders(WINNERS.index, passed_on).tolist().count(NOBODY) == 2


@pytest.mark.parametrize("removed", [{46: "withdrawn"}, {-1: "lapsed"}, {0: "tired"}])
def test_what_no_entry_or_reason_is(removed: dict[int, str]) -> None:
    with pytest.raises(UsageError, match="removed as"):
        successions.successions(ANNOUNCEMENT, WINNERS.tickets, removed)


CHANGES = [
    ("another successor", lambda text: text.replace(",6,", ",7,"), 'line 2 is "wide,1,'),
    ("a line less", lambda text: "".join(text.splitlines(keepends=True)[::2]), "line 2"),
    ("a line twice", lambda text: text + text.splitlines(keepends=True)[-1], "line 4"),
    ("another reason", lambda text: text.replace("withdrawn", "unlucky"), "line 2"),
    ("another header", lambda text: text.replace("reason", "cause"), "line 1"),
    ("no commitment", lambda text: text.replace("withdrawn,6,", "withdrawn,6,6,"), "line 2"),
    ("no person of the list", lambda text: text + f"wide,3,{'00' * 32},lapsed,8,{'11' * 32}\n", "000000"),
]


@pytest.mark.parametrize(("what", "change", "problem"), CHANGES, ids=[row[0] for row in CHANGES])
def test_a_changed_file_is_found_by_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, change: object, problem: str
) -> None:
    made(tmp_path)
    wide = ranked(0)
    publish(tmp_path, {wide[0]: "withdrawn", wide[5]: "lapsed"})
    path = tmp_path / draw_files.SUCCESSIONS
    assert draw.verify(tmp_path).ok
    assert draw_checker.main([str(tmp_path)]) == 0
    before = path.read_text()
    path.write_text(change(before))  # type: ignore[operator]
    assert path.read_text() != before
    failed = [check for check in draw.verify(tmp_path).checks if not check.passed]
    assert [check.name for check in failed] == ["successions"], what
    assert problem in failed[0].detail
    capsys.readouterr()
    assert draw_checker.main([str(tmp_path)]) == 3
    assert "verification failed: successions.csv" in capsys.readouterr().out


def test_a_receipt_finds_the_packet_that_passed_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path)
    wide = ranked(0)
    publish(tmp_path, {wide[0]: "withdrawn", wide[5]: "lapsed"})
    rows = {place: int(FROZEN.order[place]) for place in (wide[0], wide[5], wide[6], wide[1])}  # type: ignore[index]
    packets = {int(at): number for number, at in enumerate(WINNERS.packet_order(FROZEN.commitments, 2))}
    first = packets[int(np.flatnonzero(WINNERS.index == wide[0])[0])]
    classes = f"early={first},own=1,late=100" if first else "own=1,late=100"
    for place, won, sentence, packet in (
        (wide[0], False, "this entry was withdrawn; its packet went to rank 6", None),
        (wide[5], False, "this entry was lapsed; its packet went to rank 7", None),
        (wide[6], True, "this entry follows rank 6, which was lapsed", "packet: own"),
        (wide[1], True, "this entry is in no succession", "packet: "),
    ):
        row = rows[place]
        document, phone, salt = int(ENTRIES.documents[row]), int(ENTRIES.phones[row]), ENTRIES.salts[row].tobytes()
        found = draw.check_entry(tmp_path, document, phone, salt)
        assert (found.ok, found.won, found.checks[-1].detail) == (True, won, sentence)
        receipt = tmp_path / "receipt.json"
        receipt.write_text(json.dumps({"document": str(document), "phone": str(phone), "salt": salt.hex()}))
        assert main(["draw", "entry", str(tmp_path), str(receipt)]) == 0
        assert f"this entry {'won' if won else 'did not win'}" in capsys.readouterr().out
        assert draw_checker.main([str(tmp_path), "--receipt", str(receipt), "--packets", classes]) == 0
        out = capsys.readouterr().out
        assert (packet in out) if packet else "packet: " not in out
        assert ("its packet passed on" in out) == (packet is None)
        assert ("follows a winner who was removed" in out) == (place == wide[6])
