"""Layouts of messages: the elements of a frozen class, in their order, from the paths of its fields.

A field is `element(PATH, FORM)` for a text, `element(PATH, CLASS)` for a value of another class. A path names the
elements down to the field's own, with `/` between them. Each name may end with `?` (may be absent), `*` (any number)
or `+` (one or more), and an element that is one of several alternatives begins with `|`:

    bic: str = element("FinInstnId/BICFI?", forms.BICFI)
    iban: str = element("Id/|IBAN", forms.IBAN)

Fields in the same parent element follow one another. The schema, the reader, the writer and the pages of the reference
are made from these layouts.
"""

from __future__ import annotations

import dataclasses
import re
import string
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sycee.iso20022.forms import DAY, FLAG, Form

_STEP: Final = re.compile(r"(?P<either>\|?)(?P<name>[A-Za-z0-9.]+)(?P<times>[?*+]|\{0,(?P<most>[0-9]+)\}|)")
_NAME: Final = string.ascii_letters + string.digits + "."
_KEY: Final = "element"


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of money, in minor units of its currency."""

    currency: str
    minor: int


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a message beyond its schema: the path below its root, a reason, and what would be right."""

    path: str
    reason: str
    problem: str
    right: str


@dataclass(slots=True)
class Part:
    """One element of a layout: a text of a `form`, a value of class `of`, or a parent of `parts`.

    It occurs from `least` to `most` times (None: without limit). `is_choice`: exactly one of its parts occurs.
    `field` is the field of the value; "" for parents. `expected` returns the right text of an element that follows from
    others, such as their number.
    """

    name: str
    least: int = 1
    most: int | None = 1
    form: Form | None = None
    of: type | None = None
    field: str = ""
    is_choice: bool = False
    expected: Callable[[Any], str] | None = None
    parts: dict[str, Part] = dataclasses.field(default_factory=dict)

    @property
    def is_many(self) -> bool:
        """True if the element may occur more than once."""
        return self.most != 1

    @property
    def body(self) -> Part:
        """Return the part with the elements that this one contains."""
        return layout(self.of) if self.of else self


def element(path: str, content: Form | type) -> Any:
    """Return the field of an element. Where it is absent, a text is "", a list empty, and other values None."""
    times = path.rpartition("/")[2].lstrip("|").lstrip(_NAME)
    if (times == "" and "?" not in path and "|" not in path) or times == "+":
        return dataclasses.field(metadata={_KEY: (path, content, None)})
    default: Any = None
    if times not in ("", "?"):
        default = ()
    elif isinstance(content, Form) and not content.is_amount and content not in (DAY, FLAG):
        default = ""
    return dataclasses.field(default=default, metadata={_KEY: (path, content, None)})


def follows(path: str, form: Form, expected: Callable[[Any], str]) -> Any:
    """Return the field of an element whose text follows from the others: `expected` returns it from the value.

    A reader refuses another text, a writer writes it if the element must be there.
    """
    return dataclasses.field(init=False, default="", repr=False, compare=False, metadata={_KEY: (path, form, expected)})


@cache
def layout(of: type) -> Part:
    """Return the elements of a class, in their order, as the parts of an element with its name."""
    root = Part(of.__name__)
    for each in dataclasses.fields(of):
        if _KEY in each.metadata:
            path, content, expected = each.metadata[_KEY]
            root.is_choice |= path.startswith("|")
            _add(root.parts, path.split("/"), each.name, content, expected)
    return root


def _add(parts: dict[str, Part], steps: list[str], name: str, content: Form | type, expected: Any) -> None:
    match = _STEP.fullmatch(steps[0])
    assert match, steps
    least, most = {"": (1, 1), "?": (0, 1), "*": (0, None), "+": (1, None)}.get(match["times"], (0, None))
    most = int(match["most"]) if match["most"] else most
    if len(steps) == 1:
        assert match["name"] not in parts, (name, steps)
        added = Part(match["name"], least, most, field=name, expected=expected)
        if isinstance(content, Form):
            added.form = content
        else:
            added.of = content
        parts[added.name] = added
        return
    if not parts or next(reversed(parts)) != match["name"]:
        assert match["name"] not in parts, (name, steps)
        parts[match["name"]] = Part(match["name"], least, most)
    parent = parts[match["name"]]
    assert (parent.least, parent.most, parent.field) == (least, most, ""), (name, steps)
    parent.is_choice |= steps[1].startswith("|")
    _add(parent.parts, steps[1:], name, content, expected)
