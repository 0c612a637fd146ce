from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sycee.core import merkle
from sycee.core.errors import IntegrityError, UsageError
from sycee.programmes import draw, draw_files, draw_rule
from sycee.programmes.definition import DrawRule, Stratum
from sycee.programmes.draw import Entries, FrozenList
from sycee.programmes.draw_files import Beacon
from tools import draw_checker

DUE_NS = 1_602_417_600 * 10**9
FROZEN_NS = DUE_NS - 3_600 * 10**9
ONE = (Stratum("all", 20),)
THREE = (Stratum("young", 5), Stratum("old", 7), Stratum("very-old", 30))


def make_rule(strata: tuple[Stratum, ...] = ONE, source: str = "sycee-replay") -> DrawRule:
    return DrawRule("sycee.draw.v1", strata, source, 7, DUE_NS)


def people(count: int, strata: tuple[Stratum, ...] = ONE, seed: int = 1) -> Entries:
    random = np.random.default_rng(seed)
    return Entries(
        documents=random.permutation(np.arange(1, count + 1, dtype=np.uint64)) * np.uint64(97),
        phones=random.permutation(np.arange(1, count + 1, dtype=np.uint64)) + np.uint64(8_613_800_000_000),
        salts=draw.replay_salts(seed, count),
        strata=random.integers(0, len(strata), count, dtype=np.uint8) if len(strata) > 1 else None,
    )


def drawn(
    folder: Path | None, count: int = 100, strata: tuple[Stratum, ...] = ONE
) -> tuple[Entries, FrozenList, draw.Winners]:
    entries = people(count, strata)
    frozen = draw.freeze_list(folder, "test", make_rule(strata), entries, frozen_at_ns=FROZEN_NS)
    return entries, frozen, draw.draw_winners(frozen, draw.replay_beacon(1, frozen.announcement))


# --- computation --------------------------------------------------------------------------------------------------


@given(count=st.integers(1, 70))
def test_root_and_proofs_agree_with_the_naive_twin(count: int) -> None:
    items = np.random.default_rng(count).integers(0, 256, (count, 32), dtype=np.uint8)
    root = draw_checker.merkle_root([item.tobytes() for item in items])
    tree = merkle.levels(items)
    assert merkle.root(items) == root == tree[-1][0].tobytes()
    assert sum(len(level) for level in tree) >= merkle.hashes_needed(count)
    for index in range(count):
        proof = merkle.proof(tree, index)
        assert merkle.proven_root(items[index].tobytes(), proof) == root
        assert merkle.proven_root(items[index - 1].tobytes(), proof) != root or count == 1


def test_root_is_that_of_rfc_6962() -> None:
    # The RFC's definition: a tree over n items splits at the largest power of two below n.
    def tree(items: list[bytes]) -> bytes:
        if len(items) == 1:
            return hashlib.sha256(b"\0" + items[0]).digest()
        split = 1 << (len(items) - 1).bit_length() - 1
        return hashlib.sha256(b"\1" + tree(items[:split]) + tree(items[split:])).digest()

    for count in range(1, 40):
        items = np.random.default_rng(count).integers(0, 256, (count, 32), dtype=np.uint8)
        assert merkle.root(items) == tree([item.tobytes() for item in items])


@given(st.integers(0, 2**64 - 1), st.integers(0, draw_rule.PHONE_MAX))
def test_identity_texts_have_fixed_width(document: int, phone: int) -> None:
    (text,) = draw_rule.identity_texts(np.array([document], np.uint64), np.array([phone], np.uint64))
    assert text.tobytes() == draw_rule.identity_text(document, phone)
    assert len(text) == 51


