"""`/metrics` for Prometheus: requests, ledger, queue, disk, and what must not grow old. No personal data, no ids.

deploy/alerts.yml has a rule for each figure that needs a person.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from ipaddress import ip_address
from typing import Any, Final

import sqlalchemy
from fastapi import FastAPI, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.engine import Connection

from sycee.bank.bank import Bank
from sycee.core.clock import read_ns
from sycee.core.errors import SyceeError, UnavailableError
from sycee.database.transactions import reading
from sycee.day.calendar import cutoff_ns
from sycee.day.tables import BREAKS
from sycee.issuance.tables import FUNDINGS
from sycee.issuance.tables import SENT as FUNDING_SENT
from sycee.server.backup_tables import BACKUPS, DONE
from sycee.server.backups import FOLDER
from sycee.server.events.addresses import is_permitted, networks
from sycee.server.events.tables import DEAD_LETTERS, DISABLED, WEBHOOKS
from sycee.server.observing import Observations
from sycee.server.payments.senders import address_of
from sycee.server.problems import not_found
from sycee.server.runtime import Runtime
from sycee.wallets.tables import SENT as SWEEP_SENT
from sycee.wallets.tables import SWEEPS

PATH: Final = "/metrics"
PAYMENTS: Final = "pay_signed"  # the operation of the path for signed payments
_NS: Final = 10**9


def add_metrics(app: FastAPI, runtime: Runtime, observations: Observations, listeners: Callable[[], int]) -> None:
    """Serve the metrics to the networks of the setting `http_metrics`. `listeners`: number of open event streams."""
    text = runtime.bank.config.text
    permitted = networks(text("http_metrics"), "http_metrics")
    forwarded = text("http_address").startswith("unix:")
    registry = CollectorRegistry()
    registry.register(_Requests(app, runtime, observations, listeners))
    registry.register(_Bank(runtime.bank))
    ProcessCollector(namespace="sycee", registry=registry)

    async def metrics(request: Request) -> Response:
        if not _may_read(address_of(request.scope, forwarded=forwarded)):
            raise not_found("path")
        content = await runtime.run(generate_latest, registry)
        return Response(content, media_type=CONTENT_TYPE_LATEST)

    def _may_read(address: str) -> bool:
        try:
            return is_permitted(ip_address(address), permitted)
        except ValueError:
            return False

    app.add_api_route(PATH, metrics, methods=["GET"], include_in_schema=False)


class _Requests(Collector):
    """Figures of the server itself."""

    def __init__(
        self, app: FastAPI, runtime: Runtime, observations: Observations, listeners: Callable[[], int]
    ) -> None:
        self._app, self._runtime, self._observations, self._listeners = app, runtime, observations, listeners

    def collect(self) -> Iterable[Metric]:
        """Yield the figures."""
        payments: Any = self._app.state.payments
        requests = CounterMetricFamily(
            "sycee_requests", "Requests by operation and status.", labels=("operation", "status")
        )
        for (operation, status), count in sorted(self._observations.requests.items()):
            requests.add_metric((operation, str(status)), count)
        for status, count in sorted(payments.counts.items()):
            requests.add_metric((PAYMENTS, str(status)), count)
        yield requests
        durations = HistogramMetricFamily(
            "sycee_request_seconds", "Time from a request to the end of its answer.", labels=("operation",)
        )
        for operation, found in sorted({**self._observations.durations, PAYMENTS: payments.durations}.items()):
            durations.add_metric((operation,), found.buckets(), found.total_s)
        yield durations
        yield _gauge("sycee_payments_waiting", "Signed payments without an answer.", payments.waiting)
        yield _gauge("sycee_service_calls", "Calls of services that run or wait.", self._runtime.calls)
        yield _gauge("sycee_event_streams", "Open streams of events.", self._listeners())


class _Bank(Collector):
    """Figures of the bank: ledger, disk, and everything that waits for a person or for another bank."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank

    def collect(self) -> Iterable[Metric]:
        """Yield the figures. Those that cannot be read now are omitted, and counted."""
        failed = 0
        for part in (self._ledger, self._disk, self._waiting, self._webhooks, self._suspense, self._day, self._backups):
            try:
                yield from part()
            except (SyceeError, OSError, sqlalchemy.exc.SQLAlchemyError):
                failed += 1
        yield _gauge("sycee_metrics_unreadable", "Groups of figures that could not be read.", failed)

    def _ledger(self) -> Iterator[Metric]:
        sequencer = self._bank.stores.ledger.sequencer
        try:
            sequencer.check_running()
        except UnavailableError:
            yield _gauge("sycee_ledger_stopped", "1 if the ledger takes no more operations.", 1)
            return
        yield _gauge("sycee_ledger_stopped", "1 if the ledger takes no more operations.", 0)
        yield CounterMetricFamily("sycee_frames", "Durable frames.", value=sequencer.durable_sequence)
        yield _gauge("sycee_queue_operations", "Operations that are admitted and not durable.", sequencer.waiting)
        newest_ns = int(sequencer.frame_times[-1])
        yield _gauge("sycee_frame_age_seconds", "Age of the newest durable frame.", self._age_s(newest_ns))

    def _disk(self) -> Iterator[Metric]:
        free = shutil.disk_usage(self._bank.folder.path).free
        yield _gauge("sycee_disk_free_bytes", "Bytes left on the disk of the data folder.", free)

    def _waiting(self) -> Iterator[Metric]:
        with reading(self._bank.stores.engine) as connection:
            oldest = [
                *_oldest(connection, FUNDINGS, FUNDINGS.c.state == FUNDING_SENT),
                *_oldest(connection, SWEEPS, SWEEPS.c.state == SWEEP_SENT),
            ]
            chosen = sqlalchemy.select(sqlalchemy.func.min(BREAKS.c.opened_day), sqlalchemy.func.count())
            day, breaks = connection.execute(chosen.where(BREAKS.c.closed_day.is_(None))).one()
        age_s = max((self._age_s(ns) for ns, _ in oldest), default=0)
        yield _gauge("sycee_transits", "Payments that wait for another bank.", sum(count for _, count in oldest))
        yield _gauge("sycee_transit_age_seconds", "Age of the oldest payment that waits for another bank.", age_s)
        opened_ns = self._cutoff_ns(date.fromisoformat(day)) if breaks else 0
        yield _gauge("sycee_breaks", "Differences that a close found and nobody closed.", breaks)
        yield _gauge("sycee_break_age_seconds", "Age of the oldest break.", self._age_s(opened_ns) if breaks else 0)
        yield _gauge("sycee_intents", "Stored actions without an outcome.", self._bank.stores.intents.pending())

    def _webhooks(self) -> Iterator[Metric]:
        count = sqlalchemy.select(sqlalchemy.func.count())
        with reading(self._bank.stores.engine) as connection:
            disabled = connection.scalar(count.where(WEBHOOKS.c.state == DISABLED))
            letters = connection.scalar(count.select_from(DEAD_LETTERS))
        yield _gauge("sycee_webhooks_disabled", "Webhooks that failed for too long.", disabled or 0)
        yield _gauge("sycee_dead_letters", "Events that no receiver took by the last attempt.", letters or 0)

    def _suspense(self) -> Iterator[Metric]:
        registry = self._bank.registry
        accounts = [registry.issuer.suspense, *(each.accounts.suspense for each in registry.operators())]
        with self._bank.stores.ledger.sequencer.reading() as state:
            found = [state.account(each) for each in accounts]
        minor = sum(each.balance for each in found if each is not None)
        yield _gauge("sycee_suspense_minor", "Money in suspense, in minor units: a person must decide.", minor)

    def _day(self) -> Iterator[Metric]:
        late_s = self._age_s(self._cutoff_ns(self._bank.day.next_day()))
        yield _gauge(
            "sycee_day_overdue_seconds", "Time since the cut-off of the oldest day that is not closed.", late_s
        )

    def _backups(self) -> Iterator[Metric]:
        if not self._bank.config.text(FOLDER):
            return
        newest = sqlalchemy.select(sqlalchemy.func.max(BACKUPS.c.at_ns)).where(BACKUPS.c.state == DONE)
        with reading(self._bank.stores.engine) as connection:
            at_ns = connection.scalar(newest)
        age_s = float("inf") if at_ns is None else self._age_s(int(at_ns))
        yield _gauge(
            "sycee_backup_age_seconds", "Age of the newest complete backup over HTTP; +Inf without one.", age_s
        )

    def _cutoff_ns(self, day: date) -> int:
        text = self._bank.config.text
        return cutoff_ns(day, text("cutoff"), text("zone"))

    def _age_s(self, ns: int) -> float:
        return max(0, read_ns(self._bank.stores.clock) - ns) / _NS


def _oldest(connection: Connection, table: sqlalchemy.Table, chosen: Any) -> list[tuple[int, int]]:
    """Return the time of the oldest chosen row, with the number of chosen rows; [] for none."""
    query = sqlalchemy.select(sqlalchemy.func.min(table.c.at_ns), sqlalchemy.func.count()).where(chosen)
    at_ns, count = connection.execute(query).one()
    return [(int(at_ns), int(count))] if count else []


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)
