"""The checker's state machine: how frames, ids, chains, movements and limits work, and what the state comes to.

What each kind of operation does is in `checker_operations`. § means a section of docs/reference/ledger.md.
"""
# Set by hand, and with short bodies on the line of their condition, so that one operation is seen at one glance.
# fmt: off
# ruff: noqa: D102, E701

from __future__ import annotations

import heapq
import struct
from collections import defaultdict, namedtuple
from collections.abc import Callable, Iterator
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

from blake3 import blake3
from xxhash import xxh3_128_digest

MOST, LINKED = 2**63 - 1, 0x8000
ISSUANCE, SUSPENSE, RESERVE, VAULT, _, WALLET, _, IN_TRANSIT = range(1, 9)
EMPTY, DROPPED, CLAIMED, EXPIRED = range(4)  # purses
OPEN, POSTED, VOIDED, TIMED_OUT = range(4)  # holds; transits and batches are OPEN, then 1 or 2

# Result codes by number, from 0; purposes of movements by number, from 1, §6.
CODES, PURPOSES = map(str.split, ("""
CREATED EXISTS EXISTS_WITH_DIFFERENT_CONTENT ID_MUST_NOT_BE_ZERO KIND_UNKNOWN FLAGS_UNKNOWN FIELD_MUST_BE_ZERO
AMOUNT_MUST_BE_POSITIVE ACCOUNT_ID_MUST_NOT_BE_ZERO ACCOUNTS_MUST_BE_DIFFERENT NUMBER_OUT_OF_RANGE COUNT_OUT_OF_RANGE
ACCOUNT_KIND_UNKNOWN WINDOW_MUST_END_AFTER_START ZONE_MUST_NOT_BE_EMPTY CURRENCY_EXISTS CURRENCY_NOT_FOUND
TOO_MANY_CURRENCIES GROUP_EXISTS GROUP_NOT_FOUND RULE_SET_EXISTS RULE_SET_NOT_FOUND PROGRAMME_EXISTS
PROGRAMME_NOT_FOUND ACCOUNT_EXISTS ISSUANCE_EXISTS SUSPENSE_NOT_FOUND RETURN_ACCOUNT_NOT_FOUND ACCOUNT_NOT_FOUND
DEBIT_ACCOUNT_NOT_FOUND CREDIT_ACCOUNT_NOT_FOUND ORIGINAL_NOT_FOUND ORIGINAL_IS_NOT_A_PAY ORIGINAL_WAS_REFUSED
COHORT_SEALED COHORT_NOT_SEALED COHORT_INCOMPLETE COHORT_DIGEST_DIFFERS SEAL_DIFFERS MEMBER_NOT_FOUND
MEMBERS_OUT_OF_ORDER MEMBER_DIFFERS CURRENCIES_MUST_MATCH ACCOUNT_MUST_STAY_OPEN ACCOUNT_CLOSED DEBIT_ACCOUNT_CLOSED
CREDIT_ACCOUNT_CLOSED DEBIT_ACCOUNT_BLOCKED CREDIT_ACCOUNT_BLOCKED PURSE_NOT_DROPPED PURSE_CLAIMED PROGRAMME_EXPIRED
PROGRAMME_NOT_EXPIRED CLAIM_WINDOW_NOT_OPEN CLAIM_WINDOW_CLOSED TOO_MANY_PURSES ACCOUNT_NOT_EMPTY EXCEEDS_REFUNDABLE
OVERFLOWS_DEBITS OVERFLOWS_CREDITS EXCEEDS_BALANCE KEY_MUST_NOT_BE_ZERO REASON_UNKNOWN ROLE_UNKNOWN CANNOT_BE_LINKED
CHAIN_OPEN CHAIN_REPEATS_AN_ID CHAIN_BROKEN SIGNATURE_INVALID SIGNATURE_EXPIRED SIGNER_NOT_FOUND KEY_EPOCH_DIFFERS
NOT_AUTHORISED TWO_PERSONS_MUST_SIGN RULE_SET_MUST_KEEP_WINDOW RULES_NOT_NEWER GRANT_NOT_FOUND GRANT_REVOKED
OFFICERS_MUST_REMAIN TRANSIT_ACCOUNT_NOT_FOUND RELEASER_NOT_FOUND ORIGINAL_NOT_REVERSIBLE HOLD_NOT_FOUND
HOLDS_OUT_OF_ORDER NOT_A_PARTY_TO_HOLD PREIMAGE_DIFFERS HOLD_DONE HOLD_TIMED_OUT HOLD_MUST_END_LATER TRANSIT_NOT_FOUND
TRANSIT_DONE BATCH_NOT_FOUND BATCH_DONE BATCH_DIFFERS ACCOUNT_IS_IN_TRANSIT LINK_KIND_WRONG RULE_SET_NOT_IN_FORCE
PAYEE_NOT_ALLOWED PERSONS_NOT_ALLOWED CASH_OUT_NOT_ALLOWED REFUND_WINDOW_CLOSED EXCEEDS_HELD RESERVED_FOR_REFUNDS
EXCEEDS_SINGLE_LIMIT EXCEEDS_DAY_LIMIT EXCEEDS_MONTH_LIMIT EXCEEDS_YEAR_LIMIT EXCEEDS_BALANCE_LIMIT LINKED_FAILED
""", """
TRANSFER PAY_OWN PAY_PURSE DROP REFUND_OWN REFUND_PURSE RETURN REFUND_SUSPENSE RETURN_SUSPENSE REVERSAL_OWN
REVERSAL_PURSE REVERSAL_SUSPENSE SEND CONFIRM CONFIRM_SUSPENSE REJECT REJECT_SUSPENSE WATERFALL SETTLEMENT
"""))

