"""Whether a list covers an organisation on a day, directly or through the parties that control it.

An organisation is controlled from a list if listed organisations, and those they control, together hold shares that
reach the threshold of control (`control`). Shares of several listed owners add up; chains and circles of owners are
followed to their end. Undeclared shares could belong to anybody: where they could reach the threshold, the result is
unknown. So is the control of a circle of owners that hold each other, unless an owner outside the circle is shown to
control it. Shares below the threshold are no control. A branch is a part of its parent.
"""

from __future__ import annotations

from sycee.compliance.facts import Assurance
from sycee.compliance.judging import control
from sycee.compliance.judging.control import BRANCH_OF, OWNERS, ControlGraph, ControlMatch, Holder
from sycee.compliance.judging.effective_facts import EffectiveFact, EffectiveNetwork, Node
from sycee.compliance.judging.logic import Truth, conjunction
from sycee.compliance.profiles import List, Row, normalized_name
from sycee.compliance.vocabulary import ORGANISATION

# Parts or purposes of the case, for rows that are limited to some; and whether these are all. None: not stated.
Limit = tuple[frozenset[str], bool] | None


class ListLookup:
    """One list on a day, with one threshold of control."""

    def __init__(self, listed: List, network: EffectiveNetwork, control_bp: int) -> None:
        at = network.at
        self.list = listed
        self._network = network
        self._control_bp = control_bp
        self._invalid = ""  # why the list does not apply on the day
        if listed.expired(at):
            self._invalid = f"the list is not valid from {listed.valid_until} on"
        elif at < listed.first_day:
            self._invalid = f"the list is not valid before {listed.first_day}"
        rows = {name: tuple(row for row in rows if row.in_force(at)) for name, rows in listed.rows_by_name.items()}
        self._rows = {name: in_force for name, in_force in rows.items() if in_force}
        self.limited = any(row.parts or row.purposes for in_force in self._rows.values() for row in in_force)
        self._matches: dict[tuple[str, Limit, Limit], ControlMatch] = {}

    def match(self, organisation: str, parts: Limit = None, purposes: Limit = None) -> ControlMatch:
        """Return whether the list covers an organisation, where rows limited to parts or purposes must meet these."""
        key = (organisation, parts, purposes) if self.limited else (organisation, None, None)
        match = self._matches.get(key)
        if match is None:
            match = self._matches[key] = self._match(organisation, parts, purposes)
        return match

    def _match(self, organisation: str, parts: Limit, purposes: Limit) -> ControlMatch:
        if self._invalid:
            return ControlMatch(None, (self._list_fact(organisation, self._invalid),))
        rows: dict[str, Row] = {}  # of the holders that have one

        def holder_of(id: str) -> Holder:
            node = self._network.node_of_kind(id, (ORGANISATION,))
            listed, row, missing = self._listed(node, parts, purposes)
            if row is not None:
                rows[id] = row
            return control.branch(node, listed, missing) or control.owned(node, listed, missing)

        graph = ControlGraph(organisation, holder_of, self._control_bp)
        if graph.truth:
            return self._covered(graph, rows)
        decided = graph.truth is False
        missing = () if decided else graph.missing()
        row = next((row for id, row in rows.items() if decided or graph.holders[id].seed is None), None)
        if decided:
            note = f"neither the organisation nor its controllers are among the rows of {self.list.as_of}"
            note = note if row is None else f"{row.party} is only {row.status}, which does not decide"
        elif row is not None:
            note = f"{row.party} is on the list as {row.status}{_limits(row)}"
        elif missing:
            note = "the organisation may be listed, or controlled by a listed party"
        elif self.list.complete:
            note = "its owners hold each other, and nobody outside is shown to control them"
        else:
            note = "the list is incomplete: a party without a row may be listed"
        facts = [fact for holder in graph.holders.values() for fact in control.named_facts(holder.node, _OF_CONTROL)]
        text = "" if row is None else self._row_text(row)
        all_facts = (self._list_fact(organisation, note, row), *control.considered(facts, f"list {self.list.id}"))
        return ControlMatch(graph.truth, all_facts, missing=missing, row=text)

    def _listed(self, node: Node, parts: Limit, purposes: Limit) -> tuple[Truth, Row | None, tuple[str, ...]]:
        """Return whether the list names a node by id, name or identifier; the row; and the facts that are missing."""
        identifiers = node.get("identifiers")
        names = [node.id, node.name, *(identifiers.values if identifiers is not None else ())]
        rows = {id(row): row for name in names for row in self._rows.get(normalized_name(name), ())}
        undecided: Row | None = None
        advice: Row | None = None
        for row in rows.values():
            met = conjunction((_meets(row.parts, parts), _meets(row.purposes, purposes)))
            if met is False:
                continue
            if row.status == "listed" and met:
                return True, row, ()
            if row.status == "recommended":
                advice = advice or row
            else:
                undecided = undecided or row
        if undecided is not None:
            return None, undecided, ()
        if identifiers is None and self._rows:
            return None, None, (f"{node.id}.identifiers",)
        return (False if self.list.complete else None), advice, ()

    def _covered(self, graph: ControlGraph, rows: dict[str, Row]) -> ControlMatch:
        seeds = graph.seeds()
        facts = [fact for id in seeds for fact in _naming_facts(graph.holders[id].node, rows[id])] + graph.facts()
        first = rows[seeds[0]]
        list_fact = self._list_fact(graph.organisation, first.note or f"{first.party} is listed", first)
        row = "; ".join(self._row_text(rows[id]) for id in seeds)
        all_facts = (list_fact, *control.considered(facts, f"list {self.list.id}"))
        return ControlMatch(True, all_facts, chain=graph.chain(), row=row)

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

    def _row_text(self, row: Row) -> str:
        status = "" if row.status == "listed" else f" ({row.status})"
        return f"{self.list.id}: {row.party}{status}{_limits(row)}"


_OF_CONTROL = ("identifiers", BRANCH_OF, OWNERS, "dispersed_bp")


def _naming_facts(node: Node, row: Row) -> list[EffectiveFact]:
    """Return the facts by which a node is the party of a row. Its id is not a fact."""
    identifiers = node.get("identifiers")
    facts = [] if identifiers is None else [identifiers]
    names = {normalized_name(each) for each in (row.party, *row.also)}
    if node.name != node.id and normalized_name(node.name) in names:
        facts.append(EffectiveFact(f"{node.id}.name", node.name, (node.name,)))
    return facts


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
