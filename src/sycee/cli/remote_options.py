"""Options and helpers of the commands that a server performs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from cyclopts import App, Parameter

from sycee.cli.lazy import api, ids
from sycee.cli.parameters import convert
from sycee.cli.terminal import note, print_table, show, show_json, table
from sycee.core import money
from sycee.core.clock import FixedClock
from sycee.core.errors import UsageError
from sycee.core.extras import extra

if TYPE_CHECKING:
    from sycee.client import Call, Client, Page, Signer
    from sycee.client.values import Proposed, Wallet
    from sycee.core.money import Currency

# One call of a person at a terminal: shorter than the client's own deadline.
DEADLINE_S: Final = 10.0


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Login:
    """The server, and the program that logs in."""

    server: Annotated[str, Parameter(help="Address of the server, such as https://bank.example.")]
    client: Annotated[
        str | None, Parameter(help="Id of the registered program, as `sycee client register` printed it.")
    ] = None
    client_key: Annotated[Path | None, Parameter(help="File with the private key of the program.")] = None
    origin: Annotated[
        str, Parameter(help="Public address of the server, the setting http_origin, if --server is another one.")
    ] = ""
    bank_time: Annotated[
        str, Parameter(help="Time at the bank with its offset, if it is a rehearsal with a clock of its own.")
    ] = ""


KeyFile: TypeAlias = Annotated[
    Path | None,
    Parameter(help="Private key of the wallet, or for a custodial wallet that of a person of its operator."),
]
PersonKey: TypeAlias = Annotated[Path, Parameter(help="File with your private key, which the bank knows.")]
ActionId: TypeAlias = Annotated[
    str, Parameter(name="--id", help="Id of an earlier attempt without an answer, which is repeated.")
]
AmountText: TypeAlias = Annotated[str, Parameter(help="Amount, such as 12.50.")]
WalletId: TypeAlias = Annotated[str, Parameter(help="Id of the wallet.")]
Operator: TypeAlias = Annotated[int, Parameter(help="Number of the operator.")]
Reference: TypeAlias = Annotated[str, Parameter(help="The bank's reference of its payment, up to 35 characters.")]
Until: TypeAlias = Annotated[str, Parameter(help="Time with its offset, such as 2026-11-02T18:00+08:00.")]
TextForBoth: TypeAlias = Annotated[
    str, Parameter(name="--reference", help="Text for both sides, up to 35 characters, stored encrypted.")
]
Till: TypeAlias = Annotated[str, Parameter(help="Id of the merchant's till.")]
OrderNumber: TypeAlias = Annotated[str, Parameter(help="The merchant's order, which is paid once.")]


def group(name: str, help: str) -> App:
    """Return a group of commands."""
    return App(name=name, help=help, default_parameter=Parameter(converter=convert))


@contextmanager
def connected(login: Login, *, deadline_s: float = 0) -> Iterator[Client]:
    """Yield a client of a server. Raises UsageError for a program without its key.

    `deadline_s`: of one call and of one request, for calls that take long; by default DEADLINE_S.
    """
    with extra("client"):
        from sycee.client import Client, Credentials
    from sycee.core.keys import SigningKey

    if (login.client is None) is not (login.client_key is None):
        raise UsageError("--client and --client-key belong together", hint="name the program's id and its key file")
    credentials = None
    if login.client is not None and login.client_key is not None:
        credentials = Credentials(login.client, SigningKey.load(login.client_key))
    options: dict[str, Any] = {"timeout": deadline_s} if deadline_s else {}
    if login.bank_time:
        options["now_ns"] = FixedClock(instant(login.bank_time)).now_ns
    with Client(login.server, credentials, origin=login.origin, deadline_s=deadline_s or DEADLINE_S, **options) as made:
        yield made


def perform(bank: Client, call: Call[Any]) -> Any:
    """Perform an action and return its value.

    An error that leaves its result unknown names the id with which it can be repeated.
    """
    from sycee.client import LostConnection, NotTaken, TooManyRequests

    try:
        return bank.do(call)
    except (LostConnection, NotTaken, TooManyRequests) as error:
        note(f"note: the same command with --id {call.id} repeats this attempt; the server acts once")
        raise error


def propose(bank: Client, call: Call[Proposed]) -> None:
    """Make a proposal, and print its id and the signatures that it needs; no login replaces one of them."""
    made: Proposed = perform(bank, call)
    show(f"proposal {made.proposal} needs: {', '.join(made.needs) or 'nothing'}")


def number_of(id: str) -> int:
    """Return the number of an id, 0 for an empty text."""
    return ids.parse(id) if id else 0


def private_key(file: Path | None) -> Any:
    """Return the key in a file. Raises UsageError without one."""
    from sycee.core.keys import SigningKey

    if file is None:
        raise UsageError("no key signs", hint="name the file of the private key: --key FILE")
    return SigningKey.load(file)


def signer_of(bank: Client, wallet: Wallet, key: Any) -> Signer:
    """Return who signs for a wallet: the wallet itself, or the person of this program for a custodial one."""
    from sycee.client import Signer

    return person_of(bank, key) if wallet.is_custodial else Signer.of(wallet.wallet, key)


def person_of(bank: Client, key: Any) -> Signer:
    """Return the person of this program as the signer."""
    from sycee.client import Signer

    return Signer.of(bank.do(api.session()).person, key)


def currency_of(bank: Client) -> Currency:
    """Return the currency of the bank."""
    return money.currency(bank.do(api.supply())["currency"])


def minor_of(text: str, currency: Any) -> int:
    """Return an amount in minor units. Raises UsageError for one that is not above 0."""
    minor = money.parse(text, currency)
    if minor <= 0:
        raise UsageError(f"the amount {text[:40]} is not above 0", hint="name an amount such as 12.50")
    return minor


def instant(text: str) -> int:
    """Return the nanoseconds of a time with its offset. Raises UsageError for another text."""
    from datetime import datetime, timedelta

    from sycee.core.time_zones import EPOCH

    hint = "write a time with its offset, such as 2026-11-02T18:00+08:00"
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text[:40]!r} is not a time", hint=hint) from error
    if found.tzinfo is None:
        raise UsageError(f"{text[:40]!r} has no offset", hint=hint)
    return (found - EPOCH) // timedelta(microseconds=1) * 1_000


def show_rows(
    bank: Client, name: str, call: Call[Page[Any]] | Call[Sequence[Any]], columns: Sequence[str], *, as_json: bool,
    chosen: Callable[[Any], bool] = lambda _: True, called: str = "",
) -> None:  # fmt: skip
    """Print a list: some fields as a table with amounts in the currency, or all fields as JSON under a name.

    Without rows, a note on stderr says that there are none. `called`: the rows in this note, if not by the name.
    """
    from sycee.client import Page

    first: Any = bank.do(call)  # type: ignore[misc]  # a union of two kinds of calls
    found = list(first.rows if isinstance(first, Page) else first)
    following = first.next if isinstance(first, Page) else None
    found += bank.rows(following) if following is not None else ()
    # As the members of the answer: a field whose name is a word of Python ends in an underscore.
    members = [
        {name.removesuffix("_"): value for name, value in asdict(each).items()} for each in found if chosen(each)
    ]
    if as_json:
        show_json({name: members})
        return
    if not members:
        note(f"there are no {called or name}")
        return
    amounts = [each for each in columns if each.endswith("minor")]
    currency = currency_of(bank) if amounts else None
    headings = [each.removesuffix("_minor").replace("minor", "amount").replace("_", " ") for each in columns]
    made = table(*headings, numbers=tuple(headings[columns.index(each)] for each in amounts))
    for row in members:
        cells = (
            money.format(row[each], currency) if each in amounts and currency else _cell(row[each]) for each in columns
        )
        made.add_row(*cells)
    print_table(made)


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
