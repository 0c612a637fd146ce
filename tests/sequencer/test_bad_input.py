"""An embedded ledger accepts any argument, returns a code, or raises a SyceeError."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sequencer.test_ledger_methods import END_NS, Market

from sycee.core.errors import SyceeError, UsageError
from sycee.core.keys import SigningKey
from sycee.core.records import layout, operations
from sycee.core.records.envelopes import ENVELOPE
from sycee.core.records.layout import AccountKind, Reason, Role
from sycee.ledger import queries
from sycee.sequencer.embedded import Ledger, Signer
from sycee.sequencer.restore import restore
from sycee.sequencer.verify import verify

KEY = SigningKey.derive(bytes(32))
NUMBERS = (-1, 2**63, 2**128, -(2**200), 10**5000)
NOT_NUMBERS = (
    *("x", "", "\0", "\ud800", b"", b"x", None, [], [1], {}, (), object(), AccountKind),
    *(np.array([1, 2]), np.array([]), np.timedelta64(1, "s")),
)
FLOATS_AND_BOOLS = (0.5, 2.0, float("nan"), float("inf"), np.float64(2), True, np.True_)
FREE = {"close", "chain", "check", "digest", "new_id", "snapshot", "tick"}  # these have no arguments
BOOLS = {"release_rest", "up_to"}


NOT_ENVELOPES = (
    np.zeros((), ENVELOPE),
    np.zeros(1, ENVELOPE)[0],
    np.zeros((1, 1), ENVELOPE),
    np.array(None),
    None,
    5,
    "x",
)
RECORD = operations.transfer(900, debit=1, credit=2, amount=1)
NOT_RECORDS = (RECORD.reshape(()), RECORD[0], RECORD.reshape(1, 1), np.zeros(1), np.array(None), [RECORD], None, 5)


@pytest.mark.parametrize("envelopes", NOT_ENVELOPES, ids=repr)
def test_envelopes_of_a_wrong_type_are_refused(tmp_path: Path, envelopes: Any) -> None:
    with Ledger.open(tmp_path) as ledger:
        for submit in (ledger.submit, ledger.sequencer.submit):
            with pytest.raises(UsageError, match="envelopes must be"):
                submit(RECORD, envelopes)


@pytest.mark.parametrize("records", NOT_RECORDS, ids=lambda value: type(value).__name__)
def test_records_of_a_wrong_type_are_refused(tmp_path: Path, records: Any) -> None:
    with Ledger.open(tmp_path) as ledger:
        for submit in (ledger.submit, ledger.sequencer.submit, ledger.signed_by(Signer(1, KEY)).submit):
            with pytest.raises(UsageError, match="submit needs"):
                submit(records)
        with pytest.raises(UsageError, match="a chain links"):
            operations.chain(RECORD, records)


def test_groups_that_are_no_list() -> None:
    with pytest.raises(UsageError, match="groups must be a list; got a ndarray"):
        operations.define_rule_set(1, rule_set=1, from_ns=0, until_ns=1, groups=np.array(5))  # type: ignore[arg-type]


class Arguments:
    """Valid values for all required arguments, by name."""

    def __init__(self, folder: Path) -> None:
        self.town = Market(folder)
        self.ledger = self.town.ledger
        payment, hold, reversal = (self.ledger.new_id() for _ in range(3))
        self.ledger.pay(self.town.ann, self.town.shop, "5.00", id=payment)
        self.ledger.hold(self.town.ann, self.town.shop, "5.00", until_ns=END_NS, id=hold)
        self.ledger.reverse(payment, 1, id=reversal)
        self.ledger.set_key(self.town.ann, KEY.public)
        self.right: dict[str, Any] = {
            **dict.fromkeys(("account", "debit", "payer", "source"), self.town.ann),
            **dict.fromkeys(("credit", "payee", "by", "destination"), self.town.shop),
            **dict.fromkeys(("amount", "rule_set", "programme", "member", "person", "grant"), 1),
            **dict.fromkeys(("original", "sent", "id"), payment),
            "currency": "CNY",
            "code": "CNY",
            "zone": "Asia/Shanghai",
            "kind": AccountKind.WALLET,
            "reason": Reason.REQUEST,
            "role": Role.WITNESS,
            "until_ns": END_NS,
            "through": self.town.way,
            "hold": hold,
            "reversal": reversal,
            "records": np.zeros(0, layout.OPERATION),
            "requests": queries.accounts([self.town.ann]),
        }

    def of(self, name: str) -> tuple[dict[str, Any], list[str]]:
        """Return the required arguments of a method, and the names of all its arguments."""
        needed, possible = {}, []
        for parameter in inspect.signature(getattr(Ledger, name)).parameters.values():
            if parameter.name in ("self", "signers"):
                continue
            if parameter.kind is parameter.VAR_KEYWORD:
                possible += ["balance_max", "groups", "flags", "return_account", "effective_ns", "refund_window_s"]
                continue
            possible.append(parameter.name)
            if parameter.default is parameter.empty:
                right = {**self.right, "key": KEY if name == "signer_for" else KEY.public}
                needed[parameter.name] = right[parameter.name]
        return needed, possible


def methods() -> list[str]:
    public = {name for name, _ in inspect.getmembers(Ledger, inspect.isfunction) if not name.startswith("_")}
    return sorted(public - FREE)


def test_every_method_is_tried() -> None:
    assert {"transfer", "open_account", "accounts", "result_of", "unrecovered_of", "grant_role", "submit"} <= set(
        methods()
    )
    assert len(methods()) > 30


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arguments]:
    made = Arguments(tmp_path_factory.mktemp("bad"))
    with made.ledger:
        yield made
        made.ledger.check()


@pytest.mark.parametrize("name", methods())
def test_every_error_is_a_sycee_error(given: Arguments, name: str) -> None:
    call = getattr(given.ledger, name)
    needed, possible = given.of(name)
    texts = [{**needed, "amount": "0.01"}] if "amount" in needed else []
    for argument in possible:
        for wrong in (*NUMBERS, *NOT_NUMBERS, *FLOATS_AND_BOOLS):
            for others in (needed, *texts):
                with suppress(SyceeError):
                    call(**{**others, argument: wrong})


@pytest.mark.parametrize("name", methods())
def test_floats_and_bools_are_refused(given: Arguments, name: str) -> None:
    needed, possible = given.of(name)
    for argument in sorted(set(possible) - BOOLS):
        for wrong in FLOATS_AND_BOOLS:
            with pytest.raises(UsageError) as error:
                getattr(given.ledger, name)(**{**needed, argument: wrong})
            assert error.value.hint


def test_the_argument_is_named(given: Arguments) -> None:
    town, ledger = given.town, given.ledger
    with pytest.raises(UsageError, match=r"^amount must be an integer from .*; got 1\.9\n"):
        ledger.transfer(town.ann, town.bob, 1.9)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^single_max must be an integer from .*; got 0\.5\n"):
        ledger.define_rule_set(1, single_max=0.5)
    with pytest.raises(UsageError, match=r"^id must be an integer from .*; got 5\.5\n"):
        ledger.transfer(town.ann, town.bob, 1, id=5.5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"(?m)^account must be an integer or a UUID; got 'Ann'$"):
        ledger.balance("Ann")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"(?m)^operator must be an integer from 0 to 4294967295; got 4294967296$"):
        ledger.open_account("CNY", AccountKind.WALLET, operator=2**32)
    with ledger.chain() as chain, pytest.raises(UsageError, match=r"^amount must be an integer from .*; got True\n"):
        chain.transfer(town.ann, town.bob, True)
    assert chain.results == []


def test_arguments_of_submit_are_checked(given: Arguments) -> None:
    ledger = given.ledger
    record = operations.define_group(ledger.new_id(), group=1)
    for records in (None, "x", [record], np.zeros(3), record.reshape(1, 1)):
        with pytest.raises(UsageError, match="submit needs a"):
            ledger.submit(records)  # type: ignore[arg-type]
    for envelopes in (1, "x", [1], np.zeros(3), {}, object()):
        with pytest.raises(UsageError, match="envelopes must be a"):
            ledger.submit(record, envelopes)  # type: ignore[arg-type]


def test_arguments_of_open_are_checked(tmp_path: Path) -> None:
    for folder in (None, 5, 0.5, b"x", "", "\0", 10**5000):
        with pytest.raises(UsageError, match="folder must be a path"):
            Ledger.open(folder)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="folder must be a path"):
            verify(folder)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="folder must be a path"):
            restore(tmp_path, folder)  # type: ignore[arg-type]
    for clock in (5, "x", object()):
        with pytest.raises(UsageError, match="clock must be a Clock"):
            Ledger.open(tmp_path, clock=clock)  # type: ignore[arg-type]
    for frames in (-1, 0.5, True, "x"):
        with pytest.raises(UsageError, match=r"^snapshot_frames must "):
            Ledger.open(tmp_path, snapshot_frames=frames)  # type: ignore[arg-type]
    for frames in (0, -1, 0.5, True, "x"):
        with pytest.raises(UsageError, match=r"^snapshot_every must "):
            Ledger.open(tmp_path, snapshot_every=frames)  # type: ignore[arg-type]
    for size in (-1, 0.5, True, "x", 2**63):
        with pytest.raises(UsageError, match=r"^history_bytes must "):
            Ledger.open(tmp_path, history_bytes=size)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    for wrong in (None, 0.5, True, "x", -1, 2**128):
        with pytest.raises(UsageError, match=r"^id must be an integer "):
            Signer(wrong, KEY)  # type: ignore[arg-type]
