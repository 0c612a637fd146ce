"""`sycee client`: register programs that act over HTTP, list them, end them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, local_time, named_key, open_bank
from sycee.cli.lazy import ids
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import maker_of, signing_keys
from sycee.cli.terminal import print_table, show, show_json, table

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.server.auth.clients import Client, Clients

app = App(name="client", help="Register programs that act over HTTP for a person, and end their access.")


@app.command
def register(
    folder: BankFolder,
    name: Annotated[str, Parameter(help="Name of the program, for example 'core banking'.")],
    /,
    *,
    person: Annotated[str, Parameter(help="Id of the person for whom the program acts.")],
    public_key: Annotated[str, Parameter(help="Public key of the program, as `sycee key new` prints it.")],
    operator: Annotated[int | None, Parameter(help="Number of the operator for which the person has a duty.")] = None,
    read_only: Annotated[bool, Parameter(negative="", help="The program may only read.")] = False,
    key: KeyFiles = None,
) -> int:
    """Register a program, which can then request access tokens.

    The first --key is an officer's. The program has the private key of --public-key, and no other program has it.
    """
    from sycee.server.auth.caller import READ, SCOPES

    keys = signing_keys(key)
    with open_bank(folder) as bank:
        made = _clients(bank).register(
            ids.parse(person),
            named_key(public_key),
            by=maker_of(bank, keys),
            name=name,
            operator=operator,
            scopes=(READ,) if read_only else SCOPES,
        )
    show(f"client {ids.format(made.id)}, key thumbprint {made.thumbprint}")
    return 0


@app.command(name="list")
def list_(folder: BankFolder, /, *, json_: AsJson = False) -> int:
    """List the registered programs."""
    with open_bank(folder) as bank:
        zone = bank.config.text("zone")
        clients = _clients(bank).list()
    if json_:
        show_json({"clients": [_as_json(each, zone) for each in clients]})
        return 0
    made = table("client", "name", "person", "operator", "scopes", "revoked")
    for each in clients:
        operator = "" if each.operator is None else str(each.operator)
        revoked = "" if each.revoked_ns is None else local_time(each.revoked_ns, zone)
        scopes = " ".join(sorted(each.scopes))
        made.add_row(ids.format(each.id), each.name, ids.format(each.person), operator, scopes, revoked)
    print_table(made)
    return 0


@app.command
def revoke(
    folder: BankFolder,
    client: Annotated[str, Parameter(help="Id of the client, as `sycee client list` shows it.")],
    /,
    *,
    key: KeyFiles = None,
) -> int:
    """End a program's access immediately. Its key cannot be registered again.

    The first --key is an officer's, or one of the client's operator.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        _clients(bank).revoke(ids.parse(client), by=maker_of(bank, keys))
    show(f"client {client} is revoked")
    return 0


def _as_json(client: Client, zone: str) -> dict[str, Any]:
    return {
        "client": ids.format(client.id),
        "name": client.name,
        "person": ids.format(client.person),
        "operator": client.operator,
        "scopes": sorted(client.scopes),
        "key": str(client.public_key),
        "thumbprint": client.thumbprint,
        "registered": local_time(client.made_ns, zone),
        "revoked": None if client.revoked_ns is None else local_time(client.revoked_ns, zone),
    }


def _clients(bank: Bank) -> Clients:
    from sycee.server.auth.registers import Registers

    return Registers(bank).clients
