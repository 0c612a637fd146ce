"""Certificates against a journal alone: what Sycee and the independent checker accept, and every forged booking."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from tests.clearing.test_sets import shortly
from tests.clearing.world import (
    CNY,
    CODES,
    EAST,
    EAST_BANK,
    HKD,
    HOUSE,
    NORTH_BANK,
    SOUTH_BANK,
    Place,
    Sent,
    agree,
    place,
    uetr,
)

from sycee.clearing import certificate
from sycee.clearing.certificate import Certificate
from sycee.clearing.journal_verification import verify
from sycee.clearing.set_rows import note_in, settle_id, stored_records
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.canonical_json import canonical
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.records import operations
from sycee.core.records.layout import Reason
from sycee.core.result_codes import Result
from sycee.database.transactions import reading

pytest.importorskip("highspy")
NUMBERS = count(1_000, 10)
CHECKER = Path(__file__).parents[2] / "tools" / "clearing_checker.py"


class Forged(NamedTuple):
    """A booking that differs from its set: the change of its records, and of the note of its SETTLE."""

    error: str
    change: str
    note: int = 0


FORGED = {
    "another note": Forged("names another certificate", "", note=1),
    "a payment left out": Forged("other payments|for 2 chosen legs", "left out"),
    "a payment added": Forged("did not choose", "added"),
    "another amount": Forged("other payments|another payment", "amount"),
    "another receiver": Forged("other payments|another payment", "receiver"),
    "another UETR": Forged("other payments|another payment", "uetr"),
    "another order": Forged("other payments|another payment", "order"),
}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A bank with one good set of two payments, one of them in two currencies, and one single booking."""
    with place(tmp_path_factory.mktemp("journal")) as made:
        agree(made.bank, made.bank.clearing.register.issue(EAST_BANK, "HKD", 500, maker=made.maker))
        made.send(NORTH_BANK, Sent(1, SOUTH_BANK, 5), Sent(2, EAST_BANK, 7, back=(HKD, 300)))
        made.send(EAST_BANK, Sent(2, NORTH_BANK, 300, currency=HKD, back=(CNY, 7)))
        assert made.settle(seconds=0.05).payments == 2
        made.send(NORTH_BANK, Sent(3, SOUTH_BANK, 1))
        assert made.release() == (1, 1, 0)
        yield made


def folder(town: Place) -> Path:
    return town.bank.folder.path


def headers(town: Place) -> list[Path]:
    """The headers of all sets, in the order of their batches."""
    paths = (folder(town) / "clearing").glob("*.json")
    return sorted(paths, key=lambda path: json.loads(path.read_bytes())["batch"])


