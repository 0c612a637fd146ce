"""Bulk payments that a server performs: `sycee bulk` with the option --server."""

from __future__ import annotations

from sycee.cli.bulk_options import (
    LISTED,
    LISTED_NUMBERS,
    AllOrNothing,
    BulkFileId,
    Discard,
    GivenId,
    Output,
    RowsFile,
    RowsOutput,
    counted,
    listed,
    show_counts,
    show_paid,
    write_results,
)
from sycee.cli.lazy import api, ids
from sycee.cli.parameters import AsJson
from sycee.cli.remote_options import (
    ActionId,
    KeyFile,
    Login,
    PersonKey,
    WalletId,
    connected,
    currency_of,
    group,
    number_of,
    perform,
    person_of,
    private_key,
    signer_of,
)
from sycee.cli.terminal import note, print_list, show, show_json
from sycee.core import money
from sycee.core.errors import UsageError
from sycee.core.output_files import require_outputs
from sycee.core.words import quantity

bulk = group("bulk", "Pay many payees from one account, by a file of rows.")


@bulk.command
def pay(
    payer: WalletId, file: RowsFile, /, *, login: Login, all_or_nothing: AllOrNothing = False, id_: GivenId = "",
    key: KeyFile = None,
) -> int:  # fmt: skip
    """Pay the rows of a file from a wallet. The same command again pays only what is unpaid.

    Exit code 1 if a row was refused.
    """
    private = private_key(key)
    with connected(login) as bank:
        from sycee.client import bulk_files
        from sycee.client.bulk import Payment
        from sycee.client.errors import IdConflict
        from sycee.core.records.bulk_rows import FRESH_ID_HINT, Mode

        wallet = bank.do(api.wallet(payer))
        currency = money.currency(wallet.currency)
        rows = bulk_files.read(file, currency)
        number = bulk_files.file_id(file, id_)
        own = signer_of(bank, wallet, private)
        signer = own if wallet.is_custodial else bank.do(api.payer(own, key_epoch=wallet.key_epoch))
        mode = Mode.ALL if all_or_nothing else Mode.EACH
        payment = Payment(rows, ids.parse(wallet.wallet), (signer,), mode, number)
        note(f"file {ids.format(number)}: {money.with_code(rows.sum_minor(), currency)}")
        try:
            counts = counted(each.codes for each in bank.bulk(payment))
        except IdConflict as error:
            raise UsageError(
                f"{ids.format(number)} is the id of other rows",
                hint=FRESH_ID_HINT,
            ) from error
    return show_paid(counts, number, staged=all_or_nothing)


@bulk.command(name="dry-run")
def dry_run(payer: WalletId, file: RowsFile, /, *, login: Login, output: RowsOutput = None) -> int:
    """Show what the rows of a file would be answered now. Moves no money. Exit code 1 if a row would be refused."""
    require_outputs({"--output": output})
    with connected(login) as bank:
        from sycee.client import bulk as calls
        from sycee.client import bulk_files

        wallet = bank.do(api.wallet(payer))
        rows = bulk_files.read(file, money.currency(wallet.currency))
        results = bank.do(calls.check(rows, ids.parse(wallet.wallet)))
    if output is not None:
        write_results(results, output)
    return 0 if show_counts(counted(each.codes for each in results), paid="would be paid") else 1


@bulk.command
def status(file: BulkFileId, /, *, login: Login, json_: AsJson = False) -> int:
    """Show a file: its state, its sum, and its rows by cause."""
    from dataclasses import asdict

    with connected(login) as bank:
        from sycee.client import bulk as calls

        found = bank.do(calls.status(file, summary=True))
        currency = currency_of(bank)
    if json_:
        show_json(asdict(found))
        return 0
    show(f"{found.state}: {money.with_code(found.sum_minor, currency)}, digest {found.digest}")
    show_counts(found.counts or {}, paid="paid" if not found.settlement else "staged or paid")
    return 0


@bulk.command(name="list")
def list_(payer: WalletId, /, *, login: Login, json_: AsJson = False) -> int:
    """List the newest 100 files of a wallet, newest first."""
    with connected(login) as bank:
        from sycee.client import bulk as calls

        currency = money.currency(bank.do(api.wallet(payer)).currency)
        found = [listed(each.id, each, each.state, currency) for each in bank.do(calls.files(payer))]
    return print_list("files", found, *LISTED, as_json=json_, keys=LISTED, numbers=LISTED_NUMBERS)


@bulk.command
def results(file: BulkFileId, /, *, login: Login, output: Output = None) -> int:
    """Write the result of each row as CSV: its number from 1, code, whether it was repeated, and the ledger's frame."""
    require_outputs({"--output": output})
    with connected(login) as bank:
        from sycee.client import bulk as calls

        found = bank.do(calls.status(file))
        firsts = range(0, found.batches, calls.REQUEST_BATCHES)
        write_results((each for first in firsts for each in bank.do(calls.results(file, first))), output)
    return 0


@bulk.command
def approve(file: BulkFileId, /, *, login: Login, id_: ActionId = "") -> int:
    """Propose to take a file above the amount. Two persons sign the proposal: `proposal sign --server`."""
    with connected(login) as bank:
        from sycee.client import bulk as calls

        found = bank.do(calls.status(file))
        proposal = perform(bank, calls.approve(file, request=number_of(id_)))
        currency = currency_of(bank)
    show(
        f"{quantity(found.rows, 'row')}, {money.with_code(found.sum_minor, currency)}, digest {found.digest}",
        f"proposal {proposal}",
    )
    note("next: two persons sign it by `sycee proposal sign` over the server; then pay the same file again")
    return 0


@bulk.command
def settle(file: BulkFileId, /, *, login: Login, key: PersonKey, discard: Discard = False, id_: ActionId = "") -> int:
    """Pay all rows of a file of `pay --all-or-nothing`, or none. A person of the wallet's operator signs."""
    with connected(login) as bank:
        from sycee.client import bulk as calls

        found = bank.do(calls.status(file))
        call = calls.settle(found, person_of(bank, private_key(key)), discard=discard, request=number_of(id_))
        made = perform(bank, call)
        currency = currency_of(bank)
    show(f"{made.state}: {quantity(made.rows, 'row')}, {money.with_code(made.sum_minor, currency)}")
    return 0
