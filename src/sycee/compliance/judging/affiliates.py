"""Which organisations own a listed party, directly or indirectly: they are its affiliates, as are those that they own.

Shares are counted as for control: what an owned organisation holds counts as held by its owner, several holdings add
up, and a branch is owned by the organisation that it is a part of. An organisation does not declare what it holds, so
the owners of all declared organisations are read. Their undeclared shares could be held by anybody. `ownership` adds
the owners that a list states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Final, NamedTuple, Protocol

from sycee.compliance.judging import control
from sycee.compliance.judging.control import ControlGraph, Holder
from sycee.compliance.judging.effective_facts import EffectiveFact, EffectiveNetwork
from sycee.compliance.judging.logic import Truth
from sycee.compliance.vocabulary import ORGANISATION

_NAMED_MAX: Final = 8  # parties whose missing facts one finding names


class Listing(Protocol):
    """Whether a list names an organisation, and the facts that are missing to know it."""

    @property
    def listed(self) -> Truth:
        """True, false, or None for unknown."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The paths of the missing facts."""


class Owned(NamedTuple):
    """Whether an organisation owns a listed party; the party, "" if there is none; and the facts that are missing."""

    truth: Truth
    party: str = ""
    missing: tuple[str, ...] = ()


class Holdings:
    """What the organisations of a network hold of each other. From `control_bp` on, the holder owns the other."""

    def __init__(self, network: EffectiveNetwork, control_bp: int) -> None:
        self._network = network
        self.control_bp = control_bp
        self._holders: dict[str, Holder] = {}
        waiting = [each.id for each in network.network.of_kind(ORGANISATION)]
        while waiting:
            id = waiting.pop()
            if id not in self._holders:
                holder = self._holders[id] = self._new_holder(id)
                waiting += [owner for owner, _ in holder.shares]
        self._held_by: dict[str, list[tuple[str, int]]] = {}
        for id, holder in self._holders.items():
            for owner, share in holder.shares:
                self._held_by.setdefault(owner, []).append((id, share))
        undeclared = [(id, each.undeclared_bp) for id, each in self._holders.items() if each.undeclared_bp]
        self._open_bp: dict[str, int] = {}  # undeclared shares, and those held by organisations that anybody may own
        self.open = self._owned_from(undeclared, {}, self._open_bp)  # the organisations that anybody may own

    @property
    def organisations(self) -> Iterable[str]:
        """The ids of all organisations that are declared, or named as holders."""
        return self._holders

    def owners_of(self, parties: Iterable[str], least_bp: int = 1) -> dict[str, str]:
        """Return who holds these parties through chains of shares of at least `least_bp`, each with a party."""
        found: dict[str, str] = {}
        waiting = [(id, id) for id in parties]
        while waiting:
            id, party = waiting.pop()
            for owner, share in self._holders[id].shares:
                if share >= least_bp and owner not in found:
                    found[owner] = party
                    waiting.append((owner, party))
        return found

    def owned_by(self, id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return what an organisation surely owns; and what it may own, together with undeclared shares."""
        own = self._held_by.get(id, ())
        return tuple(self._owned_from(own, {}, {})), tuple(self._owned_from(own, self._open_bp, {}))

    def missing(self, id: str) -> tuple[str, ...]:
        """Return the facts that would show who owns an organisation."""
        return ControlGraph(id, self._holders.__getitem__, self.control_bp).missing()

    def between(self, owner: str, party: str) -> tuple[tuple[str, ...], list[EffectiveFact]]:
        """Return how an organisation owns a party: a sentence for each step, and the facts."""

        def holder_of(id: str) -> Holder:
            return Holder(self._holders[id].node, True) if id == owner else self._holders[id]

        graph = ControlGraph(party, holder_of, self.control_bp)
        return graph.chain(), graph.facts()

    def _new_holder(self, id: str) -> Holder:
        node = self._network.node_of_kind(id, (ORGANISATION,))
        return control.branch(node) or control.with_controllers(control.owned(node, False), must_be_declared=False)

    def _owned_from(
        self, own: Iterable[tuple[str, int]], others_bp: Mapping[str, int], held_bp: dict[str, int]
    ) -> dict[str, None]:
        """Return what a holder of these shares owns if it has those of others too, and add up its own in `held_bp`."""
        owned: dict[str, None] = {}
        shares = list(own)
        while shares:
            id, share = shares.pop()
            held_bp[id] = held_bp.get(id, 0) + share
            if id not in owned and held_bp[id] + others_bp.get(id, 0) >= self.control_bp:
                owned[id] = None
                shares += self._held_by.get(id, ())
        return owned


class OwnersOfListed:
    """The organisations that own a listed party. `listing_of` looks up an organisation on the list."""

    def __init__(self, holdings: Holdings, listing_of: Callable[[str], Listing]) -> None:
        self._holdings = holdings
        of_all = {id: listing_of(id) for id in holdings.organisations}
        self._listings = {id: each for id, each in of_all.items() if each.listed is not False}
        self._surely = holdings.owners_of(
            (id for id, each in self._listings.items() if each.listed), holdings.control_bp
        )
        self._above = holdings.owners_of(self._listings)
        self._anybody = self._possible(each for each in holdings.open if each in self._listings)
        self._owned: dict[str, Owned] = {}

    def owned_by(self, id: str) -> Owned:
        """Return whether an organisation owns a listed party."""
        if id in self._surely:
            return Owned(True, self._surely[id])
        if id not in self._above:
            return self._anybody
        owned = self._owned.get(id)
        if owned is None:
            owned = self._owned[id] = self._of(id)
        return owned

    def _of(self, id: str) -> Owned:
        surely, possibly = [[each for each in of if each in self._listings] for of in self._holdings.owned_by(id)]
        listed = next((each for each in surely if self._listings[each].listed), "")
        if listed:
            return Owned(True, listed)
        return self._possible((*surely, *possibly)) if surely or possibly else self._anybody

    def _possible(self, parties: Iterable[str]) -> Owned:
        named = list(islice(dict.fromkeys(parties), _NAMED_MAX))
        if not named:
            return Owned(False)
        missing = dict.fromkeys(gap for each in named for gap in self._listings[each].missing)
        missing |= dict.fromkeys(gap for each in named for gap in self._holdings.missing(each))
        return Owned(None, named[0], tuple(missing))
