"""Whether a list covers an organisation on a day, directly or through the parties that control it.

An organisation whose name is similar to that of a row, whose product in question has such a name, or that shares an LEI
with another organisation, may be the listed party: the result is unknown and names the row.

An organisation is controlled from a list if listed organisations, and those they control, together hold shares that
reach the threshold of control (`control`). Shares of several listed owners add up; chains and circles of owners are
followed to their end. Who is declared to control an organisation otherwise, such as by contract, counts like a holder
of all shares. Undeclared shares could belong to anybody: where they could reach the threshold, the result is unknown.
So is the control of a circle of owners that hold each other, unless an owner outside the circle is shown to control it.
Shares below the threshold are no control. A branch is a part of its parent. Where a rule asks for affiliates, who owns
a listed party by the same threshold counts as listed (`affiliates`), and so does whom the list states as its owner.
Where neither the list nor the network states who owns a listed party, anybody could.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from sycee.compliance import names
from sycee.compliance.facts import Assurance
from sycee.compliance.judging import control
from sycee.compliance.judging.affiliates import Holdings, OwnersOfListed
from sycee.compliance.judging.control import BRANCH_OF, CONTROLLERS, OWNERS, ControlGraph, ControlMatch, Holder
from sycee.compliance.judging.effective_facts import EffectiveFact, EffectiveNetwork, Node
from sycee.compliance.judging.logic import Truth, conjunction
from sycee.compliance.judging.party_names import PartyName, index_of, names_in, owners_of
from sycee.compliance.names import Match
from sycee.compliance.profiles import List, Row
from sycee.compliance.vocabulary import ORGANISATION

# Parts or purposes of the case, for rows that are limited to some; and whether these are all. None: not stated.
Limit = tuple[frozenset[str], bool] | None


@dataclass(frozen=True, slots=True)
class _Listing:
    """Whether the list names an organisation, or a party that it owns; and the row.

    `possible` is why it may be the party of the row.
    """

    listed: Truth
    row: Row | None = None
    missing: tuple[str, ...] = ()
    possible: str = ""
    owned: str = ""  # the listed party that the organisation owns, or may own
    stated: bool = False  # the list states that the organisation owns the party of the row


class _Naming(NamedTuple):
    """A row that may name an organisation; why it is only a possible match, or ""; and whether it names an owner."""

    row: Row
    possible: str = ""
    stated: bool = False


class ListLookup:
    """One list on a day, with one threshold of control. With `affiliates`, owners of listed parties count as well."""

    def __init__(self, listed: List, network: EffectiveNetwork, control_bp: int, *, affiliates: bool = False) -> None:
        at = network.at
        self.list = listed
        self._network = network
        self._names = names_in(network)
        self._control_bp = control_bp
        self._holdings = Holdings(network, control_bp) if affiliates else None
        self._owners: dict[tuple[Limit, Limit], OwnersOfListed] = {}
        self._invalid = ""  # why the list does not apply on the day
        if listed.expired(at):
            self._invalid = f"the list is not valid from {listed.valid_until} on"
        elif at < listed.first_day:
            self._invalid = f"the list is not valid before {listed.first_day}"
        self._index = index_of(listed)
        self._rows = {number: row for number, row in enumerate(listed.rows) if row.in_force(at)}
        self.limited = any(row.parts or row.purposes for row in self._rows.values())
        self._named: dict[str, tuple[_Naming, ...]] = {}
        self._matches: dict[tuple[str, Limit, Limit, tuple[PartyName, ...]], ControlMatch] = {}

    def match(
        self, organisation: str, parts: Limit = None, purposes: Limit = None, products: tuple[PartyName, ...] = ()
    ) -> ControlMatch:
        """Return whether the list covers an organisation, where rows limited to parts or purposes must meet these.

        `products` are names of a product of it, which the list may have instead of the organisation.
        """
        if products:
            products = tuple(each for each in products if self._index.find(each.text))
        key = (organisation, parts, purposes, products) if self.limited else (organisation, None, None, products)
        match = self._matches.get(key)
        if match is None:
            match = self._matches[key] = self._match(organisation, parts, purposes, products)
        return match

    def _match(self, organisation: str, parts: Limit, purposes: Limit, products: tuple[PartyName, ...]) -> ControlMatch:
        if self._invalid:
            return ControlMatch(None, (self._list_fact(organisation, self._invalid),))
        listings: dict[str, _Listing] = {}

        def holder_of(id: str) -> Holder:
            node = self._organisation(id)
            of = self._listed(node, parts, purposes, products if id == organisation else ())
            of = listings[id] = of if of.listed else self._or_owner(of, node, parts, purposes)
            return control.branch(node, of.listed, of.missing) or control.with_controllers(
                control.owned(node, of.listed, of.missing), must_be_declared=False
            )

        graph = ControlGraph(organisation, holder_of, self._control_bp)
        if graph.truth:
            return self._covered(graph, listings, (parts, purposes))
        decided = graph.truth is False
        missing = () if decided else graph.missing()
        listing = _shown(listings, decided=decided)
        row, possible = listing.row, listing.possible
        if decided:
            note = f"neither the organisation nor its controllers are among the rows of {self.list.as_of}"
            note = note if row is None else f"{row.party} is only {row.status}, which does not decide"
        elif possible:
            note = possible if row is None else f"possible match with {row.party}{_limits(row)}: {possible}"
        elif listing.owned:
            note = f"the organisation, or one of its holders, may own {listing.owned}, which is or may be listed"
        elif row is not None:
            note = f"{row.party} is on the list as {row.status}{_limits(row)}"
        elif missing:
            note = "the organisation may be listed, or controlled by a listed party"
        elif self.list.complete:
            note = "its owners hold each other, and nobody outside is shown to control them"
        else:
            note = "the list is incomplete: a party without a row may be listed"
        facts = [fact for holder in graph.holders.values() for fact in control.named_facts(holder.node, _OF_CONTROL)]
        text = "" if row is None else self._row_text(row, "possible match with " if possible else "")
        all_facts = (self._list_fact(organisation, note, row), *control.considered(facts, f"list {self.list.id}"))
        return ControlMatch(graph.truth, all_facts, missing=missing, row=text)

    def _organisation(self, id: str) -> Node:
        return self._network.node_of_kind(id, (ORGANISATION,))

    def _listed(self, node: Node, parts: Limit, purposes: Limit, products: tuple[PartyName, ...]) -> _Listing:
        """Return whether the list names a node by id, name, identifier or product; and the row."""
        undecided: _Listing | None = None
        similar: _Listing | None = None
        advice: Row | None = None
        for row, possible, stated in (*self._rows_of(node), *self._rows_of_products(products)):
            met = conjunction((_meets(row.parts, parts), _meets(row.purposes, purposes)))
            if met is False:
                continue
            if possible and row.status != "recommended":
                similar = similar or _Listing(None, row, possible=possible)
            elif row.status == "listed" and met and not possible:
                return _Listing(True, row, stated=stated)
            elif row.status == "recommended":
                advice = advice or row
            else:
                undecided = undecided or _Listing(None, row)
        if decisive := undecided or similar:
            return decisive
        if self._rows:
            for code, other in self._names.sharing(node):
                if not self._names.are_parts_of_one(node, other):
                    return _Listing(None, possible=f"{other} declares {code} too")
            if (name := self._names.unreadable(node)) is not None:
                return _Listing(None, possible=f"{name.text!a} ({name.path}) cannot be compared")
            if node.get("identifiers") is None:
                return _Listing(None, missing=(f"{node.id}.identifiers",))
        return _Listing(False if self.list.complete else None, advice)

    def _or_owner(self, own: _Listing, node: Node, parts: Limit, purposes: Limit) -> _Listing:
        """Return the listing of an organisation that is not surely listed, or that of a party that it owns."""
        if self._holdings is None:
            return own
        key = (parts, purposes)
        if key not in self._owners:
            self._owners[key] = OwnersOfListed(
                self._holdings, lambda each: self._listed(self._organisation(each), parts, purposes, ())
            )
        owned = self._owners[key].owned_by(node.id)
        if owned.truth is False:
            row = self._unowned(parts, purposes)
            if row is None or own.listed is None:
                return own
            return _Listing(None, row, possible=f"neither the list nor the network states who owns {row.party}")
        row = self._listed(self._organisation(owned.party), parts, purposes, ()).row
        if owned.truth:
            return _Listing(True, row, owned=owned.party)
        return replace(own, listed=None, row=own.row or row, missing=own.missing + owned.missing, owned=owned.party)

    def _unowned(self, parts: Limit, purposes: Limit) -> Row | None:
        """Return the first row that could decide and of whose party nobody states the owners."""
        limits = ((row, _meets(row.parts, parts), _meets(row.purposes, purposes)) for row in self._ownerless)
        return next((row for row, *met in limits if conjunction(met) is not False), None)

    @cached_property
    def _ownerless(self) -> tuple[Row, ...]:
        """The rows without owners that no declared organisation is surely named by."""
        rows = {n: row for n, row in self._rows.items() if row.owners is None and row.status != "recommended"}
        for each in self._network.network.of_kind(ORGANISATION) if rows else ():
            for number, possible in self._rows_named(self._organisation(each.id)).items():
                if not possible:
                    rows.pop(number, None)
        return tuple(rows.values())

    def _rows_of(self, node: Node) -> tuple[_Naming, ...]:
        """Return the rows that may name a node, or one of whose party it may be an owner."""
        named = self._named.get(node.id)
        if named is None:
            found = self._rows_named(node)
            for code, other in self._names.sharing(node):
                for number in self._rows_named(self._network.node(other)):
                    found.setdefault(number, f"{other}, which may be the party of the row, declares {code} too")
            named = tuple(_Naming(self._rows[number], possible) for number, possible in found.items())
            named = self._named[node.id] = named + tuple(self._rows_owned(node))
        return named

    def _rows_owned(self, node: Node) -> Iterator[_Naming]:
        """Yield the rows of whose party the list states, or may state, that the node is an owner."""
        for name in self._names.of(node) if self._holdings is not None else ():
            for number, match in owners_of(self.list).find(name.text).items():
                row = self._rows.get(number)
                if row is not None:
                    possible = _possible(name, match) if match.how else ""
                    if not possible and all(each.state for each in row.owners or () if each.name == match.name):
                        possible = (
                            f"{match.name} is a state: whether parties that it owns are affiliates is not modelled"
                        )
                    yield _Naming(row, possible, stated=True)

    def _rows_named(self, node: Node) -> dict[int, str]:
        """Return the rows that may name a node, by number, each with the reason; it is empty if the row surely does.

        Rows of organisations with which the node shares a code are not among them.
        """
        found: dict[int, str] = {}
        for name in self._names.of(node):
            for number, match in self._index.find(name.text).items():
                if number in self._rows:
                    if match.how:
                        found.setdefault(number, _possible(name, match))
                    else:
                        found[number] = ""
        return found

    def _rows_of_products(self, products: tuple[PartyName, ...]) -> list[_Naming]:
        """Return the rows that may name a product, each with the reason."""
        found = [(name, self._index.find(name.text)) for name in products]
        return [
            _Naming(self._rows[number], _possible(name, match))
            for name, matches in found
            for number, match in matches.items()
            if number in self._rows
        ]

    def _covered(
        self, graph: ControlGraph, listings: Mapping[str, _Listing], limits: tuple[Limit, Limit]
    ) -> ControlMatch:
        rows = [(id, row) for id in graph.seeds() if (row := listings[id].row) is not None]
        facts: list[EffectiveFact] = []
        owning: list[str] = []
        for id, row in rows:
            party = listings[id].owned
            owner = self._listed(self._organisation(party), *limits, ()) if party else listings[id]
            if owner.stated:
                owning.append(f"{party or id} owns {row.party}, as list {self.list.id} states")
            facts += _naming_facts(self._organisation(party) if party else graph.holders[id].node, row)
            if party and self._holdings is not None:
                links, ties = self._holdings.between(id, party)
                owning += links
                facts += ties
        facts += graph.facts()
        first = rows[0][1]
        list_fact = self._list_fact(graph.organisation, first.note or f"{first.party} is listed", first)
        text = "; ".join(self._row_text(row) for _, row in rows)
        all_facts = (list_fact, *control.considered(facts, f"list {self.list.id}"))
        return ControlMatch(True, all_facts, chain=(*owning, *graph.chain()), row=text)

    def _list_fact(self, organisation: str, note: str, row: Row | None = None) -> EffectiveFact:
        """Return the lookup itself as a fact. A list is no declaration, so it does not weaken a finding's assurance."""
        return EffectiveFact(
            f"list {self.list.id}",
            organisation,
            (organisation,),
            source=self.list.publisher if row is None else row.source,
            as_of=self.list.as_of,
            assurance=Assurance.OBSERVED,
            note=note,
        )

    def _row_text(self, row: Row, match: str = "") -> str:
        status = "" if row.status == "listed" else f" ({row.status})"
        return f"{self.list.id}: {match}{row.party}{status}{_limits(row)}"


