"""Business days over a server: closing, countersigning, packs and breaks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from cyclopts import Parameter

from sycee.cli.lazy import api
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
from sycee.core.input_files import read_bytes
from sycee.core.output_files import require_new, write_file
from sycee.core.words import quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

DayText: TypeAlias = Annotated[str, Parameter(name="DAY", help="The business day, such as 2026-11-02.")]
Number: TypeAlias = Annotated[int, Parameter(name="BREAK", help="Number of the break.")]
TrustedKeys: TypeAlias = Annotated[
    list[str] | None,
    Parameter(negative="", help="Public key of a person who may sign, or a file with it; may be repeated."),
]
STATEMENT_BYTES_MAX: Final = 1 << 20

day = group("day", "Close business days, countersign their packs, and follow breaks.")


@day.command
def close(
    date: DayText, /, *, login: Login, key: PersonKey,
    statement: Annotated[
        list[Path] | None,
        Parameter(negative="", help="CSV file with an operator's or merchant's statement; may be repeated."),
    ] = None,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Close a business day after its cut-off, and sign its pack on this machine. The figures are shown before."""
    files = {each.name: _text(each) for each in statement or ()}
    with connected(login) as bank:
        signer, currency = person_of(bank, private_key(key)), currency_of(bank)

        def check(document: Mapping[str, Any]) -> None:
            supply = money.format(int(document["supply"]), currency)
            show(
                f"signing the pack of {date}: frame {document['cutoff_frame']}, {supply} {currency.code} in circulation"
            )

        done = perform(bank, api.close_day(date, signer, statements=files, check=check, id=number_of(id_)))
    show(f"day {date} closed: {quantity(done.breaks, 'open break')}; pack {done.pack}")
    return 0


@day.command
def countersign(
    date: DayText, /, *, login: Login, key: PersonKey, trusted: TrustedKeys = None,
    out: Annotated[Path | None, Parameter(help="Write the signed pack to this new file, too.")] = None,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Check the pack of a closed day on this machine, and sign it as another person.

    With --trusted, the closer's signature must be of one of these keys, which came over another channel.
    """
    from sycee.cli.bank_options import named_key
    from sycee.core.records.day_packs import DayPack, check_keys, check_signatures

    if out is not None:
        require_new(out)
    keys = [named_key(each) for each in trusted or ()]
    with connected(login) as bank:
        signer = person_of(bank, private_key(key))
        found = DayPack.parse(bank.do(api.pack(date)), f"the pack of {date}")
        check_signatures(found, complete=False)
        if keys:
            check_keys(found, [*keys, signer.key.public])
        perform(bank, api.countersign_day(date, found.digest.hex(), signer, id=number_of(id_)))
        if out is not None:
            write_file(out, bank.do(api.pack(date)))
    show(f"pack of {date} has two signatures{f': {out}' if out is not None else ''}")
    return 0


@day.command
def pack(
    date: DayText, /, *, login: Login, out: Annotated[Path, Parameter(help="New file for the pack.")]
) -> int:  # fmt: skip
    """Write the signed pack of a closed day to a file, for `sycee day verify`."""
    require_new(out)
    with connected(login) as bank:
        write_file(out, bank.do(api.pack(date)))
    show(f"the pack of {date} is in {out}")
    return 0


@day.command(name="list")
def list_(*, login: Login, json_: AsJson = False) -> int:
    """List the closed days, and the day that is to be closed next."""
    from dataclasses import asdict

    with connected(login) as bank:
        found, following = bank.do(api.days()), bank.do(api.next_day())
    if json_:
        show_json({"days": [asdict(each) for each in found], "next": following})
        return 0
    made = table("day", "state", "frame", "pack", numbers=("frame",))
    for each in found:
        made.add_row(each.day, each.state, f"{each.frame:,}", each.pack[:16] + "…")
    print_table(made)
    show(f"next: {following}")
    return 0


@day.command
def breaks(
    *, login: Login,
    all: Annotated[bool, Parameter(name="--all", negative="", help="Also show breaks that are closed.")] = False,
    json_: AsJson = False,
) -> int:  # fmt: skip
    """List breaks: differences that a close found, with owner and proposed cause."""
    with connected(login) as bank:
        columns = ("number", "kind", "party", "minor", "opened", "closed", "owner", "cause")
        show_rows(bank, "breaks", api.breaks(closed=all), columns, as_json=json_)
    return 0


@day.command
def assign(
    number: Number, /, *, login: Login,
    owner: Annotated[str, Parameter(help="Id of the new owner of the break.")],
    case: Annotated[int, Parameter(help="Number of the case that follows the break.")] = 0,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Name the person who owns a break, and the case that follows it."""
    with connected(login) as bank:
        perform(bank, api.assign_break(number, owner, case=case, id=number_of(id_)))
    show(f"break {number} is owned by {owner}")
    return 0


@day.command
def resolve(
    number: Number, /, *, login: Login,
    reason: Annotated[str, Parameter(help="Why the break is closed: at most 35 characters, no person's name.")],
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Close a break manually."""
    with connected(login) as bank:
        perform(bank, api.close_break(number, reason, id=number_of(id_)))
    show(f"break {number} is closed")
    return 0


def _text(file: Path) -> str:
    try:
        return read_bytes(file, STATEMENT_BYTES_MAX, "statement").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8 at byte {error.start}", hint="save it as UTF-8") from None
