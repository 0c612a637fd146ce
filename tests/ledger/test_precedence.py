"""Which code is given where several would do: the one that comes first in PRECEDENCE.

tests/ledger/precedence_cases.py lists, for each kind of operation, events that give each of its codes. Every event is
tried alone, and every two of a kind that can be combined are combined, on kernels and twin.
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
from sycee.core.result_codes import FIRST_BINDING, PRECEDENCE, Result
from sycee.ledger import layout
from sycee.ledger.layout import Kind

# What no table here can show, and why.
OUT_OF_REACH = {
    Result.SIGNATURE_INVALID: "said of envelopes, before the state machine is asked: test_authority",
    Result.SIGNATURE_EXPIRED: "likewise",
    Result.SIGNER_NOT_FOUND: "likewise",
    Result.KEY_EPOCH_DIFFERS: "likewise",
    Result.NOT_AUTHORISED: "likewise",
    Result.TWO_PERSONS_MUST_SIGN: "likewise",
    Result.EXISTS: "below, with every kind",
    Result.EXISTS_WITH_DIFFERENT_CONTENT: "below, with every kind",
    Result.CANNOT_BE_LINKED: "said of chains: below",
    Result.CHAIN_OPEN: "likewise",
    Result.CHAIN_REPEATS_AN_ID: "likewise",
    Result.CHAIN_BROKEN: "likewise",
    Result.LINKED_FAILED: "likewise",
    Result.TOO_MANY_PAYMENTS: "needs 2^30 payments: test_tables_settlement",
    Result.CREATED: "what is given where nothing else is",
}
# Neighbours among a kind's codes that no operation can deserve both of, and why.
APART = {
    ("NUMBER_OUT_OF_RANGE", "GROUP_EXISTS"): "no group has such a number",
    ("RULE_SET_EXISTS", "RULE_SET_NOT_FOUND"): "it is there or it is not",
    ("RULE_SET_NOT_FOUND", "RULE_SET_MUST_KEEP_WINDOW"): "it is there or it is not",
    ("NUMBER_OUT_OF_RANGE", "ROLE_UNKNOWN"): "only an officer's grant may have a number",
    ("PROGRAMME_NOT_FOUND", "COHORT_SEALED"): "what is not there is not sealed",
    ("PROGRAMME_NOT_FOUND", "COHORT_NOT_SEALED"): "what is not there cannot be looked at",
    ("GRANT_NOT_FOUND", "GRANT_REVOKED"): "likewise",
    ("ACCOUNT_NOT_FOUND", "ACCOUNT_MUST_STAY_OPEN"): "likewise",
    ("ACCOUNT_NOT_FOUND", "ACCOUNT_CLOSED"): "likewise",
    ("DEBIT_ACCOUNT_NOT_FOUND", "CURRENCIES_MUST_MATCH"): "likewise",
    ("CREDIT_ACCOUNT_NOT_FOUND", "CURRENCIES_MUST_MATCH"): "likewise",
    ("ORIGINAL_NOT_FOUND", "ORIGINAL_IS_NOT_A_PAY"): "likewise",
    ("ORIGINAL_NOT_FOUND", "ORIGINAL_NOT_REVERSIBLE"): "likewise",
    ("HOLD_NOT_FOUND", "HOLDS_OUT_OF_ORDER"): "likewise",
    ("TRANSIT_NOT_FOUND", "TRANSIT_DONE"): "likewise",
    ("BATCH_NOT_FOUND", "BATCH_DONE"): "likewise",
    ("ISSUANCE_EXISTS", "SUSPENSE_NOT_FOUND"): "an issuance account needs no suspense account",
    ("HOLD_DONE", "HOLD_TIMED_OUT"): "it is in one state",
    ("COHORT_SEALED", "COHORT_INCOMPLETE"): "only what is complete is sealed",
    ("ACCOUNT_MUST_STAY_OPEN", "ACCOUNT_CLOSED"): "so it never is closed",
    ("ACCOUNT_CLOSED", "ACCOUNT_NOT_EMPTY"): "what is closed is empty and receives nothing",
    ("PURSE_NOT_DROPPED", "PURSE_CLAIMED"): "only what was dropped is claimed",
    ("PERSONS_NOT_ALLOWED", "CASH_OUT_NOT_ALLOWED"): "a payee is of one kind",
}
SAMPLED = 6  # of so many pairs of codes that are no neighbours one is tried; the soak tries all
ORDER = {"close": 4, "block": 3, "setrules": 2, "empty": 1}  # what is done after everything else, and in this order


@dataclass(frozen=True)
class Way:
    """How an operation comes to deserve some codes."""

    codes: tuple[Result, ...]
    said: dict[str, str]  # fields, options of rule sets, time
    before: tuple[str, ...] = ()

    @property
    def is_malformed(self) -> bool:
        return PRECEDENCE.index(self.expected) < FIRST_BINDING

    @property
    def expected(self) -> Result:
        return min(self.codes, key=PRECEDENCE.index)

    def with_(self, other: Way) -> Way | None:
        """Both at once, or None where they do not go together."""
        said = {**self.said, **other.said}
        for name in self.said.keys() & other.said.keys():
            if self.said[name] == other.said[name]:
                continue
            if name not in ("amount", "at") or "0" in (self.said[name], other.said[name]):
                return None
            said[name] = max(self.said[name], other.said[name], key=amount_of)
        before = tuple(dict.fromkeys((*self.before, *other.before)))
        return Way((*self.codes, *other.codes), said, before)


@dataclass
class Case:
    """A kind: an operation that succeeds, what happens before it, and the ways to spoil it."""

    kind: Kind
    line: str
    before: tuple[str, ...]
    ways: list[Way] = field(default_factory=list)


def read_way(line: str) -> Way:
    text, _, before = line.partition(" : ") if not line.startswith(":") else ("", "", line[1:])
    words = text.split()
    codes = tuple(Result[word] for word in words if "=" not in word and word != ":")
    said = dict(word.split("=", 1) for word in words if "=" in word)
    lines = tuple(part.strip() for part in before.split(";") if part.strip())
    return Way(codes, said, lines)


@cache
def cases() -> dict[str, Case]:
    found: dict[str, Case] = {}
    case: Case | None = None
    for line in re.sub(r" :\n +", " : ", KINDS).strip().splitlines():
        if not line.startswith(" "):
            name, base, *before = (part.strip() for part in line.split("|"))
            case = found[name] = Case(Kind[name], base, tuple(before))
            case.ways += [read_way("ID_MUST_NOT_BE_ZERO id=0"), read_way("KIND_UNKNOWN kind=99")]
            continue
        assert case is not None
        shared = line.strip().startswith("@")
        lines = SHARED[line.strip()[1:]].strip().splitlines() if shared else [line]
        case.ways += [read_way(each.strip()) for each in lines]
    return found


def world(case: Case, way: Way) -> Table:
    """A ledger in which everything has happened that comes before the operation."""
    rules: dict[str, dict[str, str]] = {"1": {}, "2": {}, "3": {"until": "900", "return": "vault"}}
    for name, value in way.said.items():
        if name.startswith("rules."):
            _, number, option = name.split(".")
            rules[number][option] = value
    table = Table()
    payee = f"open payee {way.said.get('payee', 'WALLET')}"
    programme = f"rules 3 {' '.join(f'{name}={value}' for name, value in rules['3'].items())}"
    table.play("\n".join(["frame", WORLD, payee, programme, "end"]))
    lines = [*case.before, *way.before]
    for number, account in (("1", "payer"), ("2", "payee")):
        if rules[number]:
            options = " ".join(f"{name}={value}" for name, value in rules[number].items())
            lines += [f"rules {number} {options}", f"setrules {account} {number}"]
    for line in sorted(lines, key=lambda line: ORDER.get(line.split()[0], 0)):
        table.play(expanded(table, line))
    if "at" in way.said:
        table.play(f"at {max(amount_of(way.said['at']), table.now_ns)}")
    return table


def expanded(table: Table, line: str) -> str:
    """What stands for several lines, or for an amount that hangs on the state."""
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


def record_of(table: Table, case: Case, way: Way) -> Array:
    record = table.record(f"{case.line} id=asked")
    for name, value in way.said.items():
        put(record, name, value)
    return record


def put(record: Array, name: str, value: str) -> None:
    """Write what a way says of a field."""
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
    return code


def said_of(case: Case, way: Way) -> str:
    return f"{case.kind.name} {way.said} after {way.before}: {[code.name for code in way.codes]}"


@pytest.mark.parametrize("name", cases())
def test_the_operation_itself_succeeds(name: str) -> None:
    case, nothing = cases()[name], Way((), {})
    assert answered(world(case, nothing), record_of(Table(), case, nothing)) is Result.CREATED


@pytest.mark.parametrize("name", cases())
def test_each_way_deserves_its_code(name: str) -> None:
    case = cases()[name]
    for way in case.ways:
        assert answered(world(case, way), record_of(Table(), case, way)) is way.expected, said_of(case, way)


def pairs(case: Case) -> tuple[list[Way], list[Way]]:
    """All that go together: those that deserve two neighbours among the kind's codes, and the others."""
    codes = sorted({code for way in case.ways for code in way.codes}, key=PRECEDENCE.index)
    near, far = [], []
    for one, other in itertools.combinations(case.ways, 2):
        if way := one.with_(other):
            apart = abs(codes.index(one.expected) - codes.index(other.expected))
            (near if apart <= 1 else far).append(way)
    return near, far


