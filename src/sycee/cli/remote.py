"""Commands that a server carries out, chosen by the option --server: no data folder is on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from cyclopts import App, Parameter

from sycee.cli.parameters import AsJson, convert
from sycee.cli.terminal import console, note, print_table, show, show_json, table
from sycee.core.errors import IntegrityError, SyceeError, UsageError
from sycee.core.extras import extra

if TYPE_CHECKING:
    from sycee.client import Call, Client, Signer
    from sycee.client.values import Wallet
    from sycee.core.records.proposal_format import Proposal

OPTION: Final = "--server"
# One call of a person at a terminal: shorter than the client's own deadline.
DEADLINE_S: Final = 10.0
POLL_S: Final = 0.5  # between two looks at the progress of a backup

Server: TypeAlias = Annotated[str, Parameter(help="Address of the server, such as https://bank.example.")]
Program: TypeAlias = Annotated[
    str | None, Parameter(name="--client", help="Id of the registered program, as `sycee client register` printed it.")
]
ProgramKey: TypeAlias = Annotated[Path | None, Parameter(help="File with the private key of the program.")]
Origin: TypeAlias = Annotated[
    str, Parameter(help="Public address of the server, the setting http_origin, if --server is another one.")
]
KeyFile: TypeAlias = Annotated[
    Path | None,
    Parameter(help="Private key of the wallet, or for a custodial wallet that of a person of its operator."),
]
ActionId: TypeAlias = Annotated[
    str, Parameter(name="--id", help="Id of an earlier attempt without an answer, which is repeated.")
]
AmountText: TypeAlias = Annotated[str, Parameter(help="Amount, such as 12.50.")]
WalletId: TypeAlias = Annotated[str, Parameter(help="Id of the wallet.")]
PayeeName: TypeAlias = Annotated[
    str, Parameter(help="Id of the wallet that is paid; with a login also a phone or a @handle.")
]
ProposalId: TypeAlias = Annotated[str, Parameter(help="Id of the proposal.")]
Till: TypeAlias = Annotated[str, Parameter(help="Id of the merchant's till.")]

app = App(
    name="sycee",
    help="Commands that a server carries out: sycee COMMAND --server URL.",
    default_parameter=Parameter(converter=convert),
)
_wallet = App(name="wallet", help="Show wallets.")
_merchant = App(name="merchant", help="Show orders of merchants.")
_proposal = App(name="proposal", help="List, show and sign actions that several persons sign.")
for _group in (_wallet, _merchant, _proposal):
    app.command(_group)


@app.command
def supply(*, server: Server, json_: AsJson = False) -> int:
    """Show the money in circulation and the reserves behind it, without a login."""
    with _connected(server) as bank:
        from sycee.client import api
        from sycee.core import money

        found = bank.do(api.supply())
        currency = money.currency(found["currency"])
    if json_:
        show_json(found)
        return 0
    for name, member in (("supply", "supply"), ("converted reserves", "converted_reserves")):
        show(f"{name}: {money.format(int(found[member]), currency)} {currency.code}")
    show(f"as of frame {found['frame']}, {found['time']}", f"state digest {found['state_digest']}")
    if not found["equal"]:
        raise IntegrityError("the money in circulation does not equal the converted reserves")
    return 0


@_wallet.command(name="show")
def show_(
    wallet: WalletId, /, *, server: Server, client: Program = None, client_key: ProgramKey = None, origin: Origin = "",
    json_: AsJson = False,
) -> int:  # fmt: skip
    """Show a wallet: class, operator, who signs and balance."""
    from dataclasses import asdict

    with _connected(server, client, client_key, origin) as bank:
        from sycee.client import api
        from sycee.core import money

        found = bank.do(api.wallet(wallet))
        currency = money.currency(found.currency)
    members = asdict(found)
    if json_:
        show_json(members)
        return 0
    made = table("", "", ruled=False)
    for name in ("wallet", "holder", "operator", "tier", "state", "signs"):
        made.add_row(name, str(members[name]))
    for name in ("balance", "available"):
        made.add_row(name, f"{money.format(members[f'{name}_minor'], currency)} {currency.code}")
    print_table(made)
    return 0


@app.command
def statement(
    wallet: WalletId, /, *, server: Server, client: Program = None, client_key: ProgramKey = None, origin: Origin = "",
    lines: Annotated[int, Parameter(help="Number of lines, newest first.")] = 50, json_: AsJson = False,
) -> int:  # fmt: skip
    """Show the newest lines of a wallet."""
    from dataclasses import asdict
    from itertools import islice

    if lines < 1:
        raise UsageError(f"--lines must be 1 or more; got {lines}", hint="name a number such as 50")
    with _connected(server, client, client_key, origin) as bank:
        from sycee.client import api
        from sycee.core import money

        currency = money.currency(bank.do(api.wallet(wallet)).currency)
        found = list(islice(bank.rows(api.statement(wallet)), lines))
    if json_:
        show_json({"wallet": wallet, "lines": [asdict(each) for each in found]})
        return 0
    made = table("time", "purpose", "amount", "balance", "counterparty", "text", numbers=("amount", "balance"))
    for each in found:
        made.add_row(
            each.time,
            each.purpose.lower().replace("_", " "),
            money.format(each.amount_minor, currency),
            money.format(each.balance_minor, currency),
            each.counterparty or "a packet",
            each.text,
        )
    print_table(made)
    return 0


@app.command
def pay(
    payer: WalletId, payee: PayeeName, amount: AmountText, /, *,
    server: Server, client: Program = None, client_key: ProgramKey = None, origin: Origin = "", key: KeyFile = None,
    reference: Annotated[str, Parameter(help="Text for both sides, up to 35 characters, stored encrypted.")] = "",
    till: Till = "",
    order: Annotated[str, Parameter(help="The merchant's order, which is paid once.")] = "",
    key_epoch: Annotated[
        int, Parameter(help="Without a login: how often the wallet's key was set.")
    ] = 1,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Pay from a wallet. Without --client, the wallet's key is the authority, and the payment has no text.

    The records are compared with the payment before they are signed.
    """
    with _connected(server, client, client_key, origin) as bank:
        from sycee.client import Signer, api
        from sycee.core import ids, money

        number, private = ids.parse(id_) if id_ else 0, _key(key)
        if client is None:
            if reference or till or order:
                raise UsageError(
                    "a text, a till or an order needs a login", hint="name --client and --client-key, or leave it out"
                )
            signing = bank.do(api.payer(Signer.of(payer, private), key_epoch=key_epoch))
            currency = money.currency_of(signing.currency)
            call: Call[Any] = api.pay_signed(signing, payee, _minor(amount, currency), id=number)
        else:
            found = bank.do(api.wallet(payer))
            currency = money.currency(found.currency)
            to, name = payee, payee
            if payee.startswith(("@", "+")):
                resolved = bank.do(api.resolve(payee))
                to, name = resolved.wallet, resolved.name
            note(f"paying {amount} {currency.code} to {name}")
            call = api.pay(
                payer, to, _minor(amount, currency), text=reference, till=till, order=order,
                signer=_signer(bank, found, private), id=number,
            )  # fmt: skip
        _do(bank, call)
    show(f"paid {amount} {currency.code}: operation {call.id}")
    return 0


