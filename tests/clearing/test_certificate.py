"""Certificates of settlements: what is written holds, and every forged statement is found by both checkers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sycee.clearing import certificate
from sycee.clearing.certificate import Certificate, Decision, Node
from sycee.core import merkle
from sycee.core.canonical_json import canonical
from sycee.core.errors import IntegrityError, SyceeError, UsageError
from sycee.netting.optimise import optimise
from sycee.netting.queue import Queue

CHECKER = Path(__file__).parents[2] / "tools" / "clearing_checker.py"
BY = Decision(
    ledger=bytes(range(16)), frame=7, decided_ns=1_800_000_000, batch=3, seed=5, effort_ms=20, weight="fen of CNY"
)
Forge = Callable[[dict[str, Any], np.ndarray], None]


def made(count: int = 40) -> Certificate:
    """Return a certificate of payments between four banks in two currencies; one is payment against payment."""
    rng = np.random.default_rng(11)
    senders = rng.integers(0, 4, count)
    receivers = (senders + rng.integers(1, 4, count)) % 4
    amounts = rng.integers(1, 1000, count)
    legs = np.arange(count)
    senders, receivers = np.append(senders, 4), np.append(receivers, 5)
    amounts, legs = np.append(amounts, 700), np.append(legs, count - 1)
    queue = Queue(senders, receivers, amounts, np.array([300, 0, 200, 100, 700, 0]), legs)
    nodes = [
        Node("bank-0", "CNY", 100, 290, floor=40, line=200, credit=50), Node("bank-1", "CNY", 101, 300, floor=400),
        Node("bank-2", "CNY", 102, 300, cap=200), Node("bank-3", "CNY", 103, 100),
    ]  # fmt: skip
    nodes += [Node("bank-0", "HKD", 104, 700), Node("bank-1", "HKD", 105, 0)]
    random = np.frombuffer(rng.bytes(16 * (2 * count + 1)), "V16")
    outcome = optimise(queue, seconds=0.01, seed=5)
    assert 0 < outcome.chosen.sum() < count
    return certificate.issue(queue, outcome, nodes, random[:count], random[count:], BY)


def checked(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the plain checker, isolated from our packages."""
    return subprocess.run(
        [sys.executable, "-I", str(CHECKER), *arguments], capture_output=True, text=True, check=False, cwd=folder
    )


