"""Independent checker: read a ledger's journal and recompute all of it.

Imports nothing of Sycee; written from docs/reference: ledger.md (§ is a section of it) for the meaning of a journal,
journal.md for its bytes. Codes, purposes, kinds, fields and digested rows are read from the tables of these pages. The
code is short rather than fast, so that an auditor can read it in an evening. It ignores signatures and a tail cut by a
power loss. Run `python tools/checker.py FOLDER [--per-frame]`. Exit code 0: the journal is right; 3: it is wrong, and
the output names the frame; 2: the folder contains no journal; 1: a page or a library is missing.
"""
# Formatted by hand, with short bodies on one line, so that an operation fits one glance.
# fmt: off
# ruff: noqa: D101, D102, D103, E701

import argparse
import re
import struct
import sys
from collections import Counter, namedtuple
from hashlib import sha256
from pathlib import Path

try:
    from blake3 import blake3
    from xxhash import xxh3_64_digest, xxh3_128_digest
except ImportError as error: sys.exit(f"error: {error.name} is missing: run `python3 -m pip install blake3 xxhash`, or "
                                      "run the checker with the Python in which Sycee is installed.")

MOST, LINKED, PERIODS = 2**63 - 1, 0x8000, ("day", "month", "year")
ISSUANCE, SUSPENSE, RESERVE, VAULT, _, WALLET, _, IN_TRANSIT = range(1, 9)  # kinds of accounts
EMPTY, DROPPED, CLAIMED, EXPIRED = range(4)  # states of purses
OPEN, POSTED, VOIDED, TIMED_OUT = range(4)  # states of holds; transits are OPEN, then 1 or 2

# Tables of the pages. Codes are in order of precedence.
PAGES = Path(__file__).resolve().parents[1] / "docs" / "reference"
try: LEDGER, ANSWERS = ((PAGES / name).read_text(encoding="utf-8") for name in ("ledger.md", "result-codes.md"))
except OSError as error: sys.exit(f"error: {error.filename} is missing: the checker reads its tables from there. Run "
                                  "it inside a clone of Sycee, or copy docs/reference next to the checker's folder.")
def listed(pattern, text):
    return re.findall(pattern, text, re.MULTILINE) or sys.exit(f"A page does not match {pattern}")
PARTS = re.split(r"^## \d+\. ", LEDGER, flags=re.MULTILINE)  # by number of the section
CODES = {code: int(number) for code, number in listed(r"^\| `(\w+)` \| (\d+) \|", ANSWERS)}
PURPOSES = {purpose: int(number) for purpose, number in listed(r"\| ([A-Z_]+) \| (\d+) (?=\|)", PARTS[6])}
TYPES = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i16": "h", "i32": "i", "i64": "q", "id": "16s", "bytes": "s"}
FIELDS = {name: (many + TYPES[type], int(start)) for start, many, type, name in listed(  # of a record: format, position
    r"(\d+)–\d+ \| (?:(\d+) (?:× )?)?(\w+) \| `(\w+)`", PARTS[1] + PARTS[4])}
FIELDS["home"] = FIELDS["return"]  # a Python keyword
ROWS = [[(name, many + TYPES[type]) for name, many, type in listed(r"`(\w+)` (?:(\d+) (?:× )?)?(\w+)", line)]
        for line in listed(r"^\d+\. .+", PARTS[12])]  # of each digested section: fields and formats
# Kinds of operations. For each field: minimum, maximum (0: unbounded), and the flag it needs.
Kind, KINDS = namedtuple("Kind", "name flags fields"), {}
for name, mark, number, flags, cell in listed(r"^\| ([A-Z_]+)( ⛓)? \| (\d+) \| ([\d, ]+) \| (.+) \|$", PARTS[1]):
    taken = {int(flag) | linked for flag in flags.split(",") for linked in (0, LINKED * bool(mark))}
    bounds = listed(r"`(\w+)`(?: (\d+)–(\d+))?(?: with flag (\d))?", cell.replace(",", ""))
    KINDS[int(number)] = Kind(name.lower(), taken, {field: [int(one or 0) for one in rest] for field, *rest in bounds})

class Wrong(Exception): """The journal is wrong; the text names the frame."""
class NoJournal(Wrong): """The folder contains no journal."""
class Refusal(Exception): """A refusal; the argument is the name of the code."""
def deny(*more, **reasons):  # raise Refusal with the first code whose reason is true
    codes = {code for each in (reasons, *more) for code, holds in each.items() if holds}
    if codes: raise Refusal(min(codes, key=[*CODES].index))
def find(table, key, code):  # the row under this key, or a refusal
    deny(**{code: key not in table})
    return table[key]
def ident(id): return id.to_bytes(16, "little")
def packed(layout, row):  # bytes for the state digest; a reference to a row is its id, or zeros
    if isinstance(row, list): return packed(layout[:1], row[0]) + b"".join(  # a rule set: its versions
        packed(layout[1:], version) for version in [*row, NONE][:2])
    values = []
    for field, form in layout:
        value = row.period[PERIODS.index(field)] if field in PERIODS else getattr(row, field)
        if form == "16s": value = ident(value if isinstance(value, int) else value.id if value else 0)
        values += value if isinstance(value, tuple) else [value]
    return struct.pack("<" + "".join(form for _, form in layout), *values) + b"".join(map(ident, sorted(row.ids)))

class Row:  # any row of the ledger; changes of fields are logged for chains
    log, ids = [], ()
    def __init__(self, **fields): vars(self).update(fields)
    def __setattr__(self, name, value):
        Row.log.append((vars(self), name, getattr(self, name, None)))
        vars(self)[name] = value

