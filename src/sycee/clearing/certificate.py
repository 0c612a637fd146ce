"""The certificate of a settlement: what was weighed, what was chosen, and how near the best it is.

The format is in docs/reference/certificate.md. `tools/clearing_checker.py` checks it without this package.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sycee.core import merkle
from sycee.core.canonical_json import canonical
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.limits import I64_MAX
from sycee.netting import relaxation
from sycee.netting.optimise import NettingResult
from sycee.netting.queue import Queue

FORMAT: Final = "sycee-clearing-certificate/2"
_FILES: Final = "name SET.json as `sycee clearing certificate` writes it, with SET.rows of the same set beside it"
NOTE_BYTES: Final = 16  # of the digest, in the note of SETTLE
ROW: Final = np.dtype(
    [
        ("uetr", "V16"),
        ("salt", "V16"),
        ("amount", "<u8"),
        ("weight", "<u8"),
        ("payment", "<u4"),
        ("sender", "<u4"),
        ("receiver", "<u4"),
        ("priority", "u1"),
        ("chosen", "u1"),
        ("zero", "<u2"),
    ]
)
Rows = NDArray[np.void]
_ID: Final = re.compile("[0-9a-f]{32}")
_ROOT: Final = re.compile("[0-9a-f]{64}")
_MEMBERS: Final[dict[str, type | re.Pattern[str]]] = {
    "format": str, "ledger": _ID, "frame": int, "decided_ns": int, "batch": int, "nodes": list, "legs": int,
    "payments": int, "chosen": int, "root": _ROOT, "weight": str, "value": int, "bound": int, "method": str,
    "seed": int, "effort_ms": int, "claims_best": bool, "claimed_bound": int, "repeatable": bool,
}  # fmt: skip
_NODE: Final[dict[str, type | re.Pattern[str]]] = {
    "name": str, "currency": str, "account": _ID, "position": int, "blocked": bool, "floor": int, "line": _ID,
    "credit": int, "cap": int, "limit": int, "net": int, "price": int,
}  # fmt: skip


@dataclass(frozen=True)
class Node:
    """A participant in one currency: its account, and what the account held after the certificate's frame.

    - `floor`: what always stays. `line`: its line's account; `credit`: what was left on it and could be drawn.
    - `blocked`: whether debits were blocked. `cap`: what its own limit lets it pay out; I64_MAX without one.
    """

    name: str
    currency: str
    account: int
    position: int
    floor: int = 0
    line: int = 0
    credit: int = 0
    blocked: bool = False
    cap: int = I64_MAX

    @property
    def limit(self) -> int:
        """Return what it may pay out net."""
        return limit_of({name: getattr(self, name) for name in ("position", "floor", "credit", "blocked", "cap")})


@dataclass(frozen=True)
class Decision:
    """When and how a set was decided."""

    ledger: bytes  # 16 bytes
    frame: int
    decided_ns: int
    batch: int
    seed: int
    effort_ms: int
    weight: str  # the unit of weights


@dataclass(frozen=True)
class Certificate:
    """The header's canonical bytes, and the rows [legs] of `ROW`."""

    header: bytes
    rows: Rows

    @property
    def digest(self) -> bytes:
        """Return the SHA-256 of the header, 32 bytes."""
        return hashlib.sha256(self.header).digest()

    @property
    def note(self) -> int:
        """Return the note of the SETTLE that books the set."""
        return int.from_bytes(self.digest[:NOTE_BYTES], "little")

    def proof(self, leg: int) -> tuple[bytes, merkle.Proof]:
        """Return a row and its path to the root, for the participant whose payment it is."""
        tree = merkle.levels(_bytes(self.rows))
        return self.rows[leg].tobytes(), merkle.proof(tree, leg)

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write NAME.json and NAME.rows, and return their paths."""
        header, rows = folder / f"{name}.json", folder / f"{name}.rows"
        rows.write_bytes(self.rows.tobytes())
        header.write_bytes(self.header)
        return header, rows


def issue(
    queue: Queue,
    outcome: NettingResult,
    nodes: list[Node],
    uetrs: NDArray[np.void],
    salts: NDArray[np.void],
    by: Decision,
) -> Certificate:
    """Return the certificate of a set.

    Parameters
    ----------
    queue, outcome
        What was weighed, and what was chosen.
    nodes
        One for each node of the queue, in order.
    uetrs
        Of each payment: V16 [payments], no two equal.
    salts
        Random bytes for each leg: V16 [legs].
    by
        The decision.

    Raises
    ------
    IntegrityError
        If the set exceeds a limit, a limit does not follow from its node, or the bound is below the value of the set:
        nothing may be booked.

    """
    if queue.limits.tolist() != [node.limit for node in nodes]:
        raise IntegrityError("a limit does not follow from position, floor, line and the participant's own limit")
    queue.require_feasible(outcome.chosen)
    rows = np.zeros(len(queue.amounts), ROW)
    rows["uetr"], rows["salt"] = uetrs[queue.payments], salts
    rows["amount"], rows["weight"] = queue.amounts, queue.weights[queue.payments]
    rows["payment"], rows["sender"], rows["receiver"] = queue.payments, queue.senders, queue.receivers
    rows["priority"], rows["chosen"] = queue.priorities[queue.payments], outcome.chosen[queue.payments]
    if outcome.value != queue.value(outcome.chosen) or outcome.value > outcome.bound:
        raise IntegrityError("a set has another value than its outcome says, or one above its bound")
    nets = queue.outflows(outcome.chosen)
    header = {
        "format": FORMAT,
        "ledger": by.ledger.hex(),
        "frame": by.frame,
        "decided_ns": by.decided_ns,
        "batch": by.batch,
        "nodes": [
            {
                "name": node.name,
                "currency": node.currency,
                "account": f"{node.account:032x}",
                "position": node.position,
                "blocked": node.blocked,
                "floor": node.floor,
                "line": f"{node.line:032x}",
                "credit": node.credit,
                "cap": node.cap,
                "limit": int(queue.limits[at]),
                "net": int(nets[at]),
                "price": int(outcome.prices[at]),
            }
            for at, node in enumerate(nodes)
        ],
        "legs": len(rows),
        "payments": queue.count,
        "chosen": int(outcome.chosen.sum()),
        "root": (merkle.root(_bytes(rows)) if len(rows) else bytes(32)).hex(),
        "weight": by.weight,
        "value": outcome.value,
        "bound": outcome.bound,
        "method": outcome.method,
        "seed": by.seed,
        "effort_ms": by.effort_ms,
        "claims_best": outcome.is_best,
        "claimed_bound": outcome.bound if outcome.claim is None else outcome.claim,
        "repeatable": outcome.is_repeatable,
    }
    return Certificate(canonical(header), rows)


def read(header: Path, rows: Path) -> Certificate:
    """Read a certificate from its two files, and check it.

    Raises UsageError for a file that is missing or no certificate, IntegrityError as `check`.
    """
    content = _file(header, "the header of a certificate")
    if (wrong := _no_header(content)) is not None:
        raise UsageError(f"{header} is no header of a certificate: {wrong}", hint=_FILES)
    data = _file(rows, f"the rows of the certificate {header}")
    if len(data) % ROW.itemsize:
        problem = f"it has {len(data):,} bytes, which is no multiple of {ROW.itemsize}"
        raise UsageError(f"{rows} is no file of rows of a certificate: {problem}", hint=_FILES)
    found = Certificate(content, np.frombuffer(data, ROW))
    check(found)
    return found


def _file(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}, {what}, cannot be read: {error.strerror}", hint=_FILES) from error


def _no_header(content: bytes) -> str | None:
    """Return why bytes are no header; None if they may be one."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return "it is no JSON"
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        return f'its "format" is not {FORMAT}'
    return None


