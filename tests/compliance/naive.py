"""A plain judge: recursion over the declarations, without evidence and caches.

The slow twin of `sycee.compliance.judging.judge`. Both use the same data classes, the same function to split paths, and
the same normalised words of names.
"""

from __future__ import annotations

from datetime import date

from tests.compliance import naive_sums
from tests.compliance.naive_affiliates import anybody_owns, states_owner, with_controllers, with_owners
from tests.compliance.naive_claims import authorities, exempts, is_denied, names_all
from tests.compliance.naive_deadline import in_time
from tests.compliance.naive_fields import OF_PLACES, REFERS_TO, joined, whole_of
from tests.compliance.naive_logic import Truth, conjunction, disjunction, negation
from tests.compliance.naive_names import called

from sycee.compliance import names
from sycee.compliance.fact_paths import Roots, split
from sycee.compliance.facts import Adoption, Assurance, Element, Entity, Network
from sycee.compliance.profiles import Condition, Library, Profile, Row, Rule
from sycee.compliance.verdicts import Force, Verdict
from sycee.compliance.vocabulary import BASIS_POINTS, EXCLUDED, KINDS, LEVELS, OF_PERSONS, PATH_LEVELS

Here = Entity | Element | str  # a text is an undeclared id


class Naive:
    def __init__(self, network: Network, library: Library, at: date) -> None:
        self.network = network
        self.library = library
        self.at = at
        self.exempting = False
        self.profile_of = {rule.id: profile for profile in library.profiles for rule in profile.rules}

    # --- facts ---

    def values(self, here: Here, steps: list[str]) -> tuple[list[object], bool]:
        """Return all values at the end of a path, and whether none is missing. Elements not in force are ignored."""
        if not steps:
            return [here], True
        facts = {} if isinstance(here, str) else here.facts
        fact = facts.get(steps[0])
        if isinstance(here, Entity) and is_denied(here, steps[0], self.at, exempting=self.exempting):
            return [], False
        of_branch = steps[0] in ("state", "headquarters", "authority") and "branch_of" in facts
        parents, known = self.values(here, ["branch_of"]) if of_branch else ([], False)
        if steps[0] == "authority" and isinstance(here, Entity) and here.kind == "organisation":
            return authorities(self.network, here, self.at)
        if fact is None and known and "branch_of" not in getattr(self.resolved(parents[0], "branch_of"), "facts", {}):
            return self.values(here, ["branch_of", *steps])
        for mark, other in (("person", "resides_in"), ("organised_in", "organised_in")):
            if fact is None and steps[0] == "state" and mark in facts:
                return self.values(here, [other, *steps[1:]])
        if fact is None and steps[0] in ("person", *OF_PERSONS) and not set(EXCLUDED["person"]).isdisjoint(facts):
            return [], True
        if fact is None or (fact.expires is not None and fact.expires <= self.at):
            if isinstance(here, Entity) and here.kind == "cloud" and steps[0] in OF_PLACES:
                found = [self.values(here, ["facility", each, *steps[1:]]) for each in OF_PLACES[steps[0]]]
                return [value for values, _ in found for value in values], all(whole for _, whole in found)
            can_be = not isinstance(here, Entity) or KINDS[here.kind].field(steps[0]) is not None
            return [], not can_be
        several = fact.value if isinstance(fact.value, tuple) else (fact.value,)
        several = tuple(each for each in several if not isinstance(each, Element) or each.in_force(self.at))
        whole = not isinstance(here, Entity) or names_all(self.network, here, steps[0], self.at)
        if len(steps) == 1:
            return list(several), whole
        below_all: list[object] = []
        for each in several:
            below, all_there = self.values(self.resolved(each, steps[0]), steps[1:])
            below_all += below
            whole = whole and all_there
        return below_all, whole

    def leaves(self, here: Here, steps: list[str]) -> tuple[list[tuple[Here, list[object]]], bool]:
        """Yield the values of each fact at the end of a path, with its owner."""
        holders, whole = self.values(here, steps[:-1])
        found = []
        for holder in holders:
            at = self.resolved(holder, steps[-2]) if len(steps) > 1 else here
            values, known = self.values(at, steps[-1:])
            facts = {} if isinstance(at, str) else at.facts
            if known and (values or steps[-1] in facts):
                found.append((at, values))
            whole = whole and known
        return found, whole

    def resolved(self, value: object, field: str = "") -> Here:
        """Return the entity of an id; None if it is of a kind that the field does not allow."""
        if isinstance(value, str):
            entity = self.network.entities.get(value)
            return value if entity is None or (field and entity.kind not in REFERS_TO[field]) else entity
        assert isinstance(value, Element | Entity)
        return value

    # --- conditions ---

    def condition(self, condition: Condition, roots: Roots, frame: dict[str, Here | None]) -> Truth:
        if condition.any_of:
            return disjunction([self.condition(each, roots, frame) for each in condition.any_of])
        truth = (self.some if condition.some else self.test)(condition, roots, frame)
        return negation(truth) if condition.negate else truth

    def some(self, condition: Condition, roots: Roots, frame: dict[str, Here | None]) -> Truth:
        values, whole = self.at_path(condition.some, roots, frame)
        of_flow = condition.some.startswith("flow.") and roots.level in PATH_LEVELS
        named = of_flow or condition.some.startswith("subject.") or not roots.each
        below = Roots(roots.level, condition.some if named else f"{roots.each}.{condition.some}")
        truths: list[Truth] = [] if whole else [None]
        for value in values:
            inner = {**frame, "element": self.resolved(value, condition.some.rpartition(".")[2])}
            truths.append(conjunction([self.condition(each, below, inner) for each in condition.having]))
        return disjunction(truths)

    def test(self, condition: Condition, roots: Roots, frame: dict[str, Here | None]) -> Truth:
        if condition.test == "attested":
            subject = frame["subject"]
            assert subject is not None
            whose, whole = self.at_path(condition.of, roots, frame) if condition.of else ([subject], True)
            truths: list[Truth] = [
                self.is_attested(each, condition.topic, condition.at_least) or None for each in whose
            ]
            return conjunction(truths + ([] if whole else [None]))
        start, steps = split(condition.fact, roots)
        here = frame[start]
        if here is None:
            return None
        if condition.test == "sum-at-most":
            assert isinstance(here, Entity)
            return naive_sums.sum_at_most(self, condition, here, steps[0])
        leaves, whole = self.leaves(here, steps)
        gap: list[Truth] = [] if whole else [None]
        values = [value for _, found in leaves for value in found]
        if condition.test in ("any-listed", "none-listed"):
            found_of: list[Truth] = [
                self.listed(str(value), condition, roots, frame, self.products(owner, steps[-1]))
                for owner, found in leaves
                for value in found
            ]
            truth = disjunction(found_of + gap)
            return truth if condition.test == "any-listed" else negation(truth)
        if condition.test == "controlled-by":
            return disjunction([self.controlled(str(value), condition) for value in values] + gap)
        if condition.test in ("any-in", "all-in", "none-in"):
            inside: list[Truth] = [self.inside(value, condition, roots, frame) for value in values]
            if condition.test == "all-in":
                return conjunction(inside + gap)
            found = disjunction(inside + gap)
            return found if condition.test == "any-in" else negation(found)
        if condition.test == "returned-in-time":
            elements, whole = self.values(here, steps[:-1] if steps[-1].endswith("_at") else steps)
            gap = [] if whole else [None]
            return conjunction([self.returned(self.resolved(each), condition) for each in elements] + gap)
        plain = {
            "declared": lambda found: bool(found),
            "is-true": lambda found: found == [True],
            "is-false": lambda found: found == [False],
            "at-most": lambda found: found[0] <= condition.limit,
            "at-least": lambda found: found[0] >= condition.limit,
        }[condition.test]
        truths = [plain(found) for _, found in leaves]
        if not truths and whole and not condition.test.startswith("at-"):
            return False
        return conjunction(truths + gap)

    def at_path(self, path: str, roots: Roots, frame: dict[str, Here | None]) -> tuple[list[object], bool]:
        start, steps = split(path, roots)
        here = frame[start]
        return ([], False) if here is None else self.values(here, steps)

    def inside(self, value: object, condition: Condition, roots: Roots, frame: dict[str, Here | None]) -> Truth:
        if not condition.facts:
            return value in condition.values or any(
                value == each.value
                and (each.from_date is None or each.from_date <= self.at)
                and (each.until_date is None or self.at < each.until_date)
                for each in condition.members
            )
        inside, whole = self.at_path(condition.facts, roots, frame)
        if isinstance(value, Element):
            return True if id(value) in {id(each) for each in inside} else False if whole else None
        own, wholes = whole_of(self, value), [whole_of(self, each) for each in inside]
        if (own is not None and own in wholes) or value in inside:
            return True
        return False if whole and own is not None and None not in wholes else None

    def is_attested(self, subject: object, topic: str, least: Assurance = Assurance.DECLARED) -> bool:
        name = subject.id if isinstance(subject, Entity) else subject
        return any(
            each.subject == name
            and topic in each.topics
            and each.in_force(self.at)
            and (each.assurance if each.signed else Assurance.DECLARED) >= least
            for each in self.network.attestations
        )

    def returned(self, here: Here, condition: Condition) -> Truth:
        moments = {}
        for name in ("taken_at", "returned_at", "deleted_at"):
            found, _ = self.values(here, [name])
            moments[name] = found[0] if found else None
        return in_time(moments, condition)

    # --- lists ---

    def products(self, owner: Here, field: str) -> list[str]:
        """Return the names of the product of which a field names the maker."""
        if field == "publisher" and isinstance(owner, Entity):
            return [owner.id, owner.name]
        return [str(each) for each in self.values(owner, ["model"])[0]] if field == "vendor" else []

    def listed(
        self, party: str, condition: Condition, roots: Roots, frame: dict[str, Here | None], products: list[str]
    ) -> Truth:
        listed = self.library.lists[condition.list]
        if listed.expired(self.at) or self.at < (listed.covers_from or listed.as_of):
            return None
        rows = [row for row in listed.rows if row.in_force(self.at)]
        met = {id(row): self.row_meets(row, condition, roots, frame) for row in rows}
        everybody = {party, *self.network.entities, *(each for each in self.owners_named())}
        direct: dict[str, Truth] = {}
        for who in everybody:
            here = self.resolved(who, "owner")
            declared, known = self.values(here, ["identifiers"])
            own = [who, *map(str, declared)]
            own += [self.network.entities[who].name] if who in self.network.entities else []
            answers: list[Truth] = []
            for row in rows:
                of_product = [called(name, row.names) is not False for name in products if who == party]
                truth = disjunction([called(name, row.names) for name in own] + [None for each in of_product if each])
                if condition.affiliates:
                    truth = disjunction([truth, *(states_owner(name, row) for name in own)])
                if truth is not False and met[id(row)] is not False:
                    if row.status == "listed":
                        answers.append(met[id(row)] if truth else None)
                    elif row.status == "pending":
                        answers.append(None)
            for other in self.sharing(who, declared):
                named = [
                    each for each in self.names_of(other) if any(called(each, row.names) is not False for row in rows)
                ]
                if rows and (named or not self.is_branch(other, who)):
                    answers.append(None)
            readable = known and not any(map(names.is_unreadable, own))
            absent: Truth = None if (rows and not readable) or not listed.complete else False
            direct[who] = disjunction(answers) if answers else absent
        if condition.affiliates:
            direct = with_owners(direct, self.held_bp, condition.control_bp, self.network, self.owners_named())
            own_names = [name for each in self.network.of_kind("organisation") for name in self.names_of(each)]
            if anybody_owns([row for row in rows if met[id(row)] is not False], own_names):
                direct = {who: None if truth is False else truth for who, truth in direct.items()}
        found = {who for who in everybody if direct[who]}
        for _ in everybody:
            found |= {who for who in everybody if self.held_bp(who, found)[0] >= condition.control_bp}
        free: set[str] = set()  # organisations that no listed party controls for sure; the others may be controlled
        for _ in everybody:
            others = everybody - free
            clean = {who for who in everybody if sum(self.held_bp(who, others)) < condition.control_bp}
            free |= {who for who in clean if direct[who] is False}
        return True if party in found else False if party in free else None

    def sharing(self, who: str, identifiers: list[object]) -> list[Entity]:
        """Return the other organisations that declare a code of this one."""
        codes = {names.code(str(each)) for each in identifiers} - {""}
        others = [each for each in self.network.of_kind("organisation") if each.id != who]
        return [one for one in others if any(names.code(each) in codes for each in self.names_of(one))]

    def names_of(self, entity: Entity) -> list[str]:
        return [entity.id, entity.name, *map(str, self.values(entity, ["identifiers"])[0])]

    def is_branch(self, one: Entity, other: str) -> bool:
        """Return whether one of two organisations is a branch of the other."""
        parents = [(one, other), (self.resolved(other, "owner"), one.id)]
        return any(self.values(each, ["branch_of"])[0] == [id] for each, id in parents)

    def owners_named(self) -> list[str]:
        paths = (["owners", "owner"], ["branch_of"], ["works_for"], ["controllers"])
        firms = self.network.of_kind("organisation")
        return [str(each) for firm in firms for path in paths for each in self.values(firm, path)[0]]

    def held_bp(self, who: str, found: set[str]) -> tuple[int, int]:
        """Return what those found hold by shares and otherwise, and what is undeclared."""
        return with_controllers(self, self.resolved(who, "owner"), found, *self.shares_bp(who, found))

    def shares_bp(self, who: str, found: set[str], *, dispersed: bool = False) -> tuple[int, int]:
        """Return the shares of those found, and the undeclared shares, with dispersed ones if so asked."""
        here = self.resolved(who, "owner")
        held, undeclared = 0, BASIS_POINTS
        parent = self.values(here, ["branch_of"])[0]
        if parent:
            return (BASIS_POINTS if parent[0] in found else 0), 0
        if self.values(here, ["person"])[0] == [True]:
            return 0, 0
        if isinstance(here, Entity):
            owners, known = self.values(here, ["owners"])
            if known and here.facts["owners"].value == ():
                undeclared = 0
            for owner in owners:
                assert isinstance(owner, Element)
                who_holds, share = self.values(owner, ["owner"])[0], self.values(owner, ["share_bp"])[0]
                if who_holds and share:
                    undeclared -= share[0]  # type: ignore[operator]
                    held += share[0] if who_holds[0] in found else 0  # type: ignore[operator]
            spread = (self.values(here, ["dispersed_bp"])[0] or [0])[0]
            undeclared -= (0 if undeclared or owners else -spread) if dispersed else spread  # type: ignore[operator]
        return held, BASIS_POINTS if "branch_of" in getattr(here, "facts", {}) else max(0, undeclared)

    def row_meets(self, row: Row, condition: Condition, roots: Roots, frame: dict[str, Here | None]) -> Truth:
        truths: list[Truth] = []
        for limits, path in ((row.parts, condition.parts), (row.purposes, condition.purposes)):
            if limits and not path:
                truths.append(None)
            elif limits:
                values, whole = self.at_path(path, roots, frame)
                truths.append(True if set(map(str, values)) & set(limits) else False if whole else None)
        return conjunction(truths)

    # --- states ---

    def controlled(self, party: str, condition: Condition) -> Truth:
        """Return whether a party is of the states of a condition, or controlled from there."""
        organisations = [each.id for each in self.network.of_kind("organisation")]
        everybody = sorted({party, *organisations, *self.owners_named()})
        held = {who: self.ties(who, condition) for who in everybody}
        seeds = {
            who: conjunction([self.of_states(who, condition), negation(self.at_home(who, condition))])
            for who in everybody
        }
        whole = condition.chain == "attribute"
        least = {who: 1.0 if seeds[who] else 0.0 for who in everybody}
        most = dict.fromkeys(everybody, 1.0)
        before = None
        while before != (least, most):
            before = dict(least), dict(most)
            for who in everybody:
                shares, undeclared = held[who]
                low = sum(share * least[owner] for owner, share in shares)
                high = sum(share * most[owner] for owner, share in shares) + undeclared
                if whole:
                    low, high = float(low >= condition.control_bp), float(high >= condition.control_bp)
                else:
                    low, high = low / BASIS_POINTS, high / BASIS_POINTS
                least[who] = 1.0 if seeds[who] else min(1.0, low)
                most[who] = min(1.0, high) if seeds[who] is False else 1.0
        limit = 1.0 if whole else condition.control_bp / BASIS_POINTS - 1e-9
        truth = True if least[party] >= limit else False if most[party] < limit else None
        return conjunction([truth, negation(self.at_home(party, condition))])

    def ties(self, who: str, condition: Condition) -> tuple[list[tuple[str, int]], int]:
        """Return the holders of a party with their shares, and the undeclared shares."""
        here = self.resolved(who, "owner")
        parent = self.values(here, ["branch_of"])[0]
        if parent:
            return [(str(parent[0]), BASIS_POINTS)], 0
        if self.values(here, ["person"])[0] == [True]:
            home = self.at_home(who, condition)
            if "employed" not in condition.ties or home:
                return [], 0
            employers, known = self.values(here, ["works_for"])
            abroad = [conjunction([negation(self.at_home(str(each), condition)), negation(home)]) for each in employers]
            sure = [(str(each), BASIS_POINTS) for each, of in zip(employers, abroad, strict=True) if of]
            return sure, 0 if known and None not in abroad else BASIS_POINTS
        _, undeclared = self.shares_bp(who, set(), dispersed=condition.chain == "multiply")
        shares = []
        for owner in self.values(here, ["owners"])[0]:
            assert isinstance(owner, Element)
            who_holds, share = self.values(owner, ["owner"])[0], self.values(owner, ["share_bp"])[0]
            if who_holds and share:
                shares.append((str(who_holds[0]), int(str(share[0]))))
        controllers, known = self.values(here, ["controllers"])
        if condition.contracts:
            shares += [(str(each), BASIS_POINTS) for each in controllers]
            undeclared = undeclared if known else BASIS_POINTS
        return shares, undeclared

    def of_states(self, who: str, condition: Condition) -> Truth:
        here = self.resolved(who, "owner")
        if self.values(here, ["branch_of"])[0]:
            return False
        person = self.values(here, ["person"])[0] == [True]
        fields = {"resident": "resides_in", "citizen": "citizen_of"} if person else {"headquarters": "headquarters"}
        found = [self.values(here, [field]) for tie, field in fields.items() if tie in condition.ties]
        if not person and "organised" in condition.ties:
            found.append(self.organised(here))
        states = condition.values | {each.value for each in condition.members if each.in_force(self.at)}
        return disjunction(
            [
                any((each in states) != condition.outside for each in values) if known else None
                for values, known in found
            ]
        )

    def organised(self, here: Here) -> tuple[list[object], bool]:
        several = self.values(here, ["organised_in"])
        return several if several[1] else self.values(here, ["state"])

    def at_home(self, who: str, condition: Condition) -> Truth:
        if not condition.home:
            return False
        whole = whole_of(self, who)
        if whole is None:
            return None
        here = self.resolved(whole, "owner")
        if self.values(here, ["person"])[0] == [True]:
            both = [self.values(here, ["citizen_of"]), self.values(here, ["resides_in"])]
            return disjunction(
                [any(each in condition.home for each in values) if known else None for values, known in both]
            )
        organised, known = self.organised(here)
        return (bool(organised) and all(each in condition.home for each in organised)) if known else None

    # --- rules ---

    def verdict(self, rule: Rule, touches: Truth, subject: Here, flow: Here | None) -> Verdict:
        """Return the verdict of one rule about one subject, before conflicts with other rules."""
        frame: dict[str, Here | None] = {"subject": subject, "element": subject, "flow": flow}
        roots, element_roots = Roots(rule.level), Roots(rule.level, rule.each)
        applies = [touches, rule.in_force(self.at)]
        if rule.flow:
            of_flow: dict[str, Here | None] = {"subject": flow, "element": flow, "flow": flow}
            applies += [self.condition(each, Roots("flow"), of_flow) for each in rule.flow]
        applies += [self.condition(each, roots, frame) for each in rule.when]
        applies += [negation(exempts(self, each, roots, frame)) for each in rule.unless]
        does_apply = conjunction(applies)
        if does_apply is False:
            others = applies[: len(applies) - len(rule.unless)]
            exempting = [each for each in rule.unless if exempts(self, each, roots, frame)]
            by_word = bool(exempting) and all(self.by_word(each, roots, frame) for each in exempting)
            is_exempt = by_word and conjunction(others) is not False and rule.kind != "coverage"
            return Verdict.ATTESTED if is_exempt else Verdict.NOT_APPLICABLE
        elements, whole = self.elements(rule, roots, frame)
        holds = conjunction([self.element(rule, element_roots, {**frame, "element": each}) for each in elements])
        holds = conjunction([holds] if whole else [holds, None])
        if holds and rule.complete and not self.is_attested(subject, rule.complete):
            holds = None
        if rule.kind == "coverage":
            return Verdict.NOT_APPLICABLE if holds else Verdict.UNKNOWN
        if holds:
            by_attestation = rule.kind == "attested" or bool(rule.complete) or self.needs_attestation(rule)
            return Verdict.ATTESTED if by_attestation else Verdict.PASS
        if does_apply and holds is False:
            failing = [
                each for each in elements if self.element(rule, element_roots, {**frame, "element": each}) is False
            ]
            explained = [self.explained(rule, element_roots, {**frame, "element": each}) for each in failing]
            return Verdict.CONFLICT if explained and all(explained) else Verdict.FAIL
        return Verdict.FAIL if rule.when_unknown == "fail" else Verdict.UNKNOWN

    def by_word(self, condition: Condition, roots: Roots, frame: dict[str, Here | None]) -> bool:
        """Return whether a condition that holds rests on an attestation or on a self-declared fact alone."""
        if condition.any_of:
            holding = [each for each in condition.any_of if self.condition(each, roots, frame)]
            return all(self.by_word(each, roots, frame) for each in holding)
        if condition.test == "attested" and condition.of:
            return bool(self.at_path(condition.of, roots, frame)[0]) or condition.self_declared
        return condition.test == "attested" or condition.self_declared

    def elements(self, rule: Rule, roots: Roots, frame: dict[str, Here | None]) -> tuple[list[Here], bool]:
        if not rule.each:
            return [frame["subject"] or ""], True
        values, whole = self.at_path(rule.each, roots, frame)
        return [self.resolved(value, rule.each.rpartition(".")[2]) for value in values], whole

    def element(self, rule: Rule, roots: Roots, frame: dict[str, Here | None]) -> Truth:
        concerned = conjunction([self.condition(each, roots, frame) for each in rule.where])
        required = conjunction([self.condition(each, roots, frame) for each in rule.require])
        return disjunction([negation(concerned), required])

    def explained(self, rule: Rule, roots: Roots, frame: dict[str, Here | None]) -> bool:
        """Return whether everything that fails names as its basis a rule of another regime in effect."""
        if not rule.basis:
            return False
        names, _ = self.at_path(rule.basis, roots, frame)
        own = self.profile_of[rule.id]
        others = [self.profile_of.get(str(name)) for name in names]
        return bool(names) and all(each is not None and each is not own and self.in_effect(each) for each in others)

    def needs_attestation(self, rule: Rule) -> bool:
        """Return whether any condition is about an attestation: an approximation of ATTESTED."""
        waiting = [*rule.flow, *rule.when, *rule.unless, *rule.where, *rule.require]
        waiting += [touch.condition for touch in self.profile_of[rule.id].touches]
        while waiting:
            condition = waiting.pop()
            if condition.test == "attested" or condition.self_declared:
                return True
            waiting += (*condition.any_of, *condition.having)
        return False

    # --- regimes ---

    def in_effect(self, profile: Profile) -> bool:
        adoptions: tuple[Adoption, ...] = self.network.adoptions
        return profile.force(self.at, adoptions) is not Force.NONE

    def touched(self, profile: Profile, subject: Here, kinds: tuple[str, ...], flow: Here | None) -> list[Truth]:
        frame: dict[str, Here | None] = {"subject": subject, "element": subject, "flow": flow}
        return [
            self.condition(touch.condition, Roots(touch.level), frame)
            for touch in profile.touches
            for kind in LEVELS[touch.level]
            if kind in kinds
        ]

    def alone(self, profile: Profile, entity: Entity) -> Truth:
        if not self.in_effect(profile):
            return False
        truths = self.touched(profile, entity, (entity.kind,), None)
        return disjunction(truths) if truths else True

    def regime(self, profile: Profile, flow: Entity, via: list[str] | None = None) -> Truth:
        if not self.in_effect(profile):
            return False
        levels = {kind for touch in profile.touches for kind in LEVELS[touch.level]} & {"flow", *PATH_LEVELS}
        if not levels:
            return True
        truths = self.touched(profile, flow, ("flow",), flow)
        places, gaps = self.path(flow, via)
        for place, kinds in places:
            truths += self.touched(profile, place, kinds, flow)
        truths += [None for kind in gaps if kind in levels]
        return disjunction(truths)

    def path(self, flow: Entity, via: list[str] | None = None) -> tuple[list[tuple[Here, tuple[str, ...]]], set[str]]:
        """Return the elements on the path of a flow, and the kinds of which elements may be missing."""
        gaps: set[str] = set()
        edges, known = (via, True) if via is not None else self.values(flow, ["via"])
        if not known:
            gaps |= {"span", "segment", "facility"}
        facilities: list[object] = []
        way: list[list[object]] = []
        for start, steps in [
            (flow, ["from", "gateway"]),
            *((self.resolved(edge, "via"), ["ends"]) for edge in edges),
            (flow, ["to", "gateway"]),
        ]:
            found, whole = self.values(start, steps)
            facilities += found
            gaps |= set() if whole else {"facility"}
            way.append(found if whole else [])
        if not joined(way):
            gaps |= {"span", "segment", "facility"}
        places: dict[tuple[str, tuple[str, ...]], tuple[Here, tuple[str, ...]]] = {}
        for name, field, kinds in [
            *((name, "ends", ("facility",)) for name in facilities),
            *((e, "via", ("span", "segment")) for e in edges),
        ]:
            here = self.resolved(name, field)
            kinds = (here.kind,) if isinstance(here, Entity) else kinds
            places[str(name), kinds] = here, kinds
        return list(places.values()), gaps

    # --- whole questions ---

    def verdicts(self) -> dict[tuple[str, str], Verdict]:
        """Return the verdicts by rule and subject, without conflicts and waivers."""
        found: dict[tuple[str, str], Verdict] = {}
        for rule in self.library.rules.values():
            profile = self.profile_of[rule.id]
            for entity in self.network.entities.values():
                if entity.kind in LEVELS[rule.level] and not (rule.level in PATH_LEVELS and self.needs_flow(rule)):
                    touches = self.regime(profile, entity) if entity.kind == "flow" else self.alone(profile, entity)
                    flow = entity if entity.kind == "flow" else None
                    found[rule.id, entity.id] = self.verdict(rule, touches, entity, flow)
                if entity.kind == "flow" and rule.level in PATH_LEVELS:
                    found |= self.on_path(rule, profile, entity)
        return found

    def on_path(self, rule: Rule, profile: Profile, flow: Entity) -> dict[tuple[str, str], Verdict]:
        found = {}
        touches = self.regime(profile, flow)
        places, gaps = self.path(flow)
        for place, kinds in places:
            if set(kinds) & set(LEVELS[rule.level]):
                name = place.id if isinstance(place, Entity) else str(place)
                found[rule.id, f"{flow.id} @ {name}"] = self.verdict(rule, touches, place, flow)
        if gaps & set(LEVELS[rule.level]):
            about = [
                touches,
                rule.in_force(self.at),
                *(self.condition(c, Roots("flow"), {"subject": flow}) for c in rule.flow),
            ]
            fails = rule.when_unknown == "fail" and rule.kind != "coverage"
            unknown = Verdict.FAIL if fails else Verdict.UNKNOWN
            found[rule.id, flow.id] = Verdict.NOT_APPLICABLE if conjunction(about) is False else unknown
        return found

    def needs_flow(self, rule: Rule) -> bool:
        conditions = [(each, Roots(rule.level)) for each in (*rule.when, *rule.unless)]
        conditions += [(each, Roots(rule.level, rule.each)) for each in (*rule.where, *rule.require)]
        paths = []
        while conditions:
            each, roots = conditions.pop()
            conditions += [(below, roots) for below in each.any_of]
            conditions += [(below, Roots(roots.level, "owners")) for below in each.having]  # any element: starts alone
            own = (each.fact, each.facts, each.parts, each.purposes, each.of, each.some)
            paths += [split(p, roots)[0] for p in own if p]
        if rule.each:
            paths.append(split(rule.each, Roots(rule.level))[0])
        return bool(rule.flow) or "flow" in paths
