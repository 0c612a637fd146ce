"""Codes as a delivery service takes them."""

from __future__ import annotations

from sycee.wallets.aliases import Aliases, Code


def taken(aliases: Aliases) -> list[Code]:
    """Return the codes that wait, and mark them as sent."""
    codes = [code for each in aliases.waiting_codes() if (code := aliases.code(each)) is not None]
    for each in codes:
        aliases.sent(each.challenge)
    return codes
