"""Registration for a programme over a server: people, checks, codes, appeals, receipts and the look-up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from sycee.cli.lazy import api
from sycee.cli.parameters import AsJson
from sycee.cli.registration_options import (
    ENTRIES_SHOWN_MAX,
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
    read_text,
    require_state_for,
    show_codes,
    show_looked,
    show_registered,
    show_state,
    write_receipt,
)
from sycee.cli.remote_options import ActionId, Login, connected, number_of, perform, show_rows
from sycee.cli.remote_personal import CaseNumber, ReasonName
from sycee.cli.terminal import note, print_list, progress, show, show_json
from sycee.core.output_files import require_outputs
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.client.values import ReceiptOfEntry

FAULTS_MAX: Final = 1_000  # as on a folder
IMPORT_BYTES: Final = 600_000  # of the cells of one request, whose body has at most 1 MiB
IMPORT_ROWS_MAX: Final = 10_000
CELL_BYTES: Final = 4  # quotes, comma and blank of a cell in JSON


def register(
    name: Name, /, *, login: Login, document: Document = "", phone: Phone = "", bank: BankName = "",
    stratum: Stratum = "", wallet: PersonWallet = "", receipt: ReceiptFile = None, occurrence: Number = 0,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Register one person. Prints number and state of the entry."""
    require_outputs({"--receipt": receipt})
    with connected(login) as server:
        call = api.register_person(
            name, occurrence, document=document, phone=phone, bank=bank, stratum=stratum, wallet=wallet,
            id=number_of(id_),
        )  # fmt: skip
        made = perform(server, call)
    show_state(made.entry, made.state, made.reason)
    if receipt is not None:
        write_receipt(receipt, made.entry, _members(made))
    return 0


def import_(
    name: Name, file: PeopleFile, /, *, login: Login, confirmed: Confirmed = False, occurrence: Number = 0,
    json_: AsJson = False,
) -> int:  # fmt: skip
    """Register the rows of a file. A second call adds missing rows.

    Rows that cannot be registered are shown and do not stop the others.
    """
    from sycee.programmes.registration_rows import WRONG_CELLS, Fault

    rows, registered, refused = 0, 0, Counter[str]()
    faults, wrong = list[Fault](), list[int]()
    with connected(login) as server, progress("registering", "rows") as report:
        for part in _parts(file, (name, occurrence, confirmed), wrong):
            call = api.register_people(name, occurrence, part.columns, is_confirmed=confirmed, id=part.id)
            made = perform(server, call)
            rows, registered = rows + made.rows, registered + made.registered
            refused.update(made.refused)
            faults += [Fault(part.numbers[each.row - 1], each.column, each.code) for each in made.faults]
            report(rows, rows)
    rows, faults = rows + len(wrong), faults + [Fault(row, "", WRONG_CELLS) for row in wrong]
    refused.update({WRONG_CELLS: len(wrong)} if wrong else {})
    faults = sorted(faults, key=lambda each: each.row)[:FAULTS_MAX]
    if json_:
        members = [{"row": each.row, "column": each.column, "code": each.code} for each in faults]
        show_json({"rows": rows, "registered": registered, "refused": dict(refused), "faults": members})
        return 0
    show_registered(rows, registered, refused, map(str, faults))
    return 0


def entries(
    name: Name, /, *, login: Login, state: EntryState = "", after: After = -1, occurrence: Number = 0,
    json_: AsJson = False,
) -> int:  # fmt: skip
    """Show how many entries are in which state, or up to 1,000 entries in one state, without identities."""
    require_state_for(after, state)
    with connected(login) as server:
        if not state:
            counts = api.entry_counts(name, occurrence)
            show_rows(server, "entries", counts, ("state", "reason", "entries"), as_json=json_)
            return 0
        call = api.registered_entries(name, occurrence, state=state, after=after)
        found = list(islice(server.rows(call), ENTRIES_SHOWN_MAX))
    columns = ("entry", "state", "reason", "bank", "registered", "due", "accepted")
    rows = [{column: getattr(each, column) for column in columns} for each in found]
    return print_list("entries", rows, *columns, numbers=("entry",), as_json=json_)


