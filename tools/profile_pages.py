"""Write the pages of the shipped profiles: python -m tools.profile_pages."""

from __future__ import annotations

from pathlib import Path

from sycee import data
from sycee.compliance import library
from sycee.compliance.reports import profile_page

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "profiles"


def made() -> dict[str, str]:
    """Return the pages by file name."""
    return profile_page.texts(library.load(data.names("profiles")))


def main() -> None:
    """Write the pages, and delete those of profiles that are no longer shipped."""
    FOLDER.mkdir(exist_ok=True)
    pages = made()
    for old in FOLDER.glob("*.md"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
