"""Commands of `sycee drop` about packets: who has one, and claims."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, open_bank
from sycee.cli.parameters import AsJson
from sycee.cli.proposing import maker_of, signing_keys
from sycee.cli.terminal import print_list, show
from sycee.core.errors import UsageError

CLAIMS_BYTES_MAX: Final = 1 << 28

Name: TypeAlias = Annotated[str, Parameter(help="Name of the programme.")]
Number: TypeAlias = Annotated[int, Parameter(name="--occurrence", help="Number of the occurrence.")]


def claim(
    folder: BankFolder, name: Name, member: Annotated[str, Parameter(help="Id of the member in the cohort.")],
    wallet: Annotated[str, Parameter(help="Id of the winner's wallet.")], /, *,
    occurrence: Number = 0, key: KeyFiles = None,
) -> int:  # fmt: skip
    """Claim a packet into the winner's wallet. The wallet's operator signs."""
    from sycee.core import ids

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
    folder: BankFolder, name: Name, /, *,
    output: Annotated[Path | None, Parameter(help="CSV file to write, which `sycee drop claims` reads.")] = None,
    occurrence: Number = 0, json_: AsJson = False,
) -> int:  # fmt: skip
    """List who has a packet, without identities: member, packet, bank, and the wallet named at registration."""
    from sycee.core import ids, money

    with open_bank(folder) as bank:
        allotment, results = bank.programmes.cohort_of(name, occurrence), bank.registration_results
        rows = []
        for share in allotment.shares:
            for at in range(share.first, share.first + share.count):
                member = ids.to_int(allotment.members[at])
                wallet = results.wallet_of(name, occurrence, member)
                rows.append(
                    {
                        "member": ids.format(member),
                        "packet": share.name,
                        "amount": money.format(share.minor, bank.config.currency),
                        "bank": results.bank_of(name, occurrence, member),
                        "wallet": ids.format(wallet) if wallet else "",
                    }
                )
    if output is not None:
        _write_csv(output, rows)
        show(f"{len(rows):,} packets in {output}")
        return 0
    columns = ("member", "packet", "amount", "bank", "wallet")
    return print_list("winners", rows, *columns, numbers=("amount",), as_json=json_)


def claims(
    folder: BankFolder, name: Name,
    file: Annotated[Path, Parameter(help="CSV file with the columns member and wallet.")], /, *,
    occurrence: Number = 0, key: KeyFiles = None,
) -> int:  # fmt: skip
    """Claim the packets in a file into wallets of one operator, which signs. Rows of other banks are omitted."""
    import csv
    from collections import Counter

    from sycee.core import ids
    from sycee.core.input_files import read_bytes
    from sycee.core.result_codes import Result
    from sycee.programmes.dropping import PacketClaim

    keys = signing_keys(key)
    text = read_bytes(file, CLAIMS_BYTES_MAX, "claims").decode("utf-8-sig", "replace")
    rows = list(csv.DictReader(text.splitlines()))
    if rows and not {"member", "wallet"} <= rows[0].keys():
        raise UsageError(f"{file} has no columns member and wallet", hint="`sycee drop winners --output` writes them")
    with open_bank(folder) as bank:
        who = maker_of(bank, keys)
        own = {each.operator for each in bank.people.duties_of(who)}
        found = [(ids.parse(row["member"]), ids.parse(row["wallet"])) for row in rows if row["wallet"]]
        chosen = [PacketClaim(*each) for each in found if bank.directory.get(each[1]).operator in own]
        outcomes = (
            bank.programmes.claim_many(name, occurrence, chosen, signers=bank.signers(*keys), who=who) if chosen else ()
        )
        codes = Counter(result for outcome in outcomes for result in outcome.results)
        claimed = codes.pop(Result.CREATED, 0)
        refused = ", ".join(f"{count:,} {code.name}" for code, count in codes.items())
        show(f"{claimed:,} packets claimed, {sum(codes.values()):,} refused{f': {refused}' if refused else ''}")
    return 0


def _write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    import csv

    from sycee.core.output_files import require_place, write_file

    require_place(path)
    made = io.StringIO()
    writer = csv.DictWriter(made, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_file(path, made.getvalue().encode())


COMMANDS: Final = (claim, winners, claims)
