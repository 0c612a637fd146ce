"""The situation of each hour of a running programme, as a job stores it.

The job runs at each full hour of the programme's time zone, from the drop to the expiry. A machine that was off stores
the situation of the moment at which it is on again, under that hour alone: nobody knows the hours before.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core.clock import read_ns
from sycee.core.errors import NotFound
from sycee.database.jobs import Run
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.programmes import states
from sycee.programmes.dropping import SITUATION_JOB
from sycee.programmes.schedule import local_time
from sycee.programmes.situation import Situations
from sycee.programmes.situation_page import document, situation_page
from sycee.programmes.stored import occurrence_in, programme_in
from sycee.programmes.tables import SITUATIONS
from sycee.report import page

HOUR_FORM: Final = "%Y-%m-%dT%H"


@dataclass(frozen=True, slots=True)
class StoredSituation:
    """A stored situation. `hour`: local, such as 2026-11-07T08. `at_ns`: when it was read."""

    hour: str
    at_ns: int


class SituationHistory:
    """Stores and reads situations."""

    def __init__(self, stores: Stores, situations: Situations) -> None:
        self._stores, self._situations = stores, situations
        stores.jobs.register(SITUATION_JOB, self._run, catch_up="last")

    def list(self, name: str, occurrence: int = 0) -> list[StoredSituation]:
        """Return the stored situations of an occurrence, oldest first. Raises NotFound for an unknown occurrence."""
        chosen = (SITUATIONS.c.programme == name) & (SITUATIONS.c.occurrence == occurrence)
        query = sqlalchemy.select(SITUATIONS.c.hour, SITUATIONS.c.at_ns).where(chosen).order_by(SITUATIONS.c.at_ns)
        with reading(self._stores.engine) as connection:
            occurrence_in(connection, name, occurrence)
            return [StoredSituation(row.hour, row.at_ns) for row in connection.execute(query)]

    def page(self, name: str, occurrence: int, hour: str) -> bytes:
        """Return the HTML page of an hour. Raises NotFound for an hour without a situation."""
        return zlib.decompress(self._row(name, occurrence, hour).page)

    def document(self, name: str, occurrence: int, hour: str) -> dict[str, Any]:
        """Return the figures of an hour, as `situation_page.document`. Raises NotFound as `page`."""
        found: dict[str, Any] = json.loads(zlib.decompress(self._row(name, occurrence, hour).document))
        return found

    def _row(self, name: str, occurrence: int, hour: str) -> Any:
        chosen = (SITUATIONS.c.programme == name) & (SITUATIONS.c.occurrence == occurrence)
        query = sqlalchemy.select(SITUATIONS).where(chosen & (SITUATIONS.c.hour == hour))
        with reading(self._stores.engine) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound(
                f"there is no situation of the hour {hour[:20]!r}", hint="`sycee drop situations` lists the hours"
            )
        return row

    def _run(self, run: Run) -> None:
        name, occurrence = run.payload["programme"], run.payload["occurrence"]
        with reading(self._stores.engine) as connection:
            stored, found = programme_in(connection, name), occurrence_in(connection, name, occurrence)
        if found.state != states.DROPPED:
            write(
                self._stores.engine,
                lambda connection: self._stores.jobs.stop(connection, SITUATION_JOB, f"{name} {occurrence}"),
            )
            return
        situation, at_ns = self._situations.read(name, occurrence), read_ns(self._stores.clock)
        figures = json.dumps(document(situation), ensure_ascii=False, separators=(",", ":")).encode()
        row = {
            "programme": name, "occurrence": occurrence,
            "hour": local_time(at_ns, stored.definition.zone).strftime(HOUR_FORM), "at_ns": at_ns,
            "document": zlib.compress(figures),
            "page": zlib.compress(page.render(situation_page(stored.on(found), situation, self._stores.mark)).encode()),
        }  # fmt: skip

        def store(connection: Connection) -> None:
            chosen = (SITUATIONS.c.programme == name) & (SITUATIONS.c.occurrence == occurrence)
            connection.execute(SITUATIONS.delete().where(chosen & (SITUATIONS.c.hour == row["hour"])))
            connection.execute(SITUATIONS.insert().values(row))

        write(self._stores.engine, store)
