"""Assumptions of a replay for values that were not published, read from data/replays."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from sycee.core import documents
from sycee.core.documents import Table
from sycee.core.errors import UsageError
from sycee.programmes.definition import Programme

HOURS_OF_A_DAY = 24


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Assumed values. Counts are at published size, money is in minor units, weights are relative integers."""

    emptied: int
    untouched: int
    part_spent_min: int
    payment_min: int
    own_people: int
    own_min: int
    own_max: int
    repeated_document: int
    repeated_phone: int
    wallet_shares: tuple[int, ...]  # by operator
    merchant_shares: tuple[int, ...]
    shop_head: int  # a larger value flattens the popularity of the first shops
    hour_weights: tuple[int, ...]  # 24, by hour of the day
    day_weights: tuple[int, ...]  # by local day of the spending window
    claim_day_weights: tuple[int, ...]  # the same for claims
    frame_minutes: int


def load(programme: Programme) -> Assumptions:
    """Load the shipped assumptions for a programme. UsageError if there are none, DocumentError for wrong ones."""
    name = f"{programme.name}.toml"
    file = resources.files("sycee.data") / "replays" / name
    if not file.is_file():
        raise UsageError(
            f"{programme.name!r} has no file in data/replays", hint="only programmes with such a file can be replayed"
        )
    table = documents.parse(file.read_bytes(), f"replays/{name}")
    table.choice("pilot", [programme.name])
    packets, own, registration = table.table("packets"), table.table("own_money"), table.table("registration")
    shares, shops, time = table.table("shares"), table.table("shops"), table.table("time")
    currency, operators = programme.currency, len(programme.operators)
    assumptions = Assumptions(
        emptied=packets.integer("emptied", least=0),
        untouched=packets.integer("untouched", least=0),
        part_spent_min=packets.money("part_spent_min", currency),
        payment_min=packets.money("payment_min", currency),
        own_people=own.integer("people", least=0),
        own_min=own.money("each_min", currency),
        own_max=own.money("each_max", currency),
        repeated_document=registration.integer("repeated_document", least=0),
        repeated_phone=registration.integer("repeated_phone", least=0),
        wallet_shares=_weights(shares, "wallets", operators),
        merchant_shares=_weights(shares, "merchants", operators),
        shop_head=shops.integer("head", least=1),
        hour_weights=_weights(time, "hours", HOURS_OF_A_DAY),
        day_weights=_weights(time, "days", None),
        claim_day_weights=_weights(time, "claim_days", None),
        frame_minutes=time.integer("frame_minutes", least=1),
    )
    for part in (packets, own, registration, shares, shops, time, table):
        part.finish()
    return assumptions


def _weights(table: Table, key: str, length: int | None) -> tuple[int, ...]:
    values = table.integers(key, least=0)
    if length is not None and len(values) != length:
        raise table.error(key, f"has {len(values)} weights", right=f"{length} weights")
    if not sum(values):
        raise table.error(key, "the sum of the weights is 0", right="at least one weight above 0")
    return values
