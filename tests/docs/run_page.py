"""Run the blocks of one page in order and print what each said, as JSON: steps on stdin, results on stdout.

A step is {"kind": "python" | "console", "content": ..., "place": ...}. Python blocks share one namespace. A console
command that is one call of `sycee` runs in this process, which costs a third of a new one; every other command is run
by bash in the same folder. Stops at the first Python block that fails. `warm.py` calls `main` in a process of its own.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import subprocess
import sys
import traceback

from sycee import cli

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
    """Return what a command prints in a shell."""
    done = subprocess.run(
        ["bash", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout
