"""Result of a replay, read from movements and purses of the ledger and not from the plan."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from sycee.core.arrays import Array
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.records.layout import PURSE_BIT, AccountKind, Kind, Purpose, PurseState
from sycee.issuance.central_bank import CentralBank
from sycee.ledger.state import LedgerState
from sycee.programmes.definition import Programme
from sycee.programmes.published_results import Figure
from sycee.programmes.records import LiveProgramme
from sycee.sandbox.outcome import Comparison, Hours, OperatorRow, PilotOutcome, Role
from sycee.sandbox.plan import HOUR_NS, Merchants, Targets
from sycee.sequencer.embedded import Ledger


def left_of_packets(ledger: Ledger, programme: int) -> Array:
    """Return the amount left in each claimed packet, in minor units; after expiry, the amount returned."""
    with ledger.sequencer.reading() as state:
        purses = state.purses(programme)
        claimed = purses[purses["wallet"] > 0]
        left: Array = claimed["dropped"] - claimed["spent"] + claimed["refunded"]
    return left


def outcome(
    ledger: Ledger,
    targets: Targets,
    bank: CentralBank,
    live: LiveProgramme,
    merchants: Merchants,
    *,
    registered: int,
    mint_officers: int,
    scale: float,
    **facts: Any,
) -> PilotOutcome:
    """Return the outcome. `facts` are the members of `PilotOutcome` that the ledger does not contain."""
    programme = live.programme
    with ledger.sequencer.reading() as state:
        reader = _Reader(state, bank, live, np.array(ledger.sequencer.frame_times))
        purses = state.purses(live.number)
        paid_from_packets = np.unique(reader.of(Purpose.PAY_PURSE)["place"]).size
        figures = {
            "registered": registered,
            "winners": int(np.count_nonzero(purses["state"] != PurseState.EMPTY)),
            "claimed": int(np.count_nonzero(purses["wallet"])),
            "payments": paid_from_packets,
            "merchants": int(np.count_nonzero(state.accounts["payee"])),
            "budget": reader.total(Purpose.DROP),
            "minted": reader.posted(bank.issuance)[0],
            "mint_officers": mint_officers,
            "spent_from_packets": reader.total(Purpose.PAY_PURSE),
            "spent_own": reader.total(Purpose.PAY_OWN),
            "returned": reader.total(Purpose.RETURN),
        }
        received = reader.received(merchants)
        return PilotOutcome(
            programme=programme,
            scale=scale,
            comparisons=_comparisons(programme, targets, figures, scale),
            hours=reader.hours(programme),
            unclaimed=int(np.count_nonzero(purses["wallet"] == 0)),
            packet_minor=targets.packet,
            flows=reader.flows(programme, figures),
            operators=reader.operators(programme, merchants, received[0]),
            merchant_received_minor=received[0][received[2]],
            merchant_payments=received[1][received[2]],
            synthetic=True,
            operations=state.bound.size,
            movements=state.movements.size,
            **facts,
        )


_TITLES = {
    "registered": "people registered",
    "winners": "winners drawn",
    "claimed": "packets claimed",
    "payments": "payments from packets",
    "merchants": "merchants taking part",
    "budget": "budget dropped",
    "minted": "minted, gross",
    "mint_officers": "officers on each mint",
    "spent_from_packets": "spent from packets",
    "spent_own": "own money spent besides",
    "returned": "returned to the funder",
}
_MONEY = frozenset({"budget", "minted", "spent_from_packets", "spent_own", "returned"})
# Most figures are inputs of the replay. Drop and mint follow from inputs; the ledger computes the returned rest.
_ROLES = {"budget": Role.FOLLOWS, "minted": Role.FOLLOWS, "returned": Role.COMPUTED}


def _comparisons(
    programme: Programme, targets: Targets, figures: dict[str, int], scale: float
) -> tuple[Comparison, ...]:
    budget = targets.packet * targets.winners
    scaled = {**asdict(targets), "budget": budget, "returned": budget - targets.spent_from_packets}
    rows = []
    for name, ledger in figures.items():
        figure: Figure | None = getattr(programme.published, name, None)
        is_derived = name == "minted" or (figure is not None and figure.provenance.mark == "derived")
        source = _source(figure) if figure else ""
        if name == "minted":
            expected, source = budget + targets.spent_own, "derived: budget and own money topped up"
        elif figure is None:
            expected = None
        else:
            # A scaled figure has the factor in its source.
            expected = figure.value if scale == 1 else scaled[name]
            source += "" if scale == 1 else f"; times {scale:g}"
        role = _ROLES.get(name, Role.INPUT)
        rows.append(Comparison(name, _TITLES[name], expected, ledger, name in _MONEY, role, source, is_derived))
    return tuple(rows)


def _source(figure: Figure) -> str:
    source, mark = figure.provenance.source, figure.provenance.mark
    return f"derived: {source}" if mark == "derived" else f"{source} [{mark}]"


class _Reader:
    """Sums and counts over the movements of one replay."""

    def __init__(self, state: LedgerState, bank: CentralBank, live: LiveProgramme, frame_times: Array) -> None:
        self.state, self.bank, self.live = state, bank, live
        self.movements = state.movements
        self.accounts = state.accounts
        self.frame_times = frame_times
        self.times = self.time_of(self.movements["place"])  # (movements,) int64

    def of(self, purpose: Purpose) -> Array:
        chosen: Array = self.movements[self.movements["purpose"] == purpose]
        return chosen

    def total(self, purpose: Purpose) -> int:
        return int(self.of(purpose)["amount"].sum())

    def posted(self, account_id: int) -> tuple[int, int]:
        """Return (debits, credits) of an account; zeros if it is not open."""
        account = self.state.account(account_id)
        return (account.debits_posted, account.credits_posted) if account else (0, 0)

    def hours(self, programme: Programme) -> Hours:
        window = programme.spending
        start = np.arange(window.from_ns, window.until_ns, HOUR_NS)
        own, packets = (self.movements["purpose"] == purpose for purpose in (Purpose.PAY_OWN, Purpose.PAY_PURSE))
        bound = self.state.bound

        def by_hour(times: Array, weights: Array | None = None) -> Array:
            hour = (times - window.from_ns) // HOUR_NS
            inside = (hour >= 0) & (hour < start.size)
            counted = np.zeros(start.size, np.int64)
            np.add.at(counted, hour[inside], 1 if weights is None else weights[inside])
            return counted

        paid_at = np.unique(self.movements["place"][packets], return_index=True)[1]
        claims = bound[(bound["kind"] == Kind.CLAIM) & (bound["result"] == 0)]
        return Hours(
            start_ns=start,
            packets_minor=by_hour(self.times[packets], self.movements["amount"][packets]),
            own_minor=by_hour(self.times[own], self.movements["amount"][own]),
            payments=by_hour(self.times[packets][paid_at]),
            claims=by_hour(self.time_of(claims["place"])),
        )

    def time_of(self, places: Array) -> Array:
        times: Array = self.frame_times[(places >> np.uint64(PLACE_INDEX_BITS)).astype(np.int64)]
        return times

    def received(self, merchants: Merchants) -> tuple[Array, Array, Array]:
        """Return per merchant (minor units, payments), and the order of merchants by amount, largest first."""
        rows = self.state.rows(merchants.accounts)
        paid = np.isin(self.movements["purpose"], (Purpose.PAY_OWN, Purpose.PAY_PURSE))
        size = self.accounts.size
        minor, payments = np.zeros(size, np.int64), np.zeros(size, np.int64)
        np.add.at(minor, self.movements["credit_row"][paid], self.movements["amount"][paid])
        first_leg = paid & (self.movements["leg"] == 0)
        np.add.at(payments, self.movements["credit_row"][first_leg], 1)
        return minor[rows], payments[rows], np.argsort(-minor[rows], kind="stable")

    def operators(self, programme: Programme, merchants: Merchants, received: Array) -> tuple[OperatorRow, ...]:
        is_wallet = self.accounts["kind"] == AccountKind.WALLET
        rows = []
        for place, (operator, party) in enumerate(zip(programme.operators, self.bank.operators, strict=True)):
            mine = is_wallet & (self.accounts["operator"] == place + 1)
            topped_up, issued = self.posted(party.money)
            rows.append(
                OperatorRow(
                    name=operator.name,
                    title=operator.title,
                    wallets=int(np.count_nonzero(mine)),
                    issued_minor=issued,
                    topped_up_minor=topped_up,
                    spent_packets_minor=self._spent_by(mine, Purpose.PAY_PURSE),
                    spent_own_minor=self._spent_by(mine, Purpose.PAY_OWN),
                    received_minor=int(received[merchants.operators == place].sum()),
                )
            )
        return tuple(rows)

    def _spent_by(self, mine: Array, purpose: Purpose) -> int:
        """Return the amount that selected accounts (a mask by row) spent: own money, or money of their purses."""
        movements = self.of(purpose)
        rows = movements["debit_row"].astype(np.int64)
        if purpose is Purpose.PAY_PURSE:
            rows = self.state.tables.purses["wallet"][rows - PURSE_BIT].astype(np.int64) - 1
        return int(movements["amount"][mine[rows]].sum())

    def flows(self, programme: Programme, figures: dict[str, int]) -> tuple[tuple[str, str, int], ...]:
        """Return flows from mint to return as (from, to, minor units)."""
        funder, packets, vaults = programme.funder.name, "packets", "operators' vaults"
        wallets, shops = "own money in wallets", "merchants"
        topped_up, issued = (
            sum(side) for side in zip(*(self.posted(p.money) for p in self.bank.operators), strict=True)
        )
        flows = (
            ("issuance", funder, figures["budget"]),
            ("issuance", vaults, issued),
            (funder, packets, figures["budget"]),
            (vaults, wallets, topped_up),
            (packets, shops, figures["spent_from_packets"]),
            (wallets, shops, figures["spent_own"]),
            (packets, f"{funder} (returned)", figures["returned"]),
        )
        return tuple(flow for flow in flows if flow[2] > 0)