@app.command
def refund(
    merchant: Annotated[str, Parameter(help="Id of the merchant's account.")],
    payment: Annotated[str, Parameter(help="Number of the order, or the id of its payment.")],
    amount: AmountText, /, *,
    server: Server, client: Program = None, client_key: ProgramKey = None, origin: Origin = "", key: KeyFile = None,
    till: Till = "", id_: ActionId = "",
) -> int:  # fmt: skip
    """Refund a part, or all, of the payment of an order. The money returns to its sources."""
    with _connected(server, client, client_key, origin) as bank:
        from sycee.client import api
        from sycee.core import ids, money

        number, private = ids.parse(id_) if id_ else 0, _key(key)
        found = bank.do(api.wallet(merchant))
        currency = money.currency(found.currency)
        call = api.refund(
            _payment(bank, merchant, payment), _minor(amount, currency), merchant, till=till,
            signer=_signer(bank, found, private), id=number,
        )  # fmt: skip
        _do(bank, call)
    show(f"refunded {amount} {currency.code}: operation {call.id}")
    return 0


@_merchant.command
def paid(
    merchant: Annotated[str, Parameter(help="Id of the merchant's account.")],
    order: Annotated[str, Parameter(help="Number of the order.")], /, *,
    server: Server, client: Program = None, client_key: ProgramKey = None, origin: Origin = "", json_: AsJson = False,
) -> int:  # fmt: skip
    """Show whether an order was paid, for a till that got no answer."""
    from dataclasses import asdict

    with _connected(server, client, client_key, origin) as bank:
        from sycee.client import api

        found = bank.do(api.order(merchant, order))
    if json_:
        show_json(asdict(found))
        return 0
    show(f"order {order}: {found.state}" + (f", payment {found.payment}" if found.payment else ""))
    return 0


