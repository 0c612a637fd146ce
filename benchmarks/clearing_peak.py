"""The peak day of a large clearing house: pacs.009 from their bytes to the answers, in one bank.

Banks send single messages, each with its header, in signed deliveries. Every delivery is read, checked and kept; then
payments are booked by themselves, sets settle what they can, and every sender gets the pacs.002 of its payments. The
full size is that of CHIPS on 29 November 2024, as a secondary source reports it. A position has 1/29 of its bank's
outflow. The BIC of each bank names another country, so compliance screens every payment, on declarations made here.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import numpy as np

from benchmarks import declarations
from benchmarks.crowd import as_a_server
from benchmarks.iso20022_messages import BANKS, CREATED, HOUSE
from benchmarks.measure import TOTAL_MS, Benchmark, Goal, Setting, Timing, settle
from benchmarks.wallets import KEYS, START_NS, new_bank
from sycee.bank.bank import Bank
from sycee.clearing import gateway, instructions
from sycee.clearing.gateway import Signed
from sycee.compliance.enforcement.service import Compliance
from sycee.core import ids
from sycee.core.errors import require
from sycee.core.keys import SigningKey
from sycee.core.limits import I64_MAX
from sycee.core.records.proposal_format import Proposal
from sycee.iso20022.bulk_credit_transfers import read_credit_transfers
from sycee.iso20022.business_header import End, Header
from sycee.iso20022.credit_transfer_messages import InstitutionTransfer, InstitutionTransfers, PaymentIds, Settlement
from sycee.iso20022.elements import Amount
from sycee.iso20022.messages import Message, write

PAYMENTS: Final = 1_083_550
GOAL_S: Final = 300
PREFUNDED: Final = 29  # a bank's outflow is this many times its position
DELIVERY: Final = 5_000  # messages
ROUNDS_MAX: Final = 3
SEED: Final = 20_241_129
ANN, BOB, _, _, OPERATOR_KEY = KEYS
HOUSE_OPERATOR: Final = 2  # of `new_bank`
FIRST_BANK: Final = 3

Delivery = tuple[int, bytes, bytes]  # participant, content, signature


def peak(setting: Setting, *, banks: int = len(BANKS)) -> Iterator[tuple[Timing, ...]]:
    """Deliver, book, settle and answer; the limit reads and checks the same messages, and does nothing else."""
    for number in range(setting.repeats):
        folder = setting.folder / f"peak-{number}"
        folder.mkdir()
        setting.say(f"founding {banks} banks")
        with _house(folder, banks) as bank:
            random = np.random.default_rng(SEED + number)
            senders, receivers, amounts = _payments(random, setting.operations, banks)
            _fund(bank, senders, amounts)
            setting.say("declaring the banks")
            _declare(bank, folder, banks)
            setting.say("making messages")
            deliveries = _deliveries(bank, random, senders, receivers, amounts)
            settle(setting.folder, setting.operations)
            setting.say("measuring")
            with as_a_server():
                timing = _measured(bank, deliveries, setting.operations)
            setting.say("checking")
            require(bank.check() == [], "SQL and ledger do not agree")
        shutil.rmtree(folder)
        yield timing, _read(deliveries, setting.operations)


def _read(deliveries: list[Delivery], count: int) -> Timing:
    began = time.perf_counter()
    read = sum(1 for _, content, _ in deliveries for _ in read_credit_transfers(gateway.unpack(content)))
    timing = Timing(count, time.perf_counter() - began)
    require(read == count, f"{read:,} of {count:,} messages were read")
    return timing


def _measured(bank: Bank, deliveries: list[Delivery], count: int) -> Timing:
    clearing, spent = bank.clearing, {}
    house = {"signers": bank.signers(OPERATOR_KEY), "who": bank.people.person_of_key(OPERATOR_KEY.public)}
    door, began = clearing.gateway(), time.perf_counter()

    def lap(name: str) -> None:
        spent[name] = time.perf_counter() - began - sum(spent.values())

    for delivered in door.deliver_all([Signed(*each, _person(bank, each[0])) for each in deliveries]):
        require(delivered.receipt is not None and not delivered.errors, "a message was refused")
    lap("received")
    booked = clearing.gross.release(**house).payments  # type: ignore[arg-type]
    lap("booked")
    in_sets = 0
    for _ in range(ROUNDS_MAX):
        settled = clearing.sets.settle(seconds=1.0, **house)  # type: ignore[arg-type]
        in_sets += settled.payments
        if settled.payments < count // 1_000:
            break
    lap("settled")
    clearing.payments.cancel_waiting()
    answered = 0
    while ended := clearing.payments.unanswered(most=50_000):
        for _, report in door.reports(ended, now_ns=bank.stores.clock.now_ns()):
            answered += report.count(b"</TxInfAndSts>")
        clearing.payments.mark_answered([each.number for each in ended])
    lap("answered")
    require(answered == count, f"{answered:,} of {count:,} payments were answered")
    timing = Timing(count, sum(spent.values()))
    parts = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in spent.items())
    timing.note = f"{parts}; {booked:,} payments by themselves, {in_sets:,} in sets, the rest cancelled"
    return timing


@contextmanager
def _house(folder: Path, banks: int) -> Iterator[Bank]:
    """Yield a bank with a house that clears dollars for the first banks."""
    with new_bank(folder, compliance="true") as bank:
        register, maker = bank.clearing.register, bank.people.person_of_key(ANN.public)
        _agree(bank, register.found(HOUSE_OPERATOR, maker=maker))
        _agree(bank, register.add_currency("USD", zone="America/New_York", maker=maker))
        for number, each in enumerate(BANKS[:banks]):
            owner = ids.new(START_NS // 1_000_000)
            found = bank.institutions.add("operator", each.bic, by=maker, owners={owner: 1_000_000})
            for check in ("papers", "owners"):
                _agree(bank, bank.institutions.decide(found, check, "passed", maker=maker))
            key = _key(FIRST_BANK + number).public
            joined = bank.issuance.join(found, quota_minor=I64_MAX, key=key, until_ns=START_NS + 10**17, maker=maker)
            _agree(bank, joined)
            _agree(bank, register.admit(FIRST_BANK + number, each.bic, key=key, currencies=("USD",), maker=maker))
        yield bank


def _fund(bank: Bank, senders: np.ndarray, amounts: np.ndarray) -> None:
    maker = bank.people.person_of_key(ANN.public)
    for number in np.unique(senders).tolist():
        minor = int(amounts[senders == number].sum()) // PREFUNDED
        if minor:
            _agree(bank, bank.clearing.register.issue(FIRST_BANK + number, "USD", minor, maker=maker))


def _declare(bank: Bank, folder: Path, banks: int) -> None:
    """Declare the banks, each with its own place, and a flow between any two; use a law with a list."""
    names = {each.bic.lower(): each.bic for each in BANKS[:banks]}
    network = declarations.network(names, id="banks", title="Banks of a benchmark")
    compliance = Compliance(bank.stores.engine, bank.stores.clock)
    compliance.declare({"banks.toml": network.encode()}, by="desk")
    (folder / "law.toml").write_text(declarations.law("AA"))
    (folder / "excluded.toml").write_text(declarations.list_of("somebody-else", until="2036-01-01"))
    compliance.use([folder / "law.toml"], [folder / "excluded.toml"], by="officer")
    for each in names:
        require(compliance.admit(each, by="desk").outcome == "admit", f"{each} is not admitted")


def _payments(random: np.random.Generator, count: int, banks: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return senders, receivers and amounts: a few banks send and receive most, and values are lognormal."""
    weights = 1 / np.arange(1, banks + 1)
    senders = random.choice(banks, count, p=weights / weights.sum())
    receivers = random.choice(banks, count, p=weights / weights.sum())
    receivers[receivers == senders] = (receivers[receivers == senders] + 1) % banks
    return senders, receivers, (random.lognormal(17.3, 2.1, count) + 1).astype(np.int64)


