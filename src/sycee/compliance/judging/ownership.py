"""Whether a list covers an organisation on a day, directly or through the parties that control it.

An organisation is controlled from a list if listed organisations, and those they control, together hold shares that
reach the threshold of control. Shares of several listed owners add up; chains and circles of owners are followed to
their end. Undeclared shares could belong to anybody: where they could reach the threshold, the result is unknown. So
is the control of a circle of owners that hold each other, unless an owner outside the circle is shown to control it.
Shares below the threshold are no control.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sycee.compliance.facts import Assurance
from sycee.compliance.judging.effective_facts import CachedEvidence, EffectiveFact, EffectiveNetwork, Node
from sycee.compliance.judging.logic import Truth, conjunction
from sycee.compliance.profiles import List, Row, normalized_name
from sycee.compliance.verdicts import Evidence
from sycee.compliance.vocabulary import BASIS_POINTS, ORGANISATION

# Parts or purposes of the case, for rows that are limited to some; and whether these are all. None: not stated.
Limit = tuple[frozenset[str], bool] | None


@dataclass(slots=True)
class ListMatch(CachedEvidence[tuple[Evidence, ...]]):
    """Whether a list covers an organisation. `facts` are those that were considered, the list itself first."""

    truth: Truth
    facts: tuple[EffectiveFact, ...]
    missing: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    row: str = ""

    def _new_evidence(self, holds: Truth) -> tuple[Evidence, ...]:
        return tuple([fact.evidence(holds) for fact in self.facts])


@dataclass(slots=True)
class _Holder:
    """An organisation that was asked about, or a direct or indirect owner of it."""

    node: Node
    listed: Truth  # whether the list names it
    row: Row | None
    missing: tuple[str, ...]
    shares: tuple[tuple[str, int], ...]  # its owners and the basis points of each
    undeclared_bp: int


_Holders = dict[str, _Holder]


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
        self._matches: dict[tuple[str, Limit, Limit], ListMatch] = {}

    def match(self, organisation: str, parts: Limit = None, purposes: Limit = None) -> ListMatch:
        """Return whether the list covers an organisation, where rows limited to parts or purposes must meet these."""
        key = (organisation, parts, purposes) if self.limited else (organisation, None, None)
        match = self._matches.get(key)
        if match is None:
            match = self._matches[key] = self._match(organisation, parts, purposes)
        return match

    def _match(self, organisation: str, parts: Limit, purposes: Limit) -> ListMatch:
        if self._invalid:
            return ListMatch(None, (self._list_fact(organisation, self._invalid),))
        holders = self._holders(organisation, parts, purposes)
        controlled = self._controlled(holders)
        if organisation in controlled:
            return self._covered(organisation, holders, controlled)
        possible = self._possible(holders)
        decided = organisation not in possible
        missing = () if decided else self._missing(organisation, holders, possible)
        rows = [each.row for each in holders.values() if each.row is not None and (decided or each.listed is None)]
        row = rows[0] if rows else None
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
        facts = self._considered(fact for holder in holders.values() for fact in _ownership_facts(holder.node))
        text = "" if row is None else self._row_text(row)
        truth = False if decided else None
        return ListMatch(truth, (self._list_fact(organisation, note, row), *facts), missing=missing, row=text)

    def _holders(self, organisation: str, parts: Limit, purposes: Limit) -> _Holders:
        holders: _Holders = {}
        queue = deque([organisation])
        while queue:
            id = queue.popleft()
            if id not in holders:
                holders[id] = self._holder(self._network.node_of_kind(id, (ORGANISATION,)), parts, purposes)
                queue += [owner for owner, _ in holders[id].shares]
        return holders

    def _holder(self, node: Node, parts: Limit, purposes: Limit) -> _Holder:
        listed, row, missing = self._listed(node, parts, purposes)
        shares: dict[str, int] = {}
        owners, dispersed = node.get("owners"), node.get("dispersed_bp")
        undeclared = BASIS_POINTS
        # A list of owners that is declared as empty: a state or a person. Owners that left do not make it empty.
        if owners is not None and owners.value == () and not node.declared_count("owners"):
            undeclared = 0
        for element in owners.nodes if owners is not None else ():
            owner, share = element.get("owner"), element.get("share_bp")
            if owner is not None:
                held = share.values[0] if share is not None else 0
                shares[owner.values[0]] = shares.get(owner.values[0], 0) + held
        undeclared -= sum(shares.values()) + (0 if dispersed is None else dispersed.values[0])
        return _Holder(node, listed, row, missing, tuple(shares.items()), max(0, undeclared))

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

    def _controlled(self, holders: _Holders) -> dict[str, tuple[str, ...]]:
        """Return the listed organisations and those that they surely control, each with its owners among these.

        Control spreads from the listed ones by levels of owned organisations, so that the result depends on no order.
        """
        controlled: dict[str, tuple[str, ...]] = {id: () for id, holder in holders.items() if holder.listed}
        owned = _owned(holders)
        held_bp = dict.fromkeys(holders, 0)
        level = list(controlled)
        while level:
            touched: dict[str, None] = {}
            for owner in level:
                for id, share in owned.get(owner, ()):
                    held_bp[id] += share
                    touched[id] = None
            level = [id for id in touched if id not in controlled and held_bp[id] >= self._control_bp]
            controlled |= {id: tuple(each for each, _ in holders[id].shares if each in controlled) for id in level}
        return controlled

    def _possible(self, holders: _Holders) -> frozenset[str]:
        """Return the organisations that may be listed, or controlled by possibly listed or undeclared owners.

        Start from all and remove those that are shown to be free, beginning with organisations whose owners are free.
        A circle of owners is thus never free by its own shares, since a possible outside controller votes them.
        """
        owned = _owned(holders)
        open_bp = {id: sum(share for _, share in each.shares) + each.undeclared_bp for id, each in holders.items()}
        free: set[str] = set()
        candidates = list(holders)
        while candidates:
            id = candidates.pop()
            if id in free or holders[id].listed is not False or open_bp[id] >= self._control_bp:
                continue
            free.add(id)
            for other, share in owned.get(id, ()):
                open_bp[other] -= share
                candidates.append(other)
        return frozenset(holders.keys() - free)

    def _covered(self, organisation: str, holders: _Holders, controlled: dict[str, tuple[str, ...]]) -> ListMatch:
        chain: list[str] = []
        facts: list[EffectiveFact] = []
        rows: list[Row] = []
        for id in _owners_first(organisation, holders, controlled):
            holder, within = holders[id], controlled[id]
            if holder.row is not None and holder.listed:
                rows.append(holder.row)
                facts.extend(_naming_facts(holder.node, holder.row))
                continue
            held = sum(share for owner, share in holder.shares if owner in within)
            verb = "holds" if len(within) == 1 else "together hold"
            chain.append(f"{' and '.join(within)} {verb} {held:,} of {BASIS_POINTS:,} basis points of {id}")
            facts.extend(_share_facts(holder.node, within))
        list_fact = self._list_fact(organisation, rows[0].note or f"{rows[0].party} is listed", rows[0])
        row = "; ".join(self._row_text(row) for row in rows)
        return ListMatch(True, (list_fact, *self._considered(facts)), chain=tuple(chain), row=row)

    def _missing(self, organisation: str, holders: _Holders, possible: frozenset[str]) -> tuple[str, ...]:
        """Return the facts that would decide, those of the organisation first, then those of its owners."""
        missing: dict[str, None] = {}
        seen: set[str] = set()
        queue = deque([organisation])
        while queue:
            id = queue.popleft()
            if id in seen:
                continue
            seen.add(id)
            holder = holders[id]
            missing.update(dict.fromkeys(holder.missing))
            within = [(owner, share) for owner, share in holder.shares if owner in possible]
            if sum(share for _, share in within) + holder.undeclared_bp >= self._control_bp:
                if holder.undeclared_bp:
                    missing[f"{id}.owners"] = None
                queue += [owner for owner, _ in within]
        return tuple(missing)

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

    def _considered(self, facts: Iterable[EffectiveFact]) -> tuple[EffectiveFact, ...]:
        """Return facts with a note that they were considered for the list; no condition tests them itself."""
        return tuple(fact.with_note(f"considered for list {self.list.id}") for fact in facts)

    def _row_text(self, row: Row) -> str:
        status = "" if row.status == "listed" else f" ({row.status})"
        return f"{self.list.id}: {row.party}{status}{_limits(row)}"


def _owned(holders: _Holders) -> dict[str, list[tuple[str, int]]]:
    """Return for each owner the organisations of which it holds shares, with the basis points of each."""
    owned: dict[str, list[tuple[str, int]]] = {}
    for id, holder in holders.items():
        for owner, share in holder.shares:
            owned.setdefault(owner, []).append((id, share))
    return owned


def _owners_first(organisation: str, holders: _Holders, controlled: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield the organisation and its controllers up to listed ones, each after its own controllers.

    The walk has a stack of its own: a chain may have more levels than Python has frames.
    """
    seen = {organisation}
    stack = [(organisation, iter(() if holders[organisation].listed else controlled[organisation]))]
    while stack:
        id, owners = stack[-1]
        owner = next((each for each in owners if each not in seen), None)
        if owner is None:
            stack.pop()
            yield id
        else:
            seen.add(owner)
            stack.append((owner, iter(() if holders[owner].listed else controlled[owner])))


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


def _ownership_facts(node: Node) -> list[EffectiveFact]:
    return [fact for name in ("identifiers", "owners", "dispersed_bp") if (fact := node.get(name)) is not None]


def _share_facts(node: Node, within: tuple[str, ...]) -> list[EffectiveFact]:
    """Return the owners among `within` and their shares."""
    owners = node.get("owners")
    facts: list[EffectiveFact] = []
    for element in owners.nodes if owners is not None else ():
        owner, share = element.get("owner"), element.get("share_bp")
        if owner is not None and share is not None and owner.values[0] in within:
            facts += [owner, share]
    return facts
