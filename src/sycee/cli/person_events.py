"""`sycee person lost | recovered | deceased | block | unblock | guardian | notices`: events of a life."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, local_time, moment, open_bank
from sycee.cli.lazy import ids
from sycee.cli.message_options import print_notices, show_delivered
from sycee.cli.parameters import AsJson
from sycee.cli.person_options import CaseNumber, PersonId, WalletId, case_number, chosen_key, wrong_kind
from sycee.cli.proposing import maker_of, sign_and_show, signing_keys
from sycee.cli.terminal import note, show
from sycee.core.errors import UsageError
from sycee.core.extras import extra
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.bank.phone_messages import Delivered
    from sycee.core.keys import SigningKey
    from sycee.personal.access import Access


def lost(
    folder: BankFolder,
    wallet: WalletId,
    /,
    *,
    new_key: Annotated[str, Parameter(help="File with the new private key, or the public key as text with --proof.")],
    proof: Annotated[str, Parameter(help="Signature of the new key in hexadecimal digits, if it is elsewhere.")] = "",
    case: CaseNumber,
    key: KeyFiles = None,
) -> int:
    """Give a wallet whose phone was lost a new key. For 24 hours it can spend packets only.

    The operator has seen a new proof of identity, and signs. The holder or another person of the staff opened the case,
    of the kind recovery. A notice goes to the phone number on record.
    """
    from sycee.personal.access import Reason

    number = ids.parse(wallet)
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        public, signature = chosen_key(new_key, proof, partial(_proof, bank, number))
        done = bank.life.phone_lost(
            number, public, signature, evidence=_evidence(bank, keys, Reason.RECOVERY, case),
            signers=bank.signers(*keys),
        )  # fmt: skip
        until = local_time(done.until_ns, bank.config.text("zone"))
        show(f"wallet {ids.format(number)} has the key {public}; packets only until {until}")
        waiting = len(bank.life.outbox.waiting())
        note(f"note: {quantity(waiting, 'notice')} not delivered yet")
    return 0


def recovered(folder: BankFolder, wallet: WalletId, /, *, key: KeyFiles = None) -> int:
    """Finish the recovery of a wallet whose stored signatures have expired. The operator signs."""
    number = ids.parse(wallet)
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        done = bank.life.finish_recovery(number, who=maker_of(bank, keys), signers=bank.signers(*keys))
        show(f"wallet {ids.format(number)} is {'as before' if done else 'under no recovery'}")
    return 0


def deceased(
    folder: BankFolder,
    person: PersonId,
    /,
    *,
    operator: Annotated[str, Parameter(help="Number of the operator whose wallets are blocked.")],
    case: CaseNumber,
    key: KeyFiles = None,
) -> int:
    """Block the wallets of a deceased person at one operator. Money still arrives, for the estate."""
    from sycee.personal.access import Reason

    number = ids.parse(person)
    if not operator.isascii() or not operator.isdigit() or len(operator) > 9:
        raise UsageError(f"--operator {operator[:40]!r} is not a number", hint="write digits only, such as 2")
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        done = bank.life.deceased(
            number, operator=int(operator), evidence=_evidence(bank, keys, Reason.DECEASED, case),
            signers=bank.signers(*keys),
        )  # fmt: skip
        show(f"{quantity(len(done.accounts), 'wallet')} of {ids.format(number)} blocked")
        if done.others:
            note(f"note: {quantity(len(done.others), 'wallet')} at other operators, who sign for them")
    return 0


def block(
    folder: BankFolder,
    wallet: WalletId,
    /,
    *,
    kind: Annotated[str, Parameter(help="Why: court-order or dormant.")],
    case: CaseNumber = "",
    key: KeyFiles = None,
) -> int:
    """Block the debits of a wallet, by court order or because nobody has used it for long. The operator signs."""
    from sycee.personal.access import Reason

    number = ids.parse(wallet)
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        signers = bank.signers(*keys)
        if kind == "court-order":
            bank.life.court_order(number, evidence=_evidence(bank, keys, Reason.COURT_ORDER, case), signers=signers)
        elif kind == "dormant":
            bank.life.dormant(number, who=maker_of(bank, keys), signers=signers)
        else:
            raise wrong_kind(kind, "court-order or dormant")
        show(f"wallet {ids.format(number)} is blocked: {kind}")
    return 0


def unblock(
    folder: BankFolder,
    wallet: WalletId,
    /,
    *,
    kind: Annotated[str, Parameter(help="Which block: court-order, dormant or deceased.")],
    case: CaseNumber = "",
    key: KeyFiles = None,
) -> int:
    """Lift a block. The operator signs; a court order is lifted by officers, as a proposal."""
    from sycee.life.rules import LifeEventKind

    number = ids.parse(wallet)
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        maker = maker_of(bank, keys)
        if kind == LifeEventKind.COURT_ORDER:
            return sign_and_show(bank, bank.life.lift_order(number, case=case_number(case), maker=maker), keys)
        if kind not in (LifeEventKind.DORMANT, LifeEventKind.DECEASED):
            raise wrong_kind(kind, "court-order, dormant or deceased")
        bank.life.release(number, LifeEventKind(kind), who=maker, signers=bank.signers(*keys), case=case_number(case))
        show(f"wallet {ids.format(number)} is no longer blocked: {kind}")
    return 0


def guardian(
    folder: BankFolder,
    person: PersonId,
    guardian: Annotated[str, Parameter(help="Id of the guardian, as UUID text.")],
    /,
    *,
    until: Annotated[str, Parameter(help="End, as a date or a local time; without it there is none.")] = "",
    key: KeyFiles = None,
) -> int:
    """Propose that a person acts for another: a guardian reads the ward's access log. Two persons sign."""
    ward, other = ids.parse(person), ids.parse(guardian)
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        until_ns = moment(until, bank.config.text("zone")) if until else None
        proposal = bank.life.guardian(ward, other, maker=maker_of(bank, keys), until_ns=until_ns)
        return sign_and_show(bank, proposal, keys)


