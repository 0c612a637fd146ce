from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from tests.report.browser import opened
from tests.report.outcomes import comparisons, outcome

from sycee.core import money
from sycee.programmes.definition import Programme, load
from sycee.report import page
from sycee.report.page import Plot, Tiles, Verdict
from sycee.sandbox.outcome import Hours, PilotOutcome, SignerRow
from sycee.sandbox.report import report_page, write_report

# Shapes whose fill is a variable that the page does not define: the browser falls back to black.
WITHOUT_COLOUR = """plot => [...plot.querySelectorAll('[style*="var(--"]')].flatMap(each =>
    [...each.getAttribute("style").matchAll(/var\\((--[a-z-]+)\\)/g)]
        .filter(match => !getComputedStyle(each).getPropertyValue(match[1])).map(match => match[1]))"""
PLOTS = ["hours", "left", "flow", "operators", "lorenz", "ranks"]


@pytest.fixture(scope="module")
def programme() -> Programme:
    return load("luohu-2020")


@pytest.fixture(scope="module")
def told(programme: Programme) -> PilotOutcome:
    return outcome(programme)


@pytest.fixture(scope="module")
def written(told: PilotOutcome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(told, path)
    return path


def text_of(path: Path) -> str:
    """Return the visible text, without scripts, styles and tags."""
    html = re.sub(r"<(script|style)\b.*?</\1>", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def plots_of(told: PilotOutcome) -> dict[str, Plot]:
    return {plot.name: plot for plot in page.plots_in(report_page(told))}


def test_every_figure_is_on_the_page_with_its_source(told: PilotOutcome, written: Path) -> None:
    text = text_of(written)
    for comparison in told.comparisons:
        value = (
            money.format(comparison.ledger, told.programme.currency, code=True)
            if comparison.is_money
            else f"{comparison.ledger:,}"
        )
        both = f"{comparison.title} {'–' if comparison.expected is None else value} {value}"
        assert both in text
        assert comparison.source in text
    for value in ("1,913,847", "50,000", "47,573", "8,764,000.00", "901,000.00", "1,236,000.00", "12,406"):
        assert value in text


def test_it_describes_itself(told: PilotOutcome, written: Path) -> None:
    text = text_of(written)
    for words in (
        told.programme.title,
        "Mon 12 Oct 2020, 18:00 to Sun 18 Oct 2020, 24:00",
        "Asia/Shanghai time",
        "full size",
        f"people, salts and beacon are synthetic, derived from seed {told.seed}",
        "All 9 figures agree with what was published or follows from it, to the cent.",
        "Inputs of the replay: 7; following from inputs: 1; computed by the ledger: 1.",
        "derived: budget less what was spent from packets",
        "Marks of the sources. [2]: read in two or more sources that seem independent. [1]: read in one.",
        told.draw_root,
        told.draw_beacon,
        told.digest,
        "sycee draw verify DIR/draw",
        "sycee verify DIR --authority",
        *(operator.title for operator in told.operators),
        *(phase.name for phase in told.phases),
    ):
        assert words in text


def test_packets_are_counted_by_use(told: PilotOutcome) -> None:
    sentence = plots_of(told)["left"].sentence
    assert "Of 47,573 claimed packets 40,000 were emptied, 6,073 used in part and 1,500 not at all." in sentence
    assert "2,427 more were never claimed" in sentence


def test_each_plot_has_a_sentence_with_numbers(told: PilotOutcome) -> None:
    plots = plots_of(told)
    assert list(plots) == PLOTS
    assert all(re.search(r"\d", plot.sentence) and plot.sentence.endswith(".") for plot in plots.values())
    assert "CNY 1,236,000.00 from packets to Luohu district government (returned)" in plots["flow"].sentence


def test_a_figure_that_differs_is_named_first(told: PilotOutcome) -> None:
    rows = list(told.comparisons)
    rows[7] = replace(rows[7], ledger=rows[7].ledger - 1)
    wrong = replace(told, comparisons=tuple(rows))
    verdict = report_page(wrong).opening[0]
    assert isinstance(verdict, Verdict)
    assert not verdict.good
    assert verdict.text == f"1 of 9 figures differ from what was published or follows from it: {rows[7].title}."


def test_without_anything_published_it_claims_no_agreement(told: PilotOutcome) -> None:
    rows = tuple(replace(comparison, expected=None) for comparison in told.comparisons)
    verdict = report_page(replace(told, comparisons=rows)).opening[0]
    assert isinstance(verdict, Verdict)
    assert "Nothing was published" in verdict.text


def test_a_real_round_has_no_notice_of_seeds(told: PilotOutcome) -> None:
    opening = report_page(replace(told, synthetic=False)).opening
    assert [block.kind for block in opening] == ["verdict", "tiles"]


def test_signers_scale_and_differences_are_on_the_page(told: PilotOutcome, tmp_path: Path) -> None:
    """In one page, because drawing its plots takes longest."""
    signers = (
        SignerRow("officer 1 of the issuer", "01", "officer", 12),
        SignerRow("officer 2 of the issuer", "02", "officer", 12),
        SignerRow("a bank", "03", "operator", 1_300),
    )
    rows = list(told.comparisons)
    rows[7] = replace(rows[7], ledger=rows[7].ledger - 1)
    rows[5] = replace(rows[5], ledger=12_345_600)
    assert rows[5].name == "budget"
    path = tmp_path / "report.html"
    write_report(replace(told, signers=signers, scale=0.01, comparisons=tuple(rows)), path)
    text, html = text_of(path), path.read_text(encoding="utf-8")
    assert "All 1,324 were verified. Their keys are synthetic, derived from the seed." in text
    assert "officer 2 of the issuer officer 12 a bank operator 1,300 all 1,324" in text
    assert "0.01 of the published size" in html
    assert "published, scaled" in html
    assert "CNY 0.01 too little" in html
    assert set(re.findall(r"budget (CNY [\d,.]+)<", html)) == {"CNY 123,456.00"}, "the level of the plot"


def test_without_signers_there_is_no_table_of_signatures(written: Path) -> None:
    assert "Verified signatures" not in text_of(written)


def test_figures_that_an_outcome_lacks_are_left_out(told: PilotOutcome) -> None:
    tiles = report_page(replace(told, comparisons=told.comparisons[:2])).opening[2]
    assert isinstance(tiles, Tiles)
    assert [tile.label for tile in tiles.tiles] == ["registered", "winners"]


def test_names_may_carry_their_unit(told: PilotOutcome) -> None:
    rows = tuple(
        replace(comparison, name=f"{comparison.name}_minor" if comparison.is_money else comparison.name)
        for comparison in comparisons(told.programme)
    )
    assert report_page(replace(told, comparisons=rows)).opening == report_page(told).opening


def test_a_page_has_bins_instead_of_single_packets(written: Path) -> None:
    assert written.stat().st_size < 500_000


def test_the_sources_of_published_figures_are_linked(told: PilotOutcome, written: Path) -> None:
    html = unescape(written.read_text(encoding="utf-8"))
    cited = " ".join(comparison.source for comparison in told.comparisons)
    assert len(told.programme.sources) == 6
    for source in told.programme.sources:
        assert f'<a href="{source.address}">{source.address}</a>' in html
    assert sum(source.name in cited for source in told.programme.sources) == 5  # the sixth names the banks


def test_each_plot_of_synthetic_data_is_marked_so(told: PilotOutcome) -> None:
    assert {plot.badge for plot in plots_of(told).values()} == {"synthetic data"}
    assert {plot.badge for plot in plots_of(replace(told, synthetic=False)).values()} == {""}


def nothing(told: PilotOutcome) -> PilotOutcome:
    """Return an outcome without claims and payments."""
    none = np.zeros(0, np.int64)
    return replace(
        told,
        comparisons=tuple(replace(comparison, ledger=0) for comparison in told.comparisons),
        hours=Hours(none, none, none, none, none),
        left_minor=none,
        flows=(),
        operators=(),
        merchant_received_minor=none,
        merchant_payments=none,
        phases=(),
        draw_root="",
        draw_beacon="",
    )


def test_an_unused_programme_has_a_page(told: PilotOutcome, tmp_path: Path) -> None:
    write_report(nothing(told), tmp_path / "report.html")
    with opened(tmp_path / "report.html") as seen:
        assert seen.complaints == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_it_opens_in_a_browser_without_a_network(written: Path, width: int, scheme: str) -> None:
    with opened(written, width=width, scheme=scheme) as seen:
        for name in PLOTS:
            plot = seen.page.locator(f"#plot-{name}")
            assert plot.locator("svg:visible").count() == 1, name
            assert plot.locator("svg:visible path").count() > 1, name
            assert plot.get_attribute("aria-label")
            assert plot.evaluate(WITHOUT_COLOUR) == [], "a colour was not found"
        # Wide content scrolls within the page; the page itself does not scroll sideways.
        assert seen.page.evaluate("document.documentElement.scrollWidth") == width
        # Paper has the light colours and the wide drawings.
        seen.page.emulate_media(media="print", color_scheme=scheme)
        assert seen.page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--ink')") == "#1b2730"
        assert seen.page.locator(".plot .narrow").first.is_hidden()
        assert seen.complaints == []
        assert seen.requests == [written.as_uri()]


def test_a_hostile_programme_does_nothing(told: PilotOutcome, tmp_path: Path) -> None:
    hostile = '</script><script>document.title="run"</script><b onmouseover=x>"'
    programme = replace(
        told.programme, title=hostile, name=hostile, funder=replace(told.programme.funder, name=hostile)
    )
    operators = tuple(replace(operator, name=hostile, title=hostile) for operator in told.operators[:1])
    flows = ((hostile, "shops", 5), ("shops", hostile, 2))
    write_report(replace(told, programme=programme, operators=operators, flows=flows), tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in html
    assert "<b onmouseover" not in html
    with opened(tmp_path / "report.html") as seen:
        assert seen.page.locator("h1").inner_text() == hostile
        assert "run" not in seen.page.title()[:4]
        assert hostile[:9] in seen.page.locator("#plot-operators").inner_text()
        assert seen.complaints == []
