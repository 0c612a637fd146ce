"""The outcome of a run: daily totals with a programme and without, what the purses did, and what each shop gained.

All amounts are minor units. `EFFECT_NAMES` names the columns of a table of effects, `FLOW_NAMES` those of `flows`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import blake3
import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import require
from sycee.sandbox.behaviour.design import Design
from sycee.sandbox.engine import columns as e
from sycee.sandbox.engine import respending

EFFECT_NAMES: Final = (
    "label", "own", "substituted", "forward", "new", "lifted", "paid_back", "moved", "payments",
)  # fmt: skip
FLOW_NAMES: Final = (
    "registered", "recipients", "issued", "claims", "claimed", "spent", "returned", "users", "top_up", "refunded",
)  # fmt: skip
_CONTEXT: Final = "sycee 2026-11-28 sandbox: digest of an outcome"


@dataclass(frozen=True, slots=True, eq=False)
class RunOutcome:
    """Totals of one run. `by_zone` and similar methods sum them by group."""

    city: str
    design: Design
    variant: str
    seed: int
    days: int
    people: int
    parameters: str  # digest
    with_baseline: bool
    sectors: int
    cell_base: Array  # [days, cells]: purchases without a programme. A cell is a zone and a sector, the last is outside
    cell_effect: Array  # [days, cells, EFFECTS]
    group_base: Array  # [days, size classes, deciles]: by the shop's size and the person's decile
    group_effect: Array  # [days, size classes, deciles, EFFECTS]
    flows: Array  # [days, FLOWS]
    shops_base: Array  # [merchants]: purchases of all days without a programme
    shops_change: Array  # [merchants]: purchases of all days with a programme, less those without
    shops_paid: Array  # [merchants, 2]: paid from purses, and from own money in the same payments
    decile_people: Array  # [10]: persons of each decile of baseline income; a decile may have none
    respend: Array  # [rounds, days]: later rounds in the city
    purses: Array | None  # [people, PURSE_FIELDS] at the end; None unless `with_purses`

    def effect(self, name: str) -> Array:
        """Return one effect by day: (days,)."""
        found: Array = self.cell_effect[:, :, EFFECT_NAMES.index(name)].sum(axis=1)
        return found

    def flow(self, name: str) -> Array:
        """Return one flow by day: (days,)."""
        found: Array = self.flows[:, FLOW_NAMES.index(name)]
        return found

    def total(self, name: str) -> int:
        """Return the sum over days of an effect or a flow."""
        return int((self.effect(name) if name in EFFECT_NAMES else self.flow(name)).sum())

    def outstanding(self) -> Array:
        """Return the money in purses at the end of each day: (days,), minor units."""
        found: Array = np.cumsum(self.flow("issued") - self.flow("spent") - self.flow("returned"))
        return found

    def by_zone(self) -> Array:
        """Return effects by zone of the shop: [days, zones + 2, EFFECTS]. The last two are online and outside."""
        days, cells = self.cell_base.shape
        inside = self.cell_effect[:, : cells - 1].reshape(days, -1, self.sectors, e.EFFECTS).sum(axis=2)
        return np.concatenate([inside, self.cell_effect[:, cells - 1 :]], axis=1)

    def by_sector(self) -> Array:
        """Return effects by sector of the shop: [days, sectors + 1, EFFECTS]. The last is outside."""
        days, cells = self.cell_base.shape
        inside = self.cell_effect[:, : cells - 1].reshape(days, -1, self.sectors, e.EFFECTS).sum(axis=1)
        return np.concatenate([inside, self.cell_effect[:, cells - 1 :]], axis=1)

    def by_size(self) -> Array:
        """Return effects by size class of the shop: [days, size classes, EFFECTS]. The last is outside."""
        found: Array = self.group_effect.sum(axis=2)
        return found

    def by_decile(self) -> Array:
        """Return effects by decile of the person's baseline income: [days, 10, EFFECTS]."""
        found: Array = self.group_effect.sum(axis=1)
        return found

    def base_by_zone(self) -> Array:
        """Return purchases without a programme: [days, zones + 2]."""
        days, cells = self.cell_base.shape
        inside = self.cell_base[:, : cells - 1].reshape(days, -1, self.sectors).sum(axis=2)
        return np.concatenate([inside, self.cell_base[:, cells - 1 :]], axis=1)

    def base_by_sector(self) -> Array:
        """Return purchases without a programme: [days, sectors + 1]."""
        days, cells = self.cell_base.shape
        inside = self.cell_base[:, : cells - 1].reshape(days, -1, self.sectors).sum(axis=1)
        return np.concatenate([inside, self.cell_base[:, cells - 1 :]], axis=1)

    def respend_by(self, base: Array) -> Array:
        """Return the later rounds together, divided like `base` [days, groups]: (days, groups), exact in sum."""
        return respending.by_group(self.respend.sum(axis=0), base.sum(axis=0))

    def consumption_change(self) -> Array:
        """Return consumption with a programme less without, of persons' own decisions: (days,)."""
        return self.effect("new") + self.effect("forward") - self.effect("paid_back")

    def leakage(self) -> int:
        """Return what shops of the city gain from places outside; negative if persons buy more outside."""
        outside = self.cell_effect[:, -1].sum(axis=0)
        return -int(outside[e.NEW] + outside[e.FORWARD] - outside[e.PAID_BACK] + outside[e.MOVED])

    def open_forward(self) -> int:
        """Return the purchases brought forward and not yet offset by later ones at the end: minor units."""
        return self.total("forward") - self.total("paid_back")

    def check(self) -> None:
        """Raise IntegrityError unless the identities hold: of every payment, of the purses, and of the shops."""
        spending = self.effect("label") + self.effect("own")
        require(
            bool((spending == self.effect("substituted") + self.effect("forward") + self.effect("new")).all()),
            "label and own money are not what was substituted, brought forward and new",
        )
        require(bool((self.outstanding() >= 0).all()), "more was spent and returned than was issued")
        require(bool((self.effect("label") == self.flow("spent")).all()), "purses and payments differ")
        inside = int(self.shops_paid[:, 0].sum())
        outside = int(self.cell_effect[:, -1, e.LABEL].sum())
        require(inside + outside == self.total("label"), "shops and purses differ")
        gains = int(self.shops_change.sum())
        require(
            gains == self.total("new") + self.open_forward() + self.leakage(),
            "gains less losses of shops are not new purchases, purchases brought forward and leakage",
        )
        for cells, groups in ((self.cell_effect, self.group_effect), (self.cell_base, self.group_base)):
            require(bool((cells.sum(axis=1) == groups.sum(axis=(1, 2))).all()), "two tables have different totals")

    def digest(self) -> str:
        """Return the BLAKE3-256 of all figures and of what they were computed from, hexadecimal."""
        found = blake3.blake3(derive_key_context=_CONTEXT)
        for each in fields(self):
            value: Any = getattr(self, each.name)
            found.update(f"\n{each.name} ".encode())
            if isinstance(value, np.ndarray):
                found.update(f"{value.shape}\n".encode())
                found.update(np.ascontiguousarray(value, "<i8").tobytes())
            else:
                found.update((value.digest() if isinstance(value, Design) else repr(value)).encode())
        return found.hexdigest()
