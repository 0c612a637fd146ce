"""Run the blocks of one page in order and print what each said, as JSON: `python run_page.py < steps > results`.

A step is {"kind": "python" | "console", "content": ..., "place": ...}. Python blocks share one namespace; each console
command is run by bash in the same folder. Stops at the first Python block that fails.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import traceback


def main() -> None:
    namespace: dict[str, object] = {"__name__": "__main__"}
    results = []
    for step in json.load(sys.stdin):
        if step["kind"] == "console":
            done = subprocess.run(
                ["bash", "-c", step["content"]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            results.append({"output": done.stdout, "error": ""})
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


if __name__ == "__main__":
    main()
