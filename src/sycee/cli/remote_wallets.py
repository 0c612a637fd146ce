"""Wallets and their keys over a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from cyclopts import Parameter

from sycee.cli.lazy import api, ids
from sycee.cli.parameters import AsJson, Consent, Proof, signatures_of
from sycee.cli.remote_options import (
    ActionId,
    KeyFile,
    Login,
    Operator,
    PersonKey,
    connected,
    currency_of,
    group,
    instant,
    minor_of,
    number_of,
    perform,
    person_of,
    private_key,
    show_rows,
)
from sycee.cli.terminal import note, print_table, progress, show, show_json, table
from sycee.core import money
from sycee.core.errors import SyceeError, UsageError
from sycee.core.limits import OPENINGS_MAX
from sycee.core.output_files import require_outputs
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.client import Client, Signer
    from sycee.client.values import KeyState, WalletState

ThisWallet: TypeAlias = Annotated[str, Parameter(name="WALLET", help="Id of the wallet.")]

BATCH_BYTES: Final = 768 << 10  # of texts of one request, whose body has at most 1 MiB

wallet = group("wallet", "Open, show, change and close wallets, and their aliases.")
key = group("key", "Show, set and revoke keys of wallets.")
groups = (wallet, key)


@wallet.command(name="open")
def open_(
    *, login: Login, operator: Annotated[int, Parameter(help="Number of the operator.")],
    tier: Annotated[str, Parameter(help="Class of the bank's preset, such as class-4.")],
    from_: Annotated[
        Path | None,
        Parameter(name="--from", help="CSV of new persons: name, phone, paper, paper_kind, birth, address."),
    ] = None,
    person: Annotated[str, Parameter(help="Id of a registered person who gets another wallet.")] = "",
    wallet_key: Annotated[
        Path | None, Parameter(help="Private key of the one wallet to open; without one its operator signs for it.")
    ] = None,
    refused: Annotated[Path | None, Parameter(help="Write row and code of refused rows to this CSV file.")] = None,
    accounts: Annotated[Path | None, Parameter(help="Write row and wallet of opened rows to this CSV file.")] = None,
    key: PersonKey, id_: ActionId = "",
) -> int:  # fmt: skip
    """Open wallets at an operator, whose person signs: for every row of a CSV file, or for one registered person.

    Rows are opened in batches of up to 1,000. Rows of persons and phones that are registered are refused.
    """
    from sycee.cli.wallet_files import columns_of, count_of, show_opened

    inputs = [from_] if from_ is not None else []
    require_outputs({"--refused": refused, "--accounts": accounts}, inputs=inputs)
    if (from_ is None) is (not person):
        raise UsageError("name either --from or --person", hint="--from is a CSV file of new persons")
    columns = columns_of(from_) if from_ is not None else {}
    total, private = count_of(columns) if from_ is not None else 1, private_key(key)
    if total != 1 and wallet_key is not None:
        raise UsageError(f"--wallet-key is of one wallet, and {from_} has {total:,} rows")
    with connected(login) as bank:
        signer = person_of(bank, private)
        if total != 1:
            opened, refusals = _open_many(bank, columns, total, number_of(id_), operator, tier, signer)
            show_opened(opened, refusals, from_, refused, accounts)
            return 0
        fields = {name: texts[0] for name, texts in columns.items() if texts[0]}
        named: dict[str, Any] = {"operator": operator, "tier": tier, "signer": signer}
        named |= opening_of(bank, id_, wallet_key)
        call = api.open_wallet(person, **named) if from_ is None else api.open_person(fields, **named)
        made = perform(bank, call)
    show(f"wallet {made.wallet} opened: class {tier}, operator {operator}")
    return 0


def _open_many(
    bank: Client, columns: Mapping[str, Sequence[str]], total: int, number: int, operator: int, tier: str,
    signer: Signer,
) -> tuple[list[int], dict[int, str]]:  # fmt: skip
    """Open a wallet for each row, in batches; return the wallets, 0 for a refused row, and the codes by row.

    Ids of batches follow from `number`, 0 for a fresh one: the same file and number again return the rows that were
    opened, and open the others.
    """
    from sycee.client.calls import fresh_id
    from sycee.client.values import NewPerson

    number = number or fresh_id()
    persons = [{name: texts[row] for name, texts in columns.items() if texts[row]} for row in range(total)]
    batches = _batches(persons)
    numbers = ids.derive(number.to_bytes(ids.ID.itemsize, "big"), "batches", len(batches), time_ms=number >> 80)
    opened, refusals = list[int](), dict[int, str]()
    with progress("opening wallets", "wallets") as shown:
        for batch, rows in zip(ids.to_ints(numbers), batches, strict=True):
            many = [NewPerson(persons[row]) for row in rows]
            try:
                found = bank.do(api.open_persons(many, operator=operator, tier=tier, signer=signer, id=batch))
            except (SyceeError, KeyboardInterrupt):
                given, done = f"--id {ids.format(number)}", f"{rows.start:,} of {total:,} rows"
                note(f"note: the same command with {given} continues after {done}")
                raise
            for row, each in zip(rows, found, strict=True):
                opened.append(0 if each.code else ids.parse(each.wallet))
                if each.code:
                    refusals[row] = each.code
            shown(rows.stop, total)
    return opened, refusals


def _batches(persons: Sequence[Mapping[str, str]]) -> list[range]:
    """Divide rows into batches of up to OPENINGS_MAX rows and about BATCH_BYTES bytes of texts."""
    batches, start, size = list[range](), 0, 0
    for row, fields in enumerate(persons):
        own = sum(len(text.encode()) for text in fields.values())
        if row > start and (row - start == OPENINGS_MAX or size + own > BATCH_BYTES):
            batches.append(range(start, row))
            start, size = row, 0
        size += own
    return [*batches, range(start, len(persons))]


@wallet.command
def renew(operator: Operator, /, *, login: Login, key: PersonKey) -> int:
    """Sign anew the openings at an operator that a crash interrupted for longer than their signatures are valid."""
    from sycee.client import InvalidRequest

    with connected(login) as bank, progress("opening wallets", "wallets") as shown:
        signer = person_of(bank, private_key(key))
        found = list(bank.rows(api.lapsed_openings(operator)))
        total, done, opened, refused = sum(each.wallets for each in found), 0, 0, False
        for each in found:
            try:
                opened += perform(bank, api.renew_opening(each, signer)).wallets
            except InvalidRequest as error:  # a batch with keys, which only its own request signs anew
                refused = True
                note(f"note: {error}; {error.hint}")
            done += each.wallets
            shown(done, total)
    show(f"{quantity(opened, 'wallet')} opened")
    return int(refused)


@wallet.command
def dormant(
    operator: Operator, /, *, login: Login,
    since: Annotated[str, Parameter(help="A time with its offset: wallets without a movement since then.")],
    json_: AsJson = False,
) -> int:  # fmt: skip
    """List wallets of persons at an operator that neither paid nor received for a time."""
    before_ns = instant(since)
    with connected(login) as bank:
        found = [each.wallet for each in bank.rows(api.dormant_wallets(operator, before_ns))]
    if json_:
        show_json({"wallets": found})
    else:
        show(*found)
        note(f"{quantity(len(found), 'wallet')} without a movement since {since}")
    return 0


@wallet.command
def refusals(
    operator: Operator, /, *, login: Login,
    of_payers: Annotated[
        bool, Parameter(negative="", help="Refused payments of the operator's own payers, with what they heard.")
    ] = False,
    json_: AsJson = False,
) -> int:  # fmt: skip
    """List the payments that wallets of an operator refused, with the codes that their payers did not see."""
    with connected(login) as bank:
        if of_payers:
            columns = ("time", "payer", "code", "payment")
            show_rows(bank, "refusals", api.payer_refusals(operator), columns, as_json=json_)
        else:
            show_rows(bank, "refusals", api.refusals(operator), ("time", "payee", "code", "payment"), as_json=json_)
    return 0


@wallet.command(name="show")
def show_(
    id: ThisWallet, /, *, login: Login,
    json_: AsJson = False,
) -> int:  # fmt: skip
    """Show a wallet: class, operator, who signs and balance."""
    from dataclasses import asdict

    with connected(login) as bank:
        found = bank.do(api.wallet(id))
        currency = money.currency(found.currency)
    members = asdict(found)
    if json_:
        show_json(members)
        return 0
    made = table("", "", ruled=False)
    for name in ("wallet", "holder", "operator", "tier", "state", "signs"):
        made.add_row(name, str(members[name]))
    for name in ("balance", "available"):
        made.add_row(name, f"{money.with_code(members[f'{name}_minor'], currency)}")
    print_table(made)
    return 0


@wallet.command(name="list")
def list_(
    holder: Annotated[str, Parameter(help="Id of the holder; without it the program's person.")] = "",
    /, *, login: Login, json_: AsJson = False,
) -> int:  # fmt: skip
    """List the wallets of a person or a merchant."""
    with connected(login) as bank:
        columns = ("wallet", "tier", "operator", "state", "holder")
        show_rows(bank, "wallets", api.wallets(holder), columns, as_json=json_)
    return 0


@wallet.command
def resolve(alias: Annotated[str, Parameter(help="A phone, or a @handle.")], /, *, login: Login) -> int:
    """Show the wallet of an alias, and the name of its holder, masked for a person. Look-ups of one day are limited."""
    with connected(login) as bank:
        found = bank.do(api.resolve(alias))
    show(f"{found.wallet}  {found.name}")
    return 0


@wallet.command(name="alias")
def alias_(
    id: ThisWallet, alias: Annotated[str, Parameter(help="A handle such as @tea, or a phone.")], /, *,
    login: Login,
    end: Annotated[bool, Parameter(negative="", help="End the alias instead.")] = False,
    keep: Annotated[bool, Parameter(negative="", help="Object to the move of the alias to another wallet.")] = False,
    key: Annotated[
        Path | None, Parameter(help="Private key of the wallet; a custodial wallet needs none.")
    ] = None,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Make a handle or a phone an alias of a wallet, end an alias, or object to the move of one."""
    if end and keep:
        raise UsageError("--end and --keep exclude each other", hint="give one of them")
    owner, number = _owner(id, key), number_of(id_)
    with connected(login) as bank:
        if end:
            perform(bank, api.end_alias(owner, alias, id=number))
            show("the alias has ended")
        elif keep:
            perform(bank, api.keep_alias(owner, alias, id=number))
            show("the alias stays")
        elif alias.startswith("@"):
            perform(bank, api.register_handle(owner, alias, id=number))
            show(f"{alias} is an alias of the wallet")
        else:
            challenge = perform(bank, api.challenge_phone(owner, alias, id=number))
            show(f"challenge {challenge}: a code waits for the phone")
    return 0


