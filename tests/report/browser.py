"""Open a written page in Debian's Chromium without a network, and record its requests and errors.

Starting the browser takes a second: all tests of a process share one, each in a context of its own.
"""

from __future__ import annotations

import asyncio
import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Report refusals of the policy to the console, whose messages are recorded; some browsers are silent otherwise.
REFUSALS = "addEventListener('securitypolicyviolation', event => console.error('refused', event.violatedDirective))"
PATIENCE_MS = 60_000  # two shared cores may be busy with other tests


@dataclass
class Opened:
    """An open page, its requests and its errors."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


def need_chromium() -> None:
    """Skip the test where there is no Chromium; under CI that is a failure."""
    if CHROMIUM.exists():
        return
    if os.environ.get("CI") == "true":
        pytest.fail("Chromium is not installed, and CI must not skip what needs it: `make services`")
    pytest.skip("NOT RUN: Chromium is not installed (`make services` brings it)")


class _Browser:
    """The browser of this process, started by its first page and closed at the end of the process."""

    def __init__(self) -> None:
        from playwright.sync_api import sync_playwright

        self._playwright = sync_playwright().start()
        self.chromium = self._playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        self._loop = asyncio.get_running_loop()
        atexit.register(self._close)

    def enter(self) -> None:
        """Let the event loop of Playwright be the running loop of this thread."""
        asyncio._set_running_loop(self._loop)

    def leave(self) -> None:
        """Let other tests run event loops: that of Playwright runs until the end of the process."""
        asyncio._set_running_loop(None)

    def _close(self) -> None:
        self.enter()
        self.chromium.close()
        self._playwright.stop()


_browser: _Browser | None = None


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield the browser of this process."""
    global _browser
    need_chromium()
    if _browser is None:
        _browser = _Browser()
    _browser.enter()
    try:
        yield _browser.chromium
    finally:
        _browser.leave()


@contextmanager
def opened(path: Path, *, width: int = 1280, scheme: str = "light") -> Iterator[Opened]:
    """Open the page."""
    with chromium() as browser:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True, service_workers="block"
        )
        try:
            seen = Opened(context.new_page())
            seen.page.on("request", lambda request: seen.requests.append(request.url))
            seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
            seen.page.on(
                "console",
                lambda message: seen.complaints.append(message.text) if message.type in ("error", "warning") else None,
            )
            seen.page.add_init_script(REFUSALS)
            seen.page.goto(path.as_uri(), timeout=PATIENCE_MS)
            yield seen
        finally:
            context.close()
