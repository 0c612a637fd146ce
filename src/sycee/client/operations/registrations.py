"""Registration for a programme by the staff of an operator: people, checks and codes, withdrawals, appeals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sycee.client.calls import Call, Members, Page, action, listed, place, rows, value
from sycee.client.operations.arguments import name_of
from sycee.client.values import ReceiptOfEntry, Registered, RegisteredEntry, RegistrationAppeal, RemovedEntry


def register_person(
    name: str, number: int = 0, *, document: str = "", phone: str = "", bank: str = "", stratum: str = "",
    wallet: int | str = 0, id: int = 0,
) -> Call[ReceiptOfEntry]:  # fmt: skip
    """Register one person now, and return the receipt for the registrant."""
    body = {"document": document, "phone": phone, "bank": bank, "stratum": stratum}
    body |= {"wallet": name_of(wallet)} if wallet else {}
    return action(_of(name, number), body, value(ReceiptOfEntry), id=id)


def register_people(
    name: str, number: int, columns: Mapping[str, Sequence[str]], *, is_confirmed: bool = False, id: int = 0
) -> Call[Registered]:
    """Register up to 10,000 rows of people, given by columns, and return how many were registered."""
    body = {"columns": {column: list(texts) for column, texts in columns.items()}, "confirmed": is_confirmed}
    return action(f"{_of(name, number)}/rows", body, value(Registered), id=id)


def registered_entries(name: str, number: int = 0, *, state: str = "") -> Call[Page[RegisteredEntry]]:
    """Return the entries of an occurrence in a state, or in any, without identities."""
    return listed(_of(name, number), value(RegisteredEntry), query={"state": state} if state else None)


def check_entries(
    name: str, number: int = 0, *, entries: Sequence[int] | None = None, id: int = 0
) -> Call[Mapping[int, str]]:
    """Report that entries were checked, all that wait or these; return the code of each for the person's phone."""

    def make(members: Members) -> Mapping[int, str]:
        return {int(row["entry"]): str(row["code"]) for row in members["rows"]}

    chosen = None if entries is None else list(entries)
    return action(f"{_of(name, number)}/checks", {"entries": chosen}, make, id=id)


def confirm_entry(name: str, number: int, entry: int, code: str, *, id: int = 0) -> Call[RegisteredEntry]:
    """Enter the code of a registrant."""
    return _about(name, number, entry, "code", {"code": code}, id)


def withdraw_entry(name: str, number: int, entry: int, *, is_lapse: bool = False, id: int = 0) -> Call[RegisteredEntry]:
    """Withdraw an entry at the wish of its person, or let a winner lapse who does not answer."""
    return _about(name, number, entry, "withdrawal", {"lapse": is_lapse}, id)


def exclude_entry(name: str, number: int, entry: int, *, reason: str, id: int = 0) -> Call[RegisteredEntry]:
    """Exclude an entry manually: staff, merchant-owner, has-won or other. After the draw, a second person decides."""
    return _about(name, number, entry, "exclusion", {"reason": reason}, id)


def removals(name: str, number: int = 0, *, state: str = "") -> Call[Sequence[RemovedEntry]]:
    """Return the entries that left by hand, oldest first, or those in a state: waiting, left or refused."""
    path = f"/v1/programmes/{place(name)}/occurrences/{number}/removals"
    return rows(path, value(RemovedEntry), query={"state": state} if state else None)


def decide_removal(removal: int, *, allow: bool, id: int = 0) -> Call[RemovedEntry]:
    """Decide an exclusion after the draw, which another person requested."""
    return action(f"/v1/removals/{removal}/decision", {"allow": allow}, value(RemovedEntry), id=id)


def file_appeal(name: str, number: int, entry: int, text: str, *, id: int = 0) -> Call[RegistrationAppeal]:
    """File the appeal of a registrant."""
    return action(f"{_of(name, number)}/{entry}/appeals", {"text": text}, value(RegistrationAppeal, entry=entry), id=id)


def registration_appeals(name: str, number: int = 0) -> Call[Sequence[RegistrationAppeal]]:
    """Return the appeals of an occurrence, oldest first, without their texts."""
    return rows(f"/v1/programmes/{place(name)}/occurrences/{number}/appeals", value(RegistrationAppeal))


def _of(name: str, number: int) -> str:
    return f"/v1/programmes/{place(name)}/occurrences/{number}/registrations"


def _about(name: str, number: int, entry: int, step: str, body: Mapping[str, object], id: int) -> Call[RegisteredEntry]:
    return action(f"{_of(name, number)}/{entry}/{step}", dict(body), value(RegisteredEntry, entry=entry), id=id)
