"""Commands of `sycee drop` about packets: who has one, and claims."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, open_bank
from sycee.cli.lazy import ids
from sycee.cli.packet_files import ClaimsFile, WinnersFile, read_claims, show_claimed, show_winners
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import maker_of, signing_keys
from sycee.cli.terminal import show
from sycee.core import money
from sycee.core.output_files import require_outputs

Name: TypeAlias = Annotated[str, Parameter(help="Name of the programme.")]
Number: TypeAlias = Annotated[int, Parameter(name="--occurrence", help="Number of the occurrence.")]


def claim(
    folder: BankFolder, name: Name, member: Annotated[str, Parameter(help="Id of the member in the cohort.")],
    wallet: Annotated[str, Parameter(help="Id of the winner's wallet.")], /, *,
    occurrence: Number = 0, key: KeyFiles = None,
) -> int:  # fmt: skip
    """Claim a packet into the winner's wallet. The wallet's operator signs."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        outcome = bank.programmes.claim(
            name, occurrence, ids.parse(member), ids.parse(wallet), signers=bank.signers(*keys),
            who=maker_of(bank, keys),
        )  # fmt: skip
        outcome.require_created("the packet was not claimed")
        show(f"claimed into wallet {wallet}")
    return 0


def winners(
    folder: BankFolder, name: Name, /, *, output: WinnersFile = None, occurrence: Number = 0, json_: AsJson = False
) -> int:
    """List who has a packet, without identities: member, packet, bank, and the wallet named at registration."""
    require_outputs({"--output": output}, outside=folder)
    with open_bank(folder) as bank:
        mark = bank.config.mark
        rows = [
            {
                "member": ids.format(each.member),
                "packet": each.packet,
                "amount": money.format(each.minor, bank.config.currency),
                "bank": each.bank,
                "wallet": ids.format(each.wallet) if each.wallet else "",
            }
            for each in bank.registration_results.winners(name, occurrence)
        ]
    return show_winners(rows, output, as_json=json_, mark=mark)


def claims(folder: BankFolder, name: Name, file: ClaimsFile, /, *, occurrence: Number = 0, key: KeyFiles = None) -> int:
    """Claim the packets in a file into wallets of one operator, which signs. Rows of other banks are omitted."""
    from sycee.core.result_codes import Result
    from sycee.programmes.dropping import PacketClaim

    keys, found = signing_keys(key), read_claims(file)
    with open_bank(folder) as bank:
        who = maker_of(bank, keys)
        own = {each.operator for each in bank.people.duties_of(who)}
        chosen = [PacketClaim(*each) for each in found if bank.directory.get(each[1]).operator in own]
        outcomes = (
            bank.programmes.claim_many(name, occurrence, chosen, signers=bank.signers(*keys), who=who) if chosen else ()
        )
    results = [result for outcome in outcomes for result in outcome.results]
    show_claimed("" if each is Result.CREATED else each.name for each in results)
    return 0


COMMANDS: Final = (claim, winners, claims)
