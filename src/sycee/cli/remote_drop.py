"""Programmes over a server. Before the operator signs a cohort, this machine verifies the draw and computes it anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from sycee.cli import remote_drop_packets, remote_drop_people, remote_drop_report, remote_drop_shops
from sycee.cli.lazy import api, ids
from sycee.cli.parameters import AsJson
from sycee.cli.remote_options import (
    ActionId,
    Login,
    PersonKey,
    connected,
    currency_of,
    group,
    number_of,
    perform,
    person_of,
    private_key,
    show_rows,
)
from sycee.cli.terminal import print_table, show, show_json, table
from sycee.core import money
from sycee.core.errors import UsageError
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.client import Call, Client
    from sycee.client.values import Occurrence, Programme
    from sycee.programmes.allotment import Allotment

Name: TypeAlias = Annotated[str, Parameter(help="Name of the programme.")]
Number: TypeAlias = Annotated[int, Parameter(name="--occurrence", help="Number of the occurrence.")]
Reason: TypeAlias = Annotated[str, Parameter(help="Why, in a sentence without personal data.")]

drop = group("drop", "Run a programme: funder, draft, draw, shops, terms, drop, claims and close.")


@drop.command(name="list")
def list_(*, login: Login, json_: AsJson = False) -> int:
    """List the programmes of a bank."""
    with connected(login) as bank:
        columns = ("name", "title", "state", "operator", "halted")
        show_rows(bank, "programmes", api.programmes(), columns, as_json=json_)
    return 0


@drop.command(name="show")
def show_(name: Name, /, *, login: Login, json_: AsJson = False) -> int:
    """Show a programme with its occurrences, their packets, and the next step of each."""
    from dataclasses import asdict

    with connected(login) as bank:
        found, currency = bank.do(api.programme(name)), currency_of(bank)
    if json_:
        show_json(asdict(found))
        return 0
    halted = f", halted: {found.halted}" if found.halted else ""
    show(f"{found.title} ({name}) is {found.state}{halted}", f"file: SHA-256 {found.digest}")
    made = table("no.", "date", "state", "members", "claimed", "dropped", "spent", "returned", "next step")
    for each in found.occurrences:
        amounts = (each.dropped_minor, each.spent_minor, each.returned_minor)
        shown = (money.format(minor, currency) for minor in amounts)
        counts = (f"{each.members:,}", f"{each.claimed:,}")
        made.add_row(str(each.occurrence), each.date, each.state, *counts, *shown, each.next_step)
    print_table(made)
    return 0


@drop.command(name="dry-run")
def dry_run(name: Name, /, *, login: Login, occurrence: Number = 0, json_: AsJson = False) -> int:
    """Apply all further steps to a copy of the ledger's state, and show what they would do. Nothing is written."""
    from dataclasses import asdict

    with connected(login) as bank:
        found, currency = bank.do(api.try_programme(name, occurrence)), currency_of(bank)
    if json_:
        show_json(asdict(found))
        return 0 if found.ok else 1
    budget = money.format(found.budget_minor, currency)
    show(f"after frame {found.frame:,}: {quantity(found.members, 'packet')}, {budget}")
    made = table("step", "time", "records", "refused", "funder", numbers=("records", "funder"))
    for step in found.steps:
        refused = ", ".join(f"{count:,} {code}" for code, count in step.refused.items()) or "none"
        made.add_row(step.name, step.at, f"{step.records:,}", refused, money.format(step.funder_minor, currency))
    print_table(made)
    show(*(f"in the way: {problem}" for problem in found.problems))
    show("ready" if found.ok else "not ready")
    return 0 if found.ok else 1


@drop.command
def draft(
    file: Annotated[str, Parameter(help="A programme file, such as spring.toml, or a shipped pilot.")], /, *,
    login: Login, funder: Annotated[str, Parameter(help="Name or account of the funder.")], id_: ActionId = "",
) -> int:  # fmt: skip
    """Store a programme file, or replace it before its registration opens."""
    from sycee import data

    text = data.file("pilots", file, "programme")[1].decode("utf-8", "replace")
    with connected(login) as bank:
        account = remote_drop_shops.funder_account(bank, funder)
        made = perform(bank, api.draft_programme(text, account, id=number_of(id_)))
    show(f"{made.name} is stored as {made.state}: SHA-256 {made.digest}")
    return 0


@drop.command(name="open")
def open_registration(name: Name, /, *, login: Login, occurrence: Number = 0, id_: ActionId = "") -> int:
    """Open the registration of a draft."""
    _step(login, api.open_registration(name, occurrence, id=number_of(id_)))
    return 0


@drop.command
def freeze(name: Name, /, *, login: Login, occurrence: Number = 0, id_: ActionId = "") -> int:
    """Freeze the list after registration closed: write announcement and entries."""
    found = _step(login, api.freeze_list(name, occurrence, id=number_of(id_)))
    show(f"{quantity(found.entries, 'entry', 'entries')}, announcement: SHA-256 {found.announcement}")
    return 0


