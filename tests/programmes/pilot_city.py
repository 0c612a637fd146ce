"""A shipped pilot in a rehearsal bank, led over HTTP by its persons' programs, with the plan of `sycee pilot`.

The plan decides who registers, how much each winner spends, when and where. Salts and therefore winners differ from
those of `sycee pilot`, whose figures do not depend on who wins.

The founding of the bank and the due diligence of its institutions come before the programme. Two steps have no
operation over HTTP that would do, so the test calls their services: registration by a file that returns the receipts
of all people, with which winners find themselves in the list, and the closing report. The rehearsal's clock is moved
on the bank's machine.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from tests.server.world import served

from sycee import data
from sycee.bank.bank import Bank
from sycee.bank.founding import Founding
from sycee.client import Client, Credentials, Signer, api
from sycee.client.operations.packets import CLAIMS_MAX
from sycee.client.values import NewPerson, Occurrence, Payer
from sycee.core import ids, money
from sycee.core.arrays import Array
from sycee.core.keys import SigningKey
from sycee.core.limits import OPENINGS_MAX
from sycee.core.records import operations
from sycee.core.records.layout import Kind
from sycee.core.records.proposal_format import Proposal
from sycee.core.records.signed_messages import proof_message
from sycee.identity.duties import Duty
from sycee.identity.institutions import PASSED, SettlementAccount
from sycee.issuance.central_bank import CentralBank
from sycee.programmes import draw_rule
from sycee.programmes.definition import Programme, load
from sycee.programmes.occurrence_ids import member_ids
from sycee.programmes.registration_entering import Imported
from sycee.sandbox import plan
from sycee.sandbox.assumptions import Assumptions
from sycee.sandbox.seeded_choices import Stream
from sycee.server.auth.registers import Registers
from sycee.server.tables import SCHEMA

DAY_NS: Final = 24 * plan.HOUR_NS
YEARS_NS: Final = 5 * 365 * DAY_NS
WORKERS: Final = 6  # concurrent requests
COUNTRY_CODE: Final = 86
OFFICERS: Final = ("officer 1", "officer 2")
PRESET: Final = """\
name = "pilot"
title = "Wallets of a pilot"
currency = "CNY"
as_of = "2020-01-01"

