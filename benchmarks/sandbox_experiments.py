"""Comparisons of designs, fits of behaviour and predictions of pilots in the sandbox."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from benchmarks.measure import TOTAL_MS, Benchmark, Goal, Setting, Timing, forget_peak, peak_bytes
from sycee.core.errors import require
from sycee.core.worker_thread import processors
from sycee.programmes import variants as programme_variants
from sycee.sandbox.behaviour import parameters, variants
from sycee.sandbox.city import definition
from sycee.sandbox.city.build import build
from sycee.sandbox.experiments import comparing, ensemble
from sycee.sandbox.experiments.candidates import Trial
from sycee.sandbox.inference import fitting, posterior
from sycee.sandbox.pilots import description
from sycee.sandbox.pilots.simulation import Simulation
from sycee.sandbox.validity import predicting

PROGRAMME: Final = "luohu-2020"
CITY: Final = "shenzhen"
SEED: Final = 2020
PEOPLE: Final = 100_000  # of a comparison
DRAWS: Final = 200
VARIANTS: Final = {
    "threshold-40": 'rules.payment_min = "40.00"\n',
    "threshold-80": 'rules.payment_min = "80.00"\n',
    "twice": 'packets.packet.amount = "400.00"\nbudget.amount = "20000000.00"\n',
}
SAMPLE: Final = 20  # runs from which the time of all runs alone is computed
PREDICTED: Final = 40_000  # persons
FIT_PEOPLE: Final = 4_000


def compared(setting: Setting) -> Iterator[tuple[Timing, Timing]]:
    """Compare four designs; the limit is the runs of the engine alone, on all processors."""
    people = setting.operations
    draws = max(DRAWS * people // PEOPLE, 4)
    setting.say("building the city")
    file = definition.load(CITY)
    trial = Trial.of(build(file, seed=SEED, one_in=max(file.population.count // people, 1)), people)
    candidates = trial.candidates(PROGRAMME, [])
    for name, content in VARIANTS.items():
        made = programme_variants.over(PROGRAMME, content, f"{name}.toml")
        candidates.append(trial.candidate(made.name, made.keys, content.encode(), made.programme))
    drawn, days = posterior.prior().draws(parameters.standard(), draws, SEED), comparing.HORIZON_DAYS
    runs = len(candidates) * len(variants.SHIPPED) * draws
    digests = set()
    for _ in range(setting.repeats):
        forget_peak()
        start, cpu = time.perf_counter(), time.process_time()
        found = comparing.compare(
            trial, candidates, posterior.prior(), draws=draws, seeds=1, seed=SEED, progress=_saying(setting)
        )
        timing = Timing(people, time.perf_counter() - start, peak_bytes=peak_bytes())
        cpu = time.process_time() - cpu
        digests.add(found["runs"])
        timing.note = (
            f"{len(candidates)} designs, {draws} draws, {len(variants.SHIPPED)} structures: {runs:,} runs of "
            f"{trial.people:,} persons on {found['days']} days, {cpu:.0f} s of processor time"
        )
        setting.say("runs of the engine alone")

        def alone(at: int) -> None:
            structure = variants.SHIPPED[at % len(variants.SHIPPED)]
            ensemble.totals_of(candidates[at % len(candidates)], drawn[at % draws], structure, at, days)

        yield timing, Timing(people, _each_s(alone) * runs / processors())
    require(len(digests) == 1, "two repeats gave different runs")


def fitted(setting: Setting) -> Iterator[tuple[Timing, Timing]]:
    """Fit behaviour to all shipped pilots; the limit is its simulations alone, one at a time."""
    particles = setting.operations
    is_full = particles >= fitting.PARTICLES
    people, generations = (FIT_PEOPLE, fitting.GENERATIONS) if is_full else (300, 1)
    setting.say("preparing the pilots")
    cases = fitting.cases([], [], SEED)
    central = parameters.standard().central()
    for _ in range(setting.repeats):
        forget_peak()
        start = time.perf_counter()
        found = fitting.fit(
            cases,
            variants.SHIPPED,
            particles=particles,
            generations=generations,
            people=people,
            seed=SEED,
            progress=_saying(setting),
        )
        timing = Timing(particles, time.perf_counter() - start, peak_bytes=peak_bytes())
        simulations = sum(each.simulations for each in found)
        timing.note = (
            f"{len(cases)} pilots, {len(found)} structures, {simulations:,} simulations of {people:,} persons each; "
            f"largest distance {max(each.distance for each in found):.2f}"
        )
        setting.say("simulations alone")

        def alone(at: int) -> None:
            for case in cases:
                town = case.towns[at % len(case.towns)]
                town.values(town.run(central, variants.SHIPPED[at % len(variants.SHIPPED)], at, people))

        yield timing, Timing(particles, _each_s(alone) * simulations)


def predicted(setting: Setting) -> Iterator[tuple[Timing, Timing]]:
    """Predict a pilot; the limit is its runs alone, one at a time."""
    people = setting.operations
    draws = max(DRAWS * people // PREDICTED, 4)
    pilot = description.load(PROGRAMME)
    simulation, central = Simulation.of(pilot), parameters.standard().central()
    for _ in range(setting.repeats):
        forget_peak()
        start = time.perf_counter()
        found = predicting.predict(
            pilot, posterior.prior(), draws=draws, seed=SEED, people=people, progress=_saying(setting)
        )
        timing = Timing(people, time.perf_counter() - start, peak_bytes=peak_bytes())
        runs = draws * len(found["structures"]) + predicting.SEEDS
        timing.note = f"{draws} draws, {len(found['structures'])} structures: {runs:,} runs of {people:,} persons"
        setting.say("runs alone")

        def alone(at: int) -> None:
            simulation.values(simulation.run(central, variants.SHIPPED[at % len(variants.SHIPPED)], at, people))

        yield timing, Timing(people, _each_s(alone) * runs)


def _saying(setting: Setting) -> Callable[[int, int], None]:
    return lambda done, total: setting.say(f"{done:,} of {total:,} runs")


def _each_s(work: Callable[[int], object]) -> float:
    """Return the seconds of one call, of SAMPLE calls after a first one."""
    work(0)
    start = time.perf_counter()
    for at in range(SAMPLE):
        work(at)
    return (time.perf_counter() - start) / SAMPLE


BENCHMARKS: Final = (
    Benchmark(
        "sandbox-compare",
        "4 designs compared with 200 draws and 4 structures, 100,000 persons",
        None,
        PEOPLE,
        "its runs of the engine alone, on all processors",
        compared,
        unit=TOTAL_MS,
        goal=Goal(300_000),
        quick=2_000,
    ),
    Benchmark(
        "sandbox-fit",
        "behaviour fitted to all shipped pilots: 4 structures, 600 particles each",
        None,
        fitting.PARTICLES,
        "its simulations alone, one at a time",
        fitted,
        unit=TOTAL_MS,
        goal=Goal(1_200_000),
        quick=10,
    ),
    Benchmark(
        "sandbox-predict",
        "a pilot predicted with 200 draws and 4 structures, 40,000 persons",
        None,
        PREDICTED,
        "its runs alone, one at a time",
        predicted,
        unit=TOTAL_MS,
        goal=Goal(120_000),
        quick=2_000,
    ),
)