# §1: number, name, flags it takes (+: and LINKED), and what the kind uses of a record beside id, kind, flags, code and
# note; what hangs on flags or fields is in `Operation.uses`. `number` and `count` say the most they take.
KINDS = """
1 define_currency 0 number=999 zone | 2 define_group 0 number=4096 | 3 join_group 0 number=4096 debit
4 leave_group 0 number=4096 debit | 5 define_rule_set 0,1,2,3 number=65535 from_ns until_ns everything
6 grant_role 1,2,6 debit key first from_ns until_ns | 7 revoke_role 0 reference | 8 upgrade 0 number=65535 name
10 open_account 0 debit number=999 first count rule_set | 11 block_account 1,2,3 debit first
12 close_account 0 debit first | 13 unblock_account 1,2,3 debit first | 14 set_rule_set 0 debit rule_set
15 set_key 0,1,2,6 debit | 16 link_account 0 debit credit
20 open_programme 0 number=65535 debit rule_set count=1073741824 from_ns until_ns
21 add_members 0 number=65535 first count=5 | 22 seal_cohort 0 number=65535 name
23 drop 0 number=65535 first count=1073741824 amount reference | 24 claim 0 number=65535 first reference credit
25 expire 0 number=65535 first count=1073741824 | 30 transfer 0+ debit credit amount
31 pay 0,1,2+ debit credit amount | 32 refund 0+ reference amount
33 hold 0,1,2,4,5,6,8,9,10+ debit credit amount until_ns | 34 post 0,1,2,3+ reference debit amount
35 void 0+ reference debit | 36 extend 0+ reference debit until_ns | 37 post_holds 0 debit credit reference
38 void_holds 0 debit credit reference | 39 reverse 0+ reference amount | 40 send 0,1+ debit credit reference amount
41 confirm 0+ reference | 42 reject 0+ reference | 43 stage 0 debit credit amount number=1048576
44 settle 0,1 number=1048576 count=1073741824 amount
"""
PLACES = {
    "amount": (24, 32), "debit": (32, 48), "credit": (48, 64), "reference": (64, 80), "number": (80, 84),
    "first": (84, 88), "count": (88, 92), "rule_set": (92, 96), "from_ns": (96, 104), "until_ns": (104, 112),
    "note": (112, 128), "zone": (32, 80), "name": (32, 64), "key": (48, 80), "hash": (64, 96), "secret": (80, 112),
    "everything": (24, 128), "member0": (32, 48), "member1": (48, 64), "member2": (64, 80), "member3": (96, 112),
    "member4": (112, 128),
}
Bound = namedtuple("Bound", "id kind code content now amount refunded legs payee")  # what is remembered of an id
Kind = namedtuple("Kind", "name flags linkable uses most")
# One version of a rule set, §4; `home` is the id of its return account. FREE: what an account without one lives under.
Rules = namedtuple(
    "Rules", "flags groups home from_ns until_ns balance single day month year reserve effective_ns window_s")
