"""`sycee clearing`: bookings, sets and their certificates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, open_bank
from sycee.cli.clearing_options import Effort, Seed, finish_messages, signing
from sycee.cli.parameters import AsJson, Between
from sycee.cli.proposing import signing_keys
from sycee.cli.terminal import show, show_json
from sycee.core.extras import extra
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.clearing.sets import Settled


def release(
    folder: BankFolder,
    /,
    *,
    urgent: Annotated[bool, Parameter(negative="", help="Urgent payments alone.")] = False,
    key: KeyFiles = None,
) -> int:
    """Book one by one the queued payments that their senders' own money covers, then as sets those that it does not.

    First sets of opposite payments of two participants, then one of those that need lines. Then pay out what messages
    ask for. The house's operator signs.
    """
    from sycee.clearing.instructions import PRIORITY_MAX, URGENT

    keys = signing_keys(key)
    with open_bank(folder) as bank:
        finish_messages(bank)
        bank.clearing.payments.end_overdue()
        bank.clearing.payments.queue_due()
        most, by = URGENT if urgent else PRIORITY_MAX, signing(bank, keys)
        booked = bank.clearing.gross.release(priority_max=most, **by)
        offset = bank.clearing.arrivals.offset(priority_max=most, **by)
        if offset.sets:
            later = bank.clearing.gross.release(priority_max=most, **by)
            booked = replace(booked, payments=booked.payments + later.payments, refused=booked.refused + later.refused)
        drawn = bank.clearing.sets.settle_covered(priority_max=most, **by)
        paid, failed = bank.clearing.pay_outs.perform(**by)
    refused = f"; the ledger refused {booked.refused:,}" if booked.refused else ""
    pay_outs = f", {quantity(paid, 'pay-out')} made, {failed:,} refused" if paid or failed else ""
    show(f"{quantity(booked.payments, 'payment')} booked{refused}{pay_outs}")
    if offset.sets:
        show(f"{quantity(offset.sets, 'set')} of two participants: {quantity(offset.together, 'payment')} booked")
    if drawn.set_id:
        _show_settled(drawn)
    return 1 if drawn.reason or offset.refused else 0


def settle(
    folder: BankFolder,
    /,
    *,
    seconds: Effort = 3.0,
    seed: Seed = 0,
    in_order: Annotated[bool, Parameter(negative="", help="Keep the order of each sender's payments.")] = False,
    key: KeyFiles = None,
) -> int:
    """Decide one set of queued payments and book it: the most value that the search finds.

    The house's operator signs. Its certificate is written to the data folder.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        finish_messages(bank)
        bank.clearing.payments.end_overdue()
        bank.clearing.payments.queue_due()
        by = signing(bank, keys)
        sets = bank.clearing.sets
        done = sets.settle_in_order(**by) if in_order else sets.settle(seconds=seconds, seed=seed, **by)
        _show_settled(done)
    return 1 if done.reason else 0


def certificate(
    folder: BankFolder,
    set_: Annotated[str, Parameter(name="SET", help="Id of the set, as `sycee clearing settle` shows it.")],
    out: Annotated[Path, Parameter(help="Folder for the two files; made if it is missing.")],
    /,
) -> int:
    """Write the certificate of a set to SET.json and SET.rows in a folder."""
    from sycee.core import ids
    from sycee.core.output_files import refuse_inside, write_file

    refuse_inside(out, folder, "OUT")
    with open_bank(folder) as bank:
        files = bank.clearing.sets.export(ids.parse(set_))
        contents = [(each.name, each.read_bytes()) for each in files]
    out.mkdir(parents=True, exist_ok=True)
    for name, content in contents:
        write_file(out / name, content)
    show(*(str(out / name) for name, _ in contents))
    return 0


