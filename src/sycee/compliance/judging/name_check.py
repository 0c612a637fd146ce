"""Mistyped names of profiles in adoptions and of rules in waivers.

A network may adopt or waive what belongs to a profile outside the library: another evaluation may load that profile.
But a name that nearly equals the name of a profile or rule would silently have no effect, so it is an error.
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
    """Raise UsageError, with the nearest name, for a mistyped name in an adoption or waiver that is in force.

    Names are those of the profiles of the library and of shipped ones. `waivers` are added to those of the network.
    """
    loaded = {each.id for each in library.profiles}
    for adoption in network.adoptions:
        if adoption.in_force(at) and (near := _corrected(adoption.profile, loaded)):
            raise _error(f"{adoption.by} adopts the profile", adoption.profile, near)
    for waiver in (*network.waivers, *waivers):
        if waiver.rule in library.rules or not waiver.in_force(at):
            continue
        profile, _, rule = waiver.rule.partition("/")
        if profile in loaded:
            # Names of rules are often similar, and another version may have other rules: only a typing error counts.
            rules = {each.id.partition("/")[2] for each in library.rules.values() if each.profile == profile}
            corrected = typos.corrected(rule, rules)
            near = corrected and f"{profile}/{corrected}"
        else:
            other = _corrected(profile, loaded)
            near = other and f"{other}/{rule}"
        if near:
            raise _error(f"a waiver for {waiver.subject} names the rule", waiver.rule, near)


def _corrected(profile: str, loaded: set[str]) -> str | None:
    """Return the profile that was probably meant; None if the name exists or is near no other."""
    names = loaded | set(data.names("profiles"))
    return None if profile in names else typos.nearest(profile, names, ratio_min=RATIO_MIN)


def _error(what: str, name: str, near: str) -> UsageError:
    hint = f'did you mean "{near}"? If not, load the profile that is meant too'
    return UsageError(f'{what} "{name}", which does not exist', hint=hint)
