"""`sycee demo`: a small economy with its server, on this machine."""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sycee.cli.parameters import Between
from sycee.cli.terminal import console, note, show
from sycee.core.extras import extra


def demo(
    folder: Annotated[
        Path | None, Parameter(help="Folder of the demo, used again at the next start; without it a temporary one.")
    ] = None,
    /,
    *,
    seed: Annotated[
        int, Parameter(help="Number from which people and keys follow.", validator=Between("--seed", 0, 2**63, 7))
    ] = 0,
    port: Annotated[int, Parameter(help="Port on localhost.", validator=Between("--port", 1, 65_535, 8_420))] = 8_420,
) -> int:
    """Start a server with a small seeded economy on this machine, and print what can be tried.

    Its keys are synthetic: everybody can derive them from the seed. Ctrl-C stops it, and removes a temporary folder.
    """
    # Imports and seeding make objects that stay. The server enables collections again.
    gc.disable()
    try:
        return _demo(folder, seed, port)
    finally:
        gc.enable()


def _demo(folder: Path | None, seed: int, port: int) -> int:
    with extra("bank"):
        from sycee.demo.running import run_demo

    def run(place: Path) -> None:
        with console(stderr=True).status("opening the demo") as shown:

            def ready(text: str) -> None:
                shown.stop()
                show(*text.split("\n"))

            run_demo(place, seed=seed, port=port, show=ready, status=shown.update)

    if folder is not None:
        run(folder)
        note(f"{folder} is closed; `sycee demo {folder}` starts it again")
        return 0
    with tempfile.TemporaryDirectory(prefix="sycee-demo-") as made:
        run(Path(made))
    note("the demo is closed, and its folder is removed")
    return 0
