"""Check certificates of settlements with Python's standard library alone: `python clearing_checker.py NAME.json ...`.

Written from docs/reference/certificate.md. It imports nothing of the project, so that it does not share its mistakes.
NAME.rows is read beside NAME.json. With `--proof FILE` it checks one participant's row and needs no rows.
With `--journal FOLDER` it also checks what the ledger in this folder booked. checker.py beside this file recomputes the
journal; it needs blake3 and xxhash.
Exit code 0: all statements hold. 3: one does not. 2: a file is not what it should be.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROW = struct.Struct("<16s16sQQIIIBBH")
UNIT = 1 << 20
PRICE_MAX = (1 << 26) - 1


MEMBERS = {
    "frame": int, "decided_ns": int, "batch": int, "nodes": list, "legs": int, "payments": int, "chosen": int,
    "weight": str, "value": int, "bound": int, "method": str, "seed": int, "effort_ms": int, "claims_best": bool,
    "claimed_bound": int, "repeatable": bool, "ledger": 32, "root": 64,
}  # fmt: skip
NODE = {
    "name": str, "currency": str, "position": int, "limit": int, "net": int, "price": int, "account": 32,
    "blocked": bool, "floor": int, "line": 32, "credit": int, "cap": int,
}  # fmt: skip


class WrongError(Exception):
    """A statement of the certificate does not hold."""


def require(holds: bool, statement: str) -> None:
    """Raise WrongError unless a statement holds."""
    if not holds:
        raise WrongError(statement)


def root_of(rows: bytes) -> str:
    """Return the root of the rows (RFC 6962, section 2.1), in hexadecimal digits."""
    level = [hashlib.sha256(b"\0" + rows[at : at + 64]).digest() for at in range(0, len(rows), 64)]
    if not level:
        return bytes(32).hex()
    while len(level) > 1:
        above = [hashlib.sha256(b"\1" + level[at] + level[at + 1]).digest() for at in range(0, len(level) - 1, 2)]
        level = above + level[len(above) * 2 :]
    return level[0].hex()


def payments_of(rows: bytes) -> Iterator[list[tuple[bytes, bytes, int, int, int, int, int, int, int, int]]]:
    """Yield the legs of each payment, in order."""
    legs: list[tuple[bytes, bytes, int, int, int, int, int, int, int, int]] = []
    expected = 0
    for row in ROW.iter_unpack(rows):
        if legs and row[4] != legs[0][4]:
            yield legs
            legs, expected = [], expected + 1
        require(row[4] == expected, f"payment {row[4]} follows payment {expected - 1}: numbers have a gap")
        legs.append(row)
    if legs:
        yield legs


def check(header: dict, rows: bytes) -> None:
    """Check statements 1 to 6 of the page."""
    nodes = header["nodes"]
    for node in nodes:
        where = f"{node['name']} in {node['currency']}"
        require(min(node["floor"], node["credit"], node["cap"]) >= 0, f"{where} has a floor, credit or cap below zero")
        free = max(0, node["position"] - node["floor"] + node["credit"])
        limit = 0 if node["blocked"] else min(free, node["cap"])
        require(node["limit"] == limit, f"{where} may pay out {limit}, and the header says {node['limit']}")
        require(0 <= node["price"] <= PRICE_MAX, f"the price of {node['name']} is out of range")
    named = [int(node[name], 16) for node in nodes for name in ("account", "line")]
    require(len(set(named) - {0}) == sum(id > 0 for id in named), "two nodes name one account, as a position or a line")
    nets, seen = [0] * len(nodes), set()
    value = gains = chosen = payments = 0
    for legs in payments_of(rows):
        uetr, _, _, weight, number, _, _, _, is_chosen, _ = legs[0]
        payments += 1
        require(uetr not in seen, f"payment {number} has the UETR of another payment")
        seen.add(uetr)
        cost = 0
        for leg in legs:
            _, _, amount, _, _, sender, receiver, _, _, zero = leg
            require(leg[0] == uetr, f"the legs of payment {number} have two UETRs")
            require(leg[3] == weight and weight >= 1, f"the legs of payment {number} have two weights, or none")
            require(leg[8] == is_chosen and is_chosen in (0, 1), f"payment {number} is chosen in part")
            require(zero == 0 and amount >= 1, f"a row of payment {number} has an unknown value")
            require(sender < len(nodes) and receiver < len(nodes), f"payment {number} has an unknown node")
            require(sender != receiver, f"payment {number} pays a node from itself")
            cost += (nodes[sender]["price"] - nodes[receiver]["price"]) * amount
            if is_chosen:
                nets[sender] += amount
                nets[receiver] -= amount
        gains += max(0, weight * UNIT - cost)
        if is_chosen:
            value, chosen = value + weight, chosen + 1
    for node, net in zip(nodes, nets, strict=True):
        where = f"{node['name']} in {node['currency']}"
        require(net == node["net"], f"{where} pays out {net} net, and the header says {node['net']}")
        require(net <= node["limit"], f"{where} pays out {net} net, above its limit of {node['limit']}")
    bound = (gains + sum(node["price"] * node["limit"] for node in nodes)) // UNIT
    require(header["legs"] == len(rows) // 64, "the number of legs is another one")
    require(header["payments"] == payments, "the number of payments is another one")
    require(header["chosen"] == chosen, "the number of chosen payments is another one")
    require(header["value"] == value, f"the value is {value}, and the header says {header['value']}")
    require(header["bound"] == bound, f"the bound is {bound}, and the header says {header['bound']}")
    require(value <= header["claimed_bound"] <= bound, "the value and the bounds are out of order")
    require(header["root"] == root_of(rows), "the rows have another root")


class Booking(NamedTuple):
    """One payment that the ledger made between two accounts: in a settled batch, or alone (batch 0)."""

    frame: int
    batch: int
    note: int
    debit: int
    credit: int
    amount: int
    currency: int


class Books(NamedTuple):
    """Payments of a journal in order, note and frame of each SETTLE by batch, and accounts by frame and id.

    An account is its money, the floor of its rule set, and whether its debits are blocked.
    """

    ledger: str
    payments: list[Booking]
    settled: dict[int, tuple[int, int]]
    held: dict[tuple[int, int], tuple[int, int, bool]]


def ledger_checker() -> ModuleType:
    """Return checker.py, which is beside this file."""
    spec = importlib.util.spec_from_file_location("checker", Path(__file__).with_name("checker.py"))
    if spec is None or spec.loader is None:
        raise ValueError("checker.py is missing beside this file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_books(folder: Path, frames: set[int]) -> Books:
    """Recompute a journal, and return what it booked, with all accounts after these frames."""
    checker = ledger_checker()
    ledger, staged, held = checker.Ledger(), {}, {}
    payments: list[Booking] = []
    settled: dict[int, tuple[int, int]] = {}
    try:
        for sequence, claimed, now, calendar, records in checker.frames(folder):
            require(claimed == ledger.movement_digest, f"frame {sequence} or an earlier one of the journal is wrong")
            ledger.frame(sequence, now, calendar, records)
            for id in dict.fromkeys(int.from_bytes(raw[:16], "little") for raw in records):
                made = ledger.bound.get(id)
                if made is None or made.bound_ns != now or made.result:
                    continue  # refused, or made by an earlier frame
                if made.name in ("stage", "transfer"):
                    batch = made.number if made.name == "stage" else 0
                    currency = ledger.accounts[made.debit].currency
                    row = Booking(sequence, batch, made.note, made.debit, made.credit, made.amount, currency)
                    (staged.setdefault(batch, []) if batch else payments).append(row)
                elif made.name == "settle":
                    rows = staged.pop(made.number, [])
                    if not made.flags:
                        settled[made.number] = made.note, sequence
                        payments += rows
            if sequence in frames:
                for id, account in ledger.accounts.items():
                    is_blocked = bool(account.closed or account.debit_reasons)
                    held[sequence, id] = account.spare, ledger.rules(account).refund_reserve, is_blocked
    except checker.NoJournal as error:
        raise ValueError(error) from None
    except checker.Wrong as error:
        raise WrongError(error) from None
    first = min(folder.glob("journal/*.segment")).read_bytes()[16:32]
    return Books(first.hex(), payments, settled, held)


def check_books(books: Books, certificates: list[tuple[dict, bytes, bytes]]) -> int:
    """Check statements 7 to 10 of the page for header, digest and rows of each certificate.

    Return the number of settled batches between positions of these certificates that none of them describes.
    """
    positions: set[int] = set()
    described: set[int] = set()
    for header, digest, rows in certificates:
        accounts = [int(node["account"], 16) for node in header["nodes"]]
        positions |= set(accounts) - {0}
        batch, frame = header["batch"], header["frame"]
        require(batch not in described, f"two certificates are of batch {batch}")
        described.add(batch)
        require(header["ledger"] == books.ledger, f"the certificate of batch {batch} is of another ledger")
        require(batch in books.settled, f"the ledger settled no batch {batch}")
        note, settled = books.settled[batch]
        require(note.to_bytes(16, "little") == digest[:16], f"the SETTLE of batch {batch} names another certificate")
        require(frame < settled, f"batch {batch} was settled in frame {settled}, not after frame {frame}")
        for node in header["nodes"]:
            check_limit(books, frame, node)
        check_staged(batch, [each for each in books.payments if each.batch == batch], rows, header["nodes"])
    between = [each for each in books.payments if {each.debit, each.credit} <= positions]
    seen: set[tuple[int, int]] = set()
    for each in between:
        leg = each.note, each.currency
        require(leg not in seen, f"UETR {each.note.to_bytes(16, 'big').hex()} is settled twice")
        seen.add(leg)
    return len({each.batch for each in between} - described - {0})


def check_limit(books: Books, frame: int, node: dict) -> None:
    """Check statement 7 of the page for a node: what its limit follows from is what the ledger had after a frame."""
    account, line = int(node["account"], 16), int(node["line"], 16)
    if not account:
        return
    minor, floor, is_blocked = books.held.get((frame, account), (0, 0, False))
    left, _, is_closed = books.held.get((frame, line), (0, 0, False))
    for name, had in (
        ("position", minor), ("floor", floor), ("credit", 0 if is_closed else left), ("blocked", is_blocked),
    ):  # fmt: skip
        require(had == node[name], f"{node['name']}: {name} was {had} after frame {frame}, not {node[name]}")


def check_staged(batch: int, staged: list[Booking], rows: bytes, nodes: list[dict]) -> None:
    """Check that a batch contains the chosen legs in order, and then draws on lines and repayments alone."""
    accounts = [int(node["account"], 16) for node in nodes]
    pairs = {
        frozenset({account, int(node["line"], 16)}): account for account, node in zip(accounts, nodes, strict=True)
    }
    chosen = [row for row in ROW.iter_unpack(rows) if row[8] and accounts[row[5]]]
    require(len(staged) >= len(chosen), f"batch {batch} has {len(staged)} payments for {len(chosen)} chosen legs")
    for row, made in zip(chosen, staged, strict=False):
        uetr, _, amount, _, _, sender, receiver, _, _, _ = row
        expected = int.from_bytes(uetr, "big"), accounts[sender], accounts[receiver], amount
        found = made.note, made.debit, made.credit, made.amount
        require(expected == found, f"batch {batch} has another payment in place of {uetr.hex()}")
    lines = set()
    for made in staged[len(chosen) :]:
        own = pairs.get(frozenset({made.debit, made.credit}), 0)
        require(not made.note and own > 0, f"batch {batch} has a payment that the certificate did not choose")
        require(own not in lines, f"batch {batch} has two draws or repayments of one position")
        lines.add(own)


def check_proof(header: dict, proof: dict) -> str:
    """Check that a row is among those that the certificate weighed; return what it says."""
    row = bytes.fromhex(proof["row"])
    digest = hashlib.sha256(b"\0" + row).digest()
    for side, neighbour in proof["path"]:
        other = bytes.fromhex(neighbour)
        digest = hashlib.sha256(b"\1" + (other + digest if side == "left" else digest + other)).digest()
    require(digest.hex() == header["root"], "the row is not in the queue of this certificate")
    uetr, _, amount, _, _, sender, receiver, _, is_chosen, _ = ROW.unpack(row)
    names = header["nodes"][sender]["name"], header["nodes"][receiver]["name"]
    return f"{uetr.hex()}: {amount} from {names[0]} to {names[1]}, {'chosen' if is_chosen else 'not chosen'}"


def require_form(of: dict, name: str, form: type | int) -> None:
    """Raise ValueError unless a member has its type; a number stands for so many hexadecimal digits."""
    value = of[name]
    if isinstance(form, int):
        good = type(value) is str and len(value) == form and set(value) <= set("0123456789abcdef")
    else:
        good = type(value) is form
    if not good:
        raise ValueError(f"{name} is {value!r}")


def read_header(path: Path) -> tuple[dict, bytes]:
    """Return a header and its digest."""
    text = path.read_bytes()
    header = json.loads(text)
    if not isinstance(header, dict) or header.get("format") != "sycee-clearing-certificate/2":
        raise ValueError(f"{path} is no header of a certificate")
    for of, forms in ((header, MEMBERS), *((node, NODE) for node in header["nodes"])):
        for name, form in forms.items():
            require_form(of, name, form)
    canonical = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    require(canonical == text, "the header is no canonical JSON")
    return header, hashlib.sha256(text).digest()


def checked(path: Path) -> tuple[dict, bytes, bytes]:
    """Check a certificate, and return its header, digest and rows."""
    header, digest = read_header(path)
    rows = path.with_suffix(".rows").read_bytes()
    if len(rows) % ROW.size:
        raise ValueError("the size of the rows is no multiple of 64")
    check(header, rows)
    share = 10_000 * header["value"] // max(1, header["bound"])
    print(
        f"holds: {header['chosen']} of {header['payments']} payments, value {header['value']}, "
        f"{share // 100}.{share % 100:02} % of the bound; digest {digest.hex()}"
    )
    return header, digest, rows


def main() -> int:
    """Check the files that the command line names."""
    parser = argparse.ArgumentParser(description="Check certificates of settlements.")
    parser.add_argument("headers", type=Path, nargs="+", metavar="header", help="NAME.json")
    parser.add_argument("--proof", type=Path, help="a participant's row and path, instead of NAME.rows")
    parser.add_argument("--journal", type=Path, help="folder of the ledger: check that it booked these sets, once")
    asked = parser.parse_args()
    try:
        if asked.proof:
            print(check_proof(read_header(asked.headers[0])[0], json.loads(asked.proof.read_bytes())))
            return 0
        certificates = [checked(path) for path in asked.headers]
        if asked.journal:
            books = read_books(asked.journal, {header["frame"] for header, _, _ in certificates})
            others = check_books(books, certificates)
            print(f"booked: the journal has these sets, and no UETR twice; sets without a certificate here: {others}")
    except WrongError as error:
        print(f"does not hold: {error}")
        return 3
    except (OSError, ValueError, KeyError, TypeError, struct.error, RecursionError) as error:
        print(f"cannot be checked: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
