"""Random designs of programmes for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from sycee.sandbox.behaviour import parameters
from sycee.sandbox.behaviour.design import CASH, COUPON, HOW, LABEL, Design, Moved, Shops

DAYS = 24
SHOPS = (Shops(), Shops(share_ppm=300_000, online=False), Shops(sectors=("leisure",), chains=False))
PROBABILITIES = st.fixed_dictionaries({name: st.floats(0.01, 0.99) for name in parameters.NAMES})


@st.composite
def designs(draw: Any) -> Design:
    kind = draw(st.sampled_from((LABEL, CASH, COUPON)))
    pieces = draw(st.sampled_from((1, 2, 4))) if kind == COUPON else 1
    start = draw(st.integers(0, 4))
    until = draw(st.integers(start, 18))
    return Design(
        how=draw(st.sampled_from(HOW[1:])),
        kind=kind,
        recipients=draw(st.integers(1, 200)),
        amount=pieces * draw(st.integers(1, 40_000)),
        pieces=pieces,
        payment_min=draw(st.sampled_from((0, 0, 500, 8_000))),
        per_payment_max=draw(st.sampled_from((0, 0, 3_000))),
        stacking=draw(st.booleans()),
        channel=draw(st.sampled_from(("app", "card_prepaid", "paper"))),
        activation=draw(st.booleans()),
        automatic=draw(st.booleans()),
        delivered=draw(st.sampled_from(((), ((0, 500_000), (3, 1_000_000))))),
        claim_until=draw(st.integers(2, 20)),
        spend_from=start,
        spend_until=until,
        moved=draw(st.sampled_from(((), (Moved(until, until + 3),)))),
        decay_week=draw(st.sampled_from((0, 100_000))),
        shops=draw(st.sampled_from(SHOPS)),
        own_money=draw(st.booleans()),
        divisible=draw(st.booleans()),
        price_step=draw(st.sampled_from((1, 10))),
    )
