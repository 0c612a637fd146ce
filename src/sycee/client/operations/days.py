"""Business days: read their packs, close and countersign them, follow breaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sycee.client.calls import Call, action, download, message_action, place, read, require_same, rows, value
from sycee.client.errors import ContradictsRequest
from sycee.client.exchange import Conversation, Session
from sycee.client.operations.arguments import ledger_of, name_of
from sycee.client.signing import Asked, Signer
from sycee.client.values import Break, Day, DayDone
from sycee.core import canonical_json, ids
from sycee.core.errors import UsageError
from sycee.core.records import day_packs


def days() -> Call[Sequence[Day]]:
    """Return the closed days, oldest first."""
    return rows("/v1/days", value(Day))


def next_day() -> Call[str]:
    """Return the business day that is to be closed next."""
    return read("/v1/days", lambda members: str(members["next"]))


def pack(day: str) -> Call[bytes]:
    """Return the signed pack of a closed day: its file, byte for byte. `packs.verified` checks it."""
    return download(f"/v1/days/{place(day)}/pack")


def close_day(
    day: str,
    signer: Signer,
    *,
    statements: Mapping[str, str] | None = None,
    check: Callable[[Mapping[str, Any]], None] | None = None,
    id: int = 0,
) -> Call[DayDone]:
    """Close a business day after its cut-off, and sign its pack as the closer.

    - `statements`: CSV files of operators and merchants by name, which are compared with the ledger.
    - `check`: called with the pack's fields before it is signed; raises an error to sign nothing.

    The pack must be of this day, this ledger and this closer. Its figures follow from the ledger, which a client does
    not have: `check` can compare those that the closer knows.
    """

    def message(session: Session, _: int, asked: Asked) -> Conversation[bytes]:
        ledger_id, _currency = yield from ledger_of(session)
        for name, expected in (
            ("format", day_packs.FORMAT),
            ("day", day),
            ("ledger", ledger_id.hex()),
            ("closed_by", ids.format(signer.id)),
        ):
            require_same(asked.document, name, expected)
        try:
            digest = canonical_json.digest(asked.document)
        except UsageError as error:
            raise ContradictsRequest(f"the pack of {day} is not canonical: {error}") from error
        if check is not None:
            check(asked.document)
        return day_packs.message(digest, day_packs.CLOSER, signer.id)

    files = [{"name": name, "csv": text} for name, text in (statements or {}).items()]
    return _signed(day, "close", {"statements": files}, message, signer, id)


def countersign_day(day: str, digest: str, signer: Signer, *, id: int = 0) -> Call[DayDone]:
    """Countersign the pack of a closed day, as another person than the closer.

    `digest`: of the pack that the signer read and checked, hexadecimal. The server checks the pack against ledger,
    access log and earlier packs first. A pack with another digest is not signed.
    """
    try:
        seen = bytes.fromhex(digest)
    except ValueError as error:
        raise UsageError(f"{digest[:80]!r} is no digest of a pack", hint="give 64 hexadecimal digits") from error

    def message(_session: Session, _: int, _asked: Asked) -> Conversation[bytes]:
        yield from ()
        return day_packs.message(seen, day_packs.COUNTERSIGNER, signer.id)

    return _signed(day, "countersignature", {}, message, signer, id, pack=digest)


def breaks(*, closed: bool = False) -> Call[Sequence[Break]]:
    """Return the differences that closes found, by number; with `closed` also the closed ones."""
    return rows("/v1/breaks", value(Break), query={"all": "true"} if closed else None)


def assign_break(number: int, owner: int | str, *, case: int = 0, id: int = 0) -> Call[Break]:
    """Name the person who follows a break, and the case, if there is one."""
    body = {"owner": name_of(owner), "case": case}
    return action(f"/v1/breaks/{number}/owner", body, value(Break, number=number), id=id)


def close_break(number: int, reason: str, *, id: int = 0) -> Call[Break]:
    """Close a break manually, with a reason that names no person."""
    return action(f"/v1/breaks/{number}/closure", {"reason": reason}, value(Break, number=number), id=id)


def _signed(
    day: str, step: str, body: Mapping[str, object], message: Callable[[Session, int, Asked], Conversation[bytes]],
    signer: Signer, id: int, **expected: object,
) -> Call[DayDone]:  # fmt: skip
    return message_action(
        f"/v1/days/{place(day)}/{step}",
        {"key": str(signer.key.public), **body},
        value(DayDone, day=day, **expected),
        message=message,
        signers=(signer,),
        id=id,
    )
