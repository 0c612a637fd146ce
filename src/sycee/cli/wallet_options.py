"""Parameters and steps that the commands of wallets share: who signs, and which wallet a text names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from sycee.cli.lazy import ids
from sycee.core.errors import SyceeError, UsageError

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.core.keys import SigningKey
    from sycee.identity.institutions import Institution
    from sycee.ledger.models import Account
    from sycee.sequencer.embedded import Signer
    from sycee.wallets.payments import Paid

WalletName: TypeAlias = Annotated[str, Parameter(help="The wallet: its id, a phone, a @handle, or a merchant's name.")]
PayeeName: TypeAlias = Annotated[
    str, Parameter(help="Who is paid: the id of a wallet, a phone, a @handle, a merchant's name, or a QR code's text.")
]
MerchantName: TypeAlias = Annotated[str, Parameter(help="The merchant: name or id.")]
TillCode: TypeAlias = Annotated[str, Parameter(help="Code of the till, or OUTLET/TILL.")]
OrderNumber: TypeAlias = Annotated[str, Parameter(help="Number of the order, up to 35 letters and digits.")]
AmountText: TypeAlias = Annotated[str, Parameter(help="Amount, such as 12.50.")]


@dataclass(frozen=True, slots=True)
class Signing:
    """The signers of an account's operation, and the person who requests it."""

    signers: list[Signer]
    who: int


def signing_for(bank: Bank, account: int, keys: Sequence[SigningKey]) -> Signing:
    """Return who signs for an account: its own key, or a person of its operator. Raises UsageError without a key."""
    from sycee.sequencer.embedded import Signer

    if not keys:
        raise UsageError("no key signs", hint="name the file of the wallet's private key: --key FILE")
    found = bank.stores.ledger.account(account)
    own = [key for key in keys if (key.public.key, key.public.flags) == (found.key, int(found.key_flags))]
    if own:
        wallet = bank.directory.get(account)
        return Signing([Signer.of_account(found, own[0])], wallet.holder)
    if found.key:
        raise UsageError(
            f"no --key is the key of wallet {ids.format(account)}", hint="the owner of a wallet signs with its own key"
        )
    return Signing(bank.signers(*keys), bank.people.person_of_key(keys[0].public))


def is_revoked(account: Account) -> bool:
    """Return whether the key of an account was removed, and its debits are blocked until it gets a new one."""
    from sycee.core.records.layout import Reason

    return not account.key and Reason.RECOVERY in account.debit_reasons


def signer_of(account: Account) -> str:
    """Return in words who signs for an account."""
    if is_revoked(account):
        return "nobody: its key was revoked"
    return "its key" if account.key else "its operator (custodial)"


def merchant_named(bank: Bank, text: str) -> Institution:
    """Return the merchant of this name or id. Raises UsageError if there is none."""
    return bank.institutions.find("merchant", text)


def account_named(bank: Bank, text: str, *, by: int) -> tuple[int, str]:
    """Return the account that a text names, and the name to show for it, masked for a person.

    `by`: the person who looks an alias up. Raises UsageError for an unknown wallet; the error does not repeat a phone.
    """
    if is_alias(text):
        found = bank.aliases.resolve(text, by=by)
        return found.account, found.name
    for each in bank.institutions.list("merchant"):
        if text == each.name:
            return bank.directory.open_of(each.id).account, each.name
    try:
        account = ids.parse(text)
    except UsageError as error:
        raise UsageError(
            "this names no wallet", hint="name the wallet's id, a phone with its +, a @handle, or a merchant"
        ) from error
    return account, bank.aliases.name_of(account)


def is_alias(text: str) -> bool:
    """Return whether a text is a phone, a handle or a beneficiary's id, and not the id of a wallet or a name."""
    digits = text.strip("+ ").replace(" ", "").replace("-", "")
    return text.casefold().startswith(("@", "+", "id:")) or (digits.isdigit() and len(digits) <= 15)


def own_account(bank: Bank, text: str, keys: Sequence[SigningKey]) -> int:
    """Return the account that its owner names. An alias counts as a look-up of the owner."""
    try:
        return ids.parse(text)
    except UsageError:
        if not keys:
            raise UsageError("no key signs", hint="name the file of the wallet's private key: --key FILE") from None
        return account_named(bank, text, by=person_of(bank, keys[0]))[0]


def person_of(bank: Bank, key: SigningKey) -> int:
    """Return the person of a key: with a duty, or the holder of the wallet that has it."""
    wallet = bank.directory.of_key(key.public)
    return bank.people.person_of_key(key.public) if wallet is None else wallet.holder


@dataclass(frozen=True, slots=True)
class Payee:
    """Who is paid. `minor`, `order`, `till`, `request`: of a QR code that has them, or 0 and ""."""

    account: int
    name: str
    minor: int = 0
    order: str = ""
    till: str = ""
    request: int = 0


def payee_named(bank: Bank, text: str, *, by: int) -> Payee:
    """Return who is paid, from a name or from the text of a QR code. Raises UsageError as `account_named`."""
    from sycee.wallets import emv_qr

    if not text.startswith("000201"):
        return Payee(*account_named(bank, text, by=by))
    code = emv_qr.parse(text)
    if (code.domain, code.currency) != (bank.config.text("qr_domain"), bank.config.currency.code):
        raise UsageError(
            f"the QR code is for {code.currency} of {code.domain}", hint="scan a code of this bank's scheme"
        )
    name = bank.aliases.name_of(code.account)
    return Payee(code.account, name, code.minor, code.order, code.till, code.request)


def require_paid(paid: Paid, message: str) -> None:
    """Raise RefusedPayment with the payer's answer unless the money moved."""
    if not paid.is_paid:
        raise RefusedPayment(message, paid.answer)


class RefusedPayment(SyceeError):
    """A payment was refused; the message has the payer's answer, which hides the payee's reasons."""

    def __init__(self, message: str, answer: str) -> None:
        super().__init__(f"{message}: {answer}")
