"""The example of two regimes matches its README: every verdict, a pair without a route, valid signatures."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Final

import pytest

from sycee.compliance import attestations, declarations, library
from sycee.compliance.facts import Assurance, Network
from sycee.compliance.judging.judge import Judge
from sycee.compliance.profiles import Library
from sycee.compliance.routing.routes import NearestMiss, Route, Router
from sycee.compliance.verdicts import ON_PATH, Finding, Force, Report, Verdict
from sycee.core.keys import SigningKey

EXAMPLE: Final = Path(__file__).resolve().parents[2] / "examples" / "two-regimes"
ONE, OTHER = "clean-network-2020", "data-security-initiative-2020"
REAL: Final = {"china-telecom", "huawei", "zte"}
PAIR: Final = "alder-to-walnut"
BY_ONE: Final = "tropic-west-us-br"
BY_OTHER: Final = "tropic-east-us-br"


@pytest.fixture(scope="module")
def network() -> Network:
    return declarations.load([EXAMPLE])


@pytest.fixture(scope="module")
def regimes() -> Library:
    return library.load([ONE, OTHER])


@pytest.fixture(scope="module")
def report(network: Network, regimes: Library) -> Report:
    return Judge(network, regimes, network.as_of).report()


@pytest.fixture(scope="module")
def router(network: Network, regimes: Library) -> Router:
    return Router(network, regimes, network.as_of)


def only(report: Report, rule: str, subject: str) -> Finding:
    (found,) = (each for each in report.findings if each.rule == rule and each.subject == subject)
    return found


def test_its_size(network: Network) -> None:
    kinds = Counter(entity.kind for entity in network.entities.values())
    assert kinds["participant"] == 41
    assert kinds["facility"] == 60
    assert kinds["flow"] == 23
    assert len({entity.facts["state"].value for entity in network.of_kind("participant")}) == 12


def test_only_listed_parties_are_real_and_have_a_source(network: Network) -> None:
    real = {entity.id for entity in network.entities.values() if not entity.synthetic}
    assert real == REAL
    for name in real:
        for fact in network.entities[name].facts.values():
            assert not fact.synthetic
            assert "2020" in fact.source
    for entity in network.entities.values():
        if entity.id not in real:
            assert all(fact.synthetic for fact in entity.facts.values()), entity.id


def test_the_adopting_authority_is_synthetic(network: Network) -> None:
    assert {each.profile for each in network.adoptions} == {ONE, OTHER}
    assert all("synthetic" in each.by and "synthetic" in each.basis for each in network.adoptions)


def test_both_regimes_are_enforced_by_adoption_and_otherwise_advise(network: Network, regimes: Library) -> None:
    for profile in regimes.profiles:
        assert profile.force(network.as_of, network.adoptions) is Force.ENFORCED
        assert profile.force(network.as_of) is Force.ADVISED


def test_every_kind_of_verdict_occurs(report: Report) -> None:
    assert {finding.verdict for finding in report.findings} == set(Verdict)


@pytest.mark.parametrize(
    ("rule", "subject", "verdict"),
    [
        (f"{OTHER}/dsi-1", "redbud-bank", Verdict.PASS),
        (f"{OTHER}/dsi-7", "alder-bank", Verdict.ATTESTED),
        (f"{ONE}/carrier", BY_OTHER, Verdict.FAIL),
        (f"{ONE}/cloud", "cedar-health", Verdict.FAIL),
        (f"{ONE}/apps-offered", "birch-app", Verdict.FAIL),
        (f"{OTHER}/dsi-5", "poplar-support", Verdict.FAIL),
        (f"{OTHER}/dsi-5", "laurel-support", Verdict.PASS),
        (f"{ONE}/cloud", "dogwood-credit", Verdict.UNKNOWN),
        (f"{ONE}/cloud", "alder-insurance", Verdict.PASS),
        (f"{ONE}/cloud-access", "alder-insurance", Verdict.ATTESTED),
        (f"{OTHER}/dsi-1", "cedar-savings", Verdict.CONFLICT),
        (f"{OTHER}/dsi-1", "plum-bank", Verdict.FAIL),
        (f"{OTHER}/dsi-1", "ivy-transfers", Verdict.PASS),
        (f"{OTHER}/dsi-4a", "rowan-transfers", Verdict.WAIVED),
        (f"{OTHER}/dsi-2", "thorn-bank", Verdict.UNKNOWN),
        (f"{ONE}/cable-licence", "harbour-line-us-hk", Verdict.PASS),
        (f"{ONE}/path-places", f"elm-to-nairobi{ON_PATH}ke-exchange", Verdict.FAIL),
        (f"{ONE}/path-places", f"birch-to-yew{ON_PATH}ke-exchange", Verdict.NOT_APPLICABLE),
    ],
)
def test_the_verdicts_of_readme_and_comments(report: Report, rule: str, subject: str, verdict: Verdict) -> None:
    assert only(report, rule, subject).verdict is verdict


def test_diplomatic_traffic_to_one_city_is_attested_on_the_whole_path(report: Report) -> None:
    on_way = [each for each in report.findings if each.subject.startswith(f"elm-to-london{ON_PATH}")]
    inventories = [each for each in on_way if each.rule in (f"{ONE}/path", f"{ONE}/path-places")]
    assert len(inventories) >= 10
    assert all(each.verdict is Verdict.ATTESTED for each in inventories)


def test_control_goes_down_the_chain_of_owners(report: Report) -> None:
    chain = " ".join(only(report, f"{ONE}/carrier", BY_OTHER).chain)
    assert chain.index("china-telecom") < chain.index("tern-holding") < chain.index("tern-cable")


def test_each_regime_alone_joins_the_pair_and_both_together_do_not(router: Router) -> None:
    comparison = router.compare(PAIR)
    one, other = comparison.alone[ONE], comparison.alone[OTHER]
    assert isinstance(one, Route)
    assert isinstance(other, Route)
    assert BY_ONE in one.edges
    assert BY_OTHER in other.edges
    assert isinstance(comparison.together, NearestMiss)
    assert comparison.together.joined
    assert isinstance(comparison.free, Route)


def test_the_route_of_one_regime_breaks_the_other(network: Network, regimes: Library, router: Router) -> None:
    judge = Judge(network, regimes, network.as_of)
    comparison = router.compare(PAIR)
    for keeps, breaks in ((ONE, OTHER), (OTHER, ONE)):
        found = judge.flow(PAIR, comparison.alone[keeps].edges)
        assert not [each for each in found if each.stops and each.profile == keeps]
        assert [each for each in found if each.stops and each.profile == breaks]


def test_other_pairs_have_a_route_under_both(router: Router) -> None:
    for flow in ("alder-to-holly", "mulberry-to-pine", "poplar-to-osier"):
        assert isinstance(router.best(flow), Route), flow


@pytest.mark.parametrize("auditor", ["wren-assurance", "plover-assurance"])
def test_every_signature_is_reproducible(network: Network, auditor: str) -> None:
    key = SigningKey.derive(hashlib.sha256(f"two-regimes example: {auditor}".encode()).digest())
    signed = [each for each in network.attestations if each.by == auditor]
    written = "".join(path.read_text(encoding="utf-8") for path in sorted(EXAMPLE.glob("attestations*.toml")))
    assert len(signed) > 20
    for each in signed:
        assert each.signed
        assert each.assurance is Assurance.THIRD_PARTY
        made = attestations.sign(
            network, each.subject, each.topics, each.facts, each.assurance, each.by, each.as_of, each.expires, key
        )
        assert made in written


def test_the_waiver_ends(network: Network, regimes: Library) -> None:
    later = Judge(network, regimes, date(2021, 3, 1)).findings("rowan-transfers")
    (licence,) = (each for each in later if each.rule == f"{OTHER}/dsi-4a")
    assert licence.verdict is Verdict.FAIL
    assert licence.stops
