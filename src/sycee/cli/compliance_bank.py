"""`sycee compliance declare` and `admit`: what a bank judges payments and operators by."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, KeyFiles, open_bank
from sycee.cli.compliance_options import Lists, Trust
from sycee.cli.lazy import ids
from sycee.cli.proposing import maker_of, signing_keys
from sycee.cli.terminal import note, show
from sycee.core.words import quantity


def declare(
    folder: BankFolder,
    networks: Annotated[list[Path], Parameter(help="Folders of declarations, or files; they form one network.")],
    /,
    *,
    profile: Annotated[
        list[str] | None, Parameter(help="A shipped profile, or a TOML file [default: all shipped]. May be repeated.")
    ] = None,
    list_: Lists = None,
    trust: Trust = None,
    key: KeyFiles = None,
) -> int:
    """Replace the declarations, profiles and lists by which a bank judges, and judge again who was admitted before.

    Without --trust an authority file that was given before stays. Payments of the clearing house that wait for a permit
    are screened at the next delivery or round. A compliance officer or an officer of the board acts.
    """
    from sycee import data

    keys = signing_keys(key)
    with open_bank(folder) as bank:
        who = maker_of(bank, keys)
        bank.people.require(who, "compliance.declare")
        by = ids.format(who)
        network = bank.compliance.declare(networks, by=by)
        if trust is not None:
            network = bank.compliance.trust(trust, by=by)
        library = bank.compliance.use(profile or data.names("profiles"), list_ or [], by=by)
        changes = bank.compliance.rejudge(by=by)
        is_used = bank.config.flag("compliance")
    show(
        f"network version {network.number}, library version {library.number}; "
        f"{quantity(len(changes), 'admission')} changed"
    )
    if not is_used:
        note("the setting `compliance` of this bank is false: no wallet and no payment needs a permit")
    return 0


def admit(
    folder: BankFolder,
    participant: Annotated[str, Parameter(help="Id of a participant in the declarations.")],
    /,
    *,
    key: KeyFiles = None,
) -> int:
    """Judge a participant, and admit or refuse it. Exit code 1 if it is refused.

    An operator opens wallets only while its participant is admitted. A compliance officer or an officer of the board
    acts.
    """
    from sycee.compliance.enforcement.admission import ADMITTED

    keys = signing_keys(key)
    with open_bank(folder) as bank:
        who = maker_of(bank, keys)
        bank.people.require(who, "compliance.admit")
        decision = bank.compliance.admit(participant, by=ids.format(who))
    findings = [each for each in decision.findings if each.stops]
    code = f", reason {decision.reason_code}" if decision.reason_code else ""
    until = f", until {decision.until.isoformat()} at most" if decision.until else ""
    show(f"{participant}: {decision.outcome}{code}{until}; decision {decision.digest}")
    for each in findings:
        missing = f"; missing: {', '.join(each.missing)}" if each.missing else ""
        show(f"  {each.rule} v{each.version} on {each.subject}: {each.text}{missing}")
    return 0 if decision.outcome in ADMITTED else 1
