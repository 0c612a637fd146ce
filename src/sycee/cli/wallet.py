"""`sycee wallet`: open, show, change and close wallets, and their aliases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, local_time, moment, open_bank, positive_amount
from sycee.cli.lazy import ids
from sycee.cli.message_options import show_delivered
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import maker_of, signing_keys
from sycee.cli.terminal import note, print_list, print_table, progress, show, show_json, table
from sycee.cli.wallet_files import columns_of, count_of, show_opened
from sycee.cli.wallet_options import Signing, WalletName, account_named, own_account, person_of, signer_of, signing_for
from sycee.core import money
from sycee.core.errors import UsageError
from sycee.core.output_files import require_outputs
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.wallets.directory import Wallet
    from sycee.wallets.payments import PayerRefusal

REFUSALS_READ: Final = 1_000  # rows of one query

app = App(name="wallet", help="Open, show, change and close wallets, and their aliases.")


@app.command(name="open")
def open_(
    folder: BankFolder,
    /,
    *,
    operator: Annotated[str, Parameter(help="The operator: name or number.")],
    tier: Annotated[str, Parameter(help="Class of the bank's preset, such as class-4.")],
    from_: Annotated[
        Path | None,
        Parameter(name="--from", help="CSV of new persons: name, phone, paper, paper_kind, birth, address."),
    ] = None,
    person: Annotated[str | None, Parameter(help="Id of a registered person who gets another wallet.")] = None,
    wallet_key: Annotated[
        Path | None, Parameter(help="Private key of the one wallet to open; without one its operator signs for it.")
    ] = None,
    refused: Annotated[Path | None, Parameter(help="Write row and code of refused rows to this CSV file.")] = None,
    accounts: Annotated[Path | None, Parameter(help="Write row and wallet of opened rows to this CSV file.")] = None,
    key: KeyFiles = None,
) -> int:
    """Open wallets at an operator, whose key signs: for every row of a CSV file, or for one registered person.

    The phone of a new person is the wallet's first alias. Rows of persons and phones that are registered are refused.
    """
    inputs = [from_] if from_ is not None else []
    require_outputs({"--refused": refused, "--accounts": accounts}, outside=folder, inputs=inputs)
    keys = signing_keys(key)
    if (from_ is None) is (person is None):
        raise UsageError("name either --from or --person", hint="--from is a CSV file of new persons")
    columns = columns_of(from_) if from_ is not None else {}
    with open_bank(folder) as bank:
        number = _operator(bank, operator)
        signers, who = bank.signers(*keys), maker_of(bank, keys)
        if from_ is None or wallet_key is not None:
            rows = [{name: texts[at] for name, texts in columns.items()} for at in range(count_of(columns))]
            if from_ is not None and len(rows) != 1:
                raise UsageError(f"--wallet-key is of one wallet, and {from_} has {len(rows)} rows")
            named: dict[str, Any] = {"operator": number, "tier": tier, "signers": signers, "who": who}
            named |= _key_of(bank, wallet_key)
            opening = bank.wallets
            wallet = opening.open_person(rows[0], **named) if rows else opening.open(ids.parse(person or ""), **named)
            show(_line(wallet))
            return 0
        with progress("opening wallets", "wallets") as shown:
            total, done = count_of(columns), 0

            def step(count: int) -> None:
                nonlocal done
                done += count
                shown(done, total)

            opened = bank.wallets.open_many(
                columns, operator=number, tier=tier, signers=signers, who=who, progress=step
            )
    show_opened(opened.accounts, opened.refused, from_, refused, accounts)
    return 0


@app.command(name="list")
def list_(
    folder: BankFolder, holder: Annotated[str, Parameter(help="A merchant's name, or the id of a holder.")], /, *,
    json_: AsJson = False,
) -> int:  # fmt: skip
    """List the wallets of a person or a merchant."""
    with open_bank(folder) as bank:
        named = [each.id for each in bank.institutions.list("merchant") if each.name == holder]
        wallets = bank.directory.of_holder(named[0] if named else ids.parse(holder))
        rows = [_members(bank, each) for each in wallets]
    columns = ("wallet", "class", "operator", "signs", "state", "balance")
    return print_list("wallets", rows, *columns, keys=columns, numbers=("balance",), as_json=json_)


@app.command(name="show")
def show_(folder: BankFolder, wallet: WalletName, /, *, key: KeyFiles = None, json_: AsJson = False) -> int:
    """Show a wallet: class, operator, who signs, balance and the kinds of its aliases.

    An alias as WALLET needs --key of the wallet's holder or of a person of the bank.
    """
    with open_bank(folder) as bank:
        account = own_account(bank, wallet, signing_keys(key) if key else [])
        members = _members(bank, bank.directory.get(account))
    if json_:
        show_json(members)
        return 0
    made = table("", "", ruled=False)
    for name, value in members.items():
        made.add_row(name, ", ".join(value) if isinstance(value, list) else str(value))
    print_table(made)
    return 0


@app.command
def resolve(
    folder: BankFolder, alias: Annotated[str, Parameter(help="A phone, or a @handle.")], /, *, key: KeyFiles = None
) -> int:
    """Show the wallet of an alias, and the name of its holder, masked for a person. Look-ups of one day are limited."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.aliases.resolve(alias, by=person_of(bank, keys[0]))
        show(f"{ids.format(found.account)}  {found.name}")
    return 0


