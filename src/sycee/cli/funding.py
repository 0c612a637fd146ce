"""`sycee funding`: money between wallets and their holders' banks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, local_time, open_bank, positive_amount
from sycee.cli.lazy import ids
from sycee.cli.mint import Amount
from sycee.cli.operator import Operator, operator_number
from sycee.cli.parameters import AsJson
from sycee.cli.person_options import access_of, one_key
from sycee.cli.proposing import maker_of, signing_keys
from sycee.cli.terminal import print_list, show
from sycee.cli.wallet_options import WalletName, account_named, own_account, require_paid, signing_for
from sycee.core import money
from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.core.keys import SigningKey
    from sycee.personal.access import Access

app = App(name="funding", help="Move money between wallets and their holders' banks.")

Reference: TypeAlias = Annotated[str, Parameter(help="The bank's reference of its payment, up to 35 characters.")]
ShowFor: TypeAlias = Annotated[
    str, Parameter(help="Show the bank accounts for this reason, such as payment; the access is logged.")
]
Case: TypeAlias = Annotated[str, Parameter(help="Number of the open case, for another reason than payment.")]


@app.command(name="to-wallet")
def to_wallet(
    folder: BankFolder, operator: Operator, wallet: WalletName, amount: Amount, reference: Reference, /, *,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Send money from an operator's vault to a wallet. It waits in transit until the bank's payment is known.

    The operator signs.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        minor, number = positive_amount(bank, amount), operator_number(bank, operator)
        who = maker_of(bank, keys)
        account, name = account_named(bank, wallet, by=who)
        outcome = bank.issuance.fund(number, account, minor, reference, signers=bank.signers(*keys), who=who)
        outcome.require_created("nothing was sent")
        show(f"{amount} {bank.config.currency.code} in transit to {name}: reference {reference}")
    return 0


@app.command(name="to-bank")
def to_bank(
    folder: BankFolder, wallet: WalletName, amount: Amount, reference: Reference, /, *, key: KeyFiles = None
) -> int:
    """Send money from a wallet to its operator's vault, for a payment to the holder's bank.

    The wallet's own key signs. For a wallet without a key its operator signs.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        minor, account = positive_amount(bank, amount), own_account(bank, wallet, keys)
        signing = signing_for(bank, account, keys)
        outcome = bank.issuance.defund(account, minor, reference, signers=signing.signers, who=signing.who)
        outcome.require_created("nothing was sent")
        show(f"{amount} {bank.config.currency.code} in transit to the bank: reference {reference}")
    return 0


@app.command
def confirm(folder: BankFolder, operator: Operator, reference: Reference, /, *, key: KeyFiles = None) -> int:
    """Report that the bank made its payment: the money arrives. Also for the references WF- and RW-.

    --key is of a person with a duty at the operator; operator 0's key on the bank's machine signs. For RW- the bank has
    the money that a payment lacked: the wallet is funded and the payment made, both or none.
    """
    return _decide(folder, operator, reference, key, is_confirmed=True)


@app.command
def reject(folder: BankFolder, operator: Operator, reference: Reference, /, *, key: KeyFiles = None) -> int:
    """Report that the bank refused its payment: the money returns to its source. Keys as for confirm."""
    return _decide(folder, operator, reference, key, is_confirmed=False)


@app.command(name="list")
def list_(folder: BankFolder, /, *, json_: AsJson = False) -> int:
    """List the payments between wallets and banks, oldest first."""
    with open_bank(folder) as bank:
        rows = [
            {
                "time": local_time(each.at_ns, bank.config.text("zone")),
                "operator": each.operator,
                "reference": each.bank_reference,
                "direction": "to wallet" if each.direction == "in" else "to bank",
                "wallet": ids.format(each.wallet),
                "amount": money.format(each.minor, bank.config.currency),
                "state": f"{each.state}: {each.reason}" if each.reason else each.state,
            }
            for each in bank.issuance.fundings()
        ]
    columns = ("time", "operator", "reference", "direction", "wallet", "amount", "state")
    return print_list("fundings", rows, *columns, numbers=("amount",), as_json=json_)