@_proposal.command(name="list")
def list_(
    *,
    server: Server,
    client: Program = None,
    client_key: ProgramKey = None,
    origin: Origin = "",
    state: Annotated[str, Parameter(help="Only proposals in this state, such as open.")] = "",
    json_: AsJson = False,
) -> int:
    """List the proposals that the program's person made, signed or may sign."""
    from dataclasses import asdict

    with _connected(server, client, client_key, origin) as bank:
        from sycee.client import api

        found = list(bank.rows(api.proposals(state)))
    if json_:
        show_json({"proposals": [asdict(each) for each in found]})
        return 0
    made = table("id", "action", "state")
    for each in found:
        made.add_row(each.proposal, each.action, f"{each.state}: {each.code}" if each.code else each.state)
    print_table(made)
    return 0


@_proposal.command(name="show")
def show_proposal(
    proposal: ProposalId,
    /,
    *,
    server: Server,
    client: Program = None,
    client_key: ProgramKey = None,
    origin: Origin = "",
) -> int:
    """Show the records of a proposal, decoded on this machine, its effect and its digest."""
    with _connected(server, client, client_key, origin) as bank:
        from sycee.client import api

        _show_proposal(bank.do(api.proposal(proposal)))
    return 0


@_proposal.command
def sign(
    proposal: ProposalId,
    /,
    *,
    server: Server,
    client: Program = None,
    client_key: ProgramKey = None,
    origin: Origin = "",
    key: Annotated[Path, Parameter(help="File with your private key.")],
    digest: Annotated[str, Parameter(help="Refuse a proposal with another digest.")] = "",
) -> int:
    """Show a proposal, and sign it as the program's person. The last signature that is missing completes it."""
    private = _key(key)
    with _connected(server, client, client_key, origin) as bank:
        from sycee.client import Signer, api

        found = bank.do(api.proposal(proposal))
        if digest and digest.strip().lower() != found.digest.hex():
            raise UsageError(
                f"the proposal has the digest {found.digest.hex()}, not {digest}",
                hint="sign nothing: ask the maker which proposal you are to sign",
            )
        _show_proposal(found)
        after = bank.do(api.sign(found, Signer.of(bank.do(api.session()).person, private)))
    if after.state == "refused":
        raise SyceeError(f"the proposal is signed, and refused: {after.code}")
    show(f"signed: the proposal is {after.state}")
    return 0


