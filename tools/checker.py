"""An independent checker: reads a ledger's journal and works out again everything that it says.

It imports nothing of the ledger and was written from docs/reference: ledger.md (§: a section of it) says what a
journal means, journal.md what its bytes are. Codes, purposes, kinds, fields and the rows of the state digest it reads
from the tables of those pages when it starts. It is slow and short, so that whoever mistrusts the ledger can read it
in an evening. Signatures are not its business, nor is an end that a power cut left: a start of the ledger settles that.

    python tools/checker.py FOLDER [--per-frame]

Exit code 0: all is as claimed; 3: it is not, and a sentence names the frame that is wrong.
"""
# Set by hand, with short bodies on the line of their head, so that one operation is seen at one glance.
# fmt: off
# ruff: noqa: D101, D102, D103, E701

import argparse
import re
import struct
import sys
from collections import Counter, namedtuple
from hashlib import sha256
from pathlib import Path

from blake3 import blake3
from xxhash import xxh3_64_digest, xxh3_128_digest

MOST, LINKED, PERIODS = 2**63 - 1, 0x8000, ("day", "month", "year")
ISSUANCE, SUSPENSE, RESERVE, VAULT, _, WALLET, _, IN_TRANSIT = range(1, 9)  # kinds of accounts
EMPTY, DROPPED, CLAIMED, EXPIRED = range(4)  # purses
OPEN, POSTED, VOIDED, TIMED_OUT = range(4)  # holds; transits and batches are OPEN, then 1 or 2

# What the pages themselves say
def page(name):
    path = Path(__file__).resolve().parents[1] / "docs" / "reference" / name
    try: return path.read_text(encoding="utf-8")
    except OSError as error: sys.exit(f"The checker goes by {path}, which cannot be read: {error.strerror}.")
def listed(pattern, text): return re.findall(pattern, text, re.MULTILINE)
PARTS = re.split(r"^## ", page("ledger.md"), flags=re.MULTILINE)  # by number of the section
# Result codes, the one that is given before others first; purposes of movements, §6.
CODES = {code: int(number) for code, number in listed(r"^\| `(\w+)` \| (\d+) \|", page("result-codes.md"))}
PURPOSES = {purpose: int(number) for purpose, number in listed(r"\| ([A-Z_]+) \| (\d+) (?=\|)", PARTS[6])}
FORMATS = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i16": "h", "i32": "i", "i64": "q", "id": "16s", "bytes": "s"}
# Format and place of all that a record can hold, §1 and §4.
FIELDS = {}
for start, end, name, many in listed(r"(\d+)–(\d+) \| `(\w+)`(?: (\d) × u16)?", PARTS[1] + PARTS[4]):
    size = int(end) + 1 - int(start)
    FIELDS[name] = f"{many}H" if many else {2: "H", 4: "I", 8: "q"}.get(size, f"{size}s"), int(start)
FIELDS["home"] = FIELDS["return"]  # a word of Python's own
# Kinds of operations, §1. Fields: the least and the most that each takes, 0 if it is not bounded, and the flag it needs.
Kind, KINDS = namedtuple("Kind", "name flags fields"), {}
for names, numbers, flags, cell in listed(r"^\| ([A-Z_, ⛓]+) \| ([\d, ]+) \| ([\d, ]+) \| (.+) \|$", PARTS[1]):
    known = {int(flag) | linked for flag in flags.split(",") for linked in (0, LINKED * ("⛓" in names))}
    bounds = listed(r"`(\w+)`(?: ([\d,]+)–([\d,]+))?(?: with flag (\d))?", cell)
    fields = {field: [int(each.replace(",", "") or 0) for each in least_most_flag] for field, *least_most_flag in bounds}
    for name, number in zip(names.replace(" ⛓", "").lower().split(", "), numbers.split(","), strict=True):
        KINDS[int(number)] = Kind(name, known, fields)
# Fields and formats of each section's rows, §12.
ROWS = [[(field, many + FORMATS[form]) for field, many, form in listed(r"`(\w+)` (?:(\d+) (?:× )?)?(\w+)", line)]
        for line in listed(r"^\d+\. .+", PARTS[12])]

class Wrong(Exception): """The journal is not what it claims to be; the text names the frame."""
class Refusal(Exception): """The ledger says no; the argument is the name of the code."""
def deny(*more, **reasons):  # refuses with the first of all codes whose reason holds
    codes = {code for each in (reasons, *more) for code, holds in each.items() if holds}
    if codes: raise Refusal(min(codes, key=[*CODES].index))
def find(table, key, code):  # what a table has under this key
    deny(**{code: key not in table})
    return table[key]
def ident(id): return id.to_bytes(16, "little")
def packed(layout, row):  # as the state digest has it; of another row its id, or zeros
    values = []
    for field, form in layout:
        value = row.period[PERIODS.index(field)] if field in PERIODS else getattr(row, field)
        if form == "16s": value = ident(value if isinstance(value, int) else value.id if value else 0)
        values += value if isinstance(value, tuple) else [value]
    return struct.pack("<" + "".join(form for _, form in layout), *values)

class Row:  # anything that the ledger keeps; its fields stand where it is made, and their changes are logged for chains
    log = []  # noqa: RUF012
    def __init__(self, **fields): vars(self).update(fields)
    def __setattr__(self, name, value):
        Row.log.append((vars(self), name, getattr(self, name, None)))
        vars(self)[name] = value

