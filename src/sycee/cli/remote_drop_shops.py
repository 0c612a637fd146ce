"""Funders, shops, evidence and the conditions of a programme over a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from cyclopts import Parameter

from sycee.cli.lazy import api, ids
from sycee.cli.parameters import AsJson
from sycee.cli.remote_institutions import institution_id
from sycee.cli.remote_options import (
    ActionId,
    AmountText,
    Login,
    Operator,
    PersonKey,
    connected,
    currency_of,
    minor_of,
    number_of,
    perform,
    person_of,
    private_key,
    show_rows,
)
from sycee.cli.terminal import print_table, show, show_json, table
from sycee.core import money
from sycee.core.errors import UsageError
from sycee.core.input_files import read_bytes
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.client import Client

Name: TypeAlias = Annotated[str, Parameter(help="Name of the programme.")]
Number: TypeAlias = Annotated[int, Parameter(name="--occurrence", help="Number of the occurrence.")]
Wallet: TypeAlias = Annotated[str, Parameter(help="Account of the shop.")]

EVIDENCE_BYTES_MAX: Final = 1 << 20  # as the body of a request


def funder(
    operator: Operator, name: Annotated[str, Parameter(help="Name of the funder.")], /, *,
    login: Login, key: PersonKey, id_: ActionId = "",
) -> int:  # fmt: skip
    """Open an account that pays programmes, at an operator. A person of the operator signs."""
    with connected(login) as bank:
        signer = person_of(bank, private_key(key))
        made = perform(bank, api.open_funder(name, operator, signer, id=number_of(id_)))
    show(f"funder {name} at operator {operator}: account {made.account}")
    return 0


def fund(
    funder: Annotated[str, Parameter(help="Name or account of the funder.")], amount: AmountText, /, *,
    login: Login,
    out: Annotated[bool, Parameter(negative="", help="Move the money back to the vault instead.")] = False,
    key: PersonKey, id_: ActionId = "",
) -> int:  # fmt: skip
    """Move money from the vault of the funder's operator to the funder. A person of the operator signs."""
    with connected(login) as bank:
        currency, signer = currency_of(bank), person_of(bank, private_key(key))
        minor, account = minor_of(amount, currency), funder_account(bank, funder)
        made = perform(bank, api.fund_funder(account, minor, signer, out=out, id=number_of(id_)))
    show(f"{made.name} has {money.with_code(made.balance_minor, currency)}")
    return 0


def funders(*, login: Login, json_: AsJson = False) -> int:
    """List the accounts that pay programmes, with their balances."""
    with connected(login) as bank:
        columns = ("name", "operator", "state", "balance_minor", "account")
        show_rows(bank, "funders", api.funders(), columns, as_json=json_)
    return 0


def apply(
    name: Name, merchant: Annotated[str, Parameter(help="Name or id of the merchant.")], /, *, login: Login,
    group: Annotated[str, Parameter(help="Merchant group of the file; may be omitted if it has one.")] = "",
    wallet: Annotated[str, Parameter(help="Account of the merchant; its oldest one if omitted.")] = "",
    id_: ActionId = "",
) -> int:  # fmt: skip
    """Apply with a merchant's account for a merchant group of a programme."""
    with connected(login) as bank:
        id = institution_id(bank, merchant)
        made = perform(bank, api.apply_for_group(name, id, group=group, wallet=wallet, id=number_of(id_)))
    show(f"merchant {merchant} applied for {made.group} of {name} with wallet {made.wallet}: {made.state}")
    return 0


def decide_shop(
    name: Name, wallet: Wallet, /, *, login: Login,
    decline: Annotated[str, Parameter(help="Decline the application, for this reason.")] = "", id_: ActionId = "",
) -> int:  # fmt: skip
    """Accept an application, or decline it. Another person than the one who applied decides."""
    with connected(login) as bank:
        call = api.check_shop(name, wallet, accepted=not decline, reason=decline, id=number_of(id_))
        made = perform(bank, call)
    show(f"wallet {made.wallet} is {made.state}")
    return 0


