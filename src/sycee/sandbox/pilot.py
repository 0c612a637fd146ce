"""Run a published pilot again, end to end, on a durable ledger of its own.

Each phase makes its records from the seed and submits them. A run that was killed does the same again on the same
folder: what is bound already is answered EXISTS without being written, and the closing digest is that of a run that
nobody disturbed.

Two officers and the operators are named first, and sign everything from then on: the mint, the cohort, each bulk of
claims and payments. What they sign follows from the seed too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import blake3
import numpy as np

from sycee.core import ids, output_files
from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.result_codes import Result
from sycee.issuance.central_bank import CentralBank
from sycee.issuance.signing import SigningLedger
from sycee.programmes import draw, draw_files
from sycee.programmes.definition import DrawRule, Programme
from sycee.programmes.registration import deduplicate, duplicates_csv
from sycee.programmes.service import LiveProgramme, check_cohort, member_ids
from sycee.sandbox import assumptions as assumed
from sycee.sandbox import measurements, plan
from sycee.sandbox.outcome import Outcome, Phase
from sycee.sandbox.replay_signers import Authorities, check_signatures, signed
from sycee.sandbox.seeded_choices import Stream
from sycee.sequencer.embedded import Ledger

MANIFEST: Final = "pilot.json"
DRAW_FOLDER: Final = "draw"
DUPLICATES: Final = "duplicates.csv"
PROGRAMME_NUMBER: Final = 1
RULE_SET: Final = 1
GROUP_FIRST: Final = 1
MINUTE_NS: Final = plan.MINUTE_NS
GRANTED_FOR_NS: Final = 366 * 24 * plan.HOUR_NS  # officers are there from before the draw until long after the expiry


class Watcher(Protocol):
    """Whoever looks on: a terminal with bars, or nobody."""

    def begin(self, title: str, total: int | None, unit: str) -> None:
        """A phase begins; `total` is None where its length is not known."""

    def advance(self, done: float) -> None:
        """`done` of the total are done."""

    def end(self) -> None:
        """The phase is over."""

    def note(self, finding: str) -> None:
        """Something was odd, though nothing is lost."""


class Nobody:
    """A watcher that looks away."""

    def begin(self, title: str, total: int | None, unit: str) -> None:
        """A phase begins; `total` is None where its length is not known."""

    def advance(self, done: float) -> None:
        """`done` of the total are done."""

    def end(self) -> None:
        """The phase is over."""

    def note(self, finding: str) -> None:
        """Something was odd, though nothing is lost."""


@dataclass
class _Phases:
    watcher: Watcher
    done: list[Phase]

    @contextmanager
    def __call__(self, title: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
        begin = time.perf_counter()
        self.watcher.begin(title, total, unit)
        yield self.watcher.advance
        self.watcher.end()
        self.done.append(Phase(title, time.perf_counter() - begin, total or 0, unit))


def run(
    programme: Programme,
    folder: Path,
    *,
    seed: int,
    scale: float = 1.0,
    cut_tail: bool = False,
    watcher: Watcher | None = None,
) -> Outcome:
    """Replay `programme` in `folder`, or go on with it there.

    `cut_tail` gives up a last frame in doubt; the replay asks for its operations again. Raises UsageError where the
    folder belongs to something else, UnavailableError where another process has it open, Refused and IntegrityError
    where the ledger does not do what the replay needs.
    """
    scale = float(scale)  # ids follow from its text too, and "1" is not "1.0"
    assumptions = assumed.load(programme)
    targets = plan.Targets.of(programme, assumptions, scale)
    _claim_folder(folder, programme, assumptions, seed, scale)
    phases = _Phases(watcher or Nobody(), [])
    stream, seed_bytes = Stream(seed), f"{programme.name}:{seed}:{scale!r}".encode()
    clock = SimulatedClock(programme.registration.from_ns)

    with phases("opening the ledger", None, "") as _:
        # No snapshots: all of a replay is read again in less time than it takes to write one.
        ledger = Ledger.open(folder, clock=clock, cut_tail=cut_tail, snapshot_frames=None)
    for finding in ledger.sequencer.findings:
        phases.watcher.note(finding)
    with ledger:
        # Two runs may have met an empty folder at once: whoever holds it now looks again.
        _claim_folder(folder, programme, assumptions, seed, scale)
        _sweep(folder)
        drawn = _register_and_draw(folder, programme, assumptions, targets, stream, scale, phases)
        authorities = Authorities.derive(programme, seed_bytes, time_ms=programme.draw.beacon_due_ns // 10**6)
        bank, live, merchants = _set_up(
            ledger, clock, phases, programme, assumptions, targets, stream, seed_bytes, drawn.members, authorities
        )
        with phases("planning the replay", None, "operations"):
            timeline = plan.spending(
                programme,
                assumptions,
                targets,
                stream,
                seed_bytes,
                bank,
                live.number,
                drawn.members,
                drawn.banks,
                merchants,
            )
        phases.done[-1] = _counted(phases.done[-1], timeline.records.size)
        topped_up = plan.top_ups_by_operator(timeline, bank)
        _issue(ledger, clock, phases, programme, bank, topped_up, seed_bytes, authorities)
        _spend(signed(ledger, clock, *authorities.operators), clock, phases, timeline)
        before = measurements.left_of_packets(ledger, live.number)
        _expire(signed(ledger, clock, authorities.treasury), clock, phases, programme, live, seed_bytes)
        with phases("checking every cent", None, ""):
            ledger.check()
            bank.check(ledger)
            with ledger.sequencer.reading() as state:
                check_cohort(state, live.number, folder / DRAW_FOLDER)
            digest = ledger.digest()
        with phases("checking every signature", None, "signatures"):
            found = check_signatures(folder, bank, authorities, digest)
        phases.done[-1] = _counted(phases.done[-1], found.by_signer.total())
        return measurements.outcome(
            ledger,
            programme,
            assumptions,
            targets,
            bank,
            live,
            merchants,
            seed=seed,
            scale=scale,
            registered=drawn.registered,
            duplicates=drawn.duplicates,
            left_minor=before,
            draw_root=drawn.root.hex(),
            draw_beacon=drawn.beacon.hex(),
            digest=digest.hex(),
            phases=tuple(phases.done),
            mint_officers=found.mint_officers,
            signers=found.rows(authorities),
        )


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The people of a replay, and what their draw came to."""

    members: Array  # (k,) ID: the winners, in order of rank
    banks: Array  # (k,) the operator each winner chose
    registered: int  # persons, after deduplication
    duplicates: int
    root: bytes
    beacon: bytes


