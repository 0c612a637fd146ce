"""Rows of bulk payments against a plain twin with a loop, field by field."""

from __future__ import annotations

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.limits import I64_MAX
from sycee.core.records import bulk_rows
from sycee.core.records.bulk_rows import BATCH_BYTES, BATCH_ROWS, Content, FileIds, Mode, RowCode, Rows
from sycee.core.records.layout import OPERATION, Kind
from sycee.core.result_codes import Result

pytestmark = pytest.mark.fast

ID = st.integers(0, 2**128 - 1)
AMOUNT = st.integers(-(2**63), I64_MAX)
FILE = ids.parse("01930e2c-5a00-7abc-8def-0123456789ab")


def uuids(many: list[int]) -> np.ndarray:
    return np.frombuffer(b"".join(each.to_bytes(16, "big") for each in many), np.uint8).reshape(-1, 16)


def rows_of(payees: list[int], amounts: list[int], references: list[int] | None, flags: list[int] | None) -> Rows:
    return Rows(
        uuids(payees),
        np.array(amounts, np.int64),
        None if references is None else uuids(references),
        None if flags is None else np.array(flags, np.uint16),
    )


def plain_record(
    file: int, payer: int, number: int, payee: int, amount: int, reference: int, flags: int | None, batch: int
) -> bytes:
    """The 128 bytes of one row, by the text of the reference."""
    context = "sycee 2026-11-27 bulk: ids of rows"
    both = file.to_bytes(16, "big") + payer.to_bytes(16, "big")
    tag = int.from_bytes(blake3(both, derive_key_context=context).digest(8), "little") % 2**42
    bits = f"{file >> 80:048b}" + "0111" + f"{tag:042b}"[:12] + "10" + f"{tag:042b}"[12:] + f"{number:032b}"
    kind = Kind.STAGE if batch else Kind.TRANSFER if flags is None else Kind.PAY
    return b"".join(
        (
            int(bits, 2).to_bytes(16, "little"),
            kind.to_bytes(2, "little"),
            (flags or 0).to_bytes(2, "little"),
            bytes(4),
            amount.to_bytes(8, "little", signed=True),
            payer.to_bytes(16, "little"),
            payee.to_bytes(16, "little"),
            bytes(16),
            batch.to_bytes(4, "little"),
            bytes(28),
            reference.to_bytes(16, "little"),
        )
    )


@given(
    st.lists(st.tuples(ID, AMOUNT, ID, st.integers(0, 2**16 - 1)), min_size=1, max_size=6),
    st.integers(0, bulk_rows.ROWS_MAX - 6),
    ID,
    ID,
    st.booleans(),
    st.sampled_from(("plain", "flags", "batch")),
)
def test_records_are_those_of_a_plain_twin(
    drawn: list[tuple[int, int, int, int]], first: int, file: int, payer: int, has_references: bool, form: str
) -> None:
    payees, amounts, references, flags = (list(column) for column in zip(*drawn, strict=True))
    batch = 4_000_000_000 if form == "batch" else 0
    rows = rows_of(payees, amounts, references if has_references else None, flags if form == "flags" else None)
    made = bulk_rows.records(rows, FileIds(file, payer), first, batch=batch)
    assert made.dtype == OPERATION
    expected = [
        plain_record(
            file, payer, first + at, payees[at], amounts[at], references[at] if has_references else 0,
            flags[at] if form == "flags" else None, batch,
        )
        for at in range(len(drawn))
    ]  # fmt: skip
    assert made.tobytes() == b"".join(expected)
    assert rows.sum_minor() == sum(amount for amount in amounts if amount > 0)
    assert bulk_rows.any_of(rows, payees[:2]).tolist() == [payee in payees[:2] for payee in payees]


def test_ids_ascend_and_are_of_version_7() -> None:
    made = FileIds(FILE, 5).of_rows(0, BATCH_ROWS)
    numbers = [ids.to_int(each) for each in made]
    assert numbers == sorted(set(numbers))
    assert {number >> 76 & 0xF for number in numbers} == {7}
    assert numbers[0] >> 80 == FILE >> 80
    assert ids.to_int(FileIds(FILE, 6).of_rows(0, 1)[0]) != numbers[0]


def test_each_column_is_in_the_digest() -> None:
    plain = rows_of([1, 2], [3, 4], None, None)
    others = [
        rows_of([1, 3], [3, 4], None, None),
        rows_of([1, 2], [3, 5], None, None),
        rows_of([1, 2], [3, 4], [0, 0], None),
        rows_of([1, 2], [3, 4], None, [0, 0]),
        plain.part(0, 1),
    ]
    assert len({each.digest() for each in (plain, *others)}) == len(others) + 1
    assert plain.part(0, 2).digest() == plain.digest()


def test_flags_and_a_settlement_batch_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="has no flags"):
        bulk_rows.records(rows_of([1], [1], None, [0]), FileIds(FILE, 5), 0, batch=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": 0}, "a file has 1 to"),
        ({"rows": BATCH_ROWS + 1}, "are 2 batches"),
        ({"sum_minor": 8}, "make 7, not 8"),
        ({"batches": bytes(39)}, "describe"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(change: dict, message: str) -> None:
    good = {"payer": 5, "mode": Mode.EACH, "rows": 2, "sum_minor": 7}
    batches = bulk_rows.describe(rows_of([1, 2], [3, 4], None, None))
    assert Content(**good, batches=batches).count == len(batches) // BATCH_BYTES == 1
    with pytest.raises(UsageError, match=message):
        Content(**{**good, "batches": batches, **change})


def test_sums_beyond_63_bits_are_refused() -> None:
    with pytest.raises(UsageError, match="exceed"):
        bulk_rows.describe(rows_of([1, 2], [I64_MAX, 1], None, None))


def test_codes_have_names() -> None:
    assert bulk_rows.code_name(0) == "CREATED"
    assert bulk_rows.code_name(RowCode.NOT_PAID_YET) == "NOT_PAID_YET"
    assert min(RowCode) > max(Result)


@given(st.lists(AMOUNT, max_size=20))
def test_the_sum_of_the_positive_amounts_is_exact(amounts: list[int]) -> None:
    rows = rows_of([1] * len(amounts), amounts, None, None)
    assert rows.sum_minor() == sum(each for each in amounts if each > 0)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=20), st.data())
def test_rows_that_pay_some_accounts_are_found(halves: list[tuple[int, int]], data: st.DataObject) -> None:
    """Few values, so that accounts share a half with a payee, or with each other."""
    payees = [high << 64 | low for high, low in halves]
    accounts = data.draw(st.sets(st.tuples(st.integers(0, 2), st.integers(0, 2))).map(
        lambda chosen: {high << 64 | low for high, low in chosen}
    ))  # fmt: skip
    found = bulk_rows.any_of(rows_of(payees, [1] * len(payees), None, None), accounts)
    assert found.tolist() == [each in accounts for each in payees]
