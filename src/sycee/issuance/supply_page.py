"""The supply page: public figures of the money in circulation, as JSON, text or HTML.

The page shows the money in circulation beside the converted reserves, its distribution, and the reserves that the rules
require. With its digests a reader compares a copy of the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np

from sycee.core import money
from sycee.core.arrays import Array
from sycee.core.money import Currency
from sycee.core.records.layout import AccountKind
from sycee.core.timestamps import utc_text
from sycee.database.stores import Stores
from sycee.issuance.registry import Registry
from sycee.issuance.reserve_rules import FULL_PPM, ReserveRule, ReserveRules
from sycee.journal.frame import Anchor
from sycee.ledger.invariants import exact_sum
from sycee.ledger.state import LedgerState
from sycee.report import page
from sycee.report.page import Page, Section, Table, Tile, Tiles, Verdict
from sycee.sequencer.checkpoint import Checkpoint

UNCLASSED: Final = "other"  # accounts under no rule set of a class: merchants, wallets that are recovered
_HOLDING_KINDS: Final = (AccountKind.WALLET, AccountKind.MERCHANT)


@dataclass(frozen=True, slots=True)
class ClassMoney:
    """The money in one class of wallets, and the reserves that its rule requires. Minor units."""

    wallet_class: str
    wallets: int
    money_minor: int
    holder: str
    share_ppm: int
    required_minor: int


@dataclass(frozen=True, slots=True)
class OperatorMoney:
    """An operator's vault and reserves. Minor units."""

    number: int
    state: str
    vault_minor: int
    reserve_minor: int


@dataclass(frozen=True, slots=True)
class Supply:
    """The supply after one frame.

    - `purses_minor`: packets that are not spent yet, which are in no wallet.
    - `state_digest`: 32 bytes; empty unless requested.
    """

    ledger_id: bytes
    epoch: int
    frame: Anchor
    state_digest: bytes
    currency: Currency
    supply_minor: int
    converted_minor: int
    purses_minor: int
    elsewhere_minor: int  # vaults, funders, suspense and transit
    classes: tuple[ClassMoney, ...]
    operators: tuple[OperatorMoney, ...]
    checkpoint: Checkpoint | None
    is_rehearsal: bool

    @property
    def is_backed(self) -> bool:
        """Return whether the money in circulation equals the converted reserves."""
        return self.supply_minor == self.converted_minor

    @property
    def required_minor(self) -> int:
        """Return the reserves that the rules require for the money in wallets, in minor units."""
        return sum(each.required_minor for each in self.classes)

    def text(self, minor: int) -> str:
        """Return an amount with grouped thousands."""
        return money.format(minor, self.currency)


class SupplyPage:
    """The supply of one bank.

    `classes` returns the rule set of each class of wallets, by name.
    """

    def __init__(
        self, stores: Stores, registry: Registry, rules: ReserveRules, classes: Callable[[], Mapping[str, int]]
    ) -> None:
        self._stores = stores
        self._registry = registry
        self._rules = rules
        self._classes = classes

    def current(
        self,
        day: date,
        checkpoint: Checkpoint | None = None,
        *,
        is_rehearsal: bool = False,
        with_state_digest: bool = False,
    ) -> Supply:
        """Return the supply now, with the reserve rules of a local day. `checkpoint`: the newest that is known.

        `with_state_digest` adds the digest of the whole state. Its time grows with every operation that was ever
        submitted, and no frame is written meanwhile.
        """
        rules, operators = self._rules.on(day), self._registry.operators()
        names = {number: name for name, number in self._classes().items()}
        issuer = self._registry.issuer
        sequencer = self._stores.ledger.sequencer
        with sequencer.reading() as state:
            frame, state_digest = sequencer.newest_frame, state.digest() if with_state_digest else b""
            supply = state.supply(issuer.currency)
            converted = state.balance(issuer.converted)
            classes = tuple(self._class_money(state, rules, names))
            purses = _in_purses(state.all_purses)
            rows = tuple(
                OperatorMoney(
                    each.number,
                    each.state,
                    state.balance(each.accounts.vault),
                    state.balance(each.accounts.reserve),
                )
                for each in operators
            )
        elsewhere = supply - purses - sum(each.money_minor for each in classes)
        return Supply(
            sequencer.ledger_id,
            sequencer.epoch,
            frame,
            state_digest,
            money.currency(issuer.currency),
            supply,
            converted,
            purses,
            elsewhere,
            classes,
            rows,
            checkpoint,
            is_rehearsal,
        )

    def _class_money(
        self, state: LedgerState, rules: Mapping[str, ReserveRule], classes: Mapping[int, str]
    ) -> list[ClassMoney]:
        accounts = state.accounts
        holding = (accounts["currency"] == self._registry.issuer.currency) & np.isin(accounts["kind"], _HOLDING_KINDS)
        rule_sets = accounts["rule_set"][holding]
        balances = (accounts["credits_posted"] - accounts["debits_posted"])[holding]
        found = dict.fromkeys([*sorted(classes.values()), UNCLASSED], (0, 0))
        for number in np.unique(rule_sets).tolist():
            name, chosen = classes.get(number, UNCLASSED), rule_sets == number
            wallets, minor = found[name]
            found[name] = wallets + int(chosen.sum()), minor + exact_sum(balances[chosen])
        made = []
        for name, (wallets, minor) in found.items():
            rule = rules.get(name, ReserveRule(name, date.min, "issuer", FULL_PPM, ""))
            made.append(ClassMoney(name, wallets, minor, rule.holder, rule.share_ppm, rule.required_minor(minor)))
        return made


