"""Figures and definitions shipped as TOML, each with its source: a folder for each sort, a file for each name."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from sycee.core import documents, typos
from sycee.core.documents import Table
from sycee.core.errors import UsageError


def names(folder: str) -> tuple[str, ...]:
    """The names of what is shipped in a folder, sorted. They are those of its files, without `.toml`."""
    place = resources.files(__name__).joinpath(folder)
    files = [file.name for file in place.iterdir()] if place.is_dir() else []
    return tuple(sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml")))


def content(folder: str, name: str) -> bytes:
    """The TOML of the one of this name (one of `names`) as bytes."""
    return resources.files(__name__).joinpath(folder, f"{name}.toml").read_bytes()


def document(folder: str, source: Path | str, what: str) -> Table:
    """The document in a file, or the one that is shipped under a name, as `file` finds it."""
    name, written = file(folder, source, what)
    return documents.parse(written, name)


def file(folder: str, source: Path | str, what: str) -> tuple[str, bytes]:
    """The name and the bytes of a file, or of what is shipped under a name. `what` is what errors call it.

    A text that holds a slash or ends in `.toml` is a path. DocumentError says that a file cannot be read; UsageError
    that nothing of this name is shipped, with the nearest that is.
    """
    text = str(source)
    if isinstance(source, Path) or "/" in text or "\\" in text or text.endswith(".toml"):
        return text, documents.content(Path(source))
    shipped = names(folder)
    if text not in shipped:
        hint = typos.hint(text, shipped, f"{folder} shipped: {', '.join(shipped)}; a path ends in .toml")
        raise UsageError(f'there is no {what} "{text}"', hint=hint)
    return f"{text}.toml", content(folder, text)
