"""Zones of a programme file: parts of the list whose packets are filled one after the other.

Each stratum of the draw is a zone. The cohort is in the order of the zones, and one seal covers all of it; a drop fills
the range of one zone, and `widening` fills the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sycee.core import documents
from sycee.core.documents import Table
from sycee.core.limits import COHORT_MEMBERS_MAX

if TYPE_CHECKING:
    from sycee.programmes.definition import PacketClass, Stratum


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone. `packets`: of each class, in the order of the file. `from_ns`: no earlier drop; None for any time.

    `skippable`: whether a later zone may be dropped before it.
    """

    name: str
    packets: tuple[int, ...]
    from_ns: int | None
    skippable: bool


def read(
    tables: Sequence[Table], strata: Sequence[Stratum], packets: Sequence[PacketClass], *, expires_ns: int,
    zone: ZoneInfo,
) -> tuple[Zone, ...]:  # fmt: skip
    """Return the zones of a file. Raises DocumentError unless they are the strata, in order, and have all packets."""
    names = [each.name for each in strata]
    found = []
    for place, table in enumerate(tables):
        name = table.text("name")
        if place >= len(names) or name != names[place]:
            raise table.error(
                "name", f"{documents.found(name)} is not stratum {place + 1} of the draw",
                right=f"the strata, in their order: {', '.join(names)}",
            )  # fmt: skip
        counts: tuple[int, ...] = (strata[place].winners,)
        if len(packets) > 1:
            own = table.table("packets")
            counts = tuple(own.integer(each.name, 0, least=0, most=COHORT_MEMBERS_MAX) for each in packets)
            own.finish()
        if sum(counts) != strata[place].winners:
            raise table.error(
                "packets", f"the zone has {sum(counts)} packets, and its stratum {strata[place].winners} winners",
                right=f"{strata[place].winners} packets",
            )  # fmt: skip
        table.offer("from")
        from_ns = table.moment("from", zone) if "from" in table else None
        if from_ns is not None and from_ns >= expires_ns:
            raise table.error("from", "the zone begins after the expiry", right="a moment before the expiry")
        skippable = table.boolean("skippable") if "skippable" in table else False
        table.offer("skippable")
        table.finish()
        found.append(Zone(name, counts, from_ns, skippable))
    if len(found) != len(names):
        raise tables[-1].error(
            "name", f"the stratum {names[len(found)]} is no zone", right=f"a zone for each of {', '.join(names)}"
        )
    for place, each in enumerate(packets):
        count = sum(made.packets[place] for made in found)
        if len(packets) > 1 and count != each.count:
            raise tables[-1].error(
                "packets", f"the zones have {count} packets of the class {each.name}, and the file {each.count}",
                right=f"{each.count} in all zones together",
            )  # fmt: skip
    return tuple(found)
