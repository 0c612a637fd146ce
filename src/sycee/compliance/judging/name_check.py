"""Slips in the names by which a network reaches into a library: of profiles in adoptions, of rules in waivers.

A profile that nobody judges by may be adopted, and a rule of it waived: another question will judge by it. But a name
that is nearly that of a profile or a rule would silently adopt or waive nothing, so it is an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Final

from sycee import data
from sycee.compliance.facts import Network, Waiver
from sycee.compliance.profiles import Library
from sycee.core import typos
from sycee.core.errors import UsageError

RATIO_MIN: Final = 0.85  # similarity of two profiles' names; a wrong year is a typing error too


def check_names(network: Network, library: Library, at: date, waivers: Iterable[Waiver] = ()) -> None:
    """UsageError with the nearest name for an adoption or a waiver in force that names nothing, but nearly does.

    Names are of the profiles of the library and of those shipped; `waivers` are further ones beside the network's.
    """
    judging = {each.id for each in library.profiles}
    for adoption in network.adoptions:
        if adoption.in_force(at) and (near := _meant(adoption.profile, judging)):
            raise _error(f"{adoption.by} adopts the profile", adoption.profile, near)
    for waiver in (*network.waivers, *waivers):
        if waiver.rule in library.rules or not waiver.in_force(at):
            continue
        profile, _, rule = waiver.rule.partition("/")
        if profile in judging:
            # Another version may have a rule that this one has not, of a name much like those of others.
            meant = typos.corrected(
                rule, {name.partition("/")[2] for name in library.rules if name.startswith(f"{profile}/")}
            )
            near = meant and f"{profile}/{meant}"
        else:
            other = _meant(profile, judging)
            near = other and f"{other}/{rule}"
        if near:
            raise _error(f"{waiver.subject} is let off the rule", waiver.rule, near)


def _meant(profile: str, judging: set[str]) -> str | None:
    """The profile that a name which is none was most likely meant to be."""
    if profile in judging:
        return None
    known = judging | set(data.names("profiles"))
    if profile in known:
        return None
    return typos.nearest(profile, known, ratio_min=RATIO_MIN)


def _error(what: str, name: str, near: str) -> UsageError:
    hint = f'did you mean "{near}"? If not, judge by the profile that is meant too'
    return UsageError(f'{what} "{name}", which is not there', hint=hint)
