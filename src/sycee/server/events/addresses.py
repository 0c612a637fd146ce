"""The network addresses to which webhooks may be sent.

Registries: https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry, 2025-10.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from sycee.core.errors import UsageError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_IPV4_REFUSED: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # unspecified, "this network"
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carrier-grade NAT
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local, with the metadata services of clouds
            "172.16.0.0/12",  # private
            "192.0.0.0/24",
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
# Only global unicast is allocated. All else is loopback, link-local, unique local, multicast, NAT64 or IPv4-mapped.
_IPV6_GLOBAL: Final = IPv6Network("2000::/3")
_IPV6_REFUSED: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # Teredo and other protocols
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which contains any IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)


def networks(text: str, setting: str = "http_webhook_networks") -> tuple[Network, ...]:
    """Return the networks in a text such as "127.0.0.0/8, ::1/128". Raises UsageError for another text."""
    try:
        return tuple(ip_network(each) for each in re.split(r"[\s,]+", text.strip()) if each)
    except ValueError as error:
        raise UsageError(f"{setting}: {error}", hint="write networks such as 10.1.0.0/16, ::1/128") from error


def is_public(address: Address) -> bool:
    """Return whether an address is one of the public internet."""
    if isinstance(address, IPv4Address):
        return all(address not in each for each in _IPV4_REFUSED)
    return address in _IPV6_GLOBAL and all(address not in each for each in _IPV6_REFUSED)


def is_permitted(address: Address, permitted: Sequence[Network]) -> bool:
    """Return whether the settings permit an address that may not be public."""
    return any(address in each for each in permitted)


def checked(texts: Sequence[str], permitted: Sequence[Network], *, is_tls: bool) -> list[Address]:
    """Return the addresses that a name has, if a request may be sent to every one of them.

    Without TLS, only to addresses that the settings permit. Raises UsageError otherwise, and for no address.
    """
    found: list[Address] = []
    for text in texts:
        try:
            address = ip_address(text)
        except ValueError as error:
            raise UsageError(
                f"the address {text[:60]!a} cannot be used", hint="use a name with global addresses"
            ) from error
        if not is_permitted(address, permitted):
            if not is_public(address):
                raise UsageError(
                    f"{address} is not an address of the public internet",
                    hint="the setting http_webhook_networks permits networks of the bank's own",
                )
            if not is_tls:
                raise UsageError("without TLS a webhook could be read on its way", hint="use an https:// address")
        found.append(address)
    if not found:
        raise UsageError("the name has no address", hint="check the name of the host")
    return found
