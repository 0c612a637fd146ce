"""Settlement accounts of institutions: encrypted under the institution's own key, found by keyed hash."""

from __future__ import annotations

import re
from typing import Final

from sycee.core.errors import UsageError
from sycee.identity.institutions import SETTLEMENT, SettlementAccount
from sycee.personal.register import Register
from sycee.personal.sealing import SearchKind

_ACCOUNT: Final = re.compile("[A-Z0-9]{4,34}")


def sealed(register: Register, institution: int, text: str) -> SettlementAccount:
    """Return an account at a bank, encrypted under a key of the institution, with its keyed hash.

    Raises UsageError for a text that is no account: its message does not repeat the text.
    """
    normal = "".join(text.split()).upper()
    if not _ACCOUNT.fullmatch(normal):
        raise UsageError("the settlement account is not valid", hint="an account has 4 to 34 letters and digits")
    register.keys.create([institution])
    account = register.seal(institution, SETTLEMENT, normal)
    return SettlementAccount(account, register.hashed(SearchKind.PAPER, f"{SETTLEMENT} {normal}"))
