from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from tests.report import browser
from tests.report.browser import opened

from sycee.core import output_files
from sycee.core.errors import IntegrityError, UnavailableError, UsageError
from sycee.report import chart, page
from sycee.report.chart import Drawing
from sycee.report.page import (
    Column,
    Link,
    Page,
    Paragraph,
    Plot,
    Section,
    SideBySide,
    Table,
    Tile,
    Tiles,
    Verdict,
    YesNo,
)

HOSTILE = """</script><script>document.title="run"</script><img src=x onerror='document.title="run"'>"""
ATTACK = re.compile(r"<script>document\.title|<img src=x")


def line(title: str = "line") -> Drawing:
    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        axes.plot([1, 2], [1, 2], color=chart.colour("first"))
        axes.set_title(title)

    return draw


def made(*blocks: page.Block, title: str = "Title") -> Page:
    return Page("kicker", title, "A promise.", (("seed", "1"),), (), (Section("one", "One", "One", blocks),), "end")


def plot(name: str = "line", **changes: Any) -> Plot:
    return Plot(**({"name": name, "title": "A line", "sentence": "From 1 to 2.", "drawing": line()} | changes))


@pytest.fixture(scope="module")
def rendered() -> str:
    """A page with a plot."""
    return page.render(made(plot()))


def test_text_is_escaped_everywhere() -> None:
    table = Table(HOSTILE, (Column(HOSTILE), Column(HOSTILE)), ((HOSTILE, YesNo(True, HOSTILE)),), folded=HOSTILE)
    blocks = (
        Paragraph(HOSTILE),
        Verdict(True, HOSTILE),
        page.Notice(HOSTILE),
        Tiles((Tile(HOSTILE, HOSTILE, HOSTILE, HOSTILE),)),
        page.Shares(HOSTILE, (page.Share(HOSTILE, HOSTILE, 0.5, HOSTILE, "first"),)),
        page.Facts(((HOSTILE, HOSTILE),), is_code=True),
        page.Command(HOSTILE, HOSTILE),
        page.Points(((HOSTILE, HOSTILE),)),
        SideBySide((table, plot(title=HOSTILE, sentence=HOSTILE, drawing=line(HOSTILE), width_min=100, badge=HOSTILE))),
    )
    whole = Page(
        HOSTILE, HOSTILE, HOSTILE, ((HOSTILE, HOSTILE),), (), (Section("a", HOSTILE, HOSTILE, blocks),), HOSTILE
    )
    html = page.render(whole)
    assert not ATTACK.search(html)
    assert "<script" not in html
    assert html.count("&lt;/script&gt;") > 20


def test_names_in_a_drawing_are_shown_with_their_tags_and_dollar_signs() -> None:
    svg = chart.svg(line("<b>$x$&"), name="plot", width=300, height=200)
    assert "&lt;b&gt;$x$&amp;" in svg


def test_a_drawing_uses_font_and_colours_of_the_page() -> None:
    svg = chart.svg(line(), name="plot", width=300, height=200)
    assert svg.startswith("<svg")
    assert "var(--first)" in svg
    assert "var(--ink)" in svg
    assert not re.search(r"#fe00|font-family|<style|<metadata|<!|<\?xml|xlink", svg)
    assert set(re.findall(r"#[0-9a-f]{6}", svg)) == set(), "a colour that the dark page cannot change"


def test_two_drawings_share_no_reference() -> None:
    html = page.render(made(plot("one"), plot("two")))
    names = re.findall(r' id="([^"]*)"', html)
    assert len(names) == len(set(names))
    references = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', html)
    assert {first or second for first, second in references} <= set(names)


def test_the_colours_of_a_drawing_are_those_of_the_page() -> None:
    style = page._part("style.css")
    assert [name for name in chart.COLOURS if f"--{name}:" not in style] == []


def test_a_character_that_no_font_of_ours_has_is_no_warning() -> None:
    assert "罗湖" in chart.svg(line("罗湖"), name="plot", width=300, height=200)


def test_a_narrow_screen_has_a_second_drawing_unless_it_scrolls(rendered: str) -> None:
    assert rendered.count("<svg") == 3  # the sign in the header, and two
    assert 'class="narrow"' in rendered
    assert 'class="narrow"' not in page.render(made(plot(width_min=800)))


def test_a_link_leads_to_an_address_on_the_web() -> None:
    html = page.render(made(Table("t", (Column("a"),), ((Link("a source", "https://example.org/?a=1&b=2"),),))))
    assert '<a href="https://example.org/?a=1&amp;b=2">a source</a>' in html
    with pytest.raises(IntegrityError, match="not a web address"):
        Link("a source", "javascript:document.title='run'")


def test_a_page_without_plots_is_small() -> None:
    html = page.render(made(Paragraph("words")))
    assert "<script" not in html
    assert len(html) < 40_000


def test_nothing_is_fetched(rendered: str) -> None:
    html = rendered.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)|<link|<iframe|<img|<base|\ssrc=", html)


def test_the_policy_allows_no_script_and_no_connection(rendered: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', rendered)
    assert policy is not None
    for subject in ("default-src", "script-src", "connect-src", "form-action", "base-uri"):
        assert f"{subject} &#39;none&#39;" in policy[1]
    # The policy is before everything that it applies to.
    assert rendered.index("Content-Security-Policy") < rendered.index("<style")


def test_a_plot_has_a_text_for_screen_readers(rendered: str) -> None:
    assert 'role="img" aria-label="A line. From 1 to 2."' in rendered
    assert "<figcaption>From 1 to 2.</figcaption>" in rendered


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(IntegrityError, match="a row has 1 cells"):
        Table("t", (Column("a"), Column("b")), (("one",),))


def test_two_plots_of_one_name_are_refused() -> None:
    with pytest.raises(IntegrityError, match="share a name"):
        page.render(made(plot("same"), plot("same")))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(output_files.os, "fsync", full)
        with pytest.raises(UnavailableError, match="No space left on device"):
            page.write(made(), path)
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]

    page.write(made(title="after"), path)
    assert "<h1>after</h1>" in path.read_text(encoding="utf-8")
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_a_written_page_has_ordinary_permissions(tmp_path: Path) -> None:
    page.write(made(), tmp_path / "report.html")
    (tmp_path / "plain").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("report.html", "plain")]
    assert modes[0] == modes[1]


def test_a_path_that_cannot_be_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        page.write(made(), tmp_path)
    with pytest.raises(UsageError, match="its folder does not exist"):
        page.write(made(), tmp_path / "absent" / "report.html")


def test_the_same_page_gives_the_same_bytes(rendered: str) -> None:
    assert page.render(made(plot())) == rendered


def test_importing_it_imports_neither_matplotlib_nor_jinja() -> None:
    code = "import sys, sycee.report.page, sycee.report.plots; print({'matplotlib', 'jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_hostile_page_does_nothing_in_a_browser(tmp_path: Path) -> None:
    page.write(
        made(Paragraph(HOSTILE), plot(title=HOSTILE, drawing=line(HOSTILE)), title=HOSTILE), tmp_path / "page.html"
    )
    with opened(tmp_path / "page.html") as seen:
        assert seen.page.title() != "run"
        assert seen.page.locator("h1").inner_text() == HOSTILE
        assert seen.complaints == []


def test_the_policy_stops_a_script_that_got_in(tmp_path: Path, rendered: str) -> None:
    html = rendered.replace("</main>", '<script>document.title = "run"</script></main>')
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
