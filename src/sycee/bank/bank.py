"""A bank: one data folder, opened by one process, with every service."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

from sycee.bank import config as bank_config
from sycee.bank import founding as bank_founding
from sycee.bank.agreement import disagreements
from sycee.bank.cases_for_access import LateCases
from sycee.bank.config import Config
from sycee.bank.folder import PRIVATE, DataFolder
from sycee.bank.founding import Founding, FoundingAction, StoredFounding
from sycee.bank.rehearsal_clock import RehearsalClock
from sycee.bulk.service import BulkPayments
from sycee.bulk.tables import SCHEMA as BULK
from sycee.cases import rules as case_rules
from sycee.cases.claims import Claims
from sycee.cases.service import Cases
from sycee.cases.tables import SCHEMA as CASES
from sycee.clearing.service import Clearing
from sycee.clearing.tables import SCHEMA as CLEARING
from sycee.compliance.enforcement.service import Compliance
from sycee.compliance.enforcement.tables import SCHEMA as COMPLIANCE
from sycee.core import ids, limits
from sycee.core.clock import Clock, RealClock, read_ns
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.keys import PublicKey, SigningKey
from sycee.core.records.envelopes import Envelope
from sycee.core.secret_files import SecretKey
from sycee.core.time_zones import zone_info
from sycee.database.actions import Draft
from sycee.database.engines import engine
from sycee.database.intents import Resumed
from sycee.database.migrations import Schema, upgrade
from sycee.database.requests import StoredRequests
from sycee.database.stores import Stores
from sycee.database.tables import SCHEMA as DATABASE
from sycee.database.transactions import write
from sycee.day import calendar
from sycee.day.closing import Closing
from sycee.day.tables import SCHEMA as DAY
from sycee.identity.appointments import Appointments
from sycee.identity.institutions import Institutions
from sycee.identity.key_files import KeyFiles
from sycee.identity.key_register import KeyRegister
from sycee.identity.people import People
from sycee.identity.proposals import Proposals
from sycee.identity.tables import SCHEMA as IDENTITY
from sycee.issuance.records import Issuer
from sycee.issuance.registry import Registry
from sycee.issuance.reserve_rules import ReserveRules
from sycee.issuance.service import IssuanceService
from sycee.issuance.supply_page import SupplyPage
from sycee.issuance.tables import SCHEMA as ISSUANCE
from sycee.life.service import Life
from sycee.life.tables import SCHEMA as LIFE
from sycee.personal import retention
from sycee.personal.access import AccessLog
from sycee.personal.keys import PersonalKeys
from sycee.personal.register import Register
from sycee.personal.retention import Retention
from sycee.personal.tables import SCHEMA as PERSONAL
from sycee.personal.two_person_orders import Orders
from sycee.programmes.closing_reports import ClosingReports
from sycee.programmes.funders import Funders
from sycee.programmes.registrant_texts import Messages
from sycee.programmes.registration_appeals import Appeals
from sycee.programmes.registration_lists import Lists
from sycee.programmes.registration_results import DrawOutcomes
from sycee.programmes.registrations import Registrations
from sycee.programmes.service import Programmes
from sycee.programmes.shops import Shops
from sycee.programmes.situation import Situations
from sycee.programmes.situation_history import SituationHistory
from sycee.programmes.tables import SCHEMA as PROGRAMMES
from sycee.sequencer.embedded import Ledger, Signer
from sycee.sequencer.signer import RemoteSigner
from sycee.vouchers.groups import Groups as VoucherGroups
from sycee.vouchers.service import Vouchers
from sycee.vouchers.tables import SCHEMA as VOUCHERS
from sycee.wallets import tiers
from sycee.wallets.aliases import Aliases
from sycee.wallets.batch_opening import BatchOpening
from sycee.wallets.changes import Changes
from sycee.wallets.directory import Directory
from sycee.wallets.holds import Holds
from sycee.wallets.mandates import Mandates
from sycee.wallets.merchant_reports import Reports
from sycee.wallets.payments import Payments
from sycee.wallets.references import References
from sycee.wallets.requests import Requests
from sycee.wallets.shortfalls import Shortfalls
from sycee.wallets.sweeps import Sweeps
from sycee.wallets.tables import SCHEMA as WALLETS
from sycee.wallets.waterfalls import Waterfalls

DAY_NS: Final = 86_400 * 10**9
WARN_NS: Final = 90 * DAY_NS  # before the last duties of officers end

# The schemas of every bank's database, lower packages first. Packages above this one pass theirs to `Bank.open`.
SCHEMAS: Final[tuple[Schema, ...]] = (
    *(DATABASE, IDENTITY, PERSONAL, COMPLIANCE, ISSUANCE, WALLETS, PROGRAMMES),
    *(BULK, VOUCHERS, CLEARING, LIFE, CASES, DAY),
)


class Bank:
    """An open bank. Found it with `create`, open it with `open`, and close it, or use it in a `with` block.

    `findings`: one sentence for each repair at opening, for each job that fails, and for duties that end soon.
    """

    def __init__(
        self,
        folder: DataFolder,
        config: Config,
        stores: Stores,
        personal_keys: PersonalKeys,
        schemas: tuple[Schema, ...] = SCHEMAS,
    ) -> None:
        """Use `open` or `create`."""
        self.folder = folder
        self.schemas = schemas
        self.config = config
        self.stores = stores
        self.findings: list[str] = list(stores.ledger.findings)
        self._record = StoredFounding.load(folder)
        self.preset = tiers.load(config.definition("preset"))
        self._wallet_classes: dict[str, int] = {}
        self.resumed = Resumed(0, 0)  # intents that opening finished
        self.stored_requests = StoredRequests(stores.engine, stores.clock)
        # --- identity ---
        self.people = People(stores)
        self.proposals = Proposals(stores, self.people)
        self.institutions = Institutions(stores, self.people, self.proposals)
        self.appointments = Appointments(stores, self.people, self.institutions, self.proposals)
        self.keys = KeyRegister(stores, self.people)
        self.key_files = KeyFiles(folder.keys, stores, self.people)
        stores.actions.register(FoundingAction(self.people), *(each for schema in schemas for each in schema.actions))
        # --- personal, life ---
        self.personal_keys = personal_keys
        self._cases = LateCases()
        rules = retention.load(config.definition("retention"))
        zone = zone_info(config.text("zone"))
        self.access = AccessLog(stores.engine, stores.clock, self._cases, self.people)
        self.retention = Retention(stores.engine, stores.clock, rules, zone)
        self.personal = Register(
            stores.engine,
            stores.clock,
            personal_keys,
            self.access,
            self.retention,
            self.people,
            phone_prefix=config.text("phone_prefix"),
        )
        self.orders = Orders(stores, self.proposals, self._cases, rules)
        # --- issuance ---
        self.registry = Registry(stores, issuer_of(self._record))
        self.issuance = IssuanceService(stores, self.registry, self.people, self.institutions, self.proposals)
        self.reserve_rules = ReserveRules(stores, self.proposals)
        self.supply = SupplyPage(stores, self.registry, self.reserve_rules, self.wallet_classes)
        # --- compliance ---
        self.compliance = Compliance(stores.engine, stores.clock)
        judge = self.compliance if config.flag("compliance") else None
        # --- wallets ---
        self.directory = Directory(stores)
        self.issuance.customers = self.directory
        self.wallets = BatchOpening(
            stores,
            self.people,
            self.institutions,
            self.keys,
            self.personal,
            self.registry,
            self.directory,
            preset=self.preset,
            rule_sets=self.wallet_classes,
            currency=self._record.currency,
            compliance=judge,
        )
        self.changes = Changes(stores, self.people, self.wallets, self.retention)
        references = References(self.personal)
        self.aliases = Aliases(stores, self.people, self.institutions, self.directory, self.personal, zone)
        self.payments = Payments(stores, self.people, self.institutions, self.directory, references)
        self.requests = Requests(stores, self.people, self.institutions, self.directory, references, self.payments)
        self.holds = Holds(stores, self.people, self.institutions, self.directory, references)
        self.sweeps = Sweeps(stores, self.people, self.institutions, self.directory, self.registry, self.personal)
        self.waterfalls = Waterfalls(stores, self.people, self.directory, self.registry, self.personal)
        self.mandates = Mandates(stores, self.people, self.directory)
        self.shortfalls = Shortfalls(
            stores, self.people, self.directory, self.registry, self.personal, self.payments, self.mandates, zone
        )
        self.reports = Reports(stores, self.people, self.institutions, self.directory)
        # --- programmes ---
        self.funders = Funders(stores, self.people, self.registry)
        self.programmes = Programmes(
            stores,
            self.people,
            self.institutions,
            self.proposals,
            self.registry,
            self.directory,
            folder=folder.programmes,
            technical=self.technical_signers,
            exposure_max_minor=config.minor("exposure_max"),
        )
        lists = Lists(stores, personal_keys)
        self.registrations = Registrations(lists, self.people, self.institutions, self.personal)
        self.appeals = Appeals(lists, self.people)
        self.registration_results = DrawOutcomes(lists, self.programmes, self.registrations, self.personal, self.access)
        self.programmes.registered = self.registration_results
        self.shops = Shops(stores, self.people, self.institutions, self.directory, self.programmes)
        self.closing_reports = ClosingReports(stores, self.programmes)
        self.situations = Situations(stores, self.closing_reports)
        self.situation_history = SituationHistory(stores, self.situations)
        self.messages = Messages(stores, self.people)
        # --- bulk ---
        self.bulk = BulkPayments(
            stores,
            self.people,
            self.proposals,
            self.registry.own_accounts,
            int(config.text("bulk_approval_minor")),
        )
        # --- vouchers ---
        groups = VoucherGroups(stores, self.people, self.proposals, self.registry, self.programmes)
        self.vouchers = Vouchers(stores, self.people, self.directory, self.programmes, groups, personal_keys, zone)
        # --- clearing ---
        self.clearing = Clearing(stores, self.people, self.proposals, self.registry, judge, folder.clearing, zone)
        # --- life ---
        self.retention.relations = self.directory
        self.life = Life(stores, self.personal, self.people, self.keys, self.directory, self.proposals)
        self.personal.on_shred.append(self.people.shred)
        business_days = calendar.load(config.definition("calendar"))
        # --- cases ---
        self.cases = Cases(
            stores,
            self.people,
            self.personal,
            self.directory,
            self.registry,
            case_rules.load(config.definition("case_rules")),
            zone,
            business_days,
        )
        self.claims = Claims(stores, self.people, self.proposals, self.cases)
        self._cases.cases = self.cases
        # --- day ---
        self.day = Closing(
            stores,
            self.people,
            self.registry,
            self.access,
            folder=folder.packs,
            currency=config.currency,
            calendar=business_days,
            cutoff=config.text("cutoff"),
            zone=config.text("zone"),
            is_rehearsal=config.flag("rehearsal"),
        )

    def services(self) -> Sequence[Any]:
        """Return the services that compare SQL with the ledger; each owner adds theirs."""
        return (
            *(self.people, self.proposals, self.institutions, self.keys),
            *(self.personal, self.access, self.life),
            *(self.registry, self.issuance),
            *(self.directory, self.holds, self.sweeps),
            *(self.funders, self.programmes, self.registration_results, self.shops, self.bulk),
            *(self.vouchers.groups, self.vouchers),
            *self.clearing.services(),
            *(self.cases, self.claims),
            self.day,
        )

    @classmethod
    def create(cls, folder: str | Path, founding: Founding) -> Self:
        """Found a bank, or finish an interrupted founding, and return it open.

        Raises UsageError if the folder holds another bank or something else, or the founding is wrong; the errors of
        `Ledger.open` and of the database.
        """
        founding.check()
        data_folder = DataFolder(Path(folder))
        data_folder.require_free()
        config = Config.planned(data_folder, _settings(data_folder, founding))
        starts_ns = founding.rehearsal_from_ns
        try:
            data_folder.path.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            record = StoredFounding.store(
                data_folder, founding, RealClock().now_ns() if starts_ns is None else starts_ns
            )
            data_folder.create()
            record.create_technical_key()
            founding.key_backup.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        except OSError as error:
            raise UnavailableError(f"{error.filename} cannot be made: {error.strerror}") from error
        clock: Clock = RealClock() if starts_ns is None else RehearsalClock.create(data_folder.clock, starts_ns)
        secret = bank_founding.master_key(founding.master_key)
        if data_folder.settings.exists():  # founded before
            return cls.open(folder)
        ledger = Ledger.open(data_folder.path, clock=clock)
        bank = cls._with_ledger(
            data_folder, config, clock, ledger, lambda file, backup: PersonalKeys.new(file, backup, secret, clock)
        )
        try:
            bank._found(record)
            bank_config.write(data_folder, _settings(data_folder, founding))
        except BaseException:
            bank.close()
            raise
        return bank

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        options: Mapping[str, str] | None = None,
        signature_workers: int = 0,
        schemas: Sequence[Schema] = (),
    ) -> Self:
        """Open a bank: upgrade its tables, finish pending intents and run the jobs that are due.

        `options` are settings that win over the environment and the file. `signature_workers`: processes that verify
        signatures, 0 for none. `schemas` are of tables that packages above this one have in the bank's database: they
        are upgraded too, and backups include them. Raises UsageError for a folder without a finished bank,
        UnavailableError if another process has it open, and the errors of ledger and database.
        """
        data_folder = DataFolder(Path(folder))
        config = Config.load(data_folder, options)
        clock: Clock = RehearsalClock(data_folder.clock) if config.flag("rehearsal") else RealClock()
        secret = SecretKey.load(config.path("master_key")).secret
        # Opened after the ledger's folder is locked: shredding is finished by one process.
        ledger = Ledger.open(data_folder.path, create=False, clock=clock, signature_workers=signature_workers)
        bank = cls._with_ledger(
            data_folder, config, clock, ledger, lambda file, backup: PersonalKeys(file, backup, secret, clock), schemas
        )
        try:
            bank._catch_up()
        except BaseException:
            bank.close()
            raise
        return bank

    @classmethod
    def _with_ledger(
        cls, data_folder: DataFolder, config: Config, clock: Clock, ledger: Ledger,
        opened: Callable[[Path, Path], PersonalKeys], schemas: Sequence[Schema] = (),
    ) -> Self:  # fmt: skip
        """Return the bank on an open ledger, which is closed if something else cannot be opened."""
        with ExitStack() as stack:
            stack.callback(ledger.close)
            keys = opened(config.path("key_store"), config.path("key_backup"))
            stack.callback(keys.close)
            made = engine(config.database, password_file=config.password_file)
            stack.callback(made.dispose)
            wanted = (*SCHEMAS, *schemas)
            upgrade(made, *wanted)
            bank = cls(data_folder, config, Stores.of(ledger, made, clock, config.mark), keys, wanted)
            stack.pop_all()
            return bank

    @classmethod
    def open_restored(
        cls,
        data_folder: DataFolder,
        config: Config,
        clock: Clock,
        secret: bytes,
        frame: int,
        schemas: Sequence[Schema] = (),
    ) -> Self:
        """Open a bank whose ledger was restored up to `frame`: submit the intents of later frames again.

        For `restoring`, which writes the settings afterwards.
        """
        ledger = Ledger.open(data_folder.path, create=False, clock=clock)
        bank = cls._with_ledger(
            data_folder, config, clock, ledger, lambda file, backup: PersonalKeys(file, backup, secret, clock), schemas
        )
        try:
            bank.stores.intents.reopen_after(frame)
            bank._catch_up(again=True)
        except BaseException:
            bank.close()
            raise
        return bank

    def _found(self, record: StoredFounding) -> None:
        """Write the first frame and its rows of SQL, unless an interrupted call wrote them."""
        stores = self.stores
        preset = self.preset
        numbers = write(stores.engine, lambda connection: bank_founding.allocate(connection, stores.numbers, preset))
        draft = Draft(
            action=bank_founding.ACTION,
            records=record.records(numbers, preset),
            payload=bank_founding.payload_of(record),
            who=record.id("technical operator"),
            id=record.id("founding"),
        )
        stores.intents.perform(draft).require_created("the bank was not founded: its first frame was refused")

    def _catch_up(self, *, again: bool = False) -> None:
        self.resumed = resumed = self.stores.intents.resume()
        if resumed.done or resumed.lapsed:
            self.findings.append(
                f"{resumed.done + resumed.lapsed} interrupted actions were finished: {resumed.done} done, "
                f"{resumed.lapsed} lapsed"
            )
        self.proposals.catch_up(again=again)
        self.keys.resume()
        self.day.finish()
        self.bulk.answered.find_ended()
        try:
            self.personal.finish_shreds()
            self.personal_keys.complete_backup()
        except UnavailableError as error:
            self.findings.append(f"the backup of the per-person keys is not complete: {error.message}")
        self.stores.jobs.take_over()
        self.run_due()
        self._warn_of_ends()

    def _warn_of_ends(self) -> None:
        """Add a finding if soon fewer than two officers of the board are left: then nothing could be signed again."""
        with self.stores.ledger.sequencer.reading() as state:
            now_ns = max(read_ns(self.stores.clock), state.now_ns)
            officers = [grant for grant in state.grants.values() if grant.is_board and grant.counts(now_ns)]
        last = sorted(
            (
                max(grant.until_ns for grant in officers if grant.person == person)
                for person in {grant.person for grant in officers}
            ),
            reverse=True,
        )[:2]
        if len(last) == 2 and last[1] < now_ns + WARN_NS:
            days = (last[1] - now_ns) // DAY_NS
            self.findings.append(
                f"in {days} days fewer than two officers are left, and then nothing can be signed: appoint officers now"
            )

    def run_due(self) -> int:
        """Run the jobs that are due; return how many runs succeeded. Failing jobs are added to `findings`."""
        done = self.stores.jobs.run_due()
        for job in self.stores.jobs.failing():
            self.findings.append(f"the job {job.name} {job.key} failed {job.attempts} times: {job.error}")
        return done

    def wallet_classes(self) -> dict[str, int]:
        """Return the rule set of each class of wallets, by name."""
        if not self._wallet_classes:
            stores, preset = self.stores, self.preset
            numbers = write(
                stores.engine, lambda connection: bank_founding.allocate(connection, stores.numbers, preset)
            )
            self._wallet_classes = tiers.rule_set_numbers(preset, first_rule_set=numbers["tiers"])
        return self._wallet_classes

    @property
    def is_rehearsal(self) -> bool:
        """Whether the bank has its own clock."""
        return isinstance(self.stores.clock, RehearsalClock)

    @property
    def delivers_messages(self) -> bool:
        """Whether a setting names a way in which codes and notices reach phones."""
        return self.config.delivery is not None

    def set_clock(self, ns: int) -> None:
        """Set the clock of a rehearsal to a later time, end holds that are over by then, and run the jobs that are due.

        Raises UsageError for an earlier time, one that the ledger would refuse, and a bank that is no rehearsal.
        """
        clock = self.stores.clock
        if not isinstance(clock, RehearsalClock):
            raise UsageError(
                f"{self.folder.path} is no rehearsal: it has the machine's clock",
                hint="a bank gets a clock of its own by `sycee init --rehearsal-from`",
            )
        if ns > int(self.stores.ledger.sequencer.frame_times[-1]) + limits.CLOCK_AHEAD_NS_MAX:
            raise UsageError("the clock moves by at most ten years at once", hint="set it to an earlier time first")
        clock.set(ns)
        self.stores.ledger.tick()
        self.run_due()
        self.stores.jobs.wait()  # a server's scheduler may have been the first to see a job of the new time

    def signers(self, *keys: SigningKey) -> list[Signer]:
        """Return the signer of each key: the person who has it by a role of the ledger, or the account with this key.

        Raises UsageError for a key of neither.
        """
        with self.stores.ledger.sequencer.reading() as state:
            now_ns = max(read_ns(self.stores.clock), state.now_ns)
            grants = [grant for grant in state.grants.values() if grant.counts(now_ns)]
        persons = {(int(grant.flags), grant.key): grant.person for grant in grants}
        made = []
        for key in keys:
            person = persons.get((key.public.flags, key.public.key))
            if person is None:
                raise UsageError(
                    f"no person has the key {key.public} in a role now",
                    hint="`sycee officer list` shows the roles; name the file of the private key of one of them",
                )
            made.append(Signer(person, key))
        return made

    def remote_signer_of_person(self, person: int, given: Sequence[Envelope] = ()) -> RemoteSigner:
        """Return a person as a signer whose private key is elsewhere. `given`: the envelopes made there.

        Raises UsageError for a person without a role in the ledger now.
        """
        with self.stores.ledger.sequencer.reading() as state:
            now_ns = max(read_ns(self.stores.clock), state.now_ns)
            keys = [
                PublicKey(int(grant.flags), grant.key)
                for grant in state.grants.values()
                if grant.person == person and grant.counts(now_ns)
            ]
        if not keys:
            raise UsageError(
                f"{ids.format(person)} has no role that signs", hint="two officers appoint a person to a role"
            )
        return RemoteSigner(person, keys[0], given=tuple(given), other_keys=tuple(keys[1:]))

    def remote_signer_of_account(self, account: int, given: Sequence[Envelope] = ()) -> RemoteSigner | None:
        """Return an account as a signer whose private key is elsewhere; None if the account has no key."""
        found = self.stores.ledger.account(account)
        if not found.key:
            return None
        key = PublicKey(found.key_flags, found.key)
        return RemoteSigner(account, key, currency=found.currency, key_epoch=found.key_epoch, given=tuple(given))

    def technical_signers(self) -> list[Signer]:
        """Return the signer for operator 0, whose key is on this machine."""
        return self.signers(self._record.technical_key())

    def check(self) -> list[str]:
        """Return one sentence for each disagreement between SQL and ledger; an empty list if they agree.

        Payments continue meanwhile. A step that is in progress is no disagreement.
        """
        return disagreements(self.stores.intents, self.services())

    def add_schema(self, schema: Schema) -> None:
        """Upgrade the tables of a package above this one, and include them in backups, as `open` does."""
        if schema not in self.schemas:
            upgrade(self.stores.engine, schema)
            self.stores.actions.register(*schema.actions)
            self.schemas = (*self.schemas, schema)

    def close(self) -> None:
        """Close the ledger, the database and the key files."""
        self.personal_keys.close()
        self.stores.engine.dispose()
        self.stores.ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def issuer_of(record: StoredFounding) -> Issuer:
    """Return the issuer's own accounts."""
    return Issuer(record.currency.numeric, **{name.replace("-", "_"): id for name, id in record.accounts().items()})


def _settings(data_folder: DataFolder, founding: Founding) -> dict[str, str]:
    """Return the settings in `sycee.toml` after the founding."""

    def inside(path: Path | str) -> str:
        return os.path.relpath(path, data_folder.path)

    def definition(text: str) -> str:
        return inside(text) if bank_config.is_path(text) else text

    return {
        "currency": founding.currency,
        "zone": founding.zone,
        "preset": definition(founding.preset),
        "retention": definition(founding.retention),
        "master_key": inside(founding.master_key),
        "key_backup": inside(founding.key_backup),
        **founding.settings,
        **{name: inside(founding.settings[name]) for name in ("database_password_file",) if name in founding.settings},
        "rehearsal": "false" if founding.rehearsal_from_ns is None else "true",
    }
