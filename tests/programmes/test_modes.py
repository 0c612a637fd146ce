"""Modes: who gets a packet and how much, in the file, from published files, and on the ledger."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.programmes import world
from tests.programmes.world import ANN, BOB, FILE, NORTH, moment, person

from sycee.bank.bank import Bank
from sycee.core import documents
from sycee.core.documents import DocumentError
from sycee.core.errors import UsageError
from sycee.programmes import draw, states
from sycee.programmes.allotment import allot_split
from sycee.programmes.definition import Programme, define
from sycee.programmes.draw import Entries
from sycee.programmes.drawing import strata_by_packet_class

NAME = "autumn-2026"
CHECKER = Path(__file__).parents[2] / "tools" / "draw_checker.py"


def cut(text: str, *tables: str) -> str:
    """The text of a programme file without some tables."""
    kept, skipping = [], False
    for line in text.splitlines():
        if line.startswith("["):
            skipping = line.strip("[]").partition(".")[0] in tables
        kept += [] if skipping else [line]
    return "\n".join(kept) + "\n"


FIRST_COME = 'mode = "first-come"\n' + cut(FILE, "draw")
LIST = 'mode = "list"\n' + cut(FILE, "draw")
EQUAL = 'mode = "equal"\n' + cut(FILE, "draw", "packets")
SPLIT = 'mode = "random-split"\n' + cut(FILE, "packets") + '\n[split]\nleast = "10.00"\nstep = "0.50"\n'


def programme(text: str) -> Programme:
    return define(documents.parse(text, "autumn.toml"))


# --- the file ---


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SPLIT.replace("10.00", "40.00"), "5 winners with 40.00 each need more than the budget, 160.00"),
        (SPLIT.replace("0.50", "0.30"), "no multiple of 0.30"),
        (
            SPLIT.replace("160.00", "1600000.00").replace("0.50", "0.01").replace("winners = 5", "winners = 9999"),
            "about 9999 different amounts",
        ),
        (FIRST_COME.replace('"large"', '"Large Packet"'), "the published list has as the name of a part"),
        (FIRST_COME.replace("2026-11-07T08:00:00", "2026-11-04T08:00:00"), "before the end of registration"),
        (
            EQUAL + "\n[[packets]]\nname = 'a'\ncount = 1\namount = '160.00'\n",
            'a programme of the mode "equal" has no [packets]',
        ),
        (FIRST_COME + '\n[draw]\nrule = "sycee.draw.v1"\n', 'a programme of the mode "first-come" has no [draw]'),
        ('mode = "lotery"\n' + FILE, 'did you mean "lottery"?'),
    ],
)
def test_a_file_that_does_not_fit_its_mode(text: str, said: str) -> None:
    with pytest.raises(DocumentError) as caught:
        programme(text)
    assert said in f"{caught.value} {caught.value.hint}"


# --- who and how much ---


def entries(count: int, strata: list[int] | None = None) -> Entries:
    numbers = np.arange(1, count + 1, dtype=np.uint64)
    salts = np.frombuffer(b"".join(bytes([each]) * 32 for each in range(count)), np.uint8).reshape(count, 32)
    return Entries(numbers, numbers + 8_613_900_000_000, salts, None if strata is None else np.array(strata, np.uint8))


@pytest.mark.parametrize(("count", "parts"), [(9, [2, 3]), (4, [2, 2]), (2, [2]), (1, [1])])
def test_who_comes_first_gets_the_first_packets(count: int, parts: list[int]) -> None:
    rule, listed = strata_by_packet_class(programme(FIRST_COME), entries(count))
    assert [each.name for each in rule.strata] == ["large", "small"][: len(parts)]
    assert listed.strata is not None
    assert np.bincount(listed.strata).tolist() == parts
    assert listed.documents.tolist() == list(range(1, sum(parts) + 1))


def test_a_list_names_the_packet_of_each_entry() -> None:
    rule, listed = strata_by_packet_class(programme(LIST), entries(3, [1, 1, 1]))
    assert ([each.name for each in rule.strata], listed.strata.tolist()) == (["small"], [0, 0, 0])  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="3 entries for 2 packets of the class large"):
        strata_by_packet_class(programme(LIST), entries(3, [0, 0, 0]))
    with pytest.raises(UsageError, match="do not name their packets"):
        strata_by_packet_class(programme(LIST), entries(3))


def split_as_written(made: Programme, holders: list[bytes], beacon: bytes, root: bytes) -> list[tuple[int, bytes]]:
    """(amount, commitment) of each winner in cohort order: the rule of docs/reference/draw.md, sentence by sentence."""
    assert made.split is not None
    holders = sorted(holders)
    steps = (made.budget_minor - len(holders) * made.split.least_minor) // made.split.step_minor
    weights = []
    for each in holders:
        digest = hashlib.sha256(b"sycee.draw.share.v1" + beacon + root + each).digest()
        weights.append(1 + int.from_bytes(digest[:4], "big"))
    exact = [Fraction(steps * weight, sum(weights)) for weight in weights]
    shared = [int(each) for each in exact]
    left = steps - sum(shared)
    for place in sorted(range(len(holders)), key=lambda at: (shared[at] - exact[at], holders[at]))[:left]:
        shared[place] += 1
    amounts = [made.split.least_minor + made.split.step_minor * each for each in shared]
    return sorted(zip(amounts, holders, strict=True))


@given(st.sets(st.binary(min_size=32, max_size=32), min_size=1, max_size=40), st.binary(min_size=32, max_size=32))
def test_a_random_split_is_the_written_rule(holders: set[bytes], beacon: bytes) -> None:
    text = SPLIT.replace("winners = 5", f"winners = {len(holders)}").replace("160.00", "1600.00")
    made, root = programme(text), bytes(32)
    allotment = allot_split(made, np.frombuffer(b"".join(holders), np.uint8).reshape(-1, 32), beacon, root)
    amounts = [share.minor for share in allotment.shares for _ in range(share.count)]
    members = [each.tobytes()[:16] for each in allotment.members]
    expected = split_as_written(made, list(holders), beacon, root)
    assert list(zip(amounts, members, strict=True)) == [(amount, each[:16]) for amount, each in expected]
    assert allotment.minor == made.budget_minor
    assert len({share.minor for share in allotment.shares}) == len(allotment.shares)


# --- on the ledger ---


@contextmanager
def held(folder: Path, text: str, given_entries: Callable[[], Entries]) -> Iterator[Bank]:
    """A bank in which a programme was led from its file to its drop."""
    options = world.at("funded").copy(folder)
    with world.opened(folder, options) as bank:
        programmes, north, ann = bank.programmes, person(bank, NORTH), person(bank, ANN)
        programmes.draft(text, funder=world.funder(bank), maker=north)
        bank.set_clock(moment(3, 9))
        programmes.open_registration(NAME, who=north)
        bank.set_clock(moment(5))
        programmes.freeze(NAME, who=north, entries=given_entries())
        if not programmes.get(NAME).definition.draw.is_drawn:
            with pytest.raises(UsageError, match="not published"):
                programmes.draw(NAME, who=north)
        programmes.publish(NAME, who=north)
        bank.set_clock(moment(6, 13))
        if programmes.get(NAME).definition.draw.is_drawn:
            for who in (north, ann):
                programmes.bring_beacon(NAME, value=world.BEACON_VALUE, who=who)
        else:
            with pytest.raises(UsageError, match="nothing is drawn"):
                programmes.bring_beacon(NAME, value=world.BEACON_VALUE, who=north)
        programmes.draw(NAME, who=north)
        proposal = programmes.propose_terms(NAME, maker=ann)
        assert bank.proposals.sign(proposal.id, ANN, BOB).needs == ()
        programmes.allot(NAME, signers=bank.signers(NORTH), who=north)
        assert programmes.drop(NAME, signers=bank.signers(NORTH), who=north).state == states.DROPPED
        yield bank


def dropped(bank: Bank) -> list[int]:
    with bank.stores.ledger.sequencer.reading() as state:
        number = bank.programmes.occurrence(NAME).number
        assert number is not None
        return [int(each) for each in state.purses(number)["dropped"]]


@pytest.mark.parametrize(
    ("text", "given_entries", "amounts"),
    [
        (FIRST_COME, lambda: entries(9), [5_000] * 2 + [2_000] * 3),
        (LIST, lambda: entries(4, [1, 0, 1, 1]), [5_000] + [2_000] * 3),
        (EQUAL, lambda: entries(7), [16_000 // 7] * 7),
    ],
)
def test_a_list_that_is_not_drawn(
    tmp_path: Path, text: str, given_entries: Callable[[], Entries], amounts: list[int]
) -> None:
    with held(tmp_path, text, given_entries) as bank:
        assert dropped(bank) == amounts
        assert bank.programmes.occurrence(NAME).minor == sum(amounts)
        assert bank.check() == []
        folder = bank.programmes.files_of(bank.programmes.occurrence(NAME))
    assert sorted(each.name for each in folder.iterdir()) == ["announcement.json", "entries.bin"]
    found = draw.verify(folder)
    assert (found.ok, [each.name for each in found.checks]) == (True, ["announcement", "entries", "list order", "root"])
    entry = draw.check_entry(folder, 1, 8_613_900_000_001, bytes(32))
    assert (entry.ok, entry.won) == (True, True)
    checked = subprocess.run([sys.executable, CHECKER, folder], capture_output=True, text=True, check=False)
    assert (checked.returncode, "every entry gets a packet" in checked.stdout) == (0, True), checked.stderr
    changed = bytearray((folder / "entries.bin").read_bytes())
    changed[-1] ^= 1
    (folder / "entries.bin").write_bytes(changed)
    assert not draw.verify(folder).ok
    assert subprocess.run([sys.executable, CHECKER, folder], capture_output=True, check=False).returncode == 3


def test_a_budget_is_divided_by_chance(tmp_path: Path) -> None:
    with held(tmp_path, SPLIT, world.entries) as bank:
        amounts = dropped(bank)
        assert (len(amounts), sum(amounts), amounts) == (5, 16_000, sorted(amounts))
        assert all(each >= 1_000 and each % 50 == 0 for each in amounts)
        assert len(set(amounts)) > 1
        assert bank.check() == []