def notices(
    folder: BankFolder,
    /,
    *,
    send: Annotated[
        Path | None, Parameter(help="Program that sends one notice: it reads one line of JSON and exits with 0.")
    ] = None,
    deliver: Annotated[
        bool, Parameter(negative="", help="Send the codes and notices that wait, as the settings say.")
    ] = False,
    again: Annotated[str, Parameter(help="Id of a dead letter that waits again.")] = "",
    json_: AsJson = False,
) -> int:
    """List the notices that were not delivered, or send those that wait.

    The program reads `notice`, `phone` and `text` from its stdin. Phones and secrets are not printed and no argument.
    """
    from sycee.bank.phone_messages import Delivery, Program

    if sum([send is not None, deliver, bool(again)]) > 1:
        raise UsageError("--send, --deliver and --again are three calls", hint="name one of them")
    with open_bank(folder) as bank:
        outbox = bank.life.outbox
        if again:
            outbox.again(ids.parse(again))
            show("the notice waits again")
            return 0
        if send is not None or deliver:
            outbox.hurry()
            if send is not None:
                show_delivered(Delivery(bank, Program(send.resolve())).notices(), "notice")
            else:
                show_delivered(_delivered(bank), "message")
            return 0
        found = outbox.undelivered()
        zone = bank.config.text("zone")
        rows = [
            {"notice": ids.format(each.id), "person": ids.format(each.person), "text": each.text, "at_ns": each.at_ns}
            | {"state": each.state, "attempts": each.attempts, "reason": each.reason}
            for each in found
        ]
    return print_notices(rows, [local_time(each.at_ns, zone) for each in found], as_json=json_)


COMMANDS: Final[tuple[Callable[..., int], ...]] = (lost, recovered, deceased, block, unblock, guardian, notices)


def _evidence(bank: Bank, keys: Sequence[SigningKey], reason: str, case: str) -> Access:
    from sycee.personal.access import Access, Reason

    return Access(maker_of(bank, keys), Reason(reason), case_number(case))


def _proof(bank: Bank, account: int, private: SigningKey) -> bytes:
    """Return the proof that the owner of the next key of an account has it."""
    from sycee.core.records.signed_messages import proof_message

    epoch = bank.stores.ledger.account(account).key_epoch + 1
    return private.sign(proof_message(bank.stores.ledger.ledger_id, account, epoch, private.public))


def _delivered(bank: Bank) -> Delivered:
    from sycee.bank.phone_messages import Delivery

    with extra("bank"):
        from sycee.server.phone_gateway import way_of
    way = way_of(bank.config)
    if way is None:
        raise UsageError(
            "no setting says how messages are delivered",
            hint="set message_gateway or message_program, or name a program: --send PROGRAM",
        )
    with closing(way):
        return Delivery(bank, way).run()
