"""The central bank: operators, reserves, minting, redeeming, limits and reserve rules. All changes are proposals."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.keys import PublicKey
from sycee.core.timestamps import utc_text
from sycee.day.calendar import local_day
from sycee.identity.duties import Duty
from sycee.identity.proposal_rules import RESERVE_DESK
from sycee.issuance.registry import OperatorRow
from sycee.issuance.reserve_rules import FULL_PPM, ReserveRule
from sycee.server import access
from sycee.server.auth.caller import Caller
from sycee.server.operations import SIGNED_IN, operation
from sycee.server.problems import Problem
from sycee.server.routes.common import REPEATED, OperatorNumber, Proposed, TheCaller, TheRuntime, number, proposed
from sycee.server.signing import ActionBody, Body, Id, Minor, Nanoseconds, integer_of

router = APIRouter(prefix="/v1", tags=["issuance"])

RULES_MAX: Final = 100


class AmountBody(ActionBody):
    """An amount of the bank's currency."""

    minor: Minor


class LimitBody(AmountBody):
    """A new maximum, from a future time on."""

    effective_ns: Nanoseconds


class JoinBody(ActionBody):
    """An institution that becomes an operator. `key`: of the first person who signs for it, until `until_ns`."""

    institution: Id
    quota: Minor
    key: Annotated[str, Field(max_length=200, examples=[f"ed25519:{'0' * 64}"])]
    until_ns: Nanoseconds


class Money(Body):
    """The money of an operator, in minor units: in its vault, in its reserves, and the maximum of its vault."""

    vault: str
    reserves: str
    quota: str


class Operator(Body):
    """An operator. `money` is null for callers who do not work for it and do not audit."""

    number: int
    institution: Id
    name: str
    state: Literal["joining", "active", "leaving", "left", "refused"]
    joined: str | None
    left: str | None
    money: Money | None


class Operators(Body):
    """All operators, by number."""

    rows: tuple[Operator, ...]


class Rule(Body):
    """Who owes the money of a class of wallets, and the reserves per million of it, from a day on."""

    wallet_class: Annotated[str, Field(pattern="^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40, examples=["class-4"])]
    from_day: date
    holder: Literal["issuer", "operator"]
    share_ppm: Annotated[int, Field(ge=0, le=FULL_PPM)]
    source: Annotated[str, Field(min_length=1, max_length=400)]


class RulesBody(ActionBody):
    """Reserve rules to set together."""

    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=RULES_MAX)]


class Rules(Body):
    """The rule of each class that has one."""

    rows: tuple[Rule, ...]


@operation(router, "GET", "/operators", access=SIGNED_IN, response_model=Operators, summary="List operators")
async def list_operators(caller: TheCaller, runtime: TheRuntime) -> dict[str, Any]:
    """Return the operators; with their money for their own staff, officers and auditors."""

    def work(bank: Bank) -> dict[str, Any]:
        served, audits = access.served_operators(bank, caller), access.may_audit(bank, caller)
        names = {each.id: each.name for each in bank.institutions.list("operator")}
        return {
            "rows": [
                _operator(bank, each, names[each.institution], with_money=audits or each.number in served)
                for each in bank.registry.operators()
            ]
        }

    return await runtime.call(work)


@operation(
    router, "POST", "/operators", access="operator.join", status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose that an institution becomes an operator",
)  # fmt: skip
async def propose_join(body: JoinBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Open the operator's accounts, give its vault a quota, and let its first person sign. Two officers sign."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        made = bank.issuance.join(
            number(body.institution),
            quota_minor=integer_of(body.quota),
            key=PublicKey.parse(body.key),
            until_ns=integer_of(body.until_ns),
            maker=caller.person,
            id=body.number,
        )
        return proposed(bank, made)

    return await runtime.perform("operator.join", caller.person, body, work)


