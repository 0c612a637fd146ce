"""Every operation of the API has a call, or is in the table of those without one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sycee.client import Call, Signer, api, events
from sycee.client.exchange import Request, Session
from sycee.client.tokens import TOKEN_PATH
from sycee.client.values import LapsedOpening, NewPerson, PacketShare, Payer, ReserveRule, Shortfall, VoucherGroup
from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.core.records import operations, proposal_format
from sycee.core.records.proposal_format import Proposal

pytestmark = pytest.mark.fast
REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
KEY = SigningKey.derive(bytes(32))
ID = ids.parse("01930e2c-5a00-7abc-8def-0123456789ab")
# Reached by `sycee.client.bulk`.
BULK = {
    "declare_bulk", "check_bulk", "pay_in_bulk", "list_bulk", "show_bulk", "read_bulk_results", "approve_bulk",
    "settle_bulk",
}  # fmt: skip
PAYER = Payer(2, KEY, 156, 1, bytes(16))
VOUCHERS = VoucherGroup("school", "autumn", "shops", ids.format(ID), ids.format(ID), 2, 100, 10**18, "open")
PROPOSAL = Proposal(5, bytes(16), "mint", 6, operations.pay(ID, payer=2, payee=3, amount=1), {}, 10**18)
# Arguments by their names.
GIVEN: dict[str, Any] = {
    "person": 7, "kind": "merchant", "name": "Tea", "alias": "@tea", "handle": "@tea", "phone": "+1",
    "code": "123456", "owner": 7, "signer": Signer(2, KEY), "key": KEY.public, "proof": bytes(64), "tier": "class-4",
    "day": "2026-11-02", "digest": "ab" * 32, "url": "https://shop.example", "number": 5, "side": "payee",
    "until_ns": 10**18, "expires_ns": 10**18, "effective_ns": 10**18, "bank_account": "CN00", "reason": "done",
    "bank_reference": "B-1", "operator": 2, "minor": 100, "day_max_minor": 100, "quota_minor": 100, "case": 3,
    "settlement": "CN00", "order": "A-1", "record": operations.pay(ID, payer=2, payee=3, amount=1),
    "rules": [ReserveRule("class-4", "2026-11-02", "issuer", 1, "decree")],
    "text": "name = 1", "beacon": bytes(32), "file": "entries.bin", "members": [1, 2, 3], "programme_number": 1,
    "shares": [PacketShare("small", 3, 100)], "member": 7, "result": {"ok": True}, "wallets": [7],
    "amounts": [100], "claims": [(7, 8)], "serials": [1], "serial": 1, "beneficiaries": {1: "CHILD-0001"}, "batch": ID,
    "signature": proposal_format.sign(PROPOSAL, 2, KEY), "entry": 3, "columns": {"document": ["1"]},
    "lapsed": LapsedOpening(ids.format(ID), 2, ids.format(7), 1, "", "", "person"),
    "shortfall": Shortfall(ids.format(ID), 1, "RW-1", "asked", ids.format(2), 5, "", 0),
}  # fmt: skip
# Arguments of one call, where a name has another meaning in it.
OWN: dict[str, dict[str, Any]] = {
    "grant_mandate": {"wallet": Signer(2, KEY)}, "pay_signed": {"payer": PAYER}, "signed": {"payer": PAYER},
    "payer": {"owner": Signer(2, KEY)}, "prove_key": {"key": KEY}, "open_person": {"person": {"name": "Eve"}},
    "open_persons": {"persons": [NewPerson({"name": "Eve"})]},
    "register_client": {"officer": Signer(2, KEY)}, "read_person": {"fields": ["name"]},
    "open_case": {"kind": "complaint"},
    "propose_voucher_group": {"programme": "autumn", "budget_minor": 100},
    "reserve_vouchers": {"group": VOUCHERS}, "cancel_vouchers": {"group": VOUCHERS},
    "redeem_voucher": {"group": VOUCHERS, "number": "0" * 24, "shop": 7}, "return_voucher_money": {"group": VOUCHERS},
    "sign": {"proposal": PROPOSAL}, "deliver_message": {"content": b"<a/>", "signature": bytes(64)},
    "compare_statement": {"content": b"<a/>"},
    "give_quote": {"content": b"{}", "signature": bytes(64)},
    "accept_quote": {"content": b"{}", "signature": bytes(64)},
}  # fmt: skip


def test_every_operation_has_a_call_or_a_reason() -> None:
    known = dict(_operations())
    reached = {_operation(known, each.method, each.path) for each in _requests()}
    reached |= {_operation(known, "GET", events.PATH), _operation(known, "POST", TOKEN_PATH), *BULK}
    page = (REFERENCE / "client.md").read_text(encoding="utf-8")
    section = page.partition("\n## Operations without a call\n")[2].partition("\n## ")[0]
    excused = set(re.findall(r"`([a-z_]+)`", section.partition("|---|---|\n")[2]))
    assert excused <= known.keys()
    assert reached & excused == set()
    lacking = known.keys() - reached - excused
    assert lacking == set(), "add a call in sycee.client.operations, or a row to the page with the reason against one"


def _operations() -> Iterator[tuple[str, tuple[str, re.Pattern[str]]]]:
    """Yield each operation of the table: its name, its method, and what its path looks like."""
    page = (REFERENCE / "http-operations.md").read_text(encoding="utf-8")
    for name, method, path in re.findall(r"^\| `([a-z_]+)` \| ([A-Z]+) `(\S+)` \|", page, re.MULTILINE):
        yield name, (method, re.compile(re.sub(r"\\{[a-z]+\\}", "[^/]+", re.escape(path))))


def _operation(known: dict[str, tuple[str, re.Pattern[str]]], method: str, path: str) -> str:
    """Return the operation of a request. A path without variable parts comes first: /v1/wallets is no wallet."""
    found = [name for name, (each, pattern) in known.items() if each == method and pattern.fullmatch(path)]
    assert found, f"{method} {path} is no operation"
    return min(found, key=lambda name: known[name][1].pattern.count("[^/]+"))


def _requests() -> Iterator[Request]:
    """Yield the first request of each call, without a server."""
    session = Session("http://localhost", None, 1.0, lambda: 0, lambda: 0)
    for name in api.__all__:
        for call in _calls(name):
            yield next(call.converse(session))


def _calls(name: str) -> Iterator[Call[Any]]:
    make = getattr(api, name)
    values = GIVEN | OWN.get(name, {})
    parameters = inspect.signature(make).parameters.values()
    places = [
        each.name for each in parameters
        if each.kind is each.POSITIONAL_OR_KEYWORD and each.default is each.empty
    ]  # fmt: skip
    words = {
        each.name: values.get(each.name, 5)
        for each in parameters
        if each.kind is each.KEYWORD_ONLY and each.default is each.empty
    }
    more = [one for each in parameters if each.kind is each.VAR_POSITIONAL for one in values[each.name]]
    given = [values.get(each, 5) for each in places] + more
    yield make(*given, **words)
    for each in parameters:
        if each.name == "form":
            for form in ("png", "svg"):
                yield make(*given, form, **words)
