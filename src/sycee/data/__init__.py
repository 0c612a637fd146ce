"""Figures and definitions shipped as TOML, with their sources: a folder for each kind, a file for each name.

`posteriors` has fitted parameters of behaviour as Parquet.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from sycee.core import documents, typos
from sycee.core.documents import Table
from sycee.core.errors import UsageError


def names(folder: str, suffix: str = ".toml") -> tuple[str, ...]:
    """Return the names of the definitions in a folder, sorted: file names without the suffix."""
    path = resources.files(__name__).joinpath(folder)
    files = [file.name for file in path.iterdir()] if path.is_dir() else []
    return tuple(sorted(name.removesuffix(suffix) for name in files if name.endswith(suffix)))


def content(folder: str, name: str, suffix: str = ".toml") -> bytes:
    """Return the bytes of a shipped definition, by one of `names`."""
    return resources.files(__name__).joinpath(folder, f"{name}{suffix}").read_bytes()


def document(folder: str, source: Path | str, what: str) -> Table:
    """Return the document in a file, or the shipped one of this name. Parameters and errors as `file`."""
    name, written = file(folder, source, what)
    return documents.parse(written, name)


def file(folder: str, source: Path | str, what: str) -> tuple[str, bytes]:
    """Return name and bytes of a file, or of the shipped definition of this name; `what` is its role for errors.

    A text with a slash, or one that ends in `.toml`, is a path. Raises UsageError for an unknown name, with the most
    similar one, and the errors of `documents.content` for a path.
    """
    text = str(source)
    if isinstance(source, Path) or "/" in text or "\\" in text or text.endswith(".toml"):
        return text, documents.content(Path(source))
    shipped = names(folder)
    if text not in shipped:
        hint = typos.hint(text, shipped, f"{folder} shipped: {', '.join(shipped)}; a path ends in .toml")
        raise UsageError(f'there is no {what} "{text}"', hint=hint)
    return f"{text}.toml", content(folder, text)