class Operation(Row):  # one record, §1, its fields read when they are asked for; and what is bound to its id, §2
    revoked, bulk, name = 0, False, property(lambda self: KINDS[self.kind].name if self.kind in KINDS else "")
    def __getattr__(self, field):
        if field not in FIELDS: raise AttributeError(field)
        form, start = FIELDS[field]
        values = struct.unpack_from(f"<{form}", self.raw, start)
        value = int.from_bytes(values[0], "little") if form == "16s" else values if form == "4H" else values[0]
        return vars(self).setdefault(field, value)
    def members(self):  # the fields that hold ids of members; all if their count cannot be
        return [f"member_{index + 1}" for index in range(self.count if 1 <= self.count <= 5 else 5)]
    def uses(self):  # the fields that are used with these flags
        used = {field for field, (*_, flag) in KINDS[self.kind].fields.items() if not flag or self.flags & flag}
        if self.name == "add_members": return {"number", "first", "count", *self.members()}
        idle = {"grant_role": {"count"} if self.first != 2 else (), "set_key": {"key"} if not self.flags else (),
                "open_account": {"credit"} if self.first in (ISSUANCE, SUSPENSE) else ()}
        return used - {*idle.get(self.name, ())} | {"note"}
    def check(self):  # refuses what is malformed, §2
        deny(ID_MUST_NOT_BE_ZERO=not self.id, KIND_UNKNOWN=self.kind not in KINDS)
        (name, flags, fields), uses, unused = KINDS[self.kind], self.uses(), bytearray(self.raw)
        for form, start in map(FIELDS.get, uses): struct.pack_into(f"{struct.calcsize(form)}s", unused, start, b"")
        beyond = {field for field, (least, most, _) in fields.items() if most and not least <= getattr(self, field) <= most}
        ids = {field for field in uses if FIELDS[field][0] == "16s"} - {"note", "credit" if name == "link_account" else ""}
        rules, both = self if name == "define_rule_set" else FREE, {"debit", "credit"} <= uses
        same = self.debit == self.credit or (name == "send" and self.reference in (self.debit, self.credit))
        first = {"open_account": "ACCOUNT_KIND_UNKNOWN", "grant_role": "ROLE_UNKNOWN"}.get(name, "REASON_UNKNOWN")
        deny({first: "first" in beyond}, FLAGS_UNKNOWN=self.flags not in flags, FIELD_MUST_BE_ZERO=any(unused[24:]),
             AMOUNT_MUST_BE_POSITIVE=("amount" in uses and self.amount <= 0) or min(
                 getattr(rules, field) for field in FIELDS if field.endswith("_max") or field == "refund_reserve") < 0,
             ACCOUNT_ID_MUST_NOT_BE_ZERO=not all(getattr(self, field) for field in ids if "count" not in beyond),
             ACCOUNTS_MUST_BE_DIFFERENT=both and same and not name.endswith("_holds"),
             NUMBER_OUT_OF_RANGE={"number", "rule_set"} & beyond or max(rules.groups) > 4096,
             COUNT_OUT_OF_RANGE="count" in beyond,
             WINDOW_MUST_END_AFTER_START="from_ns" in uses and self.until_ns <= self.from_ns,
             ZONE_MUST_NOT_BE_EMPTY={"zone", "release"} & uses and not self.raw[32],
             KEY_MUST_NOT_BE_ZERO="key" in uses and not any(self.key))
NONE, FREE = (Operation(raw=bytes(104) + struct.pack("<q16x", end)) for end in (0, MOST))  # rules: all zero, no limit

class Account(Row):  # §3
    debits = credits = pending = credits_pending = debit_reasons = credit_reasons = closed = last = 0
    algorithm, epoch, used, period, key, link, pays = 0, 0, (0, 0, 0), (0, 0, 0), bytes(32), None, "PAY_OWN"
    balance = property(lambda self: self.credits - self.debits)
    spare = property(lambda self: 2**65 if self.kind == ISSUANCE else self.balance - self.pending)  # what it can give
    takes = property(lambda self: not self.closed and not self.credit_reasons)
    out = property(lambda self: self.debits + self.pending)  # this must not overflow, nor the next
    into = property(lambda self: self.credits + self.credits_pending)
class Purse(Row):  # what one member holds of one programme, §5; its balance is what is left of it
    dropped = spent = refunded = returned = pending = member = last = 0
    state, wallet, pays = EMPTY, None, "PAY_PURSE"
    balance = property(lambda self: self.dropped - self.spent + self.refunded - self.returned - self.pending)
    out, into = property(lambda self: self.spent + self.pending), property(lambda self: self.refunded)
class Hold(Row):  # §7; the last leg is own money, which may be 0
    own, held = property(lambda self: self.legs[-1][1]), property(lambda self: sum(part for _, part in self.legs))
    purses = property(lambda self: len(self.legs) - 1)

def landing(account, purpose):  # where money for an account goes, and as what: its suspense account stands in for it
    return (account, purpose) if account.takes else (account.suspense, purpose.removesuffix("_OWN") + "_SUSPENSE")
def counted(account, amount):  # what is kept of an amount so that it can come back from what the account used up
    counts = amount > 0 and account.rule_set > 0
    return {"counted": counts, "period": account.period if counts else (0, 0, 0)}