class Operation(Row):  # one record, §1, whose fields are parsed on access; and the result bound to its id, §2
    revoked = bulk = refunded = filled = sealed = seal = final = 0
    legs, name = (), property(lambda self: KINDS[self.kind].name if self.kind in KINDS else "")
    def __getattr__(self, field):
        if field not in FIELDS: raise AttributeError(field)
        form, start = FIELDS[field]
        values = struct.unpack_from(f"<{form}", self.raw, start)
        value = int.from_bytes(values[0], "little") if form == "16s" else values if form == "4H" else values[0]
        return vars(self).setdefault(field, value)
    def uses(self):  # the fields used by its kind, with these flags and numbers
        idle = {"grant_role": {1: ["count"], 2: ["number"]}.get(self.first, ["count", "number"]),
                "set_key": ["key"] * (not self.flags),
                "open_account": ["credit"] * (self.first in (ISSUANCE, SUSPENSE)),
                "add_members": ["note", *(f"member_{index}" for index in range((self.count or 5) + 1, 6))]}
        used = {field for field, (*_, flag) in KINDS[self.kind].fields.items() if not flag or self.flags & flag}
        return (used | {"note"}) - {*idle.get(self.name, ())}
    def check(self, bound):  # refuse a malformed record or a bound id, §2
        deny(ID_MUST_NOT_BE_ZERO=not self.id, KIND_UNKNOWN=self.kind not in KINDS)
        (name, flags, fields), uses, rest, old = KINDS[self.kind], self.uses(), bytearray(self.raw), bound.get(self.id)
        for form, start in map(FIELDS.get, uses): struct.pack_into(f"{struct.calcsize(form)}s", rest, start, b"")
        beyond = {each for each, (low, high, _) in fields.items() if high and not low <= getattr(self, each) <= high}
        free = {"link_account": {"credit"}, "add_members": uses if "count" in beyond else set()}.get(name, set())
        rules, both = self if name == "define_rule_set" else FREE, {"debit", "credit"} <= uses and "holds" not in name
        same = self.debit == self.credit or (name == "send" and self.reference in (self.debit, self.credit))
        first = {"open_account": "ACCOUNT_KIND_UNKNOWN", "grant_role": "ROLE_UNKNOWN"}.get(name, "REASON_UNKNOWN")
        deny({first: "first" in beyond}, FLAGS_UNKNOWN=self.flags not in flags, FIELD_MUST_BE_ZERO=any(rest[24:]),
             AMOUNT_MUST_BE_POSITIVE=("amount" in uses and self.amount <= 0) or min(
                 getattr(rules, field) for field in FIELDS if field.endswith(("_max", "_reserve"))) < 0,
             ACCOUNT_ID_MUST_NOT_BE_ZERO=not all(
                 getattr(self, field) for field in uses - {"note", *free} if FIELDS[field][0] == "16s"),
             NUMBER_OUT_OF_RANGE={"number", "rule_set"} & beyond or max(rules.groups) > 4096,
             ACCOUNTS_MUST_BE_DIFFERENT=both and same, COUNT_OUT_OF_RANGE="count" in beyond,
             WINDOW_MUST_END_AFTER_START="from_ns" in uses and self.until_ns <= self.from_ns,
             ZONE_MUST_NOT_BE_EMPTY={"zone", "release"} & uses and not self.raw[32],
             KEY_MUST_NOT_BE_ZERO="key" in uses and not any(self.key),
             EXISTS=old, EXISTS_WITH_DIFFERENT_CONTENT=old and old.raw != self.raw)
NONE, FREE = (Operation(raw=bytes(104) + struct.pack("<q16x", end)) for end in (0, MOST))  # rules: all zero, no limit

class Account(Row):  # §3
    debits = credits = pending = credits_pending = debit_reasons = credit_reasons = closed = dropped = returned = 0
    last, epoch, algorithm, key, link, used, period, pays = 0, 0, 0, bytes(32), None, (0, 0, 0), (0, 0, 0), "PAY_OWN"
    balance = property(lambda row: row.credits - row.debits)
    spare = property(lambda row: 2**65 if row.kind == ISSUANCE else row.credits - row.debits - row.pending)
    out = property(lambda row: row.debits - row.returned + row.pending)  # neither this nor the next may overflow
    into = property(lambda row: row.credits - row.dropped + row.credits_pending)
    takes = property(lambda row: not row.closed and not row.credit_reasons)
class Purse(Account):  # money of one member in one programme, §5; its balance is the rest of it
    kind, state, member, wallet, pays, balance = 0, EMPTY, 0, None, "PAY_PURSE", Account.spare
    spent, refunded = property(lambda row: row.debits - row.returned), property(lambda row: row.credits - row.dropped)
class Hold(Row):  # §7; legs: source and reserved amount; the last is own money, which may be 0
    own, held = property(lambda row: row.legs[row.payer]), property(lambda row: sum(row.legs.values()))
    purses = property(lambda row: len(row.legs) - 1)

# Reasons for refusals: code to condition.
def matching(*parties, also=()):  # accounts that do not match; also: rows whose currency counts
    return {"CURRENCIES_MUST_MATCH": len({row.currency for row in (*parties, *also)}) > 1,
            "ACCOUNT_IS_IN_TRANSIT": IN_TRANSIT in [row.kind for row in parties]}
def giving(row, amount, always=False):  # always: even from a closed or blocked account
    return {"DEBIT_ACCOUNT_CLOSED": row.closed and not always, "OVERFLOWS_DEBITS": row.out + amount > MOST,
            "DEBIT_ACCOUNT_BLOCKED": row.debit_reasons and not always}
def taking(row, amount, always=False):
    return {"CREDIT_ACCOUNT_CLOSED": row.closed and not always, "OVERFLOWS_CREDITS": row.into + amount > MOST,
            "CREDIT_ACCOUNT_BLOCKED": row.credit_reasons and not always}
