"""Temporary PostgreSQL server in a folder, reached over a Unix socket and removed with its context.

The server refuses to run as root; for root it runs as an unprivileged user.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sycee.core.errors import UnavailableError

USER: Final = "sycee"  # database user
UNPRIVILEGED: Final = "nobody"  # system user of the server if this process is root
HINT: Final = "apt-get install postgresql brings it"


@contextmanager
def cluster(folder: Path, settings: Sequence[str] = ()) -> Iterator[Path]:
    """Start a server in this new folder; yield the folder of its socket, and remove both at the end.

    `settings` are `NAME=VALUE`. Other users need execute permission on the parent folders. Raises UnavailableError if
    PostgreSQL is missing or does not start.
    """
    command("postgres")
    folder.mkdir()
    sockets = Path(tempfile.mkdtemp(prefix="sycee-"))  # the path of a socket has a length limit
    if os.geteuid() == 0:
        for owned in (folder, sockets):
            shutil.chown(owned, UNPRIVILEGED)
    data, log = folder / "data", folder / "log"
    options = " ".join(["-c listen_addresses=", *(f"-c {each}" for each in settings), f"-k {sockets}"])
    try:
        run("initdb", "--auth=trust", f"--username={USER}", "--locale=C", "-E", "UTF8", "-D", str(data), folder=folder)
        run("pg_ctl", "-D", str(data), "-w", "-l", str(log), "-o", options, "start", folder=folder)
        try:
            yield sockets
        finally:
            run("pg_ctl", "-D", str(data), "-w", "-m", "fast", "stop", folder=folder)
    finally:
        shutil.rmtree(folder)
        shutil.rmtree(sockets)


def url(sockets: Path, database: str = "postgres") -> str:
    return f"postgresql://{USER}@/{database}?host={sockets}"


def run(program: str, *arguments: str, folder: Path | None = None) -> str:
    """Run a PostgreSQL program and return its output. Raises UnavailableError if it fails."""
    with tempfile.TemporaryFile("w+") as said:  # no pipe: the server would keep its parent's pipe open
        done = subprocess.run(
            [*command(program), *arguments], stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=folder, check=False
        )
        said.seek(0)
        text = said.read().strip()
    if done.returncode:
        hint = "as root, its folder must be where others may pass"
        raise UnavailableError(f"{program}: {text or f'exit code {done.returncode}'}", hint=hint)
    return text


def command(program: str) -> list[str]:
    """Return the path of a program of the newest installed PostgreSQL. Raises UnavailableError if there is none."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: float(each.parent.name), reverse=True)
    path = next((str(each / program) for each in folders if (each / program).exists()), None) or shutil.which(program)
    if path is None or not (folders or shutil.which("postgres")):
        raise UnavailableError("PostgreSQL is not on this machine", hint=HINT)
    if os.geteuid() != 0:
        return [path]
    return ["setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={_group()}", "--clear-groups", path]


def _group() -> str:
    return grp.getgrgid(pwd.getpwnam(UNPRIVILEGED).pw_gid).gr_name
