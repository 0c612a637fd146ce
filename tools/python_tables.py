"""Tables of methods for docs/reference/python.md, from the classes; `tools.pages` writes them.

Sections are the comments `# --- name ---` in the source, in order, so that the page and the code are grouped alike.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final

from sycee.sequencer.embedded import AsyncLedger, Chain, Ledger
from sycee.sequencer.ledger_operations import LedgerOperations
from sycee.sequencer.money_operations import MoneyOperations

CLASSES: Final[tuple[type, ...]] = (MoneyOperations, LedgerOperations, Ledger, AsyncLedger, Chain)
SHOWN_MAX: Final = 10**9  # a larger default is a field's maximum, shown as "..."

_STEP: Final = re.compile(r"^    (?:# --- (?P<section>.+) ---|(?:async )?def (?P<name>[a-z]\w*)\()")


def public_names(cls: type) -> list[str]:
    """Return the names of public methods and properties that `cls` itself defines, abstract ones excepted."""
    return [
        name
        for name, value in vars(cls).items()
        if not name.startswith("_")
        and (callable(value) or isinstance(value, property | classmethod))
        and not getattr(value, "__isabstractmethod__", False)
    ]


def tables() -> list[tuple[str, str, str]]:
    """Return (page, name of the class, table)."""
    return [("python.md", cls.__name__, _table(cls)) for cls in CLASSES]


def _table(cls: type) -> str:
    lines: list[str] = []
    for section, names in _sections(cls):
        lines += [f"### {section[0].upper()}{section[1:]}", ""] if section else []
        lines += ["| | |", "|---|---|", *(f"| {_call(cls, name)} | {_summary(cls, name)} |" for name in names), ""]
    return "\n".join(lines)


def _sections(cls: type) -> Iterator[tuple[str, list[str]]]:
    """Sections of the source with their public names; the first may have no name."""
    public = set(public_names(cls))
    section, names = "", []
    for line in inspect.getsource(cls).splitlines():
        if match := _STEP.match(line):
            if match["section"]:
                if names:
                    yield section, names
                section, names = match["section"], []
            elif match["name"] in public:
                names.append(match["name"])
    if names:
        yield section, names


def _call(cls: type, name: str) -> str:
    found = inspect.getattr_static(cls, name)
    if isinstance(found, property):
        return f"`{name}`"
    parts: list[str] = []
    keywords = False
    for parameter in inspect.signature(getattr(cls, name)).parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not keywords:
            keywords = True
            parts.append("*")
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        default = "" if parameter.default is parameter.empty else f"={_shown(parameter.default)}"
        parts.append(f"{stars}{parameter.name}{default}")
    return f"`{name}({', '.join(parts)})`"


def _shown(default: Any) -> str:
    if isinstance(default, Enum):
        return " + ".join(f"{type(default).__name__}.{name}" for name in str(default.name).split("|"))
    if isinstance(default, int) and default > SHOWN_MAX:
        return "..."
    return repr(default)


def _summary(cls: type, name: str) -> str:
    """Return the first sentence or line of the docstring, as `help` shows it first."""
    text = inspect.getdoc(inspect.getattr_static(cls, name)) or ""
    first = " ".join(text.split("\n\n")[0].split())
    return first.replace("|", "\\|")