def join(name: Name, operator: Operator, /, *, login: Login, key: PersonKey, id_: ActionId = "") -> int:
    """Let the accepted shops of an operator join: packets then reach them. A person of the operator signs."""
    with connected(login) as bank:
        signer = person_of(bank, private_key(key))
        found = bank.rows(api.shops(name, state="accepted"))
        accepted = [each.wallet for each in found if each.operator == operator]
        joined = perform(bank, api.join_shops(name, operator, accepted, signer, id=number_of(id_)))
    show(f"{quantity(joined, 'shop')} of operator {operator} joined {name}")
    return 0


def leave(name: Name, wallet: Wallet, /, *, login: Login, key: PersonKey, id_: ActionId = "") -> int:
    """Let a shop leave a programme: packets no longer reach it. A person of its operator signs."""
    with connected(login) as bank:
        signer = person_of(bank, private_key(key))
        made = perform(bank, api.leave_group(name, wallet, signer, id=number_of(id_)))
    show(f"wallet {made.wallet} has {made.state} {name}")
    return 0


def shops(
    name: Name, /, *, login: Login,
    untested: Annotated[bool, Parameter(negative="", help="List outlets that took no payment yet.")] = False,
    json_: AsJson = False,
) -> int:  # fmt: skip
    """List the shops of a programme and their states, or the outlets that took no test payment yet."""
    with connected(login) as bank:
        if untested:
            outlets = api.untested_outlets(name)
            show_rows(bank, "rows", outlets, ("merchant", "code", "operator"), as_json=json_, called="untested outlets")
        else:
            columns = ("merchant", "wallet", "group", "operator", "state", "reason")
            show_rows(bank, "rows", api.shops(name), columns, as_json=json_, called="shops")
    return 0


def evidence(
    name: Name, kind: Annotated[str, Parameter(help="conformance, or restore.")],
    file: Annotated[Path, Parameter(help="What the run printed with --json.")], /, *, login: Login,
    operator: Annotated[int, Parameter(help="Number of the operator whose integration was tested.")] = 0,
    id_: ActionId = "",
) -> int:  # fmt: skip
    """File the result of a conformance run or of a restored backup for the list of `ready`."""
    try:
        result: Any = json.loads(read_bytes(file, EVIDENCE_BYTES_MAX, "evidence"))
    except ValueError as error:
        raise UsageError(f"{file} is not JSON", hint="give what the run printed with --json") from error
    if not isinstance(result, dict):
        raise UsageError(f"{file} has no JSON object", hint="give what the run printed with --json")
    with connected(login) as bank:
        made = perform(bank, api.file_evidence(name, kind, result, operator=operator, id=number_of(id_)))
    show(f"filed: {made.kind} {'passed' if made.passed else 'failed'}")
    return 0


def ready(
    name: Name, /, *, login: Login, occurrence: Number = 0,
    zone: Annotated[str, Parameter(help="The zone to drop on; without it the next one of a file with zones.")] = "",
    json_: AsJson = False,
) -> int:  # fmt: skip
    """Check the conditions before a drop: go, or no go. The exit code is 3 for no go."""
    from dataclasses import asdict

    with connected(login) as bank:
        found = bank.do(api.drop_conditions(name, occurrence, zone=zone))
    if json_:
        show_json(asdict(found))
        return 0 if found.go else 3
    words = {True: "yes", False: "no", None: "not known"}
    made = table("condition", "met", "detail")
    for each in found.conditions:
        made.add_row(each.name, words[each.met], each.detail)
    print_table(made)
    show("go" if found.go else "no go")
    return 0 if found.go else 3


COMMANDS: Final = (funder, fund, funders, apply, decide_shop, join, leave, shops, evidence, ready)


def funder_account(bank: Client, text: str) -> str:
    """Return the account of a funder by its name or account. Raises UsageError unless one has the name.

    Only staff of operators may list funders: an officer gives the account.
    """
    if len(text) == len(ids.format(0)):
        return text
    found = [each.account for each in bank.do(api.funders()) if text in (each.name, each.account)]
    if len(found) != 1:
        raise UsageError(
            f"{len(found) or 'no'} funders are named {text[:40]!r}", hint="`sycee drop funders` shows the accounts"
        )
    return found[0]