_OF_CONTROL = ("identifiers", BRANCH_OF, OWNERS, "dispersed_bp", CONTROLLERS)


def _naming_facts(node: Node, row: Row) -> list[EffectiveFact]:
    """Return the facts by which a node is the party of a row. Its id is not a fact."""
    identifiers = node.get("identifiers")
    facts = [] if identifiers is None else [identifiers]
    if node.name != node.id and any(names.are_equal(node.name, each) for each in row.names):
        facts.append(EffectiveFact(f"{node.id}.name", node.name, (node.name,)))
    return facts


def _shown(listings: Mapping[str, _Listing], *, decided: bool) -> _Listing:
    """Return the listing to show for an organisation that is not covered: of itself or the first of its holders.

    Once it is decided that nobody listed controls it, possible matches do not matter.
    """
    of_row = (each for each in listings.values() if each.row is not None or each.possible or each.owned)
    shown = (each for each in of_row if (not (each.possible or each.owned) if decided else each.listed is None))
    return next(shown, _Listing(False))


def _possible(name: PartyName, match: Match) -> str:
    """Return why a row may name a party."""
    return f'"{name.text}" ({name.path}) {match.how or "equals"} "{match.name}"'


def _limits(row: Row) -> str:
    only = [*row.parts, *row.purposes]
    return f", for {', '.join(only)} only" if only else ""


def _meets(of_row: tuple[str, ...], limit: Limit) -> Truth:
    """Return whether a row that is limited to some parts or purposes applies to those of the case."""
    if not of_row:
        return True
    if limit is None:
        return None
    values, complete = limit
    return True if not values.isdisjoint(of_row) else False if complete else None
