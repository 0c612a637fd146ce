"""Opening of a run's ledger: roles, accounts, groups, rule set, cohort, seal, budget and drop; wallets, if all pay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.errors import IntegrityError
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind
from sycee.core.result_codes import Result
from sycee.issuance import records as bank_records
from sycee.issuance.central_bank import CentralBank
from sycee.issuance.signing import SigningLedger
from sycee.ledger.batch import first_codes
from sycee.programmes.definition import Programme
from sycee.programmes.records import LiveProgramme, drops
from sycee.sandbox.ledger_run.recipients import Recipients
from sycee.sandbox.ledger_run.sending import PART_MAX, Sender
from sycee.sandbox.plan import HOUR_NS, MINUTE_NS
from sycee.sandbox.replay_signers import Authorities, signed
from sycee.sequencer.embedded import Ledger, Signer

NUMBER: Final = 1  # of the programme on its ledger
RULE_SET: Final = 1
GROUP_FIRST: Final = 1
BEFORE_NS: Final = 2 * HOUR_NS  # from the opening of the ledger to the first window
GRANTED_FOR_NS: Final = 3_660 * 24 * HOUR_NS


@dataclass(slots=True, eq=False)
class Bank:
    """A ledger with its parties. `seed` is the material of all ids."""

    programme: Programme
    ledger: Ledger
    clock: SimulatedClock
    seed: bytes
    start_ns: int
    central: CentralBank
    authorities: Authorities
    shop: Array  # (m,) int64: row of each merchant with an account in the city
    shop_account: Array  # (m,) ID; one more for shops outside of the city, if ordinary purchases are paid
    wallet: Array  # (people,) ID
    live: LiveProgramme

    @property
    def operators(self) -> int:
        """Number of operators."""
        return len(self.programme.operators)

    def signed(self, *signers: Signer) -> SigningLedger:
        """Return the ledger with these signers."""
        return signed(self.ledger, self.clock, *signers)

    def ids(self, purpose: str, count: int, times_ns: Array | int | None = None) -> Array:
        """Return ids of a purpose; `times_ns` ascending, or the start of the ledger."""
        moment = self.start_ns if times_ns is None else times_ns
        return ids.derive(self.seed, purpose, count, time_ms=moment // 10**6)

    def issue(self, day: int, moment_ns: int, amounts: list[int]) -> None:
        """Issue to each operator, against reserves, what its customers will top up on a day."""
        self.clock.set(moment_ns)
        issuer, made, signers = self.central.issuer, [], list(self.authorities.officers)
        made_ids = self.ids(f"operators issued {day}", 3 * len(amounts), moment_ns)
        for at, (party, amount) in enumerate(zip(self.central.operators, amounts, strict=True)):
            if amount:
                paid_in, reserve, money = (ids.to_int(each) for each in made_ids[3 * at : 3 * at + 3])
                made.append(bank_records.credit_reserves(paid_in, issuer, party, amount))
                made.append(bank_records.issue((reserve, money), issuer, party, amount))
                signers.append(self.authorities.operators[at])
        if made:
            records = np.concatenate(made)
            require_done(records, self.signed(*signers).submit(records))

    def send_all(self, records: Array, by: Array, moment_ns: int) -> None:
        """Submit records that must succeed. by: (n,) operators, of which equal ones are neighbours."""
        codes = np.zeros(records.size, np.int64)
        sender = self.sender()
        sender.send(records, by, moment_ns, codes)
        sender.finish()
        _require_created(records, codes)

    def sender(self) -> Sender:
        """Return a sender of records that operators sign."""
        return Sender(self.ledger, self.clock, self.authorities.operators)

    def expire(self) -> None:
        """Return the rest of all packets to the funder, at the deadline."""
        expires_ns = self.programme.expires_ns
        self.clock.set(expires_ns)
        record = self.live.expire(ids.to_int(self.ids("programme expired", 1, expires_ns)[0]))
        require_done(record, self.signed(self.authorities.treasury).submit(record))


def open_bank(
    programme: Programme, ledger: Ledger, clock: SimulatedClock, seed: bytes, groups: Array, recipients: Recipients,
    *, people: int, with_ordinary: bool,
) -> Bank:  # fmt: skip
    """Open a programme on an empty ledger, up to its drop. groups: (groups, merchants) bool of accepting shops.

    people: each has the id of a wallet. with_ordinary: open all wallets now, and accounts of all shops.
    """
    start_ns = min(programme.claim.from_ns, programme.spending.from_ns) - BEFORE_NS
    start_ms = start_ns // 10**6
    shop = np.arange(groups.shape[1]) if with_ordinary else np.flatnonzero(groups.any(axis=0))
    central = CentralBank.derive(
        seed,
        currency=programme.currency.numeric,
        zone=programme.zone.key,
        operators=len(programme.operators),
        time_ms=start_ms,
    )
    numbers = tuple(range(GROUP_FIRST, GROUP_FIRST + len(programme.merchants)))
    bank = Bank(
        programme=programme,
        ledger=ledger,
        clock=clock,
        seed=seed,
        start_ns=start_ns,
        central=central,
        authorities=Authorities.derive(programme, seed, time_ms=start_ms),
        shop=shop,
        shop_account=ids.derive(seed, "merchants", shop.size + with_ordinary, time_ms=start_ms),
        wallet=ids.derive(seed, "wallets", people, time_ms=start_ms),
        live=LiveProgramme(programme, NUMBER, RULE_SET, numbers, central.treasury.money, recipients.member),
    )
    _open(bank, groups, recipients)
    if with_ordinary:
        _open_wallets(bank)
    return bank


def _open(bank: Bank, groups: Array, recipients: Recipients) -> None:
    officers = bank.signed(*bank.authorities.officers)
    all_three = bank.signed(*bank.authorities.officers, bank.authorities.treasury)
    roles = bank.authorities.grants(
        bank.ids("roles granted", len(bank.authorities.titles)),
        from_ns=bank.start_ns,
        until_ns=bank.start_ns + GRANTED_FOR_NS,
    )
    bank.clock.set(bank.start_ns)
    require_done(roles, bank.ledger.submit(roles))
    bank.clock.set(bank.start_ns + MINUTE_NS)
    opening = bank.central.opening(bank.ids("bank opened", bank.central.opening_records))
    require_done(opening, officers.submit(opening))
    bank.clock.set(bank.start_ns + 2 * MINUTE_NS)
    launch, seal = bank.live.launch(bank.ids("programme launched", bank.live.records))
    require_done(launch, all_three.submit(launch))
    bank.clock.set(bank.start_ns + 3 * MINUTE_NS)
    _open_shops(bank, groups)
    bank.clock.set(bank.start_ns + 4 * MINUTE_NS)
    budget = int(recipients.minor.sum())
    if budget:
        treasury = bank.central.treasury
        bank.central.credit_reserves(officers, ids.to_int(bank.ids("budget paid in", 1)[0]), treasury, budget)
        bank.central.issue(all_three, bank.ids("budget minted", 2), treasury, budget)
    bank.clock.set(bank.start_ns + 5 * MINUTE_NS)
    shares = recipients.shares()
    if shares:
        drop = drops(bank.ids("packets dropped", len(shares)), NUMBER, shares, seal)
        require_done(drop, bank.signed(bank.authorities.treasury).submit(drop))


def _open_shops(bank: Bank, groups: Array) -> None:
    """Open the account of every shop at its operator, and add it to its groups."""
    group, member = np.nonzero(groups[:, bank.shop])
    operator = shop_operators(bank)
    opening = operations.open_account(
        bank.ids("merchants opened", bank.shop_account.size),
        account=bank.shop_account,
        currency=bank.central.currency,
        kind=AccountKind.MERCHANT,
        suspense=suspense_of(bank.central, operator),
        operator=operator + 1,
    )
    joining = operations.join_group(
        bank.ids("merchants joined", member.size), group=group + GROUP_FIRST, account=bank.shop_account[member]
    )
    records = np.concatenate([opening, joining])
    by = np.concatenate([operator, operator[member]])
    order = np.argsort(by, kind="stable")
    bank.send_all(records[order], by[order], bank.clock.now_ns())


def shop_operators(bank: Bank) -> Array:
    """Return the operator of each account of a shop: (m,) int64."""
    operator: Array = np.arange(bank.shop_account.size) % bank.operators
    operator[: bank.shop.size] = bank.shop % bank.operators
    return operator


def _open_wallets(bank: Bank) -> None:
    """Open the wallet of every person at its operator."""
    operator = np.arange(bank.wallet.size) % bank.operators
    opened = bank.ids("wallets opened", bank.wallet.size)
    order, now_ns = np.argsort(operator, kind="stable"), bank.start_ns + 6 * MINUTE_NS
    for first in range(0, order.size, PART_MAX):
        person = order[first : first + PART_MAX]
        records = wallet_records(bank, opened[first : first + PART_MAX], person, operator[person])
        bank.send_all(records, operator[person], now_ns)


def wallet_records(bank: Bank, operation_ids: Array, person: Array, operator: Array) -> Array:
    """Return the records that open wallets of persons at their operators: (n,) layout.OPERATION."""
    return operations.open_account(
        operation_ids,
        account=bank.wallet[person],
        currency=bank.central.currency,
        kind=AccountKind.WALLET,
        suspense=suspense_of(bank.central, operator),
        operator=operator + 1,
    )


def suspense_of(central: CentralBank, operators: Array) -> Array:
    """Return the suspense account of each operator: (n,) index to (n,) ID."""
    return _ids_of([party.suspense for party in central.operators])[operators]


def vault_of(central: CentralBank, operators: Array) -> Array:
    """Return the account with the money of each operator: (n,) index to (n,) ID."""
    return _ids_of([party.money for party in central.operators])[operators]


def _ids_of(numbers: list[int]) -> Array:
    made = np.empty(len(numbers), ids.ID)
    for at, number in enumerate(numbers):
        made[at] = ids.from_int(number)
    return made


def require_done(records: Array, answers: Array) -> None:
    """Raise IntegrityError with the first operation of the opening or of the expiry that did not succeed."""
    _require_created(records, first_codes(answers))


def _require_created(records: Array, codes: Array) -> None:
    wrong = np.flatnonzero(codes != Result.CREATED)
    if wrong.size:
        at = int(wrong[0])
        raise IntegrityError(
            f"operation {ids.of_record(records[at], 'id'):#x} of the run was refused: "
            f"{Result(int(codes[at])).name}; {wrong.size} of {records.size} failed"
        )
