"""Who may read what: rules for reads that no service checks.

A thing that the caller may not see is answered exactly like a thing that does not exist.
"""

from __future__ import annotations

from sycee.bank.bank import Bank
from sycee.identity.duties import Duty
from sycee.server.auth.caller import Caller
from sycee.server.problems import not_found
from sycee.wallets.directory import Wallet

READ_EVERYTHING = "audit"  # the action whose duties may read balances of everybody


def acts_for(bank: Bank, caller: Caller, holder: int) -> bool:
    """Return whether the caller is a holder of wallets, or acts for the merchant that is one."""
    if not caller.person:
        return False
    if caller.person == holder:
        return True
    return any(
        held.duty is Duty.MERCHANT and held.institution == holder for held in bank.people.duties_of(caller.person)
    )


def is_staff(bank: Bank, caller: Caller, operator: int) -> bool:
    """Return whether the caller is a clerk of an operator, or signs for it; a program acts for one operator only."""
    if not caller.person or caller.operator not in (None, operator):
        return False
    return any(
        held.duty in (Duty.OPERATOR, Duty.CLERK) and held.operator == operator
        for held in bank.people.duties_of(caller.person)
    )


def may_audit(bank: Bank, caller: Caller) -> bool:
    """Return whether a duty of the caller permits to read everything."""
    return bool(caller.person) and any(
        held.duty in (Duty.AUDITOR, Duty.OFFICER) for held in bank.people.duties_of(caller.person)
    )


def visible_wallet(bank: Bank, caller: Caller, account: int) -> Wallet:
    """Return a wallet that the caller owns, serves or audits. Raises the problem `not-found` otherwise."""
    wallet = bank.directory.find(account)
    if wallet is not None and (
        acts_for(bank, caller, wallet.holder) or is_staff(bank, caller, wallet.operator) or may_audit(bank, caller)
    ):
        return wallet
    raise not_found("wallet")


def own_wallet(bank: Bank, caller: Caller, account: int) -> Wallet:
    """Return a wallet that the caller may move money of: its own, or a custodial one of its operator.

    Raises the problem `not-found` otherwise.
    """
    wallet = bank.directory.find(account)
    if wallet is not None and (
        acts_for(bank, caller, wallet.holder) or (wallet.is_custodial and is_staff(bank, caller, wallet.operator))
    ):
        return wallet
    raise not_found("wallet")