@given(st.lists(st.binary(min_size=2, max_size=2), min_size=1, max_size=60), st.data())
def test_order_and_selection_hold_where_digests_begin_alike(ends: list[bytes], data: st.DataObject) -> None:
    # Digests that differ in the first and the last byte only, or not at all: every tie-break is used.
    digests = [end[:1] + bytes(30) + end[1:] for end in ends]
    array = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)
    ordered = sorted(range(len(digests)), key=lambda place: (digests[place], place))
    count = data.draw(st.integers(0, len(digests)))
    assert draw_rule.smallest(array, count).tolist() == ordered[:count]
    assert draw_rule.digest_order(array).tolist() == ordered
    increasing = [before < after for before, after in itertools.pairwise(digests)]
    assert draw_rule.is_increasing(array).tolist() == increasing


@pytest.mark.parametrize(
    ("count", "strata"), [(1, ONE), (2, ONE), (21, ONE), (3_000, ONE), (60, THREE), (5_000, THREE)]
)
def test_an_independent_checker_agrees(tmp_path: Path, count: int, strata: tuple[Stratum, ...]) -> None:
    entries, frozen, winners = drawn(tmp_path, count, strata)
    draw_checker.check(tmp_path)
    verification = draw.verify(tmp_path)
    assert [check.passed for check in verification.checks] == [True] * 7
    verification.require()
    assert winners.entries is not None
    for place, entry in zip(winners.index, winners.entries, strict=True):
        document, phone, salt = (
            int(entries.documents[entry]),
            int(entries.phones[entry]),
            entries.salts[entry].tobytes(),
        )
        assert frozen.commitments[place].tobytes() == draw_checker.commitment(document, phone, salt)
        if entries.strata is not None:
            stratum = frozen.announcement.strata[entries.strata[entry]]
            assert stratum.name in {strata[part].name for part in winners.stratum}


def test_every_stratum_has_its_winners_and_none_more_than_it_has_entries(tmp_path: Path) -> None:
    _, frozen, winners = drawn(tmp_path, 60, THREE)
    counts = [stratum.winners for stratum in frozen.announcement.strata]
    assert counts == [min(each.winners, each.entries) for each in frozen.announcement.strata]
    assert counts[2] < 30  # more packets than people: everyone wins
    assert np.bincount(winners.stratum).tolist() == counts


def test_folder_and_memory_give_the_same(tmp_path: Path) -> None:
    _, in_folder, first = drawn(tmp_path, 500)
    _, in_memory, second = drawn(None, 500)
    assert in_folder.announcement == in_memory.announcement
    assert np.array_equal(first.index, second.index)
    third = draw.draw_winners(tmp_path, first.beacon)
    assert np.array_equal(first.index, third.index)
    assert third.entries is None


def test_progress_counts_hashes(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        calls.append((done, total))

    frozen = draw.freeze_list(tmp_path, "test", make_rule(), people(999), frozen_at_ns=FROZEN_NS, progress=progress)
    assert calls[-1] == (999 + 2 * 999 - 1, 999 + 2 * 999 - 1)
    assert calls == sorted(calls)
    draw.draw_winners(frozen, draw.replay_beacon(1, frozen.announcement))
    calls.clear()
    draw.verify(tmp_path, progress=progress)
    assert calls[-1] == (3 * 999 - 1, 3 * 999 - 1)


def test_fresh_salts_differ() -> None:
    salts = draw.fresh_salts(100)
    assert salts.shape == (100, 32)
    assert len({salt.tobytes() for salt in salts}) == 100


# --- refusals -----------------------------------------------------------------------------------------------------


def test_an_announcement_is_never_replaced(tmp_path: Path) -> None:
    entries = people(50)
    draw.freeze_list(tmp_path, "test", make_rule(), entries, frozen_at_ns=FROZEN_NS)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    draw.freeze_list(
        tmp_path, "test", make_rule(), entries, frozen_at_ns=FROZEN_NS
    )  # an equal announcement is accepted
    with pytest.raises(UsageError, match="published already, with other content"):
        draw.freeze_list(tmp_path, "test", make_rule(), people(50, seed=2), frozen_at_ns=FROZEN_NS)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_beacon_is_never_replaced(tmp_path: Path) -> None:
    _, frozen, winners = drawn(tmp_path)
    draw.draw_winners(frozen, winners.beacon)
    with pytest.raises(UsageError, match="published already"):
        draw.draw_winners(frozen, replace(winners.beacon, value=bytes(32)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"round": 8}, "round is 8, but 7 was announced"),
        ({"source": "other"}, "source is other, but sycee-replay was announced"),
        ({"synthetic": False}, "synthetic is False, but True was announced"),
        ({"value": bytes(31)}, "31 bytes"),
    ],
)
def test_only_the_announced_beacon_draws(change: dict[str, object], message: str) -> None:
    frozen = draw.freeze_list(None, "test", make_rule(), people(30), frozen_at_ns=FROZEN_NS)
    beacon = draw.replay_beacon(1, frozen.announcement)
    with pytest.raises(UsageError, match=message):
        draw.draw_winners(frozen, replace(beacon, **change))  # type: ignore[arg-type]


