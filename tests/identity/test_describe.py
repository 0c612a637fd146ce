"""What a signer is shown: every kind, every field, and nothing but the records."""

from __future__ import annotations

import numpy as np
import pytest
from tests.each import case

from sycee.core.keys import SigningKey
from sycee.core.limits import I64_MAX
from sycee.core.records import describe, operations
from sycee.core.records.describe import LocalName
from sycee.core.records.layout import LINKED, OPERATION, AccountKind, Block, Kind, Reason, Role
from sycee.core.records.operation_table import TABLE, Field, bytes_of

pytestmark = pytest.mark.fast

KEY = SigningKey.derive(bytes(32)).public


def fields(kind: Kind, flags: int) -> list[Field]:
    row = TABLE[kind]
    return [field for field in row.fields if field.name != "flags" and (not field.flag or flags & field.flag)]


def filled(kind: Kind, flags: int, *, seed: int = 0) -> np.ndarray:
    """Return a record whose every field has a value that is permitted, and different from every other field's."""
    record = np.zeros(1, OPERATION)
    random = np.random.default_rng(seed)
    for field in fields(kind, flags):
        place = bytes_of(field.name)
        low, high = (field.low, field.high) if field.high else (1, 255)
        value = int(random.integers(low, high + 1)) if high > low else low
        raw = value.to_bytes(len(place), "little") if len(place) <= 16 else bytes([value % 255 + 1]) * len(place)
        record.view(np.uint8)[place.start : place.stop] = np.frombuffer(raw, np.uint8)
    record["id_low"], record["kind"], record["flags"] = 1, int(kind), flags
    return record


def test_a_changed_field_changes_the_line() -> None:
    for kind, flags in ((each, flags) for each in Kind for flags in TABLE[each].flags):
        with case(kind, flags):
            record = filled(kind, flags)
            if kind is Kind.ADD_MEMBERS:
                record["count"] = 5
            (line,) = describe.lines(record)
            assert f"{kind.name}  " in line
            assert "must be zero" not in line
            for field in fields(kind, flags):
                changed = record.copy()
                place = bytes_of(field.name)
                if field.name == "count" and kind is Kind.ADD_MEMBERS:
                    continue  # fewer members: the rest would be bytes that must be zero
                changed.view(np.uint8)[place.start] ^= 1
                assert describe.lines(changed) != [line], field.name


def test_every_byte_that_is_not_zero_is_shown() -> None:
    for kind in Kind:
        with case(kind):
            record = np.zeros(1, OPERATION)
            record["kind"] = int(kind)
            record["flags"] = TABLE[kind].flags[0]
            used = {at for field in fields(kind, TABLE[kind].flags[0]) for at in bytes_of(field.name)} | set(range(24))
            if kind not in (Kind.DEFINE_RULE_SET, Kind.ADD_MEMBERS):
                used |= set(bytes_of("note"))
            for at in set(range(128)) - used:
                changed = record.copy()
                changed.view(np.uint8)[at] = 7
                assert "must be zero" in describe.lines(changed)[0], at


def test_what_the_signers_of_a_new_operator_read() -> None:
    number = 60_001
    records = np.concatenate(
        [
            operations.open_account(1, account=11, currency=156, kind=AccountKind.SUSPENSE, operator=2),
            operations.define_rule_set(2, rule_set=number, from_ns=0, until_ns=I64_MAX, balance_max=500_000_000),
            operations.open_account(
                3, account=12, currency=156, kind=AccountKind.VAULT, suspense=11, operator=2, rule_set=number
            ),
            operations.grant_role(
                4, person=9, role=Role.OPERATOR, key=KEY.key, flags=KEY.flags, from_ns=0,
                until_ns=1_793_577_600 * 10**9, operator=2,
            ),
        ]
    )  # fmt: skip
    short = "00000000-0000-0000-0000-0000000000"
    assert describe.lines(records) == [
        f"1  OPEN_ACCOUNT  SUSPENSE of operator 2, CNY, account {short}0b, no rule set, no suspense account",
        "2  DEFINE_RULE_SET  rule set 60001: balance at most 500,000,000 minor units, from now without end",
        (
            f"3  OPEN_ACCOUNT  VAULT of operator 2, CNY, account {short}0c, "
            f"rule set 60001 (balance at most 5,000,000.00 CNY), suspense {short}0b"
        ),
        (
            f"4  GRANT_ROLE  OPERATOR of operator 2 for person {short}09, key {KEY}, "
            "from now until 2026-11-02T00:00:00.000000000Z"
        ),
    ]


def test_an_amount_has_its_currency_where_this_machine_has_the_account() -> None:
    record = operations.transfer(1, debit=11, credit=12, amount=1_250)
    assert "1,250 minor units from " in describe.lines(record)[0]
    (line,) = describe.lines(record, {11: LocalName("reserves", 156), 12: LocalName("", 156)})
    assert line.startswith("1  TRANSFER  12.50 CNY from ")
    assert "(local name: reserves)" in line
    assert describe.amount(5, 1) == "5 minor units of book 1"


def test_chains_codes_notes_and_unknown_kinds() -> None:
    chain = operations.chain(
        operations.transfer(1, debit=2, credit=3, amount=4, code=8), operations.transfer(5, debit=3, credit=2, amount=4)
    )
    first, second = describe.lines(chain)
    assert first.endswith(", code 8, and only together with the next")
    assert "together" not in second
    chain["note_low"] = 6
    assert ", note 00000000-0000-0000-0000-000000000006" in describe.lines(chain)[1]
    chain["kind"] = 999
    assert "KIND 999  unknown: " in describe.lines(chain)[0]
    block = operations.block_account(1, account=2, sides=Block.DEBIT | Block.CREDIT, reason=Reason.RECOVERY)
    assert "debits and credits of " in describe.lines(block)[0]
    block["flags"] |= 64
    assert "unknown flags 67" in describe.lines(block)[0]
    assert block["flags"] & LINKED == 0


def test_a_name_cannot_forge_a_line() -> None:
    """Text inside records is escaped, so that a zone's name cannot look like another record."""
    record = operations.define_currency(1, currency=156, zone="Asia/Shanghai\n2  MINT")
    (line,) = describe.lines(record)
    assert "\\n2  MINT" in line
    assert "\n" not in line
