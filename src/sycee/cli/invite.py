"""`sycee invite`: codes with which persons create a login."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, local_time, open_bank
from sycee.cli.lazy import ids
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import maker_of, signing_keys
from sycee.cli.terminal import print_list, show

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.server.auth.invitations import Invitations

app = App(name="invite", help="Give persons a code for a login, and end logins.")
PersonIds = Annotated[str, Parameter(help="Id of the person.")]


@app.command
def issue(
    folder: BankFolder,
    person: PersonIds,
    /,
    *,
    hours: Annotated[int, Parameter(help="Hours until the code ends, 1 to 336.")] = 24,
    key: KeyFiles = None,
) -> int:
    """Print a code with which a person creates a passkey, or a login with an OpenID provider, once.

    The first --key is of an officer, or of the person's operator. Any person with the code can log in as the person.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        made, code = _invitations(bank).issue(ids.parse(person), by=maker_of(bank, keys), hours=hours)
        until = local_time(made.until_ns, bank.config.text("zone"))
    show(f"invitation {ids.format(made.id)}, until {until}", f"code {code}")
    return 0


@app.command(name="list")
def list_(folder: BankFolder, /, *, json_: AsJson = False) -> int:
    """List the invitations, without their codes."""
    with open_bank(folder) as bank:
        zone = bank.config.text("zone")
        rows = [
            {
                "invitation": ids.format(each.id),
                "person": ids.format(each.person),
                "by": ids.format(each.made_by),
                "until": local_time(each.until_ns, zone),
                "state": each.state,
            }
            for each in _invitations(bank).list()
        ]
    return print_list("invitations", rows, "invitation", "person", "by", "until", "state", as_json=json_)


@app.command
def revoke(
    folder: BankFolder,
    invitation: Annotated[str, Parameter(help="Id of the invitation, as `sycee invite list` shows it.")],
    /,
    *,
    key: KeyFiles = None,
) -> int:
    """End a code that was not used yet.

    The first --key is of an officer, or of the person's operator.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        _invitations(bank).revoke(ids.parse(invitation), by=maker_of(bank, keys))
    show(f"invitation {invitation} is revoked")
    return 0


@app.command(name="end-logins")
def end_logins(folder: BankFolder, person: PersonIds, /, *, key: KeyFiles = None) -> int:
    """End all sessions, passkeys, provider links and unused codes of a person, after a theft for example.

    The first --key is of an officer, of the person's operator, or of the person.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        _invitations(bank).end_logins(ids.parse(person), by=maker_of(bank, keys))
    show(f"the logins of {person} are ended")
    return 0


def _invitations(bank: Bank) -> Invitations:
    from sycee.core.clock import RealClock
    from sycee.server.auth.invitations import Invitations

    return Invitations(bank.stores, bank.people, bank.directory, RealClock())
