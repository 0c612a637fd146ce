"""Who may read what: rules for reads that no service checks.

A thing that the caller may not see is answered exactly like a thing that does not exist.
"""

from __future__ import annotations

from sycee.bank.bank import Bank
from sycee.core.errors import NotFound
from sycee.identity.duties import Duty
from sycee.identity.institutions import Institution
from sycee.identity.people import DutyMissing, HeldDuty
from sycee.identity.tables import MERCHANT
from sycee.personal.access import Access, Reason
from sycee.personal.sealing import mask
from sycee.server.auth.caller import Caller
from sycee.server.problems import Problem, not_found
from sycee.wallets.directory import Wallet

READ_EVERYTHING = "audit"  # the action whose duties may read balances of everybody


def access_of(caller: Caller, reason: Reason, case: int = 0) -> Access:
    """Return the access of a caller to personal data: with who invited the login, and masked for a new one."""
    if caller.session is None:
        return Access(caller.person, reason, case)
    origin = caller.session.login.origin
    return Access(caller.person, reason, case, origin.invitation, origin.inviter, is_masked=caller.is_masked)


def shown_text(caller: Caller, text: str) -> str:
    """Return a text of a person as the caller's session may show it: masked for a new login that staff invited."""
    return mask(text) if caller.is_masked else text


def duties_of(bank: Bank, caller: Caller) -> list[HeldDuty]:
    """Return the duties of a caller; of a program for one operator, only those that are of no other operator."""
    return [each for each in _held(bank, caller) if caller.operator is None or each.operator in (None, caller.operator)]


def has_duty(bank: Bank, caller: Caller, *wanted: Duty) -> bool:
    """Return whether the caller has one of these duties."""
    return any(held.duty in wanted for held in duties_of(bank, caller))


def require_operator(caller: Caller, operator: int) -> None:
    """Raise the problem `not-permitted` for a program that acts for another operator."""
    if caller.operator not in (None, operator):
        raise Problem("not-permitted", f"this program acts for operator {caller.operator} only")


def require_served(bank: Bank, caller: Caller, operator: int, action: str) -> None:
    """Raise the problem `not-found` unless the caller's duty for an action is of this operator, or of all."""
    try:
        bank.people.require(caller.person, action, operator=operator)
    except DutyMissing as error:
        raise not_found("operator") from error
    if caller.operator not in (None, operator):
        raise not_found("operator")


def served_operators(bank: Bank, caller: Caller) -> set[int]:
    """Return the operators that the caller is a clerk of, or signs for."""
    return {
        held.operator
        for held in duties_of(bank, caller)
        if held.duty in (Duty.OPERATOR, Duty.CLERK) and held.operator is not None
    }


def serves_person(bank: Bank, caller: Caller, person: int) -> bool:
    """Return whether the caller works for an operator at which the person has, or had, a wallet."""
    operators = served_operators(bank, caller)
    return bool(operators) and any(wallet.operator in operators for wallet in bank.directory.of_holder(person))


def acts_for(bank: Bank, caller: Caller, holder: int) -> bool:
    """Return whether the caller is a holder of wallets, or acts for the merchant that is one."""
    return _owns(caller, holder) or _acts_for(_held(bank, caller), holder)


def is_staff(bank: Bank, caller: Caller, operator: int) -> bool:
    """Return whether the caller is a clerk of an operator, or signs for it; a program acts for one operator only."""
    return _is_staff(_held(bank, caller), caller, operator)


def may_audit(bank: Bank, caller: Caller) -> bool:
    """Return whether a duty of the caller permits to read everything."""
    return _may_audit(_held(bank, caller))


def visible_wallet(bank: Bank, caller: Caller, account: int) -> Wallet:
    """Return a wallet that the caller owns, serves or audits. Raises the problem `not-found` otherwise."""
    wallet, holder, operator = _find(bank, caller, account)
    is_visible = _owns(caller, holder)
    if not is_visible:
        held = _held(bank, caller)
        is_visible = _acts_for(held, holder) or _is_staff(held, caller, operator) or _may_audit(held)
    if wallet is None or not is_visible:
        raise not_found("wallet")
    return wallet


