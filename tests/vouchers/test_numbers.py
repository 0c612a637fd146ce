"""Numbers of vouchers: their form, their check digit, and secrets that follow from no table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sycee.core.errors import UsageError
from sycee.vouchers import numbers
from sycee.vouchers.numbers import SECRET_DIGITS, SERIAL_MAX

SERIALS = st.integers(0, SERIAL_MAX)
SECRETS = st.integers(0, 10**SECRET_DIGITS - 1)


def test_the_check_digit_is_that_of_the_standard() -> None:
    assert numbers.check_digit("0794") == 5  # ISO/IEC 7064, the example of MOD 11,10


@given(SERIALS, SECRETS)
def test_a_number_is_read_as_it_was_made(serial: int, secret: int) -> None:
    text = numbers.number_text(serial, secret)
    assert (len(text), numbers.parse(text)) == (24, (serial, secret))
    assert numbers.parse(numbers.printed(text)) == (serial, secret)


@given(SERIALS, SECRETS, st.integers(0, 23), st.integers(1, 9))
def test_every_wrong_digit_is_found(serial: int, secret: int, place: int, by: int) -> None:
    text = numbers.number_text(serial, secret)
    wrong = f"{text[:place]}{(int(text[place]) + by) % 10}{text[place + 1 :]}"
    with pytest.raises(UsageError, match="check digit"):
        numbers.parse(wrong)


def test_a_secret_follows_from_key_serial_and_hold() -> None:
    first = numbers.secret_of(bytes(32), 1, 2)
    assert first == numbers.secret_of(bytes(32), 1, 2) < 10**SECRET_DIGITS
    assert len({first, *(numbers.secret_of(*each) for each in ((bytes([1]) * 32, 1, 2), (bytes(32), 2, 2),
                                                               (bytes(32), 1, 3)))}) == 4  # fmt: skip
