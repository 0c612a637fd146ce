"""Check packs of closed days without trusting the server: their signatures, the signers' keys and their chain."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sycee.core.errors import IntegrityError, UsageError
from sycee.core.keys import PublicKey
from sycee.core.records.day_packs import DayPack, check_chain, check_keys, check_signatures


def verified(files: Mapping[str, bytes], keys: Collection[PublicKey]) -> tuple[DayPack, ...]:
    """Return the packs of days, oldest first, after they were checked against each other and against keys.

    - `files`: the content of each pack by its day, as `api.pack` returns it.
    - `keys`: of those who may close and countersign, from another source than the server.

    Raises IntegrityError for a pack that is missing between others, changed, of another day, signed with another key,
    or signed twice by one person; UsageError for a file that is no pack, and without keys. The newest pack may lack its
    countersignature: `of("countersigner")` is None then. Figures are not checked: `sycee day verify --ledger` does.
    """
    if not keys:
        raise UsageError("no key was given", hint="ask the bank for the keys of its staff, over another channel")
    packs = sorted((_parsed(day, content) for day, content in files.items()), key=lambda each: each.number)
    for each in packs:
        check_signatures(each, complete=each is not packs[-1])
        check_keys(each, keys)
    check_chain(packs)
    return tuple(packs)


def _parsed(day: str, content: bytes) -> DayPack:
    found = DayPack.parse(content, f"the pack of {day}")
    if found.body["day"] != day:
        raise IntegrityError(
            f"the pack of {day} is that of {found.body['day']}",
            hint="the server sent another pack than the requested one",
        )
    return found