def as_json(supply: Supply) -> dict[str, Any]:
    """Return the supply as a JSON object. Amounts are texts of minor units: some parsers have 53 bits of precision."""
    return {
        "format": "sycee.supply.v1",
        "currency": supply.currency.code,
        "decimals": supply.currency.digits,
        "supply": str(supply.supply_minor),
        "converted_reserves": str(supply.converted_minor),
        "equal": supply.is_backed,
        "in_wallets": {each.wallet_class: str(each.money_minor) for each in supply.classes},
        "in_purses": str(supply.purses_minor),
        "elsewhere": str(supply.elsewhere_minor),
        "required_reserves": {
            each.wallet_class: {
                "holder": each.holder, "share_ppm": each.share_ppm, "required": str(each.required_minor)
            }
            for each in supply.classes
        },
        "operators": {
            str(each.number): {
                "state": each.state, "vault": str(each.vault_minor), "reserve": str(each.reserve_minor)
            }
            for each in supply.operators
        },
        "ledger": supply.ledger_id.hex(),
        "epoch": supply.epoch,
        "frame": str(supply.frame.sequence),
        "time": utc_text(supply.frame.time_ns),
        "frame_digest": supply.frame.digest.hex(),
        "state_digest": supply.state_digest.hex() or None,
        "checkpoint": None if supply.checkpoint is None else str(supply.checkpoint.position.sequence),
        "rehearsal": supply.is_rehearsal,
    }  # fmt: skip


def sentences(supply: Supply) -> list[str]:
    """Return the supply as lines of text."""
    code = supply.currency.code
    relation = "equal" if supply.is_backed else "NOT EQUAL"
    checkpoint = supply.checkpoint
    in_wallets = supply.text(sum(each.money_minor for each in supply.classes))
    circulation = f"in circulation {supply.text(supply.supply_minor)} {code}"
    places = f"in wallets {in_wallets}, in packets {supply.text(supply.purses_minor)}"
    known = "no checkpoint is known"
    if checkpoint is not None:
        at = checkpoint.position
        known = f"newest checkpoint: frame {at.sequence:,}, {utc_text(at.time_ns)}"
    lines = [
        f"{circulation}; converted reserves {supply.text(supply.converted_minor)}; {relation}",
        f"{places}, in vaults and in transit {supply.text(supply.elsewhere_minor)}",
        f"reserves that the rules require for the money in wallets: {supply.text(supply.required_minor)}",
        f"as of frame {supply.frame.sequence:,}, {utc_text(supply.frame.time_ns)}",
        f"state digest {supply.state_digest.hex()}",
        known,
    ]
    return [*(["rehearsal: this is no real money"] if supply.is_rehearsal else []), *lines]


def write_html(supply: Supply, path: Path, mark: str = "") -> None:
    """Write the supply as a page, with its first line `mark`. Raises like `report.page.write`."""
    page.write(replace(_page(supply), mark=mark), path)


def _page(supply: Supply) -> Page:
    code = supply.currency.code
    good = supply.is_backed
    verdict = (
        "The money in circulation equals the converted reserves."
        if good
        else "The money in circulation does NOT equal the converted reserves."
    )
    opening = [
        Verdict(good, verdict),
        Tiles(
            (
                Tile("in circulation", supply.text(supply.supply_minor), code),
                Tile("converted reserves", supply.text(supply.converted_minor), code),
                Tile("in wallets", supply.text(sum(each.money_minor for each in supply.classes)), code),
            )
        ),
    ]
    if supply.is_rehearsal:
        opening.insert(0, page.Notice("This is a rehearsal with a clock of its own. It is no real money."))
    classes = Table(
        "Money by class of wallets, and the reserves that its rule requires",
        page.columns("=Class", ">Wallets", ">Money", "=Owed by", ">Share", ">Required reserves"),
        tuple(
            (each.wallet_class, f"{each.wallets:,}", supply.text(each.money_minor), each.holder,
             f"{each.share_ppm / FULL_PPM:.1%}", supply.text(each.required_minor))
            for each in supply.classes
        ),
    )  # fmt: skip
    operators = Table(
        "Operators",
        page.columns("=Operator", "=State", ">Vault", ">Reserves"),
        tuple(
            (str(each.number), each.state, supply.text(each.vault_minor), supply.text(each.reserve_minor))
            for each in supply.operators
        ),
    )  # fmt: skip
    facts = (
        ("Frame", f"{supply.frame.sequence:,}"),
        ("Time", utc_text(supply.frame.time_ns)),
        ("Ledger", supply.ledger_id.hex()),
        ("State digest", supply.state_digest.hex()),
        (
            "Newest checkpoint",
            "none" if supply.checkpoint is None else f"frame {supply.checkpoint.position.sequence:,}",
        ),
    )
    return Page(
        "Supply",
        f"Supply of {supply.currency.code}",
        "Every amount follows from the journal, and a copy of the ledger gives the same digest.",
        facts,
        tuple(opening),
        (
            Section("wallets", "Money in wallets", "Wallets", (classes,)),
            Section("operators", "Operators", "Operators", (operators,)),
        ),
    )


def _in_purses(purses: Array) -> int:
    return exact_sum(purses["dropped"] - purses["spent"] + purses["refunded"] - purses["returned"])
