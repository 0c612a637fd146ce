"""Founding and seeding of a demo: each step is the call that a real bank makes, with keys of invented people."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sycee.bank.bank import Bank
from sycee.bank.founding import Founding, StoredFounding
from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.keys import SigningKey
from sycee.core.marks import INVENTED_PEOPLE
from sycee.core.records.proposal_format import Proposal
from sycee.core.records.signed_messages import proof_message
from sycee.core.worker_thread import processors
from sycee.demo.folder import OUTBOX, Demo, Role, Shop, Wallet
from sycee.demo.people import CITIZENS, FUNDED, OPERATORS, OWN_KEYS, SHOPS, STAFF, People
from sycee.identity.duties import Duty
from sycee.identity.institutions import PASSED, SettlementAccount
from sycee.personal.sealing import SearchKind
from sycee.sequencer.signer import Signer
from sycee.server.auth.registers import Registers
from sycee.server.tables import SCHEMA

CURRENCY: Final = "CNY"
YEAR_NS: Final = 365 * 86_400 * 10**9
HOUR_NS: Final = 3_600 * 10**9
QUOTA_MINOR: Final = 10_000_000_00
MINTED_MINOR: Final = 2_000_000_00
FUNDED_MINOR: Final = 500_00  # of each funded citizen
NOTICE: Final = "Demo: invented people, synthetic keys, no real money."
# A load from one machine exceeds the limits that are right for the senders of one address elsewhere.
_SETTINGS: Final = {
    "compliance": "false",
    "phone_prefix": "+86",
    "http_notice": NOTICE,
    INVENTED_PEOPLE: "true",
    "message_folder": f"../{OUTBOX}",
    "http_log": "failures",
}


def seed_economy(folder: Path, people: People) -> Demo:
    """Found the bank in `folder` / "bank", write the keys to `folder` / "keys", move some money, and describe all."""
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    with _create_bank(folder, people) as bank:
        return _Seeding(bank, people, keys).run(folder)


def _create_bank(folder: Path, people: People) -> Bank:
    """Create the bank of the demo in `folder` / "bank"."""
    founding = Founding(
        currency=CURRENCY,
        zone="Asia/Shanghai",
        preset="ecny-2021",
        retention="cn-2025",
        officers=[people.key("ann").public, people.key("bob").public],
        desk=people.key("desk").public,
        witness=people.key("wu").public,
        master_key=folder / "master.key",
        key_backup=folder / "people-backup",
        # On one processor, a second process for signatures would only slow the first one down.
        settings={**_SETTINGS, "signature_workers": "1" if processors() > 1 else "0"},
    )
    return Bank.create(folder / "bank", founding)


class _Seeding:
    """One run. The order of the methods is that of the steps."""

    def __init__(self, bank: Bank, people: People, keys: Path) -> None:
        self.bank, self.people, self.folder = bank, people, keys
        self.until_ns = read_ns(bank.stores.clock) + YEAR_NS
        self.board = [people.key("ann"), people.key("bob")]
        self.ann = bank.people.person_of_key(self.board[0].public)
        bank.add_schema(SCHEMA)
        self.clients = Registers(bank).clients
        self.roles: list[Role] = []
        self.operators: list[int] = []

    def run(self, folder: Path) -> Demo:
        """Run all steps, and return the description of the demo."""
        self._board()
        self._operators()
        self._staff()
        shops = self._shops()
        own, custodial = self._citizens()
        self._money(own, custodial)
        self._payments(own, custodial, shops)
        open_request = self._request(shops[0], own[0])
        proposal = self.bank.issuance.mint(self.operators[0], MINTED_MINOR // 10, maker=self.ann)
        self.bank.proposals.sign(proposal.id, self.board[0])
        return Demo(
            seed=self.people.seed,
            ledger_id=self.bank.stores.ledger.ledger_id.hex(),
            currency=CURRENCY,
            roles=tuple(self.roles),
            shops=tuple(shops),
            wallets=tuple(own),
            request=open_request,
            proposal=ids.format(proposal.id),
        ).store(folder)

    # --- who ---

    def _board(self) -> None:
        names = ("ann", "bob", "desk", "tech", "wu")
        for name, person in zip(names, StoredFounding.load(self.bank.folder).persons(), strict=True):
            if name != "tech":  # operator 0 has its key in the bank's folder
                self._role(name, person.person, str(person.duty), person.operator)

    def _operators(self) -> None:
        for name, person in OPERATORS:
            institution = self.bank.institutions.add("operator", name, by=self.ann, owners={self._id(): 1_000_000})
            self._pass(institution, ("papers", "owners"), self.ann, self.board)
            key = self.people.key(person)
            joining = self.bank.issuance.join(
                institution, quota_minor=QUOTA_MINOR, key=key.public, until_ns=self.until_ns, maker=self.ann
            )
            self._sign(joining, self.board)
            number = self.bank.institutions.get(institution).operator
            assert number is not None
            self.operators.append(number)
            self._role(person, self.bank.people.person_of_key(key.public), "operator", number, of=name)
            self._sign(self.bank.issuance.credit_reserves(number, MINTED_MINOR, maker=self.ann), self.board)
            self._sign(self.bank.issuance.mint(number, MINTED_MINOR, maker=self.ann), [*self.board, key])

    def _staff(self) -> None:
        for name, duty in STAFF:
            self._role(name, self._appoint(name, duty), str(duty), None)
        north = self.bank.institutions.find("operator", OPERATORS[0][0]).id
        self._role("nora", self._appoint("nora", Duty.OPERATOR, north), "operator", self.operators[0], of="North Bank")

    def _shops(self) -> list[Shop]:
        """Let each shop pass its due diligence; open an outlet with a till, and the shop's account, with own keys."""
        bank, number = self.bank, self.operators[0]
        checkers = [self.people.key("north"), self.people.key("nora")]
        by = bank.people.person_of_key(checkers[0].public)
        made = []
        for name in SHOPS:
            file = name.lower().replace(" ", "-")
            merchant = self._id()
            account = self._sealed(merchant, f"CN {name}")
            bank.institutions.add(
                "merchant", name, by=by, operator=number, owners={self._id(): 1_000_000}, settlement=account,
                id=merchant,
            )  # fmt: skip
            self._pass(merchant, ("papers", "owners", "settlement"), by, checkers)
            outlet = bank.institutions.add_outlet(merchant, "MAIN", by=by)
            till_key = self._saved(f"{file}-till")
            till = bank.institutions.add_till(outlet, "T1", by=by, key=till_key.public)
            wallet = bank.wallets.open(
                merchant, operator=number, tier="", signers=bank.signers(checkers[0]), who=by,
                **self._own_key(f"{file}-wallet"),
            )  # fmt: skip
            self._role(file, self._appoint(file, Duty.MERCHANT, merchant), "merchant", number, of=name)
            made.append(
                Shop(name, ids.format(merchant), ids.format(wallet.account), ids.format(till), f"{file}-till.pem")
            )
        return made

    def _citizens(self) -> tuple[list[Wallet], list[int]]:
        """Open the wallets of all citizens; return those with their own key, and the accounts of the others."""
        bank, number = self.bank, self.operators[0]
        key = self.people.key("north")
        named: dict[str, Any] = {
            "operator": number,
            "signers": bank.signers(key),
            "who": bank.people.person_of_key(key.public),
        }
        citizens = self.people.citizens()
        own = []
        for at, citizen in enumerate(citizens[:OWN_KEYS]):
            file = f"citizen-{at + 1}"
            opened = bank.wallets.open_person(
                {"name": citizen.name, "phone": citizen.phone}, tier="class-2", **named, **self._own_key(file)
            )
            own.append(
                Wallet(
                    citizen.name, citizen.phone, ids.format(opened.holder), ids.format(opened.account), f"{file}.pem"
                )
            )
        rest = citizens[OWN_KEYS:]
        columns = {"name": [each.name for each in rest], "phone": [each.phone for each in rest]}
        opened_many = bank.wallets.open_many(columns, tier="class-4", **named)
        assert opened_many.opened == CITIZENS - OWN_KEYS, opened_many.refused
        return own, opened_many.accounts

    # --- what they do ---

    def _money(self, own: list[Wallet], custodial: list[int]) -> None:
        """Let citizens bring money from their banks, which confirm it."""
        bank, key = self.bank, self.people.key("north")
        who = bank.people.person_of_key(key.public)
        wallets = [*(ids.parse(each.account) for each in own), *custodial][:FUNDED]
        outcomes = bank.issuance.fund_many(
            self.operators[0],
            [(wallet, FUNDED_MINOR, f"N-{at}") for at, wallet in enumerate(wallets)],
            signers=bank.signers(key),
            who=who,
        )
        for outcome in outcomes:
            outcome.require_created("a wallet was not funded")
        sent = [each.id for each in bank.issuance.fundings()]
        for outcome in bank.issuance.confirm_many(self.operators[0], sent, signers=bank.technical_signers(), who=who):
            outcome.require_created("a payment of a bank was not confirmed")

    def _payments(self, own: list[Wallet], custodial: list[int], shops: list[Shop]) -> None:
        """Make payments of citizens to shops, and of custodial wallets to citizens."""
        bank, number = self.bank, self.people.number
        for at, payer in enumerate(own):
            shop = shops[number(f"shop of {at}", len(shops))]
            signer = self._signer(payer)
            holder = ids.parse(payer.holder)
            minor = 100 + number(f"price for {at}", 4_000)
            paid = bank.payments.pay(
                ids.parse(payer.account), ids.parse(shop.account), minor, signers=[signer], who=holder,
                till=ids.parse(shop.till), order=f"{at + 1}",
            )  # fmt: skip
            assert paid.is_paid, paid
        north = self.people.key("north")
        operator = {"signers": bank.signers(north), "who": bank.people.person_of_key(north.public)}
        for at in range(10):
            payee = ids.parse(own[at % len(own)].account)
            paid = bank.payments.pay(custodial[at], payee, 1_000 + at, text="thank you", **operator)  # type: ignore[arg-type]
            assert paid.is_paid, paid

    def _request(self, shop: Shop, payer: Wallet) -> str:
        """Create a payment request of a till, and return its id."""
        made = self.bank.requests.ask(
            ids.parse(shop.account),
            40_00,
            key=SigningKey.load(self.folder / shop.till_key),
            expires_ns=read_ns(self.bank.stores.clock) + 24 * HOUR_NS,
            payer=ids.parse(payer.account),
            till=ids.parse(shop.till),
            order="open-1",
            text="tea for two",
        )
        return ids.format(made.id)

    # --- helpers ---

    def _id(self) -> int:
        return self.bank.stores.ledger.new_id()

    def _saved(self, name: str) -> SigningKey:
        key = self.people.key(name)
        key.save(self.folder / f"{name}.pem")
        return key

    def _role(self, name: str, person: int, duty: str, operator: int | None, *, of: str = "") -> None:
        """Save the key of a person, and register a program that acts for the person."""
        self._saved(name)
        program = self._saved(f"{name}-program")
        client = self.clients.register(
            person, program.public, by=self.ann, name=f"program of {name}", operator=operator
        )
        self.roles.append(
            Role(name, duty, of, ids.format(person), ids.format(client.id), f"{name}.pem", f"{name}-program.pem")
        )

    def _appoint(self, name: str, duty: Duty, institution: int = 0) -> int:
        key = self.people.key(name).public
        proposal = self.bank.appointments.appoint(
            duty, key, until_ns=self.until_ns, maker=self.ann, institution=institution
        )
        self._sign(proposal, self.board)
        return ids.parse(proposal.effect["person"])

    def _pass(self, institution: int, checks: tuple[str, ...], maker: int, keys: list[SigningKey]) -> None:
        for check in checks:
            self._sign(self.bank.institutions.decide(institution, check, PASSED, maker=maker), keys)

    def _sign(self, proposal: Proposal, keys: list[SigningKey]) -> None:
        answer = self.bank.proposals.sign(proposal.id, *keys)
        if answer.outcome is None:
            raise AssertionError(f"{proposal.action} misses {answer.needs}")
        answer.outcome.require_created(proposal.action)

    def _own_key(self, name: str) -> dict[str, Any]:
        """Return the arguments with which a wallet is opened whose key is saved under `name`."""
        key, account = self._saved(name), self.bank.wallets.new_account()
        proof = key.sign(proof_message(self.bank.stores.ledger.ledger_id, account, 1, key.public))
        return {"account": account, "key": key.public, "proof": proof}

    def _signer(self, wallet: Wallet) -> Signer:
        key = SigningKey.load(self.folder / wallet.key)
        return Signer.of_account(self.bank.stores.ledger.account(ids.parse(wallet.account)), key)

    def _sealed(self, institution: int, text: str) -> SettlementAccount:
        """Return a settlement account, encrypted under a key of the institution, with its keyed hash."""
        normal = "".join(text.split()).upper()
        self.bank.personal_keys.create([institution])
        sealed = self.bank.personal.seal(institution, "settlement", normal)
        return SettlementAccount(sealed, self.bank.personal.hashed(SearchKind.PAPER, f"settlement {normal}"))
