"""The checker's bytes: records, docs/reference/ledger.md §1 and §2; segments and frames, docs/reference/journal.md."""
# Set by hand, with short bodies on the line of their head, so that one operation is seen at one glance.
# fmt: off
# ruff: noqa: D101, D102, D103, E701

import re
import struct
from collections import namedtuple

from blake3 import blake3
from xxhash import xxh3_64_digest, xxh3_128_digest

MOST, LINKED = 2**63 - 1, 0x8000
# §1: number, name, flags it takes (+: and LINKED), and what the kind uses of a record beside id, kind, flags, code and
# note; what hangs on flags or fields is in `Operation.uses`. `number` and `count` say the most they take.
KIND_TABLE = """
1 define_currency 0 number=999 zone | 2 define_group 0 number=4096 | 3 join_group 0 number=4096 debit
4 leave_group 0 number=4096 debit | 5 define_rule_set 0,1,2,3 number=65535 from_ns until_ns all
6 grant_role 1,2,6 debit key first from_ns until_ns | 7 revoke_role 0 reference | 8 upgrade 0 number=65535 text
10 open_account 0 debit number=999 first count rule_set | 11 block_account 1,2,3 debit first
12 close_account 0 debit first | 13 unblock_account 1,2,3 debit first | 14 set_rule_set 0 debit rule_set
15 set_key 0,1,2,6 debit | 16 link_account 0 debit credit
20 open_programme 0 number=65535 debit rule_set count=1073741824 from_ns until_ns
21 add_members 0 number=65535 first count=5 | 22 seal_cohort 0 number=65535 text
23 drop 0 number=65535 first count=1073741824 amount reference | 24 claim 0 number=65535 first reference credit
25 expire 0 number=65535 first count=1073741824 | 30 transfer 0+ debit credit amount
31 pay 0,1,2+ debit credit amount | 32 refund 0+ reference amount
33 hold 0,1,2,4,5,6,8,9,10+ debit credit amount until_ns | 34 post 0,1,2,3+ reference debit amount
35 void 0+ reference debit | 36 extend 0+ reference debit until_ns | 37 post_holds 0 debit credit reference
38 void_holds 0 debit credit reference | 39 reverse 0+ reference amount | 40 send 0,1+ debit credit reference amount
41 confirm 0+ reference | 42 reject 0+ reference | 43 stage 0 debit credit amount number=1048576
44 settle 0,1 number=1048576 count=1073741824 amount
"""
Kind = namedtuple("Kind", "name flags fields")  # fields: the most that each takes, 0 for what is not bounded
KINDS = {}
for number, name, flags, *words in map(str.split, KIND_TABLE.strip().replace(" | ", "\n").split("\n")):
    known = {int(flag) for flag in flags.rstrip("+").split(",")}
    known |= {flag | LINKED for flag in known if "+" in flags}
    KINDS[int(number)] = Kind(name, known, {each.partition("=")[0]: int(each.partition("=")[2] or 0) for each in words})
# Format and place of all that a record can hold, §1; from "all" on of DEFINE_RULE_SET, §4. What is 16s is an id.
FIELDS = {
    "id": ("16s", 0), "kind": ("H", 16), "flags": ("H", 18), "amount": ("q", 24), "debit": ("16s", 32),
    "credit": ("16s", 48), "reference": ("16s", 64), "number": ("I", 80), "first": ("I", 84), "count": ("I", 88),
    "rule_set": ("I", 92), "from_ns": ("q", 96), "until_ns": ("q", 104), "note": ("16s", 112), "zone": ("48s", 32),
    "text": ("32s", 32), "key": ("32s", 48), "hash": ("32s", 64), "secret": ("32s", 80), "member0": ("16s", 32),
    "member1": ("16s", 48), "member2": ("16s", 64), "member3": ("16s", 96), "member4": ("16s", 112),
    "all": ("104s", 24), "effective_ns": ("q", 24), "groups": ("4H", 32), "reserve": ("q", 40), "home": ("16s", 48),
    "balance": ("q", 64), "single": ("q", 72), "window_s": ("I", 84), "day": ("q", 88), "month": ("q", 112),
    "year": ("q", 120)}

class Refusal(Exception): """The ledger says no; the argument is the name of the code."""
def deny(**reasons):  # refuses with the first code whose reason holds
    for code, holds in reasons.items():
        if holds: raise Refusal(code)

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
        return [f"member{index}" for index in range(self.count if 1 <= self.count <= 5 else 5)]
    def uses(self):
        more = {"grant_role": ["count"] * (self.first == 2), "set_key": ["key"] * (self.flags > 0),
                "open_account": ["credit"] * (self.first not in (1, 2)),  # ISSUANCE, SUSPENSE
                "add_members": self.members(),
                "hold": ["reference"] * (self.flags >> 2 & 1) + ["hash"] * (self.flags >> 3 & 1),
                "post": ["secret"] * (self.flags >> 1 & 1)}
        return [*KINDS[self.kind].fields, *more.get(self.name, ()), *["note"] * (self.name != "add_members")]
    def check(self):  # refuses what is malformed, §2
        deny(ID_MUST_NOT_BE_ZERO=not self.id, KIND_UNKNOWN=self.kind not in KINDS)
        (name, flags, most), uses, unused = KINDS[self.kind], self.uses(), bytearray(self.raw)
        deny(FLAGS_UNKNOWN=self.flags not in flags)
        for form, start in map(FIELDS.get, uses): struct.pack_into(f"{struct.calcsize(form)}s", unused, start, b"")
        ids = {"debit", "credit", "reference"} & {*uses} - ({"credit"} if name == "link_account" else set())
        if name == "add_members" and 1 <= self.count <= 5: ids = {*self.members()}
        rules, both = self if name == "define_rule_set" else FREE, {"debit", "credit"} <= {*uses}
        same = self.debit == self.credit or (name == "send" and self.reference in (self.debit, self.credit))
        number = 1 <= self.number <= most.get("number", MOST) or "number" not in most
        rule_set = (name == "open_programme") <= self.rule_set <= 65535 or "rule_set" not in most
        deny(FIELD_MUST_BE_ZERO=any(unused[24:]),
             AMOUNT_MUST_BE_POSITIVE=("amount" in uses and self.amount <= 0) or min(
                 rules.balance, rules.single, rules.day, rules.month, rules.year, rules.reserve) < 0,
             ACCOUNT_ID_MUST_NOT_BE_ZERO=not all(getattr(self, field) for field in ids),
             ACCOUNTS_MUST_BE_DIFFERENT=both and same and not name.endswith("_holds"),
             NUMBER_OUT_OF_RANGE=not number or not rule_set or max(rules.groups) > 4096,
             COUNT_OUT_OF_RANGE=most.get("count") and not 1 <= self.count <= most["count"],
             ACCOUNT_KIND_UNKNOWN=name == "open_account" and not 1 <= self.first <= 8,
             REASON_UNKNOWN=name in ("block_account", "close_account", "unblock_account") and not 1 <= self.first <= 7,
             ROLE_UNKNOWN=name == "grant_role" and not 1 <= self.first <= 3,
             WINDOW_MUST_END_AFTER_START="from_ns" in uses and self.until_ns <= self.from_ns,
             ZONE_MUST_NOT_BE_EMPTY=name in ("define_currency", "upgrade") and not self.raw[32],
             KEY_MUST_NOT_BE_ZERO="key" in uses and not any(self.key))
NONE, FREE = (Operation(raw=bytes(104) + struct.pack("<q16x", end)) for end in (0, MOST))  # rules: all zero, no limit

class Wrong(Exception): """The journal is not what it claims to be; the text names the frame."""
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
