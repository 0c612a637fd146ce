"""Packets of a programme over a server: who has one, claims of a file, the expiry, and texts for registrants."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

from cyclopts import Parameter

from sycee.cli.lazy import api
from sycee.cli.packet_files import ClaimsFile, WinnersFile, read_claims, show_claimed, show_winners
from sycee.cli.parameters import AsJson
from sycee.cli.remote_options import (
    ActionId,
    Login,
    PersonKey,
    connected,
    currency_of,
    number_of,
    perform,
    person_of,
    private_key,
)
from sycee.cli.terminal import progress, show, show_json
from sycee.core import money
from sycee.core.errors import UsageError
from sycee.core.input_files import read_bytes
from sycee.core.output_files import require_outputs

Name: TypeAlias = Annotated[str, Parameter(help="Name of the programme.")]
Number: TypeAlias = Annotated[int, Parameter(name="--occurrence", help="Number of the occurrence.")]


def winners(
    name: Name, /, *, login: Login, output: WinnersFile = None, occurrence: Number = 0, json_: AsJson = False
) -> int:
    """List who has a packet at an operator of the program's person, without identities."""
    require_outputs({"--output": output})
    with connected(login) as bank:
        currency = currency_of(bank)
        rows = [
            {
                "member": each.member, "packet": each.packet, "amount": money.format(each.minor, currency),
                "bank": each.bank, "wallet": each.wallet or "",
            }
            for each in bank.rows(api.winners(name, occurrence))
        ]  # fmt: skip
    return show_winners(rows, output, as_json=json_)


def claims(name: Name, file: ClaimsFile, /, *, login: Login, key: PersonKey, occurrence: Number = 0) -> int:
    """Claim the packets in a file into wallets of one operator, whose person signs.

    After an interruption the same command claims the rest: packets that were claimed are refused.
    """
    found, codes = read_claims(file), list[str]()
    with connected(login) as bank, progress("claiming", "packets") as report:
        from sycee.client.operations.packets import CLAIMS_MAX

        signer = person_of(bank, private_key(key))
        for start in range(0, len(found), CLAIMS_MAX):
            part = found[start : start + CLAIMS_MAX]
            codes += [each.code for each in perform(bank, api.claim_packets(name, occurrence, part, signer))]
            report(len(codes), len(found))
    show_claimed(codes)
    return 0


def expire(name: Name, /, *, login: Login, occurrence: Number = 0, id_: ActionId = "") -> int:
    """Return the rest of every packet to the funder, from the expiry on. A job does the same."""
    with connected(login) as bank:
        found = perform(bank, api.expire_occurrence(name, occurrence, id=number_of(id_)))
        currency = currency_of(bank)
    show(f"{name} is {found.state}: {money.with_code(found.returned_minor, currency)} returned")
    return 0


def messages(
    name: Name, /, *, login: Login,
    language: Annotated[str, Parameter(help="Language of the texts: en, zh, or one of the publisher's file.")] = "en",
    state: Annotated[str, Parameter(help="Show the text for this state alone.")] = "",
    replace: Annotated[Path | None, Parameter(help="Store this file; its texts replace others.")] = None,
    occurrence: Number = 0, json_: AsJson = False, id_: ActionId = "",
) -> int:  # fmt: skip
    """Show what an operator may tell registrants in each state. Placeholders in braces are the operator's to fill."""
    from sycee.programmes.registrant_texts import FILE_BYTES_MAX, STATES

    if state and state not in STATES:
        raise UsageError(f"there is no state {state[:40]!r}", hint=f"states: {', '.join(STATES)}")
    with connected(login) as bank:
        if replace is not None:
            text = read_bytes(replace, FILE_BYTES_MAX, "texts").decode("utf-8", "replace")
            stored = perform(bank, api.replace_messages(name, text, id=number_of(id_)))
            show(f"stored: texts in {', '.join(stored)}")
            return 0
        every = bank.do(api.programme_messages(name, occurrence, language=language))
    found = [each for each in every if state in ("", each.state)]
    if json_:
        rows = [{"state": each.state, "text": each.text, "open": list(each.open)} for each in found]
        show_json({"language": language, "messages": rows})
        return 0
    show(*(f"{each.state}: {each.text}" for each in found))
    return 0


COMMANDS: Final = (winners, claims, expire, messages)
