"""Registration for a programme by the staff of an operator: people, checks and codes, withdrawals, appeals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sycee.client.calls import Call, Members, Page, action, listed, made, place, post, read, rows, value
from sycee.client.exchange import Conversation, Session
from sycee.client.operations.arguments import name_of
from sycee.client.values import (
    AppealTexts,
    EntryCount,
    LookedEntry,
    ReceiptOfEntry,
    Registered,
    RegisteredEntry,
    RegistrationAppeal,
    RemovedEntry,
    Screened,
)


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


def registered_entries(name: str, number: int = 0, *, state: str = "", after: int = -1) -> Call[Page[RegisteredEntry]]:
    """Return the entries behind entry `after` in a state, or in any, by number, without identities."""
    query = ({"state": state} if state else {}) | ({"after": str(after)} if after >= 0 else {})
    return listed(_of(name, number), value(RegisteredEntry), query=query)


def entry_counts(name: str, number: int = 0) -> Call[Sequence[EntryCount]]:
    """Return how many entries are in which state, for which reason."""
    return rows(f"{_of(name, number)}/counts", value(EntryCount))


def screen_entries(name: str, number: int = 0, *, id: int = 0) -> Call[Screened]:
    """Find duplicates, and exclude staff, owners of merchants and earlier holders, as happens before the freeze."""
    return action(f"{_of(name, number)}/screening", {}, value(Screened), id=id)


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
    """Return the entries that were removed manually, oldest first, or those in a state: waiting, left or refused."""
    path = f"/v1/programmes/{place(name)}/occurrences/{number}/removals"
    return rows(path, value(RemovedEntry), query={"state": state} if state else None)


def decide_removal(removal: int, *, allow: bool, id: int = 0) -> Call[RemovedEntry]:
    """Decide an exclusion after the draw, which another person requested."""
    return action(f"/v1/removals/{removal}/decision", {"allow": allow}, value(RemovedEntry), id=id)


def file_appeal(name: str, number: int, entry: int, text: str, *, id: int = 0) -> Call[RegistrationAppeal]:
    """File the appeal of a registrant."""
    return action(f"{_of(name, number)}/{entry}/appeals", {"text": text}, value(RegistrationAppeal, entry=entry), id=id)


def registration_appeals(name: str, number: int = 0, *, state: str = "") -> Call[Sequence[RegistrationAppeal]]:
    """Return the appeals of an occurrence, oldest first, without their texts. `state`: open, allowed or refused."""
    path = f"/v1/programmes/{place(name)}/occurrences/{number}/appeals"
    return rows(path, value(RegistrationAppeal), query={"state": state} if state else None)


def appeal_texts(appeal: int | str) -> Call[AppealTexts]:
    """Return the texts of an appeal and of its answer, for a person who may decide it."""
    name = name_of(appeal)
    return read(f"/v1/appeals/{name}/texts", value(AppealTexts, appeal=name))


def decide_appeal(appeal: int | str, *, allow: bool, answer: str, id: int = 0) -> Call[RegisteredEntry]:
    """Decide an appeal that another person filed, and return the entry. `answer`: for the registrant."""
    path = f"/v1/appeals/{name_of(appeal)}/decision"
    return action(path, {"allow": allow, "answer": answer}, value(RegisteredEntry), id=id)


def read_receipt(name: str, number: int, entry: int, *, reason: str, case: int) -> Call[ReceiptOfEntry]:
    """Return the receipt of an entry again, after an entry in the access log."""
    body = {"reason": reason, "case": case}
    make = value(ReceiptOfEntry, entry=entry)

    def converse(session: Session) -> Conversation[ReceiptOfEntry]:
        response = yield post(f"{_of(name, number)}/{entry}/receipt", body)
        return made(response, make)

    return Call(converse)


def look_up_entries(
    name: str, number: int = 0, *, reason: str, case: int, entry: int | None = None, document: str = "",
    phone: str = "",
) -> Call[Sequence[LookedEntry]]:  # fmt: skip
    """Return what support answers about one entry, document or phone, after an entry in the access log."""
    body: dict[str, object] = {"reason": reason, "case": case, "document": document, "phone": phone}
    body |= {"entry": entry} if entry is not None else {}
    make = value(LookedEntry)

    def converse(session: Session) -> Conversation[Sequence[LookedEntry]]:
        response = yield post(f"{_of(name, number)}/lookups", body)
        return made(response, lambda members: tuple(make(row) for row in members["rows"]))

    return Call(converse)


def _of(name: str, number: int) -> str:
    return f"/v1/programmes/{place(name)}/occurrences/{number}/registrations"


def _about(name: str, number: int, entry: int, step: str, body: Mapping[str, object], id: int) -> Call[RegisteredEntry]:
    return action(f"{_of(name, number)}/{entry}/{step}", dict(body), value(RegisteredEntry, entry=entry), id=id)