FREE = Rules(0, (0, 0, 0, 0), 0, -(2**63), 2**64, 0, 0, 0, 0, 0, 0, 0, 0)


def read_kinds() -> Iterator[tuple[int, Kind]]:
    """The table, read."""
    for number, name, flags, *words in map(str.split, KINDS.strip().replace(" | ", "\n").split("\n")):
        known = {int(flag) for flag in flags.rstrip("+").split(",")}
        known |= {flag | LINKED for flag in known if flags.endswith("+")}
        most = {word.split("=")[0]: int(word.split("=")[1]) for word in words if "=" in word}
        uses = [word.split("=")[0] for word in words] + ["note"] * (name != "add_members")
        yield int(number), Kind(name, known, flags.endswith("+"), tuple(uses), most)

TABLE = dict(read_kinds())

class Refusal(Exception):
    """The ledger says no; the argument is the name of the code."""

def deny(**reasons: object) -> None:
    """Refuse with the first code whose reason holds."""
    for code, holds in reasons.items():
        if holds: raise Refusal(code)

def refuse(code: str) -> None:
    """Refuse with this code, if it is one."""
    if code: raise Refusal(code)

def whole(raw: bytes) -> int:
    """An id, or any run of bytes, as a number."""
    return int.from_bytes(raw, "little")

@cache
def unused(names: tuple[str, ...]) -> int:
    """A mask of the bits of a record that must be zero where these parts are used."""
    mask = (1 << 1024) - (1 << 192)
    for start, end in map(PLACES.__getitem__, names): mask &= ~((1 << 8 * end) - (1 << 8 * start))
    return mask