def proof(
    folder: BankFolder,
    set_: Annotated[str, Parameter(name="SET", help="Id of the set, as `sycee clearing settle` shows it.")],
    uetr: Annotated[str, Parameter(name="UETR", help="UETR of the payment.")],
    /,
    *,
    leg: Annotated[int, Parameter(help="Number of its leg, from 1.", validator=Between("--leg", 1, 2**32 - 1, 1))] = 1,
) -> int:
    """Print the proof for a participant that a set weighed its payment: one row, and its path to the root.

    The participant checks it with the header alone, and sees no other payment.
    """
    from sycee.clearing.instructions import uetr_bytes
    from sycee.core import ids
    from sycee.core.errors import NotFound, UsageError

    try:
        wanted = uetr_bytes([uetr])[0].tobytes()
    except ValueError as error:
        raise UsageError(f"{uetr[:40]!r} is no UETR", hint="name a UUID, as the payment has it") from error
    with open_bank(folder) as bank:
        made = bank.clearing.sets.certificate(ids.parse(set_))
    rows = [at for at, each in enumerate(made.rows["uetr"].tolist()) if bytes(each) == wanted]
    if leg > len(rows):
        raise NotFound(f"the set {set_} weighed no leg {leg} of {uetr}", hint="name the UETR of the payment as booked")
    row, path = made.proof(rows[leg - 1])
    show_json({"row": row.hex(), "path": [[side, neighbour.hex()] for side, neighbour in path]})
    return 0


def verify(
    header: Annotated[Path, Parameter(help="Header of the certificate, NAME.json; NAME.rows is read beside it.")],
    /,
    *more: Annotated[Path, Parameter(name="MORE", help="Headers of further certificates.")],
    bank: Annotated[
        Path | None, Parameter(help="Data folder: check also that the ledger booked each set, from these positions.")
    ] = None,
    journal: Annotated[
        Path | None,
        Parameter(
            help="Folder of a ledger: check with its journal alone that it booked each set, and no payment twice."
        ),
    ] = None,
    json_: AsJson = False,
) -> int:
    """Check certificates of sets: limits, legs, the Merkle root, and the bound that no set exceeds.

    Exit code 3 if a statement does not follow from the rows.
    """
    with extra("clearing"):
        from sycee.clearing import certificate as certificates
        from sycee.clearing import journal_verification
    found = []
    for path in (header, *more):
        made = certificates.read(path, path.with_suffix(".rows"))
        found.append((made, certificates.check(made)))
        if bank is not None:
            _check_booked(bank, path.stem, made.header)
    others = None if journal is None else journal_verification.verify(journal, [made for made, _ in found])
    booked = bank is not None or journal is not None
    if json_:
        names = ("frame", "batch", "payments", "chosen", "value", "bound", "method")
        rows = [{"digest": made.digest.hex()} | {name: of[name] for name in names} for made, of in found]
        show_json({"ok": True, "booked": booked, "without_certificate": others, "certificates": rows} | rows[0])
        return 0
    for made, of in found:
        show(
            f"{of['chosen']:,} of {quantity(of['payments'], 'payment')} chosen after frame {of['frame']:,}, "
            f"value {of['value']:,}, {_share(of['value'], of['bound'])} of the bound",
            f"digest {made.digest.hex()}",
        )
    if booked:
        show(f"the ledger booked {'this set' if len(found) == 1 else 'these sets'}, and had these positions")
    if others is not None:
        show(f"no payment is booked twice; {quantity(others, 'set')} of these positions without a certificate here")
    show("verification passed")
    return 0


def _check_booked(folder: Path, name: str, header: bytes) -> None:
    """Raise IntegrityError unless the bank booked the set of a certificate, and NotFound if it has no such set."""
    from sycee.core import ids
    from sycee.core.canonical_json import canonical
    from sycee.core.errors import IntegrityError

    with open_bank(folder) as bank:
        if canonical(bank.clearing.sets.verify(ids.parse(name))) != header:
            raise IntegrityError(f"the bank's certificate of set {name} is another one")


def _show_settled(done: Settled) -> None:
    from sycee.core import ids

    if not done.set_id:
        show("nothing can be settled")
    elif done.reason:
        show(f"the ledger refused set {ids.format(done.set_id)}: {done.reason}; its payments are queued again")
    else:
        show(
            f"set {ids.format(done.set_id)}: {quantity(done.payments, 'payment')} booked, "
            f"{_share(done.value, done.bound)} of the bound"
        )


def _share(value: int, bound: int) -> str:
    """Return a share in percent, rounded down: 100 is shown for the whole alone."""
    parts = 10_000 * value // max(1, bound)
    return f"{parts // 100}.{parts % 100:02} %"
