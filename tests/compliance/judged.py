"""A small network without missing facts, and findings about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from tests.compliance.build import (
    AT,
    cloud,
    condition,
    facility,
    flow,
    library,
    network,
    organisation,
    participant,
    segment,
    span,
)

from sycee.compliance.facts import Network, Waiver
from sycee.compliance.judging.judge import Judge
from sycee.compliance.verdicts import Finding

AT_HOME = condition("state", "all-in", values=["AA"])


def declared(**more: Any) -> Network:
    """Return a network of two banks in two states, joined by a span, an exchange and a segment."""
    return network(
        **{
            "acme": organisation(),
            "bad": organisation(),
            "one": facility(state="AA", operator="acme", equipment=[]),
            "mid": facility(state="AA", operator="acme", equipment=[{"vendor": "bad", "part": "storage"}]),
            "two": facility(state="BB", operator="acme", equipment=[]),
            "land": span(ends=("one", "mid"), operator="acme"),
            "sea": segment(ends=("mid", "two"), operator="bad"),
            "vault": cloud(state="BB"),
            "bank": participant(state="AA", gateway="one"),
            "shop": participant(state="BB", gateway="two"),
            "pay": flow(
                from_="bank",
                to="shop",
                purpose="payment",
                classes=("payment",),
                via=("land", "sea"),
                stored=[{"at": "vault", "reason": "business"}],
            ),
            **more,
        }
    )


def replace_via(made: Network, *via: str) -> Network:
    """Return the network with a flow from the first bank back to it."""
    pay = made.entities["pay"]
    home = replace(pay, facts={**pay.facts, "to": pay.facts["from"], "via": replace(pay.facts["via"], value=via)})
    return replace(made, entities={**made.entities, "pay": home})


def judge(made: Network, *parts: Any, at: date = AT, waivers: tuple[Waiver, ...] = ()) -> Judge:
    return Judge(made, library(*parts), at, waivers)


def one(made: Network, subject: str, *parts: Any, at: date = AT) -> Finding:
    """Return the finding of the first rule about a subject, which may be an element on a path."""
    asked = judge(made, *parts, at=at)
    whole, _, place = subject.partition(" @ ")
    findings = asked.flow(whole) if place else asked.findings(whole)
    return next(each for each in findings if each.subject == subject)


def waiver(rule: str, subject: str, **about: Any) -> Waiver:
    given = {
        "role": "head of compliance",
        "reason": "moves in January",
        "from_date": AT,
        "until_date": date(2027, 1, 1),
    }
    return Waiver(rule, subject, **(given | about))
