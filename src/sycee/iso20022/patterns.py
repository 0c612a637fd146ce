"""Regular expressions of layouts, which check and read elements in one pass, without a parser.

A match proves that a text is well-formed and that the schema of its layout accepts it: elements without prefixes,
attributes and comments, texts without entities, blanks between elements only. A text that does not match may be
correct: then a parser decides. Each quantifier is possessive, so that a text is read once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from sycee.iso20022.amounts import AmountError, minor_units
from sycee.iso20022.elements import Part
from sycee.iso20022.forms import Form

BLANKS: Final = r"[ \n\r\t]*+"
CURRENCY: Final = "@Ccy"  # after the path of an amount: the path of its attribute

# A text on one line: no control characters, no markup, and no character that XML forbids.
_FIRST: Final = r"[^\x00-\x20<&>\ufffe\uffff]"
_OTHERS: Final = r"[^\x00-\x1f<&>\ufffe\uffff]"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled layout. `groups` are the paths of its groups, in order; `checks` are the checks of some of them."""

    compiled: re.Pattern[str]
    groups: tuple[str, ...]
    checks: tuple[tuple[int, Callable[[str], str]], ...]
    amounts: tuple[tuple[int, bool], ...]

    def is_checked(self, found: tuple[str | None, ...]) -> bool:
        """Return true if all texts also pass the checks that no pattern can express; not those of wanted amounts."""
        for number, check in self.checks:
            text = found[number]
            if text is not None and check(text):
                return False
        return not self.amounts or all(_is_amount(found[at], found[at + 1], zero) for at, zero in self.amounts)


class _Builder:
    """Builds the pattern of a layout, and notes its groups."""

    def __init__(self, wanted: Collection[str], without: Collection[str]) -> None:
        self.groups: list[str] = []
        self.checks: list[tuple[int, Callable[[str], str]]] = []
        self.amounts: list[tuple[int, bool]] = []
        self._wanted = wanted
        self._without = without

    def content(self, of: Part, path: str = "") -> str:
        found: list[str] = []
        for part in of.parts.values():
            place = path + part.name
            if part.name in self._without or place in self._without:
                continue
            inner = self._leaf(part.form, place) if part.form else f">{BLANKS}{self.content(part.body, f'{place}/')}"
            one = f"<{re.escape(part.name)}{inner}</{re.escape(part.name)}>{BLANKS}"
            found.append(one if of.is_choice else _times(part, one))
        return f"(?:{'|'.join(found)})" if of.is_choice else "".join(found)

    def _leaf(self, form: Form, place: str) -> str:
        if form.codes:
            text = f"(?:{'|'.join(map(re.escape, form.codes))})"
        elif form.length:
            text = f"{_FIRST}{_OTHERS}{{0,{form.length - 1}}}+"
        else:
            text = f"(?:{form.pattern.replace('(', '(?:')})"
        is_wanted = place in self._wanted
        if form.is_amount:
            if not is_wanted:
                self.amounts.append((len(self.groups), form.may_be_zero))
            self.groups += [place + CURRENCY, place]
            return f' Ccy="([A-Z]{{3}})">({text})'
        if form.check:
            self.checks.append((len(self.groups), form.check))
        elif not is_wanted:
            return f">{text}"
        self.groups.append(place)
        return f">({text})"


def pattern_of(
    of: Part, wanted: Collection[str], *, without: Collection[str] = (), before: str = "", after: str = ""
) -> Pattern:
    """Return the pattern of the elements of a layout, between two other patterns; `before` has no groups.

    `wanted` are the paths whose texts become groups; amounts, and texts that have a check, are groups too. `without`
    are the optional elements that the pattern omits, by path or by name: a text with one of them does not match.
    A path is the names of elements with `/` between them.
    """
    builder = _Builder(wanted, without)
    body = builder.content(of)
    compiled = re.compile(before + BLANKS + body + after)
    return Pattern(compiled, tuple(builder.groups), tuple(builder.checks), tuple(builder.amounts))


def _times(part: Part, one: str) -> str:
    if (part.least, part.most) == (1, 1):
        return one
    if part.most == 1:
        return f"(?:{one})?+"
    return f"(?:{one}){{{part.least},{part.most or ''}}}+"


def _is_amount(currency: str | None, text: str | None, may_be_zero: bool) -> bool:
    if currency is None or text is None:
        return True
    try:
        return minor_units(currency, text) > 0 or may_be_zero
    except AmountError:
        return False
