"""The picture of a network: deterministic, without overlapping texts, with a thick route."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest
from tests.compliance import build
from tests.report.browser import opened

from sycee.compliance import declarations, library
from sycee.compliance.facts import Network
from sycee.compliance.judging.judge import Judge
from sycee.compliance.reports import layout, picture
from sycee.compliance.reports.summary import JudgedNetwork
from sycee.compliance.verdicts import Report

EXAMPLE: Final = Path(__file__).resolve().parents[2] / "examples" / "two-regimes"
SVG: Final = "{http://www.w3.org/2000/svg}"
ROUTE: Final = ("us-gateway-1-line", "us-landing-line", "tropic-west-us-br", "br-landing-line", "br-gateway-1-line")

# JavaScript: return the pairs of texts of a drawing whose boxes overlap.
OVERLAPS: Final = """() => {
  const boxes = [...document.querySelectorAll('svg.network text')].filter(t => t.textContent.trim())
    .map(t => ({text: t.textContent, box: t.getBoundingClientRect()}));
  const found = [];
  for (let i = 0; i < boxes.length; i++) for (let j = 0; j < i; j++) {
    const a = boxes[i].box, b = boxes[j].box;
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (across > 0.5 && down > 2.5) found.push(boxes[i].text + ' / ' + boxes[j].text);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def judged() -> JudgedNetwork:
    network = declarations.load([EXAMPLE])
    regimes = library.load(["clean-network-2020", "data-security-initiative-2020"])
    return JudgedNetwork(network, regimes, Judge(network, regimes, network.as_of).report())


def unjudged(network: Network) -> JudgedNetwork:
    regimes = build.library(build.profile(build.rule("participant", build.condition("state", "declared"))))
    return JudgedNetwork(network, regimes, Report(network.digest, regimes.digest, date(2026, 11, 25), ()))


def drawn(judged: JudgedNetwork, **options: Any) -> ET.Element:
    return ET.fromstring(picture.svg(judged, **options))  # noqa: S314 - our own


def classes(root: ET.Element, name: str) -> list[ET.Element]:
    return [each for each in root.iter() if name in each.get("class", "").split()]


def test_the_same_network_looks_the_same(judged: JudgedNetwork) -> None:
    assert picture.svg(judged, route=ROUTE) == picture.svg(judged, route=ROUTE)


def test_the_picture_in_the_guide_is_this_one(judged: JudgedNetwork) -> None:
    image = EXAMPLE.parents[1] / "docs" / "images" / "two-regimes.svg"
    assert image.read_text(encoding="utf-8") == picture.svg(judged)


def test_everything_is_drawn_once(judged: JudgedNetwork) -> None:
    root = drawn(judged)
    links = [each for each in classes(root, "link") if "h30" not in each.get("d", "")]
    edges = [*judged.network.of_kind("span"), *judged.network.of_kind("segment")]
    assert len(links) == len(edges)
    assert len(classes(root, "box")) == 12
    titles = [(each.text or "").split("\n")[0] for each in root.iter(f"{SVG}title")]
    assert len(titles) == len(set(titles)) == len(edges) + 60 + 41


def test_colour_is_the_worst_verdict_and_a_sign_says_the_same(judged: JudgedNetwork) -> None:
    root = drawn(judged)
    groups = {
        (each.find(f"{SVG}title").text or "").split(" (")[0]: each  # type: ignore[union-attr]
        for each in root.iter(f"{SVG}g")
        if each.find(f"{SVG}title") is not None
    }
    (east,) = (each for each in classes(groups["Tropic East US–BR"], "link"))
    assert "fail" in east.get("class", "").split()
    cedar = groups["Cedar Savings"]
    assert cedar.get("class") == "conflict"
    assert [each.text for each in classes(cedar, "sign")] == ["≠"]
    assert "data-security-initiative-2020/dsi-1" in (cedar.find(f"{SVG}title").text or "")  # type: ignore[union-attr]


def test_a_route_is_drawn_over_the_rest_and_its_steps_numbered(judged: JudgedNetwork) -> None:
    root = drawn(judged, route=(*ROUTE, "no-such-link"))
    assert [each.text for each in classes(root, "number")] == ["1", "2", "3", "4", "5"]
    assert len([each for each in classes(root, "route") if "h30" not in each.get("d", "")]) == 5
    assert "the chosen route" in "".join(root.itertext())
    assert "then tropic-west-us-br then" in root.get("aria-label", "")
    assert "the chosen route" not in "".join(drawn(judged).itertext())


def test_a_nearest_miss_is_not_called_a_route(judged: JudgedNetwork) -> None:
    root = drawn(judged, route=ROUTE, is_miss=True)
    assert "the nearest miss, not a route" in "".join(root.itertext())
    said = "".join(root.itertext()) + root.get("aria-label", "")
    assert "chosen" not in said
    assert "No route; the nearest miss is us-gateway" in said
    assert len(classes(root, "miss")) == len(ROUTE) + 1  # with the sample of the legend


def test_steps_keep_apart(judged: JudgedNetwork) -> None:
    places = [
        (float(each.get("cx", "")), float(each.get("cy", ""))) for each in classes(drawn(judged, route=ROUTE), "step")
    ]
    near = [(a, b) for i, a in enumerate(places) for b in places[:i] if (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 < 20**2]
    assert near == []


def test_columns_are_about_as_high(judged: JudgedNetwork) -> None:
    left, right = layout.arrange(judged.network).columns
    heights = [sum(box.height for box in column) for column in (left, right)]
    assert abs(heights[0] - heights[1]) < 0.2 * max(heights)


def test_boxes_do_not_touch(judged: JudgedNetwork) -> None:
    for column in layout.arrange(judged.network).columns:
        for above, below in pairwise(column):
            assert above.y + above.height + layout.GAP == pytest.approx(below.y)


def test_undeclared_states_and_gateways_are_drawn() -> None:
    network = build.network(
        hub=build.facility(),
        stray=build.participant(state="AA", gateway="elsewhere"),
        lost=build.participant(),
        abroad=build.participant(state="BB", gateway="hub"),
        half=build.span(ends=("hub", "elsewhere")),
    )
    root = drawn(unjudged(network))
    said = "".join(root.itertext())
    assert all(name in said for name in ("hub", "stray", "lost", "abroad", layout.UNDECLARED))
    assert [each for each in classes(root, "link") if "h30" not in each.get("d", "")] == []


def test_an_empty_network_is_a_picture() -> None:
    assert drawn(unjudged(build.network())).tag == f"{SVG}svg"


def test_hostile_and_long_names_are_names() -> None:
    name = '</text><script>alert(1)</script>&"' + "界" * 40
    network = build.network(hub=build.facility(state="AA"))
    hub = replace(network.entities["hub"], name=name)
    svg = picture.svg(unjudged(replace(network, title=name, entities={"hub": hub})))
    assert "<script" not in svg
    assert ET.fromstring(svg).tag == f"{SVG}svg"  # noqa: S314 - our own
    assert re.search(r">[^<]*…</text>", svg)


@pytest.mark.parametrize("with_route", [False, True])
def test_texts_do_not_overlap(judged: JudgedNetwork, tmp_path: Path, with_route: bool) -> None:
    path = tmp_path / "picture.html"
    drawing = picture.svg(judged, route=ROUTE if with_route else ())
    path.write_text(f"<!doctype html><html data-drawn><meta charset='utf-8'><body>{drawing}", encoding="utf-8")
    with opened(path, width=1200) as seen:
        assert seen.page.evaluate(OVERLAPS) == []
        assert seen.complaints == []
