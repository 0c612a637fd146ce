"""Calls of the command line, as by people and scripts, and their output."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final

from tests.processes import PROCESSES

from sycee import cli

SCALE: Final = 0.002
PILOT: Final = ("pilot", "luohu", "--scale", str(SCALE))
# Restore the handler of SIGINT: tests that are started in the background may ignore the signal.
SCRIPT: Final = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from sycee.cli import main; sys.exit(main())"
)


class CommandResult:
    """Exit code, stdout and stderr of one call of the command line."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def json(self) -> dict[str, Any]:
        """Return the one JSON object on stdout; fail if stdout has anything else."""
        value, end = json.JSONDecoder().raw_decode(self.out)
        assert self.out[end:].strip() == ""
        assert isinstance(value, dict)
        return value


class Command:
    """The command line in a process of its own, with the interface of `subprocess.Popen` that tests use.

    It is forked from the server of `tests.processes`: a new Python would import for two seconds.
    """

    def __init__(self, words: tuple[str, ...], environment: dict[str, str], before: Callable[[], object]) -> None:
        ends = [PROCESSES.Pipe(duplex=False) for _ in range(2)]
        self._process = forked(words, environment, ends[0][1], ends[1][1], before)
        self.stdout, self.stderr = (os.fdopen(os.dup(read.fileno()), encoding="utf-8") for read, _ in ends)
        for read, written in ends:
            read.close()
            written.close()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code."""
        self._process.join(timeout)
        assert self._process.exitcode is not None, "the command has not ended"
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Return the rest of stdout and stderr, after the end."""
        with ThreadPoolExecutor(2) as pool:
            rest = [pool.submit(stream.read) for stream in (self.stdout, self.stderr)]
            out, err = (each.result(timeout) for each in rest)
        self.stdout.close()
        self.stderr.close()
        self.wait(timeout)
        return out, err


def start(*words: str, before: Callable[[], object] = int, **environment: str) -> Command:
    """Start a command with further variables in its environment. `before` is called first in its process."""
    return Command(words, {**os.environ, **environment}, before)


def forked(
    words: tuple[str, ...], environment: dict[str, str], stdout: Connection, stderr: Connection,
    before: Callable[[], object] = int,
) -> BaseProcess:  # fmt: skip
    """Start a command with these files as its stdout and stderr."""
    process = PROCESSES.Process(target=_run, args=(words, environment, stdout, stderr, before))
    process.start()
    return process


def _run(
    words: tuple[str, ...], environment: dict[str, str], stdout: Connection, stderr: Connection,
    before: Callable[[], object],
) -> None:  # fmt: skip
    """Run a command and end the process with its exit code."""
    os.dup2(stdout.fileno(), 1)
    os.dup2(stderr.fileno(), 2)
    for end in {stdout, stderr}:
        end.close()
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # chosen again, from this environment
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    sys.stdout = os.fdopen(1, "w", encoding=encoding)
    sys.stderr = os.fdopen(2, "w", 1, encoding=encoding, errors="backslashreplace")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["sycee", *words]
    before()
    code = cli.main(list(words))
    if sys.stdout is not None:
        sys.stdout.flush()
    os._exit(code)
