"""Parameters that several commands share, and the conversion of their texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias, get_args

import cyclopts
from cyclopts import Parameter, Token

from sycee.core.errors import UsageError

LedgerFolder: TypeAlias = Annotated[Path, Parameter(help="The ledger's folder, as given to --data or Ledger.open.")]
AsJson: TypeAlias = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object to stdout.")]

_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Between:
    """Validator of an option whose value is a number from `low` to `high`, inclusive."""

    option: str
    low: float
    high: float
    example: float

    def __call__(self, type_: Any, value: Any) -> None:
        """Raise UsageError unless the value is in the range. None, of an option that is not given, is."""
        if value is not None and not self.low <= value <= self.high:
            found = f"{value:g}" if isinstance(value, float) else value
            raise UsageError(
                f"{self.option} must be from {self.low} to {self.high}; got {found}",
                hint=f"give a number in this range, such as {self.example}",
            )


def convert(type_: Any, tokens: Sequence[Token]) -> Any:
    """Convert the words of any parameter of any command.

    Unlike cyclopts, refuse an integer with a decimal point or an exponent, which it rounds; the floats nan and inf; and
    an empty path, which would mean the current folder. Raises UsageError.
    """
    expected = (type_, *get_args(type_))
    for token in tokens:
        name = token.keyword or ("the path of a file or folder" if Path in expected else "a value without a name")
        if int in expected and not _INTEGER.fullmatch(token.value):
            raise UsageError(f'{name} must be an integer; got "{token.value}"', hint="write digits only, such as 2020")
        if float in expected and not _NUMBER.fullmatch(token.value):
            raise UsageError(f'{name} must be a number; got "{token.value}"', hint="write digits, such as 0.01 or 1")
        if Path in expected and not token.value.strip():
            raise UsageError(f"{name} is empty", hint="name a file or folder; is a variable of your script empty?")
    return cyclopts.convert(type_, tokens)