def test_a_certificate_is_written_read_and_checked_without_us(tmp_path: Path) -> None:
    issued = made()
    header, rows = issued.write(tmp_path, "noon")
    read = certificate.read(header, rows)
    assert (read.digest, read.note) == (issued.digest, int.from_bytes(issued.digest[:16], "little"))
    answer = checked(tmp_path, "noon.json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout.startswith("holds: ")
    assert issued.digest.hex() in answer.stdout
    # A participant finds its own payment, and sees no other.
    row, path = issued.proof(40)
    assert merkle.proven_root(row, path).hex() == json.loads(issued.header)["root"]
    proof = {"row": row.hex(), "path": [[side, neighbour.hex()] for side, neighbour in path]}
    (tmp_path / "proof.json").write_text(json.dumps(proof))
    rows.unlink()
    answer = checked(tmp_path, "noon.json", "--proof", "proof.json")
    assert (answer.returncode, "700 from bank-0 to bank-1" in answer.stdout) == (0, True)
    proof["row"] = proof["row"].replace("00", "01", 1)
    (tmp_path / "proof.json").write_text(json.dumps(proof))
    assert checked(tmp_path, "noon.json", "--proof", "proof.json").returncode == 3


def _set(key: str, value: Any) -> Forge:
    return lambda header, rows: header.__setitem__(key, value)


def _add(key: str, change: int) -> Forge:
    return lambda header, rows: header.__setitem__(key, header[key] + change)


def _node(key: str, change: int, at: int = 0) -> Forge:
    return lambda header, rows: header["nodes"][at].__setitem__(key, header["nodes"][at][key] + change)


def _row(field: str, change: Callable[[np.ndarray], Any]) -> Forge:
    return lambda header, rows: rows.__setitem__(field, change(rows[field].copy()))


def _first(value: Any) -> Callable[[np.ndarray], np.ndarray]:
    def change(column: np.ndarray) -> np.ndarray:
        column[0] = value if not callable(value) else value(column)
        return column

    return change


FORGED: dict[str, Forge] = {
    "value": _add("value", 1),
    "bound": _add("bound", -1),
    "claimed bound below the value": lambda header, rows: header.__setitem__("claimed_bound", header["value"] - 1),
    "claimed bound above the bound": lambda header, rows: header.__setitem__("claimed_bound", header["bound"] + 1),
    "chosen": _add("chosen", 1),
    "payments": _add("payments", 1),
    "legs": _add("legs", 1),
    "root": _set("root", "00" * 32),
    "net": _node("net", 1),
    "limit below what is paid": _node("limit", -300),
    "a limit that changes the bound": _node("limit", 10**6),
    "a position, and its limit as before": _node("position", 1),
    "a floor that is ignored": _node("floor", 1),
    "a line that is not counted": _node("credit", 1),
    "a cap that is ignored": _node("cap", -1, 2),
    "a blocked node with a limit": lambda header, rows: header["nodes"][0].__setitem__("blocked", True),
    "one line for two nodes": lambda header, rows: header["nodes"][1].__setitem__("line", header["nodes"][0]["line"]),
    "a floor below zero": lambda header, rows: header["nodes"][0].update(floor=-10, limit=350),
    "credit below zero": lambda header, rows: header["nodes"][1].update(floor=200, credit=-100),
    "price": _node("price", 1 << 20),
    "price below zero": _node("price", -(1 << 27)),
    "amount": _row("amount", _first(1001)),
    "sender": _row("sender", lambda column: (column + 1) % 4),
    "weight": _row("weight", _first(1001)),
    "a payment left out": _row("chosen", lambda column: column * 0),
    "all payments chosen": _row("chosen", lambda column: column * 0 + 1),
    "one leg of two": _row("chosen", lambda column: np.append(column[:-1], 1 - column[-1])),
    "two payments with one UETR": _row("uetr", _first(lambda column: column[1])),
    "two UETRs in one payment": _row("uetr", lambda column: np.append(column[:-1], column[:1])),
    "salt": _row("salt", _first(lambda column: column[1])),
    "priority": _row("priority", _first(9)),
    "gap": _row("payment", lambda column: column + (column > 3)),
    "unknown value": _row("zero", _first(1)),
}


@pytest.mark.parametrize("name", FORGED)
def test_every_forged_statement_is_found_twice(name: str, tmp_path: Path) -> None:
    issued = made()
    header, rows = json.loads(issued.header), issued.rows.copy()
    FORGED[name](header, rows)
    forged = Certificate(canonical(header), rows)
    assert (forged.header, forged.rows.tobytes()) != (issued.header, issued.rows.tobytes())
    with pytest.raises(SyceeError):
        certificate.check(forged)
    forged.write(tmp_path, "forged")
    answer = checked(tmp_path, "forged.json")
    assert answer.returncode == 3, answer.stdout + answer.stderr
    assert answer.stdout.startswith("does not hold: ")


@pytest.mark.parametrize(
    ("header", "rows"),
    [(b"", b""), (b"[]", b""), (b"{}", b""), (b'{"format":"sycee-clearing-certificate/2"}', b""), (None, b"\0" * 63)],
)
def test_a_file_that_is_no_certificate_is_refused(header: bytes | None, rows: bytes, tmp_path: Path) -> None:
    paths = tmp_path / "x.json", tmp_path / "x.rows"
    paths[0].write_bytes(made().header if header is None else header)
    paths[1].write_bytes(rows)
    with pytest.raises(UsageError, match=r"no header of a certificate|no certificate|no file of rows"):
        certificate.read(*paths)
    assert checked(tmp_path, "x.json").returncode == 2
    assert checked(tmp_path, "missing.json").returncode == 2


@pytest.mark.parametrize("member", ["frame", "batch", "ledger", "claims_best", "method", "root", "nodes"])
def test_a_header_without_a_member_is_refused_twice(member: str, tmp_path: Path) -> None:
    header = json.loads(made().header)
    del header[member]
    refused_twice(header, tmp_path)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("batch", "3"), ("frame", True), ("chosen", True), ("claims_best", 1), ("decided_ns", None), ("method", 1),
        ("nodes", {}), ("ledger", "zz" * 16), ("root", "AB" * 32), ("effort_ms", [1]),
    ],
)  # fmt: skip
def test_a_member_of_another_form_is_refused_twice(member: str, value: Any, tmp_path: Path) -> None:
    refused_twice(json.loads(made().header) | {member: value}, tmp_path)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("limit", "300"), ("limit", True), ("price", False), ("net", "5"), ("position", None), ("account", "zz"),
        ("account", "-1"), ("account", 100), ("name", 5), ("currency", None),
        ("floor", "40"), ("credit", True), ("cap", None), ("blocked", 0), ("line", 200),
    ],
)  # fmt: skip
def test_a_member_of_a_node_of_another_form_is_refused_twice(member: str, value: Any, tmp_path: Path) -> None:
    header = json.loads(made().header)
    header["nodes"][1][member] = value
    refused_twice(header, tmp_path)
    del header["nodes"][1][member]
    refused_twice(header, tmp_path)


def refused_twice(header: dict[str, Any], folder: Path) -> None:
    forged = Certificate(canonical(header), made().rows)
    with pytest.raises(UsageError, match="no certificate of a settlement"):
        certificate.check(forged)
    forged.write(folder, "forged")
    assert checked(folder, "forged.json").returncode == 2


def test_a_set_above_a_limit_gets_no_certificate() -> None:
    queue = Queue(np.array([0]), np.array([1]), np.array([10]), np.array([10, 0]))
    outcome = optimise(queue, seconds=0.01)
    tight = Queue(np.array([0]), np.array([1]), np.array([10]), np.array([9, 0]))
    nodes = [Node("a", "CNY", 1, 9), Node("b", "CNY", 2, 0)]
    random = np.frombuffer(bytes(range(32)), "V16")
    with pytest.raises(IntegrityError, match="more than its limit"):
        certificate.issue(tight, outcome, nodes, random[:1], random[1:], BY)
    empty = np.empty(0, np.int64)
    nothing = Queue(empty, empty, empty, np.array([9, 0]))
    issued = certificate.issue(nothing, optimise(nothing), nodes, random[:0], random[:0], BY)
    assert certificate.check(issued)["root"] == "00" * 32
