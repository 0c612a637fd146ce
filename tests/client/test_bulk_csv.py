from __future__ import annotations

import numpy as np
import pytest

from sycee.client import bulk_csv
from sycee.client.bulk_arrow import RowResults
from sycee.client.bulk_csv import BadRows
from sycee.core import ids, money
from sycee.core.errors import UsageError

CNY, JPY = money.currency("CNY"), money.currency("JPY")
ONE, TWO = "01930e2c-5a00-7abc-8def-0123456789ab", "01930E2C-5A00-7ABC-8DEF-0123456789AC"


def test_rows_are_read() -> None:
    rows = bulk_csv.read(f"payee,amount,reference\n{ONE},12.5,{TWO}\n{TWO},3,\n".encode(), CNY)
    assert [int.from_bytes(each.tobytes(), "big") for each in rows.payees] == [ids.parse(ONE), ids.parse(TWO)]
    assert rows.amounts.tolist() == [1_250, 300]
    assert rows.references is not None
    assert int.from_bytes(rows.references[0].tobytes(), "big") == ids.parse(TWO)
    assert not rows.references[1].any()


@pytest.mark.parametrize("text", [f"payee,amount\n{ONE},7", f"amount,payee,reference\n7,{ONE},"])
def test_columns_are_in_any_order_and_references_may_be_empty(text: str) -> None:
    rows = bulk_csv.read(text.encode(), JPY)
    assert (rows.amounts.tolist(), rows.references, rows.flags) == ([7], None, None)


def test_each_bad_row_is_named_by_line_column_and_value() -> None:
    lines = ["payee,amount", f"{ONE},1", "xx,1", f"{ONE}", f"{ONE},12,50", f"{ONE},-1", f"{ONE},0.00", f"{ONE},1.234"]
    lines += [f"{ONE},", f"{ONE}," + "9" * 17, "", f"{ONE},1e3"]
    with pytest.raises(BadRows) as caught:
        bulk_csv.read("\n".join(lines).encode(), CNY)
    assert caught.value.message.splitlines() == [
        "line 3, column payee: 'xx' is no id such as 01930e2c-5a00-7abc-8def-0123456789ab",
        f"line 4: '{ONE}' has 1 columns, not 2",
        f"line 5: '{ONE},12,50' has 3 columns, not 2",
        "line 6, column amount: '-1' is no amount such as 12.50",
        "line 7, column amount: '0.00' is not above 0",
        "line 8, column amount: '1.234' is no amount such as 12.50",
        "line 9, column amount: '' is empty",
        "line 10, column amount: '99999999999999999' is no amount such as 12.50",
        "line 11, column amount: '' is empty",
        "line 11, column payee: '' is empty",
        "line 12, column amount: '1e3' is no amount such as 12.50",
    ]
    assert len(caught.value.rows) == 11


def test_many_bad_rows_are_counted() -> None:
    with pytest.raises(BadRows, match="and 80 more"):
        bulk_csv.read(("payee,amount\n" + f"{ONE},x\n" * 100).encode(), CNY)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no CSV file"),
        (b"payee,amount\n", "has no row"),
        (b"payee;amount\n1;2\n", "names the columns 'payee;amount'"),
        (b"payee,amount,note\n1,2,3\n", "names the columns 'payee', 'amount', 'note'"),
        (b"payee,amount\n\xff,2\n", "no CSV file in UTF-8"),
    ],
)
def test_other_files_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        bulk_csv.read(content, CNY)


def test_results_are_written_for_people() -> None:
    found = RowResults(8_000, np.array([0, 1_000], np.uint16), np.array([False, True]), np.array([7, 6], np.uint64))
    assert bulk_csv.write_results(8_000, found, header=True).decode().splitlines() == [
        "row,code,repeated,frame",
        "8001,CREATED,no,7",
        "8002,PAYEE_CANNOT_RECEIVE,yes,6",
    ]
