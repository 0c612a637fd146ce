"""Replay of a published pilot, end to end, on a durable ledger.

Each phase derives its records from the seed and submits them. A run that continues after a kill submits the same
records in the same folder: the ledger returns EXISTS for operations that it has, and the final digest is that of an
uninterrupted run.

Two officers and the operators are named first. They sign everything after that: mint, cohort, and each batch of claims
and payments. Their keys are derived from the seed too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import blake3
import numpy as np

from sycee.core import ids, output_files
from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.result_codes import Result
from sycee.issuance.central_bank import CentralBank
from sycee.issuance.signing import SigningLedger
from sycee.ledger.batch import first_codes
from sycee.programmes import draw, draw_files
from sycee.programmes.definition import Programme
from sycee.programmes.duplicates import deduplicate, duplicates_csv
from sycee.programmes.occurrence_ids import member_ids
from sycee.programmes.records import LiveProgramme, check_cohort
from sycee.sandbox import assumptions as assumed
from sycee.sandbox import measurements, plan
from sycee.sandbox.outcome import Phase, PilotOutcome
from sycee.sandbox.replay_signers import Authorities, check_signatures, signed
from sycee.sandbox.seeded_choices import Stream
from sycee.sequencer.embedded import Ledger, Signer

MANIFEST: Final = "pilot.json"
DRAW_FOLDER: Final = "draw"
DUPLICATES: Final = "duplicates.csv"
PROGRAMME_NUMBER: Final = 1
RULE_SET: Final = 1
GROUP_FIRST: Final = 1
MINUTE_NS: Final = plan.MINUTE_NS
GRANTED_FOR_NS: Final = 366 * 24 * plan.HOUR_NS  # roles are valid from before the draw until long after the expiry


class Watcher(Protocol):
    """Receiver of progress."""

    def begin(self, title: str, total: int | None, unit: str) -> None:
        """Begin a phase. `total` is None if its length is unknown."""

    def advance(self, done: float) -> None:
        """Report that `done` of the total are done."""

    def end(self) -> None:
        """End the phase."""

    def note(self, finding: str) -> None:
        """Report something unusual that lost nothing."""


class _Silent:
    def begin(self, title: str, total: int | None, unit: str) -> None: ...
    def advance(self, done: float) -> None: ...
    def end(self) -> None: ...
    def note(self, finding: str) -> None: ...


def run(
    programme: Programme,
    folder: Path,
    *,
    seed: int,
    scale: float = 1.0,
    cut_tail: bool = False,
    watcher: Watcher | None = None,
) -> PilotOutcome:
    """Replay `programme` in `folder`, or continue a replay there.

    `cut_tail` drops a last frame in doubt; the replay submits its operations again. Raises UsageError if the folder
    belongs to something else, UnavailableError if another process has it open, Refused and IntegrityError if the ledger
    does not do what the replay needs.
    """
    return _Replay(programme, folder, seed, float(scale), watcher or _Silent()).run(cut_tail)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Result of registration and draw."""

    members: Array  # (k,) ID of the winners in packet order
    banks: Array  # (k,) index of the operator that each winner chose
    registered: int  # persons, after deduplication
    duplicates: int
    root: bytes
    beacon: bytes


