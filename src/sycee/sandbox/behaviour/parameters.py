"""Parameters of behaviour: names, priors and sources, read from data/behaviour.

A value is an integer: parts per million of a share or a ratio, thousandths of a day for a number of days. A prior gives
a quantile for a number in (0, 1), so that any sampler can use it. Every parameter has a published source, or the source
"assumed" with a reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import exp, log
from pathlib import Path
from statistics import NormalDist
from types import MappingProxyType
from typing import Final

from blake3 import blake3

from sycee import data
from sycee.core import documents, typos
from sycee.core.documents import Table
from sycee.core.errors import UsageError
from sycee.sandbox.behaviour.layout import PPM

FOLDER: Final = "behaviour"
STANDARD: Final = "standard"
ASSUMED: Final = "assumed"
MARKS: Final = ("2", "1", "derived", "recalled", ASSUMED)

SHARE: Final = "share"
RATIO: Final = "ratio"
DAYS: Final = "days"
UNITS: Final = MappingProxyType({SHARE: PPM, RATIO: PPM, DAYS: 1_000})  # integers for 1
RATIO_MAX: Final = 10
DAYS_MAX: Final = 3_650

UNIFORM: Final = "uniform"
NORMAL: Final = "normal"
LOGNORMAL: Final = "lognormal"
FAMILIES: Final = (UNIFORM, NORMAL, LOGNORMAL)

# Every name that a variant or a setting reads. A file of parameters has exactly these.
NAMES: Final = (
    "outing_share",
    "weekend_ratio",
    "outside_share",
    "from_work_share",
    "register_share",
    "register_old_ratio",
    "claim_app",
    "claim_card",
    "claim_paper",
    "claim_old_ratio",
    "claim_speed_app",
    "claim_speed_card",
    "never_share",
    "use_share",
    "start_hazard",
    "start_fade",
    "base_hazard",
    "end_hazard",
    "end_fade",
    "clear_share",
    "beside_app",
    "beside_other",
    "beside_size",
    "mpc_cash",
    "mpc_expiry",
    "mpc_expiry_fade",
    "mpc_decay",
    "mpc_liquid_slope",
    "mpc_income_slope",
    "mpc_spread",
    "forward_share",
    "payback_share",
    "lift_share",
    "lift_reach",
    "lift_new_share",
    "respend_share",
    "respend_speed",
    "salience_days",
    "habit_boost",
    "refund_share",
)

# How places and pilots differ from each other: no decision reads these, and predictions of a pilot draw them.
BASKET_SPREAD: Final = "basket_spread"
PILOT_SPREAD: Final = "pilot_spread"
VARIATION: Final = (BASKET_SPREAD, PILOT_SPREAD)


@dataclass(frozen=True, slots=True)
class Prior:
    """A distribution cut to [low, high]. `middle` and `spread`: mean and sd, or median and sd of the logarithm."""

    family: str
    low: float
    high: float
    middle: float = 0.0
    spread: float = 0.0

    def quantile(self, probability: float) -> float:
        """Return the value below which a share `probability` of the distribution lies, 0 < probability < 1."""
        if self.family == UNIFORM:
            return self.low + probability * (self.high - self.low)
        normal, low, high = self._normal()
        below, above = normal.cdf(low), normal.cdf(high)
        value = normal.inv_cdf(min(max(below + probability * (above - below), 1e-15), 1 - 1e-15))
        value = min(max(value, low), high)
        return exp(value) if self.family == LOGNORMAL else value

    def probability(self, value: float) -> float:
        """Return the share of the distribution below a value: the inverse of `quantile`."""
        if self.family == UNIFORM:
            return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        normal, low, high = self._normal()
        below, above = normal.cdf(low), normal.cdf(high)
        place = log(max(value, self.low)) if self.family == LOGNORMAL else value
        return min(max((normal.cdf(place) - below) / (above - below), 0.0), 1.0)

    def _normal(self) -> tuple[NormalDist, float, float]:
        """Return the normal distribution of the value, or of its logarithm, and where it is cut."""
        if self.family == LOGNORMAL:
            return NormalDist(log(self.middle), self.spread), log(self.low), log(self.high)
        return NormalDist(self.middle, self.spread), self.low, self.high


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter as its file gives it."""

    name: str
    title: str
    unit: str  # SHARE, RATIO or DAYS
    value: float  # the central value, used without a fit
    prior: Prior
    source: str
    mark: str

    def integer(self, value: float) -> int:
        """Return a value as the integer that decisions use. Raises UsageError for one outside of the unit's range."""
        most = {SHARE: 1.0, RATIO: float(RATIO_MAX), DAYS: float(DAYS_MAX)}[self.unit]
        if not 0.0 <= value <= most:
            raise UsageError(
                f"{self.name} = {value:g} is outside of its unit", hint=f"a {self.unit} from 0 to {most:g}"
            )
        return round(value * UNITS[self.unit])


