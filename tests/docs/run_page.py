"""Run the blocks of one page in order and print what each said, as JSON: steps on stdin, results on stdout.

A step is {"kind": "python" | "console", "content": ..., "place": ...}. Python blocks share one namespace. A console
command that is one call of `sycee` runs in this process, which costs a third of a new one; every other command is run
by bash in the same folder, and this process runs the calls of `sycee` in it (`warm.CALLER`). Stops at the first Python
block that fails. `warm.py` calls `main` in a process of its own.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import select
import shlex
import socket
import subprocess
import sys
import tempfile
import traceback

from sycee import cli

CALLS = "PAGE_CALLS"  # the variable with the address at which this process runs calls of `sycee`
AT_ONCE = re.compile(r"\| *sycee|(?<![&>])&(?![&>])")  # calls that do not wait for each other
SHELL = re.compile(r"[|;&<>$`*?~#\\\n]")  # a command with one of these needs a shell


def main() -> None:
    namespace: dict[str, object] = {"__name__": "__main__"}
    results = []
    for step in json.load(sys.stdin):
        if step["kind"] == "console":
            content = step["content"]
            is_call = content.startswith("sycee ") and not SHELL.search(content)
            results.append({"output": called(shlex.split(content)[1:]) if is_call else run(content), "error": ""})
            continue
        said, error = io.StringIO(), ""
        try:
            with contextlib.redirect_stdout(said):
                exec(compile(step["content"], step["place"], "exec"), namespace)  # noqa: S102
        except BaseException:
            error = traceback.format_exc()
        results.append({"output": said.getvalue(), "error": error})
        if error:
            break
    json.dump(results, sys.stdout)


def called(words: list[str]) -> str:
    """Return what a command prints to stdout and stderr."""
    said = io.BytesIO()
    stdout, stderr = (io.TextIOWrapper(said, encoding="utf-8", write_through=True) for _ in range(2))
    try:
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            cli.main(words)
        return said.getvalue().decode()
    finally:
        for stream in (stdout, stderr):
            stream.detach()  # or the first that is collected would close `said`


def run(command: str) -> str:
    """Return what a command prints in a shell. Calls of `sycee` run in this process, one after another."""
    with (
        tempfile.TemporaryFile() as said,
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX) as calls,
    ):
        address = f"{folder}/calls"
        calls.bind(address)
        calls.listen()
        ended, held = os.pipe()  # `ended` can be read once no process of the shell holds the other end
        shell = subprocess.Popen(
            ["bash", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=os.environ if AT_ONCE.search(command) else os.environ | {CALLS: address},
            pass_fds=(held,),
        )
        os.close(held)
        while ended not in select.select([calls, ended], [], [])[0]:
            connection, _ = calls.accept()
            with connection:
                answer(connection)
        os.close(ended)
        shell.wait()
        said.seek(0)
        return said.read().decode()


def request(connection: socket.socket) -> tuple[list[str], str, dict[str, str], list[int]]:
    """Return the words, folder, environment and open files of one caller."""
    length, files, _, _ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as asked:
        words, folder, environment = json.loads(asked.read(int.from_bytes(length, "big")))
    return words, folder, environment, files


def answer(connection: socket.socket) -> None:
    """Run the command of one caller with the caller's folder, environment and files, and send its exit code."""
    words, folder, environment, files = request(connection)
    mine = dict(os.environ)
    # By the line, as on a terminal: what is said first is shown first.
    streams = [os.fdopen(file, mode, 1) for file, mode in zip(files, "rww", strict=True)]
    before = sys.stdin, sys.stdout, sys.stderr
    try:
        sys.stdin, sys.stdout, sys.stderr = streams
        set_environment(environment)
        with contextlib.chdir(folder):
            code = cli.main(words)
    except BaseException:
        traceback.print_exc()
        code = 70
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
        set_environment(mine)
        for stream in streams:
            stream.close()
    connection.sendall(bytes([code]))


def set_environment(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
