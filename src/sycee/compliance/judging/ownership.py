"""Whether an organisation, or who controls it, stands on a list on a day.

What a list says is weighed in three values. An organisation is controlled from a list if those on it, and those they
control, hold shares that reach control, all together: shares of several listed owners add up, and chains and circles of
ownership are followed to their end. Shares that nobody declared could be anyone's: where they could reach control the
answer is unknown. So could the votes of what a circle of owners holds of itself, unless somebody outside is shown to
keep control of it. A share that cannot reach control is no control.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sycee.compliance.facts import Assurance
from sycee.compliance.judging.effective_facts import EffectiveFact, EffectiveNetwork, Node
from sycee.compliance.profiles import List, Row, normalized_name
from sycee.compliance.verdicts import Evidence
from sycee.compliance.vocabulary import BASIS_POINTS, ORGANISATION

Truth = bool | None  # None: unknown
# The values that rows limited to parts, or to purposes, must meet, and whether they are all; None: a rule says nothing.
Limit = tuple[frozenset[str], bool] | None


@dataclass(slots=True)
class ListMatch:
    """Whether an organisation stands on a list. `facts` are what was looked at, the list itself first."""

    truth: Truth
    facts: tuple[EffectiveFact, ...]
    missing: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    row: str = ""
    _told: dict[Truth, tuple[Evidence, ...]] = field(default_factory=dict)

    def told(self, holds: Truth) -> tuple[Evidence, ...]:
        """The evidence of its facts, made once for each answer that came of them."""
        told = self._told.get(holds)
        if told is None:
            told = self._told[holds] = tuple([known.told(holds) for known in self.facts])
        return told


@dataclass(slots=True)
class _Holder:
    """One organisation among those that may control the one at hand."""

    node: Node
    direct: Truth  # whether it stands on the list itself
    row: Row | None
    missing: tuple[str, ...]
    shares: tuple[tuple[str, int], ...]  # who holds how many basis points of it
    undeclared_bp: int  # what could be anyone's


class ListLookup:
    """One list, on a day, asked with one threshold of control."""

    def __init__(self, listed: List, knowledge: EffectiveNetwork, control_bp: int) -> None:
        at = knowledge.at
        self.list = listed
        self._knowledge = knowledge
        self._control_bp = control_bp
        self._silent = ""  # why it says nothing, if it does
        if listed.expired(at):
            self._silent = f"it says nothing from {listed.valid_until} on"
        elif at < listed.as_of:
            self._silent = f"it says nothing before {listed.as_of}"
        rows = {name: tuple(row for row in rows if row.in_force(at)) for name, rows in listed.rows_of.items()}
        self._rows = {name: found for name, found in rows.items() if found}
        self.limited = any(row.parts or row.purposes for found in self._rows.values() for row in found)
        self._standings: dict[tuple[str, Limit, Limit], ListMatch] = {}

    def standing(self, organisation: str, parts: Limit = None, purposes: Limit = None) -> ListMatch:
        """Of one organisation. `parts` and `purposes` are what rows that are limited to some must meet."""
        key = (organisation, parts, purposes) if self.limited else (organisation, None, None)
        standing = self._standings.get(key)
        if standing is None:
            standing = self._standings[key] = self._judge(organisation, parts, purposes)
        return standing

    def _judge(self, organisation: str, parts: Limit, purposes: Limit) -> ListMatch:
        if self._silent:
            return ListMatch(None, (self._looked(organisation, self._silent),))
        holders = self._holders(organisation, parts, purposes)
        controlled = self._controlled(holders)
        if organisation in controlled:
            return self._stands(organisation, holders, controlled)
        facts = self._behind(fact for holder in holders.values() for fact in _weighed(holder.node))
        possible = self._possible(holders)
        if organisation not in possible:
            note = f"neither it nor who controls it is among the rows of {self.list.as_of}"
            advice = next((each.row for each in holders.values() if each.row is not None), None)
            if advice is not None:
                note = f"{advice.party} is {advice.status} on it, which decides nothing"
            row = "" if advice is None else self._told(advice)
            return ListMatch(False, (self._looked(organisation, note, advice), *facts), row=row)
        missing = self._missing(organisation, holders, possible)
        pending = next((each.row for each in holders.values() if each.row is not None and each.direct is None), None)
        row = "" if pending is None else self._told(pending)
        if pending is not None:
            note = f"{pending.party} is on it as {pending.status}{_limits(pending)}"
        elif missing:
            note = "it may stand there, or be controlled from there"
        elif self.list.complete:
            note = "a circle of owners holds it that nobody outside is shown to control"
        else:
            note = "its rows are some of many: who is not among them may yet be listed"
        return ListMatch(None, (self._looked(organisation, note, pending), *facts), missing=missing, row=row)

    def _holders(self, organisation: str, parts: Limit, purposes: Limit) -> dict[str, _Holder]:
        """The organisation and all above it, each once."""
        holders: dict[str, _Holder] = {}
        waiting = [organisation]
        while waiting:
            id = waiting.pop(0)
            if id not in holders:
                holders[id] = self._holder(self._knowledge.named(id, (ORGANISATION,)), parts, purposes)
                waiting += [owner for owner, _ in holders[id].shares]
        return holders

    def _holder(self, node: Node, parts: Limit, purposes: Limit) -> _Holder:
        direct, row, missing = self._direct(node, parts, purposes)
        shares: dict[str, int] = {}
        owners, dispersed = node.get("owners"), node.get("dispersed_bp")
        undeclared = BASIS_POINTS
        if owners is not None and owners.value == () and not _ever(node):
            undeclared = 0  # it is nobody's: a state, a person
        for owner in owners.nodes if owners is not None else ():
            who, share = owner.get("owner"), owner.get("share_bp")
            if who is not None:
                held = share.values[0] if share is not None else 0
                shares[who.values[0]] = shares.get(who.values[0], 0) + held
                undeclared -= held
        if dispersed is not None:
            undeclared -= dispersed.values[0]
        return _Holder(node, direct, row, missing, tuple(shares.items()), max(0, undeclared))

    def _direct(self, node: Node, parts: Limit, purposes: Limit) -> tuple[Truth, Row | None, tuple[str, ...]]:
        """Whether it stands on the list by its id, its name or an identifier; the row; what is missing to tell."""
        identifiers = node.get("identifiers")
        names = [node.id, node.name, *(identifiers.values if identifiers is not None else ())]
        rows = {id(row): row for name in names for row in self._rows.get(normalized_name(name), ())}
        open_row: Row | None = None
        advice: Row | None = None
        for row in rows.values():
            met = _meets(row, parts, purposes)
            if met is False:
                continue
            if row.status == "listed" and met:
                return True, row, ()
            if row.status == "recommended":
                advice = advice or row
            else:
                open_row = open_row or row
        if open_row is not None:
            return None, open_row, ()
        if identifiers is None and self._rows:
            return None, None, (f"{node.id}.identifiers",)
        return (False if self.list.complete else None), advice, ()

    def _controlled(self, holders: dict[str, _Holder]) -> dict[str, tuple[str, ...]]:
        """Those on the list, and those they surely control: for each, who holds it in that circle."""
        found: dict[str, tuple[str, ...]] = {id: () for id, holder in holders.items() if holder.direct}
        grows = True
        while grows:
            grows = False
            for id, holder in holders.items():
                if id in found:
                    continue
                within = tuple(owner for owner, _ in holder.shares if owner in found)
                if sum(share for owner, share in holder.shares if owner in found) >= self._control_bp:
                    found[id] = within
                    grows = True
        return found

    def _possible(self, holders: dict[str, _Holder]) -> frozenset[str]:
        """Those that may be on the list, or be controlled by who may be on it or by holders that nobody declared.

        All are, but those that are shown not to be, from those without such owners down. So a circle of owners does
        not vouch for itself: the shares that it holds of itself are voted by whoever leads it.
        """
        free: set[str] = set()
        grows = True
        while grows:
            grows = False
            for id, holder in holders.items():
                if id in free or holder.direct is not False:
                    continue
                open_bp = sum(share for owner, share in holder.shares if owner not in free) + holder.undeclared_bp
                if open_bp < self._control_bp:
                    free.add(id)
                    grows = True
        return frozenset(holders.keys() - free)

    def _stands(
        self, organisation: str, holders: dict[str, _Holder], controlled: dict[str, tuple[str, ...]]
    ) -> ListMatch:
        chain: list[str] = []
        facts: list[EffectiveFact] = []
        rows: list[Row] = []
        seen: set[str] = set()

        def climb(id: str) -> None:
            if id in seen:
                return
            seen.add(id)
            holder, within = holders[id], controlled[id]
            if holder.row is not None and holder.direct:
                rows.append(holder.row)
                facts.extend(_called(holder.node, holder.row))
                return
            for owner in within:
                climb(owner)
            held = sum(share for owner, share in holder.shares if owner in within)
            verb = "holds" if len(within) == 1 else "together hold"
            chain.append(f"{' and '.join(within)} {verb} {held:,} of {BASIS_POINTS:,} basis points of {id}")
            facts.extend(_shares(holder.node, within))

        climb(organisation)
        note = rows[0].note or f"{rows[0].party} stands on it"
        looked = self._looked(organisation, note, rows[0])
        return ListMatch(
            True, (looked, *self._behind(facts)), chain=tuple(chain), row="; ".join(self._told(row) for row in rows)
        )

    def _missing(self, organisation: str, holders: dict[str, _Holder], possible: frozenset[str]) -> tuple[str, ...]:
        """What would have to be declared to tell, nearest first."""
        found: dict[str, None] = {}
        seen: set[str] = set()
        waiting = [organisation]
        while waiting:
            id = waiting.pop(0)
            if id in seen:
                continue
            seen.add(id)
            holder = holders[id]
            found.update(dict.fromkeys(holder.missing))
            within = [(owner, share) for owner, share in holder.shares if owner in possible]
            if sum(share for _, share in within) + holder.undeclared_bp >= self._control_bp:
                if holder.undeclared_bp:
                    found[f"{id}.owners"] = None
                waiting += [owner for owner, _ in within]
        return tuple(found)

    def _looked(self, organisation: str, note: str, row: Row | None = None) -> EffectiveFact:
        """That the list was asked about it. A list is no declaration: it makes a finding no weaker."""
        return EffectiveFact(
            f"list {self.list.id}",
            organisation,
            (organisation,),
            source=self.list.publisher if row is None else row.source,
            as_of=self.list.as_of,
            assurance=Assurance.OBSERVED,
            note=note,
        )

    def _behind(self, facts: Iterable[EffectiveFact]) -> tuple[EffectiveFact, ...]:
        """The facts that were weighed to tell who stands there, marked so: no condition is about them."""
        return tuple(fact.noted(f"weighed for list {self.list.id}") for fact in facts)

    def _told(self, row: Row) -> str:
        status = "" if row.status == "listed" else f" ({row.status})"
        return f"{self.list.id}: {row.party}{status}{_limits(row)}"


def _called(node: Node, row: Row) -> list[EffectiveFact]:
    """The facts by which it is the party of a row; its id alone is none."""
    identifiers = node.get("identifiers")
    found = [] if identifiers is None else [identifiers]
    if node.name != node.id and normalized_name(node.name) in {
        normalized_name(each) for each in (row.party, *row.also)
    }:
        found.append(EffectiveFact(f"{node.id}.name", node.name, (node.name,)))
    return found


def _limits(row: Row) -> str:
    only = [*row.parts, *row.purposes]
    return f", for {', '.join(only)} only" if only else ""


def _meets(row: Row, parts: Limit, purposes: Limit) -> Truth:
    """Whether a row is about what is at hand."""
    answers = [_meet(row.parts, parts), _meet(row.purposes, purposes)]
    return False if False in answers else None if None in answers else True


def _meet(of_row: tuple[str, ...], limit: Limit) -> Truth:
    if not of_row:
        return True
    if limit is None:
        return None
    values, complete = limit
    return True if not values.isdisjoint(of_row) else False if complete else None


def _ever(node: Node) -> bool:
    """Whether any owner was declared, of whatever time: an owner who left is not the same as having none."""
    return node.declared_count("owners") > 0


def _weighed(node: Node) -> list[EffectiveFact]:
    """The facts that were weighed of an organisation that does not, or not surely, stand there."""
    found = [node.get(name) for name in ("identifiers", "owners", "dispersed_bp")]
    return [known for known in found if known is not None]


def _shares(node: Node, within: tuple[str, ...]) -> list[EffectiveFact]:
    """The facts of the shares that decided."""
    owners = node.get("owners")
    found: list[EffectiveFact] = []
    for owner in owners.nodes if owners is not None else ():
        who, share = owner.get("owner"), owner.get("share_bp")
        if who is not None and share is not None and who.values[0] in within:
            found += [who, share]
    return found