@drop.command
def publish(name: Name, /, *, login: Login, occurrence: Number = 0, id_: ActionId = "") -> int:
    """Publish announcement and list, before the beacon is due."""
    with connected(login) as bank:
        found = perform(bank, api.publish_list(name, occurrence, id=number_of(id_)))
    show(f"occurrence {occurrence} of {name} is published: announcement SHA-256 {found.announcement}")
    return 0


@drop.command
def beacon(
    name: Name, value: Annotated[str, Parameter(help="The value: 64 hexadecimal digits.")], /, *, login: Login,
    occurrence: Number = 0, id_: ActionId = "",
) -> int:  # fmt: skip
    """Bring the beacon's value, as you read it at its source. Two persons bring the same; nothing is fetched."""
    from sycee.cli.drop import beacon_value

    with connected(login) as bank:
        brought = perform(bank, api.bring_beacon(name, occurrence, beacon_value(value), id=number_of(id_)))
    show(*(f"{each}: {quantity(count, 'person')}" for each, count in brought.items()))
    return 0


@drop.command
def draw(name: Name, /, *, login: Login, occurrence: Number = 0, id_: ActionId = "") -> int:
    """Draw the winners, once two persons brought the same value of the beacon."""
    found = _step(login, api.draw_winners(name, occurrence, id=number_of(id_)))
    show(f"{quantity(found.members, 'winner')} among {quantity(found.entries, 'entry', 'entries')}")
    return 0


@drop.command
def files(
    name: Name, /, *, login: Login, out: Annotated[Path, Parameter(help="New folder for the files.")],
    occurrence: Number = 0,
) -> int:  # fmt: skip
    """Write the published files of a draw to a folder, for `sycee draw verify`. It needs no login."""
    out.mkdir(parents=True)
    with connected(login) as bank:
        written = _published(bank, name, occurrence, out)
    show(f"{', '.join(written)} in {out}")
    return 0


@drop.command
def terms(name: Name, /, *, login: Login, occurrence: Number = 0, id_: ActionId = "") -> int:
    """Verify the draw, and propose its terms: budget, cohort and announcement. Two officers sign."""
    return _propose(login, api.propose_terms(name, occurrence, id=number_of(id_)))


