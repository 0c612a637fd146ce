"""The newest signatures that were seen, so that an older signed file does not replace a newer one.

A signature states the moment of signing, and verifies for ever: without a memory, an old file of a participant counts
as well as its newest one. The log has the newest signature of each file of a key, and of the declaration of each
entity, which also finds an old file under a name that its signer used before::

    log = load(path).updated(network, signatures, now_ns)  # DocumentError for a file that is older than one seen
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, NamedTuple

from sycee.compliance.authority import FileSignature, shown_moment
from sycee.compliance.facts import Network
from sycee.core import documents
from sycee.core.documents import Table

AHEAD_MAX_NS: Final = 3_600 * 10**9  # of a signer's clock: a moment in the future would make later files old
_FILES: Final = "files"
_ENTITIES: Final = "entities"
_KEYS: Final = {_FILES: ("network", "key", "name"), _ENTITIES: ("network", "id")}


class Seen(NamedTuple):
    """The moment of the newest signature, and the day on which it was first seen."""

    signed_ns: int
    on: date


@dataclass(frozen=True)
class SignatureLog:
    """The newest signatures: by network, key and name of a file, and by network and id of an entity."""

    files: Mapping[tuple[str, ...], Seen] = field(default_factory=dict)
    entities: Mapping[tuple[str, ...], Seen] = field(default_factory=dict)

    def updated(self, network: Network, signatures: Mapping[str, FileSignature], now_ns: int) -> SignatureLog:
        """Return the log with the signatures of the files of a network.

        DocumentError for a file that is older than one seen, and for one that was signed in the future.
        """
        files, entities = dict(self.files), dict(self.entities)
        today = datetime.fromtimestamp(now_ns // 10**9, UTC).date()
        for name, signature in signatures.items():
            if signature.signed_ns > now_ns + AHEAD_MAX_NS:
                problem = f"{shown_moment(signature.signed_ns)} is in the future"
                right = "a signature by a machine whose clock is right: sycee compliance sign"
                raise signature.table.error("signed_at", problem, right=right)
            seen = Seen(signature.signed_ns, today)
            _add(files, (network.id, signature.key, Path(name).name), seen, signature.table)
        for id, file in _declared(network):
            if file in signatures:
                seen = Seen(signatures[file].signed_ns, today)
                _add(entities, (network.id, id), seen, signatures[file].table)
        return SignatureLog(files, entities)

    def text(self) -> str:
        """Return the log as TOML."""
        return "".join(
            "".join(f"{line}\n" for line in [f"[[{kind}]]", *_lines(kind, key, seen), ""])
            for kind, entries in ((_FILES, self.files), (_ENTITIES, self.entities))
            for key, seen in sorted(entries.items())
        )


def load(path: Path) -> SignatureLog:
    """Return the log in a file; an empty one if there is no such file. DocumentError for an invalid one."""
    return parse(documents.read(path)) if path.exists() else SignatureLog()


def parse(table: Table) -> SignatureLog:
    """Return the log in a document. DocumentError for an invalid value."""
    of_kinds: dict[str, dict[tuple[str, ...], Seen]] = {}
    for kind, names in _KEYS.items():
        entries = of_kinds[kind] = {}
        table.offer(kind)
        for each in table.tables(kind) if kind in table else ():
            key = tuple([each.text(name) for name in names])
            entries[key] = Seen(each.moment("signed_at"), each.day("seen_on"))
            each.finish()
    table.finish()
    return SignatureLog(of_kinds[_FILES], of_kinds[_ENTITIES])


def _add(entries: dict[tuple[str, ...], Seen], key: tuple[str, ...], seen: Seen, table: Table) -> None:
    """Add a signature. DocumentError if it is older than the one in the log."""
    newest = entries.get(key)
    if newest is None or seen.signed_ns > newest.signed_ns:
        entries[key] = seen
    elif seen.signed_ns < newest.signed_ns:
        problem = f"{shown_moment(seen.signed_ns)} is older than the signature of {key[-1]} seen on {newest.on}"
        right = f"the file that was signed at {shown_moment(newest.signed_ns)}; to go back, sign the older one again"
        raise table.error("signed_at", problem, right=right)


def _declared(network: Network) -> Iterator[tuple[str, str]]:
    """Yield each entity with the name of its file."""
    return ((entity.id, entity.place.rpartition(":")[0]) for entity in network.entities.values())


def _lines(kind: str, key: tuple[str, ...], seen: Seen) -> list[str]:
    named = [f"{name} = {json.dumps(value)}" for name, value in zip(_KEYS[kind], key, strict=True)]
    return [*named, f"signed_at = {shown_moment(seen.signed_ns)}", f"seen_on = {seen.on}"]
