"""Messages to a clearing house over a server: `sycee clearing` with the option --server, as a participant."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sycee.cli import remote_corridors
from sycee.cli.clearing_files import Answered, MessageFolder, deliver_all, require_folder
from sycee.cli.clearing_options import QUEUE_COLUMNS, QUEUE_NUMBERS, Most, PaymentState
from sycee.cli.parameters import AsJson, Between
from sycee.cli.remote_options import Login, Operator, connected, group
from sycee.cli.terminal import note, print_list, show
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.words import quantity

clearing = group("clearing", "Deliver messages to a clearing house, and read its answers.")


@clearing.command
def deliver(operator: Operator, messages: MessageFolder, /, *, login: Login) -> int:
    """Deliver a participant's messages from a folder, and write the answer to each NAME.xml to NAME.answer.xml.

    A file that has its answer is omitted: after an interruption, run the command again. Exit code 1 if a file, a
    message or a payment was refused.
    """
    require_folder(messages)
    with connected(login) as bank:
        from sycee.client import InvalidRequest, api

        def take(content: bytes, signature: bytes) -> Answered:
            try:
                return bank.do(api.deliver_message(operator, content, signature))
            except InvalidRequest as error:
                raise UsageError(error.message, hint=error.hint) from error

        return deliver_all(messages, take)


@clearing.command
def answers(
    operator: Operator,
    out: Annotated[Path, Parameter(help="Folder for the answers; made if it is missing.")],
    /,
    *,
    login: Login,
    after: Annotated[
        int,
        Parameter(help="Number of the last answer of an earlier call.", validator=Between("--after", 0, 2**62, 0)),
    ] = 0,
) -> int:
    """Write the house's stored answers to a participant's messages to OUT/NUMBER.xml, and show the last number.

    The last number stops before a message without an answer, so that a later call finds its answer, too. Quotes and
    acceptances get none.
    """
    from sycee.clearing import quotes
    from sycee.core.output_files import write_file

    count, last, waiting = 0, after, 0
    with connected(login) as bank:
        from sycee.client import api

        for each in bank.rows(api.clearing_messages(operator, after=after)):
            has_none = each.kind in (quotes.QUOTE, quotes.ACCEPTANCE)
            if each.answer is None and not has_none:
                waiting += 1
                continue
            if not waiting:
                last = each.number
            if each.answer is None:
                continue
            out.mkdir(parents=True, exist_ok=True)
            write_file(out / f"{each.number}.xml", each.answer.encode())
            count += 1
    show(f"{quantity(count, 'answer')} written; the last number is {last}")
    if waiting:
        note(f"{quantity(waiting, 'message')} without an answer: deliver the file again")
    return 0


@clearing.command
def inbox(
    operator: Operator,
    out: Annotated[Path, Parameter(help="Folder for the messages; made if it is missing.")],
    /,
    *,
    login: Login,
    after: Annotated[
        int,
        Parameter(help="Number of the last message of an earlier call.", validator=Between("--after", 0, 2**62, 0)),
    ] = 0,
) -> int:
    """Write messages of other participants to OUT/NUMBER.xml, and show the last number.

    They are transfers of customers that were booked, requests to return a payment, and answers to such requests. Exit
    code 3 if what the house stored of a message is damaged: it is named, the others are written, and the last number
    stops before it.
    """
    from sycee.core.output_files import write_file

    count, last, exit_code = 0, after, 0
    with connected(login) as bank:
        from sycee.client import api

        for each in bank.rows(api.clearing_inbox(operator, after=after)):
            if each.content is None:
                note(f"{each.problem}; ask the house to restore it")
                exit_code = IntegrityError.exit_code
                continue
            last = last if exit_code else each.number
            out.mkdir(parents=True, exist_ok=True)
            write_file(out / f"{each.number}.xml", each.content.encode())
            count += 1
    show(f"{quantity(count, 'message')} written; the last number is {last}")
    return exit_code


@clearing.command
def queue(
    operator: Operator, /, *, login: Login, state: PaymentState = "queued", most: Most = 1_000, json_: AsJson = False
) -> int:
    """List payments of a participant by state, oldest first: those that wait for money by default."""
    chosen = "" if state == "all" else state
    with connected(login) as bank:
        from sycee.client import api
        from sycee.core import money

        rows = [
            {
                "number": each.number,
                "uetr": each.uetr,
                "sender": each.sender,
                "receiver": each.receiver or "-",
                "amount": money.format(each.amount_minor, money.currency(each.currency)),
                "currency": each.currency,
                "priority": each.priority,
                "state": each.state,
                "reason": each.reason,
            }
            for each in islice(bank.rows(api.clearing_payments(operator, state=chosen)), most)
        ]
    return print_list("payments", rows, *QUEUE_COLUMNS, numbers=QUEUE_NUMBERS, as_json=json_)


for _command in (
    remote_corridors.corridor, remote_corridors.quote, remote_corridors.quotes, remote_corridors.accept,
):  # fmt: skip
    clearing.command(_command)