def checked(town: Place, *names: Path) -> subprocess.CompletedProcess[str]:
    """Run the plain checker, isolated from our packages."""
    return subprocess.run(
        [sys.executable, "-I", str(CHECKER), *map(str, names), "--journal", str(folder(town))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def ours(town: Place, *names: Path) -> int:
    return verify(folder(town), [certificate.read(each, each.with_suffix(".rows")) for each in names])


def refused(town: Place, error: str, *names: Path) -> None:
    with pytest.raises(IntegrityError, match=error):
        ours(town, *names)
    answer = checked(town, *names)
    assert answer.returncode == 3, answer.stdout + answer.stderr
    assert "\ndoes not hold: " in answer.stdout


def staged_of(town: Place, id: int) -> Array:
    with reading(town.bank.stores.engine) as connection:
        found = town.bank.clearing.sets.get(id)
        return stored_records(connection, found, town.bank.clearing.register.positions("open"))


def book(town: Place, id: int, staged: Array, note: int) -> None:
    """Book records in the batch of a stored set, as a house that forges would."""
    sets = town.bank.clearing.sets
    found = sets.get(id)
    assert town.submitted(staged, HOUSE) == Result.CREATED
    settle = operations.settle(
        settle_id(found), batch=int(staged["number"][0]), payments=staged.size, total=int(staged["amount"].sum()),
        operator=town.bank.clearing.register.house().operator,
    )  # fmt: skip
    settle["note_low"], settle["note_high"] = ids.split(note)
    assert town.submitted(settle, HOUSE) == Result.CREATED


def changed(staged: Array, change: str) -> Array:
    """Return the records of a set of North's payments to South and East, with one change."""
    made = staged.copy()
    if change == "left out":
        return made[:1]
    if change == "added":
        more = made[:1].copy()
        more["id_low"] += np.uint64(10**6)
        more["note_low"] += np.uint64(10**6)
        return np.concatenate([made, more])
    if change == "amount":
        made["amount"][1] += 1
    elif change == "receiver":
        for half in ("credit_low", "credit_high"):
            made[half][0] = made[half][1]
    elif change == "uetr":
        made["note_low"][0] += np.uint64(10**6)
    elif change == "order":
        made = made[::-1].copy()
    return made


def test_what_was_booked_agrees_with_its_certificate(town: Place) -> None:
    [name] = headers(town)[:1]
    assert ours(town, name) >= 0
    answer = checked(town, name)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "booked: the journal has these sets, and no UETR twice" in answer.stdout


@pytest.mark.parametrize("name", FORGED)
def test_every_forged_booking_is_found_twice(name: str, town: Place) -> None:
    forged, sets = FORGED[name], town.bank.clearing.sets
    first = 100 + 10 * list(FORGED).index(name)
    town.send(NORTH_BANK, Sent(first, SOUTH_BANK, 2), Sent(first + 1, EAST_BANK, 3))
    id = sets.decide(shortly, who=town.signing["who"])
    with reading(town.bank.stores.engine) as connection:
        note = note_in(connection, id)
    header, _ = sets.export(id)
    refused(town, "settled no batch", header)
    book(town, id, changed(staged_of(town, id), forged.change), note + forged.note)
    refused(town, forged.error, header)


def forge_node(number: int, **members: Any) -> Callable[..., Certificate]:
    """Return `certificate.issue` of a house that writes other members of a node, and the limit that follows."""
    honest = certificate.issue

    def issue(*arguments: Any) -> Certificate:
        made = honest(*arguments)
        header = json.loads(made.header)
        node = next(each for each in header["nodes"] if (each["name"], each["currency"]) == (CODES[number], "CNY"))
        before = node["limit"]
        node |= {name: change(node[name]) for name, change in members.items()}
        node["limit"] = certificate.limit_of(node)
        assert node["price"] == 0
        assert node["limit"] != before
        forged = Certificate(canonical(header), made.rows)
        assert certificate.check(forged) == header  # consistent in itself
        return forged

    return issue


@pytest.mark.parametrize(
    ("number", "members", "error"),
    [
        (NORTH_BANK, {"floor": lambda floor: floor - 10_00}, r"floor of 1000 after frame|floor was 1000"),
        (NORTH_BANK, {"position": lambda minor: minor + 1}, r"not"),
        (SOUTH_BANK, {"credit": lambda credit: credit + 500}, r"on its line 0 after|credit was 0"),
        (SOUTH_BANK, {"line": lambda _: f"{1:032x}", "credit": lambda _: 1}, r"on its line 0 after|credit was 0"),
        (EAST_BANK, {"blocked": lambda blocked: not blocked}, r"blocked debits: True"),
    ],
)  # fmt: skip
def test_every_forged_limit_is_found_twice(
    shifted: Place, number: int, members: Any, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate is consistent in itself, and the set is booked under it: the ledger shows what is wrong."""
    town, first = shifted, next(NUMBERS)
    town.send(NORTH_BANK, Sent(first, SOUTH_BANK, 2), Sent(first + 1, EAST_BANK, 3))
    with monkeypatch.context() as forging:
        forging.setattr(certificate, "issue", forge_node(number, **members))
        done = town.settle(seconds=0.05)
    assert (done.payments, done.reason) == (2, "")
    header, _ = town.bank.clearing.sets.export(done.set_id)
    refused(town, error, header)


@pytest.fixture(scope="module")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A bank in which North has a floor and East is blocked, with a good set."""
    with place(tmp_path_factory.mktemp("limits")) as made:
        soon = made.bank.stores.clock.now_ns() + 10**9
        floor = {"floor_minor": 10_00, "most_minor": 0, "effective_ns": soon}
        agree(made.bank, made.bank.clearing.register.change_floor(NORTH_BANK, "CNY", maker=made.maker, **floor))
        made.bank.set_clock(soon)
        assert made.bank.clearing.positions.block(EAST_BANK, reason=Reason.OPERATOR, **made.signing).created
        made.send(NORTH_BANK, Sent(next(NUMBERS), SOUTH_BANK, 5))
        good = made.settle(seconds=0.05)
        header, _ = made.bank.clearing.sets.export(good.set_id)
        assert ours(made, header) == 0
        answer = checked(made, header)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        north, _, south, *_ = json.loads(header.read_bytes())["nodes"]
        assert (north["floor"], north["limit"], north["position"]) == (10_00, 90_00, 100_00)
        assert (south["floor"], south["blocked"]) == (0, False)
        yield made


def test_a_set_is_of_its_ledger_and_its_positions(town: Place, tmp_path: Path) -> None:
    [name] = headers(town)[:1]
    refused(town, "two certificates are of batch", name, name)
    with pytest.raises(UsageError, match="ledger"):
        verify(tmp_path, [])
    empty = subprocess.run(
        [sys.executable, "-I", str(CHECKER), str(name), "--journal", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (empty.returncode, "contains no journal" in empty.stderr) == (2, True)


def test_draws_and_repayments_follow_the_chosen_payments(tmp_path: Path) -> None:
    with place(tmp_path) as town:
        bank, register = town.bank, town.bank.clearing.register
        agree(bank, bank.issuance.credit_reserves(EAST_BANK, 70_00, maker=town.maker))
        agree(bank, register.pledge(EAST_BANK, 70_00, maker=town.maker), EAST)
        own = town.funds(EAST_BANK).minor
        town.send(EAST_BANK, Sent(60, NORTH_BANK, own + 60_00))
        assert town.settle(seconds=0.05).payments == 1
        town.send(NORTH_BANK, Sent(61, EAST_BANK, own + 60_00))
        assert town.settle(seconds=0.05).payments == 1
        assert ours(town, *headers(town)) == 0
        assert ours(town, headers(town)[0]) == 1
        answer = checked(town, *headers(town))
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert answer.stdout.endswith("sets without a certificate here: 0\n")
        # The same payments once more, in a batch that no certificate describes.
        found = bank.clearing.sets.get(ids.parse(headers(town)[0].stem))
        again = staged_of(town, found.id)[:1]
        again["number"], again["amount"] = town.bank.clearing.sets._newest_batch() + 1, 1
        again["id_low"] += np.uint64(10**6)
        assert town.submitted(again, HOUSE) == Result.CREATED
        settle = operations.settle(
            bank.stores.new_id(), batch=int(again["number"][0]), payments=1, total=1,
            operator=register.house().operator,
        )  # fmt: skip
        assert town.submitted(settle, HOUSE) == Result.CREATED
        refused(town, f"the payment {uetr(60)} is settled twice", *headers(town))