@wallet.command
def confirm(
    challenge: Annotated[str, Parameter(help="Id of the challenge.")],
    code: Annotated[str, Parameter(help="The six digits that the phone received.")], /, *,
    login: Login, id_: ActionId = "",
) -> int:  # fmt: skip
    """Take the code that a phone received: the phone becomes an alias, or begins to move from another wallet."""
    with connected(login) as bank:
        is_now = perform(bank, api.confirm_phone(challenge, code, id=number_of(id_)))
    show("the phone is an alias of the wallet" if is_now else "the phone moves to the wallet in 24 hours")
    return 0


@wallet.command(name="class")
def class_(
    id: ThisWallet, tier: Annotated[str, Parameter(help="Class of the bank's preset.")], /, *,
    login: Login, key: PersonKey, id_: ActionId = "",
) -> int:  # fmt: skip
    """Move a wallet to another class. A person of its operator signs."""
    with connected(login) as bank:
        signer = person_of(bank, private_key(key))
        _show(perform(bank, api.change_class(id, tier, signer, id=number_of(id_))))
    return 0


@wallet.command
def close(id: ThisWallet, /, *, login: Login, key: PersonKey, id_: ActionId = "") -> int:
    """Close an empty wallet permanently, with its aliases. A person of its operator signs."""
    with connected(login) as bank:
        signer = person_of(bank, private_key(key))
        _show(perform(bank, api.close_wallet(id, signer, id=number_of(id_))))
    return 0