def own_wallet(bank: Bank, caller: Caller, account: int, *, what: str = "wallet") -> Wallet:
    """Return a wallet that the caller may move money of: its own, or a custodial one of its operator.

    Raises the problem `not-found` otherwise. `what`: the thing that the request names, and whose wallet this is.
    """
    wallet, holder, operator = _find(bank, caller, account)
    held = _held(bank, caller)
    is_own, is_served = _owns(caller, holder) or _acts_for(held, holder), _is_staff(held, caller, operator)
    if wallet is None or not (is_own or (wallet.is_custodial and is_served)):
        raise not_found(what)
    return wallet


def may_move(bank: Bank, caller: Caller, wallet: Wallet) -> bool:
    """Return whether the caller may move money of a wallet, as `own_wallet`."""
    if _owns(caller, wallet.holder):
        return True
    held = _held(bank, caller)
    return _acts_for(held, wallet.holder) or (wallet.is_custodial and _is_staff(held, caller, wallet.operator))


def served_wallet(bank: Bank, caller: Caller, account: int, action: str) -> Wallet:
    """Return a wallet for an action of the staff of its operator.

    Raises the problem `not-found` for a wallet that the caller may not see, and DutyMissing for one that the caller
    sees without a duty for the action.
    """
    wallet = visible_wallet(bank, caller, account)
    bank.people.require(caller.person, action, operator=wallet.operator)
    return wallet


def _find(bank: Bank, caller: Caller, account: int) -> tuple[Wallet | None, int, int]:
    """Return a wallet, its holder and its operator.

    A missing wallet has a holder and an operator too, so that the caller's duties are read as for another's wallet: the
    time of the answer does not show whether the wallet exists.
    """
    wallet = bank.directory.find(account)
    return (None, 0, caller.operator or 0) if wallet is None else (wallet, wallet.holder, wallet.operator)


def is_caseworker(bank: Bank, caller: Caller) -> bool:
    """Return whether the caller works on cases of all operators."""
    return has_duty(bank, caller, Duty.CASEWORKER)


def staff_wallet(bank: Bank, caller: Caller, account: int, *, or_officer: bool = False) -> Wallet:
    """Return a wallet of an operator that the caller works for, or with `or_officer` of any for an officer.

    Raises the problem `not-found` otherwise.
    """
    wallet = bank.directory.find(account)
    if wallet is not None and (
        is_staff(bank, caller, wallet.operator) or (or_officer and has_duty(bank, caller, Duty.OFFICER))
    ):
        return wallet
    raise not_found("wallet")


def visible_merchant(bank: Bank, caller: Caller, merchant: int) -> Institution:
    """Return a merchant that the caller acts for, serves or audits. Raises the problem `not-found` otherwise."""
    try:
        found = bank.institutions.get(merchant)
    except NotFound as error:
        raise not_found("merchant") from error
    if found.kind == MERCHANT and found.operator is not None:
        serves = is_staff(bank, caller, found.operator)
        if serves or acts_for(bank, caller, merchant) or may_audit(bank, caller):
            return found
    raise not_found("merchant")


def _held(bank: Bank, caller: Caller) -> list[HeldDuty]:
    """Return all duties of a caller's person: read once, because a read waits for the frame that is written."""
    return bank.people.duties_of(caller.person) if caller.person else []


def _owns(caller: Caller, holder: int) -> bool:
    return bool(caller.person) and caller.person == holder


def _acts_for(held: list[HeldDuty], holder: int) -> bool:
    return any(each.duty is Duty.MERCHANT and each.institution == holder for each in held)


def _is_staff(held: list[HeldDuty], caller: Caller, operator: int) -> bool:
    is_held = any(each.duty in (Duty.OPERATOR, Duty.CLERK) and each.operator == operator for each in held)
    return is_held and caller.operator in (None, operator)


def _may_audit(held: list[HeldDuty]) -> bool:
    return any(each.duty in (Duty.AUDITOR, Duty.OFFICER) for each in held)
