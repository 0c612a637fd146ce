"""Record builders accept integers that fit their fields, and name an argument that does not."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.each import case

from sycee.core.errors import UsageError
from sycee.core.ids import ID
from sycee.core.limits import I64_MAX
from sycee.core.records import layout, operations
from sycee.core.records.layout import AccountKind, Block, Reason, Role

I64_MIN = -I64_MAX - 1
SAMPLES: dict[str, Any] = {
    "zone": "Asia/Shanghai", "release": "sycee 1", "key": bytes(32), "digest": bytes(32), "hash_lock": b"",
    "secret": bytes(32), "up_to": True, "release_rest": True, "discard": True, "groups": [1],
    "kind": AccountKind.WALLET, "role": Role.OFFICER, "sides": Block.DEBIT, "reason": Reason.REQUEST,
    "refund_reserve": 0, "payment_min": 0,
}  # fmt: skip
NOT_INTEGERS = (
    0.5,
    [10**5000],
    1.0,
    True,
    np.True_,
    "1",
    None,
    [1],
    b"1",
    np.float64(1),
    np.timedelta64(1, "s"),
    1j,
    object(),
)


def builders() -> dict[str, Callable[..., Any]]:
    """Return every function that builds records of one kind."""
    found = {
        name: function
        for name, function in vars(operations).items()
        if inspect.isfunction(function) and not name.startswith("_") and "ids" in inspect.signature(function).parameters
    }
    assert len(found) == len(layout.Kind)
    return found


def arguments(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a valid value for every argument of a builder."""
    right: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            right |= {f"{period}_max": 5 for period in ("balance", "single", "day", "month", "year")}
        elif function is operations.add_members and name == "members":
            right[name] = np.array([(7, 0)], ID)
        else:
            right[name] = SAMPLES.get(name, 1)
    return right


CASES = [(name, argument) for name, function in builders().items() for argument in arguments(function)]
NUMBERS = [
    (name, argument)
    for name, argument in CASES
    if not isinstance(arguments(builders()[name])[argument], (str, bytes, bool, list, np.ndarray))
]


def test_valid_arguments_are_accepted() -> None:
    for function in builders().values():
        (record,) = function(**arguments(function))
        assert record.dtype == layout.OPERATION
    assert len(NUMBERS) > 100


def test_an_error_names_an_argument_of_the_wrong_type() -> None:
    for name, argument in CASES:
        with case(name, argument):
            function = builders()[name]
            right = arguments(function)
            for wrong in NOT_INTEGERS:
                if type(wrong) is type(right[argument]) or (wrong is np.True_ and isinstance(right[argument], bool)):
                    continue
                if argument == "secret" and wrong is None:
                    continue
                with pytest.raises(UsageError) as error:
                    function(**{**right, argument: wrong})
                named = "id" if argument == "ids" else argument
                assert str(error.value).startswith((f"{named} must ", f"{named} = ", f"{named} has shape ")), (
                    error.value
                )
                assert error.value.hint or isinstance(wrong, bytes)


def test_a_number_is_stored_or_refused_with_its_range() -> None:
    fits = {-1: "<i8", 2**16: "<u4", 2**32: "<u8", I64_MAX + 1: "<u8"}
    for name, argument in NUMBERS:
        function = builders()[name]
        right = arguments(function)
        for number in [I64_MIN - 1, -1, 2**16, 2**32, I64_MAX + 1, 2**128, -(2**200), 10**5000]:
            with case(name, argument, hex(number)[:20]):
                try:
                    (record,) = function(**{**right, argument: number})
                except UsageError as refused:
                    error = refused
                else:
                    assert np.array(number, fits[number]).tobytes() in record.tobytes()
                    continue
                assert " must be an integer from " in str(error)
                assert error.hint


