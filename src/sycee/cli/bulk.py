"""`sycee bulk`: pay many payees from one account, by a file."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cyclopts import App

from sycee.cli.bank_options import BankFolder, KeyFiles, open_bank
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
from sycee.cli.lazy import ids
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import maker_of, sign_and_show, signing_keys
from sycee.cli.terminal import note, print_list, progress, show, show_json
from sycee.cli.wallet_options import WalletName, own_account, signing_for
from sycee.core import money
from sycee.core.errors import SyceeError
from sycee.core.output_files import require_outputs
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.bulk.files import File
    from sycee.core.records.bulk_rows import Rows
    from sycee.sequencer.embedded import Signer

app = App(name="bulk", help="Pay many payees from one account, by a file of rows.")


@app.command
def pay(
    folder: BankFolder, payer: WalletName, file: RowsFile, /, *, all_or_nothing: AllOrNothing = False,
    id_: GivenId = "", key: KeyFiles = None,
) -> int:  # fmt: skip
    """Pay the rows of a file from a wallet, whose key signs. The same command again pays only what is unpaid.

    Exit code 1 if a row was refused.
    """
    from sycee.client import bulk_files
    from sycee.client.bulk import Payment
    from sycee.core.records.bulk_rows import Mode

    keys = signing_keys(key)
    with open_bank(folder) as bank:
        account = own_account(bank, payer, keys)
        signing = signing_for(bank, account, keys)
        rows = bulk_files.read(file, bank.config.currency)
        number = bulk_files.file_id(file, id_)
        mode = Mode.ALL if all_or_nothing else Mode.EACH
        made = bank.bulk.declare(number, Payment(rows, account, (), mode, number).content, who=signing.who)
        if made.state == "waiting":
            raise SyceeError(
                f"file {ids.format(number)} of {money.with_code(made.content.sum_minor, bank.config.currency)} waits "
                f"for two persons: digest {made.content.digest.hex()}",
                hint=f"one of them runs `sycee bulk approve {folder} {ids.format(number)}`, the id in {file.name}.id; "
                "both sign, then run the same command again",
            )
        note(f"file {ids.format(number)}: {money.with_code(made.content.sum_minor, bank.config.currency)}")
        own = {(signer.id, signer.key) for signer in signing.signers}
        staff = [] if mode is Mode.EACH else _staff(bank, keys, own)
        counts = counted(each.codes for each in _paid(bank, made, rows, [*signing.signers, *staff]))
        return show_paid(counts, number, staged=all_or_nothing)


@app.command(name="dry-run")
def dry_run(
    folder: BankFolder, payer: WalletName, file: RowsFile, /, *, output: RowsOutput = None, key: KeyFiles = None
) -> int:
    """Show what the rows of a file would be answered now. Moves no money. Exit code 1 if a row would be refused."""
    from sycee.bulk.dry_run import DryRun
    from sycee.client import bulk_files
    from sycee.client.calls import fresh_id
    from sycee.core.records.bulk_rows import BATCH_ROWS, FileIds

    require_outputs({"--output": output}, outside=folder)
    with open_bank(folder) as bank:
        account = own_account(bank, payer, signing_keys(key) if key else [])
        rows = bulk_files.read(file, bank.config.currency)
        run = DryRun(bank.stores, FileIds(fresh_id(), account), bank.registry.own_accounts())
        starts = range(0, rows.size, BATCH_ROWS)
        results = [run.answer(rows.part(start, start + BATCH_ROWS), start) for start in starts]
    if output is not None:
        write_results(results, output)
    is_whole = show_counts(counted(each.codes for each in results), paid=f"would be paid as of frame {run.frame:,}")
    return 0 if is_whole else 1


@app.command
def status(folder: BankFolder, file: BulkFileId, /, *, json_: AsJson = False) -> int:
    """Show a file: its state, its sum, and its rows by cause."""
    with open_bank(folder) as bank:
        found = bank.bulk.get(ids.parse(file))
        summary = bank.bulk.summary(found)
        currency = bank.config.currency
    if json_:
        show_json(
            {
                "file": ids.format(found.id),
                "payer": ids.format(found.payer),
                "mode": found.content.mode.value,
                "rows": found.content.rows,
                "sum_minor": found.content.sum_minor,
                "digest": found.content.digest.hex(),
                "state": found.state,
                "counts": dict(summary.counts),
                "paid_minor": summary.paid_minor,
            }
        )
        return 0
    show(f"{found.state}: {money.with_code(found.content.sum_minor, currency)}, digest {found.content.digest.hex()}")
    show_counts(summary.counts, paid="paid" if not found.settlement else "staged or paid")
    return 0


@app.command(name="list")
def list_(folder: BankFolder, payer: WalletName, /, *, key: KeyFiles = None, json_: AsJson = False) -> int:
    """List the newest 100 files of a wallet, newest first."""
    with open_bank(folder) as bank:
        account = own_account(bank, payer, signing_keys(key) if key else [])
        found = [
            listed(ids.format(each.id), each.content, each.state, bank.config.currency)
            for each in bank.bulk.list(account)
        ]
    return print_list("files", found, *LISTED, as_json=json_, keys=LISTED, numbers=LISTED_NUMBERS)


@app.command
def results(folder: BankFolder, file: BulkFileId, /, *, output: Output = None) -> int:
    """Write the result of each row as CSV: its number from 1, code, whether it was repeated, and the ledger's frame."""
    require_outputs({"--output": output}, outside=folder)
    with open_bank(folder) as bank:
        found = bank.bulk.get(ids.parse(file))
        write_results((bank.bulk.results(found, number) for number in range(found.content.count)), output)
    return 0


