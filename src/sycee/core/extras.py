"""Optional dependencies: the extras of the package that bring a library, and the error for a missing one."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sycee.core.errors import UnavailableError

# `importlib.metadata` is imported where a library is missing, because its import is slow.


class MissingExtraError(UnavailableError, ImportError):
    """A library is not installed because the extra that brings it was not asked for."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f'{library} is not installed: it comes with the extra "{extra}"', hint=install_line(extra))
        self.library = library
        self.extra = extra


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import libraries of an extra, given by its name, in this block.

    Raises MissingExtraError with the line that installs the extra if a library is missing. Of nested blocks, the outer
    one is named if its extra includes the inner one. A missing module of Sycee itself is a bug and raises
    ModuleNotFoundError.
    """
    try:
        yield
    except MissingExtraError as error:
        if not _libraries(error.extra) <= _libraries(name):
            raise
        raise MissingExtraError(error.library, name) from error
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library in ("", "sycee"):
            raise
        raise MissingExtraError(library, name) from error


def install_line(extra: str) -> str:
    """Return the command that adds an extra to this installation, from the place that Sycee was installed from.

    The place is read from `direct_url.json` (PEP 610), which installers write unless Sycee came from an index.
    """
    from importlib.metadata import distribution

    origin = json.loads(distribution("sycee").read_text("direct_url.json") or "{}")
    edit, place = "", f"sycee[{extra}]"
    if "dir_info" in origin:
        folder = Path(unquote(urlsplit(origin["url"]).path))
        edit = "-e " if origin["dir_info"].get("editable") else ""
        place = f"{'.' if folder == Path.cwd() else folder}[{extra}]"
    elif "vcs_info" in origin:
        place += f" @ {origin['vcs_info']['vcs']}+{origin['url']}@{origin['vcs_info']['commit_id']}"
    elif origin:
        place += f" @ {origin['url']}"
    return f'{_pip()} install {edit}"{place}"'


def _pip() -> str:
    """Return the command of pip that installs where this Python looks."""
    found = shutil.which("pip")
    beside = found is not None and Path(found).parent == Path(sys.executable).parent
    return "pip" if beside else f"{sys.executable} -m pip"


def _libraries(name: str) -> set[str]:
    """Return the requirements of an extra, from the metadata of the installed package."""
    from importlib.metadata import requires

    parted = (each.partition(";") for each in requires("sycee") or ())
    return {library.strip() for library, _, marker in parted if re.search(f"extra == ['\"]{name}['\"]", marker)}