@wallet.command
def waterfall(
    id: ThisWallet, /, *, login: Login,
    bank_account: Annotated[
        str, Parameter(help="The holder's bank account, stored encrypted; without it the waterfall ends.")
    ] = "",
    key: PersonKey, id_: ActionId = "",
) -> int:  # fmt: skip
    """Send the excess over a wallet's limit to its holder's bank account. A person of its operator signs."""
    with connected(login) as bank:
        signer, number = person_of(bank, private_key(key)), number_of(id_)
        if bank_account:
            perform(bank, api.link_bank(id, bank_account, signer, id=number))
        else:
            perform(bank, api.unlink_bank(id, signer, id=number))
    show("the excess over the limit goes to the bank" if bank_account else "the waterfall has ended")
    return 0


@wallet.command
def mandate(
    id: ThisWallet, /, *, login: Login,
    day_max: Annotated[
        str, Parameter(help="The most that one day takes from the bank account; without it the mandate ends.")
    ] = "",
    key: KeyFile = None, id_: ActionId = "",
) -> int:  # fmt: skip
    """Let payments take what they lack from the holder's bank account. The wallet's own key signs."""
    from sycee.client import Signer

    with connected(login) as bank:
        if not day_max:
            perform(bank, api.end_mandate(id, id=number_of(id_)))
            show("the mandate has ended")
            return 0
        currency = currency_of(bank)
        most, signer = minor_of(day_max, currency), Signer.of(id, private_key(key))
        perform(bank, api.grant_mandate(signer, most, id=number_of(id_)))
    show(f"payments may take up to {day_max} {currency.code} a day from the bank account")
    return 0