class _Replay:
    """One run: its inputs, its ledger, and the phases that were timed."""

    def __init__(self, programme: Programme, folder: Path, seed: int, scale: float, watcher: Watcher) -> None:
        self.programme, self.folder, self.scale, self.watcher = programme, folder, scale, watcher
        self.assumptions = assumed.load(programme)
        self.targets = plan.Targets.of(programme, self.assumptions, scale)
        self.stream = Stream(seed)
        self.seed = f"{programme.name}:{seed}:{scale!r}".encode()  # ids depend on it: 1.0 is not 1
        self.planner = plan.Planner(programme, self.assumptions, self.targets, self.stream, self.seed, scale)
        self.clock = SimulatedClock(programme.registration.from_ns)
        self.start_ns = programme.draw.beacon_due_ns
        self.start_ms = self.start_ns // 10**6
        self.authorities = Authorities.derive(programme, self.seed, time_ms=self.start_ms)
        self.bank = CentralBank.derive(
            self.seed,
            currency=programme.currency.numeric,
            zone=programme.zone.key,
            operators=len(programme.operators),
            time_ms=self.start_ms,
        )
        self.phases: list[Phase] = []
        self.ledger: Ledger

    def run(self, cut_tail: bool) -> PilotOutcome:
        self._claim_folder()
        with self._phase("opening the ledger", None, ""):
            # No snapshots: reading a whole replay takes less time than writing one.
            self.ledger = Ledger.open(self.folder, clock=self.clock, cut_tail=cut_tail, snapshot_frames=None)
        for finding in self.ledger.sequencer.findings:
            self.watcher.note(finding)
        with self.ledger as ledger:
            # Two runs may have claimed an empty folder at the same time: the one that has it open checks again.
            self._claim_folder()
            self._remove_partial_files()
            drawn = self._register_and_draw()
            live, merchants = self._set_up(drawn.members)
            with self._phase("planning the replay", None, "operations"):
                timeline = self.planner.spending(self.bank, live.number, drawn.members, drawn.banks, merchants)
            self._count(timeline.records.size)
            self._issue(plan.top_ups_by_operator(timeline, self.bank))
            self._spend(timeline)
            before = measurements.left_of_packets(ledger, live.number)
            self._expire(live)
            with self._phase("checking every cent", None, ""):
                ledger.check()
                self.bank.check(ledger)
                with ledger.sequencer.reading() as state:
                    check_cohort(state, live.number, self.folder / DRAW_FOLDER)
                digest = ledger.digest()
            with self._phase("checking every signature", None, "signatures"):
                verified = check_signatures(self.folder, self.bank, self.authorities, digest)
            self._count(verified.by_signer.total())
            return measurements.outcome(
                ledger,
                self.targets,
                self.bank,
                live,
                merchants,
                registered=drawn.registered,
                mint_officers=verified.mint_officers,
                scale=self.scale,
                seed=self.stream.seed,
                duplicates=drawn.duplicates,
                left_minor=before,
                draw_root=drawn.root.hex(),
                draw_beacon=drawn.beacon.hex(),
                digest=digest.hex(),
                phases=tuple(self.phases),
                signers=verified.rows(self.authorities),
            )

    @contextmanager
    def _phase(self, title: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
        begin = time.perf_counter()
        self.watcher.begin(title, total, unit)
        yield self.watcher.advance
        self.watcher.end()
        self.phases.append(Phase(title, time.perf_counter() - begin, total or 0, unit))

    def _count(self, items: int) -> None:
        """Set the number of items of the last phase."""
        self.phases[-1] = replace(self.phases[-1], items=items)

    def _ids(self, purpose: str, count: int, time_ms: int | None = None) -> Array:
        return ids.derive(self.seed, purpose, count, time_ms=self.start_ms if time_ms is None else time_ms)

    def _signed(self, *signers: Signer) -> SigningLedger:
        return signed(self.ledger, self.clock, *signers)

    def _register_and_draw(self) -> _Drawn:
        """Generate registrations, remove duplicates, publish the frozen list, and draw the winners."""
        with self._phase("registration", None, "entries"):
            registered = self.planner.registrations()
            checked = deduplicate(registered)
            output_files.write_file(self.folder / DUPLICATES, duplicates_csv(checked.duplicates))
        self._count(len(registered))
        accepted = checked.accepted
        entries = draw.Entries(
            registered.documents[accepted],
            registered.phones[accepted],
            draw.replay_salts(self.stream.seed, accepted.size),
        )
        (stratum,) = self.programme.draw.strata
        rule = replace(self.programme.draw, strata=(replace(stratum, winners=self.targets.winners),))
        size = accepted.size
        with self._phase("freeze and draw", 3 * size, "hashes") as advance:
            frozen = draw.freeze_list(
                self.folder / DRAW_FOLDER,
                self.programme.name,
                rule,
                entries,
                frozen_at_ns=self.programme.registration.until_ns,
                progress=lambda done, total: advance(done * 2 * size // max(total, 1)),
            )
            beacon = draw.replay_beacon(self.stream.seed, frozen.announcement)
            winners = draw.draw_winners(
                frozen, beacon, progress=lambda done, total: advance((2 * total + done) * size // max(total, 1))
            )
        if winners.entries is None:
            raise IntegrityError("the draw lost the link between its list and its entries")
        order = winners.packet_order(frozen.commitments, len(self.programme.packets))
        return _Drawn(
            members=member_ids(frozen.commitments[winners.index[order]]),
            banks=registered.banks[accepted[winners.entries[order]]],
            registered=size,
            duplicates=checked.duplicates.size,
            root=frozen.announcement.root,
            beacon=beacon.value,
        )

    def _claim_folder(self) -> None:
        """Write the manifest into an empty folder, or check that the manifest there is this one."""
        folder, path = self.folder, self.folder / MANIFEST
        definition = blake3.blake3(repr((self.programme, asdict(self.assumptions))).encode()).hexdigest()
        mine = {"pilot": self.programme.name, "seed": self.stream.seed, "scale": self.scale, "definition": definition}
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is not a folder", hint="name an empty folder for --data")
        if path.exists():
            try:
                found = json.loads(path.read_text())
            except ValueError:
                raise UsageError(f"{path} is not a pilot's manifest", hint="name an empty folder") from None
            if found != mine:
                differs = [key for key in mine if not isinstance(found, dict) or found.get(key) != mine[key]]
                values = ", ".join(f"{key} {found.get(key) if isinstance(found, dict) else None}" for key in differs)
                raise UsageError(
                    f"{folder} holds another replay: {values}",
                    hint="name another folder, or use the options of that replay",
                )
            return
        # A run that was killed while it wrote the manifest left a partial file.
        if folder.exists() and set(folder.iterdir()) - set(_partial_files(folder, MANIFEST)):
            raise UsageError(f"{folder} is not empty and holds no replay", hint="name an empty folder for --data")
        folder.mkdir(parents=True, exist_ok=True)
        output_files.write_file(path, (json.dumps(mine, indent=2) + "\n").encode())

    def _remove_partial_files(self) -> None:
        """Remove partial files of runs that were killed."""
        names = (draw_files.ANNOUNCEMENT, draw_files.ENTRIES, draw_files.BEACON, draw_files.TICKETS, draw_files.WINNERS)
        partial = _partial_files(self.folder, MANIFEST, DUPLICATES) + _partial_files(self.folder / DRAW_FOLDER, *names)
        for path in partial:
            path.unlink()

    def _set_up(self, members: Array) -> tuple[LiveProgramme, plan.Merchants]:
        """Grant roles, open accounts, add and seal the cohort, mint the budget to the funder, and drop it."""
        programme, bank, authorities = self.programme, self.bank, self.authorities
        groups = tuple(range(GROUP_FIRST, GROUP_FIRST + len(programme.merchants)))
        live = LiveProgramme(programme, PROGRAMME_NUMBER, RULE_SET, groups, bank.treasury.money, members)
        merchants = self.planner.merchants(self.start_ms)
        opening = bank.opening(self._ids("bank opened", bank.opening_records))
        launch, seal = live.launch(self._ids("programme launched", live.records))
        shops = merchants.opening(self.seed, bank, GROUP_FIRST, self.start_ms)
        drop = live.drop(self._ids("packets dropped", len(programme.packets)), seal)
        budget = self.targets.packet * self.targets.winners
        roles = authorities.grants(
            self._ids("roles granted", len(authorities.titles)),
            from_ns=self.start_ns,
            until_ns=self.start_ns + GRANTED_FOR_NS,
        )
        officers = self._signed(*authorities.officers)
        all_three = self._signed(*authorities.officers, authorities.treasury)

        total = roles.size + opening.size + launch.size + shops.size
        with self._phase("accounts and cohort", total, "operations") as advance:
            self.clock.set(self.start_ns)
            _require_done(roles, self.ledger.submit(roles))
            self.clock.set(self.start_ns + MINUTE_NS)
            _require_done(opening, officers.submit(opening))
            self.clock.set(self.start_ns + 2 * MINUTE_NS)
            _require_done(launch, all_three.submit(launch))
            advance(roles.size + opening.size + launch.size)
            self.clock.set(self.start_ns + 3 * MINUTE_NS)
            by = np.tile(merchants.operators, 2)  # each operator opens the accounts of its shops, then adds them
            _require_done(shops, self._signed(*authorities.operators).submit(shops, by=by))
            advance(total)
        with self._phase("mint and drop", self.targets.winners, "packets"):
            self.clock.set(self.start_ns + 4 * MINUTE_NS)
            bank.credit_reserves(officers, ids.to_int(self._ids("budget paid in", 1)[0]), bank.treasury, budget)
            bank.issue(all_three, self._ids("budget minted", 2), bank.treasury, budget)
            self.clock.set(programme.claim.from_ns - MINUTE_NS)
            _require_done(drop, self._signed(authorities.treasury).submit(drop))
        return live, merchants

    def _issue(self, amounts: list[int]) -> None:
        """Issue to each operator, against reserves, the money that its customers will top up."""
        self.clock.set(self.programme.claim.from_ns - MINUTE_NS)
        paid_in = self._ids("reserves paid in", len(amounts))
        issued = self._ids("operators issued", 2 * len(amounts))
        officers = self._signed(*self.authorities.officers)
        with self._phase("issue to operators", len(amounts), "operators") as advance:
            for at, (party, amount) in enumerate(zip(self.bank.operators, amounts, strict=True)):
                if amount:
                    self.bank.credit_reserves(officers, ids.to_int(paid_in[at]), party, amount)
                    all_three = self._signed(*self.authorities.officers, self.authorities.operators[at])
                    self.bank.issue(all_three, issued[2 * at : 2 * at + 2], party, amount)
                advance(at + 1)

    def _spend(self, timeline: plan.Plan) -> None:
        """Submit claims, top-ups and payments. Each operator signs once per frame."""
        operators = self._signed(*self.authorities.operators)
        with self._phase("claims and payments", timeline.records.size, "operations") as advance:
            done = 0
            for time_ns, records, by in timeline.frames():
                self.clock.set(time_ns)
                _require_done(records, operators.submit(records, by=by))
                advance(done := done + records.size)

    def _expire(self, live: LiveProgramme) -> None:
        """Return the rest of all packets to the funder, at the deadline to the nanosecond."""
        expires_ns = self.programme.expires_ns
        operation_id = self._ids("programme expired", 1, expires_ns // 10**6)[0]
        with self._phase("expiry and return", live.winners.size, "packets"):
            self.clock.set(expires_ns)
            records = live.expire(ids.to_int(operation_id))
            _require_done(records, self._signed(self.authorities.treasury).submit(records))


def _partial_files(folder: Path, *names: str) -> list[Path]:
    """Return the temporary files that a killed `output_files.write_file` left of these files."""
    return [path for name in names for path in folder.glob(f".{name}-*")]


def _require_done(records: Array, results: Array) -> None:
    """Raise IntegrityError with the first operation that did not succeed, now or in an earlier run."""
    codes = first_codes(results)
    wrong = np.flatnonzero(codes != Result.CREATED)
    if wrong.size:
        at = int(wrong[0])
        raise IntegrityError(
            f"operation {ids.of_record(records[at], 'id'):#x} of the replay was refused: "
            f"{Result(int(codes[at])).name}; {wrong.size} of {records.size} failed"
        )
