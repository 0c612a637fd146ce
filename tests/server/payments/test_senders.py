"""Token buckets of senders: networks, refills, debts, and the bound of their number."""

from __future__ import annotations

from typing import Any

import pytest

from sycee.core.errors import UsageError
from sycee.server.payments import senders
from sycee.server.payments.senders import Senders, address_of, network_of
from sycee.server.payments.settings import PaymentSettings


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),  # the same sender on a socket of both families
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unknown", "unknown"),
    ],
)
def test_an_address_is_limited_as_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_tokens_are_refilled_up_to_the_burst() -> None:
    found = Senders(PaymentSettings(rate_per_s=10, burst=2))
    assert [found.find("192.0.2.1", 0.0).wait_for_request_s() for _ in range(3)] == [0, 0, 0.1]
    assert found.find("192.0.2.1", 0.05).wait_for_request_s() == pytest.approx(0.05)
    assert found.find("192.0.2.1", 0.101).wait_for_request_s() == 0
    assert [found.find("192.0.2.1", 99.0).wait_for_request_s() for _ in range(3)] == [0, 0, pytest.approx(0.1)]
    assert found.find("192.0.2.2", 99.0).wait_for_request_s() == 0


def test_failures_that_are_found_late_are_owed() -> None:
    found = Senders(PaymentSettings(failures_per_s=2, failures_burst=3))
    sender = found.find("192.0.2.1", 0.0)
    assert sender.wait_after_failures_s() == 0
    for _ in range(13):  # all were admitted before the first one had a result
        sender.count_failure()
    assert sender.wait_after_failures_s() == 5.5
    assert found.find("192.0.2.1", 5.0).wait_after_failures_s() == 0.5
    assert found.find("192.0.2.1", 5.5).wait_after_failures_s() == 0


def test_the_sender_that_was_silent_longest_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(senders, "SENDERS_MAX", 2)
    found = Senders(PaymentSettings(burst=1, rate_per_s=0.001))
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3"):
        found.find(address, 0.0).wait_for_request_s()
    assert len(found) == 2
    assert found.find("192.0.2.1", 0.0).wait_for_request_s() > 0
    assert found.find("192.0.2.2", 0.0).wait_for_request_s() == 0  # it was dropped


@pytest.mark.parametrize("name", ["rate_per_s", "burst", "failures_per_s", "failures_burst", "waiting_max"])
def test_limits_are_positive(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        PaymentSettings(**{name: 0})


@pytest.mark.parametrize(
    ("scope", "forwarded", "address"),
    [
        ({"client": ("192.0.2.1", 5), "headers": [(b"x-forwarded-for", b"192.0.2.9")]}, True, "192.0.2.1"),
        ({"client": None, "headers": [(b"x-forwarded-for", b"192.0.2.9, 192.0.2.8")]}, True, "192.0.2.8"),
        ({"client": None, "headers": [(b"x-forwarded-for", b"a"), (b"x-forwarded-for", b"b")]}, True, "b"),
        ({"client": None, "headers": [(b"x-forwarded-for", b"192.0.2.9")]}, False, ""),
        ({"client": None, "headers": []}, True, ""),
    ],
)
def test_the_address_behind_a_proxy(scope: dict[str, Any], forwarded: bool, address: str) -> None:
    assert address_of(scope, forwarded=forwarded) == address