def test_a_synthetic_beacon_is_refused_for_a_real_source() -> None:
    frozen = draw.freeze_list(None, "test", make_rule(source="drand"), people(30), frozen_at_ns=FROZEN_NS)
    assert not frozen.announcement.synthetic
    with pytest.raises(UsageError, match="synthetic is True, but False was announced"):
        draw.draw_winners(frozen, draw.replay_beacon(1, frozen.announcement))
    assert len(draw.draw_winners(frozen, Beacon("drand", 7, bytes(32))).index) == 20


def test_impossible_lists_are_refused() -> None:
    entries = people(10)
    twice = Entries(
        *(np.concatenate((column, column[3:4])) for column in (entries.documents, entries.phones, entries.salts))
    )
    long_phone = replace(entries, phones=entries.phones + np.uint64(10**15))
    nobody_old = replace(entries, strata=np.zeros(10, np.uint8))
    for each, strata, frozen_at_ns, message in (
        (entries, ONE, DUE_NS, "may be known"),
        (twice, ONE, FROZEN_NS, "entries 3 and 10 are the same person"),
        (long_phone, ONE, FROZEN_NS, "more than 15 digits"),
        (entries, THREE, FROZEN_NS, "the entries name none"),
        (nobody_old, THREE, FROZEN_NS, "stratum old has no entries"),
        (replace(entries, strata=np.full(10, 3, np.uint8)), THREE, FROZEN_NS, "the draw has 3"),
        (replace(entries, salts=entries.salts[:, :31]), ONE, FROZEN_NS, "do not make entries"),
        (entries, (Stratum("a,b", 1),), FROZEN_NS, "not a name for a stratum"),
    ):
        with pytest.raises(UsageError, match=message):
            draw.freeze_list(None, "test", make_rule(strata), each, frozen_at_ns=frozen_at_ns)


# --- tampering ----------------------------------------------------------------------------------------------------


