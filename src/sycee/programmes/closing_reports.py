"""Closing reports of occurrences: figures from the ledger, names and parts from the stored and published files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import sqlalchemy
from numpy.typing import NDArray

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.canonical_json import canonical
from sycee.core.errors import NotFound, UsageError
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.records.layout import PURSE_BIT, AccountKind, Purpose
from sycee.core.result_codes import Result
from sycee.database.states import DONE
from sycee.database.stores import Stores
from sycee.database.tables import INTENTS
from sycee.database.transactions import reading
from sycee.ledger.state import LedgerState
from sycee.programmes import closing_report, cohort, draw, occurrence_figures, states
from sycee.programmes.closing_report import Effect
from sycee.programmes.definition import Window
from sycee.programmes.dropping import CLAIM, payload_of
from sycee.programmes.estimators import difference_in_means, lin
from sycee.programmes.frozen_tables import ProgrammeTables, programme_tables
from sycee.programmes.occurrence_figures import OccurrenceFigures
from sycee.programmes.occurrence_ids import member_ids
from sycee.programmes.service import Programmes
from sycee.programmes.stored import Occurrence, StoredProgramme

SPENT: Final = (Purpose.PAY_PURSE, Purpose.PAY_OWN)


class ClosingReports:
    """Reports of the programmes of one bank."""

    def __init__(self, stores: Stores, programmes: Programmes) -> None:
        self._stores = stores
        self._programmes = programmes

    def results(self, name: str, occurrence: int = 0, tables: ProgrammeTables | None = None) -> OccurrenceFigures:
        """Return the figures of an occurrence so far, or as of `tables`. Raises UsageError before its drop."""
        stored, found = self.dropped(name, occurrence)
        definition = stored.on(found)
        assert found.number is not None, "it was dropped"
        groups = {each.name: self._programmes.group_of(name, each.name) for each in definition.merchants}
        tables = tables or programme_tables(self._stores.ledger.sequencer, found.number)
        parts, claims = self._parts(stored, found), self._claims(found, tables.frame)
        return occurrence_figures.read(
            tables, definition, operators=stored.operators, parts=parts, groups=groups, claims=claims
        )

    def effect(
        self, name: str, occurrence: int, winners: Sequence[int], others: Sequence[int], *, before_ns: int = 0
    ) -> Effect:
        """Compare what winners and other registrants paid at shops in the spending window.

        `winners`, `others`: accounts of their wallets; who has none paid nothing that is known, and is omitted.
        `before_ns`: also use payments between this time and the draw, which make the interval narrower; 0 for none.
        Raises UsageError for a group of fewer than two.
        """
        stored, found = self.dropped(name, occurrence)
        definition = stored.on(found)
        accounts = [*winners, *others]
        won = np.arange(len(accounts)) < len(winners)
        sequencer = self._stores.ledger.sequencer
        with sequencer.reading() as state:
            times = np.array(sequencer.frame_times)
            outcome = _paid(state, accounts, definition.spending, times)
            before = None
            if before_ns:
                until_ns = definition.draw.beacon_due_ns or definition.registration.until_ns
                before = _paid(state, accounts, Window(before_ns, until_ns), times)
        adjusted = lin(outcome, won, before) if before is not None and np.ptp(before) > 0 else None
        return Effect(difference_in_means(outcome, won), adjusted)

    def write(self, name: str, occurrence: int, folder: Path, effect: Effect | None = None) -> list[Path]:
        """Write the page and the tables of an occurrence into a folder; return the files."""
        stored, found = self.dropped(name, occurrence)
        results = self.results(name, occurrence)
        return closing_report.write(folder, stored.on(found), results, effect, mark=self._stores.mark)

    def files(self, name: str, occurrence: int = 0) -> dict[str, Callable[[], bytes]]:
        """Return what makes the page and each table of an occurrence, by the name of the file. Errors as `write`."""
        stored, found = self.dropped(name, occurrence)
        return closing_report.files(stored.on(found), self.results(name, occurrence), mark=self._stores.mark)

    def dropped(self, name: str, occurrence: int) -> tuple[StoredProgramme, Occurrence]:
        """Return a programme and one of its occurrences. Raises UsageError before its drop."""
        stored, found = self._programmes.get(name), self._programmes.occurrence(name, occurrence)
        if found.state not in (states.DROPPED, states.EXPIRED, states.CLOSED):
            raise UsageError(
                f"{found.title} is {found.state}: a report begins with its drop",
                hint=f"the next step: {states.NEXT_STEPS[found.state]}",
            )
        return stored, found

    def _parts(self, programme: StoredProgramme, occurrence: Occurrence) -> list[tuple[str, NDArray[np.bool_]]]:
        """Return the members of each part of the published list, as masks in cohort order."""
        folder = self._programmes.files_of(occurrence)
        frozen = draw.read_frozen(folder)
        if len(frozen.announcement.strata) == 1:
            return []
        members = cohort.allotment_of(folder, programme.definition).members
        listed = member_ids(frozen.commitments)
        place = {(int(each["low"]), int(each["high"])): at for at, each in enumerate(listed)}
        positions = np.array([place[int(each["low"]), int(each["high"])] for each in members], np.int64)
        return [
            (stratum.name, (positions >= span.start) & (positions < span.stop))
            for stratum, span in frozen.announcement.spans()
        ]

    def _claims(self, occurrence: Occurrence, frame: int) -> list[tuple[int, int]]:
        """Return time and number of the claims that the ledger took up to a frame and whose outcome is stored."""
        chosen = (
            (INTENTS.c.action == CLAIM) & (INTENTS.c.state == DONE) & INTENTS.c.payload.in_(claim_payloads(occurrence))
        )
        chosen &= INTENTS.c.frame <= frame
        query = sqlalchemy.select(INTENTS.c.frame, INTENTS.c.results).where(chosen)
        times = self._stores.ledger.sequencer.frame_times
        with reading(self._stores.engine) as connection:
            return [
                (int(times[frame]), int((np.frombuffer(codes, "<u2") == Result.CREATED).sum()))
                for frame, codes in connection.execute(query)
            ]


def claim_payloads(occurrence: Occurrence) -> list[str]:
    """Return the payloads that intents of an occurrence's claims may have: one for each attempt of its steps."""
    return [
        canonical(payload_of(replace(occurrence, attempt=attempt))).decode()
        for attempt in range(occurrence.attempt + 1)
    ]


