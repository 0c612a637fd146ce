"""Draw the README's picture from the page that `make pilot` writes: python -m tools.readme_picture luohu-report.html.

The picture is an excerpt: the page's head, its totals, and the money spent by hour. It needs Debian's Chromium
(`make services`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tests.report.browser import opened

PICTURE: Final = Path(__file__).resolve().parent.parent / "docs" / "images" / "luohu-report.png"
WIDTH: Final = 1280
LEFT_OUT: Final = "nav, main section:not(#hours), #hours > :not(figure), figcaption { display: none !important }"


def draw(page: Path) -> None:
    """Write the picture of a report's page. Raises Playwright's errors, such as for a page that cannot be opened."""
    with opened(page.resolve(), width=WIDTH) as report:
        report.page.add_style_tag(content=LEFT_OUT)
        box = report.page.locator("#hours figure").bounding_box()
        height = box["y"] + box["height"] + 32
        report.page.set_viewport_size({"width": WIDTH, "height": int(height)})
        report.page.screenshot(path=PICTURE)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