def require_the_first(case: Case, ways: Sequence[Way]) -> None:
    as_it_was, nobody = world(case, Way((), {})), Table()
    for way in ways:
        table = as_it_was if way.is_malformed else world(case, way)  # its bytes answer what is malformed
        assert answered(table, record_of(nobody, case, way)) is way.expected, said_of(case, way)


@pytest.mark.parametrize("name", cases())
def test_of_two_codes_the_first_is_given(name: str) -> None:
    """Of all neighbours, between which an order that is wrong shows first, and of a sample of the others."""
    near, far = pairs(cases()[name])
    require_the_first(cases()[name], near + random.Random(name).sample(far, len(far) // SAMPLED))


@pytest.mark.soak
@pytest.mark.parametrize("name", cases())
def test_of_any_two_codes_the_first_is_given(name: str) -> None:
    near, far = pairs(cases()[name])
    require_the_first(cases()[name], near + far)


@pytest.mark.parametrize("name", cases())
def test_what_is_known_is_said_after_what_is_malformed_and_before_all_else(name: str) -> None:
    case, nothing = cases()[name], Way((), {})
    table, first = world(case, nothing), record_of(Table(), case, nothing)
    assert answered(table, first) is Result.CREATED
    assert answered(table, first) is Result.EXISTS
    for way in case.ways:
        record = record_of(Table(), case, way)
        same = record.tobytes() == first.tobytes()
        known = Result.EXISTS if same else Result.EXISTS_WITH_DIFFERENT_CONTENT
        assert answered(table, record) is (way.expected if way.is_malformed else known), said_of(case, way)


def neighbours() -> dict[tuple[str, str], set[bool]]:
    """Neighbours among the codes of each kind, and whether an operation of the kind was given that deserves both."""
    found: dict[tuple[str, str], set[bool]] = {}
    for case in cases().values():
        codes = sorted({code for way in case.ways for code in way.codes}, key=PRECEDENCE.index)
        together = [way.with_(other) for way, other in itertools.combinations_with_replacement(case.ways, 2)]
        deserved = [set(way.codes) for way in together if way is not None]
        for pair in itertools.pairwise(codes):
            found.setdefault((pair[0].name, pair[1].name), set()).add(any(set(pair) <= codes for codes in deserved))
    return found


def test_all_neighbours_are_put_together_but_for_those_that_cannot_be() -> None:
    missing = {pair for pair, covered in neighbours().items() if covered == {False}}
    assert missing == APART.keys()


def test_every_code_is_deserved_but_for_those_that_are_out_of_reach() -> None:
    deserved = {code for case in cases().values() for way in case.ways for code in way.codes}
    assert deserved.isdisjoint(OUT_OF_REACH)
    assert deserved | OUT_OF_REACH.keys() == set(Result)
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
    transfer  ann  bob  0                              AMOUNT_MUST_BE_POSITIVE   # and open
    end       open
    chain
    transfer  ann  bob  1                              CHAIN_BROKEN
    close     bob  id=0                                ID_MUST_NOT_BE_ZERO       # and cannot be linked
    end
    chain
    transfer  ann  bob  1                              CHAIN_BROKEN
    again     grouped                                  EXISTS                    # and cannot be linked
    end
    chain
    transfer  ann  bob  1                              CHAIN_BROKEN
    transfer  ann  bob  2  id=known                    EXISTS_WITH_DIFFERENT_CONTENT   # and open
    end       open
    chain
    transfer  ann  bob  1   id=twice                   CHAIN_BROKEN
    close     bob           id=twice                   CANNOT_BE_LINKED          # and repeats an id
    end
    chain
    transfer  ann  bob  1   id=twice                   CHAIN_BROKEN
    transfer  ann  bob  99  id=twice                   CHAIN_OPEN                # and repeats an id, and too much
    end       open
    chain
    transfer  ann  bob  1   id=twice                   CHAIN_BROKEN
    transfer  ann  bob  99  id=twice                   CHAIN_REPEATS_AN_ID       # and too much
    end
    chain
    transfer  ann  bob  99  id=twice                   EXCEEDS_BALANCE           # which comes first
    transfer  ann  bob  98  id=twice                   LINKED_FAILED
    end
    chain
    transfer  ann  bob  99                             EXCEEDS_BALANCE
    transfer  ann  bob  98                             LINKED_FAILED             # and too much
    end
"""


def test_chains_are_judged_in_order_too() -> None:
    table = Table().play(CHAINS)
    assert {Result.CANNOT_BE_LINKED, Result.CHAIN_OPEN, Result.CHAIN_REPEATS_AN_ID} <= table.codes


def test_codes_bind_from_the_first_of_the_state_on() -> None:
    """What is malformed or not taken binds nothing: the same id may be used for what is right."""
    case = cases()["TRANSFER"]
    for way in case.ways:
        if way.said.get("id") == "0":
            continue
        table = world(case, way)
        answered(table, record_of(Table(), case, way))
        right = record_of(Table(), case, Way((), {}))
        bound = table.sides.state.bound_of(id_of("asked"))
        assert (bound is None) == way.is_malformed
        again = answered(table, right)
        assert (again is Result.CREATED) == way.is_malformed, said_of(case, way)
    assert np.all([PRECEDENCE.index(code) >= FIRST_BINDING for code in Result if code.binds])
