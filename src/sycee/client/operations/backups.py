"""Backups that the server writes."""

from __future__ import annotations

from sycee.client.calls import Call, Members, Page, action, fresh_id, listed, read, require_same
from sycee.client.operations.arguments import name_of
from sycee.client.values import Backup
from sycee.core import ids


def begin_backup(*, id: int = 0) -> Call[str]:
    """Let the server begin an encrypted backup into the folder of its settings; return the backup's id."""
    number = id or fresh_id()

    def make(members: Members) -> str:
        require_same(members, "backup", ids.format(number))
        return ids.format(number)

    return action("/v1/backups", {}, make, id=number)


def backup(id: int | str) -> Call[Backup]:
    """Return the progress of a backup, and its result once it is done."""
    name = name_of(id)

    def make(members: Members) -> Backup:
        require_same(members, "backup", name)
        return _backup(members)

    return read(f"/v1/backups/{name}", make)


def backups() -> Call[Page[Backup]]:
    """Return the backups that this server began, failed ones too, in the order of their ids."""
    return listed("/v1/backups", _backup)


def _backup(members: Members) -> Backup:
    supply = members["supply"]
    return Backup(
        id=str(members["backup"]),
        state=str(members["state"]),
        reason=str(members["reason"]),
        file=str(members["file"]),
        written_bytes=int(members["written_bytes"]),
        frame=members["frame"],
        state_digest=members["state_digest"],
        supply_minor=None if supply is None else int(supply),
    )
