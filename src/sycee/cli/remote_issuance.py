"""Operators and their reserves over a server: every change is a proposal that several persons sign."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from sycee.cli.lazy import api
from sycee.cli.parameters import AsJson
from sycee.cli.remote_options import (
    ActionId,
    AmountText,
    Login,
    Operator,
    Until,
    connected,
    currency_of,
    group,
    instant,
    minor_of,
    number_of,
    propose,
    show_rows,
)
from sycee.cli.terminal import print_table, show_json, table
from sycee.core import money
from sycee.core.extras import extra

FromTime = Annotated[
    str, Parameter(name="--from", help="Time in the future from which it counts, such as 2026-11-03T08:00+08:00.")
]

operator = group("operator", "Let operators join and leave, and list them.")
reserves = group("reserves", "Record reserves, and set limits of minting and rules for reserves.")
groups = (operator, reserves)


@operator.command
def join(
    institution: Annotated[str, Parameter(help="Id of the institution.")], /, *, login: Login,
    quota: Annotated[str, Parameter(help="Maximum balance of its vault, such as 5,000,000.00.")],
    public_key: Annotated[str, Parameter(help="Public key of the first person who signs for it.")],
    until: Until, id_: ActionId = "",
) -> int:  # fmt: skip
    """Propose that an approved institution becomes an operator, with accounts and a person who signs."""
    from sycee.cli.bank_options import named_key

    key, until_ns = named_key(public_key), instant(until)
    with connected(login) as bank:
        most = minor_of(quota, currency_of(bank))
        propose(bank, api.propose_join(institution, most, key, until_ns=until_ns, id=number_of(id_)))
    return 0


@operator.command
def leave(number: Operator, /, *, login: Login, id_: ActionId = "") -> int:
    """Propose the next step of an operator's leaving: first its vault is blocked, at the end its accounts close."""
    with connected(login) as bank:
        propose(bank, api.propose_leave(number, id=number_of(id_)))
    return 0


@operator.command(name="list")
def list_(*, login: Login, json_: AsJson = False) -> int:
    """List the operators, with the money of those that the program's person works for or audits."""
    from dataclasses import asdict

    with connected(login) as bank:
        found, currency = bank.do(api.operators()), currency_of(bank)
    if json_:
        show_json({"operators": [asdict(each) for each in found]})
        return 0
    made = table("number", "name", "state", "vault", "reserves", "institution", numbers=("vault", "reserves"))
    for each in found:
        amounts = (each.money.vault, each.money.reserves) if each.money is not None else ()
        texts = [money.format(minor, currency) for minor in amounts] or ["", ""]
        made.add_row(str(each.number), each.name, each.state, *texts, each.institution)
    print_table(made)
    return 0


# --- reserves ---


@reserves.command
def credit(operator: Operator, amount: AmountText, /, *, login: Login, id_: ActionId = "") -> int:
    """Propose to record reserves that an operator brings from the settlement system. Two officers sign."""
    with connected(login) as bank:
        propose(bank, api.propose_reserves(operator, minor_of(amount, currency_of(bank)), id=number_of(id_)))
    return 0


@reserves.command
def cap(amount: AmountText, /, *, login: Login, from_: FromTime, id_: ActionId = "") -> int:
    """Propose the most that is minted on one local day. Two officers sign."""
    effective_ns = instant(from_)
    with connected(login) as bank:
        minor = minor_of(amount, currency_of(bank))
        propose(bank, api.propose_cap(minor, effective_ns=effective_ns, id=number_of(id_)))
    return 0


@reserves.command
def quota(operator: Operator, amount: AmountText, /, *, login: Login, from_: FromTime, id_: ActionId = "") -> int:
    """Propose the maximum balance of an operator's vault. Two officers sign."""
    effective_ns = instant(from_)
    with connected(login) as bank:
        minor = minor_of(amount, currency_of(bank))
        propose(bank, api.propose_quota(operator, minor, effective_ns=effective_ns, id=number_of(id_)))
    return 0


@reserves.command
def rules(
    source: Annotated[str, Parameter(help="Shipped rules, such as full or cn-2026, or a TOML file.")] = "", /, *,
    login: Login, id_: ActionId = "", json_: AsJson = False,
) -> int:  # fmt: skip
    """Propose the reserve rules in a file; two officers sign. Without a file show those in force today."""
    with connected(login) as bank:
        from sycee.client.values import ReserveRule

        if source:
            with extra("bank"):
                from sycee.issuance import reserve_rules
            made = [
                ReserveRule(each.wallet_class, each.from_day.isoformat(), each.holder, each.share_ppm, each.source)
                for each in reserve_rules.load(source)
            ]
            propose(bank, api.propose_reserve_rules(made, id=number_of(id_)))
            return 0
        columns = ("wallet_class", "from_day", "holder", "share_ppm", "source")
        show_rows(bank, "rules", api.reserve_rules(), columns, as_json=json_)
    return 0
