"""Commands of `sycee drop` about registrations: people, checks, codes, appeals, receipts and the look-up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, local_time, open_bank
from sycee.cli.lazy import ids
from sycee.cli.parameters import AsJson
from sycee.cli.person_options import CaseNumber, ReasonName, access_of, one_key
from sycee.cli.proposing import maker_of, signing_keys
from sycee.cli.registration_options import (
    After,
    Allow,
    AllowExclusion,
    Answer,
    AppealId,
    AppealState,
    AppealText,
    BankName,
    Code,
    Confirmed,
    Document,
    Entries,
    EntryNumber,
    EntryState,
    Exclusion,
    Lapse,
    LookedUp,
    Name,
    Number,
    Output,
    PeopleFile,
    PersonWallet,
    Phone,
    ReceiptFile,
    Removal,
    RemovalState,
    Stratum,
    open_private,
    read_text,
    require_state_for,
    show_codes,
    show_looked,
    show_registered,
    show_state,
    write_receipt,
)
from sycee.cli.terminal import note, print_list, progress, show, show_json
from sycee.core.output_files import require_outputs
from sycee.core.words import quantity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sycee.bank.bank import Bank
    from sycee.programmes.registration_lists import Entry

ShownAppeal: TypeAlias = Annotated[
    str, Parameter(name="--show", help="Id of an appeal whose texts a caseworker reads, with --key.")
]


def register(
    folder: BankFolder, name: Name, /, *, document: Document = "", phone: Phone = "", bank: BankName = "",
    stratum: Stratum = "", wallet: PersonWallet = "", receipt: ReceiptFile = None, occurrence: Number = 0,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Register one person. --key is of a clerk or an operator's signer. Prints number and state of the entry."""
    require_outputs({"--receipt": receipt}, outside=folder)
    keys = signing_keys(key)
    with open_bank(folder) as opened:
        made = opened.registrations.register(
            name, occurrence, who=maker_of(opened, keys), document=document, phone=phone, bank=bank, stratum=stratum,
            wallet=ids.parse(wallet) if wallet else 0,
        )  # fmt: skip
    show_state(made.entry, made.state, made.reason)
    if receipt is not None:
        write_receipt(receipt, made.entry, made.members())
    return 0


def import_(
    folder: BankFolder, name: Name, file: PeopleFile, /, *, confirmed: Confirmed = False,
    receipts: Annotated[Path | None, Parameter(help="CSV file for row, entry and salt of each person.")] = None,
    occurrence: Number = 0, json_: AsJson = False, key: KeyFiles = None,
) -> int:  # fmt: skip
    """Register the rows of a file. --key is of a clerk or an operator's signer. A second call adds missing rows.

    Rows that cannot be registered are shown and do not stop the others.
    """
    require_outputs({"--receipts": receipts}, outside=folder, inputs=[file])
    keys = signing_keys(key)
    with open_bank(folder) as bank, _Receipts(receipts) as written:
        who = maker_of(bank, keys)
        with progress("registering", "rows") as report:
            done = 0

            def count(rows: int) -> None:
                nonlocal done
                done += rows
                report(done, done)

            made = bank.registrations.register_file(
                name, occurrence, file, who=who, is_confirmed=confirmed, progress=count, receipts=written.add
            )
    if json_:
        faults = [{"row": each.row, "column": each.column, "code": each.code} for each in made.faults]
        show_json({"rows": made.rows, "registered": made.registered, "refused": made.refused, "faults": faults})
        return 0
    show_registered(made.rows, made.registered, made.refused, map(str, made.faults))
    return 0


def entries(
    folder: BankFolder, name: Name, /, *, state: EntryState = "", after: After = -1, occurrence: Number = 0,
    json_: AsJson = False,
) -> int:  # fmt: skip
    """Show how many entries are in which state, or up to 1,000 entries in one state, without identities."""
    require_state_for(after, state)
    with open_bank(folder) as bank:
        if state:
            found = bank.registrations.entries(name, occurrence, state=state, after=after)
            operators = [each.name for each in bank.programmes.get(name).definition.operators]
            zone = bank.config.text("zone")
            rows = [_entry_row(each, operators, zone) for each in found]
        else:
            counted = bank.registrations.counts(name, occurrence)
            rows = [{"state": each, "reason": why, "entries": count} for (each, why), count in counted.items()]
    return print_list("entries", rows, as_json=json_, numbers=("entries", "entry"))