class Operation:
    """One record, read, §1."""

    def __init__(self, raw: bytes) -> None:
        record = struct.unpack("<16sHHIq16s16s16sIIIIqq", raw[:112])
        self.raw, self.id, self.kind, self.flags, self.amount = raw, whole(record[0]), record[1], record[2], record[4]
        self.debit, self.credit, self.reference = map(whole, record[5:8])
        self.number, self.first, self.count, self.rule_set, self.from_ns, self.until_ns = record[8:]
        self.name = TABLE[self.kind].name if self.kind in TABLE else ""
        self.members = [f"member{index}" for index in range(self.count if 1 <= self.count <= 5 else 5)]
    def part(self, name: str) -> bytes:
        return self.raw[PLACES[name][0] : PLACES[name][1]]
    def uses(self) -> tuple[str, ...]:
        more = {
            "grant_role": ["count"] * (self.first == 2), "set_key": ["key"] * (self.flags > 0),
            "open_account": ["credit"] * (self.first not in (ISSUANCE, SUSPENSE)), "add_members": self.members,
            "hold": ["reference"] * (self.flags & 4 > 0) + ["hash"] * (self.flags & 8 > 0),
            "post": ["secret"] * (self.flags & 2 > 0),
        }
        return (*TABLE[self.kind].uses, *more.get(self.name, ()))
    def rules(self) -> Rules:
        if self.name != "define_rule_set": return FREE
        words = struct.unpack("<q4Hq16sqqIIqqqqq", self.raw[24:])
        effective, *groups, reserve, home, balance, single, _, window, day, start, end, month, year = words
        maxima = (balance, single, day, month, year, reserve)
        return Rules(self.flags, tuple(groups), whole(home), start, end, *maxima, effective, window)
    def check(self) -> None:  # refuses what is malformed, §2
        deny(ID_MUST_NOT_BE_ZERO=not self.id, KIND_UNKNOWN=not self.name)
        name, flags, _, _, most = TABLE[self.kind]
        deny(FLAGS_UNKNOWN=self.flags not in flags)
        uses, rules = self.uses(), self.rules()
        ids = [part for part in uses if part in ("debit", "credit", "reference")][: 1 if name == "link_account" else 3]
        ids += self.members if name == "add_members" and 1 <= self.count <= 5 else []
        both = "debit" in uses and "credit" in uses and not name.endswith("_holds")
        same = self.debit == self.credit or (name == "send" and self.reference in (self.debit, self.credit))
        number = 1 <= self.number <= most.get("number", 2**32) or "number" not in most
        rule_set = (name == "open_programme") <= self.rule_set <= 65535 or "rule_set" not in uses
        deny(
            FIELD_MUST_BE_ZERO=whole(self.raw) & unused(uses),
            AMOUNT_MUST_BE_POSITIVE=min(rules[5:11]) < 0 or ("amount" in uses and self.amount <= 0),
            ACCOUNT_ID_MUST_NOT_BE_ZERO=not all(any(self.part(part)) for part in ids),
            ACCOUNTS_MUST_BE_DIFFERENT=both and same,
            NUMBER_OUT_OF_RANGE=not number or not rule_set or max(rules.groups) > 4096,
            COUNT_OUT_OF_RANGE="count" in most and not 1 <= self.count <= most["count"],
            ACCOUNT_KIND_UNKNOWN=name == "open_account" and not 1 <= self.first <= 8,
            REASON_UNKNOWN=self.kind in (11, 12, 13) and not 1 <= self.first <= 7,
            ROLE_UNKNOWN=name == "grant_role" and not 1 <= self.first <= 3,
            WINDOW_MUST_END_AFTER_START="from_ns" in uses and self.until_ns <= self.from_ns,
            ZONE_MUST_NOT_BE_EMPTY=name in ("define_currency", "upgrade") and not self.raw[32],
            KEY_MUST_NOT_BE_ZERO="key" in uses and not any(self.part("key")))

class Row(SimpleNamespace):
    """Anything that the ledger keeps; its fields stand where it is made. A row is equal to itself alone."""

    __eq__, __hash__ = object.__eq__, object.__hash__  # type: ignore[assignment]
    balance = property(lambda self: self.credits - self.debits)
    available = property(lambda self: self.balance - self.debits_pending)
    takes = property(lambda self: not self.closed and not self.credit_reasons)
    held = property(lambda self: self.own + sum(part for _, part in self.legs))
class Purse(Row):
    """What one member holds of one programme, §5; its balance is what is left of it."""

    balance = property(lambda self: self.dropped - self.spent + self.refunded - self.returned - self.pending)

def debits_over(amount: int, *rows: Row) -> bool:
    """Would the debits of an account, or what was spent of a purse, be too great?"""
    return any(amount + (row.spent + row.pending if isinstance(row, Purse) else row.debits + row.debits_pending) > MOST
               for row in rows)

def credits_over(amount: int, *rows: Row) -> bool:
    """Would the credits of an account, or what was refunded to a purse, be too great?"""
    return any(amount + (row.refunded if isinstance(row, Purse) else row.credits + row.credits_pending) > MOST
               for row in rows)

