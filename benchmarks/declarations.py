"""Declarations of made-up banks, a law for them, and a list of who is excluded: texts for benchmarks and tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_HEAD: Final = """
[network]
id = "{id}"
title = "{title}"
as_of = 2026-11-01
source = "made up"

[[organisations]]
id = "carrier"
state = "AA"
identifiers = []
dispersed_bp = 10_000

[[facilities]]
id = "centre"
state = "AA"
"""
_BANK: Final = """
[[organisations]]
id = "owner-of-{name}"
identifiers = []
dispersed_bp = 10_000

[[facilities]]
id = "hub-of-{name}"
state = "AA"

[[spans]]
id = "way-of-{name}"
ends = ["hub-of-{name}", "centre"]
operator = "carrier"
cost = 1

[[participants]]
id = "{name}"
bic = "{bic}"
organisation = "owner-of-{name}"
state = "AA"
gateway = "hub-of-{name}"
"""
_FLOW: Final = """
[[flows]]
id = "{sender}-to-{receiver}"
from = "{sender}"
to = "{receiver}"
purpose = "payment"
classes = ["payment"]
"""
_LAW: Final = """
id = "{id}"
version = 1
title = "A law"
status = "law"
issuer = "somebody"
effective_from = 2020-01-01
reviewed = 2026-11-01
summary = "A law."
limits = "It is made up."
sources = [{{ id = "text", title = "a text", publisher = "somebody", date = 2020-01-01, at_hand = true }}]
sets = {{ states = [{states}] }}
touches = [
    {{ level = "participant", fact = "state", test = "any-in", set = "states" }},
    {{ level = "flow", fact = "from.state", test = "any-in", set = "states" }},
]
"""
OWNER_RULE: Final = """
[[rules]]
id = "owner"
title = "No excluded party takes part"
level = "participant"
addressee = "company"
kind = "checked"
source = "text"
remedy = "Another owner."
require = [{ fact = "organisation", test = "none-listed", list = "excluded" }]
"""
_LIST: Final = """
id = "excluded"
title = "Who is excluded"
publisher = "somebody"
as_of = 2026-01-01
valid_until = {until}
complete = true
sources = [{{ id = "text", title = "a text", publisher = "somebody", date = 2020-01-01, at_hand = true }}]
"""
_ROW: Final = """
[[rows]]
party = "{party}"
status = "listed"
source = "text"
"""


def network(banks: Mapping[str, str], *, id: str = "bay", title: str = "A bay") -> str:
    """Return declarations of banks, each with its own place and owner, and of a flow between any two.

    `banks`: the BIC of each by its id.
    """
    places = [_BANK.format(name=name, bic=bic) for name, bic in banks.items()]
    flows = [_FLOW.format(sender=one, receiver=other) for one in banks for other in banks if one != other]
    return "".join([_HEAD.format(id=id, title=title), *places, *flows])


def law(*states: str, id: str = "law-of-the-bay", rules: str = OWNER_RULE) -> str:
    """Return a law of some states. Without `rules`, it forbids that an excluded party owns a bank."""
    return _LAW.format(id=id, states=", ".join(f'"{each}"' for each in states)) + rules


def list_of(*parties: str, until: str = "2027-01-01") -> str:
    """Return the list of who is excluded, with these parties. `until`: the day on which it ends."""
    return _LIST.format(until=until) + "".join(_ROW.format(party=each) for each in parties)