def landing(account, purpose):  # account and purpose of a credit: the suspense account replaces a closed or blocked one
    return (account, purpose) if account.takes else (account.suspense, purpose.removesuffix("_OWN") + "_SUSPENSE")
def counted(account, amount):  # data to subtract an amount from the account's limits later
    counts = amount > 0 and account.rule_set > 0
    return {"counted": counts, "period": account.period if counts else (0, 0, 0)}

class Ledger(Row):  # one method per kind: refuse, or apply the operation
    def __init__(self):
        self.currencies, self.issuance, self.groups, self.rule_sets, self.accounts, self.purses = {}, {}, {}, {}, {}, []
        self.programmes, self.holds, self.transits, self.batches, self.grants, self.bound = {}, {}, {}, {}, {}, {}
        self.moved, self.newest, self.version, self.authority, self.movement_digest = 0, 0, 0, 0, bytes(32)
    # --- Frames, ids and chains, §2, §9
    def frame(self, sequence, now, calendar, records):
        self.now, self.calendar, self.made, chain, codes = now, calendar, [], [], []
        for versions in self.rule_sets.values():
            if versions[-1].effective_ns <= now: del versions[:-1]
        self.authority |= self.officers() >= 2
        ended = [hold for hold in self.holds.values() if hold.state == OPEN and hold.end <= now]
        for hold in sorted(ended, key=lambda hold: hold.end): self.let_go(hold, TIMED_OUT)
        for raw in records:
            chain.append(Operation(raw=raw))
            if not chain[-1].flags & LINKED or len(codes) + len(chain) == len(records):
                codes += self.answers(chain, sequence * 8192 + len(codes))
                chain = []
        said = struct.pack(f"<Q{len(codes)}H", sequence, *map(CODES.get, codes)) + b"".join(self.made)
        if records: self.movement_digest = blake3(self.movement_digest + said).digest()
    def answers(self, chain, place):  # of a chain; a single operation is a chain of one
        Row.log.clear()
        codes, made, last = [self.attempt(op.check, self.bound) for op in chain], len(self.made), chain[-1]
        if last.flags & LINKED: codes[-1] = codes[-1] or "CHAIN_OPEN"
        elif len(chain) > 1 and not codes[-1] and LINKED not in KINDS[last.kind].flags: codes[-1] = "CANNOT_BE_LINKED"
        if any(codes): return [code or "CHAIN_BROKEN" for code in codes]
        for index, op in enumerate(chain):
            repeats = op.id in self.bound
            codes[index] = "CHAIN_REPEATS_AN_ID" if repeats else self.run(op, place + index)
            if codes[index] != "CREATED": break
        else: return codes
        for fields, name, before in reversed(Row.log): fields[name] = before
        for table in (self.bound, self.holds, self.transits):
            for each in chain: table.pop(each.id, None)
        del self.made[made:]
        codes = [codes[index] if each is op else "CHAIN_BROKEN" if repeats else "LINKED_FAILED" for each in chain]
        for each, code in zip(chain, codes, strict=True):
            if not repeats and each.id not in self.bound: self.run(each, place, code)
        return codes
    def attempt(self, method, *arguments):  # the code of the refusal, or None
        try: method(*arguments)
        except Refusal as refusal: return str(refusal)
        return ""
    def run(self, op, place, code=""):  # bind the id to this code, or to the result of applying it
        self.place, self.leg, self.legs = place, 0, []
        code = code or self.attempt(getattr(self, op.name), op) or "CREATED"
        op.result, op.bound_ns, op.legs, self.bound[op.id] = CODES[code], self.now, self.legs, op
        return code
    # --- Movements, §6, and limits, §4
    def move(self, debit, credit, purpose, amount):
        if not amount: return
        debit.debits, credit.credits = debit.debits + amount, credit.credits + amount
        if isinstance(debit, Purse) and purpose != "PAY_PURSE": debit.returned += amount
        if purpose == "DROP": credit.dropped += amount
        self.made.append(struct.pack(
            "<IIqqqqqQHHI", debit.row, credit.row, amount, debit.balance, credit.balance, debit.last, credit.last,
            self.place, PURPOSES[purpose], min(self.leg, 65535), 0))
        self.leg, self.moved = self.leg + 1, self.moved + 1
        debit.last = credit.last = self.moved
        if purpose in ("TRANSFER", "PAY_OWN", "PAY_PURSE"): self.legs.append((debit, credit, amount))
    def account(self, id, code="ACCOUNT_NOT_FOUND"): return find(self.accounts, id, code)
    def parties(self, op):
        return self.account(op.debit, "DEBIT_ACCOUNT_NOT_FOUND"), self.account(op.credit, "CREDIT_ACCOUNT_NOT_FOUND")
    def rules(self, owner): return self.rule_sets[owner.rule_set][0] if owner.rule_set else FREE
    def in_force(self, owner): return self.rules(owner).from_ns <= self.now < self.rules(owner).until_ns
    def reach(self, owner, payee):  # reasons against paying this payee
        rules, groups = self.rules(owner), [self.groups[group] for group in self.rules(owner).groups if group]
        return {"PAYEE_NOT_ALLOWED": groups and not any(payee.id in group.ids for group in groups),
                "PERSONS_NOT_ALLOWED": rules.flags & 1 and payee.kind == WALLET,
                "CASH_OUT_NOT_ALLOWED": rules.flags & 2 and payee.kind in (RESERVE, VAULT)}
    def limits(self, row, amount, single=True):  # reasons against paying this amount of own money
        if not amount: return {}
        rules, periods = self.rules(row), zip(PERIODS, self.using(row, amount)[0], strict=True)
        limits = {f"EXCEEDS_{name}_LIMIT".upper(): 0 < getattr(rules, f"{name}_max") < used
                  for name, used in [("single", amount * single), *periods]}
        return {**limits, "EXCEEDS_BALANCE": amount > row.spare,
                "RESERVED_FOR_REFUNDS": amount > row.spare - rules.refund_reserve}
    def using(self, account, amount):  # use of the current periods including this amount; their numbers
        today, before = self.calendar.get(account.currency, (0, 0, 0)), account.period
        used = (amount + used * (now <= then) for now, then, used in zip(today, before, account.used, strict=True))
        return tuple(used), tuple(map(max, today, before))
    def use_up(self, account, amount):
        if account.rule_set and amount: account.used, account.period = self.using(account, amount)
    def use_back(self, account, amount, row):  # subtract the use of a hold or transit
        periods = zip(account.used, account.period, row.period, strict=True)
        if row.counted: account.used = tuple(used - amount * (now == then) for used, now, then in periods)
    def over(self, row, amount=0):  # excess over the highest balance
        return (most := self.rules(row).balance_max) and row.into - row.debits + amount - most
    def receiving(self, row, amount, way=None):  # reasons against receiving; way: transit account for an excess
        return taking(row, amount) | {"RULE_SET_NOT_IN_FORCE": not self.in_force(row),
                                      "EXCEEDS_BALANCE_LIMIT": not way and self.over(row, amount) > 0}
    def way_out(self, account, amount, held=0):  # the IN_TRANSIT account of a waterfall; held: pending amount that ends
        way = account.link
        if not way or not way.takes or way.link in (None, account): return None
        bank, excess = way.link, min(amount, self.over(account, amount - held))
        barred = not bank.takes or not self.in_force(bank) or any(self.reach(account, bank).values())
        if barred or max(account.out, way.into, bank.into) + amount > MOST or self.over(bank, excess) > 0: return None
        return way
    def spill(self, op, account, way):  # the waterfall
        excess = min(op.amount, self.over(account))
        if way and excess > 0: self.depart(op, "WATERFALL", account, way, way.link, excess)
    def depart(self, op, purpose, source, via, to, amount):  # a transit, §8
        self.move(source, via, purpose, amount)
        to.credits_pending += amount
        self.transits[op.id] = Row(id=op.id, source=source, via=via, to=to, amount=amount, state=OPEN,
                                   **counted(source, amount * (purpose == "SEND")))
    # --- Definitions and accounts, §3, §4
    def define_currency(self, op):
        deny(CURRENCY_EXISTS=op.number in self.currencies, TOO_MANY_CURRENCIES=len(self.currencies) >= 16)
        self.currencies[op.number] = op
    def define_group(self, op):
        deny(GROUP_EXISTS=op.number in self.groups)
        self.groups[op.number] = Row(number=op.number, members=0, ids=set())
    def join_group(self, op):
        group, account = find(self.groups, op.number, "GROUP_NOT_FOUND"), self.account(op.debit)
        (group.ids.add if op.name == "join_group" else group.ids.discard)(account.id)
        group.members = len(group.ids)
    def define_rule_set(self, op):
        home, versions = self.accounts.get(op.home), self.rule_sets.get(op.number, [])[:1]  # the version in effect
        later, windows = op.effective_ns > self.now, {(row.from_ns, row.until_ns, row.home) for row in (*versions, op)}
        deny(GROUP_NOT_FOUND={*op.groups} - {0, *self.groups}, RULE_SET_EXISTS=versions and not later,
             RULE_SET_NOT_FOUND=not versions and later, RULE_SET_MUST_KEEP_WINDOW=len(windows) > 1,
             RETURN_ACCOUNT_NOT_FOUND=op.home and (not home or home.kind == IN_TRANSIT))
        setattr(op, "refund_reserve" if op.flags & 8 else "payment_min", 0)  # the same bytes
        self.rule_sets[op.number] = [*versions, op]
    def open_account(self, op):
        to = self.accounts.get(op.credit)
        fits = to and to.kind == SUSPENSE and to.currency == op.number and to.operator in (0, op.count)
        deny(CURRENCY_NOT_FOUND=op.number not in self.currencies, ACCOUNT_EXISTS=op.debit in self.accounts,
             RULE_SET_NOT_FOUND=op.rule_set not in {0, *self.rule_sets}, SUSPENSE_NOT_FOUND=op.credit and not fits,
             ISSUANCE_EXISTS=op.first == ISSUANCE and op.number in self.issuance)
        new = self.accounts[op.debit] = Account(row=len(self.accounts), id=op.debit, currency=op.number, kind=op.first,
                                                operator=op.count, rule_set=op.rule_set, purses=[])
        new.suspense = to or new
        if op.first == ISSUANCE: self.issuance[op.number] = new
    def changing(self, op, *kinds):  # the account to change; accounts of some kinds may not be changed
        account = self.account(op.debit)
        deny(ACCOUNT_MUST_STAY_OPEN=account.kind in kinds, ACCOUNT_CLOSED=account.closed)
        return account
    def block_account(self, op):
        account, reason = self.changing(op, SUSPENSE), 1 << op.first - 1
        for side in ["debit_reasons"] * (op.flags & 1) + ["credit_reasons"] * (op.flags >> 1):
            setattr(account, side, getattr(account, side) & ~reason | reason * (op.name == "block_account"))
    def close_account(self, op):
        account = self.changing(op, SUSPENSE, ISSUANCE)
        deny(ACCOUNT_NOT_EMPTY=account.balance or account.pending or account.credits_pending)
        account.closed = op.first
    def set_rule_set(self, op):
        deny(RULE_SET_NOT_FOUND=op.rule_set not in {0, *self.rule_sets})
        self.changing(op).rule_set = op.rule_set
    def set_key(self, op):
        account = self.changing(op)
        account.key, account.algorithm, account.epoch = op.key, op.flags, account.epoch + 1
    def link_account(self, op):
        account, to = self.account(op.debit), self.account(op.credit, "CREDIT_ACCOUNT_NOT_FOUND") if op.credit else None
        deny(CURRENCIES_MUST_MATCH=to and account.currency != to.currency, ACCOUNT_CLOSED=account.closed,
             LINK_KIND_WRONG=to and (account.kind == IN_TRANSIT) == (to.kind == IN_TRANSIT))
        account.link = to
    # --- Programmes and payments, §3, §5
    def cohort(self, op):  # the programme of the operation and the purses of its range
        programme = find(self.programmes, op.number, "PROGRAMME_NOT_FOUND")
        if op.name == "claim": self.account(op.credit, "CREDIT_ACCOUNT_NOT_FOUND")
        early, end = op.name in ("add_members", "seal_cohort"), op.first + (op.count or 1)
        deny(COHORT_SEALED=early and programme.sealed, COHORT_NOT_SEALED=not early and not programme.sealed,
             SEAL_DIFFERS=op.name == "drop" and programme.seal != op.reference, MEMBER_NOT_FOUND=end > programme.count)
        return programme, programme.purses[op.first : end]
    def expired(self, programme): return self.now >= self.rules(programme).until_ns
    def open_programme(self, op):
        deny(RULE_SET_NOT_FOUND=op.rule_set not in self.rule_sets, PROGRAMME_EXISTS=op.number in self.programmes)
        home = self.account(self.rules(op).home, "RETURN_ACCOUNT_NOT_FOUND")
        funder = self.account(op.debit, "DEBIT_ACCOUNT_NOT_FOUND")
        deny(matching(funder, also=[home]))
        self.programmes[op.number], op.funder, op.currency, op.home = op, funder, funder.currency, home
        op.purses = [Purse(row=1 << 31 | len(self.purses) + index, programme=op, number=op.number, index=index,
                           currency=op.currency) for index in range(op.count)]
        self.purses += op.purses
    def add_members(self, op):
        programme, purses = self.cohort(op)
        deny(MEMBERS_OUT_OF_ORDER=op.first != programme.filled)
        for index, purse in enumerate(purses, 1): purse.member = getattr(op, f"member_{index}")
        programme.filled += op.count
    def seal_cohort(self, op):
        programme, _ = self.cohort(op)
        digest = blake3(b"".join(ident(purse.member) for purse in programme.purses)).digest()
        deny(COHORT_INCOMPLETE=programme.filled < programme.count, COHORT_DIGEST_DIFFERS=digest != op.digest)
        programme.sealed, programme.seal = 1, op.id
    def drop(self, op):
        programme, purses = self.cohort(op)
        fill, funder = [purse for purse in purses if purse.state == EMPTY], programme.funder
        total = op.amount * len(fill)
        deny(giving(funder, total), self.limits(funder, total, single=False), PROGRAMME_EXPIRED=self.expired(programme),
             EXCEEDS_BALANCE_LIMIT=0 < self.rules(programme).balance_max < op.amount)
        self.use_up(funder, total)
        for purse in fill:
            self.move(funder, purse, "DROP", op.amount)
            purse.state = DROPPED
    def claim(self, op):
        (programme, (purse,)), wallet = self.cohort(op), self.accounts[op.credit]
        deny(matching(wallet, also=[programme]), taking(wallet, 0), MEMBER_DIFFERS=purse.member != op.reference,
             PURSE_NOT_DROPPED=purse.state == EMPTY, PURSE_CLAIMED=purse.wallet,
             PROGRAMME_EXPIRED=self.expired(programme) or purse.state == EXPIRED,
             CLAIM_WINDOW_NOT_OPEN=self.now < programme.from_ns, CLAIM_WINDOW_CLOSED=self.now >= programme.until_ns,
             TOO_MANY_PURSES=sum(each.state != EXPIRED for each in wallet.purses) >= 16)
        purse.wallet, purse.state = wallet, CLAIMED
        wallet.purses.append(purse)
        wallet.purses.sort(key=lambda each: (self.rules(each.programme).until_ns, each.number, each.index))
    def payment(self, op, payer, payee):  # TRANSFER, PAY, HOLD: legs, own money last; account of a waterfall
        legs, own, way = {}, op.amount, self.way_out(payee, op.amount)
        for purse in [] if op.flags & 2 or op.name == "transfer" else payer.purses:
            part = min(purse.balance, self.rules(purse.programme).single_max or own, own)
            barred = any(self.reach(purse.programme, payee).values()) or not self.in_force(purse.programme)
            small = op.amount < self.rules(purse.programme).payment_min
            if part > 0 and purse.state == CLAIMED and not barred | small: own, legs[purse] = own - part, part
        legs[payer], mine = own, 0 if op.flags & 1 else own
        deny(matching(payer, payee), *(giving(row, op.amount) for row in legs), self.receiving(payee, op.amount, way),
             self.reach(payer, payee) if mine else {}, self.limits(payer, mine), {"EXCEEDS_BALANCE": own > mine})
        self.use_up(payer, mine)
        return legs, way
    def pay(self, op):
        payer, payee = self.parties(op)
        legs, way = self.payment(op, payer, payee)
        op.final = int(op.name == "transfer" and self.rules(payee).flags & 4 > 0)
        for row, part in legs.items(): self.move(row, payee, "TRANSFER" if op.name == "transfer" else row.pays, part)
        self.spill(op, payee, way)
    def expire(self, op):
        programme, purses = self.cohort(op)
        (home, purpose), rest = landing(programme.home, "RETURN"), [each for each in purses if each.state != EXPIRED]
        total, early = sum(purse.balance for purse in rest), not self.expired(programme)
        deny(taking(home, total, always=True), PROGRAMME_NOT_EXPIRED=early)
        for purse in rest:
            self.move(purse, home, purpose, purse.balance)
            purse.state = EXPIRED
    def returns(self, original, amount, word):  # movements that return the next part of an original payment
        at, end = 0, original.refunded + amount
        for giver, payee, part in reversed(original.legs):
            size, at = min(at + part, end) - max(at, original.refunded), at + part
            if size > 0 and isinstance(giver, Purse):
                yield payee, giver, f"{word}_PURSE", size
                if giver.state == EXPIRED or self.expired(giver.programme):
                    yield giver, *landing(giver.programme.home, "RETURN"), size
            elif size > 0: yield payee, *landing(giver, f"{word}_OWN"), size
    def refund(self, op):
        original, gated = find(self.bound, op.reference, "ORIGINAL_NOT_FOUND"), op.name == "refund"
        fits = original.name in ("pay", "post", "hold" if original.legs else "", "" if gated else "transfer")
        deny(ORIGINAL_IS_NOT_A_PAY=gated and not fits, ORIGINAL_NOT_REVERSIBLE=not fits or original.final,
             ORIGINAL_WAS_REFUSED=original.result)
        payee, word = original.legs[0][1], "REFUND" if gated else "REVERSAL"
        late = 0 < self.rules(payee).refund_window_s * 10**9 <= self.now - original.bound_ns
        deny(giving(payee, op.amount, always=not gated), *(
            taking(credit, op.amount, always=True) for _, credit, *_ in self.returns(original, op.amount, word)),
             REFUND_WINDOW_CLOSED=gated and late, EXCEEDS_BALANCE=gated and op.amount > payee.spare,
             EXCEEDS_REFUNDABLE=original.refunded + op.amount > original.amount)
        taken = max(0, min(op.amount, payee.spare))
        for movement in [*self.returns(original, taken, word)]: self.move(*movement)
        original.refunded, op.refunded = original.refunded + taken, op.amount - taken  # the rest is a claim on record
    # --- Holds, §7
    def hold(self, op):
        payer, payee = self.parties(op)
        third = self.account(op.reference, "RELEASER_NOT_FOUND") if op.flags & 4 else None
        deny(HOLD_MUST_END_LATER=op.until_ns <= self.now)
        legs, _ = self.payment(op, payer, payee)
        hold = self.holds[op.id] = Hold(
            id=op.id, number=len(self.holds), payer=payer, payee=payee, third=third, end=self.end(legs, op.until_ns),
            hash=op.hash if op.flags & 8 else b"", legs={}, **counted(payer, legs[payer]))
        self.keep(hold, legs)
    def end(self, legs, until): return min([until, *(self.rules(each.programme).until_ns for each in [*legs][:-1])])
    def keep(self, hold, legs, state=OPEN):  # set the reserved amounts of the legs
        hold.payee.credits_pending += sum(legs.values()) - hold.held
        for giver, part in legs.items(): giver.pending += part - hold.legs.get(giver, 0)
        hold.legs, hold.state = legs, state
    def let_go(self, hold, state):
        self.use_back(hold.payer, hold.own, hold)
        self.keep(hold, dict.fromkeys(hold.legs, 0), state)
    def named(self, op):  # the hold of a POST, VOID or EXTEND, if the requester may change it
        hold = find(self.holds, op.reference, "HOLD_NOT_FOUND")
        posters = [hold.third] if hold.third else [hold.payee] if hold.hash else [hold.payee, hold.payer]
        able = {"post": posters, "void": [hold.payee, hold.third], "extend": [hold.payer]}[op.name]
        deny(NOT_A_PARTY_TO_HOLD=op.debit not in [account.id for account in able if account],
             PREIMAGE_DIFFERS=op.name == "post" and hold.hash != (sha256(op.secret).digest() if op.flags & 2 else b""),
             HOLD_DONE=hold.state in (POSTED, VOIDED), HOLD_TIMED_OUT=hold.state == TIMED_OUT)
        return hold
    def post(self, op):
        hold, parts = self.named(op), {}
        deny(taking(hold.payee, 0), DEBIT_ACCOUNT_BLOCKED=hold.payer.debit_reasons, EXCEEDS_HELD=op.amount > hold.held)
        way = None if op.bulk else self.way_out(hold.payee, op.amount, hold.held if op.flags & 1 else op.amount)
        for giver, held in hold.legs.items(): parts[giver] = min(held, op.amount - sum(parts.values()))
        self.keep(hold, {giver: held - parts[giver] for giver, held in hold.legs.items()})
        for giver, part in parts.items(): self.move(giver, hold.payee, giver.pays, part)
        if op.flags & 1 or not hold.held: self.let_go(hold, POSTED)
        self.spill(op, hold.payee, way)
    def void(self, op): self.let_go(self.named(op), VOIDED)
    def extend(self, op):
        hold = self.named(op)
        deny(HOLD_MUST_END_LATER=self.end(hold.legs, op.until_ns) <= hold.end)
        hold.end = self.end(hold.legs, op.until_ns)
    def post_holds(self, op):  # each like a single POST or VOID
        first, last = (find(self.holds, id, "HOLD_NOT_FOUND") for id in (op.debit, op.credit))
        deny(HOLDS_OUT_OF_ORDER=first.number > last.number)
        for hold in [*self.holds.values()][first.number : last.number + 1]:
            each, made, self.legs = Operation(raw=op.raw, kind=op.kind - 3, bulk=True), self.bound[hold.id], []
            each.reference, each.debit, each.amount = hold.id, op.reference, hold.held
            if not self.attempt(getattr(self, each.name), each) and self.legs:
                made.amount, made.legs, made.bound_ns = each.amount, self.legs, self.now
    # --- Transits, §8
    def send(self, op):
        source, to = self.parties(op)
        via = self.account(op.reference, "TRANSIT_ACCOUNT_NOT_FOUND")
        amount = min(op.amount, source.spare - self.rules(source).refund_reserve) if op.flags & 1 else op.amount
        deny(matching(source, to, also=[via]), giving(source, amount), taking(via, amount), self.receiving(to, amount),
             self.reach(source, to), self.limits(source, amount), {"EXCEEDS_BALANCE": amount <= 0},
             TRANSIT_ACCOUNT_NOT_FOUND=via.kind != IN_TRANSIT)
        self.use_up(source, amount)
        self.depart(op, "SEND", source, via, to, amount)
    def confirm(self, op):
        transit, back = find(self.transits, op.reference, "TRANSIT_NOT_FOUND"), op.name == "reject"
        source, via, to, amount = transit.source, transit.via, transit.to, transit.amount
        taker, purpose = landing(source if back else to, op.name.upper())
        deny(giving(via, amount, always=True), taking(taker, 0 if taker is to else amount, always=True),
             TRANSIT_DONE=transit.state != OPEN)
        to.credits_pending, transit.state = to.credits_pending - amount, 2 if back else 1
        self.move(via, taker, purpose, amount)
        if back: self.use_back(source, amount, transit)
    # --- Settlement, §10
    def stage(self, op):
        giver, taker = self.parties(op)
        batch = self.batch(op.number) if op.number != self.newest + 1 else Row(
            number=op.number, operator=giver.operator, payments=[], count=0, sum=0)
        deny(matching(giver, taker), self.reach(giver, taker), OVERFLOWS_CREDITS=batch.sum + op.amount > MOST,
             BATCH_OF_ANOTHER_OPERATOR=batch.operator != giver.operator, TOO_MANY_PAYMENTS=batch.count == 2**30)
        batch.payments.append((giver, taker, op))
        batch.count, batch.sum, self.batches[op.number] = batch.count + 1, batch.sum + op.amount, batch
        self.newest = max(self.newest, op.number)
    def batch(self, number):  # an open batch; `newest` is the number of the newest, open or not
        return find(self.batches, number, "BATCH_NOT_FOUND" if number > self.newest else "BATCH_DONE")
    def settle(self, op):
        batch, payments, gives, gets = self.batch(op.number), [], Counter(), Counter()
        if not op.flags & 1: payments = batch.payments
        for giver, taker, each in payments: gives[giver], gets[taker] = (
            gives[giver] + each.amount, gets[taker] + each.amount)
        less, more = gives - gets, gets - gives  # the positive parts of the difference
        deny(*(giving(*each) for each in gives.items()), *(taking(*each) for each in gets.items()),
             *(self.receiving(*each) for each in more.items()), *(self.limits(*each, False) for each in less.items()),
             BATCH_OF_ANOTHER_OPERATOR=batch.operator != op.first,
             BATCH_DIFFERS=(op.count, op.amount) != (batch.count, batch.sum))
        for row, amount in less.items(): self.use_up(row, amount)
        for giver, taker, payment in payments: self.move(giver, taker, "SETTLEMENT", payment.amount)
        del self.batches[op.number]
    # --- Roles and rules, §11
    def officers(self, without=None):  # number of persons on the board now
        return len({each.debit for each in self.grants.values() if each is not without and not each.number
                    and each.first == 1 and not each.revoked and each.from_ns <= self.now < each.until_ns})
    def grant_role(self, op):
        rivals = [each for each in self.grants.values() if each.key == op.key and each.debit != op.debit
                  and not each.revoked and self.now < each.until_ns]
        deny(CURRENCY_NOT_FOUND=op.number not in {0, *self.currencies}, KEY_IS_ANOTHERS=rivals)
        self.grants[op.id] = op
        self.authority |= self.officers() >= 2
    def revoke_role(self, op):
        grant = find(self.grants, op.reference, "GRANT_NOT_FOUND")
        few = self.authority and grant.first == 1 and not grant.number and self.officers(without=grant) < 2
        deny(GRANT_REVOKED=grant.revoked, OFFICERS_MUST_REMAIN=few)
        grant.revoked = 1
    def upgrade(self, op):
        deny(RULES_NOT_NEWER=op.number <= self.version)
        self.version = op.number

    leave_group, unblock_account, transfer = join_group, block_account, pay  # the method checks the name
    reverse, void_holds, reject = refund, post_holds, confirm
    # --- State digest, §12, and invariants at the end
    def digest(self):
        def by(table): return [table[key] for key in sorted(table)]
        done = {last: Row(number=last, operator=0, count=0, sum=0, payments=[]) for last in [self.newest] if last}
        holds, batches = by(self.holds), by(done | self.batches)
        sections = [
            by(self.currencies), by(self.groups), by(self.rule_sets), by(self.accounts), by(self.programmes),
            sorted(self.purses, key=lambda purse: (purse.number, purse.index)), holds,
            [Row(id=hold.id, number=purse.number, index=purse.index, held=part)
             for hold in holds for purse, part in [*hold.legs.items()][:-1]],
            by(self.transits), batches, [each for row in batches for *_, each in row.payments],
            by(self.grants), [self], by(self.bound)]
        digest = blake3(b"sycee.state.v3")
        for layout, rows in zip(ROWS, sections, strict=True):
            digest.update(struct.pack("<Q", len(rows)) + b"".join(packed(layout, row) for row in rows))
        return digest.digest()
    def faults(self):  # violated invariants, a sentence each
        sums, rows = Counter(), [*self.accounts.values(), *self.purses]
        for row in rows: sums[row.currency] += row.credits - row.debits
        yield from (f"currency {number} comes to {rest} in all, not to 0" for number, rest in sums.items() if rest)
        yield from (f"the account or purse of row {row.row} has {row.spare} to give" for row in rows if row.spare < 0)