@operation(
    router, "POST", "/operators/{operator}/leaving", access="operator.leave", status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose the next step of an operator's leaving",
)  # fmt: skip
async def propose_leave(
    operator: OperatorNumber, body: ActionBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Block the operator's vault; once it has redeemed its money, pay out its reserves and close its accounts."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        return proposed(bank, bank.issuance.leave(operator, maker=caller.person, id=body.number))

    return await runtime.perform("operator.leave", caller.person, body, work, place={"operator": operator})


@operation(
    router, "POST", "/operators/{operator}/reserves", access="reserves.credit", status_code=201,
    response_model=Proposed, responses=REPEATED, summary="Propose to record reserves",
)  # fmt: skip
async def propose_reserves(
    operator: OperatorNumber, body: AmountBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Record reserves that an operator brings from the settlement system. Two officers sign."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        minor = integer_of(body.minor)
        return proposed(bank, bank.issuance.credit_reserves(operator, minor, maker=caller.person, id=body.number))

    return await runtime.perform("reserves.credit", caller.person, body, work, place={"operator": operator})


@operation(
    router, "POST", "/operators/{operator}/mints", access="mint", status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose to issue money against reserves",
)  # fmt: skip
async def propose_mint(
    operator: OperatorNumber, body: AmountBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Issue money to an operator. Two officers and the operator sign."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        access.require_operator(caller, operator)
        minor = integer_of(body.minor)
        return proposed(bank, bank.issuance.mint(operator, minor, maker=caller.person, id=body.number))

    return await runtime.perform("mint", caller.person, body, work, place={"operator": operator})


@operation(
    router, "POST", "/operators/{operator}/redemptions", access="redeem", status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose to take money back and return reserves",
)  # fmt: skip
async def propose_redemption(
    operator: OperatorNumber, body: AmountBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Take money of an operator back. The operator and the reserve desk sign; either may propose it."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        _require_party(bank, caller, operator)
        minor = integer_of(body.minor)
        return proposed(bank, bank.issuance.redeem(operator, minor, maker=caller.person, id=body.number))

    return await runtime.perform("redeem", caller.person, body, work, place={"operator": operator})


@operation(
    router, "POST", "/operators/{operator}/quota", access="quota.change", status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose another quota of an operator",
)  # fmt: skip
async def propose_quota(
    operator: OperatorNumber, body: LimitBody, caller: TheCaller, runtime: TheRuntime
) -> JSONResponse:
    """Change the maximum balance of an operator's vault from a future time on. Two officers sign."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        made = bank.issuance.change_quota(
            operator,
            integer_of(body.minor),
            effective_ns=integer_of(body.effective_ns),
            maker=caller.person,
            id=body.number,
        )
        return proposed(bank, made)

    return await runtime.perform("quota.change", caller.person, body, work, place={"operator": operator})


@operation(
    router, "POST", "/minting-cap", access="cap.change", status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose another daily maximum of minting",
)  # fmt: skip
async def propose_cap(body: LimitBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Change the most that is minted on one local day, from a future time on. Two officers sign."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        made = bank.issuance.change_cap(
            integer_of(body.minor), effective_ns=integer_of(body.effective_ns), maker=caller.person, id=body.number
        )
        return proposed(bank, made)

    return await runtime.perform("cap.change", caller.person, body, work)


@operation(
    router, "GET", "/reserve-rules", access=SIGNED_IN, response_model=Rules, summary="The reserve rules of a day",
)  # fmt: skip
async def reserve_rules(
    caller: TheCaller, runtime: TheRuntime, day: Annotated[date | None, Query(description="Default: today")] = None
) -> dict[str, Any]:
    """Return the rule of each class of wallets; a class without one needs full reserves, and the issuer owes it."""

    def work(bank: Bank) -> dict[str, Any]:
        wanted = day or local_day(bank.stores.clock.now_ns(), bank.config.text("zone"))
        rules = bank.reserve_rules.on(wanted).values()
        return {
            "rows": [
                {
                    "wallet_class": each.wallet_class,
                    "from_day": each.from_day,
                    "holder": each.holder,
                    "share_ppm": each.share_ppm,
                    "source": each.source,
                }
                for each in rules
            ]
        }

    return await runtime.call(work)


@operation(
    router, "POST", "/reserve-rules", access="reserve-rule.set", status_code=201, response_model=Proposed,
    responses=REPEATED, summary="Propose reserve rules",
)  # fmt: skip
async def propose_reserve_rules(body: RulesBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Set the reserve share of classes of wallets, each from a day on and with its source. Two officers sign."""

    def work(bank: Bank, _: object) -> dict[str, Any]:
        rules = [ReserveRule(**each.model_dump()) for each in body.rules]
        return proposed(bank, bank.reserve_rules.propose(rules, maker=caller.person, id=body.number))

    return await runtime.perform("reserve-rule.set", caller.person, body, work)


def _require_party(bank: Bank, caller: Caller, operator: int) -> None:
    """Raise the problem `not-permitted` unless the caller signs for the operator, or is the reserve desk."""
    held = access.duties_of(bank, caller)
    if not any(each.duty is Duty.OPERATOR and each.operator in (operator, RESERVE_DESK) for each in held):
        raise Problem("not-permitted", f"you do not sign for operator {operator}, nor for the reserve desk")


def _operator(bank: Bank, row: OperatorRow, name: str, *, with_money: bool) -> dict[str, Any]:
    money = None
    if with_money:
        with bank.stores.ledger.sequencer.reading() as state:
            vault, reserves = (state.account(each) for each in (row.accounts.vault, row.accounts.reserve))
            quota = int(state.tables.rule_sets["balance_max"][row.quota_rule_set]) if vault else 0
        money = {
            "vault": str(vault.balance if vault else 0),
            "reserves": str(reserves.balance if reserves else 0),
            "quota": str(quota),
        }
    return {
        "number": row.number,
        "institution": ids.format(row.institution),
        "name": name,
        "state": row.state,
        "joined": utc_text(row.joined_ns) if row.joined_ns else None,
        "left": utc_text(row.left_ns) if row.left_ns else None,
        "money": money,
    }
