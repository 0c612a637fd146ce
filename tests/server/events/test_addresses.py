"""Addresses to which webhooks may be sent."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from sycee.core.errors import UsageError
from sycee.server.events.addresses import checked, is_public, networks

REFUSED = """
    0.0.0.0 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.8.9.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1
    192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.9 224.0.0.1 239.1.1.1 240.0.0.1
    255.255.255.255
    :: ::1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:808:808 ::8.8.8.8 64:ff9b::808:808 64:ff9b::7f00:1 64:ff9b:1::1
    100::1 2001::1 2001:0:1::1 2001:10::1 2001:db8::1 2002:7f00:1:: 2002:808:808:: 3fff::1 fc00::1 fd12::1 fe80::1
    fec0::1 ff02::1 5f00::1
"""
PUBLIC = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 172.15.255.255
    172.32.0.0 192.0.1.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255
    2606:4700::1 2001:200::1 2400:cb00::1 2a00::1 3ffe::1
"""


def test_only_addresses_of_the_public_internet_are_public() -> None:
    assert [each for each in REFUSED.split() if is_public(ip_address(each))] == []
    assert [each for each in PUBLIC.split() if not is_public(ip_address(each))] == []


def test_one_wrong_address_refuses_all() -> None:
    assert checked(["8.8.8.8", "2606:4700::1"], (), is_tls=True) == [ip_address("8.8.8.8"), ip_address("2606:4700::1")]
    for wrong in (["8.8.8.8", "127.0.0.1"], ["fe80::1%eth0"], ["localhost"], ["0x7f000001"], []):
        with pytest.raises(UsageError):
            checked(wrong, (), is_tls=True)


def test_permitted_networks_may_be_private_and_without_tls() -> None:
    permitted = networks(" 127.0.0.0/8, ::1/128 10.1.0.0/16")
    for each in ("127.0.0.1", "::1", "10.1.2.3"):
        assert checked([each], permitted, is_tls=False) == [ip_address(each)]
    for wrong in ("10.2.0.1", "::ffff:127.0.0.1"):
        with pytest.raises(UsageError, match="is not an address of the public internet"):
            checked([wrong], permitted, is_tls=True)
    with pytest.raises(UsageError, match="without TLS"):
        checked(["8.8.8.8"], permitted, is_tls=False)
    assert networks("") == ()
    with pytest.raises(UsageError, match="http_webhook_networks"):
        networks("10.1.2.3/16")