def _paid(state: LedgerState, accounts: Sequence[int], window: Window, times: Array) -> NDArray[np.float64]:
    """Return what each account paid to shops within a window, from own money and packets, in minor units."""
    rows = state.rows(np.array([ids.split(each) for each in accounts], ids.ID))
    if (rows < 0).any():
        missing = accounts[int(np.flatnonzero(rows < 0)[0])]
        raise NotFound(f"there is no account {ids.format(missing)}", hint="name accounts of wallets of this bank")
    movements = state.movements
    chosen = movements[np.isin(movements["purpose"], SPENT)]
    moments = times[(chosen["place"] >> np.uint64(PLACE_INDEX_BITS)).astype(np.int64)]
    to_shops = state.accounts["kind"][chosen["credit_row"].astype(np.int64)] == AccountKind.MERCHANT
    chosen = chosen[(moments >= window.from_ns) & (moments < window.until_ns) & to_shops]
    payer = chosen["debit_row"].astype(np.int64)
    is_purse = payer >= PURSE_BIT
    payer[is_purse] = state.all_purses["wallet"][payer[is_purse] - PURSE_BIT].astype(np.int64) - 1
    paid = np.zeros(state.accounts.size, np.float64)
    np.add.at(paid, payer, chosen["amount"].astype(np.float64))
    found: NDArray[np.float64] = paid[rows]
    return found
