"""Single records and their errors equal those of the array builders, byte for byte."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sycee.core.errors import UsageError
from sycee.core.limits import I64_MAX
from sycee.core.records import operations, single_record

pytestmark = pytest.mark.fast

ids = st.integers(0, 2**128 - 1)


@given(id=ids, debit=ids, credit=ids, amount=st.integers(-I64_MAX - 1, I64_MAX))
def test_the_same_bytes(id: int, debit: int, credit: int, amount: int) -> None:
    transfer = operations.transfer(id, debit=debit, credit=credit, amount=amount)
    assert single_record.transfer(id, debit, credit, amount) == transfer.tobytes()
    pay = operations.pay(id, payer=debit, payee=credit, amount=amount)
    assert single_record.pay(id, debit, credit, amount) == pay.tobytes()


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("wrong", [-1, 2**128, True, 1.0, None, "1", b"1"])
def test_the_same_errors(at: int, wrong: Any) -> None:
    given: list[Any] = [1, 2, 3, 4]
    given[at] = wrong
    if (at, wrong) == (3, -1):
        return  # an amount may be negative: the ledger refuses it
    id, one, other, amount = given
    for build, made in (
        (single_record.transfer, lambda: operations.transfer(id, debit=one, credit=other, amount=amount)),
        (single_record.pay, lambda: operations.pay(id, payer=one, payee=other, amount=amount)),
    ):
        with pytest.raises(UsageError) as expected:
            made()
        with pytest.raises(UsageError) as error:
            build(*given)
        assert error.value.message == expected.value.message


def test_numpy_integers_are_accepted() -> None:
    made = single_record.transfer(1, np.uint64(2), 3, np.int64(4))  # type: ignore[arg-type]
    assert made == single_record.transfer(1, 2, 3, 4)
