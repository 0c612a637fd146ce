"""`sycee clearing`: messages of participants in, answers and reports out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, open_bank
from sycee.cli.clearing_files import SIGNATURE_ENDING, MessageFolder, deliver_all, read_file, require_folder
from sycee.cli.clearing_options import (
    QUEUE_COLUMNS,
    QUEUE_NUMBERS,
    Most,
    PaymentState,
    finish_messages,
    house_name,
    signing,
    state_of,
)
from sycee.cli.operator import Operator, operator_number
from sycee.cli.parameters import AsJson
from sycee.cli.person_options import one_key
from sycee.cli.proposing import maker_of, signing_keys
from sycee.cli.terminal import note, print_list, show
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.words import quantity

if TYPE_CHECKING:
    pass


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
        signature = instructions.sign(read_file(file), signer, ledger_id=ledger_id, participant=participant)
        write_file(file.with_name(file.name + SIGNATURE_ENDING), signature.hex().encode() + b"\n")
    show(f"{quantity(len(files), 'file')} signed")
    return 0


def deliver(
    folder: BankFolder,
    operator: Operator,
    messages: MessageFolder,
    /,
    *,
    house_key: Annotated[
        Path | None, Parameter(help="Private key of the house's operator: settle what arrives before it is answered.")
    ] = None,
    key: KeyFiles = None,
) -> int:
    """Take in a participant's messages from a folder, and write the answer to each NAME.xml to NAME.answer.xml.

    A file that has its answer is omitted. A person of the participant's operator delivers. With --house-key a payment
    that arrives is booked at once, or together with queued payments of the same two participants, if their money
    covers it. Exit code 1 if a file, a message or a payment was refused.
    """
    keys = signing_keys(key)
    require_folder(messages)
    house = signing_keys([house_key]) if house_key else ()
    with open_bank(folder) as bank:
        number, who = operator_number(bank, operator), maker_of(bank, keys)
        finish_messages(bank)
        if house:
            bank.clearing.settle_on_arrival(**signing(bank, house))
        intake = bank.clearing.intake(house_name(bank))
        return deliver_all(messages, lambda content, signature: intake.take(number, content, signature, who=who))


def reports(
    folder: BankFolder,
    out: Annotated[Path, Parameter(help="Folder for the reports; made if it is missing.")],
    /,
) -> int:
    """Write reports about payments (pacs.002) and pay-outs (camt.025) that ended and have none yet: OUT/CODE/NAME.xml.

    Also what the house forwards to participants. A second call writes nothing twice. Exit code 3 if a message of an
    inbox does not agree with its payment: it is not written, and the others are.
    """
    from sycee.core.output_files import refuse_inside, write_file

    refuse_inside(out, folder, "OUT")
    count = files = receipts = forwarded = exit_code = 0
    with open_bank(folder) as bank:
        codes = {each.participant: each.code for each in bank.clearing.register.participants()}
        gateway, payments = bank.clearing.gateway(), bank.clearing.payments
        while ended := payments.unanswered():
            for sender, report in gateway.reports(ended, now_ns=bank.stores.clock.now_ns()):
                mine = [each.number for each in ended if sender in (each.sender, each.receiver)]
                place = out / codes[sender]
                place.mkdir(parents=True, exist_ok=True)
                files += 1
                write_file(place / f"{mine[0]}-{mine[-1]}-{files}.xml", report)
            payments.mark_answered([each.number for each in ended])
            count += len(ended)
        for paid, receipt in bank.clearing.requests(house_name(bank)).receipts(at_ns=bank.stores.clock.now_ns()):
            place = out / codes[paid.participant]
            place.mkdir(parents=True, exist_ok=True)
            write_file(place / f"pay-out-{paid.message}.xml", receipt)
            bank.clearing.pay_outs.mark_answered(paid.message)
            receipts += 1
        forwarding, inbox = bank.clearing.forwarding(house_name(bank)), bank.clearing.inbox
        after = 0
        while new := inbox.not_exported(after=after):
            for message in new:
                after, code = message.number, codes[message.participant]
                try:
                    content = forwarding.content(message)
                except IntegrityError as error:
                    note(f"inbox message {message.number} of {code} is not written: {error.message}")
                    exit_code = error.exit_code
                    continue
                place = out / code
                place.mkdir(parents=True, exist_ok=True)
                write_file(place / f"inbox-{message.number}.xml", content)
                inbox.mark_exported(message.number)
                forwarded += 1
    others = f", {quantity(receipts, 'pay-out')} in as many" if receipts else ""
    others += f", {quantity(forwarded, 'message')} forwarded" if forwarded else ""
    show(f"{quantity(count, 'payment')} reported in {quantity(files, 'file')}{others}")
    return exit_code


def queue(
    folder: BankFolder,
    /,
    *,
    state: PaymentState = "queued",
    participant: Annotated[str, Parameter(help="Sender or receiver: name, id or number.")] = "",
    most: Most = 1_000,
    json_: AsJson = False,
) -> int:
    """List payments by state, oldest first: those that wait for money by default."""
    from sycee.core import money

    chosen = state_of(state)
    with open_bank(folder) as bank:
        names = {each.participant: each.code for each in bank.clearing.register.participants()}
        found = bank.clearing.payments.page(
            state=chosen,
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
    return print_list("payments", rows, *QUEUE_COLUMNS, numbers=QUEUE_NUMBERS, as_json=json_)