def check_entries(
    folder: BankFolder, name: Name, /, *, entry: Entries = None, codes: Output = None, occurrence: Number = 0,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Report that documents and phones were checked, and write the codes for delivery to the phones.

    --key is of a clerk or an operator's signer. Without --codes, the codes are printed.
    """
    require_outputs({"--codes": codes}, outside=folder)
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        made = bank.registrations.check(name, occurrence, who=maker_of(bank, keys), entries=entry or None)
    show_codes(made, codes)
    return 0


def code(
    folder: BankFolder, name: Name, entry: EntryNumber, code: Code, /, *, occurrence: Number = 0, key: KeyFiles = None
) -> int:
    """Enter the code of a registrant: the entry is confirmed. --key is of a clerk or an operator's signer."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        refused = bank.registrations.confirm(name, occurrence, [(entry, code)], who=maker_of(bank, keys))
    if refused:
        raise refused[entry]
    show(f"entry {entry} is confirmed")
    return 0


def screen(folder: BankFolder, name: Name, /, *, occurrence: Number = 0) -> int:
    """Find duplicates, and exclude staff, owners of merchants and earlier holders. It also runs automatically."""
    with open_bank(folder) as bank:
        found = bank.registrations.screen(name, occurrence)
    show(f"{quantity(found.duplicates, 'duplicate')} found, {found.excluded:,} excluded now")
    return 0


def exclude(
    folder: BankFolder, name: Name, entry: EntryNumber, /, *, reason: Exclusion, occurrence: Number = 0,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Exclude an entry manually. --key is of a clerk or an operator's signer, after the freeze of the entry's bank.

    After the draw the exclusion waits for a second person.
    """
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        bank.registrations.exclude(name, occurrence, [entry], reason=reason, who=maker_of(bank, keys))
        _show_entry(bank, name, occurrence, entry)
        for each in bank.registrations.removals(name, occurrence, state="waiting"):
            if each.entry == entry:
                note(f"note: removal {each.number} waits for a second person: `sycee drop decide-removal`")
    return 0


def removals(
    folder: BankFolder, name: Name, /, *, state: RemovalState = "", occurrence: Number = 0, json_: AsJson = False
) -> int:
    """List the entries that were removed manually, with the persons who let them leave."""
    with open_bank(folder) as bank:
        zone = bank.config.text("zone")
        rows = [
            {
                "removal": each.number, "entry": each.entry, "kind": each.kind, "reason": each.reason,
                "state": each.state, "by": ids.format(each.who), "at": local_time(each.at_ns, zone),
                "decided by": "" if each.decided_by is None else ids.format(each.decided_by),
            }
            for each in bank.registrations.removals(name, occurrence, state=state)
        ]  # fmt: skip
    return print_list("removals", rows, as_json=json_, numbers=("removal", "entry"))


def decide_removal(folder: BankFolder, removal: Removal, /, *, allow: AllowExclusion, key: KeyFiles = None) -> int:
    """Decide an exclusion after the draw. --key is of a caseworker or officer who did not request it."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.registrations.decide_removal(removal, is_allowed=allow, who=maker_of(bank, keys))
    show(f"the exclusion of entry {found.entry} is {'done' if found.state == 'left' else 'refused'}")
    return 0


def withdraw(
    folder: BankFolder, name: Name, entry: EntryNumber, /, *, lapse: Lapse = False, occurrence: Number = 0,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Withdraw an entry. After the draw the next ticket follows. --key is of a clerk or an operator's signer."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        bank.registrations.withdraw(name, occurrence, entry, who=maker_of(bank, keys), is_lapse=lapse)
        _show_entry(bank, name, occurrence, entry)
    return 0


def appeal(
    folder: BankFolder, name: Name, entry: EntryNumber, text: AppealText, /, *, occurrence: Number = 0,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """File an appeal of a registrant. --key is of a clerk, an operator's signer or a caseworker."""
    keys, content = signing_keys(key), read_text(text)
    with open_bank(folder) as bank:
        made = bank.appeals.file(name, occurrence, entry, content, who=maker_of(bank, keys))
    show(f"appeal {ids.format(made.id)} of entry {entry} against {made.against}")
    return 0


def appeals(
    folder: BankFolder, name: Name, /, *, state: AppealState = "", show_: ShownAppeal = "", occurrence: Number = 0,
    json_: AsJson = False, key: KeyFiles = None,
) -> int:  # fmt: skip
    """List appeals, or show the texts of one."""
    with open_bank(folder) as bank:
        if show_:
            text, answer = bank.appeals.texts(ids.parse(show_), who=maker_of(bank, signing_keys(key)))
            show(text, *(("", f"answer: {answer}") if answer else ()))
            return 0
        rows = [
            {"appeal": ids.format(each.id), "entry": each.entry, "against": each.against, "state": each.state}
            for each in bank.appeals.list(name, occurrence, state=state)
        ]
    return print_list("appeals", rows, as_json=json_, numbers=("entry",))


def decide(folder: BankFolder, appeal: AppealId, /, *, answer: Answer, allow: Allow, key: KeyFiles = None) -> int:
    """Decide an appeal. --key is of a caseworker or officer who neither registered the person nor filed the appeal."""
    keys, content = signing_keys(key), read_text(answer)
    with open_bank(folder) as bank:
        found = bank.appeals.decide(ids.parse(appeal), is_allowed=allow, answer=content, who=maker_of(bank, keys))
    show_state(found.entry, found.state, found.reason)
    return 0


def receipt(
    folder: BankFolder, name: Name, entry: EntryNumber,
    output: Annotated[Path, Parameter(help="File for the receipt.")], /, *,
    reason: ReasonName, case: CaseNumber = "", occurrence: Number = 0, key: KeyFiles = None,
) -> int:  # fmt: skip
    """Write the receipt of an entry again. The access is logged."""
    require_outputs({"OUTPUT": output}, outside=folder)
    signing = one_key(key)
    with open_bank(folder) as bank:
        access = access_of(bank, signing, reason, case)
        made = bank.registration_results.receipt(name, occurrence, entry, access=access)
    write_receipt(output, made.entry, made.members())
    return 0


def lookup(
    folder: BankFolder, name: Name, /, *, reason: ReasonName, case: CaseNumber = "", entry: LookedUp = None,
    document: Document = "", phone: Phone = "", occurrence: Number = 0, json_: AsJson = False, key: KeyFiles = None,
) -> int:  # fmt: skip
    """Answer "why did I not win, where is my packet" about one entry, document or phone. The access is logged."""
    signing = one_key(key)
    with open_bank(folder) as bank:
        access = access_of(bank, signing, reason, case)
        found = bank.registration_results.lookup(
            name, occurrence, access=access, entry=entry, document=document, phone=phone
        )
    show_looked([each.members() for each in found], as_json=json_)
    return 0


# --- helpers ------------------------------------------------------------------------------------------------------


class _Receipts:
    """A CSV file of salts by entry, written while a file is read; nothing without a path."""

    def __init__(self, path: Path | None) -> None:
        self._file = open_private(path) if path is not None else None

    def __enter__(self) -> _Receipts:
        if self._file is not None:
            self._file.write("row,entry,salt\n")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, rows: NDArray[np.int64], entries: NDArray[np.int64], salts: NDArray[np.uint8]) -> None:
        """Append the salts of a group."""
        if self._file is None:
            return
        for row, entry, salt in zip(rows.tolist(), entries.tolist(), salts, strict=True):
            self._file.write(f"{row},{entry},{salt.tobytes().hex()}\n")
        self._file.flush()


def _show_entry(bank: Bank, name: str, occurrence: int, entry: int) -> None:
    found = bank.registrations.entry(name, occurrence, entry)
    show_state(entry, found.state, found.reason)


def _entry_row(entry: Entry, operators: list[str], zone: str) -> dict[str, Any]:
    return {
        "entry": entry.entry,
        "state": entry.state,
        "reason": entry.reason,
        "bank": operators[entry.bank],
        "registered": local_time(entry.registered_ns, zone),
        "due": local_time(entry.due_ns, zone) if entry.due_ns else "",
        "accepted": "" if entry.accepted is None else entry.accepted,
    }


COMMANDS = (
    register, import_, entries, check_entries, code, screen, exclude, withdraw, removals, decide_removal, appeal,
    appeals, decide, receipt, lookup,
)  # fmt: skip
