"""Hints name commands that exist: a wrong name in a hint would be found only by the person who needs it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from cyclopts import App

from sycee import cli

SOURCE = Path(cli.__file__).parent.parent
NAMED = re.compile(r"`sycee ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)")


def texts() -> Iterator[tuple[str, str]]:
    """Yield file and text of every string of the source, without docstrings' own rules: they name commands, too."""
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "`sycee " in text else ():
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield str(path.relative_to(SOURCE)), node.value


def exists(words: list[str]) -> bool:
    """Return whether these words are a command, or a command with the first of its arguments."""
    group: App = cli.app
    for word in words:
        if word not in list(group):
            return group is not cli.app and group.default_command is not None
        group = group[word]
    return True


def test_hints_name_commands_that_exist() -> None:
    found = [(file, match) for file, text in texts() for match in NAMED.findall(text)]
    assert len(found) > 40
    assert [(file, words) for file, words in found if not exists(words.split())] == []