# --- keys ---


@key.command(name="show")
def show_key(id: ThisWallet, /, *, login: Login, json_: AsJson = False) -> int:
    """Show the key of a wallet, its earlier keys, and the values that a proof by a new key needs."""
    from dataclasses import asdict

    with connected(login) as bank:
        found = bank.do(api.keys(id))
    if json_:
        show_json(asdict(found))
        return 0
    show(
        f"wallet {found.wallet}: {found.key or 'no key'}",
        f"for a proof: --ledger {found.ledger_id} --account {found.wallet} --epoch {found.next_epoch}",
    )
    for each in found.keys:
        waits = ", debits blocked until the same key is set again" if each.is_blocked else ""
        show(f"epoch {each.key_epoch} from {each.from_}: {each.key or 'no key'} ({each.reason}){waits}")
    return 0


@key.command(name="set")
def set_(
    id: ThisWallet, /, *, login: Login,
    public_key: Annotated[str, Parameter(help="The new public key.")],
    proof: Proof,
    consent: Consent = "",
    reason: Annotated[str, Parameter(help="Reason, one word, which is kept with the key.")] = "rotation",
    key: PersonKey, id_: ActionId = "",
) -> int:  # fmt: skip
    """Set the key of a wallet: no payment under the old one passes. A person of its operator signs.

    The wallet's present key signs too, if there is one. After a loss or a revocation use `sycee person lost`.
    """
    from sycee.cli.bank_options import named_key

    signature, agreed = signatures_of(proof, consent)
    with connected(login) as bank:
        signer = person_of(bank, private_key(key))
        made = api.set_key(
            id, named_key(public_key), signature, signer, consent=agreed, reason=reason, id=number_of(id_)
        )
        _show_key(perform(bank, made))
    return 0


@key.command
def revoke(
    id: ThisWallet, /, *, login: Login,
    reason: Annotated[str, Parameter(help="Reason, one word, which is kept with the key.")],
    key: PersonKey, id_: ActionId = "",
) -> int:  # fmt: skip
    """Remove the key of a wallet, and block its debits until it gets a new key. A person of its operator signs."""
    with connected(login) as bank:
        signer = person_of(bank, private_key(key))
        _show_key(perform(bank, api.revoke_key(id, signer, reason=reason, id=number_of(id_))))
    return 0


def opening_of(bank: Client, id: str, wallet_key: Path | None) -> dict[str, Any]:
    """Return the arguments of an opening that follow from its id: the wallet's id, and its key with a proof.

    A repetition under the same id names the same wallet.
    """
    from sycee.client.calls import fresh_id
    from sycee.core.keys import SigningKey

    number = number_of(id) or fresh_id()
    account = number ^ 1
    made: dict[str, Any] = {"id": number, "wallet": account}
    if wallet_key is None:
        return made
    key = SigningKey.load(wallet_key)
    return made | {"key": key.public, "proof": bank.do(api.prove_key(account, key, key_epoch=1))}


def _owner(id: str, key: Path | None) -> Signer | str:
    from sycee.client import Signer

    return id if key is None else Signer.of(id, private_key(key))


def _show(changed: WalletState) -> None:
    show(f"wallet {changed.wallet} {changed.state}: class {changed.tier or 'none'}")


def _show_key(changed: KeyState) -> None:
    show(f"wallet {changed.wallet}: key epoch {changed.key_epoch}, {changed.key or 'no key'}")