@app.command
def backup(
    *, server: Server, client: Program = None, client_key: ProgramKey = None, origin: Origin = "", id_: ActionId = "",
    json_: AsJson = False,
) -> int:  # fmt: skip
    """Let the server write an encrypted backup to the folder of its settings, and wait until it is complete."""
    with _connected(server, client, client_key, origin) as bank:
        from sycee.client import api
        from sycee.core import ids, money

        currency = money.currency(bank.do(api.supply())["currency"])
        call = api.begin_backup(id=ids.parse(id_) if id_ else 0)
        _do(bank, call)
        with console(stderr=True).status("writing the backup") as status:
            while (found := bank.do(api.backup(call.id))).state == "running":
                status.update(f"writing the backup: {found.written_bytes / 1e6:,.0f} MB")
                sleep(POLL_S)
    if found.state == "failed" or found.frame is None or found.supply_minor is None:
        raise SyceeError(
            f"the backup {call.id} failed: {found.reason}", hint="sycee backup --server begins another one"
        )
    if json_:
        show_json(
            {
                "backup": found.id,
                "file": found.file,
                "bytes": found.written_bytes,
                "frame": found.frame,
                "state_digest": found.state_digest,
                "supply": money.format(found.supply_minor, currency),
            }
        )
        return 0
    show(
        f"{found.file} has the bank up to frame {found.frame:,}, and its database",
        f"in circulation: {money.format(found.supply_minor, currency)} {currency.code}",
        f"state digest {found.state_digest}",
    )
    return 0


@contextmanager
def _connected(
    server: str, client: str | None = None, client_key: Path | None = None, origin: str = ""
) -> Iterator[Client]:
    """Yield a client of a server. Raises UsageError for a program without its key."""
    with extra("client"):
        from sycee.client import Client, Credentials
    from sycee.core.keys import SigningKey

    if (client is None) is not (client_key is None):
        raise UsageError("--client and --client-key belong together", hint="name the program's id and its key file")
    credentials = None
    if client is not None and client_key is not None:
        credentials = Credentials(client, SigningKey.load(client_key))
    with Client(server, credentials, origin=origin, deadline_s=DEADLINE_S) as made:
        yield made


def _do(bank: Client, call: Call[Any]) -> None:
    """Carry out an action. An error that leaves its result unknown names the id with which it can be repeated."""
    from sycee.client import LostConnection, NotTaken, TooManyRequests

    try:
        bank.do(call)
    except (LostConnection, NotTaken, TooManyRequests) as error:
        note(f"note: the same command with --id {call.id} repeats this attempt; the server acts once")
        raise error


def _key(file: Path | None) -> Any:
    from sycee.core.keys import SigningKey

    if file is None:
        raise UsageError("no key signs", hint="name the file of the private key: --key FILE")
    return SigningKey.load(file)


def _show_proposal(found: Proposal) -> None:
    """Print what the signed bytes mean: nothing of it is the server's description."""
    from sycee.core import ids
    from sycee.core.records import describe
    from sycee.core.timestamps import utc_text

    show(f"{found.action}, proposal {ids.format(found.id)}, until {utc_text(found.valid_until_ns)}")
    show(*describe.lines(found.records))
    show(f"effect {found.effect_text.decode('ascii')}", f"digest {found.digest.hex()}")


def _signer(bank: Client, wallet: Wallet, key: Any) -> Signer:
    """Return who signs for a wallet: the wallet itself, or the person of this program for a custodial one."""
    from sycee.client import Signer, api

    return Signer.of(bank.do(api.session()).person if wallet.is_custodial else wallet.wallet, key)


def _minor(text: str, currency: Any) -> int:
    from sycee.core import money

    minor = money.parse(text, currency)
    if minor <= 0:
        raise UsageError(f"the amount {text[:40]} is not above 0", hint="name an amount such as 12.50")
    return minor


def _payment(bank: Client, merchant: str, text: str) -> str:
    """Return the payment of an order. Raises UsageError for an order that was not paid."""
    from sycee.client import api
    from sycee.core import ids

    if len(text) == len(ids.format(0)):
        return text
    found = bank.do(api.order(merchant, text))
    if found.payment is None:
        raise UsageError(f"order {text} is {found.state}, not paid", hint="only a payment can be refunded")
    return found.payment
