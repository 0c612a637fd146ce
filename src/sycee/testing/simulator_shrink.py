"""Shrink a failing history: drop steps as long as it fails in the same way.

Every step chooses by its own bytes, so the remaining steps behave as before, or nearly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from sycee.testing.naive import NaiveLedger
from sycee.testing.simulator_actor import Actor
from sycee.testing.simulator_oracle import Difference
from sycee.testing.simulator_plan import Plan, Step
from sycee.testing.simulator_run import HistoryOutcome, Parts, run

RUNS_MAX: Final = 600  # one to two minutes
SETTING_BLOCK_BYTES: Final = 8

Part = TypeVar("Part")


class Shrunk(NamedTuple):
    """The shortest history found, its events, and the number of runs."""

    plan: Plan
    outcome: HistoryOutcome
    runs: int


class _Shrinker:
    def __init__(self, plan: Plan, parts: Parts, failure: Difference, runs_max: int) -> None:
        self.plan = plan
        self.runs = 0
        self._parts = parts
        self._what = failure.what
        self._runs_max = runs_max

    def fails(self, plan: Plan) -> bool:
        """Return whether this history fails like the first; store it if it does."""
        self.runs += 1
        failure = run(plan, self._parts).failure
        if failure is None or failure.what != self._what:
            return False
        self.plan = plan
        return True

    @property
    def may_go_on(self) -> bool:
        return self.runs < self._runs_max

    def drop(self, parts: tuple[Part, ...], plan_with: Callable[[tuple[Part, ...]], Plan]) -> None:
        """Drop ever smaller runs of some parts of the history, until every part is needed."""
        size = len(parts) // 2 or len(parts)
        while size and self.may_go_on:
            dropped = False
            at = len(parts)
            while at > 0 and self.may_go_on:
                start = max(0, at - size)
                fewer = parts[:start] + parts[at:]
                if self.fails(plan_with(fewer)):
                    parts, dropped = fewer, True
                at = start
            if size == 1 and not dropped:
                return
            size = max(1, size // 2)

    def drop_steps(self) -> None:
        self.drop(self.plan.steps, lambda steps: self.plan._replace(steps=steps))

    def drop_stage(self) -> None:
        first = Actor(self.plan.setting, NaiveLedger()).first
        stage = self.plan.stage if self.plan.stage is not None else tuple(range(len(first)))
        self.drop(stage, lambda left: self.plan._replace(stage=left))

    def make_plain(self) -> None:
        """Simplify the setting and the choices of the steps: 0 is the simplest."""
        setting = self.plan.setting
        for at in range(0, len(setting), SETTING_BLOCK_BYTES):
            if self.may_go_on and any(setting[at : at + SETTING_BLOCK_BYTES]):
                plainer = setting[:at] + bytes(SETTING_BLOCK_BYTES) + setting[at + SETTING_BLOCK_BYTES :]
                if self.fails(self.plan._replace(setting=plainer)):
                    setting = plainer
        for at, step in enumerate(self.plan.steps):
            if self.may_go_on and step.what != "ask" and any(step.data):
                steps = (*self.plan.steps[:at], Step(step.what, b""), *self.plan.steps[at + 1 :])
                self.fails(self.plan._replace(steps=steps))


def shrink(plan: Plan, parts: Parts, outcome: HistoryOutcome, *, runs_max: int = RUNS_MAX) -> Shrunk:
    """Return the shortest history that fails like `outcome`, found in about `runs_max` runs.

    Runs are counted, not timed: one failure has one shortest history on every machine.
    """
    assert outcome.failure is not None
    shrinker = _Shrinker(plan, parts, outcome.failure, runs_max)
    shrinker.fails(plan._replace(steps=plan.steps[: outcome.steps]))  # later steps did not matter
    shrinker.drop_steps()
    shrinker.make_plain()
    shrinker.drop_stage()
    shrinker.drop_steps()
    return Shrunk(shrinker.plan, run(shrinker.plan, parts, tell=True), shrinker.runs)