def check(certificate: Certificate) -> dict[str, Any]:
    """Check all that a certificate proves by itself, and return its header.

    Raises
    ------
    UsageError
        If the header is no certificate.
    IntegrityError
        If a statement of the header does not follow from the rows.

    """
    try:
        header: dict[str, Any] = json.loads(certificate.header)
        _require_forms(header, _MEMBERS)
        for each in header["nodes"]:
            _require_forms(each, _NODE)
        is_certificate = header["format"] == FORMAT and canonical(header) == certificate.header
        queue, chosen = _queue(header, certificate.rows)
        prices = np.array([each["price"] for each in header["nodes"]], np.int64)
        nets = [each["net"] for each in header["nodes"]]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        problem = f"a member of its header is missing or wrong: {error}"
        raise UsageError(f"this is no certificate of a settlement: {problem}", hint=_FILES) from error
    if not is_certificate:
        raise UsageError(f"the header is no canonical JSON of {FORMAT}", hint=_FILES)
    rows = certificate.rows
    for is_right, what in (
        (np.all((prices >= 0) & (prices <= relaxation.PRICE_MAX)), "a price is out of range"),
        (_limits_follow(header), "a limit does not follow from position, floor, line and own limit"),
        (_accounts_differ(header), "two nodes name one account, as a position or a line"),
        (header["legs"] == len(rows) and header["payments"] == queue.count, "the counts differ from the rows"),
        (not np.any(rows["zero"]) and np.all(rows["chosen"] <= 1), "a row has an unknown value"),
        (np.array_equal(chosen[queue.payments], rows["chosen"] == 1), "a payment is chosen in part"),
        (np.array_equal(queue.weights[queue.payments], rows["weight"]), "legs of a payment differ in weight"),
        (_uetrs_are_unique(queue, rows), "a UETR belongs to two payments, or a payment to two UETRs"),
        (header["chosen"] == int(chosen.sum()), "another number of payments is chosen"),
        (nets == queue.outflows(chosen).tolist(), "a net is another one"),
        (np.all(queue.outflows(chosen) <= queue.limits), "a node pays out more than its limit"),
        (header["value"] == queue.value(chosen), "the value is another one"),
        (header["bound"] == relaxation.bound(queue, prices), "the bound does not follow from the prices"),
        (header["value"] <= header["claimed_bound"] <= header["bound"], "the value and the bounds are out of order"),
        (header["root"] == (merkle.root(_bytes(rows)) if len(rows) else bytes(32)).hex(), "the root is another one"),
    ):
        if not is_right:
            raise IntegrityError(f"the certificate does not prove its settlement: {what}")
    return header


