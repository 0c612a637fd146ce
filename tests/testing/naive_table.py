"""Play tables on the naive twin. A line is an operation with its result, or a check of the state.

label: kind words… name=value…  RESULT      the result is CREATED unless the line says otherwise
chain … end                                 the operations between them, in one frame, as a chain
moved debit credit amount PURPOSE           the next movement of the operation, or chain, before
at, day, pass                               set the time, set the calendar, a frame without operations
balance, pending, used, purse, held, transit, missing    the current state
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from sycee.core.records.layout import LINKED, AccountKind, Kind, Purpose, Role
from sycee.core.result_codes import Result
from sycee.testing.histories import Record, member_id, record
from sycee.testing.naive import NaiveLedger, cohort_digest
from sycee.testing.naive_rows import Movement

CURRENCY = 156
SIDES = {"debit": 1, "credit": 2, "both": 3}
ONLY = {"purses": 1, "own": 2}
QUESTIONS = (
    "at", "day", "pass", "balance", "pending", "used", "purse", "held", "transit", "missing", "moved", "chain", "end",
)  # fmt: skip
Fields = tuple[Kind, dict[str, Any]]

ACCOUNTS = """
    currency  156
    open      mint      ISSUANCE
    open      suspense  SUSPENSE
    open      city      FUNDER    suspense
    open      vault     VAULT     suspense
    open      ann       WALLET    suspense
    open      bob       WALLET    suspense
    open      shop      MERCHANT  suspense
    open      cafe      MERCHANT  suspense
    transfer  mint      city      1000
    transfer  mint      ann       100
"""
# Rules 1 and 2 let money be spent until 200 and 100; 1 anywhere, 2 at group 1. Ann holds purses 1.0, 2.0 and 2.1.
PURSES = (
    ACCOUNTS
    + """
    group     1
    join      1  shop
    rules     1  0  200  vault
    rules     2  0  100  vault  1
    programme 1  1  city  3
    programme 2  2  city  2
    members   1  0  3
    members   2  0  2
    seal1: seal 1  3
    seal2: seal 2  2
    drop      1  0  3  30  seal1
    moved     city  1.0  30  DROP
    moved     city  1.1  30  DROP
    moved     city  1.2  30  DROP
    drop      2  0  2  20  seal2
    moved     city  2.0  20  DROP
    moved     city  2.1  20  DROP
    claim     1.0  ann
    claim     2.1  ann
    claim     2.0  ann
