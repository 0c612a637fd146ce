"""A small network in two states: three banks, two routes between two of them, one law, one pledge and one list."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from pathlib import Path

from benchmarks import declarations
from sqlalchemy.engine import Engine
from tests.database.places import copied_database, empty_database, opened, temporary_folder

from sycee.compliance.enforcement.service import Compliance
from sycee.compliance.enforcement.tables import SCHEMA
from sycee.core.clock import SimulatedClock
from sycee.database.migrations import upgrade

TODAY = date(2026, 11, 25)
DAY_NS = 86_400 * 10**9
NOON = (TODAY - date(1970, 1, 1)).days * DAY_NS + DAY_NS // 2
NEXT_YEAR = TODAY + timedelta(days=365)

NETWORK = """
[network]
id = "two-states"
title = "Two states"
as_of = 2026-11-01
source = "a register"

[[organisations]]
id = "carrier-one"
state = "AA"
identifiers = []
dispersed_bp = 10_000

[[organisations]]
id = "carrier-two"
state = "BB"
identifiers = []
dispersed_bp = 10_000

[[organisations]]
id = "owner-a"
identifiers = []
dispersed_bp = 10_000

[[organisations]]
id = "owner-b"
identifiers = []
dispersed_bp = 10_000

[[organisations]]
id = "owner-c"
identifiers = []
dispersed_bp = 10_000

[[facilities]]
id = "hub-a"
state = "AA"

[[facilities]]
id = "hub-b"
state = "BB"

[[facilities]]
id = "hub-c"
state = "BB"

[[spans]]
id = "short-way"
ends = ["hub-a", "hub-b"]
operator = "carrier-two"
cost = 1

[[spans]]
id = "long-way"
ends = ["hub-a", "hub-b"]
operator = "carrier-one"
cost = 5

[[participants]]
id = "bank-a"
organisation = "owner-a"
state = "AA"
gateway = "hub-a"
exit_terms = true
vulnerability_notice_days = 90

[[participants]]
id = "bank-b"
organisation = "owner-b"
state = "BB"
gateway = "hub-b"
exit_terms = true

[[participants]]
id = "bank-c"
organisation = "owner-c"
state = "BB"
gateway = "hub-c"
exit_terms = false

[[flows]]
id = "retail"
from = "bank-a"
to = "bank-b"
purpose = "payment"
classes = ["payment"]
stored = [{ at = "hub-a" }]
currency = "EUR"

[[flows]]
id = "to-nowhere"
from = "bank-a"
to = "bank-c"
stored = [{ at = "hub-a" }]
"""

EXIT_RULE = """
[[rules]]
id = "exit"
title = "Customers can leave"
level = "participant"
addressee = "company"
kind = "checked"
source = "text"
remedy = "Offer terms."
require = [{ fact = "exit_terms", test = "is-true" }]
"""
OTHER_RULES = """
[[rules]]
id = "carrier"
title = "No excluded party carries"
level = "span"
addressee = "company"
kind = "checked"
source = "text"
remedy = "Another carrier."
require = [{ fact = "operator", test = "none-listed", list = "excluded" }]

[[rules]]
id = "stored"
title = "Stored at home"
level = "flow"
addressee = "company"
kind = "checked"
source = "text"
remedy = "Store it at home."
require = [{ fact = "stored.at.state", test = "all-in", set = "states" }]
"""
LAW = declarations.law("AA", "BB", id="first-law", rules=EXIT_RULE + declarations.OWNER_RULE + OTHER_RULES)

PLEDGE = """
id = "first-pledge"
version = 2
title = "A pledge"
status = "pledge"
issuer = "somebody"
effective_from = 2020-01-01
reviewed = 2026-11-01
summary = "A pledge."
limits = "It is made up."
sources = [{ id = "text", title = "a text", publisher = "somebody", date = 2020-01-01, at_hand = true }]

[[rules]]
id = "notice"
title = "Vulnerabilities are told of soon"
level = "participant"
addressee = "company"
kind = "checked"
source = "text"
remedy = "Tell sooner."
require = [{ fact = "vulnerability_notice_days", test = "at-most", limit = 30 }]
"""

LIST = declarations.list_of("PARTY")


@dataclass
class Desk:
    """A service with changeable files and a clock that can be set."""

    engine: Engine
    where: str
    folder: Path
    clock: SimulatedClock
    compliance: Compliance = field(init=False)

    def __post_init__(self) -> None:
        self.compliance = Compliance(self.engine, self.clock)
        for name, text in (("law", LAW), ("pledge", PLEDGE), ("excluded", LIST)):
            (self.folder / f"{name}.toml").write_text(text)

    def again(self, engine: Engine | None = None) -> Compliance:
        """Return another service on the same database, with empty caches."""
        return Compliance(engine or self.engine, self.clock)

    def declare(self, *changes: tuple[str, str]) -> None:
        """Declare the network, with some texts replaced."""
        self.compliance.declare({"network.toml": changed(NETWORK, *changes).encode()}, by="declarations desk")

    def add(self, *rules: str) -> None:
        """Use the law with further rules."""
        (self.folder / "law.toml").write_text(LAW + "".join(rules))
        self.use()

    def use(self, *changes: tuple[str, str]) -> None:
        """Use law, pledge and list, with some texts of the list replaced."""
        listed = self.folder / "excluded.toml"
        listed.write_text(changed(LIST, *changes))
        names = [self.folder / "law.toml", self.folder / "pledge.toml"]
        self.compliance.use(names, [listed], by="compliance officer")


@cache
def _declared(server: str) -> str:
    """Return a database in which the network is declared and in use: a file, or a URL if `server` is one."""
    folder = temporary_folder()
    where = empty_database(server) if server else str(folder / "declared.db")
    with opened(where) as engine:
        upgrade(engine, SCHEMA)
        made = Desk(engine, where, folder, SimulatedClock(NOON))
        made.declare()
        made.use()
    return where


@contextmanager
def desk(server: str, folder: Path) -> Iterator[Desk]:
    """Yield a desk whose network is declared and in use. `server`: as the fixture."""
    where = copied_database(_declared(server)) if server else shutil.copyfile(_declared(""), str(folder / "kept.db"))
    with opened(where) as engine:
        yield Desk(engine, where, folder, SimulatedClock(NOON))


def rule(id: str, level: str, more: str) -> str:
    """Return a further rule of the law; `more` is its conditions."""
    head = f'\n[[rules]]\nid = "{id}"\ntitle = "{id}"\nlevel = "{level}"\naddressee = "company"\nkind = "checked"\n'
    return f'{head}source = "text"\nremedy = "Do otherwise."\n{more}\n'


def changed(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text
