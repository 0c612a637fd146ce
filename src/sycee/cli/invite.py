"""`sycee invite`: codes with which persons create a login, recoveries, and first uses of logins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, local_time, open_bank
from sycee.cli.lazy import ids
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import maker_of, sign_and_show, signing_keys
from sycee.cli.terminal import note, print_list, show
from sycee.core.errors import UsageError
from sycee.core.output_files import require_new
from sycee.core.secret_files import write_secret

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.server.auth.invitations import Invitation, Issued
    from sycee.server.auth.registers import Registers

app = App(name="invite", help="Give persons a code for a login, and end logins.")
PersonIds = Annotated[str, Parameter(help="Id of the person.")]


@app.command
def issue(
    folder: BankFolder,
    person: PersonIds,
    /,
    *,
    hours: Annotated[int, Parameter(help="Hours until the code ends, 1 to 336.")] = 24,
    letter: Annotated[
        Path | None, Parameter(help="New file for the second half of the code, if a recovery permits a letter.")
    ] = None,
    key: KeyFiles = None,
) -> int:
    """Print the first half of a code with which a person creates a login, once; the phone gets the second half.

    The first --key is of an officer, or of the person's operator. With their own key, persons get the whole code. A
    person who has, or had, a login needs `sycee invite recover` first.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        by, number = maker_of(bank, keys), ids.parse(person)
        invitations = _registers(bank).invitations
        if by == number:
            if letter is not None:
                raise UsageError(
                    "your own key gives you the whole code, and no letter", hint="repeat the command without --letter"
                )
            issued = invitations.issue_to_holder(number, hours=hours)
        else:
            if letter is not None:
                require_new(letter)
            issued = invitations.issue(number, by=by, hours=hours, letter=letter is not None)
        zone = bank.config.text("zone")
        made = issued.invitation
        show(f"invitation {ids.format(made.id)}, {_times(made, zone)}")
        if by == number:
            show(f"code {issued.code}")
            return 0
        show(f"first half {issued.first}")
        if letter is not None:
            write_secret(letter, _letter(bank, issued).encode(), what="letter")
            note(f"{letter} has the second half: seal it, and send it to the person")
        else:
            note("the second half goes to the person's phone: `sycee person notices` lists what waits")
    return 0


@app.command
def recover(
    folder: BankFolder,
    person: PersonIds,
    /,
    *,
    reason: Annotated[str, Parameter(help="How the identity was proved; no name, number or address.")],
    letter: Annotated[
        bool, Parameter(negative="", help="Permit a letter with the second half, for a person without a phone.")
    ] = False,
    key: KeyFiles = None,
) -> int:
    """Propose another login for a person who lost every one, or whom no message reaches. Two persons sign.

    The person is told at once. After the approval a waiting time runs (setting login_recovery_hours), in which the
    person can object; then `sycee invite issue` gives a code, whose use ends the earlier logins.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        made = _registers(bank).recoveries.request(ids.parse(person), reason, maker=maker_of(bank, keys), letter=letter)
        return sign_and_show(bank, made, keys)


@app.command
def logins(folder: BankFolder, /, *, json_: AsJson = False) -> int:
    """List the first use of each login: who invited it, and whether the staff was at the same address or browser."""
    with open_bank(folder) as bank:
        zone = bank.config.text("zone")
        rows = [
            {
                "login": ids.format(each.login),
                "person": ids.format(each.person),
                "method": each.method,
                "time": local_time(each.at_ns, zone),
                "inviter": ids.format(each.inviter) if each.inviter else None,
                "near": ids.format(each.near) if each.near else None,
                "near_by": each.near_by or None,
            }
            for each in _registers(bank).places.list()
        ]
    columns = ("login", "person", "method", "time", "inviter", "near", "near_by")
    return print_list("logins", rows, *columns, as_json=json_)


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
                "from": local_time(each.from_ns, zone),
                "until": local_time(each.until_ns, zone),
                "state": each.state,
                "recovery": ids.format(each.recovery) if each.recovery else None,
            }
            for each in _registers(bank).invitations.list()
        ]
    columns = ("invitation", "person", "by", "from", "until", "state")
    return print_list("invitations", rows, *columns, as_json=json_, keys=columns)


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
        _registers(bank).invitations.revoke(ids.parse(invitation), by=maker_of(bank, keys))
    show(f"invitation {invitation} is revoked")
    return 0


@app.command(name="end-logins")
def end_logins(folder: BankFolder, person: PersonIds, /, *, key: KeyFiles = None) -> int:
    """End all sessions, passkeys, provider links and unused codes of a person, after a theft for example.

    The first --key is of an officer, of the person's operator, or of the person.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        _registers(bank).invitations.end_logins(ids.parse(person), by=maker_of(bank, keys))
    show(f"the logins of {person} are ended")
    return 0


def _times(made: Invitation, zone: str) -> str:
    until = f"until {local_time(made.until_ns, zone)}"
    return until if made.state == "open" else f"from {local_time(made.from_ns, zone)} {until}"


def _letter(bank: Bank, issued: Issued) -> str:
    """Return the text of the letter with the second half of a code."""
    origin, until = bank.config.text("http_origin"), _times(issued.invitation, bank.config.text("zone"))
    return (
        f"This is the second half of your code for a login, valid {until}:\n\n    {issued.second}\n\n"
        f"Your bank gives you the first half. Enter both at {origin}/login.\n"
        "If you asked for no login, tell your bank now. Nobody of the bank asks you for this half.\n"
    )


def _registers(bank: Bank) -> Registers:
    from sycee.server.auth.registers import Registers

    return Registers(bank)