@dataclass(frozen=True, slots=True)
class Parameters:
    """Values of all parameters as integers, by name."""

    values: Mapping[str, int]

    def __getitem__(self, name: str) -> int:
        return self.values[name]

    def digest(self) -> str:
        """Return 32 hexadecimal digits of SHA-256 over names and values."""
        text = "\n".join(f"{name} {self.values[name]}" for name in NAMES)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """A file of parameters, in the order of NAMES, and how they vary, in the order of VARIATION."""

    title: str
    parameters: tuple[Parameter, ...]
    variation: tuple[Parameter, ...]

    def __getitem__(self, name: str) -> Parameter:
        typos.require(name, NAMES, f"there is no parameter {name!r}", f"parameters: {', '.join(NAMES)}")
        return self.parameters[NAMES.index(name)]

    def varies(self, name: str) -> Parameter:
        """Return one of VARIATION."""
        return self.variation[VARIATION.index(name)]

    def digest(self) -> str:
        """Return the BLAKE3-256 of names, units, central values and priors, without titles and sources."""
        every = (*self.parameters, *self.variation)
        return blake3(
            "\n".join(f"{each.name} {each.unit} {each.value!r} {each.prior!r}" for each in every).encode()
        ).hexdigest()

    def central(self) -> Parameters:
        """Return the central value of each parameter."""
        return self.of({})

    def of(self, values: Mapping[str, float]) -> Parameters:
        """Return these values, and the central value of each parameter that is missing.

        Values are in units of the file (0.23, not 230,000). Raises UsageError for an unknown name or a value outside of
        its unit.
        """
        for name in values:
            self[name]
        return Parameters({each.name: each.integer(values.get(each.name, each.value)) for each in self.parameters})

    def at(self, probabilities: Mapping[str, float]) -> Parameters:
        """Return the quantiles of the priors at these probabilities, and central values of the other parameters."""
        return self.of({name: self[name].prior.quantile(each) for name, each in probabilities.items()})


@cache
def standard() -> ParameterSet:
    """Return the shipped parameters."""
    return load(STANDARD)


def load(source: Path | str) -> ParameterSet:
    """Load parameters from a file, or the shipped ones by name.

    Raises DocumentError for a missing, unknown or impossible key, with the nearest correct one.
    """
    table = data.document(FOLDER, source, "file of parameters")
    title = table.text("title")
    parts = table.table("parameters")
    found = tuple(_parameter(name, parts.table(name)) for name in NAMES)
    parts.finish()
    parts = table.table("variation")
    variation = tuple(_parameter(name, parts.table(name)) for name in VARIATION)
    parts.finish()
    table.finish()
    return ParameterSet(title, found, variation)


def _parameter(name: str, table: Table) -> Parameter:
    title, unit = table.text("title"), table.choice("unit", tuple(UNITS))
    most = {SHARE: 1.0, RATIO: float(RATIO_MAX), DAYS: float(DAYS_MAX)}[unit]
    prior = _prior(table.table("prior"), most)
    value = _number(table, "value", prior.low, prior.high)
    mark, source = table.choice("mark", MARKS), table.text("source")
    if (mark == ASSUMED) != source.startswith(ASSUMED):
        raise table.error(
            "source",
            f'the mark is "{mark}" and the source {documents.found(source)}',
            right='a published source; or mark = "assumed" and a source that begins with "assumed"',
        )
    table.finish()
    return Parameter(name, title, unit, value, prior, source, mark)


def _prior(table: Table, most: float) -> Prior:
    family = table.choice("family", FAMILIES)
    low = _number(table, "low", 0.0, most)
    high = _number(table, "high", 0.0, most)
    if not low < high:
        raise table.error("high", f"found {high:g}, and low is {low:g}", right="a number above `low`")
    middle = spread = 0.0
    if family == NORMAL:
        middle, spread = _number(table, "mean", 0.0, most), _number(table, "sd", 0.0, most)
    elif family == LOGNORMAL:
        middle, spread = _number(table, "median", low, high), _number(table, "sigma", 0.0, float(RATIO_MAX))
        if not low > 0:
            raise table.error("low", f"found {low:g}", right="a number above 0: a lognormal distribution has no 0")
    if family != UNIFORM and not spread > 0:
        raise table.error("sd" if family == NORMAL else "sigma", "found 0", right="a number above 0")
    table.finish()
    return Prior(family, low, high, middle, spread)


def _number(table: Table, key: str, low: float, high: float) -> float:
    return table.number(key, least=low, most=high)
