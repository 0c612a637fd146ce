"""Commands of `sycee drop` about shops, the conditions before a drop, and texts for registrants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, open_bank
from sycee.cli.lazy import ids
from sycee.cli.operator import Operator, operator_number
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import maker_of, signing_keys
from sycee.cli.terminal import print_list, print_table, show, show_json, table
from sycee.core.errors import UsageError
from sycee.core.input_files import read_bytes
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.programmes.shops import Application

Name: TypeAlias = Annotated[str, Parameter(help="Name of the programme.")]
Merchant: TypeAlias = Annotated[str, Parameter(help="Name of the merchant.")]
Wallet: TypeAlias = Annotated[str, Parameter(help="Account of the shop.")]


def apply(
    folder: BankFolder, name: Name, merchant: Merchant, /, *,
    group: Annotated[str, Parameter(help="Merchant group of the file; may be omitted if it has one.")] = "",
    wallet: Annotated[str, Parameter(help="Account of the merchant; its oldest one if omitted.")] = "",
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Apply with a merchant's account for a merchant group of a programme."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        found = bank.institutions.find("merchant", merchant)
        account = ids.parse(wallet) if wallet else 0
        made = bank.shops.apply(name, found.id, who=maker_of(bank, keys), group=group, account=account)
        show(f"{merchant} applied for {made.group} of {name} with wallet {ids.format(made.account)}: {made.state}")
    return 0


def decide_shop(
    folder: BankFolder, name: Name, wallet: Wallet, /, *,
    decline: Annotated[str, Parameter(help="Decline the application, for this reason.")] = "",
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Accept an application, or decline it. Another person than the one who applied decides."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        who = maker_of(bank, keys)
        made = bank.shops.check(name, ids.parse(wallet), accepted=not decline, reason=decline, who=who)
        show(f"wallet {ids.format(made.account)} is {made.state}")
    return 0


def join(folder: BankFolder, name: Name, operator: Operator, /, *, key: KeyFiles = None) -> int:
    """Let the accepted shops of an operator join: packets then reach them. The operator signs."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        number = operator_number(bank, operator)
        joined = bank.shops.join(name, number, signers=bank.signers(*keys), who=maker_of(bank, keys))
        show(f"{quantity(len(joined), 'shop')} of operator {number} joined {name}")
    return 0


def leave(folder: BankFolder, name: Name, wallet: Wallet, /, *, key: KeyFiles = None) -> int:
    """Let a shop leave a programme: packets no longer reach it. Its operator signs."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        made = bank.shops.leave(name, ids.parse(wallet), signers=bank.signers(*keys), who=maker_of(bank, keys))
        show(f"wallet {ids.format(made.account)} has {made.state} {name}")
    return 0


def shops(
    folder: BankFolder, name: Name, /, *,
    untested: Annotated[bool, Parameter(negative="", help="List outlets that took no payment yet.")] = False,
    json_: AsJson = False,
) -> int:  # fmt: skip
    """List the shops of a programme and their states, or the outlets that took no test payment yet."""
    with open_bank(folder) as bank:
        if untested:
            rows = [
                {"merchant": bank.institutions.get(each.merchant).name, "outlet": each.code, "operator": each.operator}
                for each in bank.shops.untested(name)
            ]
        else:
            rows = [_row(bank, each) for each in bank.shops.list(name)]
        called = "untested outlets" if untested else "shops"
        return print_list("rows", rows, as_json=json_, called=called)


def messages(
    folder: BankFolder, name: Name, /, *,
    language: Annotated[str, Parameter(help="Language of the texts: en, zh, or one of the publisher's file.")] = "en",
    state: Annotated[str, Parameter(help="Show the text for this state alone.")] = "",
    replace: Annotated[Path | None, Parameter(help="Store this file; its texts replace others.")] = None,
    occurrence: Annotated[int, Parameter(help="Number of the occurrence.")] = 0, json_: AsJson = False,
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """Show what an operator may tell registrants in each state. Placeholders in braces are the operator's to fill."""
    from sycee.programmes.registrant_texts import FILE_BYTES_MAX, STATES

    if state and state not in STATES:
        raise UsageError(f"there is no state {state[:40]!r}", hint=f"states: {', '.join(STATES)}")
    with open_bank(folder) as bank:
        if replace is not None:
            text = read_bytes(replace, FILE_BYTES_MAX, "texts").decode("utf-8", "replace")
            stored = bank.messages.replace(name, text, who=maker_of(bank, signing_keys(key)))
            show(f"stored: texts in {', '.join(stored)}")
            return 0
        found = [each for each in bank.messages.of(name, occurrence, language=language) if state in ("", each.state)]
    if json_:
        rows = [{"state": each.state, "text": each.text, "open": list(each.open)} for each in found]
        show_json({"language": language, "messages": rows})
        return 0
    show(*(f"{each.state}: {each.text}" for each in found))
    return 0


def ready(
    folder: BankFolder, name: Name, /, *,
    occurrence: Annotated[int, Parameter(help="Number of the occurrence.")] = 0,
    zone: Annotated[str, Parameter(help="The zone to drop on; without it the next one of a file with zones.")] = "",
    json_: AsJson = False,
) -> int:  # fmt: skip
    """Check the conditions before a drop: go, or no go. The exit code is 3 for no go."""
    from sycee.bank.readiness import conditions

    with open_bank(folder) as bank:
        found = conditions(bank, name, occurrence, zone)
    go = all(each.is_met for each in found)
    if json_:
        show_json(
            {"go": go, "conditions": [{"name": each.name, "met": each.is_met, "detail": each.detail} for each in found]}
        )
        return 0 if go else 3
    words = {True: "yes", False: "no", None: "not known"}
    made = table("condition", "met", "detail")
    for each in found:
        made.add_row(each.name, words[each.is_met], each.detail)
    print_table(made)
    show("go" if go else "no go")
    return 0 if go else 3


def evidence(
    folder: BankFolder, name: Name,
    kind: Annotated[str, Parameter(help="conformance, or restore.")],
    file: Annotated[Path, Parameter(help="What the run printed with --json.")], /, *,
    operator: Annotated[str, Parameter(help="Number of the operator whose integration was tested.")] = "",
    key: KeyFiles = None,
) -> int:  # fmt: skip
    """File the result of a conformance run or of a restored backup for the list of `ready`."""
    from sycee.bank.readiness import file_evidence, read_evidence

    keys = signing_keys(key)
    with open_bank(folder) as bank:
        number = operator_number(bank, operator) if operator else 0
        passed = file_evidence(bank, name, kind, read_evidence(file), who=maker_of(bank, keys), operator=number)
        show(f"filed: {kind} {'passed' if passed else 'failed'}")
    return 0


def _row(bank: Bank, found: Application) -> dict[str, Any]:
    return {
        "merchant": bank.institutions.get(found.merchant).name, "wallet": ids.format(found.account),
        "group": found.group, "operator": found.operator, "state": found.state, "reason": found.reason,
    }  # fmt: skip


COMMANDS = (apply, decide_shop, join, leave, shops, evidence, ready, messages)