[[classes]]
name = "basic"
holder = "person"
identity = "none"
balance = "999999.00"
source = "a limit that no packet meets"
mark = "assumed"
"""


def key(name: str) -> SigningKey:
    """The key of a person, a program or a wallet."""
    return SigningKey.derive(hashlib.sha256(name.encode()).digest())


def scaled_file(programme: Programme, targets: plan.Targets) -> str:
    """The shipped file with the counts and the budget of a scale, and without the published figures."""
    text = data.file("pilots", programme.name, "programme")[1].decode().split("[published.", maxsplit=1)[0]
    (packet,), (shops,) = programme.packets, programme.merchants
    budget = money.format(packet.count * packet.amount_minor, programme.currency).replace(",", "")
    scaled = money.format(targets.winners * targets.packet, programme.currency).replace(",", "")
    for old, new in (
        (f'"{budget}"', f'"{scaled}"'),
        (f"{packet.count:_}", str(targets.winners)),
        (f"count = {shops.count:_}", f"count = {targets.merchants}"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    return text


@contextmanager
def city(
    folder: Path, name: str, assumptions: Assumptions, targets: plan.Targets, *, seed: int, scale: float
) -> Iterator[City]:
    """Found the bank of a pilot, let its operators join, and serve it."""
    programme = load(name)
    (folder / "wallets.toml").write_text(PRESET)
    founding = Founding(
        currency=programme.currency.code,
        zone=programme.zone.key,
        preset=str(folder / "wallets.toml"),
        retention=data.names("retention")[0],
        officers=[key(each).public for each in OFFICERS],
        desk=key("desk").public,
        witness=key("witness").public,
        master_key=folder / "master.key",
        key_backup=folder / "people-backup",
        rehearsal_from_ns=programme.registration.from_ns - plan.HOUR_NS,
        settings={"compliance": "false"},
    )
    with Bank.create(folder / "bank", founding) as bank, ExitStack() as stack:
        made = City(bank, programme, assumptions, targets, seed, scale)
        made.let_join()
        credentials = made.programs()
        options: dict[str, Any] = {"now_ns": bank.stores.clock.now_ns, "deadline_s": 60, "timeout": 60}
        options["origin"] = bank.config.text("http_origin")
        address = stack.enter_context(served(bank))
        for person, own in credentials.items():
            made.clients[person] = stack.enter_context(Client(address, own, **options))
        made.nobody = stack.enter_context(Client(address, **options))
        yield made


class City:
    """A bank of the operators of a pilot, and one client for each of its persons, by name."""

    nobody: Client

    def __init__(
        self, bank: Bank, programme: Programme, assumptions: Assumptions, targets: plan.Targets, seed: int, scale: float
    ) -> None:
        self.bank, self.programme, self.targets, self.name = bank, programme, targets, programme.name
        self.names = [each.name for each in programme.operators]  # in the order of the file, as in the plan
        self.numbers: dict[str, int] = {}
        self.clients: dict[str, Client] = {}
        self.text = scaled_file(programme, targets)
        material = f"{programme.name}:{seed}:{scale!r}".encode()
        self.planner = plan.Planner(programme, assumptions, targets, Stream(seed), material, scale)
        self.start_ms = programme.draw.beacon_due_ns // 10**6
        # The plan of `sycee pilot` is made of records of its own ledger, whose accounts are derived.
        self.planned_bank = CentralBank.derive(
            material, currency=programme.currency.numeric, zone=programme.zone.key, operators=len(self.names),
            time_ms=self.start_ms,
        )  # fmt: skip
        self.shops = self.planner.merchants(self.start_ms)
        self.until_ns = bank.stores.clock.now_ns() + YEARS_NS

    # --- before the programme: by the services ---

    def let_join(self) -> None:
        """Let every operator of the file join, with a person who signs for it."""
        officer = self.person(OFFICERS[0])
        issued = self.targets.packet * self.targets.winners + self.targets.spent_own
        for at, operator in enumerate(self.programme.operators):
            name = operator.name
            institution = self.bank.institutions.add("operator", operator.title, by=officer, owners={self._id(): 10**6})
            self._pass(institution, ("papers", "owners"), officer, OFFICERS)
            self._sign(
                self.bank.issuance.join(
                    institution, quota_minor=issued, key=key(name).public, until_ns=self.until_ns, maker=officer
                ),
                OFFICERS,
            )
            number = self.bank.institutions.get(institution).operator
            assert number is not None
            self.numbers[name] = number
            if at in self.shops.operators:  # a second person passes what the first one enters about its shops
                self._sign(
                    self.bank.appointments.appoint(
                        Duty.OPERATOR, key(f"{name} checker").public, institution=institution,
                        until_ns=self.until_ns, maker=officer,
                    ),
                    OFFICERS,
                )  # fmt: skip

    def programs(self) -> dict[str, Credentials]:
        """Register a program for each officer and for a person of each operator; return their credentials."""
        self.bank.add_schema(SCHEMA)
        clients, made = Registers(self.bank).clients, {}
        for name in (*OFFICERS, *self.names):
            own = key(f"program of {name}")
            registered = clients.register(
                self.person(name), own.public, by=self.person(OFFICERS[0]), name=f"program of {name}",
                operator=self.numbers.get(name),
            )  # fmt: skip
            made[name] = Credentials(ids.format(registered.id), own)
        return made

    # --- helpers of the test ---

    @property
    def first(self) -> str:
        """The operator of the funder."""
        return self.names[0]

    def by(self, name: str) -> Client:
        return self.clients[name]

    def signer(self, name: str) -> Signer:
        return Signer(self.person(name), key(name))

    def person(self, name: str) -> int:
        return self.bank.people.person_of_key(key(name).public)

    def occurrence(self) -> Occurrence:
        return self.by(self.first).do(api.occurrence(self.name))

    def wait(self, ns: int) -> None:
        """Move the rehearsal's clock to a moment, unless it is later already."""
        if self.bank.stores.clock.now_ns() < ns:
            self.bank.set_clock(ns)

    def approve(self, proposal: str, *names: str) -> None:
        """Let persons read and sign a proposal over HTTP; the last signature must carry it out."""
        for name in names:
            client = self.by(name)
            found = client.do(api.proposal(proposal))
            signed = client.do(api.sign(found, self.signer(name)))
        assert (signed.state, signed.code) == ("done", ""), signed

    def mint(self, name: str, minor: int) -> None:
        """Issue money to an operator against reserves: two officers and the operator sign."""
        number, officer = self.numbers[name], self.by(OFFICERS[0])
        self.approve(officer.do(api.propose_reserves(number, minor)).proposal, *OFFICERS)
        self.approve(officer.do(api.propose_mint(number, minor)).proposal, *OFFICERS, name)

    # --- registration and draw ---

    def register(self, file: Path) -> Imported:
        """Register the people of the plan by a file, checked and confirmed when they registered."""
        self.people = self.planner.registrations()
        with file.open("w", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(("document", "phone", "bank", "registered_at"))
            for document, phone, at, ns in zip(
                self.people.documents.tolist(), self.people.phones.tolist(), self.people.banks.tolist(),
                self.people.registered_at_ns.tolist(), strict=True,
            ):  # fmt: skip
                moment = datetime.fromtimestamp(ns / 10**9, self.programme.zone).isoformat(timespec="milliseconds")
                writer.writerow((document, f"+{COUNTRY_CODE}{phone}", self.names[at], moment))
        salts = np.zeros((len(self.people), 32), np.uint8)

        def receipts(rows: Any, _: Any, made: Any) -> None:
            salts[rows - 1] = made

        imported = self.bank.registrations.register_file(
            self.name, 0, file, who=self.person(self.first), is_confirmed=True, receipts=receipts
        )
        phones = self.people.phones + np.uint64(COUNTRY_CODE * 10**11)
        members = member_ids(draw_rule.commitments(self.people.documents, phones, salts))
        self.rows = {ids.to_int(each): row for row, each in enumerate(members)}
        return imported

    def cohort(self) -> list[int]:
        """The ids of the winners in cohort order, as everybody computes them from the published files."""
        return [ids.to_int(each) for each in self.bank.programmes.cohort_of(self.name).members]

    # --- shops ---

    def let_shops_join(self) -> None:
        """Open the account of every shop of the plan, and let it apply, be checked, and join."""
        self._concurrently(self._let_shop_apply, list(range(len(self.shops.accounts))))
        for operator in sorted(set(self.shops.operators.tolist())):
            name = self.names[operator]
            client, number = self.by(name), self.numbers[name]
            shown = client.rows(api.shops(self.name, state="accepted"))  # the funder's operator sees all of them
            own = [each.wallet for each in shown if each.operator == number]
            assert client.do(api.join_shops(self.name, number, own, self.signer(name))) == len(own)

    def _let_shop_apply(self, at: int) -> None:
        """Verify the merchant of a shop, open its account, and let its application be accepted."""
        name, number = self.names[int(self.shops.operators[at])], ids.to_int(self.shops.accounts[at])
        staff = self.person(name)
        settlement = SettlementAccount(b"invented", at.to_bytes(16, "big"))
        merchant = self.bank.institutions.add(
            "merchant", f"Shop {at}", by=staff, operator=self.numbers[name], owners={self._id(): 10**6},
            settlement=settlement,
        )  # fmt: skip
        self._pass(merchant, ("papers", "owners", "settlement"), staff, (name, f"{name} checker"))
        self.by(name).do(
            api.open_wallet(
                merchant, operator=self.numbers[name], tier="", signer=self.signer(name), is_merchant=True,
                wallet=number, **self._keyed(number),
            )
        )  # fmt: skip
        self.by(name).do(api.apply_for_group(self.name, merchant, wallet=number))
        self.by(OFFICERS[0]).do(api.check_shop(self.name, number, accepted=True))

    # --- claims and payments ---

    def planned(self) -> plan.Plan:
        """The plan of claims, top-ups and payments of the drawn winners, with one frame for each day."""
        members = np.array([ids.split(each) for each in self.cohort()], ids.ID)
        banks = self.people.banks[[self.rows[each] for each in self.cohort()]]
        made = self.planner.spending(self.planned_bank, 1, members, banks, self.shops)
        return replace(made, frame_ns=DAY_NS)

    def lead(self, timeline: plan.Plan) -> None:
        """Send every operation of the plan over HTTP, day by day; payments are the plan's records as they are.

        On each day people open wallets, claim, top up and pay, in this order, many of them concurrently. The payments
        of one person stay in their order.
        """
        claims = timeline.records[timeline.records["kind"] == Kind.CLAIM]
        members = {ids.of_record(each, "credit"): ids.of_record(each, "reference") for each in claims}
        for time_ns, records, operators in timeline.frames():
            self.wait(time_ns)
            by_kind: dict[Kind, list[tuple[Any, str]]] = defaultdict(list)
            for record, operator in zip(records, operators.tolist(), strict=True):
                by_kind[Kind(int(record["kind"]))].append((record, self.names[operator]))
            opened, claimed, topped, paid = (
                by_kind.pop(each, []) for each in (Kind.OPEN_ACCOUNT, Kind.CLAIM, Kind.TRANSFER, Kind.PAY)
            )
            assert not by_kind
            self._open(opened, members)
            self._claim(claimed, members)
            self._concurrently(lambda each: self._top_up(*each), topped)
            by_payer: dict[int, list[Any]] = defaultdict(list)
            for record, _ in paid:
                by_payer[ids.of_record(record, "debit")].append(record)
            self._concurrently(lambda each: self._pay(*each), list(by_payer.items()))

    def _open(self, opened: Sequence[tuple[Any, str]], members: dict[int, int]) -> None:
        """Open the wallets of each operator, as many in one request as it may have."""
        for name in self.names:
            wallets = [ids.of_record(record, "debit") for record, operator in opened if operator == name]
            for start in range(0, len(wallets), OPENINGS_MAX):
                people = [self._new_person(each, members) for each in wallets[start : start + OPENINGS_MAX]]
                call = api.open_persons(people, operator=self.numbers[name], tier="basic", signer=self.signer(name))
                assert {each.code for each in self.by(name).do(call)} == {""}

    def _new_person(self, wallet: int, members: dict[int, int]) -> NewPerson:
        row = self.rows[members[wallet]]
        person = {
            "name": f"Person {row}",
            "phone": f"+{COUNTRY_CODE}{self.people.phones[row]}",
            "paper": str(self.people.documents[row]),
            "paper_kind": "document",
        }
        return NewPerson(person, wallet, **self._keyed(wallet))

    def _claim(self, claimed: Sequence[tuple[Any, str]], members: dict[int, int]) -> None:
        """Claim the packets of each operator, as many in one request as it may have."""
        for name in self.names:
            wallets = [ids.of_record(record, "credit") for record, operator in claimed if operator == name]
            for start in range(0, len(wallets), CLAIMS_MAX):
                part = [(members[wallet], wallet) for wallet in wallets[start : start + CLAIMS_MAX]]
                rows = self.by(name).do(api.claim_packets(self.name, 0, part, self.signer(name)))
                assert {each.code for each in rows} == {""}

    def _top_up(self, record: Any, name: str) -> None:
        wallet, reference = ids.of_record(record, "credit"), f"{ids.of_record(record, 'id'):032x}"
        client = self.by(name)
        sent = client.do(api.fund(wallet, int(record["amount"]), reference, self.signer(name)))
        assert client.do(api.confirm(sent.id)).state == "confirmed"

    def _pay(self, wallet: int, records: Sequence[Any]) -> None:
        payer = self._payer(wallet)
        for record in records:
            self.nobody.do(api.signed(payer, np.array([record])))

    @staticmethod
    def _concurrently(work: Callable[[Any], None], items: Sequence[Any]) -> None:
        """Call `work` with each item, on several threads; raise the first error."""
        with ThreadPoolExecutor(WORKERS) as pool:
            for _ in pool.map(work, items):
                pass

    def refund(self, payment: Any, minor: int) -> None:
        """Refund a planned payment; the shop's key signs."""
        made = operations.refund(self._id(), original=ids.of_record(payment, "id"), amount=minor)
        self.nobody.do(api.signed(self._payer(ids.of_record(payment, "credit")), made))

    # --- helpers ---

    def _payer(self, account: int) -> Payer:
        ledger_id = self.bank.stores.ledger.ledger_id
        return Payer(account, key(f"account {account}"), self.programme.currency.numeric, 1, ledger_id)

    def _keyed(self, account: int) -> dict[str, Any]:
        """The key with which an account is opened, and the proof of its owner."""
        own = key(f"account {account}")
        return {
            "key": own.public,
            "proof": own.sign(proof_message(self.bank.stores.ledger.ledger_id, account, 1, own.public)),
        }

    def _id(self) -> int:
        return self.bank.stores.ledger.new_id()

    def _pass(self, institution: int, checks: Sequence[str], maker: int, names: Sequence[str]) -> None:
        for check in checks:
            self._sign(self.bank.institutions.decide(institution, check, PASSED, maker=maker), names)

    def _sign(self, proposal: Proposal, names: Sequence[str]) -> None:
        answer = self.bank.proposals.sign(proposal.id, *(key(each) for each in names))
        assert answer.outcome is not None, f"{proposal.action} misses {answer.needs}"
        answer.outcome.require_created(proposal.action)


def top_ups(records: Array) -> dict[int, int]:
    """The own money of each wallet that tops up."""
    return {ids.of_record(each, "credit"): int(each["amount"]) for each in records[records["kind"] == Kind.TRANSFER]}
