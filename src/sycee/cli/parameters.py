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
Proof: TypeAlias = Annotated[str, Parameter(help="Signature that `sycee key prove` printed.")]
Consent: TypeAlias = Annotated[
    str, Parameter(help="Signature that `sycee key prove --new-key` printed, of an account that has a key.")
]

_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


class UnfitValue(cyclopts.CoercionError):
    """A word of the command line that its parameter does not accept. `problem` begins after the parameter's name."""

    def __init__(self, token: Token, problem: str, hint: str) -> None:
        super().__init__(token=token)
        self.problem, self.hint = problem, hint

    def sentence(self) -> str:
        """Return what is wrong, with the name of the parameter: that of the option, or the place in the usage."""
        assert self.token is not None and self.argument is not None, "raised while an argument is converted"
        return f"{self.token.keyword or self.argument.name.lstrip('-').upper()} {self.problem}"


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
    an empty path, which would mean the current folder. Raises UnfitValue, to which cyclopts adds the parameter.
    """
    expected = (type_, *get_args(type_))
    for token in tokens:
        if int in expected and not _INTEGER.fullmatch(token.value):
            raise UnfitValue(token, f'must be an integer; got "{token.value}"', "write digits only, such as 2020")
        if float in expected and not _NUMBER.fullmatch(token.value):
            raise UnfitValue(token, f'must be a number; got "{token.value}"', "write digits, such as 0.01 or 1")
        if Path in expected and not token.value.strip():
            raise UnfitValue(token, "is empty", "name a file or folder; is a variable of your script empty?")
    return cyclopts.convert(type_, tokens)


def signatures_of(proof: str, consent: str) -> tuple[bytes, bytes]:
    """Return both signatures for a new key. Raises UsageError for a text that is not hexadecimal."""
    made = []
    for option, text in (("--proof", proof), ("--consent", consent)):
        try:
            made.append(bytes.fromhex(text))
        except ValueError as error:
            raise UsageError(f"{option} is not hexadecimal", hint="give what `sycee key prove` printed") from error
    return made[0], made[1]