def match(*parties, also=()):  # refuses accounts that are not made for each other; also: rows whose currency counts
    deny(CURRENCIES_MUST_MATCH=len({row.currency for row in (*parties, *also)}) > 1,
         ACCOUNT_IS_IN_TRANSIT=IN_TRANSIT in [row.kind for row in parties])
def judge(givers=(), takers=(), gives=None, gets=None, **others):
    """Refuse what is closed or blocked, then others, then totals that would become too great: amounts by row."""
    deny(DEBIT_ACCOUNT_CLOSED=any(row.closed for row in givers),
         CREDIT_ACCOUNT_CLOSED=any(row.closed for row in takers),
         DEBIT_ACCOUNT_BLOCKED=any(row.debit_reasons for row in givers),
         CREDIT_ACCOUNT_BLOCKED=any(row.credit_reasons for row in takers), **others,
         OVERFLOWS_DEBITS=any(row.out + amount > MOST for row, amount in (gives or {}).items()),
         OVERFLOWS_CREDITS=any(row.into + amount > MOST for row, amount in (gets or {}).items()))

class Ledger(Row):  # a method for each kind refuses, or does all that an operation asks
    def __init__(self):
        self.currencies, self.issuance, self.groups, self.rule_sets, self.accounts = {}, {}, {}, {}, {}
        self.programmes, self.holds, self.transits, self.batches, self.grants, self.bound = {}, {}, {}, {}, {}, {}
        self.operations = self.moved = self.purses = self.version = self.authority = 0
        self.movement_digest = bytes(32)

    # Frames, ids and chains, §2, §9
    def frame(self, sequence, now, calendar, records):
        self.now, self.calendar, self.made, chain, codes = now, calendar, [], [], []
        for versions in self.rule_sets.values():
            if versions.coming and versions.coming.effective_ns <= now:
                versions.current, versions.coming = versions.coming, None
        self.authority |= self.officers() >= 2
        ended = [hold for hold in self.holds.values() if hold.state == OPEN and hold.end <= now]
        for hold in sorted(ended, key=lambda hold: hold.end): self.let_go(hold, TIMED_OUT)
        for raw in records:
            chain.append(Operation(raw=raw))
            if not chain[-1].flags & LINKED or len(codes) + len(chain) == len(records):
                codes += self.answers(chain, sequence * 8192 + len(codes))
                chain = []
        said = struct.pack(f"<Q{len(codes)}H", sequence, *map(CODES.index, codes)) + b"".join(self.made)
        if records: self.movement_digest = blake3(self.movement_digest + said).digest()
        self.operations += len(records)
    def answers(self, chain, place):  # to a chain, or to an operation that stands alone
        Row.log.clear()
        codes, made = [self.attempt(self.known, op) for op in chain], len(self.made)
        if not chain[0].flags & LINKED: return [codes[0] or self.run(chain[0], place)]
        if chain[-1].flags & LINKED: codes[-1] = codes[-1] or "CHAIN_OPEN"
        elif not codes[-1] and LINKED not in KINDS[chain[-1].kind].flags: codes[-1] = "CANNOT_BE_LINKED"
        if any(codes): return [code or "CHAIN_BROKEN" for code in codes]
        for index, op in enumerate(chain):
            repeats = op.id in self.bound
            code = "CHAIN_REPEATS_AN_ID" if repeats else self.run(op, place + index)
            if code != "CREATED": break
        else: return ["CREATED"] * len(chain)
        for fields, name, before in reversed(Row.log): fields[name] = before
        for table in (self.bound, self.holds, self.transits):
            for each in chain: table.pop(each.id, None)
        del self.made[made:]
        self.legs, self.owed = [], 0
        codes = [code if each is op else "CHAIN_BROKEN" if repeats else "LINKED_FAILED" for each in chain]
        for each, answer in zip(chain, codes, strict=True):
            if not repeats and each.id not in self.bound: self.bind(each, answer)
        return codes
    def attempt(self, method, *arguments):  # the code of its refusal, or nothing
        try: method(*arguments)
        except Refusal as refusal: return str(refusal)
        return ""
    def known(self, op):  # refuses what is malformed or has an id that is bound
        op.check()
        deny(EXISTS=op.id in self.bound and self.bound[op.id].raw == op.raw,
             EXISTS_WITH_DIFFERENT_CONTENT=op.id in self.bound)
    def run(self, op, place):  # judged by the state, and its id bound
        self.place, self.leg, self.legs, self.owed = place, 0, [], 0
        code = self.attempt(getattr(self, op.name), op) or "CREATED"
        self.bind(op, code)
        return code
    def bind(self, op, code):
        op.result, op.refunded, op.legs, op.bound_ns = CODES.index(code), self.owed, self.legs, self.now
        self.bound[op.id] = op

    # Movements, §6, and limits, §4
    def move(self, debit, credit, purpose, amount):
        gave = "debits" if isinstance(debit, Account) else "spent" if purpose == "PAY_PURSE" else "returned"
        got = "credits" if isinstance(credit, Account) else "dropped" if purpose == "DROP" else "refunded"
        setattr(debit, gave, getattr(debit, gave) + amount)
        setattr(credit, got, getattr(credit, got) + amount)
        self.made.append(struct.pack(
            "<IIqqqqqQHHI", debit.row, credit.row, amount, debit.balance, credit.balance, debit.last, credit.last,
            self.place, PURPOSES.index(purpose), min(self.leg, 65535), 0))
        self.leg, self.moved = self.leg + 1, self.moved + 1
        debit.last = credit.last = self.moved
        if purpose in ("TRANSFER", "PAY_OWN", "PAY_PURSE"): self.legs.append((debit, credit, amount))
    def account(self, id, code="ACCOUNT_NOT_FOUND"): return find(self.accounts, id, code)
    def parties(self, op):
        return self.account(op.debit, "DEBIT_ACCOUNT_NOT_FOUND"), self.account(op.credit, "CREDIT_ACCOUNT_NOT_FOUND")
    def rules(self, owner): return self.rule_sets[owner.rule_set].current if owner.rule_set else FREE
    def in_force(self, owner): return self.rules(owner).from_ns <= self.now < self.rules(owner).until_ns
    def reach(self, owner, payee):  # what is against giving to the payee
        rules = self.rules(owner)
        allowed = not any(rules.groups) or any(group and payee.id in self.groups[group] for group in rules.groups)
        return {"PAYEE_NOT_ALLOWED": not allowed, "PERSONS_NOT_ALLOWED": rules.flags & 1 and payee.kind == WALLET,
                "CASH_OUT_NOT_ALLOWED": rules.flags & 2 and payee.kind in (RESERVE, VAULT)}
    def used(self, account):  # in this frame's periods; and their numbers
        today = self.calendar.get(account.currency, (0, 0, 0))
        used = (0 if now > then else used for now, then, used in zip(today, account.period, account.used, strict=True))
        return tuple(used), tuple(map(max, today, account.period))
    def spend(self, spends, full, single=True):
        """Giving these amounts, by account: refuse what limits forbid, or use them up. full: whoever receives is."""
        spends = {row: amount for row, amount in spends.items() if amount}
        given = [(amount, row.spare, self.rules(row), (0, *self.used(row)[0])) for row, amount in spends.items()]
        limits = {f"EXCEEDS_{name.upper()}_LIMIT": any(
            0 < getattr(rules, name) < used[index] + amount for amount, _, rules, used in given)
            for index, name in enumerate(("single", "day", "month", "year")) if single or name != "single"}
        deny(EXCEEDS_BALANCE=any(amount > spare for amount, spare, *_ in given),
             RESERVED_FOR_REFUNDS=any(amount > spare - rules.reserve for amount, spare, rules, _ in given),
             **limits, EXCEEDS_BALANCE_LIMIT=full)
        for row, amount in spends.items():
            if row.rule_set:
                used, row.period = self.used(row)
                row.used = tuple(each + amount for each in used)
    def use_back(self, account, amount, row):  # what a hold or a transit used up comes back
        periods = zip(account.used, account.period, row.period, strict=True)
        if row.counted: account.used = tuple(used - amount * (now == then) for used, now, then in periods)
    def too_full(self, row, amount): return 0 < self.rules(row).balance < row.into - row.debits + amount
    def excess(self, row, amount): return min(amount, row.into - row.debits - self.rules(row).balance)
    def way_out(self, account, amount, held=False):  # the IN_TRANSIT account of a waterfall; held: if it is pending now
        way = account.link if account.link and account.link.kind == IN_TRANSIT else None
        if not way or not way.takes or way.link in (None, account): return None
        bank, excess = way.link, min(amount, self.excess(account, amount) + amount * (not held))
        barred = not bank.takes or not self.in_force(bank) or any(self.reach(account, bank).values())
        overflows = max(account.out, way.into, bank.into) + amount > MOST
        return None if barred or overflows or self.too_full(bank, excess) else way
    def spill(self, op, account, way):  # the waterfall
        excess = self.excess(account, op.amount)
        if way and self.rules(account).balance and excess > 0:
            self.move(account, way, "WATERFALL", excess)
            self.depart(op, account, way, way.link, excess, 0)
    def depart(self, op, source, via, to, amount, uses):  # a transit, §8
        to.credits_pending += amount
        self.transits[op.id] = Row(id=op.id, source=source, via=via, to=to, amount=amount, state=OPEN,
                                   **counted(source, uses))

    # Definitions and accounts, §3, §4
    def define_currency(self, op):
        deny(CURRENCY_EXISTS=op.number in self.currencies, TOO_MANY_CURRENCIES=len(self.currencies) >= 16)
        self.currencies[op.number] = op
    def define_group(self, op):
        deny(GROUP_EXISTS=op.number in self.groups)
        self.groups[op.number] = set()
    def join_group(self, op):
        group, account = find(self.groups, op.number, "GROUP_NOT_FOUND"), self.account(op.debit)
        (group.add if op.name == "join_group" else group.discard)(account.id)
    leave_group = join_group
    def define_rule_set(self, op):
        home, versions = self.accounts.get(op.home), self.rule_sets.get(op.number)
        old = versions and versions.current
        deny(GROUP_NOT_FOUND={*op.groups} - {0, *self.groups}, RULE_SET_EXISTS=old and op.effective_ns <= self.now,
             RULE_SET_NOT_FOUND=not old and op.effective_ns > self.now, RULE_SET_MUST_KEEP_WINDOW=old and (
                 old.from_ns, old.until_ns, old.home) != (op.from_ns, op.until_ns, op.home),
             RETURN_ACCOUNT_NOT_FOUND=op.home and (not home or home.kind == IN_TRANSIT))
        self.rule_sets[op.number] = Row(number=op.number, current=old or op, coming=op if old else None)
    def open_account(self, op):
        suspense = self.accounts.get(op.credit)
        fits = not op.credit or (suspense and (suspense.kind, suspense.currency) == (SUSPENSE, op.number)
                                 and suspense.operator in (0, op.count))
        deny(CURRENCY_NOT_FOUND=op.number not in self.currencies,
             RULE_SET_NOT_FOUND=op.rule_set not in {0, *self.rule_sets}, ACCOUNT_EXISTS=op.debit in self.accounts,
             ISSUANCE_EXISTS=op.first == ISSUANCE and op.number in self.issuance, SUSPENSE_NOT_FOUND=not fits)
        account = self.accounts[op.debit] = Account(
            row=len(self.accounts), id=op.debit, currency=op.number, kind=op.first, operator=op.count,
            rule_set=op.rule_set, purses=[])
        account.suspense = suspense or account
        if op.first == ISSUANCE: self.issuance[op.number] = account
    def changing(self, op, *kinds):  # the account to be changed; those of some kinds must not be
        account = self.account(op.debit)
        deny(ACCOUNT_MUST_STAY_OPEN=account.kind in kinds, ACCOUNT_CLOSED=account.closed)
        return account
    def block_account(self, op):
        account, reason = self.changing(op, SUSPENSE), 1 << op.first - 1
        for side in ["debit_reasons"] * (op.flags & 1) + ["credit_reasons"] * (op.flags >> 1):
            setattr(account, side, getattr(account, side) & ~reason | reason * (op.name == "block_account"))
    unblock_account = block_account
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
        deny(CURRENCIES_MUST_MATCH=to and account.currency != to.currency,
             LINK_KIND_WRONG=to and (account.kind == IN_TRANSIT) == (to.kind == IN_TRANSIT))
        self.changing(op).link = to

    # Programmes and payments, §3, §5
    def cohort(self, op):  # the programme that it names and the purses of its range
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
        match(funder, also=[home])
        self.programmes[op.number] = op  # the programme itself
        op.funder, op.currency, op.home, op.filled, op.sealed, op.seal = funder, funder.currency, home, 0, 0, 0
        op.purses = [Purse(row=1 << 31 | self.purses + index, programme=op, number=op.number, index=index)
                     for index in range(op.count)]
        self.purses += op.count
    def add_members(self, op):
        programme, purses = self.cohort(op)
        deny(MEMBERS_OUT_OF_ORDER=op.first != programme.filled)
        for purse, field in zip(purses, op.members(), strict=True): purse.member = getattr(op, field)
        programme.filled += op.count
    def seal_cohort(self, op):
        programme, _ = self.cohort(op)
        members = b"".join(ident(purse.member) for purse in programme.purses)
        deny(COHORT_INCOMPLETE=programme.filled < programme.count,
             COHORT_DIGEST_DIFFERS=blake3(members).digest() != op.text)
        programme.sealed, programme.seal = 1, op.id
    def drop(self, op):
        programme, purses = self.cohort(op)
        fill, funder = [purse for purse in purses if purse.state == EMPTY], programme.funder
        total = {funder: op.amount * len(fill)}
        judge([funder], gives=total, PROGRAMME_EXPIRED=self.expired(programme))
        self.spend(total, 0 < self.rules(programme).balance < op.amount, single=False)
        for purse in fill:
            self.move(funder, purse, "DROP", op.amount)
            purse.state = DROPPED
    def claim(self, op):
        (programme, (purse,)), wallet = self.cohort(op), self.accounts[op.credit]
        deny(MEMBER_DIFFERS=purse.member != op.reference)
        match(wallet, also=[programme])
        judge([], [wallet], PURSE_NOT_DROPPED=purse.state == EMPTY, PURSE_CLAIMED=purse.wallet,
              PROGRAMME_EXPIRED=self.expired(programme) or purse.state == EXPIRED,
              CLAIM_WINDOW_NOT_OPEN=self.now < programme.from_ns, CLAIM_WINDOW_CLOSED=self.now >= programme.until_ns,
              TOO_MANY_PURSES=sum(each.state != EXPIRED for each in wallet.purses) >= 16)
        purse.wallet, purse.state = wallet, CLAIMED
        wallet.purses.append(purse)
        wallet.purses.sort(key=lambda each: (self.rules(each.programme).until_ns, each.number, each.index))
    def payment(self, op, payer, payee):  # of TRANSFER, PAY and HOLD: the legs, own money last; the way of a waterfall
        legs, own, way = [], op.amount, self.way_out(payee, op.amount)
        for purse in [] if op.flags & 2 or op.name == "transfer" else payer.purses:
            part = min(purse.balance, self.rules(purse.programme).single or own, own)
            barred = any(self.reach(purse.programme, payee).values()) or not self.in_force(purse.programme)
            if part > 0 and purse.state == CLAIMED and not barred:
                legs.append((purse, part))
                own -= part
        legs, mine = [*legs, (payer, own)], 0 if op.flags & 1 else own
        match(payer, payee)
        judge([payer], [payee], {giver: op.amount for giver, _ in legs}, {payee: op.amount},
              RULE_SET_NOT_IN_FORCE=not self.in_force(payee), **(self.reach(payer, payee) if mine else {}))
        deny(EXCEEDS_BALANCE=own > mine)
        self.spend({payer: mine}, not way and self.too_full(payee, op.amount))
        return legs, way
    def pay(self, op):
        payer, payee = self.parties(op)
        legs, way = self.payment(op, payer, payee)
        for giver, part in legs:
            if part: self.move(giver, payee, "TRANSFER" if op.name == "transfer" else giver.pays, part)
        self.spill(op, payee, way)
    transfer = pay
    def expire(self, op):
        programme, purses = self.cohort(op)
        (home, purpose), rest = landing(programme.home, "RETURN"), [each for each in purses if each.state != EXPIRED]
        judge(PROGRAMME_NOT_EXPIRED=not self.expired(programme), gets={home: sum(purse.balance for purse in rest)})
        for purse in rest:
            if purse.balance: self.move(purse, home, purpose, purse.balance)
            purse.state = EXPIRED
    def returns(self, original, amount, word):  # the movements that give the next so much of an original back
        at, end = 0, original.refunded + amount
        for giver, payee, part in reversed(original.legs):
            size = min(at + part, end) - max(at, original.refunded)
            at += part
            if size <= 0: continue
            if isinstance(giver, Account): yield payee, *landing(giver, f"{word}_OWN"), size
            else: yield payee, giver, f"{word}_PURSE", size
            if isinstance(giver, Purse) and (giver.state == EXPIRED or self.expired(giver.programme)):
                yield giver, *landing(giver.programme.home, "RETURN"), size
    def refund(self, op):
        original, gated = find(self.bound, op.reference, "ORIGINAL_NOT_FOUND"), op.name == "refund"
        fit = original.name in ("pay", "post", "hold" if original.legs else "", "" if gated else "transfer")
        deny(ORIGINAL_IS_NOT_A_PAY=gated and not fit, ORIGINAL_NOT_REVERSIBLE=not fit,
             ORIGINAL_WAS_REFUSED=original.result)
        payee, word = original.legs[0][1], "REFUND" if gated else "REVERSAL"
        late = 0 < self.rules(payee).window_s * 10**9 <= self.now - original.bound_ns
        judge([payee] if gated else [], [], {payee: op.amount},
              {credit: op.amount for _, credit, *_ in self.returns(original, op.amount, word)},
              REFUND_WINDOW_CLOSED=gated and late, EXCEEDS_REFUNDABLE=original.refunded + op.amount > original.amount)
        deny(EXCEEDS_BALANCE=gated and op.amount > payee.spare)
        taken = max(0, min(op.amount, payee.spare))
        for movement in [*self.returns(original, taken, word)]: self.move(*movement)
        original.refunded, self.owed = original.refunded + taken, op.amount - taken  # the rest is a claim on record
    reverse = refund

    # Holds, §7
    def hold(self, op):
        payer, payee = self.parties(op)
        third = self.account(op.reference, "RELEASER_NOT_FOUND") if op.flags & 4 else None
        deny(HOLD_MUST_END_LATER=op.until_ns <= self.now)
        legs, _ = self.payment(op, payer, payee)
        hold = self.holds[op.id] = Hold(
            id=op.id, number=len(self.holds), payer=payer, payee=payee, third=third, end=self.end(legs, op.until_ns),
            lock=op.hash if op.flags & 8 else b"", state=OPEN, legs=[(giver, 0) for giver, _ in legs],
            **counted(payer, legs[-1][1]))
        self.keep(hold, [part for _, part in legs])
    def end(self, legs, until): return min([until, *(self.rules(purse.programme).until_ns for purse, _ in legs[:-1])])
    def keep(self, hold, parts):  # from now on so much of each leg is held
        hold.payee.credits_pending += sum(parts) - hold.held
        for (giver, before), part in zip(hold.legs, parts, strict=True): giver.pending += part - before
        hold.legs = [(giver, part) for (giver, _), part in zip(hold.legs, parts, strict=True)]
    def let_go(self, hold, state):
        self.use_back(hold.payer, hold.own, hold)
        self.keep(hold, [0] * len(hold.legs))
        hold.state = state
    def named(self, op):  # the hold that a POST, VOID or EXTEND names, if whoever asks may do that to it
        hold = find(self.holds, op.reference, "HOLD_NOT_FOUND")
        posters = [hold.third] if hold.third else [hold.payee] if hold.lock else [hold.payee, hold.payer]
        able = {"post": posters, "void": [hold.payee, hold.third], "extend": [hold.payer]}[op.name]
        lock = sha256(op.secret).digest() if op.flags & 2 else b""
        deny(NOT_A_PARTY_TO_HOLD=op.debit not in [account.id for account in able if account],
             PREIMAGE_DIFFERS=op.name == "post" and lock != hold.lock,
             HOLD_DONE=hold.state in (POSTED, VOIDED), HOLD_TIMED_OUT=hold.state == TIMED_OUT)
        return hold
    def post(self, op):
        hold, sizes = self.named(op), []
        deny(CREDIT_ACCOUNT_CLOSED=hold.payee.closed, DEBIT_ACCOUNT_BLOCKED=hold.payer.debit_reasons,
             CREDIT_ACCOUNT_BLOCKED=hold.payee.credit_reasons, EXCEEDS_HELD=op.amount > hold.held)
        legs, way = hold.legs, None if op.bulk else self.way_out(hold.payee, op.amount, held=True)
        for _, part in legs: sizes.append(min(part, op.amount - sum(sizes)))
        self.keep(hold, [part - size for (_, part), size in zip(legs, sizes, strict=True)])
        for (giver, _), size in zip(legs, sizes, strict=True):
            if size: self.move(giver, hold.payee, giver.pays, size)
        if not hold.held: hold.state = POSTED
        if op.flags & 1: self.let_go(hold, POSTED)
        self.spill(op, hold.payee, way)
    def void(self, op): self.let_go(self.named(op), VOIDED)
    def extend(self, op):
        hold = self.named(op)
        deny(HOLD_MUST_END_LATER=self.end(hold.legs, op.until_ns) <= hold.end)
        hold.end = self.end(hold.legs, op.until_ns)
    def post_holds(self, op):  # each as by a POST or VOID of its own
        first, last = (find(self.holds, id, "HOLD_NOT_FOUND") for id in (op.debit, op.credit))
        deny(HOLDS_OUT_OF_ORDER=first.number > last.number)
        for hold in [*self.holds.values()][first.number : last.number + 1]:
            each, made, self.legs = Operation(raw=op.raw, kind=op.kind - 3, bulk=True), self.bound[hold.id], []
            each.reference, each.debit, each.amount = hold.id, op.reference, hold.held
            if not self.attempt(getattr(self, each.name), each) and self.legs:
                made.amount, made.legs, made.bound_ns = each.amount, self.legs, self.now
    void_holds = post_holds

    # Money on its way, §8
    def send(self, op):
        source, to = self.parties(op)
        via = self.account(op.reference, "TRANSIT_ACCOUNT_NOT_FOUND")
        deny(TRANSIT_ACCOUNT_NOT_FOUND=via.kind != IN_TRANSIT)
        amount = min(op.amount, source.spare - self.rules(source).reserve) if op.flags & 1 else op.amount
        match(source, to, also=[via])
        judge([source], [to, via], {source: amount}, {to: amount, via: amount},
              RULE_SET_NOT_IN_FORCE=not self.in_force(to), **self.reach(source, to))
        deny(EXCEEDS_BALANCE=amount <= 0)
        self.spend({source: amount}, self.too_full(to, amount))
        self.move(source, via, "SEND", amount)
        self.depart(op, source, via, to, amount, amount)
    def confirm(self, op):
        transit, back = find(self.transits, op.reference, "TRANSIT_NOT_FOUND"), op.name == "reject"
        source, via, to, amount = transit.source, transit.via, transit.to, transit.amount
        taker, purpose = landing(source if back else to, op.name.upper())
        judge(TRANSIT_DONE=transit.state != OPEN, gives={via: amount}, gets={taker: 0 if taker is to else amount})
        to.credits_pending, transit.state = to.credits_pending - amount, 2 if back else 1
        self.move(via, taker, purpose, amount)
        if back: self.use_back(source, amount, transit)
    reject = confirm

    # Settlement, §10
    def stage(self, op):
        giver, taker = self.parties(op)
        batch = self.batches.get(op.number) or Row(
            number=op.number, currency=giver.currency, payments=[], count=0, into=0, state=OPEN)
        deny(BATCH_DONE=batch.state != OPEN)
        match(giver, taker, also=[batch])
        judge(gets={batch: op.amount}, **self.reach(giver, taker))
        batch.payments.append((giver, taker, op))
        batch.count, batch.into, self.batches[op.number] = batch.count + 1, batch.into + op.amount, batch
    def settle(self, op):
        batch = find(self.batches, op.number, "BATCH_NOT_FOUND")
        deny(BATCH_DONE=batch.state != OPEN, BATCH_DIFFERS=(op.count, op.amount) != (batch.count, batch.into))
        payments, gives, gets = [] if op.flags & 1 else batch.payments, Counter(), Counter()
        for giver, taker, payment in payments:
            gives[giver] += payment.amount
            gets[taker] += payment.amount
        judge(gives, gets, gives, gets, RULE_SET_NOT_IN_FORCE=not all(map(self.in_force, gets - gives)))
        full = any(self.too_full(account, amount) for account, amount in (gets - gives).items())
        self.spend(gives - gets, full, single=False)  # the difference of two counters is what is above zero
        for giver, taker, payment in payments: self.move(giver, taker, "SETTLEMENT", payment.amount)
        batch.state = 2 if op.flags & 1 else 1

    # Roles and rules, §11
    def officers(self, without=None):  # how many persons have a grant that counts
        return len({grant.debit for grant in self.grants.values() if grant.first == 1 and not grant.revoked
                    and grant is not without and grant.from_ns <= self.now < grant.until_ns})
    def grant_role(self, op):
        self.grants[op.id] = op
        self.authority |= self.officers() >= 2
    def revoke_role(self, op):
        grant = find(self.grants, op.reference, "GRANT_NOT_FOUND")
        few = self.authority and grant.first == 1 and self.officers(without=grant) < 2
        deny(GRANT_REVOKED=grant.revoked, OFFICERS_MUST_REMAIN=few)
        grant.revoked = 1
    def upgrade(self, op):
        deny(RULES_NOT_NEWER=op.number <= self.version)
        self.version = op.number

    # The state digest, §12, and what must hold at the end
    def sections(self):
        def rows(layout, table): return [packed(layout, table[key]) for key in sorted(table)]
        yield rows("H number 48s zone", self.currencies)
        yield [struct.pack("<IQ", number, len(ids)) + b"".join(map(ident, sorted(ids)))
               for number, ids in sorted(self.groups.items())]
        rules = ("H flags 4H groups 16s home q from_ns q until_ns q balance q single q day q month q year q reserve "
                 "q effective_ns I window_s")
        yield [packed("I number", each) + packed(rules, each.current) + packed(rules, each.coming or NONE)
               for _, each in sorted(self.rule_sets.items())]
        yield rows("16s id H currency H kind B debit_reasons B credit_reasons B closed B algorithm I operator "
                   "I rule_set 16s suspense 16s link q debits q credits q pending q credits_pending 3q used ihh period "
                   "I epoch 32s key", self.accounts)
        yield rows("I number I rule_set 16s funder I count I filled H sealed 16s seal q from_ns q until_ns",
                   self.programmes)
        yield rows("I number I index 16s member 16s wallet q dropped q spent q refunded q returned q pending H state",
                   {(purse.number, purse.index): purse for purse in self.every_purse()})
        yield rows("16s id 16s payer 16s payee 16s third 32s lock q end q own B state B counted H purses ihh period",
                   self.holds)
        yield [packed("16s id", hold) + packed("I number I index", purse) + struct.pack("<q", part)
               for _, hold in sorted(self.holds.items()) for purse, part in hold.legs[:-1]]
        yield rows("16s id 16s source 16s via 16s to q amount B state B counted ihh period", self.transits)
        yield rows("I number H currency H state I count q into", self.batches)
        yield [packed("I number 16s debit 16s credit q amount", payment) for _, batch in sorted(self.batches.items())
               if batch.state == OPEN for _, _, payment in batch.payments]
        yield rows("16s id 16s debit B first B flags B revoked 32s key I count q from_ns q until_ns", self.grants)
        yield [packed("I version B authority", self)]
        yield rows("16s id H kind H result q refunded", self.bound)
    def digest(self):
        digest = blake3(b"sycee.state.v2")
        for rows in self.sections(): digest.update(struct.pack("<Q", len(rows)) + b"".join(rows))
        return digest.digest()
    def every_purse(self): return [purse for programme in self.programmes.values() for purse in programme.purses]
    def faults(self):  # what does not hold: a sentence each
        accounts, purses, sums = self.accounts.values(), self.every_purse(), Counter()
        for each in accounts: sums[each.currency] += each.balance
        for each in purses: sums[each.programme.currency] += each.balance + each.pending
        yield from (f"currency {number} comes to {rest} in all, not to 0" for number, rest in sums.items() if rest)
        yield from (f"account {each.id:032x} has {each.spare} to give" for each in accounts if each.spare < 0)
        yield from (f"purse {each.index} of programme {each.number} is short" for each in purses if each.balance < 0)

