"""Whether a name equals one of a row or is similar to it, by comparing all parts of both.

The slow twin of the index in `sycee.compliance.names`. Both use the same normalised words of names.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.compliance.naive_logic import Truth, disjunction

from sycee.compliance import names


def errors(one: str, other: str) -> int:
    """Return the letters that differ: wrong, missing, further, or two neighbours that are swapped."""
    table = {(0, column): column for column in range(len(other) + 1)} | {
        (line, 0): line for line in range(len(one) + 1)
    }
    for line in range(1, len(one) + 1):
        for column in range(1, len(other) + 1):
            wrong = one[line - 1] != other[column - 1]
            ways = [table[line - 1, column] + 1, table[line, column - 1] + 1, table[line - 1, column - 1] + wrong]
            if line > 1 and column > 1 and one[line - 2 : line] == other[column - 2 : column][::-1]:
                ways.append(table[line - 2, column - 2] + 1)
            table[line, column] = min(ways)
    return table[len(one), len(other)]


def typed(wanted: names.Words, written: names.Words) -> bool:
    """Return whether words are equal but for typing errors."""
    pairs = list(zip(wanted, written, strict=True))
    close = all(
        names.alike(one) == names.alike(other)
        or min(errors(names.folded(one), names.folded(other)), errors(names.alike(one), names.alike(other)))
        <= names.typing_errors_max(one, other)
        for one, other in pairs
    )
    return close and names.are_typed(wanted, written)


def similar(of_name: names.Words, of_row: names.Words) -> bool:
    """Return whether a name may be that of a row, by comparing all parts of both."""
    own, row = [names.alike(each) for each in of_name], [names.alike(each) for each in of_row]
    whole, wanted, spans = names.joined(own), names.joined(row), range(1, len(own) + 1)
    if not own or len(wanted) < 2:
        return False
    parts = [names.joined(row[:end]) for end in range((len(row) + 1) // 2, len(row))]
    both_long = names.is_long(whole) and names.is_long(wanted) and len(own) != len(row)
    return (
        any(names.joined(own[start : start + span]) == wanted for span in spans for start in range(len(own)))
        or any(
            wanted.isalpha()
            and len(wanted) >= 5
            and each != wanted
            and (each.startswith(wanted) or each.endswith(wanted))
            for each in own
        )
        or whole in [part for part in parts if len(part) > 2 or not part.isascii()]
        or () != names.unordered(of_name) == names.unordered(of_row)
        or (both_long and errors(whole, wanted) <= 1)
        or any(typed(of_row, of_name[start : start + len(row)]) for start in range(len(own) - len(row) + 1))
    )


def called(name: str, of_row: Iterable[str]) -> Truth:
    """Return whether a row has this name: true, or unknown if it has a similar one."""
    found: list[Truth] = [False]
    for each in of_row:
        found.append(names.are_equal(name, each))
        for own in (names.words(name), *names.readings(name), *names.without_numbers_attached(name)):
            for wanted in (names.words(each), *names.readings(each)):
                if not names.code(each) and similar(own, wanted):
                    found.append(None)
    return disjunction(found)