def test_an_error_names_argument_value_and_range() -> None:
    with pytest.raises(
        UsageError, match=r"^single_max must be an integer from -9223372036854775808 to 9223372036854775807; got 0\.5\n"
    ) as error:
        operations.define_rule_set(1, rule_set=1, from_ns=0, until_ns=1, single_max=0.5)  # type: ignore[arg-type]
    assert error.value.hint is not None
    assert "minor units" in error.value.hint
    with pytest.raises(UsageError, match=r"^amount must be an integer from .*; got 1\.9\n"):
        operations.transfer(1, debit=2, credit=3, amount=1.9)  # type: ignore[arg-type]
    with pytest.raises(
        UsageError, match=r"(?m)^id must be an integer from 0 to 340282366920938463463374607431768211455; got 5\.5$"
    ):
        operations.transfer(5.5, debit=2, credit=3, amount=1)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^account must be an integer from 0 to 3402823669\d+; got -1\n"):
        operations.close_account(1, account=-1)
    with pytest.raises(UsageError, match=r"(?m)^groups must be an integer from 0 to 65535; got 65536$"):
        operations.define_rule_set(1, rule_set=1, from_ns=0, until_ns=1, groups=[1, 65_536])
    with pytest.raises(UsageError, match=r"^sides must be an integer from 0 to 65535; got 65536\n"):
        operations.block_account(1, account=1, sides=65_536, reason=Reason.REQUEST)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^amount must be an integer from .*; got a number of 16,610 bits\n"):
        operations.transfer(1, debit=2, credit=3, amount=10**5000)


def test_numpy_integers_and_arrays_are_accepted() -> None:
    many = np.array([(1, 0), (2, 0)], ID)
    for amount in (np.int8(7), np.uint64(7), np.int64(7), np.array(7), np.array([7]), np.array([7, 7], np.uint8)):
        assert operations.transfer(many, debit=2, credit=np.uint64(3), amount=amount)["amount"].tolist() == [7, 7]
    one = operations.transfer(many[0], debit=many[1], credit=2**128 - 1, amount=1)
    assert one[["id_low", "debit_low", "credit_low", "credit_high"]].tolist() == [(1, 2, 2**64 - 1, 2**64 - 1)]
    none = operations.transfer(np.zeros(0, ID), debit=1, credit=2, amount=np.zeros(0, np.int64))
    assert none.shape == (0,)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"amount": np.array([1.0, 2.0])}, "amount must be an int or an array of integers; got an array of float64"),
        ({"amount": np.array([True, False])}, "amount must be .*; got an array of bool"),
        ({"amount": np.array([1, 2], object)}, "amount must be .*; got an array of object"),
        ({"amount": np.array([1, 2**63], np.uint64)}, "amount must be .*; got 9223372036854775808"),
        ({"amount": np.array([1, 2, 3])}, r"amount has shape \(3,\) for 2 ids"),
        ({"amount": np.array([[1, 2]])}, r"amount has shape \(1, 2\)"),
        ({"code": np.array([1, -1])}, "code must be .*; got -1"),
        ({"debit": np.array([1, 2])}, "debit must be an int or an array of sycee.core.ids.ID; got an array of int64"),
        ({"debit": np.array([(1, 0)] * 3, ID)}, r"debit has shape \(3,\)"),
        ({"amount": np.array([(1, 0)], ID)}, "amount must be .*; got an array of"),
        ({"ids": np.array([[(1, 0), (2, 0)]], ID)}, r"ids has shape \(1, 2\)"),
        ({"ids": [1, 2]}, "id must be .*; got a list"),
    ],
)
def test_an_error_names_an_array_that_does_not_fit(changed: dict[str, Any], message: str) -> None:
    right = {"ids": np.array([(1, 0), (2, 0)], ID), "debit": 1, "credit": 2, "amount": 3}
    with pytest.raises(UsageError, match=message) as error:
        operations.transfer(**{**right, **changed})
    assert error.value.hint


def test_members_and_chains_are_checked() -> None:
    members = np.array([(n, 0) for n in range(1, 7)], ID)
    with pytest.raises(UsageError, match="6 members need 2 ids, not 1"):
        operations.add_members(1, programme=1, members=members)
    for wrong in ([1, 2], np.array([1, 2]), members.reshape(2, 3)):
        with pytest.raises(UsageError, match="members must be an array of ids"):
            operations.cohort_digest(wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a chain links one or more records"):
        operations.chain()
    with pytest.raises(UsageError, match="a chain links one or more records"):
        operations.chain(np.zeros(3))


def test_a_rule_set_has_a_least_payment_or_a_refund_reserve() -> None:
    window = {"rule_set": 1, "from_ns": 0, "until_ns": 1}
    (record,) = operations.define_rule_set(1, **window, flags=int(layout.RuleFlag.FINAL), payment_min=2**40)
    assert record["flags"] == layout.RuleFlag.FINAL | layout.RuleFlag.PAYMENT_MIN
    assert record.tobytes()[40:48] == (2**40).to_bytes(8, "little")
    with pytest.raises(UsageError, match="a payment_min or a refund_reserve, not both"):
        operations.define_rule_set(1, **window, payment_min=1, refund_reserve=1)
