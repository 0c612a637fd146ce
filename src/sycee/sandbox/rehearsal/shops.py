"""Shops of a rehearsal: those of a file, or invented ones of several sectors and sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sycee.core import money, typos
from sycee.core.errors import UsageError
from sycee.programmes.definition import Programme
from sycee.programmes.registration_rows import groups_of
from sycee.sandbox.city.model import City
from sycee.sandbox.pilots import sectors

INVENTED: Final = 24  # shops of all merchant groups together, at least one for each
OUTSIDE: Final = 4  # shops that apply and are declined: people who take them for shops of the programme are refused
SIZES: Final = ("large", "middle", "small")
NAME, SECTOR, GROUP, BANK, TURNOVER = COLUMNS = ("name", "sector", "group", "bank", "turnover")
SHOPS_MAX: Final = 5_000  # each is checked, opened and decided one by one


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop. `sector`: of the town. `group`: "" for a shop that is declined. `operator`: its name in the programme.

    Its size is that of a shop of the town: the one with the nearest `turnover_minor` of a year, or, if that is 0, the
    one at the quantile `rank` in (0, 1) of its sector, the largest first.
    """

    name: str
    sector: str
    group: str
    operator: str
    rank: float = 0.5
    turnover_minor: int = 0


def invented(programme: Programme, city: City) -> list[Shop]:
    """Return invented shops of each merchant group, in the sectors that its file names, otherwise in all."""
    has, made = [each.name for each in city.sectors], []
    for group in programme.merchants:
        named = {each for name in group.sectors for each in sectors.named(name, has)}
        kinds = [each for each in has if each in named] or has
        count = -(-INVENTED // len(programme.merchants))
        for at in range(count):
            kind, size = kinds[at % len(kinds)], at // len(kinds)
            sizes = -(-(count - at % len(kinds)) // len(kinds))
            made.append((group.name, kind, (size + 0.5) / sizes))
    made += [("", has[at % len(has)], 0.1) for at in range(OUTSIDE)]
    operators = programme.operators
    return [
        Shop(_name(at + 1, kind, rank, group), kind, group, operators[at % len(operators)].name, rank)
        for at, (group, kind, rank) in enumerate(made)
    ]


def _name(number: int, sector: str, rank: float, group: str) -> str:
    size = SIZES[min(int(rank * len(SIZES)), len(SIZES) - 1)]
    return f"Shop {number}, {sector.replace('-', ' ')}, {size}{'' if group else ', not in the programme'}"


def read(path: Path, programme: Programme, city: City) -> list[Shop]:
    """Return the shops of a CSV file, and invented ones that are declined.

    Columns: name, sector, and perhaps group, bank and turnover. Raises UsageError for a column or cell that is wrong,
    with its row.
    """
    made = list(_rows(path, programme, city))
    if not 0 < len(made) <= SHOPS_MAX:
        raise UsageError(f"{path} has {len(made):,} shops", hint=f"from 1 to {SHOPS_MAX:,}")
    names = [each.name for each in made]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{path} names the shop {twice!r} twice", hint="give each shop its own name")
    return [*made, *(each for each in invented(programme, city) if not each.group)]


def _rows(path: Path, programme: Programme, city: City) -> Iterator[Shop]:
    kinds, groups = [each.name for each in city.sectors], [each.name for each in programme.merchants]
    operators = [each.name for each in programme.operators]
    for part in groups_of(path):
        for name in part.cells:
            typos.require(
                name, COLUMNS, f"{path.name} has the column {name!r}", f"columns of shops: {', '.join(COLUMNS)}"
            )
        for name in (NAME, SECTOR):
            if name not in part.cells:
                raise UsageError(f"{path.name} has no column {name!r}", hint=f"columns of shops: {', '.join(COLUMNS)}")
        for at in range(part.size):
            row = part.first_row + at
            cell = {name: str(texts[at]).strip() for name, texts in part.cells.items()}
            if at in part.wrong or not cell[NAME]:
                raise UsageError(f"{path.name}, row {row}: a shop has a name, and a cell in each column", hint="add it")
            has = sectors.named(cell[SECTOR], kinds)
            if not has:
                typos.require(cell[SECTOR], kinds, *_wrong(path, row, SECTOR, cell, kinds))
            group = cell.get(GROUP) or (groups[0] if len(groups) == 1 else "")
            typos.require(group, groups, *_wrong(path, row, GROUP, cell, groups))
            operator = cell.get(BANK) or operators[(row - 1) % len(operators)]
            typos.require(operator, operators, *_wrong(path, row, BANK, cell, operators))
            turnover = cell.get(TURNOVER)
            minor = money.parse(turnover, programme.currency) if turnover else 0
            rank = ((row - 1) * 0.618 + 0.5) % 1  # spreads sizes of shops without a turnover
            yield Shop(cell[NAME], has[0], group, operator, rank, minor)


def _wrong(path: Path, row: int, column: str, cell: dict[str, Any], right: list[str]) -> tuple[str, str]:
    return f"{path.name}, row {row}: there is no {column} {cell.get(column, '')!r}", f"one of {', '.join(right)}"
