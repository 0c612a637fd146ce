"""Ids and integers in arguments, and the errors for all other values."""

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
        ("Ann", "account must be an integer or a UUID; got 'Ann'"),
        (ID.bytes, "account must be an integer from .*; got b'"),
        (-1, "account must be an integer from 0 to .*; got -1"),
        (2**128, "account must be an integer from 0 to"),
        (True, "account must be an integer from .*; got True"),
        (1.0, r"account must be an integer from .*; got 1\.0"),
        (None, "account must be an integer from .*; got None"),
    ],
)
def test_other_values_are_refused_as_ids(value: object, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        check_id("account", value)
    assert caught.value.hint


@pytest.mark.parametrize("amount", [Decimal("200.00"), 200.0, "200"])
def test_an_amount_of_another_type_names_text_and_minor_units(amount: object) -> None:
    with pytest.raises(UsageError, match=r"amount must be an integer from .*; got .*200") as caught:
        check_integer("amount", amount)
    assert caught.value.hint == 'give an int of minor units; methods of a ledger also accept text such as "200.00"'
