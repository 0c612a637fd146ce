"""A `sycee` that starts warm: `python -m tests.docs.warm FOLDER` writes FOLDER/sycee and serves it until stdin ends.

Nearly all that a short command costs is its start, a second of imports, and pages call many. FOLDER/sycee hands its
words, environment, folder and open files to this process, which has imported every command once; a forked child of it
does the work, and FOLDER/sycee ends as that did. `FOLDER/sycee run-page` runs a page (`run_page.py`), whose process
runs the calls of `sycee` in the page's shells: a fork of what has opened banks costs more than most commands.
"""

from __future__ import annotations

import gc
import importlib
import io
import os
import pkgutil
import select
import signal
import socket
import sys
import traceback
from contextlib import redirect_stdout
from pathlib import Path
from typing import NoReturn

from tests.database import sql_cache
from tests.docs import run_page

from sycee import cli
from sycee.bank import bank
from sycee.server import tables

# What commands import late.
ALSO = (
    "alembic",
    "duckdb",
    "segno",
    "sqlalchemy",
    "sycee.archive.check",
    "sycee.bank.bank",
    "sycee.bank.restoring",
    "sycee.sandbox.pilot",
    "sycee.testing.simulator",
)
CALLER = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect(os.environ.pop({calls!r}, {address!r}))
    said = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(said).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(said)
    code = server.recv(1)
sys.exit(code[0] if code else "the warm process gave no exit code")
"""


def child(connection: socket.socket) -> NoReturn:
    """Do what one caller asks, with its files as our own, and tell it the exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    words, folder, environment, files = run_page.request(connection)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    run_page.set_environment(environment)
    # By the line, as on a terminal: what is said first is shown first.
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
    try:
        if words == ["run-page"]:
            sys.modules["__main__"] = run_page  # which processes that a block starts import
            run_page.main()
            code = 0
        else:
            code = cli.main(words)
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
        code = 70
    connection.sendall(bytes([code]))
    os._exit(0)


def main() -> None:
    folder = Path(sys.argv[1])
    for name in (*(f"sycee.cli.{module.name}" for module in pkgutil.iter_modules(cli.__path__)), *ALSO):
        importlib.import_module(name)
    for schema in (*bank.SCHEMAS, tables.SCHEMA):
        assert schema.head  # read from the revisions once, and not again by each child
    sql_cache.share()
    with redirect_stdout(io.StringIO()):  # what a first command imports and builds, each child has then
        assert cli.main(["key", "new", str(folder / "first.pem")]) == 0
    gc.collect()
    gc.freeze()  # the collector of a child touches, and so copies, no object of this process
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children leave nothing behind
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
        listening.listen()
        caller = folder / "sycee"
        caller.write_text(
            CALLER.format(python=sys.executable, address=str(folder / "socket"), calls=run_page.CALLS), encoding="utf-8"
        )
        caller.chmod(0o755)
        print("ready", flush=True)
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
            connection, _ = listening.accept()
            with connection:
                if os.fork() == 0:
                    listening.close()
                    child(connection)


if __name__ == "__main__":
    main()