def limit_of(node: Mapping[str, Any]) -> int:
    """Return what a node may pay out net, from the other members that the header has of it."""
    if node["blocked"]:
        return 0
    return int(min(max(0, node["position"] - node["floor"] + node["credit"]), node["cap"]))


def _limits_follow(header: Mapping[str, Any]) -> bool:
    return all(
        min(each["floor"], each["credit"], each["cap"]) >= 0 and limit_of(each) == each["limit"]
        for each in header["nodes"]
    )


def _accounts_differ(header: Mapping[str, Any]) -> bool:
    named = [int(each[name], 16) for each in header["nodes"] for name in ("account", "line")]
    accounts = [each for each in named if each]
    return len(set(accounts)) == len(accounts)


def _require_forms(found: dict[str, Any], forms: dict[str, type | re.Pattern[str]]) -> None:
    """Raise KeyError or TypeError for a member that is missing or of another form. True is no integer."""
    for name, form in forms.items():
        value = found[name]
        is_right = type(value) is form if isinstance(form, type) else type(value) is str and form.fullmatch(value)
        if not is_right:
            raise TypeError(f"{name} is {str(value)[:40]!r}")


def _queue(header: dict[str, Any], rows: Rows) -> tuple[Queue, NDArray[np.bool_]]:
    first = np.flatnonzero(np.diff(rows["payment"].astype(np.int64), prepend=-1))
    queue = Queue(
        rows["sender"].astype(np.int64),
        rows["receiver"].astype(np.int64),
        rows["amount"].astype(np.int64),
        np.array([each["limit"] for each in header["nodes"]], np.int64),
        rows["payment"].astype(np.int64),
        rows["weight"][first].astype(np.int64),
    )
    return queue, rows["chosen"][first] == 1


def _uetrs_are_unique(queue: Queue, rows: Rows) -> bool:
    uetrs = np.ascontiguousarray(rows["uetr"]).view(np.uint64).reshape(-1, 2)
    firsts = uetrs[queue.first_legs]
    ordered = firsts[np.lexsort(firsts.T)]
    is_twice = np.any(np.all(ordered[1:] == ordered[:-1], axis=1))
    return bool(np.array_equal(firsts[queue.payments], uetrs)) and not is_twice


def _bytes(rows: Rows) -> NDArray[np.uint8]:
    return np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), ROW.itemsize)
