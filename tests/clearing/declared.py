"""Declarations of the participants, of one bank between them, and of a law with a list of who is excluded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.clearing.world import CODES, EAST_BANK, NORTH_BANK, SOUTH_BANK

from sycee.bank.bank import Bank
from sycee.compliance.enforcement.service import Compliance
from sycee.iso20022.institutions import Institution

MIDDLE = "MIDDSGS1XXX"
OUTSIDER = Institution(bic="NOBDSGS1XXX")  # that nobody declares
BICS = {
    "north": CODES[NORTH_BANK], "south": CODES[SOUTH_BANK], "east": CODES[EAST_BANK], "middle": MIDDLE,
}  # fmt: skip

_HEAD = """
[network]
id = "bay"
title = "A bay"
as_of = 2026-11-01
source = "a register"

[[organisations]]
id = "carrier"
state = "AA"
identifiers = []
dispersed_bp = 10_000

[[facilities]]
id = "centre"
state = "AA"
"""
_BANK = """
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
_FLOW = """
[[flows]]
id = "{sender}-to-{receiver}"
from = "{sender}"
to = "{receiver}"
purpose = "payment"
classes = ["payment"]
"""
LAW = """
id = "law-of-the-bay"
version = 1
title = "A law"
status = "law"
issuer = "somebody"
effective_from = 2020-01-01
reviewed = 2026-11-01
summary = "A law."
limits = "It is made up."
sources = [{ id = "text", title = "a text", publisher = "somebody", date = 2020-01-01, at_hand = true }]
sets = { states = ["AA"] }
touches = [
    { level = "participant", fact = "state", test = "any-in", set = "states" },
    { level = "flow", fact = "from.state", test = "any-in", set = "states" },
]

[[rules]]
id = "owner"
title = "Nobody excluded takes part"
level = "participant"
addressee = "company"
kind = "checked"
source = "text"
remedy = "Another owner."
require = [{ fact = "organisation", test = "none-listed", list = "excluded" }]
"""
_LIST = """
id = "excluded"
title = "Who is excluded"
publisher = "somebody"
as_of = 2026-01-01
valid_until = 2027-01-01
complete = true
sources = [{ id = "text", title = "a text", publisher = "somebody", date = 2020-01-01, at_hand = true }]
"""
_ROW = """
[[rows]]
party = "{party}"
status = "listed"
source = "text"
"""


def list_of(*parties: str) -> str:
    """The list of who is excluded, with these parties."""
    return _LIST + "".join(_ROW.format(party=each) for each in parties)


def network(*without: str) -> str:
    """The declarations, of all banks but some."""
    names = [each for each in BICS if each not in without]
    banks = [_BANK.format(name=each, bic=BICS[each]) for each in names]
    flows = [_FLOW.format(sender=one, receiver=other) for one in names for other in names if one != other]
    return "".join([_HEAD, *banks, *flows])


def compliance_of(bank: Bank) -> Compliance:
    return Compliance(bank.stores.engine, bank.stores.clock)


def declare(bank: Bank, *without: str) -> Compliance:
    """Declare all banks but some in the database of a bank."""
    compliance = compliance_of(bank)
    compliance.declare({"bay.toml": network(*without).encode()}, by="declarations desk")
    return compliance


def exclude(bank: Bank, folder: Path, parties: Sequence[str] = ("somebody-else",)) -> None:
    """Use the law with a list of these parties."""
    (folder / "law.toml").write_text(LAW)
    (folder / "excluded.toml").write_text(list_of(*parties))
    compliance = compliance_of(bank)
    compliance.use([folder / "law.toml"], [folder / "excluded.toml"], by="compliance officer")


def admit_all(bank: Bank, folder: Path) -> Compliance:
    """Declare all banks, use the law, and admit each bank."""
    compliance = declare(bank)
    exclude(bank, folder)
    for each in BICS:
        assert compliance.admit(each, by="desk").outcome == "admit"
    return compliance
