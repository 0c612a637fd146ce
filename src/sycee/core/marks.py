"""The mark of a bank whose people are invented: the first line of every page, table and export of its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sycee.core import documents

SETTINGS: Final = "sycee.toml"  # in the data folder of a bank
INVENTED_PEOPLE: Final = "invented_people"  # the setting that decides
MARK: Final = "rehearsal, invented people"


def mark_of(folder: Path) -> str:
    """Return the mark of the bank whose data folder this is; "" for a folder without settings, such as a ledger's."""
    settings = folder / SETTINGS
    if not settings.is_file():
        return ""
    table = documents.read(settings)
    return MARK if INVENTED_PEOPLE in table and table.boolean(INVENTED_PEOPLE) else ""


def marked_csv(text: str, mark: str) -> str:
    """Return a CSV text with a mark as a comment on its first line; unchanged for the mark ""."""
    return f"# {mark}\n{text}" if mark else text
