"""Zones of a programme file: parts of the list whose packets are filled one after the other.

Each stratum of the draw is a zone. The cohort is in the order of the zones, and one seal covers all of it; a drop fills
the range of one zone, and `widening` fills the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sycee.core import documents
from sycee.core.documents import Table
from sycee.core.limits import COHORT_MEMBERS_MAX


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
    tables: Sequence[Table], strata: Mapping[str, int], classes: Mapping[str, int], *, expires_ns: int, zone: ZoneInfo
) -> tuple[Zone, ...]:  # fmt: skip
    """Return the zones of a file. `strata`: their winners by name, in order; `classes`: the packets of each, in order.

    Raises DocumentError unless the zones are the strata, in order, and have all packets.
    """
    names = [*strata]
    found = []
    for place, table in enumerate(tables):
        name = table.text("name")
        if place >= len(names) or name != names[place]:
            raise table.error(
                "name", f"{documents.found(name)} is not stratum {place + 1} of the draw",
                right=f"the strata, in their order: {', '.join(names)}",
            )  # fmt: skip
        winners = strata[name]
        counts: tuple[int, ...] = (winners,)
        if len(classes) > 1:
            own = table.table("packets")
            counts = tuple(own.integer(each, 0, least=0, most=COHORT_MEMBERS_MAX) for each in classes)
            own.finish()
        if sum(counts) != winners:
            raise table.error(
                "packets", f"the zone has {sum(counts)} packets, and its stratum {winners} winners",
                right=f"{winners} packets",
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
    for place, (name, packets) in enumerate(classes.items()):
        count = sum(made.packets[place] for made in found)
        if len(classes) > 1 and count != packets:
            raise tables[-1].error(
                "packets", f"the zones have {count} packets of the class {name}, and the file {packets}",
                right=f"{packets} in all zones together",
            )  # fmt: skip
    return tuple(found)