def check_entries(
    name: Name, /, *, login: Login, entry: Entries = None, codes: Output = None, occurrence: Number = 0,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Report that documents and phones were checked, and write the codes for delivery to the phones.

    Without --codes, the codes are printed.
    """
    require_outputs({"--codes": codes})
    with connected(login) as server:
        made = perform(server, api.check_entries(name, occurrence, entries=entry or None, id=number_of(id_)))
    show_codes(made.items(), codes)
    return 0


def code(
    name: Name, entry: EntryNumber, code: Code, /, *, login: Login, occurrence: Number = 0, id_: ActionId = ""
) -> int:
    """Enter the code of a registrant: the entry is confirmed."""
    with connected(login) as server:
        made = perform(server, api.confirm_entry(name, occurrence, entry, code, id=number_of(id_)))
    show_state(made.entry, made.state, made.reason)
    return 0


def screen(name: Name, /, *, login: Login, occurrence: Number = 0, id_: ActionId = "") -> int:
    """Find duplicates, and exclude staff, owners of merchants and earlier holders. It also runs automatically."""
    with connected(login) as server:
        found = perform(server, api.screen_entries(name, occurrence, id=number_of(id_)))
    show(f"{quantity(found.duplicates, 'duplicate')} found, {found.excluded:,} excluded now")
    return 0


def exclude(
    name: Name, entry: EntryNumber, /, *, login: Login, reason: Exclusion, occurrence: Number = 0, id_: ActionId = ""
) -> int:
    """Exclude an entry manually, after the freeze as a person of the entry's bank.

    After the draw the exclusion waits for a second person.
    """
    with connected(login) as server:
        made = perform(server, api.exclude_entry(name, occurrence, entry, reason=reason, id=number_of(id_)))
        waiting = server.do(api.removals(name, occurrence, state="waiting")) if made.waits else ()
    show_state(made.entry, made.state, made.reason)
    for each in waiting:
        if each.entry == entry:
            note(f"note: removal {each.removal} waits for a second person: `sycee drop decide-removal`")
    return 0


def removals(
    name: Name, /, *, login: Login, state: RemovalState = "", occurrence: Number = 0, json_: AsJson = False
) -> int:
    """List the entries that were removed manually, with the persons who let them leave."""
    columns = ("removal", "entry", "kind", "reason", "state", "by", "time", "decided_by")
    with connected(login) as server:
        show_rows(server, "removals", api.removals(name, occurrence, state=state), columns, as_json=json_)
    return 0


def decide_removal(removal: Removal, /, *, login: Login, allow: AllowExclusion, id_: ActionId = "") -> int:
    """Decide an exclusion after the draw, as a caseworker or officer who did not request it."""
    with connected(login) as server:
        found = perform(server, api.decide_removal(removal, allow=allow, id=number_of(id_)))
    show(f"the exclusion of entry {found.entry} is {'done' if found.state == 'left' else 'refused'}")
    return 0


def withdraw(
    name: Name, entry: EntryNumber, /, *, login: Login, lapse: Lapse = False, occurrence: Number = 0,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Withdraw an entry. After the draw the next ticket follows."""
    with connected(login) as server:
        made = perform(server, api.withdraw_entry(name, occurrence, entry, is_lapse=lapse, id=number_of(id_)))
    show_state(made.entry, made.state, made.reason)
    return 0


def appeal(
    name: Name, entry: EntryNumber, text: AppealText, /, *, login: Login, occurrence: Number = 0, id_: ActionId = ""
) -> int:
    """File an appeal of a registrant."""
    content = read_text(text)
    with connected(login) as server:
        made = perform(server, api.file_appeal(name, occurrence, entry, content, id=number_of(id_)))
    show(f"appeal {made.appeal} of entry {entry} against {made.against}")
    return 0


def appeals(
    name: Name, /, *, login: Login, state: AppealState = "",
    show_: Annotated[
        str, Parameter(name="--show", help="Id of an appeal whose texts a caseworker or officer reads.")
    ] = "",
    occurrence: Number = 0, json_: AsJson = False,
) -> int:  # fmt: skip
    """List appeals, or show the texts of one."""
    with connected(login) as server:
        if show_:
            found = server.do(api.appeal_texts(show_))
            show(found.text, *(("", f"answer: {found.answer}") if found.answer else ()))
            return 0
        call = api.registration_appeals(name, occurrence, state=state)
        show_rows(server, "appeals", call, ("appeal", "entry", "against", "state", "time"), as_json=json_)
    return 0


def decide(appeal: AppealId, /, *, login: Login, answer: Answer, allow: Allow, id_: ActionId = "") -> int:
    """Decide an appeal, as a caseworker or officer who neither registered the person nor filed the appeal."""
    content = read_text(answer)
    with connected(login) as server:
        found = perform(server, api.decide_appeal(appeal, allow=allow, answer=content, id=number_of(id_)))
    show_state(found.entry, found.state, found.reason)
    return 0


def receipt(
    name: Name, entry: EntryNumber, output: Annotated[Path, Parameter(help="File for the receipt.")], /, *,
    login: Login, reason: ReasonName, case: CaseNumber, occurrence: Number = 0,
) -> int:  # fmt: skip
    """Write the receipt of an entry again. The access is logged."""
    require_outputs({"OUTPUT": output})
    with connected(login) as server:
        made = server.do(api.read_receipt(name, occurrence, entry, reason=reason, case=case))
    write_receipt(output, made.entry, _members(made))
    return 0


def lookup(
    name: Name, /, *, login: Login, reason: ReasonName, case: CaseNumber, entry: LookedUp = None,
    document: Document = "", phone: Phone = "", occurrence: Number = 0, json_: AsJson = False,
) -> int:  # fmt: skip
    """Answer "why did I not win, where is my packet" about one entry, document or phone. The access is logged."""
    from dataclasses import asdict

    with connected(login) as server:
        call = api.look_up_entries(
            name, occurrence, reason=reason, case=case, entry=entry, document=document, phone=phone
        )
        found = server.do(call)
    show_looked([asdict(each) for each in found], as_json=json_)
    return 0


COMMANDS: Final = (
    register, import_, entries, check_entries, code, screen, exclude, withdraw, removals, decide_removal, appeal,
    appeals, decide, receipt, lookup,
)  # fmt: skip


def _members(made: ReceiptOfEntry) -> Mapping[str, str]:
    """Return the members of a receipt's file (docs/reference/draw.md, section 2)."""
    return {"document": made.document, "phone": made.phone, "salt": made.salt}


@dataclass(frozen=True, slots=True)
class _Part:
    """The rows of one request. `numbers`: of the rows in the file."""

    id: int
    numbers: list[int]
    columns: Mapping[str, list[str]]


def _parts(file: Path, about: tuple[object, ...], wrong: list[int]) -> Iterator[_Part]:
    """Yield the rows of a file in parts, and append the numbers of rows with the wrong number of cells to `wrong`.

    The ids of the requests follow from the file's content and `about`: the same file again repeats the same requests.
    """
    import hashlib

    from sycee.programmes.registration_rows import groups_of

    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256")
    digest.update(repr(about).encode())
    for group in groups_of(file):
        cells = {column: _texts(column, found) for column, found in group.cells.items()}
        refused = set(group.wrong)
        wrong += [group.first_row + at for at in group.wrong]
        rows = [at for at in range(group.size) if at not in refused]
        for part in _cut(rows, cells):
            first = group.first_row + part[0]
            id = int.from_bytes(hashlib.sha256(digest.digest() + first.to_bytes(8, "big")).digest()[:16], "big")
            columns = {column: [texts[at] for at in part] for column, texts in cells.items()}
            yield _Part(id, [group.first_row + at for at in part], columns)


def _cut(rows: list[int], cells: Mapping[str, list[str]]) -> Iterator[list[int]]:
    """Yield the rows in parts, each of which fits into one request."""
    part, size = list[int](), 0
    for at in rows:
        part.append(at)
        size += sum(len(texts[at].encode()) + CELL_BYTES for texts in cells.values())
        if len(part) == IMPORT_ROWS_MAX or size > IMPORT_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _texts(column: str, cells: Any) -> list[str]:
    """Return the cells of a column as texts. Arrow has documents, phones and times as numbers, 0 for none."""
    import numpy as np

    from sycee.core.timestamps import exact_text
    from sycee.programmes.registration_rows import DOCUMENT, PHONE

    if not isinstance(cells, np.ndarray):
        return list(cells)
    if column in (DOCUMENT, PHONE):
        sign = "+" if column == PHONE else ""
        return [f"{sign}{number}" if number else "" for number in cells.tolist()]
    return [exact_text(number) if number else "" for number in cells.tolist()]