def _register_and_draw(
    folder: Path,
    programme: Programme,
    assumptions: assumed.Assumptions,
    targets: plan.Targets,
    stream: Stream,
    scale: float,
    phases: _Phases,
) -> _Drawn:
    """Registrants, their duplicates set aside, the frozen list published, and then the winners."""
    with phases("registration", None, "entries"):
        registered = plan.registrations(programme, assumptions, targets, stream, scale)
        checked = deduplicate(registered)
        output_files.write_file(folder / DUPLICATES, duplicates_csv(checked.duplicates))
    phases.done[-1] = _counted(phases.done[-1], len(registered))
    standing = checked.standing
    entries = draw.Entries(
        registered.documents[standing], registered.phones[standing], draw.replay_salts(stream.seed, standing.size)
    )
    with phases("freeze and draw", 3 * standing.size, "hashes") as advance:
        frozen = draw.freeze(
            folder / DRAW_FOLDER,
            programme.name,
            _scaled_draw(programme, targets),
            entries,
            frozen_at_ns=programme.registration.until_ns,
            progress=lambda done, total: advance(done * 2 * standing.size // max(total, 1)),
        )
        beacon = draw.replay_beacon(stream.seed, frozen.announcement)
        winners = draw.draw(
            frozen, beacon, progress=lambda done, total: advance((2 * total + done) * standing.size // max(total, 1))
        )
    if winners.entries is None:
        raise IntegrityError("the draw lost the link between its list and its entries")
    order = winners.packet_order(frozen.commitments, len(programme.packets))
    return _Drawn(
        members=member_ids(frozen.commitments[winners.index[order]]),
        banks=registered.banks[standing[winners.entries[order]]],
        registered=standing.size,
        duplicates=checked.duplicates.size,
        root=frozen.announcement.root,
        beacon=beacon.value,
    )


def _claim_folder(folder: Path, programme: Programme, assumptions: Any, seed: int, scale: float) -> None:
    """Say in the folder whose replay it is, or find that it is this one."""
    definition = blake3.blake3(repr((programme, asdict(assumptions))).encode()).hexdigest()
    mine = {"pilot": programme.name, "seed": seed, "scale": scale, "definition": definition}
    path = folder / MANIFEST
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
                hint="name another folder, or run with what that one was begun with",
            )
        return
    # A run that was killed while it wrote the manifest left a part of it, which belongs to nobody.
    if folder.exists() and set(folder.iterdir()) - set(_half_written(folder, MANIFEST)):
        raise UsageError(f"{folder} is not empty and holds no replay", hint="name an empty folder for --data")
    folder.mkdir(parents=True, exist_ok=True)
    output_files.write_file(path, (json.dumps(mine, indent=2) + "\n").encode())


def _half_written(folder: Path, *names: str) -> list[Path]:
    """What `output_files.write_file` leaves of these files where it is killed: a part under a temporary name."""
    return [path for name in names for path in folder.glob(f".{name}-*")]


def _sweep(folder: Path) -> None:
    """Remove what runs that were killed left half-written."""
    names = (draw_files.ANNOUNCEMENT, draw_files.ENTRIES, draw_files.BEACON, draw_files.TICKETS, draw_files.WINNERS)
    for path in (*_half_written(folder, MANIFEST, DUPLICATES), *_half_written(folder / DRAW_FOLDER, *names)):
        path.unlink()


def _scaled_draw(programme: Programme, targets: plan.Targets) -> DrawRule:
    """The draw rule for this many winners."""
    (stratum,) = programme.draw.strata
    return replace(programme.draw, strata=(replace(stratum, winners=targets.winners),))


def _set_up(
    ledger: Ledger,
    clock: SimulatedClock,
    phases: _Phases,
    programme: Programme,
    assumptions: assumed.Assumptions,
    targets: plan.Targets,
    stream: Stream,
    seed: bytes,
    members: Array,
    authorities: Authorities,
) -> tuple[CentralBank, LiveProgramme, plan.Merchants]:
    """Who signs; central bank, operators, shops; the budget minted to the funder; cohort sealed and money dropped."""
    start_ns = programme.draw.beacon_due_ns
    start_ms = start_ns // 10**6
    bank = CentralBank.derive(
        seed,
        currency=programme.currency.numeric,
        zone=programme.zone.key,
        operators=len(programme.operators),
        time_ms=start_ms,
    )
    group_numbers = tuple(range(GROUP_FIRST, GROUP_FIRST + len(programme.merchants)))
    live = LiveProgramme(programme, PROGRAMME_NUMBER, RULE_SET, group_numbers, bank.treasury.money, members)
    merchants = plan.Merchants.derive(assumptions, targets, stream, seed, start_ms)
    opening = bank.opening(ids.derive(seed, "bank opened", bank.opening_records, time_ms=start_ms))
    launch, seal = live.launch(ids.derive(seed, "programme launched", live.records, time_ms=start_ms))
    shops = merchants.opening(seed, bank, GROUP_FIRST, start_ms)
    drop = live.drop(ids.derive(seed, "packets dropped", len(programme.packets), time_ms=start_ms), seal)
    budget = targets.packet * targets.winners
    roles = authorities.grants(
        ids.derive(seed, "roles granted", len(authorities.titles), time_ms=start_ms),
        from_ns=start_ns,
        until_ns=start_ns + GRANTED_FOR_NS,
    )
    officers = signed(ledger, clock, *authorities.officers)
    all_three = signed(ledger, clock, *authorities.officers, authorities.treasury)

    total = roles.size + opening.size + launch.size + shops.size
    with phases("accounts and cohort", total, "operations") as advance:
        clock.set(start_ns)
        _require_done(roles, ledger.submit(roles))
        clock.set(start_ns + MINUTE_NS)
        _require_done(opening, officers.submit(opening))
        clock.set(start_ns + 2 * MINUTE_NS)
        _require_done(launch, all_three.submit(launch))
        advance(roles.size + opening.size + launch.size)
        clock.set(start_ns + 3 * MINUTE_NS)
        by = np.tile(merchants.operators, 2)  # each opens its shops' accounts, and lets them join
        _require_done(shops, signed(ledger, clock, *authorities.operators).submit(shops, by=by))
        advance(total)
    with phases("mint and drop", targets.winners, "packets"):
        clock.set(start_ns + 4 * MINUTE_NS)
        paid_in = ids.to_int(ids.derive(seed, "budget paid in", 1, time_ms=start_ms)[0])
        bank.credit_reserves(officers, paid_in, bank.treasury, budget)
        bank.issue(all_three, ids.derive(seed, "budget minted", 2, time_ms=start_ms), bank.treasury, budget)
        clock.set(programme.claim.from_ns - MINUTE_NS)
        _require_done(drop, signed(ledger, clock, authorities.treasury).submit(drop))
    return bank, live, merchants


def _issue(
    ledger: Ledger,
    clock: SimulatedClock,
    phases: _Phases,
    programme: Programme,
    bank: CentralBank,
    amounts: list[int],
    seed: bytes,
    authorities: Authorities,
) -> None:
    """Own money: each operator obtains, against reserves, what its customers will top up."""
    start_ms = programme.draw.beacon_due_ns // 10**6
    clock.set(programme.claim.from_ns - MINUTE_NS)
    paid_in = ids.derive(seed, "reserves paid in", len(amounts), time_ms=start_ms)
    issued = ids.derive(seed, "operators issued", 2 * len(amounts), time_ms=start_ms)
    officers = signed(ledger, clock, *authorities.officers)
    with phases("issue to operators", len(amounts), "operators") as advance:
        for at, (party, amount) in enumerate(zip(bank.operators, amounts, strict=True)):
            if amount:
                bank.credit_reserves(officers, ids.to_int(paid_in[at]), party, amount)
                all_three = signed(ledger, clock, *authorities.officers, authorities.operators[at])
                bank.issue(all_three, issued[2 * at : 2 * at + 2], party, amount)
            advance(at + 1)


def _spend(operators: SigningLedger, clock: SimulatedClock, phases: _Phases, timeline: plan.Plan) -> None:
    """Each operator signs, once a frame, for what its wallets do in it."""
    with phases("claims and payments", timeline.records.size, "operations") as advance:
        done = 0
        for time_ns, records, by in timeline.frames():
            clock.set(time_ns)
            _require_done(records, operators.submit(records, by=by))
            advance(done := done + records.size)


def _expire(
    treasury: SigningLedger,
    clock: SimulatedClock,
    phases: _Phases,
    programme: Programme,
    live: LiveProgramme,
    seed: bytes,
) -> None:
    """At the deadline, to the nanosecond, everything left goes home."""
    one = ids.derive(seed, "programme expired", 1, time_ms=programme.expires_ns // 10**6)[0]
    with phases("expiry and return", live.winners.size, "packets"):
        clock.set(programme.expires_ns)
        records = live.expire(ids.to_int(one))
        _require_done(records, treasury.submit(records))


def _require_done(records: Array, answers: Array) -> None:
    """Each must have succeeded, now or in an earlier run. Raises IntegrityError with the first that did not."""
    codes = np.where(answers["code"] == Result.EXISTS, answers["first_code"], answers["code"])
    wrong = np.flatnonzero(codes != Result.CREATED)
    if wrong.size:
        at = int(wrong[0])
        raise IntegrityError(
            f"the replay's operation {ids.of_record(records[at], 'id'):#x} "
            f"was answered {Result(int(codes[at])).name}; {wrong.size} of {records.size} failed"
        )


def _counted(phase: Phase, items: int) -> Phase:
    return Phase(phase.name, phase.seconds, items, phase.unit)
