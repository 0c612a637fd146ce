"""`sycee clearing`: messages of participants in, answers and reports out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, open_bank
from sycee.cli.clearing_options import ANSWER_ENDING, SIGNATURE_ENDING
from sycee.cli.operator import Operator, operator_number
from sycee.cli.parameters import AsJson, Between
from sycee.cli.person_options import one_key
from sycee.cli.proposing import maker_of, signing_keys
from sycee.cli.terminal import note, print_list, show
from sycee.core.errors import UsageError
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.clearing.intake import Answered, Intake

PAGE_MAX = 100_000


def sign(
    files: Annotated[list[Path], Parameter(help="Files with messages; may be repeated.")],
    /,
    *,
    ledger: Annotated[str, Parameter(help="Id of the ledger, 32 hexadecimal digits.")],
    participant: Annotated[int, Parameter(help="Number of the participant, whose key signs.")],
    key: KeyFiles = None,
) -> int:
    """Sign messages as a participant: write the signature of each FILE to FILE.sig."""
    from sycee.clearing import instructions
    from sycee.core.output_files import write_file

    try:
        ledger_id = bytes.fromhex(ledger)
    except ValueError as error:
        raise UsageError(f"{ledger!r} is not the id of a ledger", hint="give 32 hexadecimal digits") from error
    signer = one_key(key)
    for file in files:
        signature = instructions.sign(_read(file), signer, ledger_id=ledger_id, participant=participant)
        write_file(file.with_name(file.name + SIGNATURE_ENDING), signature.hex().encode() + b"\n")
    show(f"{quantity(len(files), 'file')} signed")
    return 0


def deliver(
    folder: BankFolder,
    operator: Operator,
    messages: Annotated[Path, Parameter(help="Folder with files NAME.xml, each with its signature NAME.xml.sig.")],
    /,
    *,
    key: KeyFiles = None,
) -> int:
    """Take in a participant's messages from a folder, and write the answer to each NAME.xml to NAME.answer.xml.

    A file that has its answer is omitted. A person of the participant's operator delivers. Exit code 1 if a file, a
    message or a payment was refused.
    """
    keys = signing_keys(key)
    if not messages.is_dir():
        raise UsageError(f"{messages} is no folder", hint="name the folder with the files NAME.xml")
    with open_bank(folder) as bank:
        number, who = operator_number(bank, operator), maker_of(bank, keys)
        house = next(
            each.name
            for each in bank.institutions.list("operator")
            if each.operator == bank.clearing.register.house().operator
        )
        intake = bank.clearing.intake(house)
        files = [each for each in sorted(messages.glob("*.xml")) if not each.name.endswith(ANSWER_ENDING)]
        waiting = [each for each in files if not _answer_to(each).exists()]
        stored = duplicates = refused = 0
        for file in waiting:
            answered = _taken(intake, number, file, who)
            if answered is None:
                refused += 1
                continue
            stored, duplicates = stored + answered.stored, duplicates + answered.duplicates
            refused += answered.refused
    show(
        f"{quantity(len(waiting), 'file')}: {quantity(stored, 'payment')} stored, {duplicates:,} there before, "
        f"{refused:,} refused"
    )
    return 1 if refused else 0


def reports(
    folder: BankFolder,
    out: Annotated[Path, Parameter(help="Folder for the reports; made if it is missing.")],
    /,
) -> int:
    """Write status reports (pacs.002) about payments that ended and have none yet: OUT/CODE/NAME.xml.

    A second call reports nothing twice.
    """
    from sycee.core.output_files import write_file

    count = files = 0
    with open_bank(folder) as bank:
        codes = {each.participant: each.code for each in bank.clearing.register.participants()}
        gateway, payments = bank.clearing.gateway(), bank.clearing.payments
        while ended := payments.unanswered():
            for sender, report in gateway.reports(ended, now_ns=bank.stores.clock.now_ns()):
                mine = [each.number for each in ended if each.sender == sender]
                place = out / codes[sender]
                place.mkdir(parents=True, exist_ok=True)
                files += 1
                write_file(place / f"{mine[0]}-{mine[-1]}-{files}.xml", report)
            payments.mark_answered([each.number for each in ended])
            count += len(ended)
    show(f"{quantity(count, 'payment')} reported in {quantity(files, 'file')}")
    return 0


def queue(
    folder: BankFolder,
    /,
    *,
    state: Annotated[str, Parameter(help="State of the payments, such as booked or refused; all for every one.")] = (
        "queued"
    ),
    participant: Annotated[str, Parameter(help="Sender or receiver: name, id or number.")] = "",
    most: Annotated[int, Parameter(help="Number of payments.", validator=Between("--most", 1, PAGE_MAX, 1_000))] = (
        1_000
    ),
    json_: AsJson = False,
) -> int:
    """List payments by state, oldest first: those that wait for money by default."""
    from sycee.clearing.tables import STATES
    from sycee.core import money, typos

    if state not in (*STATES, "all"):
        raise UsageError(
            f'there is no state "{state}"', hint=typos.hint(state, STATES, f"states: all, {', '.join(STATES)}")
        )
    with open_bank(folder) as bank:
        names = {each.participant: each.code for each in bank.clearing.register.participants()}
        found = bank.clearing.payments.page(
            state="" if state == "all" else state,
            participant=operator_number(bank, participant) if participant else 0,
            most=most,
        )
        rows = [
            {
                "number": each.number,
                "uetr": each.uetr,
                "sender": names[each.sender],
                "receiver": names.get(each.receiver, "-"),
                "amount": money.format(each.minor, money.currency_of(each.currency)),
                "currency": money.currency_code(each.currency),
                "priority": each.priority,
                "state": each.state,
                "reason": each.reason,
            }
            for each in found
        ]
    columns = ("number", "uetr", "sender", "receiver", "amount", "currency", "priority", "state", "reason")
    return print_list("payments", rows, *columns, numbers=("number", "amount", "priority"), as_json=json_)


def _taken(intake: Intake, participant: int, file: Path, who: int) -> Answered | None:
    """Take in a file and write its answer; None if its signature is missing or wrong, with a line on stderr."""
    from sycee.core.output_files import write_file

    try:
        text = _read(file.with_name(file.name + SIGNATURE_ENDING)).decode("ascii").strip()
        answered = intake.take(participant, _read(file), bytes.fromhex(text), who=who)
    except (UsageError, ValueError) as error:
        note(f"{file.name} is refused: {error.message if isinstance(error, UsageError) else 'its signature is no hex'}")
        return None
    write_file(_answer_to(file), answered.answer)
    return answered


def _answer_to(file: Path) -> Path:
    return file.with_name(file.name.removesuffix(".xml") + ANSWER_ENDING)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}", hint="`sycee clearing sign` signs files"
        ) from error
