"""Exporting in the background, while a program goes on using its ledger."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sycee.archive.export import Exported, Exporting
from sycee.core.arguments import short_repr
from sycee.core.errors import UsageError
from sycee.core.fork_guard import Owner
from sycee.sequencer.embedded import Ledger

EVERY_S: Final = 60.0  # a few files of a day at most each minute, which are made one when it is over


class Exporter:
    """A thread that exports what has become durable, every so often, from here to `stop`.

    The ledger is read in slices of a few milliseconds, between frames; payments go on between them.
    """

    def __init__(self, ledger: Ledger, folder: str | Path, *, every_s: float = EVERY_S) -> None:
        """Own the archive in `folder`, made if absent, and begin. Raises what `export` raises, and UsageError where
        `every_s` is not more than 0.
        """  # fmt: skip
        number: object = every_s
        if not isinstance(number, (int, float)) or isinstance(number, bool) or not number > 0:
            raise UsageError(
                f"every_s = {short_repr(number)} is no number of seconds", hint="give one that is more than 0"
            )
        self._owner = Owner()
        self._exporting = Exporting(ledger, folder)
        self._every_s = min(float(every_s), threading.TIMEOUT_MAX)
        self._one = threading.Lock()
        self._ending = threading.Event()
        self._trouble: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="sycee-exporter", daemon=True)
        self._thread.start()

    @property
    def frame(self) -> int:
        """The newest exported frame."""
        return self._exporting.manifest.frame

    @property
    def trouble(self) -> Exception | None:
        """Why the last try in the background failed, or None. It is tried again; nothing exported is lost."""
        return self._trouble

    def flush(self) -> Exported:
        """Export all that is durable now, the registers too; returns when it is done. Raises what `export` raises."""
        self._owner.check("the exporter")
        with self._one:
            if self._ending.is_set():
                raise UsageError("the exporter has been stopped", hint="make another one")
            return self._advance(registers=True)

    def stop(self) -> None:
        """Export what is left, end the thread and let the folder go. Before the ledger is closed.

        A second call does nothing, nor does one in a forked child. Raises what `export` raises; the folder is let go
        all the same.
        """
        if not self._owner.is_here:
            return
        with self._one:
            if self._ending.is_set():
                return
            self._ending.set()
        self._thread.join()
        try:
            self._advance(registers=True)
        finally:
            self._exporting.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _advance(self, *, registers: bool) -> Exported:
        made = self._exporting.advance(registers=registers)
        self._trouble = None
        return made

    def _run(self) -> None:
        while not self._ending.wait(self._every_s):
            with self._one:
                if self._ending.is_set():
                    return
                try:
                    self._advance(registers=False)
                except Exception as error:
                    # Whoever flushes or stops is told of what still stands in the way then.
                    self._trouble = error