@app.command
def approve(folder: BankFolder, file: BulkFileId, /, *, key: KeyFiles = None) -> int:
    """Propose to take a file above the amount; two persons sign its digest and its sum.

    The first key is the maker's.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.bulk.get(ids.parse(file))
        show(
            f"{quantity(found.content.rows, 'row')}, {money.with_code(found.content.sum_minor, bank.config.currency)}, "
            f"digest {found.content.digest.hex()}"
        )
        return sign_and_show(bank, bank.bulk.approve(found.id, maker=maker_of(bank, keys)), keys)


@app.command
def settle(folder: BankFolder, file: BulkFileId, /, *, discard: Discard = False, key: KeyFiles = None) -> int:
    """Pay all rows of a file of `pay --all-or-nothing`, or none. A person of the wallet's operator signs."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.bulk.settle(
            ids.parse(file), signers=bank.signers(*keys), who=maker_of(bank, keys), discard=discard
        )
        total = money.with_code(found.content.sum_minor, bank.config.currency)
        show(f"{found.state}: {quantity(found.content.rows, 'row')}, {total}")
    return 0


def _staff(bank: Bank, keys: list[Any], own: set[Any]) -> list[Signer]:
    """Return the persons among the keys who sign besides the wallet."""
    others = [key for key in keys if all(key != mine for _, mine in own)]
    return bank.signers(*others)


def _paid(bank: Bank, file: File, rows: Rows, signers: list[Signer]) -> Iterator[Any]:
    """Pay the batches of a file, with a progress bar, and yield their results."""
    from sycee.core.clock import read_ns
    from sycee.core.records import bulk_rows
    from sycee.core.records.bulk_rows import BATCH_ROWS
    from sycee.sequencer.embedded import SIGNATURE_VALIDITY_NS

    pending: deque[Any] = deque()
    ledger_id, until_ns = bank.stores.ledger.ledger_id, read_ns(bank.stores.clock) + SIGNATURE_VALIDITY_NS
    with progress("paying", "rows") as bar:
        for number in range(file.content.count):
            part = rows.part(number * BATCH_ROWS, (number + 1) * BATCH_ROWS)
            records = bulk_rows.records(part, file.ids, number * BATCH_ROWS, batch=file.settlement)
            envelopes = [signer.sign(records, ledger_id, until_ns) for signer in signers]
            pending.append(bank.bulk.append(file, number, part, envelopes))
            if len(pending) > 2:
                yield pending.popleft().take()
            bar(min((number + 1) * BATCH_ROWS, rows.size), rows.size)
        while pending:
            yield pending.popleft().take()