@app.command
def waterfalls(
    folder: BankFolder, operator: Operator, /, *,
    reason: ShowFor = "",
    case: Case = "",
    json_: AsJson = False,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """List the money of waterfalls that the operator's bank has to pay, oldest first.

    --key is of a person with a duty at the operator. `funding confirm` and `funding reject` take the reference.
    """
    signing = one_key(key)
    with open_bank(folder) as bank:
        found = bank.waterfalls.open(operator_number(bank, operator), by=maker_of(bank, [signing]))
        access = _access(bank, signing, reason, case)
        rows = [
            {
                "time": local_time(each.at_ns, bank.config.text("zone")),
                "reference": each.bank_reference,
                "wallet": ids.format(each.wallet),
                "amount": money.format(each.minor, bank.config.currency),
                "bank_account": bank.waterfalls.bank_account(each, access=access) if access else None,
            }
            for each in found
        ]
    columns = ("time", "reference", "wallet", "amount", "bank account")
    return print_list("waterfalls", rows, *columns, numbers=("amount",), as_json=json_)


@app.command
def shortfalls(
    folder: BankFolder, operator: Operator, /, *,
    reason: ShowFor = "",
    case: Case = "",
    json_: AsJson = False,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """List the payments for which the operator's bank has to collect the missing money, oldest first.

    --key is of a person with a duty at the operator. `funding confirm` and `funding reject` take the reference.
    """
    signing = one_key(key)
    with open_bank(folder) as bank:
        zone, currency = bank.config.text("zone"), bank.config.currency
        found = bank.shortfalls.open(operator_number(bank, operator), by=maker_of(bank, [signing]))
        access = _access(bank, signing, reason, case)
        rows = [
            {
                "time": local_time(each.at_ns, zone),
                "until": local_time(each.expires_ns, zone),
                "reference": each.bank_reference,
                "wallet": ids.format(each.account),
                "missing": money.format(each.missing_minor, currency),
                "bank_account": bank.shortfalls.bank_account(each, access=access) if access else None,
            }
            for each in found
        ]
    columns = ("time", "until", "reference", "wallet", "missing", "bank account")
    return print_list("shortfalls", rows, *columns, numbers=("missing",), as_json=json_)


def _access(bank: Bank, key: SigningKey, reason: str, case: str) -> Access | None:
    """Return the access to bank accounts that the options describe; None without a reason."""
    if case and not reason:
        raise UsageError("--case was given without --reason", hint="give both to show the bank accounts")
    return access_of(bank, key, reason, case) if reason else None


def _decide(folder: BankFolder, operator: str, reference: str, key: KeyFiles, *, is_confirmed: bool) -> int:
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        number, who, signers = operator_number(bank, operator), maker_of(bank, keys), bank.technical_signers()
        excess = bank.waterfalls.find(number, reference, by=who)
        if excess is not None:
            settle = bank.waterfalls.confirm if is_confirmed else bank.waterfalls.reject
            settle(excess, signers=signers, who=who).require_created(f"the payment {reference} stays in transit")
            show(f"{reference} is {'confirmed' if is_confirmed else 'rejected'}")
            return 0
        shortfall = bank.shortfalls.find(number, reference)
        if shortfall is not None and is_confirmed:
            paid = bank.shortfalls.fund(shortfall.id, signers=[*bank.signers(*keys), *signers], who=who)
            require_paid(paid, "nothing moved; return the bank's money")
            show(f"{reference} is confirmed and paid")
            return 0
        if shortfall is not None:
            bank.shortfalls.reject(shortfall.id, who=who)
            show(f"{reference} is rejected")
            return 0
        funding = bank.issuance.funding(number, reference)
        decide = bank.issuance.confirm if is_confirmed else bank.issuance.reject
        outcome = decide(funding.id, signers=signers, who=who)
        outcome.require_created(f"the payment {reference} stays {funding.state}")
        show(f"{reference} is {bank.issuance.funding(funding.operator, reference).state}")
    return 0