@drop.command
def allot(
    name: Name, /, *, login: Login, key: PersonKey, occurrence: Number = 0,
    added: Annotated[int, Parameter(help="Members that an interrupted attempt added already.")] = 0,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Add the members of the approved cohort, and seal it. The draw is verified on this machine, and then signed."""
    with connected(login) as bank:
        number, allotment = _cohort(bank, name, occurrence)
        members = [ids.to_int(each) for each in allotment.members]
        call = api.allot_cohort(
            name, occurrence, members, person_of(bank, private_key(key)), programme_number=number, added=added,
            id=number_of(id_),
        )  # fmt: skip
        found = perform(bank, call)
    show(f"{name} is allotted: {quantity(found.members, 'member')}, seal {found.cohort}")
    return 0


@drop.command(name="drop")
def drop_packets(name: Name, /, *, login: Login, key: PersonKey, occurrence: Number = 0, id_: ActionId = "") -> int:
    """Fill every packet of the sealed cohort. The amounts are computed on this machine, and then signed."""
    with connected(login) as bank:
        from sycee.client.values import PacketShare

        number, allotment = _cohort(bank, name, occurrence)
        shares = [PacketShare(each.name, each.count, each.minor, each.zone) for each in allotment.shares]
        call = api.drop_packets(
            name, occurrence, shares, person_of(bank, private_key(key)), programme_number=number, id=number_of(id_)
        )
        found, currency = perform(bank, call), currency_of(bank)
    dropped, packets = money.with_code(found.dropped_minor, currency), found.members
    if found.dropped_minor < sum(each.count * each.minor for each in shares):  # later zones are not filled
        packets = sum(each.count for each in shares if each.zone == shares[0].zone)
    show(f"{name} is dropped: {dropped} in {quantity(packets, 'packet')}")
    return 0


@drop.command
def widen(
    name: Name, zone: Annotated[str, Parameter(help="The zone.")], /, *, login: Login, key: PersonKey,
    occurrence: Number = 0, id_: ActionId = "",
) -> int:  # fmt: skip
    """Fill the packets of a later zone. The amounts are computed on this machine, and then signed."""
    with connected(login) as bank:
        from sycee.client.values import PacketShare

        number, allotment = _cohort(bank, name, occurrence)
        shares = [PacketShare(each.name, each.count, each.minor, each.zone) for each in allotment.shares]
        call = api.widen_programme(
            name, occurrence, zone, shares, person_of(bank, private_key(key)), programme_number=number,
            id=number_of(id_),
        )  # fmt: skip
        perform(bank, call)
    show(f"the zone {zone} of {name} is dropped")
    return 0


@drop.command
def claim(
    name: Name, member: Annotated[str, Parameter(help="Id of the member in the cohort.")],
    wallet: Annotated[str, Parameter(help="Id of the winner's wallet.")], /, *, login: Login, key: PersonKey,
    occurrence: Number = 0, id_: ActionId = "",
) -> int:  # fmt: skip
    """Claim a packet into the winner's wallet. The wallet's operator signs."""
    with connected(login) as bank:
        signer = person_of(bank, private_key(key))
        perform(bank, api.claim_packet(name, occurrence, member, wallet, signer, id=number_of(id_)))
    show(f"claimed into wallet {wallet}")
    return 0


@drop.command
def halt(name: Name, reason: Reason, /, *, login: Login, id_: ActionId = "") -> int:
    """Pause a programme: refuse its claims and next steps immediately. Claimed packets can still be spent."""
    with connected(login) as bank:
        held = perform(bank, api.halt_programme(name, reason, id=number_of(id_)))
    show(f"{name} is halted: {held}")
    return 0


@drop.command
def block(name: Name, /, *, login: Login, id_: ActionId = "") -> int:
    """Propose to block the debits of a halted programme's funder. An officer signs, too."""
    return _propose(login, api.propose_block(name, id=number_of(id_)))


@drop.command
def resume(name: Name, reason: Reason, /, *, login: Login, id_: ActionId = "") -> int:
    """Propose to end a halt, and the block of the funder if there is one. An officer signs, too."""
    return _propose(login, api.propose_resume(name, reason, id=number_of(id_)))


@drop.command
def close(name: Name, /, *, login: Login, occurrence: Number = 0, id_: ActionId = "") -> int:
    """Close an expired occurrence."""
    _step(login, api.close_occurrence(name, occurrence, id=number_of(id_)))
    return 0


@drop.command
def cancel(name: Name, /, *, login: Login, occurrence: Number = 0, id_: ActionId = "") -> int:
    """Cancel an occurrence before its drop. It cannot be begun again."""
    _step(login, api.cancel_occurrence(name, occurrence, id=number_of(id_)))
    return 0


def _step(login: Login, call: Call[Occurrence]) -> Occurrence:
    """Take a step, show the state after it, and return the occurrence."""
    with connected(login) as bank:
        found: Occurrence = perform(bank, call)
    show(f"occurrence {found.occurrence} of {found.programme} is {found.state}", f"next: {found.next_step}")
    return found


def _propose(login: Login, call: Call[Any]) -> int:
    with connected(login) as bank:
        made = perform(bank, call)
    show(f"proposal {made.proposal} needs: {', '.join(made.needs) or 'no further signature'}")
    return 0


def _cohort(bank: Client, name: str, occurrence: int) -> tuple[int, Allotment]:
    """Return the programme's number on the ledger, and the cohort that its published files prove.

    Raises IntegrityError for files that do not prove their winners, and UsageError for another cohort than the signed.
    """
    import tempfile
    from datetime import date

    from sycee.programmes import cohort, draw
    from sycee.programmes.stored import defined

    programme: Programme = bank.do(api.programme(name))
    found = bank.do(api.occurrence(name, occurrence))
    if found.number is None:
        raise UsageError(f"{name} is {found.state}: its terms are not signed", hint=f"the next step: {found.next_step}")
    with tempfile.TemporaryDirectory(prefix="sycee-drop-") as made:
        folder = Path(made)
        _published(bank, name, occurrence, folder)
        draw.verify(folder).require()
        definition = defined(f"{name}.toml", programme.text).on(date.fromisoformat(found.date))
        allotment = cohort.allotment_of(folder, definition)
    if allotment.digest.hex() != found.cohort:
        raise UsageError(
            f"the published files lead to the cohort {allotment.digest.hex()}, and {found.cohort} was signed",
            hint="nothing was signed here; call the bank",
        )
    return found.number, allotment


def _published(bank: Client, name: str, occurrence: int, folder: Path) -> list[str]:
    """Write the published files to a folder; return their names."""
    from sycee.client import NotFound
    from sycee.programmes import draw_files

    written = []
    for file in (
        *(draw_files.ANNOUNCEMENT, draw_files.ENTRIES, draw_files.BEACON, draw_files.TICKETS, draw_files.WINNERS),
        draw_files.SUCCESSIONS,
    ):
        try:
            content = bank.do(api.programme_file(name, occurrence, file))
        except NotFound:
            if file in (draw_files.ANNOUNCEMENT, draw_files.ENTRIES):
                raise
            continue  # before the draw, or without one; without successors
        (folder / file).write_bytes(content)
        written.append(file)
    return written


for _command in (
    *remote_drop_people.COMMANDS, *remote_drop_packets.COMMANDS, *remote_drop_shops.COMMANDS,
    *remote_drop_report.COMMANDS,
):  # fmt: skip
    drop.command(_command, name=_command.__name__.strip("_").replace("_", "-"))
