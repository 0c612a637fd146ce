"""Open a written page in Debian's Chromium without a network, and record its requests and errors."""

from __future__ import annotations

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


@contextmanager
def opened(path: Path, *, width: int = 1280, scheme: str = "light") -> Iterator[Opened]:
    """Open the page."""
    need_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        try:
            context = browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True, service_workers="block"
            )
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
            browser.close()