def sealed(raw, letters): return raw[:8] == letters and raw[-8:] == xxh3_64_digest(raw[:-8] + bytes(8))
def demand(where, **claims):  # each claim by its error if it is false
    for wrong, holds in claims.items():
        if not holds: raise Wrong(f"{where} is wrong: {wrong.replace('_', ' ')}.")
def frames(folder):
    """Yield every frame, checked by docs/reference/journal.md: sequence, movement digest, time, calendar, records."""
    paths = sorted(path for path in folder.glob("journal/*.segment") if re.fullmatch(r"\d{12}", path.stem))
    if not paths: raise NoJournal(f"error: {folder} contains no journal; give the folder of a ledger.")
    sequence, now, era, before, ledger = 1, 0, 1, b"", b""
    for number, path in enumerate(paths, 1):
        raw, at = path.read_bytes(), 4096
        form, size, owner, numbered, epoch, first, link = struct.unpack("<8xH2xI16sQI4xQ32s", raw[:88].ljust(88))
        before, ledger = before or blake3(owner).digest(), ledger or owner
        demand(f"Frame {sequence} ({path.name}, the segment's header)",
               it_is_damaged=sealed(raw[:4096], b"SYCEESEG"), a_newer_release_wrote_it=form == 1,
               the_file_has_another_size=size == len(raw) and size % 4096 == 0,
               it_does_not_continue_the_segment_before=number == numbered == int(path.stem) and epoch >= era
               and (owner, first, link) == (ledger, sequence, before))
        while any(raw[at : at + 4096]) or raw.count(0, at) < size - at:
            form, kind, length, place, time, acked, records, envelopes, known, entries, link, movements, body = (
                struct.unpack("<8xHHIQqQIIIH2x32s32s16s", raw[at : at + 136]))
            start, end, stop = at + 512, at + 512 + 128 * records + envelopes, at + length - 64
            trailer = b"SYCEEEND" + struct.pack("<QI4x16s16x", sequence, length, body)
            demand(f"Frame {sequence} ({path.name}, byte {at})",
                   its_header_is_damaged=sealed(raw[at:start], b"SYCEEFRM"),
                   a_newer_release_wrote_it=form == 1 and kind in (1, 2, 3),
                   it_does_not_continue_the_frame_before=(place, known, link) == (sequence, epoch, before)
                   and now < time and acked < sequence,
                   its_counts_cannot_be=(records > 0) == (kind == 1) and records <= 8064 and entries <= 16
                   and envelopes % 104 == 0 and (records or not envelopes) and length % 4096 == 0
                   and length <= 1 << 20 and end <= stop < end + 4096,
                   its_body_is_damaged=xxh3_128_digest(raw[start:stop]) == body and not any(raw[end:stop]),
                   its_trailer_is_damaged=raw[stop : stop + 64] == trailer + xxh3_64_digest(trailer + bytes(8)))
            calendar = struct.iter_unpack("<H2xiii", raw[at + 136 : at + 136 + 16 * entries])
            yield (sequence, movements, time, {currency: days for currency, *days in calendar},
                   [raw[place : place + 128] for place in range(start, start + 128 * records, 128)])
            before, sequence, now, at = blake3(raw[at : at + length]).digest(), sequence + 1, time, at + length
        era = epoch