"""
)


def secret(word: str) -> bytes:
    """Return 32 bytes for a word of a table."""
    return word.encode().ljust(32, b"*")


class Table:
    def __init__(self) -> None:
        self.ledger = NaiveLedger()
        self.now_ns = 0
        self.calendar: tuple[tuple[int, int, int, int], ...] = ()
        self.sequence = 0
        self.ids: dict[str, int] = {}
        self.last: list[Movement] = []
        self.said = 0
        self.chain: list[tuple[Record, Result]] | None = None

    def play(self, text: str) -> Table:
        for line in text.strip().splitlines():
            words = line.split("#")[0].split()
            if words:
                try:
                    self._line(words)
                except AssertionError as error:
                    raise AssertionError(f"{line.strip()}\n{error}") from error
        self._all_named()
        self.ledger.check()
        return self

    def id(self, name: str) -> int:
        return self.ids.setdefault(name, 1_000 + len(self.ids))

    def _line(self, words: list[str]) -> None:
        if words[0] in QUESTIONS:
            getattr(self, f"_{words[0]}")(*words[1:])
            return
        expected = Result[words.pop()] if words[-1] in Result.__members__ else Result.CREATED
        label = words.pop(0)[:-1] if words[0].endswith(":") else f"operation {len(self.ids)}"
        options = dict(word.split("=") for word in words if "=" in word)
        kind, fields = getattr(self, f"_{words[0]}")(*[word for word in words[1:] if "=" not in word], **options)
        row = record(kind, self.id(label), **fields)
        if self.chain is None:
            self._apply([(row, expected)])
        else:
            self.chain.append((row, expected))

    def _apply(self, rows: list[tuple[Record, Result]]) -> None:
        self._all_named()
        self.sequence += 1
        before = len(self.ledger.movements)
        answers = self.ledger.apply(self.sequence, self.now_ns, np.concatenate([row for row, _ in rows]), self.calendar)
        self.last, self.said = self.ledger.movements[before:], 0
        if len(rows) == 1 and len(self.last) == 1 and self.last[0].purpose is Purpose.TRANSFER:
            self.said = 1  # a table need not list the only movement of a transfer
        codes, wanted = [code.name for code, _ in answers], [code.name for _, code in rows]
        assert codes == wanted, codes

    def _all_named(self) -> None:
        assert self.said == len(self.last), f"movements that the table does not name: {self.last[self.said :]}"

    # --- time, chains, questions ---

    def _at(self, now: str) -> None:
        self.now_ns = int(now)

    def _day(self, day: str, month: str, year: str) -> None:
        self.calendar = ((CURRENCY, int(day), int(month), int(year)),)

    def _pass(self, now: str) -> None:
        self.now_ns = int(now)
        self.ledger.pass_time(self.now_ns, self.calendar)

    def _chain(self) -> None:
        self.chain = []

    def _end(self, how: str = "") -> None:
        rows, self.chain = self.chain or [], None
        for row, _ in rows if how == "open" else rows[:-1]:
            row["flags"] |= LINKED
        self._apply(rows)

    def _balance(self, name: str, amount: str) -> None:
        assert self.ledger.balance(self.id(name)) == int(amount), self.ledger.balance(self.id(name))

    def _pending(self, name: str, debits: str, credits: str) -> None:
        account = self.ledger.accounts[self.id(name)]
        assert (account.debits_pending, account.credits_pending) == (int(debits), int(credits)), account

    def _used(self, name: str, day: str, month: str, year: str) -> None:
        assert self.ledger.accounts[self.id(name)].used == (int(day), int(month), int(year)), self.ledger.accounts

    def _purse(self, name: str, left: str, state: str) -> None:
        purse = self.ledger.purse(*map(int, name.split(".")))
        assert (purse.left, purse.state.name) == (int(left), state), purse

    def _held(self, name: str, held: str, state: str) -> None:
        hold = self.ledger.holds[self.id(name)]
        assert (hold.held, hold.state.name) == (int(held), state), hold

    def _transit(self, name: str, amount: str, state: str) -> None:
        transit = self.ledger.transits[self.id(name)]
        assert (transit.amount, transit.state.name) == (int(amount), state), transit

    def _missing(self, name: str, amount: str) -> None:
        assert self.ledger.refunded[self.id(name)] == int(amount), self.ledger.refunded

    def _moved(self, debit: str, credit: str, amount: str, purpose: str) -> None:
        movement = self.last[self.said]
        rows = tuple(
            ("purse", *map(int, name.split("."))) if "." in name else ("account", self.id(name))
            for name in (debit, credit)
        )
        wanted = (*rows, int(amount), Purpose[purpose])
        assert (movement.debit, movement.credit, movement.amount, movement.purpose) == wanted, movement
        self.said += 1

    # --- definitions and accounts ---

    def _currency(self, number: str) -> Fields:
        return Kind.DEFINE_CURRENCY, {"number": int(number), "zone": "Asia/Shanghai"}

    def _open(self, name: str, kind: str, suspense: str = "") -> Fields:
        credit = self.id(suspense) if suspense else 0
        fields = {"debit": self.id(name), "credit": credit, "number": CURRENCY, "first": AccountKind[kind]}
        return Kind.OPEN_ACCOUNT, fields

    def _group(self, number: str) -> Fields:
        return Kind.DEFINE_GROUP, {"number": int(number)}

    def _join(self, number: str, name: str) -> Fields:
        return Kind.JOIN_GROUP, {"number": int(number), "debit": self.id(name)}

    def _leave(self, number: str, name: str) -> Fields:
        return Kind.LEAVE_GROUP, {"number": int(number), "debit": self.id(name)}

    def _rules(self, number: str, start: str, end: str, returns_to: str, *groups: str, **more: str) -> Fields:
        return Kind.DEFINE_RULE_SET, {
            "number": int(number), "from_ns": int(start), "until_ns": int(end),
            "return_account": 0 if returns_to == "-" else self.id(returns_to), "groups": tuple(map(int, groups)),
            **{name: int(value) for name, value in more.items()},
        }  # fmt: skip

    def _under(self, name: str, number: str) -> Fields:
        return Kind.SET_RULE_SET, {"debit": self.id(name), "rule_set": int(number)}

    def _link(self, name: str, other: str) -> Fields:
        return Kind.LINK_ACCOUNT, {"debit": self.id(name), "credit": 0 if other == "-" else self.id(other)}

    def _key(self, name: str, flags: str) -> Fields:
        return Kind.SET_KEY, {"debit": self.id(name), "flags": int(flags), "key": secret("key") if int(flags) else b""}

    def _block(self, name: str, side: str, reason: str = "1") -> Fields:
        return Kind.BLOCK_ACCOUNT, {"debit": self.id(name), "flags": SIDES[side], "first": int(reason)}

    def _unblock(self, name: str, side: str, reason: str = "1") -> Fields:
        return Kind.UNBLOCK_ACCOUNT, {"debit": self.id(name), "flags": SIDES[side], "first": int(reason)}

    def _close(self, name: str) -> Fields:
        return Kind.CLOSE_ACCOUNT, {"debit": self.id(name), "first": 1}

    def _grant(self, person: str, role: str, start: str, end: str) -> Fields:
        window = {"from_ns": int(start), "until_ns": int(end)}
        return Kind.GRANT_ROLE, {
            "debit": self.id(person),
            "first": Role[role],
            "flags": 1,
            "key": secret(person),
            **window,
        }

    def _revoke(self, grant: str) -> Fields:
        return Kind.REVOKE_ROLE, {"reference": self.id(grant)}

    def _upgrade(self, number: str) -> Fields:
        return Kind.UPGRADE, {"number": int(number), "release": "release"}

    # --- programmes ---

    def _programme(self, number: str, rules: str, funder: str, members: str) -> Fields:
        return Kind.OPEN_PROGRAMME, {
            "number": int(number), "rule_set": int(rules), "debit": self.id(funder), "count": int(members),
            "from_ns": 0, "until_ns": 900,
        }  # fmt: skip

    def _members(self, programme: str, first: str, count: str) -> Fields:
        start, members = int(first), int(count)
        ids = [member_id(int(programme), member) for member in range(start, start + members)]
        return Kind.ADD_MEMBERS, {"number": int(programme), "first": start, "count": members, "members": ids}

    def _seal(self, programme: str, members: str) -> Fields:
        digest = cohort_digest(member_id(int(programme), member) for member in range(int(members)))
        return Kind.SEAL_COHORT, {"number": int(programme), "digest": digest}

    def _drop(self, programme: str, first: str, count: str, amount: str, seal: str) -> Fields:
        return Kind.DROP, {
            "number": int(programme), "first": int(first), "count": int(count), "amount": int(amount),
            "reference": self.id(seal),
        }  # fmt: skip

    def _claim(self, purse: str, wallet: str) -> Fields:
        programme, member = map(int, purse.split("."))
        named = {"reference": member_id(programme, member), "credit": self.id(wallet)}
        return Kind.CLAIM, {"number": programme, "first": member, **named}

    def _expire(self, programme: str, first: str, count: str) -> Fields:
        return Kind.EXPIRE, {"number": int(programme), "first": int(first), "count": int(count)}

    # --- money ---

    def _two(self, debit: str, credit: str, amount: str) -> dict[str, Any]:
        return {"debit": self.id(debit), "credit": self.id(credit), "amount": int(amount)}

    def _transfer(self, debit: str, credit: str, amount: str) -> Fields:
        return Kind.TRANSFER, self._two(debit, credit, amount)

    def _pay(self, debit: str, credit: str, amount: str, only: str = "") -> Fields:
        return Kind.PAY, {**self._two(debit, credit, amount), "flags": ONLY.get(only, 0)}

    def _refund(self, pay: str, amount: str) -> Fields:
        return Kind.REFUND, {"reference": self.id(pay), "amount": int(amount)}

    def _reverse(self, pay: str, amount: str) -> Fields:
        return Kind.REVERSE, {"reference": self.id(pay), "amount": int(amount)}

    def _hold(self, debit: str, credit: str, amount: str, only: str = "", **more: str) -> Fields:
        fields = {**self._two(debit, credit, amount), "flags": ONLY.get(only, 0), "until_ns": int(more["until"])}
        if "third" in more:
            fields |= {"flags": fields["flags"] | 4, "reference": self.id(more["third"])}
        if "secret" in more:
            fields |= {"flags": fields["flags"] | 8, "hash": hashlib.sha256(secret(more["secret"])).digest()}
        return Kind.HOLD, fields

    def _post(self, hold: str, asks: str, amount: str, rest: str = "", **more: str) -> Fields:
        fields = {"reference": self.id(hold), "debit": self.id(asks), "amount": int(amount), "flags": bool(rest)}
        if "secret" in more:
            fields |= {"flags": fields["flags"] | 2, "secret": secret(more["secret"])}
        return Kind.POST, fields

    def _void(self, hold: str, asks: str) -> Fields:
        return Kind.VOID, {"reference": self.id(hold), "debit": self.id(asks)}

    def _extend(self, hold: str, asks: str, until: str) -> Fields:
        return Kind.EXTEND, {"reference": self.id(hold), "debit": self.id(asks), "until_ns": int(until)}

    def _post_holds(self, first: str, last: str, asks: str) -> Fields:
        return Kind.POST_HOLDS, {"debit": self.id(first), "credit": self.id(last), "reference": self.id(asks)}

    def _void_holds(self, first: str, last: str, asks: str) -> Fields:
        return Kind.VOID_HOLDS, {"debit": self.id(first), "credit": self.id(last), "reference": self.id(asks)}

    def _send(self, debit: str, credit: str, way: str, amount: str, up_to: str = "") -> Fields:
        return Kind.SEND, {**self._two(debit, credit, amount), "reference": self.id(way), "flags": bool(up_to)}

    def _confirm(self, sent: str) -> Fields:
        return Kind.CONFIRM, {"reference": self.id(sent)}

    def _reject(self, sent: str) -> Fields:
        return Kind.REJECT, {"reference": self.id(sent)}

    def _stage(self, batch: str, debit: str, credit: str, amount: str) -> Fields:
        return Kind.STAGE, {**self._two(debit, credit, amount), "number": int(batch)}

    def _settle(self, batch: str, count: str, total: str) -> Fields:
        return Kind.SETTLE, {"number": int(batch), "count": int(count), "amount": int(total)}

    def _discard(self, batch: str, count: str, total: str) -> Fields:
        return Kind.SETTLE, {"number": int(batch), "count": int(count), "amount": int(total), "flags": 1}
