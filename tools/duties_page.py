"""Write docs/reference/duties.md from the tables of duties: python -m tools.duties_page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sycee.identity.duties import ACTIONS, APART, MEANINGS, OF_INSTITUTION, ROLES, ActionRule, Duty

COMMAND: Final = "python -m tools.duties_page"
PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "reference" / "duties.md"

HEAD: Final = f"""# Duties

Who may request each action, and who must check it. `{COMMAND}` makes this page from `sycee.identity.duties`, and a
test walks every cell.

A duty allows a person to *request*. Whose signature moves money is decided by the ledger alone
([authority](authority.md)); the last column lists its requirement. A person may have several duties, except
those that must be apart. [Proposals](proposals.md) explains how several persons sign.
"""

CELLS: Final = """## Actions

R: a person with this duty may request the action. C: may check it, that is, sign a proposal that another person made.
*Checks* is the number of persons besides the maker who must sign; – where the action needs no proposal. *Own*: a person
acts only for their own operator or merchant. Everybody whose id is stored is a citizen.
"""


def made() -> str:
    """Return the page as it should be."""
    return "\n".join([HEAD, *_duties(), "", *_apart(), "", CELLS, *_actions()]) + "\n"


def cell(rule: ActionRule, duty: Duty) -> str:
    """Return the cell of an action and a duty: R, C, RC or nothing."""
    return "R" * (duty in rule.makers) + "C" * (duty in rule.checkers)


def _duties() -> Iterator[str]:
    yield "## Duties\n"
    yield "| duty | meaning | how it is given |\n|---|---|---|"
    for duty in Duty:
        how = "a wallet, or an owner's share" if duty is Duty.CITIZEN else "two officers appoint"
        how += f"; role {ROLES[duty].name} in the ledger" if duty in ROLES else ""
        how += "; of one institution" if duty in OF_INSTITUTION else ""
        yield f"| {duty.value} | {MEANINGS[duty]} | {how} |"


def _apart() -> Iterator[str]:
    yield "## Duties that must be apart\n"
    yield "One person cannot have both duties of a row at the same time; the appointment is refused.\n"
    yield "| duty | not together with |\n|---|---|"
    for duty in Duty:
        others = [other.value for other in Duty if frozenset({duty, other}) in APART]
        if others:
            yield f"| {duty.value} | {', '.join(others)} |"


def _actions() -> Iterator[str]:
    columns = [duty.value for duty in Duty]
    yield f"| action | what | {' | '.join(columns)} | checks | own | the ledger requires |"
    yield f"|---|---|{'---|' * len(columns)}---|---|---|"
    for rule in ACTIONS.values():
        cells = " | ".join(cell(rule, duty) for duty in Duty)
        checks = str(rule.checkers_min) if rule.checkers_min else "–"
        own = "yes" if rule.own_operator else ""
        yield f"| `{rule.name}` | {rule.what} | {cells} | {checks} | {own} | {rule.ledger or '–'} |"


def main() -> None:
    """Write the page."""
    PAGE.write_text(made(), encoding="utf-8")


if __name__ == "__main__":
    main()