Checked = namedtuple("Checked", "frames operations accounts movements supply state_digest movement_digest")
def check(folder, per_frame=None):
    """Recompute a journal; `per_frame` receives each frame's sequence, movement and state digest. Raises Wrong."""
    ledger, sequence, operations = Ledger(), 0, 0
    for sequence, claimed, now, calendar, records in frames(Path(folder)):
        if claimed != ledger.movement_digest:
            raise Wrong(f"Frame {sequence} or an earlier one is wrong: its header gives the movement digest "
                        f"{claimed.hex()}, the checker computes {ledger.movement_digest.hex()}.")
        try: ledger.frame(sequence, now, calendar, records)
        except struct.error as error: raise Wrong(f"Frame {sequence} is wrong: amounts do not fit: {error}.") from None
        operations += len(records)
        if per_frame: per_frame(sequence, ledger.movement_digest, ledger.digest())
    for fault in ledger.faults(): raise Wrong(f"After frame {sequence}, {fault}.")
    supply = {currency: -account.balance for currency, account in sorted(ledger.issuance.items())}
    return Checked(sequence, operations, len(ledger.accounts), ledger.moved, supply,
                   ledger.digest(), ledger.movement_digest)

def main(arguments=None):
    parser = argparse.ArgumentParser(description="Recompute everything in a ledger's journal.")
    parser.add_argument("folder", help="the ledger's folder, the one that holds `journal`")
    parser.add_argument("--per-frame", action="store_true", help="a line per frame: sequence, both digests")
    options = parser.parse_args(arguments)
    def line(sequence, *digests): print(sequence, *(digest.hex() for digest in digests))
    try: checked = check(options.folder, line if options.per_frame else None)
    except NoJournal as wrong:
        print(wrong, file=sys.stderr)
        return 2
    except (Wrong, OSError) as wrong:
        print(wrong)
        return 3
    for name, value in checked._asdict().items():
        print(f"{name.replace('_', ' '):<24}{value.hex() if isinstance(value, bytes) else value}")
    print("The journal is right. Compare the state digest with the one of `sycee verify`.")
    return 0

if __name__ == "__main__": sys.exit(main())
