"""`sycee pay` and `sycee refund`."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, open_bank, positive_amount
from sycee.cli.lazy import ids
from sycee.cli.proposing import maker_of, signing_keys
from sycee.cli.terminal import note, show
from sycee.cli.wallet_options import (
    AmountText,
    MerchantName,
    PayeeName,
    TillCode,
    WalletName,
    merchant_named,
    own_account,
    payee_named,
    require_paid,
    signing_for,
)
from sycee.core import money
from sycee.core.errors import UsageError


def pay(
    folder: BankFolder,
    payer: WalletName,
    payee: PayeeName,
    amount: Annotated[str | None, Parameter(help="Amount, such as 12.50; not needed if the QR code has one.")] = None,
    /,
    *,
    reference: Annotated[str, Parameter(help="Text for both sides, up to 35 characters, stored encrypted.")] = "",
    till: Annotated[str | None, Parameter(help="Code of the merchant's till, or OUTLET/TILL.")] = None,
    order: Annotated[str, Parameter(help="The merchant's order, which is paid once.")] = "",
    from_bank: Annotated[
        bool,
        Parameter(negative="", help="Take missing own money from the bank account, under a mandate."),
    ] = False,
    key: KeyFiles = None,
) -> int:
    """Pay from a wallet, whose key signs: with packets that the payee may receive, then with own money.

    The payee's name, masked for a person, is shown before the payment is signed.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        account = own_account(bank, payer, keys)
        signing = signing_for(bank, account, keys)
        found = payee_named(bank, payee, by=signing.who)
        currency = bank.config.currency
        minor = positive_amount(bank, amount) if amount is not None else found.minor
        if not minor or (amount is not None and found.minor and minor != found.minor):
            raise UsageError(
                "the QR code has another amount" if minor else "no amount was given",
                hint="name the amount after the payee" if not minor else "omit the amount, or scan another code",
            )
        note(f"paying {money.with_code(minor, currency)} to {found.name}")
        if found.request:
            if from_bank:
                raise UsageError("a request is paid from the wallet alone", hint="fund the wallet first")
            paid = bank.requests.pay(found.request, account, signers=signing.signers, who=signing.who)
        else:
            code = till or found.till
            place = bank.institutions.find_till(bank.directory.holder_of(found.account), code).id if code else 0
            named: dict[str, Any] = {"text": reference, "till": place, "order": order or found.order}
            parties = (account, found.account, minor)
            if from_bank and bank.shortfalls.missing(account, minor):
                asked = bank.shortfalls.ask(*parties, signers=signing.signers, who=signing.who, **named)
                missing = money.with_code(asked.missing_minor, currency)
                show(f"the bank is asked for {missing}: reference {asked.bank_reference}; then the payment is made")
                return 0
            paid = bank.payments.pay(*parties, signers=signing.signers, who=signing.who, **named)
        require_paid(paid, "nothing was paid")
        show(f"paid {money.with_code(minor, currency)}: operation {ids.format(paid.operation)}")
    return 0


def refund(
    folder: BankFolder,
    merchant: MerchantName,
    order: Annotated[
        str,
        Parameter(
            help="Number of the order, or the id that `sycee pay`, `sycee hold new` or `sycee hold post` printed."
        ),
    ],
    amount: AmountText,
    /,
    *,
    till: Annotated[TillCode | None, Parameter(help="Code of the till that refunds, or OUTLET/TILL.")] = None,
    key: KeyFiles = None,
) -> int:
    """Refund a part, or all, of the payment of an order or of a hold. The money returns to its sources.

    The key of the merchant's wallet signs, or a person of its operator if the wallet has none.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = merchant_named(bank, merchant)
        minor = positive_amount(bank, amount)
        payment = bank.payments.payment_of(found.id, order)
        signing = signing_for(bank, bank.payments.payee_of(payment), keys)
        refunded = bank.payments.refund_payment(
            payment,
            minor,
            till=bank.institutions.find_till(found.id, till).id if till else 0,
            signers=signing.signers,
            who=signing.who if signing.who != found.id else maker_of(bank, keys),
        )
        require_paid(refunded, "nothing was refunded")
        show(f"refunded {money.with_code(minor, bank.config.currency)}: operation {ids.format(refunded.operation)}")
    return 0
