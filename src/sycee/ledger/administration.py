"""Handlers of rare operations in Python: definitions, roles, programmes, seals.

Each handler gets the state, the frame's operations, the index of its operation and the frame's time. Each handler makes
its checks in order of precedence and returns the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np

from sycee.core import ids, limits
from sycee.core.arrays import Array
from sycee.core.records import layout
from sycee.core.records.layout import AccountKind, KeyFlag, Kind, Role, RuleFlag
from sycee.core.records.operation_table import bytes_of
from sycee.core.result_codes import Result
from sycee.ledger.kernels import constants
from sycee.ledger.models import Grant
from sycee.ledger.state_tables import StateTables

OFFICERS_MIN: Final = 2  # persons on the board with whom authority is on; minting needs their signatures


def _bytes(operations: Array, at: int, field: str) -> bytes:
    place = bytes_of(field)
    return operations[at : at + 1].view(np.ndarray).view(np.uint8)[place.start : place.stop].tobytes()


def _define_currency(state: StateTables, operations: Array, at: int, now_ns: int) -> Result:
    number = int(operations["number"][at])
    if number in state.zones:
        return Result.CURRENCY_EXISTS
    if len(state.zones) >= limits.CURRENCIES_MAX:
        return Result.TOO_MANY_CURRENCIES
    state.zones[number] = _bytes(operations, at, "zone").rstrip(b"\0").decode("latin-1")
    state.tables.issuance[number] = -1
    return Result.CREATED


def _define_group(state: StateTables, operations: Array, at: int, now_ns: int) -> Result:
    number = int(operations["number"][at])
    if number in state.groups:
        return Result.GROUP_EXISTS
    state.groups[number] = len(state.groups)
    state.tables.group_rows[number] = len(state.groups)
    return Result.CREATED


def _define_rule_set(state: StateTables, operations: Array, at: int, now_ns: int) -> Result:
    definition = operations[at : at + 1].tobytes()
    record = rule_set_record(definition)
    number = int(record["number"])
    if any(group and group not in state.groups for group in record["groups"].tolist()):
        return Result.GROUP_NOT_FOUND
    current = state.rule_sets.get(number)
    effective_ns = int(record["effective_ns"])
    if current is not None and effective_ns <= now_ns:
        return Result.RULE_SET_EXISTS
    if current is None and effective_ns > now_ns:
        return Result.RULE_SET_NOT_FOUND
    if current is not None:
        fixed = ("from_ns", "until_ns", "return_low", "return_high")
        if any(record[name] != rule_set_record(current)[name] for name in fixed):
            return Result.RULE_SET_MUST_KEEP_WINDOW
    if record["return_low"] or record["return_high"]:
        row = state.row(ids.of_record(record, "return"))
        if row < 0 or state.tables.accounts["kind"][row] == AccountKind.IN_TRANSIT:
            return Result.RETURN_ACCOUNT_NOT_FOUND
    if current is None:
        activate_rule_set(state, number, definition)
    else:
        state.scheduled_rule_sets[number] = definition
    return Result.CREATED


def rule_set_record(definition: bytes) -> Any:
    """Return the record that defined a rule set, as layout.RULE_SET_OPERATION."""
    return np.frombuffer(definition, layout.RULE_SET_OPERATION)[0]


def activate_rule_set(state: StateTables, number: int, definition: bytes) -> None:
    """Apply a definition of a rule set immediately."""
    record = rule_set_record(definition)
    state.grow("rule_sets", number + 1)
    rules = state.tables.rule_sets.view(np.ndarray)[number]
    for name in layout.RULE_SET.names or ():
        if name in (layout.RULE_SET_OPERATION.names or ()):
            rules[name] = record[name]
    rules["payment_min"] = 0
    if int(record["flags"]) & RuleFlag.PAYMENT_MIN:
        rules["payment_min"], rules["refund_reserve"] = record["refund_reserve"], 0
    rules["defined"] = 1
    rules["return_row"] = 0
    if record["return_low"] or record["return_high"]:
        rules["return_row"] = state.row(ids.of_record(record, "return"))
    state.rule_sets[number] = definition
    state.scheduled_rule_sets.pop(number, None)


def _grant_role(state: StateTables, operations: Array, at: int, now_ns: int) -> Result:
    record = operations[at]
    currency, person, key = int(record["number"]), ids.of_record(record, "debit"), _bytes(operations, at, "key")
    if currency and currency not in state.zones:
        return Result.CURRENCY_NOT_FOUND
    others = (grant for grant in state.grants.values() if grant.person != person and grant.key == key)
    if any(not grant.revoked and now_ns < grant.until_ns for grant in others):
        return Result.KEY_IS_ANOTHERS
    grant = Grant(
        id=ids.of_record(record, "id"),
        person=person,
        role=Role(int(record["first"])),
        flags=KeyFlag(int(record["flags"])),
        key=key,
        operator=int(record["count"]),
        from_ns=int(record["from_ns"]),
        until_ns=int(record["until_ns"]),
        currency=currency,
    )
    state.grants[grant.id] = grant
    state.authority_on = state.authority_on or count_officers(state, now_ns) >= OFFICERS_MIN
    return Result.CREATED


def count_officers(state: StateTables, now_ns: int, excluding: int = 0) -> int:
    """Return the number of persons who are officers of the board at `now_ns`, without the grant `excluding`."""
    grants = (grant for grant in state.grants.values() if grant.id != excluding)
    return len({grant.person for grant in grants if grant.is_board and grant.counts(now_ns)})


def _revoke_role(state: StateTables, operations: Array, at: int, now_ns: int) -> Result:
    grant = state.grants.get(ids.of_record(operations[at], "reference"))
    if grant is None:
        return Result.GRANT_NOT_FOUND
    if grant.revoked:
        return Result.GRANT_REVOKED
    if state.authority_on and grant.is_board and count_officers(state, now_ns, grant.id) < OFFICERS_MIN:
        return Result.OFFICERS_MUST_REMAIN
    state.grants[grant.id] = replace(grant, revoked=True)
    return Result.CREATED


def _upgrade(state: StateTables, operations: Array, at: int, now_ns: int) -> Result:
    number = int(operations["number"][at])
    if number <= state.rules:
        return Result.RULES_NOT_NEWER
    state.rules = number
    state.release = _bytes(operations, at, "release").rstrip(b"\0").decode("latin-1")
    return Result.CREATED


def _open_programme(state: StateTables, operations: Array, at: int, now_ns: int) -> Result:
    record = operations[at]
    number, rule_set = int(record["number"]), int(record["rule_set"])
    if rule_set not in state.rule_sets:
        return Result.RULE_SET_NOT_FOUND
    if state.has_programme(number):
        return Result.PROGRAMME_EXISTS
    definition = rule_set_record(state.rule_sets[rule_set])
    if not (definition["return_low"] or definition["return_high"]):
        return Result.RETURN_ACCOUNT_NOT_FOUND
    funder = state.row(ids.of_record(record, "debit"))
    if funder < 0:
        return Result.DEBIT_ACCOUNT_NOT_FOUND
    accounts = state.accounts
    currency = accounts["currency"][funder]
    if accounts["currency"][int(state.tables.rule_sets["return_row"][rule_set])] != currency:
        return Result.CURRENCIES_MUST_MATCH
    if accounts["kind"][funder] == AccountKind.IN_TRANSIT:
        return Result.ACCOUNT_IS_IN_TRANSIT
    first, count = int(state.tables.counters[constants.PURSES]), int(record["count"])
    state.grow("purses", first + count)
    state.grow("programmes", number + 1)
    state.grow("undropped", number + 1)
    # ADD_MEMBERS writes to the purses: a first touch of the memory of all purses here would delay payments.
    state.tables.counters[constants.PURSES] = first + count
    programme = state.tables.programmes.view(np.ndarray)[number]
    programme["defined"] = 1
    programme["rule_set"], programme["funder"], programme["currency"] = rule_set, funder, currency
    programme["count"], programme["first_purse"] = count, first
    programme["claim_from_ns"], programme["claim_until_ns"] = record["from_ns"], record["until_ns"]
    return Result.CREATED


def _seal_cohort(state: StateTables, operations: Array, at: int, now_ns: int) -> Result:
    record = operations[at]
    number = int(record["number"])
    if not state.has_programme(number):
        return Result.PROGRAMME_NOT_FOUND
    programme = state.tables.programmes.view(np.ndarray)[number]
    if programme["sealed"]:
        return Result.COHORT_SEALED
    if programme["filled"] != programme["count"]:
        return Result.COHORT_INCOMPLETE
    if _bytes(operations, at, "digest") != state.cohort_digest(number):
        return Result.COHORT_DIGEST_DIFFERS
    programme["sealed"] = 1
    programme["seal_low"], programme["seal_high"] = record["id_low"], record["id_high"]
    state.forget_members(number)
    return Result.CREATED


HANDLERS: Final[dict[Kind, Callable[[StateTables, Array, int, int], Result]]] = {
    Kind.DEFINE_CURRENCY: _define_currency,
    Kind.DEFINE_GROUP: _define_group,
    Kind.DEFINE_RULE_SET: _define_rule_set,
    Kind.GRANT_ROLE: _grant_role,
    Kind.REVOKE_ROLE: _revoke_role,
    Kind.UPGRADE: _upgrade,
    Kind.OPEN_PROGRAMME: _open_programme,
    Kind.SEAL_COHORT: _seal_cohort,
}
