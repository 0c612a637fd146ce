from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sycee.core import money
from sycee.core.errors import UsageError

pytestmark = pytest.mark.fast

CNY, JPY, KWD, CLF = (money.currency(code) for code in ("CNY", "JPY", "KWD", "CLF"))
WITHOUT_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
MINOR = st.integers(money.MINOR_MIN, money.MINOR_MAX)


@pytest.mark.parametrize(
    ("code", "numeric", "digits"),
    [
        ("CNY", 156, 2),
        ("EUR", 978, 2),
        ("USD", 840, 2),
        ("JPY", 392, 0),
        ("ISK", 352, 0),
        ("KWD", 414, 3),
        ("CLF", 990, 4),
        ("UYW", 927, 4),
        ("TND", 788, 3),
        ("ALL", 8, 2),
        ("MRU", 929, 2),
        ("XCG", 532, 2),
        ("ZWG", 924, 2),
    ],
)
def test_a_currency_is_found_by_code_and_by_number(code: str, numeric: int, digits: int) -> None:
    found = money.currency(code)
    assert (found.code, found.numeric, found.digits) == (code, numeric, digits)
    assert money.currency(numeric) is found


def test_the_list_of_currencies_is_complete_and_consistent() -> None:
    entries = money.currencies()
    assert len(entries) == 165
    assert [entry.code for entry in entries] == sorted({entry.code for entry in entries})
    assert len({entry.numeric for entry in entries}) == len(entries)
    assert all(len(entry.code) == 3 and entry.code.isascii() and entry.code.isupper() for entry in entries)
    assert all(0 < entry.numeric < 1000 and entry.name for entry in entries)
    by_digits = {digits: {entry.code for entry in entries if entry.digits == digits} for digits in (0, 3, 4)}
    assert by_digits[0] == set(WITHOUT_DECIMALS.split())
    assert by_digits[3] == {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}
    assert by_digits[4] == {"CLF", "UYW"}
    assert {entry.digits for entry in entries} == {0, 2, 3, 4}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("CNX", "CNY"),
        ("cny", "did you mean CNY?"),
        ("yuan", "did you mean CNY?"),
        ("RMB", "did you mean CNY?"),
        ("rmb", "did you mean CNY?"),
        ("", "three letters"),
        ("HRK", "did you mean"),
    ],
)
def test_an_unknown_code_suggests_similar_codes(asked: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        money.currency(asked)
    assert repr(asked) in caught.value.message
    assert says in (caught.value.hint or "")


@pytest.mark.parametrize("code", ["XAU", "XAG", "XDR", "XTS", "XXX"])
def test_a_code_without_a_minor_unit_is_refused_with_the_reason(code: str) -> None:
    with pytest.raises(UsageError, match=f"{code} has no minor unit"):
        money.currency(code)


def test_an_unknown_number_is_refused() -> None:
    with pytest.raises(UsageError, match="999 is no numeric currency code"):
        money.currency(999)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("0", CNY, 0),
        ("-0", CNY, 0),
        ("1", CNY, 100),
        ("1.5", CNY, 150),
        ("1.05", CNY, 105),
        ("-3", CNY, -300),
        ("0.01", CNY, 1),
        ("-0.01", CNY, -1),
        ("007", CNY, 700),
        ("1,234", CNY, 123_400),
        ("1,234.50", CNY, 123_450),
        ("1234567.89", CNY, 123_456_789),
        ("10,000,000", CNY, 1_000_000_000),
        ("1,234", JPY, 1_234),
        ("12", JPY, 12),
        ("1234", KWD, 1_234_000),
        ("1.234", KWD, 1_234),
        ("1,234.000", KWD, 1_234_000),
        ("1,234,567", KWD, 1_234_567_000),
        ("0.0001", CLF, 1),
        ("92233720368547758.07", CNY, money.MINOR_MAX),
        ("-92233720368547758.08", CNY, money.MINOR_MIN),
        ("000000000000000000000000000001", JPY, 1),
        ("9223372036854775807", JPY, money.MINOR_MAX),
    ],
)
def test_amounts_are_parsed_exactly(text: str, currency: money.Currency, minor: int) -> None:
    assert money.parse(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency", "what", "right"),
    [
        ("", CNY, "is not an amount", "empty"),
        ("   ", CNY, "is not an amount", "empty"),
        (" 1", CNY, "is not an amount", '"1"'),
        ("1\n", CNY, "is not an amount", '"1"'),
        ("+1", CNY, "is not an amount", '"1"'),
        ("--1", CNY, "is not an amount", "1,234,567.89"),
        ("(1)", CNY, "is not an amount", "1,234,567.89"),
        ("1e3", CNY, "is not an amount", "exponent"),
        ("1E+3", CNY, "is not an amount", "exponent"),
        ("1_000", CNY, "is not an amount", "1,234,567.89"),
        ("nan", CNY, "is not an amount", "1,234,567.89"),
        ("¥1", CNY, "is not an amount", "U+00A5 YEN SIGN"),
        ("１２", CNY, "is not an amount", "U+FF11 FULLWIDTH DIGIT ONE"),  # the point of the case
        ("١٢", CNY, "is not an amount", "U+0661 ARABIC-INDIC DIGIT ONE"),
        ("−1", CNY, "is not an amount", "U+2212 MINUS SIGN"),
        (".5", CNY, "is not an amount", '"0.5"'),
        ("5.", CNY, "is not an amount", '"5"'),
        ("1,23", CNY, "is not an amount", '"1.23"'),
        ("1.234,50", CNY, "is not an amount", '"1234.50"'),
        ("1,2345", CNY, "is not an amount", '"1.2345"'),
        ("12,34,567", CNY, "is not an amount", "1,234,567.89"),
        ("0,123", CNY, "is not an amount", "comma"),
        ("1234,567.00", CNY, "is not an amount", "1,234,567.89"),
        ("1.2.3", CNY, "is not an amount", "1,234,567.89"),
        ("1.234", CNY, "has 3 decimals", "CNY has 2 decimals"),
        ("1.0", JPY, "has 1 decimals", "JPY has no decimals"),
        ("1.00000", CLF, "has 5 decimals", "CLF has 4 decimals"),
        ("1,234", KWD, "is ambiguous", 'write "1234" or "1.234"'),
        ("-1,234", CLF, "is ambiguous", 'write "-1234" or "-1.234"'),
        ("92233720368547758.08", CNY, "does not fit 64 bits", "92,233,720,368,547,758.07"),
        ("-92233720368547758.09", CNY, "does not fit 64 bits", "-92,233,720,368,547,758.08"),
        ("9" * 50, JPY, "does not fit 64 bits", "9,223,372,036,854,775,807"),
    ],
)  # fmt: skip
def test_inexact_and_ambiguous_amounts_are_refused(text: str, currency: money.Currency, what: str, right: str) -> None:
    with pytest.raises(UsageError) as caught:
        money.parse(text, currency)
    assert repr(text) in caught.value.message
    assert what in caught.value.message
    assert right in (caught.value.hint or "")


