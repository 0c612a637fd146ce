"""The text of a programme file, written from a programme: that of a run, with the numbers of its city."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from sycee.core import documents, money
from sycee.core.errors import UsageError
from sycee.programmes import definition
from sycee.programmes.definition import REPLAY_BEACON, SHARED_MODES, PacketClass, Programme, Stratum, Window
from sycee.programmes.published_results import Published
from sycee.programmes.zones import Zone
from sycee.sandbox.city.rounding import largest_remainder

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_NS: Final = 60 * 10**9


def for_city(programme: Programme, shares: Sequence[tuple[int, int]], one_in: int) -> Programme:
    """Return the programme of a run: (packets, amount) of each class, a synthetic beacon, one occurrence.

    Strata and zones have the same shares of the packets. A budget that is divided is that of one person for `one_in`.
    """
    packets: tuple[PacketClass, ...] = ()
    budget_minor = programme.budget_minor // one_in
    if programme.mode not in SHARED_MODES:
        names = [each.name for each in programme.packets]
        if not programme.draw.is_drawn:
            names = [f"class-{number}" for number in range(1, len(shares) + 1)]
        packets = tuple(PacketClass(name, *share) for name, share in zip(names, shares, strict=True) if share[0])
        budget_minor = sum(each.count * each.amount_minor for each in packets)
    draw, zones = programme.draw, _zones(programme, [count for count, _ in shares])
    if draw.is_drawn:
        total = sum(count for count, _ in shares)
        winners = [sum(each.packets) for each in zones] or _divided(total, [each.winners for each in draw.strata])
        strata = [replace(each, winners=count) for each, count in zip(draw.strata, winners, strict=True) if count]
        draw = replace(draw, strata=tuple(strata), beacon_source=REPLAY_BEACON)
        if programme.split is not None:  # an equal mean, in whole steps
            step = programme.split.step_minor
            budget_minor = programme.budget_minor * total // programme.draw.winners // step * step
    elif packets:
        draw = replace(draw, strata=tuple(Stratum(each.name, each.count) for each in packets))
    used = [place for place, (count, _) in enumerate(shares) if count]
    return replace(
        programme,
        budget_minor=budget_minor,
        packets=packets,
        zones=tuple(
            replace(each, packets=tuple(each.packets[place] for place in used)) for each in zones if sum(each.packets)
        ),
        # A synthetic document is a number as a whole.
        registration_rules=replace(programme.registration_rules, excludes_holders_of=(), document_characters=0),
        draw=draw,
        published=Published(),
        sources=(),
        schedule=None,
    )


def _zones(programme: Programme, counts: Sequence[int]) -> list[Zone]:
    """Return the zones of a programme with this number of packets of each class, in proportion to those of the file."""
    by_class = (
        [_divided(count, [each.packets[place] for each in programme.zones]) for place, count in enumerate(counts)]
        if programme.zones
        else []
    )
    return [
        replace(each, packets=tuple(column[place] for column in by_class)) for place, each in enumerate(programme.zones)
    ]


def _divided(total: int, weights: Sequence[int]) -> list[int]:
    found: list[int] = largest_remainder(np.array(weights, np.int64), total).tolist()
    return found


def text_of(programme: Programme) -> str:
    """Return the file of a programme without sources and schedule."""
    return "\n".join(_lines(programme)) + "\n"


def _lines(programme: Programme) -> Iterator[str]:
    currency, rules, draw = programme.currency, programme.rules, programme.draw
    registration = programme.registration_rules

    def minor(amount: int) -> str:
        return json.dumps(money.format(amount, currency, grouped=False))

    yield _pairs(
        name=programme.name, title=programme.title, currency=currency.code, zone=programme.zone.key,
        mode=programme.mode,
    )  # fmt: skip
    yield f"[funder]\n{_pairs(name=programme.funder.name)}"
    yield f"[budget]\namount = {minor(programme.budget_minor)}"
    for packet in programme.packets:
        yield f"[[packets]]\n{_pairs(name=packet.name, count=packet.count)}\namount = {minor(packet.amount_minor)}"
    yield f"[registration]\n{_window(programme.registration)}"
    yield _pairs(
        identity=list(programme.identity),
        check_minutes=registration.check_ns // _MINUTE_NS,
        code_minutes=registration.code_ns // _MINUTE_NS,
    )
    yield f"shred_at = {_moment(registration.shred_at_ns)}"
    if registration.document_characters:
        yield _pairs(document_characters=registration.document_characters)
    if draw.is_drawn:
        beacon = f"{{ source = {json.dumps(draw.beacon_source)}, round = {draw.beacon_round}, "
        yield f"[draw]\n{_pairs(rule=draw.rule)}\nbeacon = {beacon}due = {_moment(draw.beacon_due_ns)} }}"
        for stratum in draw.strata:
            yield f"[[draw.strata]]\n{_pairs(name=stratum.name, winners=stratum.winners)}"
    yield f"[claim]\n{_window(programme.claim)}"
    yield f"[spending]\n{_window(programme.spending)}"
    yield f"[expiry]\nat = {_moment(programme.expires_ns)}\n{_pairs(rest_to=programme.rest_to)}"
    yield "[rules]\n" + _pairs(
        divisible=rules.divisible, own_money=rules.own_money, person_to_person=rules.person_to_person,
        cash_out=rules.cash_out, refund_order=rules.refund_order,
    )  # fmt: skip
    for key, amount in (("per_payment_max", rules.per_payment_max_minor), ("payment_min", rules.payment_min_minor)):
        if amount:
            yield f"{key} = {minor(amount)}"
    for group in programme.merchants:
        yield "[[merchants]]\n" + _pairs(name=group.name, count=group.count, district=group.district)
        yield from (_pairs(**{key: list(getattr(group, key))}) for key in ("sectors", "zones") if getattr(group, key))
        for key in ("turnover_min", "turnover_max"):
            if amount := getattr(group, f"{key}_minor"):
                yield f"{key} = {minor(amount)}"
        yield _pairs(online=group.online, chains=group.chains)
    for operator in programme.operators:
        yield "[[operators]]\n" + _pairs(name=operator.name, title=operator.title)
    if programme.split is not None:
        yield f"[split]\nleast = {minor(programme.split.least_minor)}\nstep = {minor(programme.split.step_minor)}"
    for zone in programme.zones:
        yield "[[zones]]\n" + _pairs(name=zone.name, skippable=zone.skippable)
        if len(programme.packets) > 1:
            counts = zip(programme.packets, zone.packets, strict=True)
            yield f"packets = {{ {', '.join(f'{json.dumps(each.name)} = {count}' for each, count in counts)} }}"
        if zone.from_ns is not None:
            yield f"from = {_moment(zone.from_ns)}"


def require_same(programme: Programme, text: str) -> None:
    """Raise UsageError unless the text defines this programme."""
    if definition.define(documents.parse(text, f"{programme.name}.toml")) != programme:
        raise UsageError(
            f"{programme.name} cannot be written as a file for the run", hint="give its times in whole seconds"
        )


def _pairs(**values: Any) -> str:
    # A JSON string, number, boolean and array of strings is one of TOML, too.
    return "\n".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())


def _moment(moment_ns: int) -> str:
    return (_EPOCH + timedelta(microseconds=moment_ns // 1_000)).isoformat().replace("+00:00", "Z")


def _window(window: Window) -> str:
    return f"from = {_moment(window.from_ns)}\nuntil = {_moment(window.until_ns)}"