def _deliveries(
    bank: Bank, random: np.random.Generator, senders: np.ndarray, receivers: np.ndarray, amounts: np.ndarray
) -> list[Delivery]:
    """Return signed deliveries of up to DELIVERY messages of one bank, shuffled."""
    template, made = _template(), []
    ledger_id = bank.stores.ledger.ledger_id
    for sender in range(len(BANKS)):
        mine = np.flatnonzero(senders == sender)
        for start in range(0, mine.size, DELIVERY):
            messages = []
            for at in mine[start : start + DELIVERY].tolist():
                uetr, minor = UUID(bytes=random.bytes(16), version=4), int(amounts[at])
                text = template.format(
                    sender=BANKS[sender].bic, receiver=BANKS[receivers[at]].bic, number=f"{at:012}", uetr=uetr,
                    amount=f"{minor // 100}.{minor % 100:02}",
                )  # fmt: skip
                messages.append(text.encode())
            content, participant = gateway.pack(messages), FIRST_BANK + sender
            signature = instructions.sign(content, _key(participant), ledger_id=ledger_id, participant=participant)
            made.append((participant, content, signature))
    return [made[at] for at in random.permutation(len(made)).tolist()]


def _template() -> str:
    """Return a message in our writer's form, with fields for what differs between messages."""
    sender, receiver, number = BANKS[0], BANKS[1], "123456789012"
    uetr = UUID(int=0x4000_8000_0000_0000_0000)
    transfer = InstitutionTransfer(
        ids=PaymentIds(instruction=f"I{number}", end_to_end=f"E{number}", uetr=str(uetr)), amount=Amount("USD", 123),
        urgency="NORM", debtor=sender, creditor=receiver, remittance=(f"Settlement of {number}",),
    )  # fmt: skip
    day: date = datetime.fromtimestamp(START_NS / 1e9, UTC).date()
    value = InstitutionTransfers(
        id=f"M{number}", created=CREATED, day=day, settlement=Settlement(method="CLRG", system_own="HOUSE"),
        sender=sender, receiver=receiver, transactions=(transfer,),
    )  # fmt: skip
    ends = (End(institution=sender), End(institution=HOUSE))
    header = Header(sender=ends[0], receiver=ends[1], id=value.id, message=gateway.TRANSFER, created=CREATED)
    text = write(Message(gateway.TRANSFER, value, header)).decode().replace("{", "{{").replace("}", "}}")
    for old, new in (
        (sender.bic, "{sender}"), (receiver.bic, "{receiver}"), (number, "{number}"), (str(uetr), "{uetr}"),
        (">1.23<", ">{amount}<"),
    ):  # fmt: skip
        require(old in text, f"the message has no {old}")
        text = text.replace(old, new)
    return text


def _key(participant: int) -> SigningKey:
    return SigningKey.derive(bytes([60 + participant]) * 32)


def _person(bank: Bank, participant: int) -> int:
    return bank.people.person_of_key(_key(participant).public)


def _agree(bank: Bank, proposal: Proposal) -> None:
    require(bank.proposals.sign(proposal.id, ANN, BOB).needs == (), "a proposal needs more signatures")


BENCHMARKS: Final = (
    Benchmark(
        "clearing-chips-peak",
        "pacs.009 of 42 banks, from their bytes to the pacs.002: kept, checked, booked or settled in sets",
        len(BANKS),
        PAYMENTS,
        "reading and checking the same messages alone",
        peak,
        unit=TOTAL_MS,
        goal=Goal(GOAL_S * 1_000),
    ),
)
