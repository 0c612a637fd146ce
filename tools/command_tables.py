"""The table of commands on a folder and over a server: `python -m tools.pages` writes it, from the commands alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cyclopts import App

from sycee import cli
from sycee.cli import remote, without_server

PAGE: Final = "cli-remote.md"


def tables() -> list[tuple[str, str, str]]:
    """Return (page, name of the part, table)."""
    return [(PAGE, "places", _table())]


def commands(group: App, *words: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of each command that does something, in the order of the help."""
    for name in group:
        if name.startswith("-"):
            continue
        if group[name].default_command:
            yield (*words, name)
        yield from commands(group[name], *words, name)


def _table() -> str:
    folder, server = list(commands(cli.app)), list(commands(remote.app))
    lines = [
        "| command | on a folder and with `--server` | with `--server` only | without `--server` |",
        "|---|---|---|---|",
    ]
    for group in dict.fromkeys(each[0] for each in (*folder, *server)):
        both = [each for each in folder if each[0] == group and each in server]
        only = [each for each in server if each[0] == group and each not in folder]
        without: dict[str, list[tuple[str, ...]]] = {}
        for each in folder:
            if each[0] == group and each not in server:
                why = without_server.reason(each)
                assert why is not None, (
                    f"sycee {' '.join(each)}: give it --server, or a reason in sycee.cli.without_server"
                )
                without.setdefault(why, []).append(each)
        cells = [_names(both), _names(only), "; ".join(f"{_names(each)}: {why}" for why, each in without.items())]
        lines.append(f"| `sycee {group}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _names(found: list[tuple[str, ...]]) -> str:
    """Return the names of commands below their group; "yes" for a command without a group."""
    return ", ".join(f"`{' '.join(each[1:])}`" if len(each) > 1 else "yes" for each in found)
