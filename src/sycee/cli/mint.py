"""`sycee mint` and `sycee redeem`: make digital money against an operator's reserves, and take it back."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, open_bank, positive_amount
from sycee.cli.operator import Operator, operator_number
from sycee.cli.proposing import maker_of, sign_and_show, signing_keys

Amount: TypeAlias = Annotated[str, Parameter(help="Amount, such as 1,000,000.00.")]


def mint(
    folder: BankFolder,
    operator: Operator,
    amount: Amount,
    /,
    *,
    key: KeyFiles = None,
) -> int:
    """Propose to issue money to an operator against its reserves. Two officers and the operator sign."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        minor = positive_amount(bank, amount)
        proposal = bank.issuance.mint(operator_number(bank, operator), minor, maker=maker_of(bank, keys))
        return sign_and_show(bank, proposal, keys)


def redeem(folder: BankFolder, operator: Operator, amount: Amount, /, *, key: KeyFiles = None) -> int:
    """Propose to take money back from an operator and return its reserves. The operator and the reserve desk sign."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        minor = positive_amount(bank, amount)
        proposal = bank.issuance.redeem(operator_number(bank, operator), minor, maker=maker_of(bank, keys))
        return sign_and_show(bank, proposal, keys)
