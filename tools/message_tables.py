"""The reference page of the elements of all messages, from their layouts; `tools.pages` writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sycee.iso20022.business_header import Header
from sycee.iso20022.elements import Part, layout
from sycee.iso20022.forms import Form
from sycee.iso20022.messages import HEADERS, KINDS

PAGE: Final = "message-elements.md"
INTRODUCTION: Final = (
    "An element that is not listed is refused (`CH17`). Alternatives are marked with `or`: exactly one is given. An "
    "element without a field is a parent, or follows from the others: then it is checked when a message is read."
)
_HEAD: Final = ("| element | times | field | content |", "|---|---|---|---|")


def page(command: str) -> str:
    """Return the page; `command` writes it."""
    messages: dict[type, list[str]] = {Header: list(HEADERS)}
    for each in KINDS.values():
        messages.setdefault(each.of, []).append(each.name)
    roots = {each.of: each.root for each in KINDS.values()} | {Header: "AppHdr"}
    forms: dict[str, Form] = {}
    shared: dict[type, None] = {}
    lines = [
        "# Elements of messages",
        "",
        f"Made by `{command}` from `src/sycee/iso20022`. [Payment messages](payment-messages.md) describes their use.",
        "",
        INTRODUCTION,
        "",
        "| message | root | class |",
        "|---|---|---|",
        *(_message(names, roots[of], of) for of, names in messages.items()),
        "",
        "## Messages",
        "",
    ]
    for of in messages:
        lines += _section(of, forms, shared)
    lines += ["## Shared parts", ""]
    done: set[type] = set()
    while waiting := sorted((each for each in shared if each not in done), key=lambda each: each.__name__):
        for of in waiting:
            done.add(of)
            lines += _section(of, forms, shared)
    lines += ["## Forms", "", "| form | correct | reason of a wrong one |", "|---|---|---|"]
    lines += [f"| {name} | {forms[name].right} | `{forms[name].reason}` |" for name in sorted(forms)]
    return "\n".join(lines) + "\n"


def _message(names: list[str], root: str, of: type) -> str:
    return f"| {', '.join(f'`{name}`' for name in names)} | `{root}` | {_link(of)} |"


def _link(of: type) -> str:
    return f"[{of.__name__}](#{of.__name__.lower()})"


def _section(of: type, forms: dict[str, Form], shared: dict[type, None]) -> list[str]:
    title = (of.__doc__ or "").split("\n\n")[0]
    return [f"### {of.__name__}", "", title, "", *_HEAD, *_rows(layout(of), "", forms, shared), ""]


def _rows(of: Part, path: str, forms: dict[str, Form], shared: dict[type, None]) -> Iterator[str]:
    for part in of.parts.values():
        place = path + part.name
        times = f"{part.least}–{part.most or 'n'}" if part.least != part.most else str(part.least)
        times = "or" if of.is_choice else times
        if part.form:
            forms[part.form.name] = part.form
            content = part.form.name
        elif part.of:
            shared[part.of] = None
            content = _link(part.of)
        else:
            content = ""
        field = f"`{part.field}`" if part.field and not part.expected else ""
        yield f"| `{place}` | {times} | {field} | {content} |"
        if not part.field:
            yield from _rows(part, place + "/", forms, shared)