@app.command(name="alias")
def alias_(
    folder: BankFolder, wallet: WalletName,
    alias: Annotated[str, Parameter(help="A handle such as @tea, a phone, or a beneficiary's id:CASE-0017.")], /, *,
    end: Annotated[bool, Parameter(negative="", help="End the alias instead.")] = False,
    keep: Annotated[bool, Parameter(negative="", help="Object to the move of the alias to another wallet.")] = False,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Make a handle or a phone an alias of a wallet, end an alias, or object to the move of one.

    The wallet's key signs, or a person of the operator of a custodial wallet.
    """
    from sycee.wallets.aliases import is_beneficiary

    keys = signing_keys(key)
    if end and keep:
        raise UsageError("--end and --keep exclude each other", hint="give one of them")
    with open_bank(folder) as bank:
        account = own_account(bank, wallet, keys)
        if is_beneficiary(alias):  # entered by staff of the operator, whoever has the wallet's key
            signing, proof = Signing([], maker_of(bank, keys)), b""
        else:
            signing = signing_for(bank, account, keys)
            proof = keys[0].sign(bank.aliases.message(account, alias))
        if not (end or keep or is_beneficiary(alias) or alias.startswith("@")):
            challenge = bank.aliases.challenge(account, alias, proof=proof, by=signing.who)
            show(f"challenge {ids.format(challenge)}: a code waits for the phone")
            return 0
        change = bank.aliases.end if end else bank.aliases.keep if keep else bank.aliases.register_handle
        change(account, alias, proof=proof, by=signing.who)
        show("the alias has ended" if end else "the alias stays" if keep else f"{alias} is an alias of the wallet")
    return 0


@app.command
def codes(
    folder: BankFolder,
    /,
    *,
    send: Annotated[Path, Parameter(help="Program that sends one code: it reads one line of JSON and exits with 0.")],
) -> int:
    """Pass each code that waits for a phone to a program that sends it.

    The program reads `challenge`, `phone` and `code` from its stdin. Phones and codes are not printed.
    """
    from sycee.bank.phone_messages import Delivery, Program

    with open_bank(folder) as bank:
        show_delivered(Delivery(bank, Program(send.resolve())).codes(), "code")
    return 0


@app.command
def confirm(
    folder: BankFolder,
    challenge: Annotated[str, Parameter(help="Id of the challenge.")],
    code: Annotated[str, Parameter(help="The six digits that the phone received.")],
    /,
) -> int:
    """Take the code that a phone received: the phone becomes an alias, or begins to move from another wallet."""
    with open_bank(folder) as bank:
        is_now = bank.aliases.confirm(ids.parse(challenge), code)
        show("the phone is an alias of the wallet" if is_now else "the phone moves to the wallet in 24 hours")
    return 0


@app.command(name="class")
def class_(
    folder: BankFolder, wallet: WalletName, tier: Annotated[str, Parameter(help="Class of the bank's preset.")], /, *,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Move a wallet to another class. A person of its operator signs."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        account, _ = account_named(bank, wallet, by=maker_of(bank, keys))
        changed = bank.changes.change_class(account, tier, signers=bank.signers(*keys), who=maker_of(bank, keys))
        show(_line(changed))
    return 0


@app.command
def close(folder: BankFolder, wallet: WalletName, /, *, key: KeyFiles = None) -> int:
    """Close an empty wallet permanently, with its aliases. A person of its operator signs."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        account, _ = account_named(bank, wallet, by=maker_of(bank, keys))
        closed = bank.changes.close(account, signers=bank.signers(*keys), who=maker_of(bank, keys))
        show(_line(closed))
    return 0


@app.command
def waterfall(
    folder: BankFolder, wallet: WalletName, /, *,
    bank_account: Annotated[
        str | None, Parameter(help="The holder's bank account, stored encrypted; without it the waterfall ends.")
    ] = None,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Send the excess over a wallet's limit to its holder's bank account. A person of its operator signs."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        who = maker_of(bank, keys)
        account, _ = account_named(bank, wallet, by=who)
        if bank_account is None:
            bank.sweeps.unlink(account, signers=bank.signers(*keys), who=who)
        else:
            bank.sweeps.link(account, bank_account, signers=bank.signers(*keys), who=who)
        show("the waterfall has ended" if bank_account is None else "the excess over the limit goes to the bank")
    return 0


@app.command
def mandate(
    folder: BankFolder, wallet: WalletName, /, *,
    day_max: Annotated[
        str | None, Parameter(help="The most that one day takes from the bank account; without it the mandate ends.")
    ] = None,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Let payments take what they lack from the holder's bank account. The wallet's own key signs.

    A person of its operator can end a mandate, too.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        account = own_account(bank, wallet, keys)
        by = person_of(bank, keys[0])
        if day_max is None:
            bank.mandates.end(account, by=by)
            show("the mandate has ended")
        else:
            bank.mandates.grant(account, positive_amount(bank, day_max), key=keys[0], by=by)
            show(f"payments may take up to {day_max} {bank.config.currency.code} a day from the bank account")
    return 0


@app.command
def renew(folder: BankFolder, /, *, key: KeyFiles = None) -> int:
    """Sign anew the openings that a crash interrupted for longer than their signatures are valid."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        count = bank.wallets.renew(signers=bank.signers(*keys), who=maker_of(bank, keys))
        show(f"{quantity(count, 'wallet')} opened")
    return 0


@app.command
def dormant(
    folder: BankFolder, /, *,
    since: Annotated[str, Parameter(help="A date: wallets without a movement since then.")],
    json_: AsJson = False,
) -> int:  # fmt: skip
    """List wallets of persons that neither paid nor received for a time, at most 1,000."""
    from sycee.wallets.dormancy import dormant

    with open_bank(folder) as bank:
        before_ns = moment(since, bank.config.text("zone"))
        found = [ids.format(each.account) for each in dormant(bank.stores, bank.directory, before_ns=before_ns)]
    if json_:
        show_json({"wallets": found})
    else:
        show(*found)
        note(f"{quantity(len(found), 'wallet')} without a movement since {since}")
    return 0


@app.command
def refusals(
    folder: BankFolder, operator: Annotated[str, Parameter(help="The operator: name or number.")], /, *,
    of_payers: Annotated[
        bool, Parameter(negative="", help="Refused payments of the operator's own payers, with what they heard.")
    ] = False,
    key: KeyFiles = None, json_: AsJson = False,
) -> int:  # fmt: skip
    """List the payments that wallets of an operator refused, with the codes that their payers did not see."""
    keys = signing_keys(key)
    side = "payer" if of_payers else "payee"
    with open_bank(folder) as bank:
        zone, number, by = bank.config.text("zone"), _operator(bank, operator), maker_of(bank, keys)
        found = (
            [(each.at_ns, each.payer, each.answer, each.operation) for each in _payer_refusals(bank, number, by)]
            if of_payers
            else [
                (each.at_ns, each.payee, each.code.name, each.operation)
                for each in bank.payments.refusals(number, by=by)
            ]
        )
    rows = [
        {"time": local_time(at_ns, zone), side: ids.format(wallet), "code": code, "operation": ids.format(operation)}
        for at_ns, wallet, code, operation in found
    ]
    return print_list("refusals", rows, "time", side, "code", "operation", as_json=json_)


# --- helpers ---


def _payer_refusals(bank: Bank, operator: int, by: int) -> Iterator[PayerRefusal]:
    after = (0, 0)
    while found := bank.payments.payer_refusals_page(operator, by=by, after=after, most=REFUSALS_READ):
        yield from found
        after = (found[-1].at_ns, found[-1].operation)


def _operator(bank: Bank, text: str) -> int:
    number = bank.institutions.find("operator", text).operator
    if number is None:
        raise UsageError(f"{text} has not joined as an operator", hint="`sycee operator list` shows the operators")
    return number


def _key_of(bank: Bank, file: Path | None) -> dict[str, Any]:
    """Return the arguments of an opening with the key in a file: account, public key and proof of possession."""
    from sycee.core.keys import SigningKey
    from sycee.core.records.signed_messages import proof_message

    if file is None:
        return {}
    key, account = SigningKey.load(file), bank.wallets.new_account()
    proof = key.sign(proof_message(bank.stores.ledger.ledger_id, account, 1, key.public))
    return {"account": account, "key": key.public, "proof": proof}


def _members(bank: Bank, wallet: Wallet) -> dict[str, Any]:
    account = bank.stores.ledger.account(wallet.account)
    return {
        "wallet": ids.format(wallet.account),
        "holder": ids.format(wallet.holder),
        "class": wallet.wallet_class or "none",
        "operator": wallet.operator,
        "signs": signer_of(account),
        "state": wallet.state,
        "balance": money.format(account.balance, bank.config.currency),
        "available": money.format(account.available, bank.config.currency),
        "aliases": [kind.name.lower() for kind in bank.aliases.of_account(wallet.account)],
    }


def _line(wallet: Wallet) -> str:
    signs = "custodial" if wallet.is_custodial else "own key"
    return (
        f"wallet {ids.format(wallet.account)} {wallet.state}: class {wallet.wallet_class or 'none'}, "
        f"operator {wallet.operator}, {signs}; holder {ids.format(wallet.holder)}"
    )
