from __future__ import annotations

import base64
import hashlib
import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.report import browser
from tests.report.browser import opened

from sycee.core.errors import IntegrityError, UnavailableError, UsageError
from sycee.report import page
from sycee.report.page import Beside, Column, Mark, Page, Paragraph, Plot, Section, Table, Tile, Tiles, Verdict

HOSTILE = """</script><script>document.title="run"</script><img src=x onerror='document.title="run"'>"""
ATTACK = re.compile(r"<script>document\.title|<img src=x")
LINE: dict[str, Any] = {"data": [{"type": "scatter", "x": [1, 2], "y": [1, 2]}], "layout": {"title": {"text": "line"}}}


def made(*blocks: page.Block, title: str = "Title") -> Page:
    return Page("kicker", title, "A promise.", (("seed", "1"),), (), (Section("one", "One", "One", blocks),), "end")


def plot(name: str = "line", **changes: Any) -> Plot:
    return Plot(**({"name": name, "title": "A line", "sentence": "From 1 to 2.", "figure": LINE} | changes))


def own_part(html: str) -> str:
    """The page without the code of its scripts, which mention addresses that nobody asks for."""
    return re.sub(r"<script>.*?</script>", "<script></script>", html, flags=re.DOTALL)


def test_text_is_text_wherever_it_stands() -> None:
    table = Table(HOSTILE, (Column(HOSTILE), Column(HOSTILE)), ((HOSTILE, Mark(True, HOSTILE)),), folded=HOSTILE)
    figure = {"data": [], "layout": {"title": {"text": HOSTILE}}}
    blocks = (
        Paragraph(HOSTILE),
        Verdict(True, HOSTILE),
        page.Notice(HOSTILE),
        Tiles((Tile(HOSTILE, HOSTILE, HOSTILE, HOSTILE),)),
        page.Shares(HOSTILE, (page.Share(HOSTILE, HOSTILE, 0.5, HOSTILE, "first"),)),
        page.Facts(((HOSTILE, HOSTILE),), is_code=True),
        page.Command(HOSTILE, HOSTILE),
        page.Points(((HOSTILE, HOSTILE),)),
        Beside((table, plot(title=HOSTILE, sentence=HOSTILE, figure=figure, width_min=100))),
    )
    whole = Page(
        HOSTILE, HOSTILE, HOSTILE, ((HOSTILE, HOSTILE),), (), (Section("a", HOSTILE, HOSTILE, blocks),), HOSTILE
    )
    html = page.render(whole)
    assert not ATTACK.search(html)
    assert html.count("<script>") == 2
    data = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.DOTALL)
    assert data is not None
    assert json.loads(data[1])["layout"]["title"]["text"] == HOSTILE


def test_the_plotting_library_is_there_once_however_many_plots() -> None:
    html = page.render(made(plot("one"), Beside((plot("two"), plot("three")))))
    assert html.count("plotly.js v") == 1
    assert html.count("<script>") == 2
    assert html.count("data-plot=") == 3


def test_a_page_without_plots_carries_no_script() -> None:
    html = page.render(made(Paragraph("words")))
    assert "<script" not in html
    assert "script-src &#39;none&#39;" in html
    assert len(html) < 40_000


def test_nothing_is_fetched() -> None:
    html = own_part(page.render(made(plot())))
    assert not re.search(r"https?:|//[a-z]|@import|url\(|<link|<iframe|<img|<base|\ssrc=", html.replace("// ", ""))


def test_the_policy_names_exactly_the_scripts_of_the_page() -> None:
    html = page.render(made(plot()))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert re.findall(r"sha256-([^&]+)&", policy[1]) == hashes
    for rule in ("default-src &#39;none&#39;", "connect-src &#39;none&#39;", "form-action &#39;none&#39;"):
        assert rule in policy[1]
    # The policy stands before anything it must hold for.
    assert html.index("Content-Security-Policy") < html.index("<style")


def test_a_plot_has_a_text_for_whoever_cannot_see_it() -> None:
    html = page.render(made(plot()))
    assert 'role="img" aria-label="A line. From 1 to 2."' in html
    assert "<figcaption>From 1 to 2.</figcaption>" in html
    assert "<noscript>" in html


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(IntegrityError, match="a row has 1 cells"):
        Table("t", (Column("a"), Column("b")), (("one",),))


def test_two_plots_of_one_name_are_refused() -> None:
    with pytest.raises(IntegrityError, match="share a name"):
        page.render(made(plot("same"), plot("same")))


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        page.render(made(plot(figure={"data": [{"y": [float("nan")]}], "layout": {}})))


def test_writing_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(page.os, "fsync", full)
        with pytest.raises(UnavailableError, match="No space left on device"):
            page.write(made(), path)
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]

    page.write(made(title="after"), path)
    assert "<h1>after</h1>" in path.read_text(encoding="utf-8")
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_others_may_read_what_was_written_as_any_other_file(tmp_path: Path) -> None:
    page.write(made(), tmp_path / "report.html")
    (tmp_path / "plain").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("report.html", "plain")]
    assert modes[0] == modes[1]


def test_a_path_that_cannot_be_a_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        page.write(made(), tmp_path)
    with pytest.raises(UsageError, match="there is no folder"):
        page.write(made(), tmp_path / "absent" / "report.html")


def test_the_same_page_gives_the_same_bytes() -> None:
    assert page.render(made(plot())) == page.render(made(plot()))


def test_importing_it_waits_for_no_plotly_and_no_jinja() -> None:
    code = "import sys, sycee.report.page, sycee.report.plots; print({'plotly', 'jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_hostile_page_does_nothing_in_a_browser(tmp_path: Path) -> None:
    figure = {"data": LINE["data"], "layout": {"title": {"text": HOSTILE}}}
    page.write(made(Paragraph(HOSTILE), plot(title=HOSTILE, figure=figure), title=HOSTILE), tmp_path / "page.html")
    with opened(tmp_path / "page.html") as seen:
        assert seen.page.title() != "run"
        assert seen.page.locator("h1").inner_text() == HOSTILE
        assert seen.complaints == []


def test_the_policy_stops_a_script_that_got_in(tmp_path: Path) -> None:
    html = page.render(made(plot())).replace("</main>", '<script>document.title = "run"</script></main>')
    html = html.replace("</main>", "<img src='https://example.invalid/x.png' alt=''></main>")
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    with opened(tmp_path / "page.html") as seen:
        assert seen.page.title() != "run"
        assert any("refused" in complaint for complaint in seen.complaints)


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_where_there_is_no_browser(ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "CHROMIUM", Path("/nowhere/chromium"))
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="make services"):
        browser.need_chromium()