def test_a_text_of_a_megabyte_is_refused_quickly_and_not_shown() -> None:
    with pytest.raises(UsageError, match="1000000 characters") as caught:
        money.parse("9" * 1_000_000, CNY)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("minor", "currency", "options", "text"),
    [
        (123_450, CNY, {}, "1,234.50"),
        (123_450, CNY, {"grouped": False}, "1234.50"),
        (-300, CNY, {"symbol": "¥"}, "-¥3.00"),
        (123_450, CNY, {"code": True}, "CNY 1,234.50"),
        (-5, CNY, {"code": True}, "CNY -0.05"),
        (0, CNY, {}, "0.00"),
        (-1, KWD, {}, "-0.001"),
        (1_234, JPY, {}, "1,234"),
        (money.MINOR_MIN, CNY, {}, "-92,233,720,368,547,758.08"),
        (np.int64(-100), CNY, {}, "-1.00"),
    ],
)
def test_amounts_are_formatted_exactly(
    minor: int, currency: money.Currency, options: dict[str, bool], text: str
) -> None:
    assert money.format(minor, currency, **options) == text  # type: ignore[arg-type]


def test_format_refuses_a_float() -> None:
    with pytest.raises(TypeError):
        money.format(1.0, CNY)  # type: ignore[arg-type]


@given(MINOR, st.sampled_from(money.currencies()), st.booleans())
def test_formatted_amounts_are_parsed_to_the_same_number(minor: int, currency: money.Currency, grouped: bool) -> None:
    text = money.format(minor, currency, grouped=grouped)
    assert money.parse(text, currency) == minor
    # The twin: decimal arithmetic, which is exact here and shares no code with ours.
    assert Decimal(text.replace(",", "")) == Decimal(minor).scaleb(-currency.digits)


@given(st.text(alphabet="0123456789.,-+eE _x\u0661\uff11\u2212", max_size=24), st.sampled_from([CNY, JPY, KWD, CLF]))
def test_any_text_is_parsed_exactly_or_refused(text: str, currency: money.Currency) -> None:
    try:
        minor = money.parse(text, currency)
    except UsageError:
        return
    assert Decimal(text.replace(",", "")).scaleb(currency.digits) == minor


def test_importing_money_reads_no_file_and_no_numpy() -> None:
    script = (
        "import sys; from sycee.core import money; "
        "assert money._document.cache_info().currsize == 0; assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("amount", [Decimal("200.00"), 200.0, 200])
def test_an_amount_of_another_type_is_refused_with_its_text(amount: object) -> None:
    with pytest.raises(UsageError, match=r"an amount is given as text, not as (Decimal|float|int) 200") as caught:
        money.parse(amount, money.currency("CNY"))  # type: ignore[arg-type]
    assert '"1,234,567.89"' in (caught.value.hint or "")
