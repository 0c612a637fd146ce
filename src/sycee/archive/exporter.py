"""Background export of a ledger that a program has open."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final, Self

from sycee.archive.export import ExportResult, ExportSession
from sycee.core.arguments import short_repr
from sycee.core.errors import UsageError
from sycee.core.fork_guard import Owner
from sycee.sequencer.embedded import Ledger

EVERY_S: Final = 60.0  # up to 1,440 small files a day, which are merged when the day is over


class Exporter:
    """Background thread that exports durable frames every `every_s` seconds until `stop`.

    It reads the ledger in slices of a few milliseconds, between frames, so payments continue.
    """

    def __init__(self, ledger: Ledger, folder: str | Path, *, every_s: float = EVERY_S) -> None:
        """Lock the archive in `folder`, created if absent, and start the thread.

        Raises the errors of `export`, and UsageError if `every_s` is not a number > 0.
        """
        number: object = every_s
        if not isinstance(number, (int, float)) or isinstance(number, bool) or not number > 0:
            raise UsageError(f"every_s = {short_repr(number)} is not a number of seconds > 0", hint="such as 60")
        self._owner = Owner()
        self._session = ExportSession(ledger, folder)
        self._every_s = min(float(every_s), threading.TIMEOUT_MAX)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._last_error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="sycee-exporter", daemon=True)
        self._thread.start()

    @property
    def frame(self) -> int:
        """The newest exported frame."""
        return self._session.manifest.frame

    @property
    def last_error(self) -> Exception | None:
        """Error of the last background export, or None if it succeeded. The next one tries again; nothing is lost."""
        return self._last_error

    def flush(self) -> ExportResult:
        """Export all durable frames and the registers now, on the calling thread. Raises the errors of `export`."""
        self._owner.check("the exporter")
        with self._lock:
            if self._stopped.is_set():
                raise UsageError("the exporter has been stopped", hint="create another Exporter")
            return self._advance(registers=True)

    def stop(self) -> None:
        """Export the remaining frames, end the thread and unlock the folder. Call it before closing the ledger.

        Does nothing on a second call or in a forked child. Raises the errors of `export`; the folder is then unlocked
        as well.
        """
        if not self._owner.is_here:
            return
        with self._lock:
            if self._stopped.is_set():
                return
            self._stopped.set()
        self._thread.join()
        try:
            self._advance(registers=True)
        finally:
            self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _advance(self, *, registers: bool) -> ExportResult:
        result = self._session.advance(registers=registers)
        self._last_error = None
        return result

    def _run(self) -> None:
        while not self._stopped.wait(self._every_s):
            with self._lock:
                if self._stopped.is_set():
                    return
                try:
                    self._advance(registers=False)
                except Exception as error:  # `flush` and `stop` raise it again if its cause remains
                    self._last_error = error
