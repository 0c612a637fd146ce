"""Who may pay from an account in bulk, and read its files.

An account that the caller may not see is answered like one that does not exist.
"""

from __future__ import annotations

from sycee.bank.bank import Bank
from sycee.bulk.files import File
from sycee.core.errors import NotFound
from sycee.server import access
from sycee.server.auth.caller import Caller
from sycee.server.problems import not_found


def may_pay_from(bank: Bank, caller: Caller, account: int) -> bool:
    """Return whether the caller may move money of a wallet, or works for the operator of another account."""
    wallet = bank.directory.find(account)
    if wallet is not None:
        return access.may_move(bank, caller, wallet)
    with bank.stores.ledger.sequencer.reading() as state:
        found = state.account(account)
    return found is not None and access.is_staff(bank, caller, found.operator)


def require_payer(bank: Bank, caller: Caller, account: int) -> None:
    """Raise the problem `not-found` unless the caller may pay from an account."""
    if not may_pay_from(bank, caller, account):
        raise not_found("account")


def payable_file(bank: Bank, caller: Caller, id: int) -> File:
    """Return a file whose rows the caller may send. Raises the problem `not-found` otherwise."""
    found = _file(bank, id)
    if not may_pay_from(bank, caller, found.payer):
        raise not_found("file")
    return found


def served_file(bank: Bank, caller: Caller, id: int) -> File:
    """Return a file for the staff of the operator of its payer. Raises the problem `not-found` otherwise."""
    found = _file(bank, id)
    if not access.is_staff(bank, caller, found.operator):
        raise not_found("file")
    return found


def visible_file(bank: Bank, caller: Caller, id: int) -> File:
    """Return a file that the caller may pay, approve or audit. Raises the problem `not-found` otherwise."""
    found = _file(bank, id)
    is_visible = access.is_staff(bank, caller, found.operator) or access.may_audit(bank, caller)
    if not is_visible and not may_pay_from(bank, caller, found.payer):
        raise not_found("file")
    return found


def _file(bank: Bank, id: int) -> File:
    try:
        return bank.bulk.get(id)
    except NotFound as error:
        raise not_found("file") from error
