"""Sentences for wrong arguments, which the option library describes in its own words."""

from __future__ import annotations

from cyclopts import App, CycloptsError, MissingArgumentError
from cyclopts.exceptions import UnusedCliTokensError

from sycee.core import typos


def sentence(error: CycloptsError) -> str:
    """Return what is wrong with the words of a command line, on one line."""
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        keyword = error.keyword or next((each.keyword for each in error.argument.tokens if each.keyword), None)
        if keyword:
            return f"{keyword} needs a value"
        return f"{error.argument.name} is missing: {_usage(error)}"
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f'"{error.unused_tokens[0]}" is one argument too many: {_usage(error)}'
    error.verbose = False
    return " ".join(str(error).split())


def unknown_command(word: str, group: App) -> str:
    """Return the error for a word that is no command of a group, with the nearest one."""
    if word.startswith("-"):
        return f"there is no option {word}"
    names = [name for name in group if not name.startswith("-")]
    near = typos.nearest(word, names)
    suggestion = f'; did you mean "{near}"?' if near else f": there are {', '.join(names)}"
    return f'there is no command "{word}"{suggestion}'


def _usage(error: CycloptsError) -> str:
    """Return the command with its arguments and its required options."""
    words = ["sycee", *(error.command_chain or ())]
    for each in error.app.assemble_argument_collection() if error.app else ():
        if each.index is not None:
            words.append(each.name.upper() if each.required else f"[{each.name.upper()}]")
        elif each.required and each.name.startswith("-"):  # not a group of options, whose name is "*"
            words.append(f"{each.name} {each.name.strip('-').replace('-', '_').upper()}")
    return " ".join(words)
