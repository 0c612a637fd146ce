"""What is documented is what is: result codes in their order, and the layout of every record."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from sycee.core.codes import PRECEDENCE, Result
from sycee.ledger import digest, layout
from sycee.ledger.layout import Kind
from sycee.testing.histories import coverage, random_history

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
LEDGER = (REFERENCE / "ledger.md").read_text(encoding="utf-8")
CODES = (REFERENCE / "result-codes.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([A-Z_]+)` \| (\d+) \| (yes|no) \| (.+) \| (.+) \|$", CODES, re.MULTILINE)


def test_every_code_has_its_row_in_order_of_precedence() -> None:
    assert [name for name, *_ in ROWS] == [code.name for code in PRECEDENCE]
    assert CODES.count("\n| `") == len(ROWS), "a row cannot be read"


@pytest.mark.parametrize(("name", "number", "binds"), [row[:3] for row in ROWS])
def test_a_row_says_the_codes_number_and_whether_it_binds(name: str, number: str, binds: str) -> None:
    assert Result[name] == int(number)
    assert Result[name].binds == (binds == "yes")


def test_numbers_have_no_gap() -> None:
    assert sorted(Result) == list(range(len(Result)))


def test_every_code_the_specification_names_is_one() -> None:
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", LEDGER)) | {"EXISTS"}
    assert named <= set(Result.__members__)
    # What may be answered is said in ledger.md; CREATED is what is said otherwise.
    assert set(Result.__members__) - named - {"CREATED"} == set()


def test_the_random_histories_of_the_twin_test_are_answered_every_code() -> None:
    """Kernels and twin agree on these very seeds in test_twin, so the kernels give every code too."""
    counted = coverage(random_history(seed, 60) for seed in range(300))
    assert {code for _, code in counted} == set(Result)
    assert {kind for kind, code in counted if code is Result.CREATED} == {kind.name for kind in Kind}


# --- layouts ---


def ranges_of(dtype: np.dtype) -> dict[str, tuple[int, int]]:
    """Field to first and last byte; the halves of an id are one field."""
    found: dict[str, tuple[int, int]] = {}
    for name in dtype.names or ():
        field, offset = dtype.fields[name][:2]  # type: ignore[index]
        whole = name.removesuffix("_low").removesuffix("_high")
        start = found[whole][0] if whole in found else offset
        found[whole] = (start, offset + field.itemsize - 1)
    return found


def test_the_operation_has_the_documented_bytes() -> None:
    section = LEDGER[LEDGER.index("## 1.") : LEDGER.index("| kind | no. |")]
    cells = re.findall(r"\| (\d+)–(\d+) \| `(\w+)`", section)
    assert {name: (int(first), int(last)) for first, last, name in cells} == ranges_of(layout.OPERATION)


def test_a_rule_set_has_the_documented_bytes() -> None:
    section = LEDGER[LEDGER.index("## 4.") : LEDGER.index("## 5.")]
    cells = re.findall(r"`(\w+)`[^`\[]*\[(\d+)–(\d+)\]", section)
    assert {name: (int(first), int(last)) for name, first, last in cells} == ranges_of(layout.RULE_SET_OPERATION)


def test_kinds_have_the_documented_numbers() -> None:
    table = LEDGER[LEDGER.index("| kind | no. |") : LEDGER.index("## 2.")]
    rows = re.findall(r"^\| ([A-Z_, ]+) \| ([\d, ]+) \|", table, re.MULTILINE)
    documented = {
        name: int(number)
        for names, numbers in rows
        for name, number in zip(names.split(", "), numbers.split(", "), strict=True)
    }
    assert documented == {kind.name: int(kind) for kind in Kind}


def test_members_stand_at_the_documented_bytes() -> None:
    said = re.search(r"ids at bytes ([\d, ]+)", LEDGER)
    assert said
    assert [int(at) for at in said[1].split(", ")] == [8 * word for word in layout.MEMBER_WORDS]


def test_a_movement_is_documented_field_by_field() -> None:
    said = (
        "debit row u32, credit row u32, amount, both balances after it, the number of the previous movement of each "
        "row (0 for none), place u64, purpose u16, leg u16, 4 reserved"
    )
    assert said in LEDGER
    assert layout.MOVEMENT.itemsize == 64
    assert [(name, layout.MOVEMENT[name].str) for name in layout.MOVEMENT.names or ()] == [
        ("debit_row", "<u4"),
        ("credit_row", "<u4"),
        ("amount", "<i8"),
        ("debit_balance", "<i8"),
        ("credit_balance", "<i8"),
        ("debit_previous", "<i8"),
        ("credit_previous", "<i8"),
        ("place", "<u8"),
        ("purpose", "<u2"),
        ("leg", "<u2"),
        ("reserved", "<u4"),
    ]


@pytest.mark.parametrize("name", ["OPERATION", "RULE_SET_OPERATION", "ACCOUNT", "PURSE", "BOUND", "MOVEMENT", "ANSWER"])
def test_records_have_no_padding_and_no_overlap(name: str) -> None:
    dtype = getattr(layout, name)
    covered = [at for first, last in sorted(ranges_of(dtype).values()) for at in range(first, last + 1)]
    assert covered == list(range(dtype.itemsize))


@pytest.mark.parametrize("name", ["_ACCOUNT", "_PURSE", "_BOUND"])
def test_digested_rows_are_packed(name: str) -> None:
    dtype = getattr(digest, name)
    assert sum(dtype[field].itemsize for field in dtype.names) == dtype.itemsize
