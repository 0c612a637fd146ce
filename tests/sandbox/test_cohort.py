"""The cohort on the ledger is compared with the published winners, and a difference is named."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from sycee import verify
from sycee.core.errors import IntegrityError
from sycee.programmes.definition import load
from sycee.programmes.records import check_cohort
from sycee.sandbox import pilot


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort") / "data"
    pilot.run(load("luohu-2020"), folder, seed=11, scale=0.002)
    return folder


def test_every_duplicate_is_reported(folder: Path) -> None:
    lines = (folder / pilot.DUPLICATES).read_text().splitlines()
    assert lines[0] == "entry,accepted,through,key"
    rows = [line.split(",") for line in lines[1:]]
    assert [key for *_, key in rows].count("document") == 6  # 3,200 and 2,100 at published size
    assert [key for *_, key in rows].count("phone") == 4
    assert all(int(entry) >= 3_828 > int(accepted) for entry, accepted, *_ in rows)  # second registrations are last


def compare(folder: Path, winners: str) -> tuple[str, ...]:
    draw = folder.parent / "draw"
    draw.mkdir(exist_ok=True)
    for name in ("announcement.json", "beacon.json"):
        (draw / name).write_bytes((folder / "draw" / name).read_bytes())
    (draw / "winners.csv").write_text(winners)
    return verify(folder, extra_checks=[partial(check_cohort, number=1, draw_folder=draw)]).proved


def test_the_members_are_the_published_winners(folder: Path) -> None:
    published = (folder / "draw" / "winners.csv").read_text()
    assert (
        compare(folder, published)[-1] == "the 100 members of programme 1 are the published winners, in order of rank"
    )


def test_a_member_who_was_not_drawn_is_named(folder: Path) -> None:
    lines = (folder / "draw" / "winners.csv").read_text().splitlines(keepends=True)
    rank, stratum, index, _, ticket = lines[8].split(",")
    lines[8] = ",".join([rank, stratum, index, "ab" * 32, ticket])
    with pytest.raises(IntegrityError, match="member 7 of programme 1 is not the winner of rank 8"):
        compare(folder, "".join(lines))


def test_a_winner_left_out_is_named(folder: Path) -> None:
    lines = (folder / "draw" / "winners.csv").read_text().splitlines(keepends=True)
    with pytest.raises(IntegrityError, match="has 100 members, but 99 winners are published"):
        compare(folder, "".join(lines[:-1]))


def test_a_malformed_list_is_an_error(folder: Path) -> None:
    with pytest.raises(IntegrityError, match="a line has no commitment"):
        compare(folder, "rank,stratum,index,commitment,ticket\n1,all\n")