def sealed(raw, letters): return raw[:8] == letters and raw[-8:] == xxh3_64_digest(raw[:-8] + bytes(8))
def demand(where, **claims):  # each by what is wrong where it does not hold
    for wrong, holds in claims.items():
        if not holds: raise Wrong(f"{where} is wrong: {wrong.replace('_', ' ')}.")
def frames(folder):
    """Every frame, checked as docs/reference/journal.md says: sequence, movement digest, time, calendar, records."""
    paths = sorted(path for path in folder.glob("journal/*.segment") if re.fullmatch(r"\d{12}", path.stem))
    if not paths: raise Wrong(f"{folder} holds no journal: name the folder of a ledger.")
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
    """Recompute a journal; `per_frame` gets each frame's sequence, movement and state digest. Raises Wrong."""
    ledger, sequence = Ledger(), 0
    for sequence, claimed, *frame in frames(Path(folder)):
        if claimed != ledger.movement_digest:
            raise Wrong(f"Frame {sequence} is wrong, or one before it: by its header the movements so far have the "
                        f"digest {claimed.hex()}, and they come to {ledger.movement_digest.hex()}.")
        try: ledger.frame(sequence, *frame)
        except struct.error as error: raise Wrong(f"Frame {sequence} is wrong: amounts do not fit: {error}.") from None
        if per_frame: per_frame(sequence, ledger.movement_digest, ledger.digest())
    for fault in ledger.faults(): raise Wrong(f"After frame {sequence}, {fault}.")
    supply = {currency: -account.balance for currency, account in sorted(ledger.issuance.items())}
    return Checked(sequence, ledger.operations, len(ledger.accounts), ledger.moved, supply, ledger.digest(),
                   ledger.movement_digest)

def main(arguments=None):
    """The command; its exit code."""
    parser = argparse.ArgumentParser(description="Work out again everything that a ledger's journal says.")
    parser.add_argument("folder", help="the ledger's folder, the one that holds `journal`")
    parser.add_argument("--per-frame", action="store_true", help="a line per frame: sequence, both digests")
    options = parser.parse_args(arguments)
    def line(sequence, movements, state): print(sequence, movements.hex(), state.hex())
    try: checked = check(options.folder, line if options.per_frame else None)
    except (Wrong, OSError) as wrong:
        print(wrong)
        return 3
    rows = checked._asdict()
    rows |= {f"supply of currency {currency:03}": amount for currency, amount in rows.pop("supply").items()}
    for name, value in rows.items():
        print(f"{name.replace('_', ' '):<24}{value.hex() if isinstance(value, bytes) else value}")
    return 0

if __name__ == "__main__": sys.exit(main())