def rewrite(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return apply


def edit(name: str, change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        members = json.loads((folder / name).read_text())
        change(members)
        (folder / name).write_text(json.dumps(members))

    return apply


def set_winners(count: int) -> Callable[[dict[str, object]], object]:
    def change(members: dict[str, object]) -> None:
        members["winners"] = count
        strata = members["strata"]
        assert isinstance(strata, list)
        strata[0]["winners"] = count

    return change


def swapped(content: bytes) -> bytes:
    return content[:64] + content[96:128] + content[64:96] + content[128:]


def flipped(at: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def other_winner(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    return b"".join([*lines[:3], lines[3].replace(b"3,all", b"33,all"), *lines[4:]])


OTHER_BEACON = "00" * 32

TAMPERING = [
    ("two entries swapped", rewrite("entries.bin", swapped), {"list order": "entry 3 ", "root": "leads to"}),
    (
        "an entry changed",
        rewrite("entries.bin", flipped(32 * 5 + 31)),
        {"root": "leads to", "tickets": "the first at 5"},
    ),
    (
        "entries cut",
        rewrite("entries.bin", lambda content: content[:-40]),
        {"entries": "3160 bytes, but 100 entries take 3200"},
    ),
    (
        "another beacon",
        edit("beacon.json", lambda m: m.update(value=OTHER_BEACON)),
        {"tickets": "100 tickets are wrong"},
    ),
    ("another round", edit("beacon.json", lambda m: m.update(round=8)), {"beacon": "round is 8, but 7 was announced"}),
    ("a real beacon pretended", edit("beacon.json", lambda m: m.update(synthetic=False)), {"beacon": "synthetic"}),
    ("half a beacon", edit("beacon.json", lambda m: m.update(value="00")), {"beacon": "value is"}),
    ("more winners announced", edit("announcement.json", set_winners(21)), {"winners": "20 winners, computed 21"}),
    (
        "fewer winners announced",
        edit("announcement.json", set_winners(19)),
        {"winners": "20 winners, computed 19; line 21"},
    ),
    (
        "k alone",
        edit("announcement.json", lambda m: m.update(winners=21)),
        {"announcement": "but the strata sum to 20"},
    ),
    (
        "another root",
        edit("announcement.json", lambda m: m.update(root="11" * 32)),
        {"root": "announced", "tickets": "100"},
    ),
    (
        "another rule",
        edit("announcement.json", lambda m: m.update(rule="v2")),
        {"announcement": 'rule "v2" is not supported'},
    ),
    ("no rule", edit("announcement.json", lambda m: m.pop("rule")), {"announcement": "rule is missing"}),
    (
        "frozen late",
        edit("announcement.json", lambda m: m.update(frozen_at="2020-10-12T00:00:00Z")),
        {"announcement": "frozen"},
    ),
    ("no JSON", rewrite("announcement.json", lambda content: content[:50]), {"announcement": "not JSON"}),
    (
        "two roots",
        rewrite("announcement.json", lambda content: content.replace(b"{", b'{"root": "' + b"11" * 32 + b'",', 1)),
        {"announcement": "the key 'root' is twice"},
    ),
    (
        "two sources",
        rewrite("beacon.json", lambda content: content.replace(b"{", b'{"source": "mine",', 1)),
        {"beacon": "the key 'source' is twice"},
    ),
    ("a ticket changed", rewrite("tickets.bin", flipped(32 * 9)), {"tickets": "1 tickets are wrong, the first at 9"}),
    ("tickets cut", rewrite("tickets.bin", lambda content: content[:-1]), {"tickets": "3199 bytes"}),
    ("a wrong winner", rewrite("winners.csv", other_winner), {"winners": 'line 4 is "33,all'}),
    ("winners cut", rewrite("winners.csv", lambda content: content[:-140]), {"winners": "line 21"}),
    (
        "a winner more",
        rewrite("winners.csv", lambda content: content + b"21,all,0,,\n"),
        {"winners": "21 winners, computed 20"},
    ),
    ("other line ends", rewrite("winners.csv", lambda content: content.replace(b"\n", b"\r\n")), {"winners": "line 1"}),
]


@pytest.mark.parametrize(("tamper", "failures"), [row[1:] for row in TAMPERING], ids=[row[0] for row in TAMPERING])
def test_tampering_is_named(tmp_path: Path, tamper: Callable[[Path], None], failures: dict[str, str]) -> None:
    drawn(tmp_path)
    tamper(tmp_path)
    verification = draw.verify(tmp_path)
    assert not verification.ok
    failed = {check.name: check.detail for check in verification.checks if check.passed is False}
    for name, detail in failures.items():
        assert detail in failed[name]
    assert next(iter(failed)) == next(iter(failures))
    with pytest.raises(IntegrityError, match="does not prove its winners") as caught:
        verification.require()
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("tamper", [row[1] for row in TAMPERING], ids=[row[0] for row in TAMPERING])
def test_the_independent_checker_finds_it_too(tmp_path: Path, tamper: Callable[[Path], None]) -> None:
    drawn(tmp_path)
    tamper(tmp_path)
    with pytest.raises(draw_checker.Failed):
        draw_checker.check(tmp_path)


def test_a_consistent_forgery_needs_the_announcement_from_outside(tmp_path: Path) -> None:
    _, frozen, _ = drawn(tmp_path / "true")
    known = frozen.announcement.digest()
    assert draw.verify(tmp_path / "true", announced=known).ok
    forged = draw.freeze_list(tmp_path / "forged", "test", make_rule(), people(100, seed=9), frozen_at_ns=FROZEN_NS)
    draw.draw_winners(forged, draw.replay_beacon(1, forged.announcement))
    assert draw.verify(tmp_path / "forged").ok
    failed = [check.name for check in draw.verify(tmp_path / "forged", announced=known).checks if not check.passed]
    assert failed == ["announcement as known outside"]


def test_a_damaged_list_is_not_drawn(tmp_path: Path) -> None:
    frozen = draw.freeze_list(tmp_path, "test", make_rule(), people(40), frozen_at_ns=FROZEN_NS)
    path = tmp_path / draw_files.ENTRIES
    path.write_bytes(flipped(3)(path.read_bytes()))
    with pytest.raises(IntegrityError, match="was announced"):
        draw.draw_winners(tmp_path, draw.replay_beacon(1, frozen.announcement))


# --- a single entry -----------------------------------------------------------------------------------------------


def receipt(entries: Entries, row: int) -> tuple[int, int, bytes]:
    return int(entries.documents[row]), int(entries.phones[row]), entries.salts[row].tobytes()


def test_every_registrant_can_check_their_own_entry(tmp_path: Path) -> None:
    entries, _, winners = drawn(tmp_path, 60, THREE)
    assert winners.entries is not None
    ranks = {name: set() for name in ("young", "old", "very-old")}
    for row in range(60):
        result = draw.check_entry(tmp_path, *receipt(entries, row))
        result.require()
        assert result.ok
        assert result.won == (row in winners.entries)
        assert result.stratum is not None
        ranks[result.stratum].add(result.rank)
        if result.won:
            (place,) = np.flatnonzero(winners.entries == row)
            assert (result.rank, result.index) == (winners.rank[place], winners.index[place])
    assert all(found == set(range(1, len(found) + 1)) for found in ranks.values())


def test_the_rank_of_an_entry_does_not_depend_on_the_published_tickets_of_others(tmp_path: Path) -> None:
    entries, _, winners = drawn(tmp_path)
    assert winners.entries is not None
    first = receipt(entries, int(winners.entries[0]))
    own = int(winners.index[0]) * 32
    rewrite("tickets.bin", lambda content: bytes(own) + content[own : own + 32] + bytes(len(content) - own - 32))(
        tmp_path
    )
    result = draw.check_entry(tmp_path, *first)
    assert (result.rank, result.won, result.ok) == (1, True, True)


def test_an_entry_before_the_draw(tmp_path: Path) -> None:
    entries = people(10)
    draw.freeze_list(tmp_path, "test", make_rule(), entries, frozen_at_ns=FROZEN_NS)
    result = draw.check_entry(tmp_path, *receipt(entries, 4))
    assert (result.ok, result.won, result.rank) == (True, None, None)
    assert [check.passed for check in result.checks] == [True, True, None, None]


def test_an_entry_that_was_left_out_or_cheated(tmp_path: Path) -> None:
    entries, _, winners = drawn(tmp_path)
    document, phone, salt = receipt(entries, 0)
    missing = draw.check_entry(tmp_path, document, phone, bytes(32))
    assert (missing.ok, missing.index) == (False, None)
    with pytest.raises(IntegrityError, match="in the list"):
        missing.require()
    assert winners.entries is not None
    first = receipt(entries, int(winners.entries[0]))
    rewrite("winners.csv", lambda content: content.replace(b"\n1,all", b"\n11,all"))(tmp_path)
    assert [check.name for check in draw.check_entry(tmp_path, *first).checks if check.passed is False] == ["winners"]
    edit("announcement.json", lambda members: members.update(root="22" * 32))(tmp_path)
    failed = [check.name for check in draw.check_entry(tmp_path, *first).checks if check.passed is False]
    assert failed[:2] == ["proof", "ticket"]
    with pytest.raises(UsageError, match="are no entry"):
        draw.check_entry(tmp_path, document, phone, salt[:-1])