class State:
    """All but the operations: each kind has a method with its name, which refuses, or does all of it."""

    def __init__(self) -> None:
        tables: list[dict[int, Any]] = [{} for _ in range(10)]
        self.currencies, self.groups, self.rule_sets, self.accounts, self.programmes, *rest = tables
        self.holds, self.transits, self.batches, self.grants, self.bound = rest
        self.hold_order: list[Row] = []
        self.ends: list[tuple[int, int]] = []  # a heap of (end, number of the hold); an entry may be outdated
        self.undo: list[Callable[[], object]] | None = None  # what takes a chain back; None outside of chains
        self.calendar: dict[int, tuple[int, ...]] = {}
        self.made: list[bytes] = []  # movements of this frame
        self.legs: list[tuple[Any, int]] = []  # of the operation being judged: what a refund of it retraces
        self.operations = self.moved = self.leg = self.place = self.now = 0
        self.purses = self.version = self.authority = 0
        self.movement_digest = bytes(32)

    # Frames, ids and chains
    def frame(self, sequence: int, now: int, calendar: dict[int, tuple[int, ...]], records: list[bytes]) -> None:
        """Let time pass, then judge the records of a frame; times in nanoseconds."""
        self.now, self.calendar, self.made = now, calendar, []
        for versions in self.rule_sets.values():
            if versions[1] and versions[1].effective_ns <= now: versions[:] = versions[1], None
        self.authority |= self.officers() >= 2
        while self.ends and self.ends[0][0] <= now:
            end, number = heapq.heappop(self.ends)
            if number < len(self.hold_order) and (hold := self.hold_order[number]).end == end and hold.state == OPEN:
                self.let_go(hold, TIMED_OUT)
        chain, codes = list[Operation](), list[str]()
        for operation in map(Operation, records):
            chain.append(operation)
            if not operation.flags & LINKED or len(codes) + len(chain) == len(records):
                codes += self.judge(chain, sequence * 8192 + len(codes))
                chain = []
        if records:
            answers = struct.pack(f"<Q{len(codes)}H", sequence, *map(CODES.index, codes))
            self.movement_digest = blake3(self.movement_digest + answers + b"".join(self.made)).digest()
            self.operations += len(records)
    def judge(self, chain: list[Operation], place: int) -> list[str]:  # answers to it, or to one that stands alone, §9
        first = [self.known(operation) for operation in chain]
        if len(chain) == 1 and not chain[0].flags & LINKED: return [first[0] or self.run(chain[0], place)]
        if chain[-1].flags & LINKED: first[-1] = first[-1] or "CHAIN_OPEN"
        elif not first[-1] and not TABLE[chain[-1].kind].linkable: first[-1] = "CANNOT_BE_LINKED"
        if any(first): return [code or "CHAIN_BROKEN" for code in first]
        self.undo, moved, made, ids = [], self.moved, len(self.made), set[int]()
        for index, operation in enumerate(chain):
            repeats = operation.id in ids
            ids.add(operation.id)
            code = "CHAIN_REPEATS_AN_ID" if repeats else self.run(operation, place + index)
            if code != "CREATED": break
        undo, self.undo = self.undo, None
        if code == "CREATED": return [code] * len(chain)
        for step in reversed(undo): step()
        self.moved = moved
        del self.made[made:]
        codes = [code if each is operation else "CHAIN_BROKEN" if repeats else "LINKED_FAILED" for each in chain]
        for each, answer in zip(chain, codes, strict=True):
            if not repeats and each.id not in self.bound: self.bind(each, answer)
        return codes
    def known(self, o: Operation) -> str:  # what is to be said before the state is asked, §2
        try: o.check()
        except Refusal as refusal: return str(refusal)
        if o.id not in self.bound: return ""
        same = self.bound[o.id].content == xxh3_128_digest(o.raw[16:])
        return "EXISTS" if same else "EXISTS_WITH_DIFFERENT_CONTENT"
    def run(self, o: Operation, place: int) -> str:  # judged by the state, and its id bound
        self.place, self.leg, self.legs, claim, code = place, 0, [], 0, "CREATED"
        try: claim = getattr(self, o.name)(o) or 0
        except Refusal as refusal: code = str(refusal)
        self.bind(o, code, claim)
        return code
    def bind(self, o: Operation, code: str, claim: int = 0) -> None:
        legs = tuple(self.legs) if o.name in ("transfer", "pay", "post") and code == "CREATED" else ()
        content, payee = xxh3_128_digest(o.raw[16:]), self.payee if legs else None
        self.add(self.bound, Bound(o.id, o.kind, code, content, self.now, o.amount, claim, legs, payee))
    def keep(self, *rows: Row) -> None:  # called before rows change, in case that a chain must be taken back
        if self.undo is not None: self.undo += [partial(vars(row).update, dict(vars(row))) for row in rows]
    def add(self, table: dict[int, Any], row: Row | Bound) -> None:
        if self.undo is not None:
            before = table.get(row.id)
            self.undo.append(partial(table.__setitem__, row.id, before) if before else partial(table.pop, row.id))
        table[row.id] = row

    # Holds that end, and officers, whom time alone can make or unmake
    def pend(self, hold: Row, parts: list[tuple[Purse, int]], own: int) -> None:
        self.keep(hold.payer, hold.payee, *(purse for purse, _ in parts))  # so much more is pending; less, if negative
        for purse, part in parts: purse.pending += part
        hold.payer.debits_pending += own
        hold.payee.credits_pending += own + sum(part for _, part in parts)
    def let_go(self, hold: Row, state: int) -> None:
        self.pend(hold, [(purse, -part) for purse, part in hold.legs], -hold.own)
        self.keep(hold)
        self.use_back(hold.payer, hold.own, hold)
        hold.state, hold.own, hold.legs = state, 0, [(purse, 0) for purse, _ in hold.legs]
    def use_back(self, account: Row, amount: int, row: Row) -> None:  # what a hold or a transit used up comes back
        if row.counted:
            periods = zip(account.used, account.period, row.period, strict=True)
            account.used = tuple(used - amount * (now == then) for used, now, then in periods)
    def officers(self, without: Row | None = None) -> int:  # how many persons have a grant that counts
        grants = (g for g in self.grants.values() if g.role == 1 and not g.revoked and g is not without)
        return len({g.person for g in grants if g.from_ns <= self.now < g.until_ns})

    # Movements and limits
    def move(self, debit: Row, credit: Row, amount: int, purpose: str) -> None:
        self.keep(debit, credit)
        gave = "debits" if not isinstance(debit, Purse) else "spent" if purpose == "PAY_PURSE" else "returned"
        got = "credits" if not isinstance(credit, Purse) else "dropped" if purpose == "DROP" else "refunded"
        vars(debit)[gave] += amount
        vars(credit)[got] += amount
        self.made.append(struct.pack("<IIqqqqqQHHI", debit.row, credit.row, amount, debit.balance, credit.balance,
                         debit.last, credit.last, self.place, PURPOSES.index(purpose) + 1, min(self.leg, 65535), 0))
        self.leg, self.moved = self.leg + 1, self.moved + 1
        debit.last = credit.last = self.moved
        if purpose in ("TRANSFER", "PAY_OWN", "PAY_PURSE"):
            self.legs.append((debit, amount))
            self.payee = credit
    def find(self, **ids: int) -> list[Any]:  # the accounts with these ids, or a refusal with the argument's name
        for code, id in ids.items(): refuse(code if id not in self.accounts else "")
        return [self.accounts[id] for id in ids.values()]
    def rules(self, owner: Row) -> Rules:
        return self.rule_sets[owner.rule_set][0] if owner.rule_set else FREE
    def in_force(self, owner: Row) -> bool:
        return bool(self.rules(owner).from_ns <= self.now < self.rules(owner).until_ns)
    def reach(self, owner: Row, payee: Row) -> str:  # giving to the payee, §4: a code or nothing
        flags, groups = self.rules(owner)[:2]
        if any(groups) and not any(group and payee.id in self.groups[group] for group in groups):
            return "PAYEE_NOT_ALLOWED"
        if flags & 1 and payee.kind == WALLET: return "PERSONS_NOT_ALLOWED"
        return "CASH_OUT_NOT_ALLOWED" if flags & 2 and payee.kind in (RESERVE, VAULT) else ""
    def used(self, account: Row) -> tuple[tuple[int, ...], tuple[int, ...]]:  # in this frame's periods; their numbers
        today = self.calendar.get(account.currency, (0, 0, 0))
        used = (0 if now > then else used for now, then, used in zip(today, account.period, account.used, strict=True))
        return tuple(used), tuple(map(max, today, account.period))
    def giving(self, account: Row, amount: int, single: bool = True) -> str:  # giving the amount, §4: a code or nothing
        rules, spare = self.rules(account), 2**65 if account.kind == ISSUANCE else account.available
        if spare < amount: return "EXCEEDS_BALANCE"
        if spare - rules.reserve < amount: return "RESERVED_FOR_REFUNDS"
        names, maxima = ("SINGLE", "DAY", "MONTH", "YEAR"), (rules.single * single, rules.day, rules.month, rules.year)
        for name, most, used in zip(names, maxima, (0, *self.used(account)[0]), strict=True):
            if 0 < most < used + amount: return f"EXCEEDS_{name}_LIMIT"
        return ""
    def use_up(self, account: Row, amount: int) -> None:
        if account.rule_set and amount:
            self.keep(account)
            used, account.period = self.used(account)
            account.used = tuple(each + amount for each in used)
    def too_full(self, account: Row, amount: int) -> bool:
        return bool(0 < self.rules(account).balance < account.balance + account.credits_pending + amount)
    def receiving(self, account: Row, amount: int) -> Any:  # judged, §4; the IN_TRANSIT account of a possible waterfall
        via = self.way_out(account, amount)
        deny(EXCEEDS_BALANCE_LIMIT=not via and self.too_full(account, amount))
        return via
    def excess(self, account: Row, amount: int) -> int:  # of what is received, if it is pending already or posted
        return int(min(amount, account.balance + account.credits_pending - self.rules(account).balance))
    def way_out(self, account: Row, amount: int, held: bool = False) -> Any:
        via = account.link if account.link and account.link.kind == IN_TRANSIT else None
        if not via or not via.takes or via.link in (None, account) or debits_over(amount, account): return None
        bank, excess = via.link, min(amount, self.excess(account, amount) + amount * (not held))
        if not bank.takes or not self.in_force(bank) or self.reach(account, bank): return None
        return None if credits_over(amount, via, bank) or self.too_full(bank, excess) else via
    def spill(self, o: Operation, account: Row, amount: int, via: Any) -> None:  # the waterfall
        excess = self.excess(account, amount)
        if via and self.rules(account).balance and excess > 0:
            self.move(account, via, excess, "WATERFALL")
            self.depart(o, account, via, via.link, excess, False)
    def depart(self, o: Operation, source: Row, via: Row, to: Row, amount: int, counted: bool) -> None:  # a transit, §8
        self.keep(to)
        to.credits_pending += amount
        self.add(self.transits, Row(id=o.id, source=source, via=via, to=to, amount=amount, counted=counted, state=OPEN,
                                    period=source.period if counted else (0, 0, 0)))

    # State digest, §12, and what must hold at the end
    def digest(self) -> bytes:
        """The state digest."""
        digest = blake3(b"sycee.state.v2")
        for rows in self.sections():
            written = [*rows]
            digest.update(struct.pack("<Q", len(written)) + b"".join(written))
        return digest.digest()
    def sections(self) -> Iterator[Iterator[bytes]]:
        pack, purses = struct.pack, [purse for _, p in sorted(self.programmes.items()) for purse in p.purses]
        yield (pack("<H48s", number, zone) for number, zone in sorted(self.currencies.items()))
        yield (pack("<IQ", n, len(ids)) + b"".join(map(ident, sorted(ids))) for n, ids in sorted(self.groups.items()))
        yield (pack("<I", n) + b"".join(map(version, both)) for n, both in sorted(self.rule_sets.items()))
        yield (pack("<16sHHBBBBII16s16s7qihhI32s", ident(a.id), a.currency, a.kind, a.debit_reasons, a.credit_reasons,
                    a.closed, a.algorithm, a.operator, a.rule_set, named(a.suspense), named(a.link), a.debits,
                    a.credits, a.debits_pending, a.credits_pending, *a.used, *a.period, a.epoch, a.key)
               for _, a in sorted(self.accounts.items()))
        yield (pack("<II16sIIH16sqq", n, p.rule_set, named(p.funder), len(p.purses), p.filled, p.seal > 0,
                    ident(p.seal), *p.claim) for n, p in sorted(self.programmes.items()))
        yield (pack("<II16s16s5qH", p.programme.number, p.index, ident(p.member), named(p.wallet), p.dropped,
                    p.spent, p.refunded, p.returned, p.pending, p.state) for p in purses)
        holds = [hold for _, hold in sorted(self.holds.items())]
        yield (pack("<16s16s16s16s32sqqBBHihh", *map(named, (h, h.payer, h.payee, h.third)), h.lock,
                    h.end, h.own, h.state, h.counted, len(h.legs), *h.period) for h in holds)
        yield (pack("<16sIIq", named(h), p.programme.number, p.index, part) for h in holds for p, part in h.legs)
        yield (pack("<16s16s16s16sqBBihh", *map(named, (t, t.source, t.via, t.to)), t.amount, t.state,
                    t.counted, *t.period) for _, t in sorted(self.transits.items()))
        batches = sorted(self.batches.items())
        yield (pack("<IHHIq", n, b.currency, b.state, len(b.payments), b.total) for n, b in batches)
        yield (pack("<I16s16sq", n, named(giver), named(taker), amount)
               for n, b in batches if b.state == OPEN for giver, taker, amount in b.payments)
        yield (pack("<16s16sBBB32sIqq", ident(id), ident(g.person), g.role, g.algorithm, g.revoked, g.key, g.operator,
                    g.from_ns, g.until_ns) for id, g in sorted(self.grants.items()))
        yield iter([pack("<IB", self.version, self.authority)])
        bound = sorted(self.bound.items())
        yield (pack("<16sHHq", named(b), b.kind, CODES.index(b.code), b.refunded) for _, b in bound)
    def issuance(self, currency: int) -> Any:
        return next((a for a in self.accounts.values() if (a.kind, a.currency) == (ISSUANCE, currency)), None)
    def supply(self) -> dict[int, int]:
        """Money in circulation in minor units, by currency."""
        return {number: -row.balance for number in sorted(self.currencies) if (row := self.issuance(number))}
    def faults(self) -> Iterator[str]:
        """What does not hold, recomputed: a sentence each."""
        sums: dict[int, int] = defaultdict(int)  # per currency
        expected: dict[Row, list[int]] = defaultdict(lambda: [0, 0, 0])  # pending debits, credits; under way
        for hold in self.holds.values():
            expected[hold.payer][0] += hold.own
            expected[hold.payee][1] += hold.held
            for purse, part in hold.legs: expected[purse][0] += part
            if hold.state != OPEN and hold.held: yield f"hold {hold.id:032x} is done and still holds {hold.held}"
        for transit in self.transits.values():
            if transit.state == OPEN:
                expected[transit.to][1] += transit.amount
                expected[transit.via][2] += transit.amount
        for a in self.accounts.values():
            sums[a.currency] += a.balance
            pending, name = [a.debits_pending, a.credits_pending], f"account {a.id:032x}"
            if a.kind != ISSUANCE and a.available < 0: yield f"{name} has {a.available} available"
            if min(a.debits, a.credits, *pending, *a.used) < 0: yield f"{name} has an amount below zero"
            if pending != expected[a][:2]: yield f"{name} has {pending} pending, not {expected[a][:2]}"
            if a.kind == IN_TRANSIT and a.balance != expected[a][2]:
                yield f"{name} holds {a.balance}, but {expected[a][2]} are on their way"
        for programme in self.programmes.values():
            for purse in programme.purses:
                sums[programme.funder.currency] += purse.balance + purse.pending
                if purse.balance < 0 or purse.pending != expected[purse][0]:
                    yield f"purse {purse.index} of programme {programme.number} has {purse.balance} left"
        yield from (f"currency {number} comes to {rest} in all, not to 0" for number, rest in sums.items() if rest)

def ident(id: int) -> bytes:
    """An id as 16 bytes."""
    return id.to_bytes(16, "little")

def named(row: Row | None) -> bytes:
    """The id of a row, or zeros."""
    return ident(row.id if row else 0)

def version(r: Rules | None) -> bytes:
    """A version of a rule set in the state digest, §12."""
    if not r: return bytes(102)
    return struct.pack("<H4H16s9qI", r.flags, *r.groups, ident(r.home), r.from_ns, r.until_ns, r.balance, r.single,
                       r.day, r.month, r.year, r.reserve, r.effective_ns, r.window_s)
