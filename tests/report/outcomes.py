"""A fictional outcome of a replay, exact to the cent, for the report's tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from sycee.core.arrays import Array
from sycee.programmes.definition import Programme
from sycee.report.plots import HOUR_NS
from sycee.sandbox.outcome import Comparison, Hours, OperatorRow, Phase, PilotOutcome, Role


def spread(total: int, weights: Array) -> Array:
    """Return `total` in integer parts in proportion to the weights; the largest part gets the remainder."""
    parts = np.floor(total * weights / weights.sum()).astype(np.int64)
    parts[weights.argmax()] += total - int(parts.sum())
    return parts


def outcome(programme: Programme, seed: int = 20201009, **changes: Any) -> PilotOutcome:
    """Return the published totals of `programme`, distributed over hours, packets, banks and merchants by `seed`."""
    random = np.random.default_rng(seed)
    published = {name: getattr(programme.published, name).value for name in programme.published.__slots__}
    packet_minor = programme.packets[0].amount_minor
    claimed, packets_minor, own_minor = (published[name] for name in ("claimed", "spent_from_packets", "spent_own"))

    left_minor = np.zeros(claimed, np.int64)
    left_minor[:1_500] = packet_minor
    rest_minor = claimed * packet_minor - packets_minor - 1_500 * packet_minor
    shares = random.beta(1.4, 2.2, 6_073)
    for _ in range(50):
        shares = np.clip(shares * (rest_minor / packet_minor) / shares.sum(), 0.001, 0.999)
    in_part = np.round(shares * packet_minor).astype(np.int64)
    in_part[0] += rest_minor - int(in_part.sum())
    for place in range(1, len(in_part)):
        if 0 < in_part[0] < packet_minor:
            break
        step = int(np.clip(in_part[0] - packet_minor // 2, 1 - in_part[place], packet_minor - 1 - in_part[place]))
        in_part[0] -= step
        in_part[place] += step
    left_minor[1_500:7_573] = in_part

    start_ns = np.arange(programme.spending.from_ns, programme.spending.until_ns, HOUR_NS, dtype=np.int64)
    clock = (start_ns // HOUR_NS + 8) % 24
    awake = np.exp(-(((clock - 12) / 2.2) ** 2)) + 1.5 * np.exp(-(((clock - 19) / 2.4) ** 2)) + 0.01
    weights = awake * (1 + 1.2 * np.exp(-np.arange(len(start_ns)) / 20) + 0.8 * (start_ns > start_ns[-26]))
    weights *= random.uniform(0.8, 1.2, len(weights))
    hours = Hours(
        start_ns=start_ns,
        packets_minor=spread(packets_minor, weights),
        own_minor=spread(own_minor, weights * random.uniform(0.6, 1.4, len(weights))),
        payments=spread(published["payments"], weights),
        claims=spread(claimed, awake * np.exp(-np.arange(len(start_ns)) / 18) + 0.001),
    )
    names = [operator.name for operator in programme.operators]
    weight = np.array([0.34, 0.21, 0.19, 0.26])[: len(names)]
    parts = {
        name: spread(total, weight * random.uniform(0.9, 1.1, len(names)))
        for name, total in (("wallets", claimed), ("packets", packets_minor), ("own", own_minor))
    }
    received = spread(packets_minor + own_minor, np.array([0.3, 0.25, 0.22, 0.23])[: len(names)])
    operators = tuple(
        OperatorRow(
            operator.name,
            operator.title,
            int(parts["wallets"][place]),
            int(parts["own"][place]),
            int(parts["own"][place]),
            int(parts["packets"][place]),
            int(parts["own"][place]),
            int(received[place]),
        )
        for place, operator in enumerate(programme.operators)
    )
    attraction = np.sort(random.lognormal(0, 1.6, published["merchants"]))[::-1]
    funder = programme.funder.name
    packets, vaults, wallets = "packets", "operators' vaults", "own money in wallets"
    fields: dict[str, Any] = {
        "programme": programme,
        "scale": 1.0,
        "seed": seed,
        "comparisons": comparisons(programme),
        "hours": hours,
        "left_minor": left_minor,
        "unclaimed": published["winners"] - claimed,
        "packet_minor": packet_minor,
        "flows": (
            ("issuance", funder, programme.budget_minor),
            ("issuance", vaults, own_minor),
            (funder, packets, programme.budget_minor),
            (vaults, wallets, own_minor),
            (packets, "merchants", packets_minor),
            (wallets, "merchants", own_minor),
            (packets, f"{funder} (returned)", programme.budget_minor - packets_minor),
        ),
        "operators": operators,
        "merchant_received_minor": np.sort(spread(packets_minor + own_minor, attraction))[::-1],
        "merchant_payments": spread(published["payments"], attraction),
        "duplicates": 12_406,
        "draw_root": "3f" * 32,
        "draw_beacon": "a7" * 32,
        "synthetic": True,
        "operations": 312_004,
        "movements": 268_977,
        "digest": "5c" * 32,
        "phases": (
            Phase("register", 3.1, 1_926_253, "entries"),
            Phase("draw", 4.4, 1_913_847, "tickets"),
            Phase("mint and drop", 0.08, 50_000, "packets"),
            Phase("claims, top-ups and payments", 2.2, 201_223, "operations"),
            Phase("expire and return", 0.0, 10_000, "packets"),
        ),
    }
    return PilotOutcome(**(fields | changes))


def comparisons(programme: Programme) -> tuple[Comparison, ...]:
    """Return a comparison per published figure, each equal on the ledger."""
    roles = {"budget": Role.FOLLOWS, "returned": Role.COMPUTED}
    moneys = {"budget", "spent_from_packets", "spent_own", "returned"}
    rows = []
    for name in programme.published.__slots__:
        figure = getattr(programme.published, name)
        is_derived = figure.provenance.mark == "derived"
        source = f"{figure.provenance.source} [{figure.provenance.mark}]"
        if is_derived:
            source = f"derived: {figure.provenance.source}"
        role = roles.get(name, Role.INPUT)
        title = name.replace("_", " ")
        rows.append(Comparison(name, title, figure.value, figure.value, name in moneys, role, source, is_derived))
    minted = programme.budget_minor + programme.published.spent_own.value  # type: ignore[union-attr]
    rows.append(Comparison("minted", "minted, gross", None, minted, True, Role.FOLLOWS, ""))
    return tuple(rows)
