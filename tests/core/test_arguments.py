"""Ids and integers that callers pass, and what an error says about anything else."""

from __future__ import annotations

import uuid
from decimal import Decimal

import numpy as np
import pytest

from sycee.core.arguments import check_id, check_integer
from sycee.core.errors import UsageError

pytestmark = pytest.mark.fast

ID = uuid.UUID("01930e2c-5a00-7abc-8def-0123456789ab")


@pytest.mark.parametrize("value", [ID, str(ID), str(ID).upper(), ID.int])
def test_an_id_is_an_integer_a_uuid_or_its_text(value: object) -> None:
    assert check_id("account", value) == ID.int
    assert type(check_id("account", np.uint64(5))) is int


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("Ann", "account = 'Ann' is not an id"),
        (ID.bytes, "account = b'.* is no integer"),
        (-1, "account = -1 does not fit"),
        (2**128, "does not fit"),
        (True, "account = True is no integer"),
        (1.0, r"account = 1\.0 is no integer"),
        (None, "account = None is no integer"),
    ],
)
def test_anything_else_is_no_id(value: object, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        check_id("account", value)
    assert caught.value.hint


@pytest.mark.parametrize("amount", [Decimal("200.00"), 200.0, "200"])
def test_an_amount_of_another_type_names_text_and_minor_units(amount: object) -> None:
    with pytest.raises(UsageError, match=r"amount = .*200.* is no integer from") as caught:
        check_integer("amount", amount)
    assert caught.value.hint == 'give an int of minor units; methods of a ledger also accept text such as "200.00"'
