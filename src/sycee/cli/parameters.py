"""Parameters that several commands share, and the conversion of their texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias, get_args

import cyclopts
from cyclopts import Parameter, Token

from sycee.core.errors import UsageError

LedgerFolder: TypeAlias = Annotated[Path, Parameter(help="The ledger's folder, as given to --data or Ledger.open.")]
AsJson: TypeAlias = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object to stdout.")]


def convert(type_: Any, tokens: Sequence[Token]) -> Any:
    """Convert the words of any parameter of any command.

    Unlike cyclopts, refuse an integer with a decimal point or an exponent, which it rounds, and an empty path, which
    would mean the current folder. Raises UsageError.
    """
    expected = (type_, *get_args(type_))
    for token in tokens:
        name = token.keyword or "the path of a file or folder"
        if int in expected and not re.fullmatch(r"[+-]?[0-9]+", token.value):
            raise UsageError(f'{name} must be an integer; got "{token.value}"', hint="write digits only, such as 2020")
        if Path in expected and not token.value.strip():
            raise UsageError(f"{name} is empty", hint="name a file or folder; is a variable of your script empty?")
    return cyclopts.convert(type_, tokens)
