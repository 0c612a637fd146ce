"""With several faults, an operation gets the code that is first in PRECEDENCE.

tests/ledger/precedence_cases.py lists, for each kind of operation, faults that give each of its codes. Every fault is
tried alone, and every two faults of a kind that can be combined are tried together, on kernels and twin.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest
from tests.ledger.precedence_cases import KINDS, SHARED, WORLD
from tests.ledger.table import Table
from tests.ledger.verbs import amount_of, id_of

from sycee.core.arrays import Array
from sycee.core.records import layout
from sycee.core.records.layout import Kind
from sycee.core.result_codes import FIRST_BINDING, PRECEDENCE, Result

# Codes that no fault in the tables can give, and the reason.
OUT_OF_REACH = {
    Result.SIGNATURE_INVALID: "a code of envelopes, before the state machine: test_authority",
    Result.SIGNATURE_EXPIRED: "same reason",
    Result.SIGNER_NOT_FOUND: "same reason",
    Result.KEY_EPOCH_DIFFERS: "same reason",
    Result.NOT_AUTHORISED: "same reason",
    Result.TWO_PERSONS_MUST_SIGN: "same reason",
    Result.EXISTS: "tested below, with every kind",
    Result.EXISTS_WITH_DIFFERENT_CONTENT: "tested below, with every kind",
    Result.CANNOT_BE_LINKED: "a code of chains: tested below",
    Result.CHAIN_OPEN: "same reason",
    Result.CHAIN_REPEATS_AN_ID: "same reason",
    Result.CHAIN_BROKEN: "same reason",
    Result.LINKED_FAILED: "same reason",
    Result.TOO_MANY_PAYMENTS: "needs 2^30 payments: test_tables_settlement",
    Result.CREATED: "the code without a fault",
}
# Neighbouring codes of a kind that no operation can have together, and the reason.
APART = {
    ("NUMBER_OUT_OF_RANGE", "GROUP_EXISTS"): "no group has such a number",
    ("RULE_SET_EXISTS", "RULE_SET_NOT_FOUND"): "the rule set exists or not",
    ("RULE_SET_NOT_FOUND", "RULE_SET_MUST_KEEP_WINDOW"): "the rule set exists or not",
    ("NUMBER_OUT_OF_RANGE", "ROLE_UNKNOWN"): "only an officer's grant may have a number",
    ("PROGRAMME_NOT_FOUND", "COHORT_SEALED"): "a missing programme is not sealed",
    ("PROGRAMME_NOT_FOUND", "COHORT_NOT_SEALED"): "a missing object has no properties",
    ("GRANT_NOT_FOUND", "GRANT_REVOKED"): "same reason",
    ("ACCOUNT_NOT_FOUND", "ACCOUNT_MUST_STAY_OPEN"): "same reason",
    ("ACCOUNT_NOT_FOUND", "ACCOUNT_CLOSED"): "same reason",
    ("DEBIT_ACCOUNT_NOT_FOUND", "CURRENCIES_MUST_MATCH"): "same reason",
    ("CREDIT_ACCOUNT_NOT_FOUND", "CURRENCIES_MUST_MATCH"): "same reason",
    ("ORIGINAL_NOT_FOUND", "ORIGINAL_IS_NOT_A_PAY"): "same reason",
    ("ORIGINAL_NOT_FOUND", "ORIGINAL_NOT_REVERSIBLE"): "same reason",
    ("HOLD_NOT_FOUND", "HOLDS_OUT_OF_ORDER"): "same reason",
    ("TRANSIT_NOT_FOUND", "TRANSIT_DONE"): "same reason",
    ("BATCH_NOT_FOUND", "BATCH_DONE"): "same reason",
    ("ISSUANCE_EXISTS", "SUSPENSE_NOT_FOUND"): "an issuance account needs no suspense account",
    ("HOLD_DONE", "HOLD_TIMED_OUT"): "a hold has one state",
    ("COHORT_SEALED", "COHORT_INCOMPLETE"): "only a complete cohort is sealed",
    ("ACCOUNT_MUST_STAY_OPEN", "ACCOUNT_CLOSED"): "such an account is never closed",
    ("ACCOUNT_CLOSED", "ACCOUNT_NOT_EMPTY"): "a closed account is empty and receives nothing",
    ("PURSE_NOT_DROPPED", "PURSE_CLAIMED"): "only a dropped purse is claimed",
    ("PERSONS_NOT_ALLOWED", "CASH_OUT_NOT_ALLOWED"): "a payee has one kind",
}
SAMPLED = 30  # one of this number of pairs without neighbouring codes is tried; the soak tests try all
ORDER = {"close": 4, "block": 3, "setrules": 2, "empty": 1}  # lines executed after all others, in this order


@dataclass(frozen=True)
class Fault:
    """Changes of an operation that give certain codes."""

    codes: tuple[Result, ...]
    changes: dict[str, str]  # fields, options of rule sets, time
    before: tuple[str, ...] = ()

    @property
    def is_malformed(self) -> bool:
        return PRECEDENCE.index(self.expected) < FIRST_BINDING

    @property
    def expected(self) -> Result:
        return min(self.codes, key=PRECEDENCE.index)

    def with_(self, other: Fault) -> Fault | None:
        """Return both faults together, or None if they contradict each other."""
        changes = {**self.changes, **other.changes}
        for name in self.changes.keys() & other.changes.keys():
            if self.changes[name] == other.changes[name]:
                continue
            if name not in ("amount", "at") or "0" in (self.changes[name], other.changes[name]):
                return None
            changes[name] = max(self.changes[name], other.changes[name], key=amount_of)
        before = tuple(dict.fromkeys((*self.before, *other.before)))
        return Fault((*self.codes, *other.codes), changes, before)


@dataclass
class Case:
    """A kind: an operation that succeeds, the lines before it, and its faults."""

    kind: Kind
    line: str
    before: tuple[str, ...]
    faults: list[Fault] = field(default_factory=list)


def read_fault(line: str) -> Fault:
    text, _, before = line.partition(" : ") if not line.startswith(":") else ("", "", line[1:])
    words = text.split()
    codes = tuple(Result[word] for word in words if "=" not in word and word != ":")
    changes = dict(word.split("=", 1) for word in words if "=" in word)
    lines = tuple(part.strip() for part in before.split(";") if part.strip())
    return Fault(codes, changes, lines)


@cache
def cases() -> dict[str, Case]:
    found: dict[str, Case] = {}
    case: Case | None = None
    for line in re.sub(r" :\n +", " : ", KINDS).strip().splitlines():
        if not line.startswith(" "):
            name, base, *before = (part.strip() for part in line.split("|"))
            case = found[name] = Case(Kind[name], base, tuple(before))
            case.faults += [read_fault("ID_MUST_NOT_BE_ZERO id=0"), read_fault("KIND_UNKNOWN kind=99")]
            continue
        assert case is not None
        shared = line.strip().startswith("@")
        lines = SHARED[line.strip()[1:]].strip().splitlines() if shared else [line]
        case.faults += [read_fault(each.strip()) for each in lines]
    return found


def world(case: Case, fault: Fault) -> Table:
    """Return a ledger after all lines that precede the operation."""
    rules: dict[str, dict[str, str]] = {"1": {}, "2": {}, "3": {"until": "900", "return": "vault"}}
    for name, value in fault.changes.items():
        if name.startswith("rules."):
            _, number, option = name.split(".")
            rules[number][option] = value
    table = Table(compare_every=10**9)  # `answered` compares
    payee = f"open payee {fault.changes.get('payee', 'WALLET')}"
    programme = f"rules 3 {' '.join(f'{name}={value}' for name, value in rules['3'].items())}"
    table.play("\n".join(["frame", WORLD, payee, programme, "end"]))
    lines = [*case.before, *fault.before]
    for number, account in (("1", "payer"), ("2", "payee")):
        if rules[number]:
            options = " ".join(f"{name}={value}" for name, value in rules[number].items())
            lines += [f"rules {number} {options}", f"setrules {account} {number}"]
    for line in sorted(lines, key=lambda line: ORDER.get(line.split()[0], 0)):
        table.play(expanded(table, line))
    if "at" in fault.changes:
        table.play(f"at {max(amount_of(fault.changes['at']), table.now_ns)}")
    return table


def expanded(table: Table, line: str) -> str:
    """Expand a line that is an abbreviation, or that contains an amount computed from the state."""
    match line.split():
        case ["empty", name]:
            available = table.account_of(name).available
            return f"transfer {name} treasury {available}" if available else ""
        case ["@big", spent]:
            return f"""
                transfer issuance payer 2^62
                pay payer payee 2^62 id=big
                transfer payee treasury {spent}
            """
        case ["fill", "currencies"]:
            return "\n".join(f"currency {number} UTC" for number in range(1, 15))
        case ["fill", "payee"]:
            members = "ABCDEFGHIJKLMNOP"
            added = "\n".join(f"members 6 {' '.join(members[at : at + 5])}" for at in range(0, 16, 5))
            claims = "\n".join(f"claim 6 {name} payee" for name in members)
            return f"frame\nprogramme 6 payer 16 rules=3\n{added}\nend\nseal 6\ndrop 6 0..16 1\nframe\n{claims}\nend"
        case ["fill", name]:
            credits = table.account_of(name).credits_posted
            return f"""
                transfer issuance {name} 2^63-1-10_000-{credits + 1}
                transfer {name} treasury 10_000
                transfer treasury {name} 10_000
            """
    return line


def record_of(table: Table, case: Case, fault: Fault) -> Array:
    record = table.record(f"{case.line} id=request")
    for name, value in fault.changes.items():
        put(record, name, value)
    return record


def put(record: Array, name: str, value: str) -> None:
    """Write the value of one field into the record."""
    if name.startswith(("rules.", "?")) or name in ("payee", "at"):
        return
    if name in ("id", "debit", "credit", "reference", "return"):
        number = int(value[1:]) if value.startswith("#") else id_of(value)
        target: Any = record.view(layout.RULE_SET_OPERATION) if name == "return" else record
        target[f"{name}_low"], target[f"{name}_high"] = number & (1 << 64) - 1, number >> 64
    elif name in (layout.OPERATION.names or ()):
        record[name] = amount_of(value)
    else:
        rules: Any = record.view(layout.RULE_SET_OPERATION)
        rules[name] = [[amount_of(value), 0, 0, 0]] if name == "groups" else amount_of(value)


def answered(table: Table, record: Array) -> Result:
    code, _ = table.sides.frame(table.now_ns, record)[0]
    table.sides.compare()
    return code


def text_of(case: Case, fault: Fault) -> str:
    return f"{case.kind.name} {fault.changes} after {fault.before}: {[code.name for code in fault.codes]}"


@pytest.mark.parametrize("name", cases())
def test_the_operation_itself_succeeds(name: str) -> None:
    case, nothing = cases()[name], Fault((), {})
    assert answered(world(case, nothing), record_of(Table(), case, nothing)) is Result.CREATED


@pytest.mark.parametrize("name", cases())
def test_each_fault_gives_its_code(name: str) -> None:
    require_the_first(cases()[name], cases()[name].faults)


def pairs(case: Case) -> tuple[list[Fault], list[Fault]]:
    """Return the combined faults of a kind: those with neighbouring codes, and the others."""
    codes = sorted({code for fault in case.faults for code in fault.codes}, key=PRECEDENCE.index)
    near, far = [], []
    for one, other in itertools.combinations(case.faults, 2):
        if fault := one.with_(other):
            apart = abs(codes.index(one.expected) - codes.index(other.expected))
            (near if apart <= 1 else far).append(fault)
    return near, far


def require_the_first(case: Case, faults: Sequence[Fault]) -> None:
    unchanged, nobody = world(case, Fault((), {})), Table()
    for fault in faults:
        table = unchanged if fault.is_malformed else world(case, fault)  # a malformed record needs no new ledger
        assert answered(table, record_of(nobody, case, fault)) is fault.expected, text_of(case, fault)


@pytest.mark.parametrize("name", cases())
def test_two_neighbouring_faults_give_the_first_code(name: str) -> None:
    """Try all pairs of neighbouring codes, which show a wrong order first, and a sample of the other pairs."""
    near, far = pairs(cases()[name])
    require_the_first(cases()[name], near + random.Random(name).sample(far, len(far) // SAMPLED))


@pytest.mark.soak
@pytest.mark.parametrize("name", cases())
def test_any_two_faults_give_the_first_code(name: str) -> None:
    near, far = pairs(cases()[name])
    require_the_first(cases()[name], near + far)


@pytest.mark.parametrize("name", cases())
def test_a_bound_id_is_answered_after_malformed_and_before_all_other_codes(name: str) -> None:
    case, nothing = cases()[name], Fault((), {})
    table, first = world(case, nothing), record_of(Table(), case, nothing)
    assert answered(table, first) is Result.CREATED
    assert answered(table, first) is Result.EXISTS
    for fault in case.faults:
        record = record_of(Table(), case, fault)
        same = record.tobytes() == first.tobytes()
        known = Result.EXISTS if same else Result.EXISTS_WITH_DIFFERENT_CONTENT
        assert answered(table, record) is (fault.expected if fault.is_malformed else known), text_of(case, fault)


def neighbours() -> dict[tuple[str, str], set[bool]]:
    """Return the neighbouring codes of each kind, and whether one operation of the kind has both faults."""
    found: dict[tuple[str, str], set[bool]] = {}
    for case in cases().values():
        codes = sorted({code for fault in case.faults for code in fault.codes}, key=PRECEDENCE.index)
        together = [fault.with_(other) for fault, other in itertools.combinations_with_replacement(case.faults, 2)]
        code_sets = [set(fault.codes) for fault in together if fault is not None]
        for pair in itertools.pairwise(codes):
            found.setdefault((pair[0].name, pair[1].name), set()).add(any(set(pair) <= codes for codes in code_sets))
    return found


def test_all_neighbouring_codes_that_can_be_combined_are() -> None:
    missing = {pair for pair, covered in neighbours().items() if covered == {False}}
    assert missing == APART.keys()


def test_every_reachable_code_occurs() -> None:
    reachable = {code for case in cases().values() for fault in case.faults for code in fault.codes}
    assert reachable.isdisjoint(OUT_OF_REACH)
    assert reachable | OUT_OF_REACH.keys() == set(Result)
    assert cases().keys() == {kind.name for kind in Kind}


CHAINS = """
    frame
    currency  156       UTC
    open      issuance  ISSUANCE
    open      suspense  SUSPENSE
    open      ann       WALLET
    open      bob       WALLET
    transfer  issuance  ann  10  id=known
    group     9  id=grouped
    end
    chain
    transfer  ann  bob  0                              AMOUNT_MUST_BE_POSITIVE   # also open
    end       open
    chain
    transfer  ann  bob  1                              CHAIN_BROKEN
    close     bob  id=0                                ID_MUST_NOT_BE_ZERO       # also not linkable
    end
    chain
    transfer  ann  bob  1                              CHAIN_BROKEN
    again     grouped                                  EXISTS                    # also not linkable
    end
    chain
    transfer  ann  bob  1                              CHAIN_BROKEN
    transfer  ann  bob  2  id=known                    EXISTS_WITH_DIFFERENT_CONTENT   # also open
    end       open
    chain
    transfer  ann  bob  1   id=twice                   CHAIN_BROKEN
    close     bob           id=twice                   CANNOT_BE_LINKED          # also a repeated id
    end
    chain
    transfer  ann  bob  1   id=twice                   CHAIN_BROKEN
    transfer  ann  bob  99  id=twice                   CHAIN_OPEN                # also a repeated id and too much
    end       open
    chain
    transfer  ann  bob  1   id=twice                   CHAIN_BROKEN
    transfer  ann  bob  99  id=twice                   CHAIN_REPEATS_AN_ID       # also too much
    end
    chain
    transfer  ann  bob  99  id=twice                   EXCEEDS_BALANCE           # refused before the repeated id
    transfer  ann  bob  98  id=twice                   LINKED_FAILED
    end
    chain
    transfer  ann  bob  99                             EXCEEDS_BALANCE
    transfer  ann  bob  98                             LINKED_FAILED             # also too much
    end
"""


def test_chains_are_checked_in_order() -> None:
    table = Table().play(CHAINS)
    assert {Result.CANNOT_BE_LINKED, Result.CHAIN_OPEN, Result.CHAIN_REPEATS_AN_ID} <= table.codes


def test_codes_of_the_state_bind_and_earlier_codes_do_not() -> None:
    """A malformed or not accepted operation binds nothing: its id can be used again."""
    case = cases()["TRANSFER"]
    for fault in case.faults:
        if fault.changes.get("id") == "0":
            continue
        table = world(case, fault)
        answered(table, record_of(Table(), case, fault))
        right = record_of(Table(), case, Fault((), {}))
        bound = table.sides.state.bound_of(id_of("request"))
        assert (bound is None) == fault.is_malformed
        again = answered(table, right)
        assert (again is Result.CREATED) == fault.is_malformed, text_of(case, fault)
    assert np.all([PRECEDENCE.index(code) >= FIRST_BINDING for code in Result if code.binds])
