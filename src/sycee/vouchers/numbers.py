"""Numbers of vouchers: ten digits of the serial, thirteen of the secret, and a check digit. Pure.

The serial is public and names the voucher. The secret proves that its holder has the number. No table has secrets: each
follows from the serial and the id of the hold under a key that only the bank has.
"""

from __future__ import annotations

from typing import Final

from blake3 import blake3

from sycee.core.errors import UsageError

SERIAL_DIGITS: Final = 10
SECRET_DIGITS: Final = 13  # 43 bits: with a few tries each day, nobody guesses one
DIGITS: Final = SERIAL_DIGITS + SECRET_DIGITS + 1
SERIAL_MAX: Final = 10**SERIAL_DIGITS - 1
GROUP_DIGITS: Final = 4  # printed together

_NUMBER_CONTEXT: Final = "sycee 2026-11-27 vouchers: key of secrets"
_BENEFICIARY_CONTEXT: Final = "sycee 2026-11-27 vouchers: key of beneficiaries"
_SEPARATORS: Final = str.maketrans("", "", " -")


def check_digit(digits: str) -> int:
    """Return the check digit of ISO/IEC 7064, MOD 11,10. It finds every wrong digit, and most exchanged ones."""
    product = 10
    for digit in digits:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    return (11 - product) % 10


def secret_of(hash_key: bytes, serial: int, hold: int) -> int:
    """Return the secret of a voucher. `hash_key`: the bank's key of search hashes, from which another key follows."""
    key = blake3(hash_key, derive_key_context=_NUMBER_CONTEXT).digest()
    digest = blake3(serial.to_bytes(8, "big") + hold.to_bytes(16, "big"), key=key).digest(16)
    return int.from_bytes(digest, "big") % 10**SECRET_DIGITS


def beneficiary_hash(hash_key: bytes, text: str) -> bytes:
    """Return the keyed hash of a beneficiary's id, 16 bytes. Case, blanks and hyphens do not matter.

    Raises UsageError for an id without letters and digits, or with more than 40. The error does not repeat it.
    """
    normal = text.casefold().translate(_SEPARATORS)
    if not (0 < len(normal) <= 40 and normal.isascii() and normal.isalnum()):
        raise UsageError(
            "the id of the beneficiary has a wrong form", hint="give 1 to 40 letters and digits, as the register does"
        )
    key = blake3(hash_key, derive_key_context=_BENEFICIARY_CONTEXT).digest()
    return blake3(normal.encode(), key=key).digest(16)


def number_text(serial: int, secret: int) -> str:
    """Return the 24 digits of a voucher's number."""
    digits = f"{serial:0{SERIAL_DIGITS}}{secret:0{SECRET_DIGITS}}"
    return f"{digits}{check_digit(digits)}"


def printed(number: str) -> str:
    """Return a number in groups of four digits, as it is printed."""
    return " ".join(number[at : at + GROUP_DIGITS] for at in range(0, len(number), GROUP_DIGITS))


def parse(text: str) -> tuple[int, int]:
    """Return serial and secret of a number; blanks and hyphens do not matter.

    Raises UsageError for a text of another form and for a wrong check digit: it was read or typed wrongly. The error
    does not repeat the number.
    """
    digits = text.translate(_SEPARATORS)
    if len(digits) != DIGITS or not (digits.isascii() and digits.isdigit()):
        raise UsageError(f"the number of a voucher has {DIGITS} digits", hint="type it again, as it is printed")
    if check_digit(digits[:-1]) != int(digits[-1]):
        raise UsageError("the check digit of the number is wrong", hint="a digit was misread: type it again")
    return int(digits[:SERIAL_DIGITS]), int(digits[SERIAL_DIGITS:-1])
