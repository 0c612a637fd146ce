"""Check the certificate of a settlement with Python's standard library alone: `python clearing_checker.py NAME.json`.

Written from docs/reference/certificate.md. It imports nothing of the project, so that it does not share its mistakes.
NAME.rows is read beside NAME.json. With `--proof FILE` it checks one participant's row and needs no rows.
Exit code 0: all statements hold. 3: one does not. 2: a file is not what it should be.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

ROW = struct.Struct("<16s16sQQIIIBBH")
UNIT = 1 << 20
PRICE_MAX = (1 << 26) - 1


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
        require(node["limit"] >= 0, f"the limit of {node['name']} in {node['currency']} is below zero")
        require(0 <= node["price"] <= PRICE_MAX, f"the price of {node['name']} is out of range")
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


def main() -> int:
    """Check the files that the command line names."""
    parser = argparse.ArgumentParser(description="Check the certificate of a settlement.")
    parser.add_argument("header", type=Path, help="NAME.json")
    parser.add_argument("--proof", type=Path, help="a participant's row and path, instead of NAME.rows")
    asked = parser.parse_args()
    try:
        text = asked.header.read_bytes()
        header = json.loads(text)
        if not isinstance(header, dict) or header.get("format") != "sycee-clearing-certificate/1":
            raise ValueError("this is no header of a certificate")
        canonical = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
        require(canonical == text, "the header is no canonical JSON")
        if asked.proof:
            print(check_proof(header, json.loads(asked.proof.read_bytes())))
        else:
            rows = asked.header.with_suffix(".rows").read_bytes()
            if len(rows) % ROW.size:
                raise ValueError("the size of the rows is no multiple of 64")
            check(header, rows)
            share = 10_000 * header["value"] // max(1, header["bound"])
            print(
                f"holds: {header['chosen']} of {header['payments']} payments, value {header['value']}, "
                f"{share // 100}.{share % 100:02} % of the bound; digest {hashlib.sha256(text).hexdigest()}"
            )
    except WrongError as error:
        print(f"does not hold: {error}")
        return 3
    except (OSError, ValueError, KeyError, TypeError, struct.error, RecursionError) as error:
        print(f"cannot be checked: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
