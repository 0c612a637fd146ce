"""Certificates against a journal alone: what Sycee and the independent checker accept, and every forged booking."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from tests.clearing.test_sets import shortly
from tests.clearing.world import (
    CNY,
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
from sycee.clearing.journal_verification import verify
from sycee.clearing.set_rows import note_in, settle_id, stored_records
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.database.transactions import reading

pytest.importorskip("highspy")
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
