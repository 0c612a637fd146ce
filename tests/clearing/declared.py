"""Declarations of the participants, of one bank between them, and of a law with a list of who is excluded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks import declarations
from tests.clearing.world import CODES, EAST_BANK, NORTH_BANK, SOUTH_BANK

from sycee.bank.bank import Bank
from sycee.compliance.enforcement.service import Compliance
from sycee.iso20022.institutions import Institution

MIDDLE = "MIDDSGS1XXX"
OUTSIDER = Institution(bic="NOBDSGS1XXX")  # that nobody declares
BICS = {
    "north": CODES[NORTH_BANK], "south": CODES[SOUTH_BANK], "east": CODES[EAST_BANK], "middle": MIDDLE,
}  # fmt: skip

LAW = declarations.law("AA")


def network(*without: str) -> str:
    """The declarations, of all banks but some."""
    return declarations.network({name: bic for name, bic in BICS.items() if name not in without})


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
    (folder / "excluded.toml").write_text(declarations.list_of(*parties))
    compliance = compliance_of(bank)
    compliance.use([folder / "law.toml"], [folder / "excluded.toml"], by="compliance officer")


def admit_all(bank: Bank, folder: Path) -> Compliance:
    """Declare all banks, use the law, and admit each bank."""
    compliance = declare(bank)
    exclude(bank, folder)
    for each in BICS:
        assert compliance.admit(each, by="desk").outcome == "admit"
    return compliance
