"""Programmes: funders, drafts, the draw, the cohort, drops, claims and halts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from sycee.client.calls import Call, Members, Page, action, download, listed, place, read, require_same, rows, value
from sycee.client.operations.arguments import name_of, number_of
from sycee.client.signing import Signer, Wanted
from sycee.client.values import (
    Draft,
    DryRun,
    Funder,
    Occurrence,
    PacketShare,
    Programme,
    ProgrammeRow,
    ProgrammeZone,
    Proposed,
    RegistrantMessage,
    StoredSituation,
)
from sycee.core import ids
from sycee.core.records import operations, parts
from sycee.core.records.layout import AccountKind, Kind

PART_RECORDS: int = 8_000  # of one part of a cohort that the operator signs


def funders() -> Call[Sequence[Funder]]:
    """Return the accounts that pay programmes, of the caller's operators."""
    return rows("/v1/funders", value(Funder))


def open_funder(name: str, operator: int, signer: Signer, *, id: int = 0) -> Call[Funder]:
    """Open a funder's account at an operator, whose person signs. The server chooses its suspense account."""
    fields = {"first": int(AccountKind.FUNDER), "count": operator}
    opened = Wanted(Kind.OPEN_ACCOUNT, fields, free=frozenset({"debit", "credit", "number"}))
    body = {"operator": operator, "name": name}
    return action("/v1/funders", body, value(Funder, name=name), signers=(signer,), wanted=lambda _: [opened], id=id)


def fund_funder(funder: int | str, minor: int, signer: Signer, *, out: bool = False, id: int = 0) -> Call[Funder]:
    """Move money from the operator's vault to a funder, or back with `out`. The server chooses the vault."""
    account = number_of(funder)
    own, other = ("debit", "credit") if out else ("credit", "debit")
    moved = Wanted(Kind.TRANSFER, {own: account, "amount": minor}, free=frozenset({other}))
    return action(
        f"/v1/funders/{name_of(account)}/fundings",
        {"minor": str(minor), "out": out},
        value(Funder, account=name_of(account)),
        signers=(signer,),
        wanted=lambda _: [moved],
        id=id,
    )


def programmes() -> Call[Page[ProgrammeRow]]:
    """Return the programmes by name."""
    return listed("/v1/programmes", value(ProgrammeRow))


def programme(name: str) -> Call[Programme]:
    """Return a programme with its file and its occurrences."""
    return read(f"/v1/programmes/{place(name)}", value(Programme, name=name))


def occurrence(name: str, number: int = 0) -> Call[Occurrence]:
    """Return an occurrence: its state, its digests, and its packets on the ledger."""
    return read(occurrence_path(name, number), value(Occurrence, programme=name, occurrence=number))


def programme_file(name: str, number: int, file: str) -> Call[bytes]:
    """Return a published file of a draw, byte for byte, without a login: announcement.json, entries.bin and others."""
    return download(f"{occurrence_path(name, number)}/files/{place(file)}")


def try_programme(name: str, number: int = 0) -> Call[DryRun]:
    """Return a dry run: the effects of the next steps on the ledger. Nothing is written."""
    return read(f"{occurrence_path(name, number)}/dry-run", value(DryRun))


def draft_programme(
    text: str, funder: int | str, *, operators: Mapping[str, int] | None = None, id: int = 0
) -> Call[Draft]:
    """Store a programme file as a draft. `operators`: the numbers of those that the file names otherwise."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    body = {"text": text, "funder": name_of(funder), "operators": dict(operators or {})}
    return action("/v1/programmes", body, value(Draft, digest=digest), id=id)


def open_registration(name: str, number: int = 0, *, id: int = 0) -> Call[Occurrence]:
    """Open the registration of a draft."""
    return _step(name, number, "registration", id)


def freeze_list(name: str, number: int = 0, *, id: int = 0) -> Call[Occurrence]:
    """Freeze the list after registration closed."""
    return _step(name, number, "freeze", id)


def publish_list(name: str, number: int = 0, *, id: int = 0) -> Call[Occurrence]:
    """Publish announcement and list before the beacon is due."""
    return _step(name, number, "publication", id)


def bring_beacon(name: str, number: int, beacon: bytes, *, id: int = 0) -> Call[Mapping[str, int]]:
    """Bring the beacon's value, 32 bytes, as you read it at its source; return how many persons brought each value."""

    def make(members: Members) -> Mapping[str, int]:
        return {str(text): int(count) for text, count in members["values"].items()}

    return action(f"{occurrence_path(name, number)}/beacon", {"value": beacon.hex()}, make, id=id)


def draw_winners(name: str, number: int = 0, *, id: int = 0) -> Call[Occurrence]:
    """Draw the winners, once two persons brought the same value."""
    return _step(name, number, "draw", id)


def propose_terms(name: str, number: int = 0, *, id: int = 0) -> Call[Proposed]:
    """Propose budget, cohort and announcement, which two officers sign: `sign` shows its records and effect."""
    return action(f"{occurrence_path(name, number)}/terms", {}, value(Proposed), id=id)


def allot_cohort(
    name: str, number: int, members: Sequence[int], signer: Signer, *,
    programme_number: int, added: int = 0, id: int = 0,
) -> Call[Occurrence]:  # fmt: skip
    """Add the members of the signed cohort and seal it; another cohort is not signed.

    - `members`: ids in cohort order, from the published files: the first 16 bytes of each commitment, little-endian.
    - `programme_number`: on the ledger, as in the signed terms. `added`: members that the ledger has already.
    """
    cohort = np.array([ids.split(each) for each in members], ids.ID)
    count = operations.add_members_records(cohort.size)
    made = operations.add_members(np.zeros(count, ids.ID), programme=programme_number, members=cohort)
    left = [
        [Wanted.of_record(record) for record in made[start : start + PART_RECORDS] if int(record["first"]) >= added]
        for start in range(0, count, PART_RECORDS)
    ]
    seal = operations.seal_cohort(0, programme=programme_number, digest=operations.cohort_digest(cohort))
    return action(
        f"{occurrence_path(name, number)}/allotment",
        {},
        value(Occurrence, programme=name, occurrence=number),
        signers=(signer,),
        before=[step for step in left if step],
        wanted=lambda _: [Wanted.of_record(seal[0])],
        in_parts=True,
        id=id,
    )


def drop_packets(
    name: str, number: int, shares: Sequence[PacketShare], signer: Signer, *, programme_number: int, id: int = 0
) -> Call[Occurrence]:
    """Fill every packet: `shares` in cohort order; other amounts are not signed.

    Of shares with zones, those of the first zone are filled.

    `programme_number`: on the ledger, as in the signed terms. The server chooses the seal, without which the ledger
    refuses the drop.
    """
    wanted = _drops(shares, shares[0].zone if shares else "", programme_number)
    return action(
        f"{occurrence_path(name, number)}/drop",
        {},
        value(Occurrence, programme=name, occurrence=number),
        signers=(signer,),
        wanted=lambda _: wanted,
        in_parts=True,
        id=id,
    )


def widen_programme(
    name: str, number: int, zone: str, shares: Sequence[PacketShare], signer: Signer, *, programme_number: int,
    id: int = 0,
) -> Call[Occurrence]:  # fmt: skip
    """Fill the packets of a later zone of the sealed cohort. `shares`: all, in cohort order, as of `drop_packets`."""
    wanted = _drops(shares, zone, programme_number)
    return action(
        f"{occurrence_path(name, number)}/widening",
        {"zone": zone},
        value(Occurrence, programme=name, occurrence=number),
        signers=(signer,),
        wanted=lambda _: wanted,
        in_parts=True,
        id=id,
    )


def programme_messages(name: str, number: int = 0, *, language: str = "en") -> Call[Sequence[RegistrantMessage]]:
    """Return what an operator may tell registrants, for each state."""
    return rows(f"{occurrence_path(name, number)}/messages", value(RegistrantMessage), query={"language": language})


def replace_messages(name: str, text: str, *, id: int = 0) -> Call[Sequence[str]]:
    """Store the publisher's file of texts, TOML; "" for the shipped ones. Return its languages."""
    return action(
        f"/v1/programmes/{place(name)}/messages", {"text": text}, lambda members: tuple(members["languages"]), id=id
    )


def situations(name: str, number: int = 0) -> Call[Sequence[StoredSituation]]:
    """Return the situations that the bank stored each hour, oldest first."""
    return rows(f"{occurrence_path(name, number)}/situations", value(StoredSituation))


def situation_page(name: str, number: int, hour: str) -> Call[bytes]:
    """Return the HTML page of a stored situation."""
    return download(f"{occurrence_path(name, number)}/situations/{place(hour)}")


def report_files(name: str, number: int = 0) -> Call[Sequence[str]]:
    """Return the names of the files of the closing report."""
    return read(f"{occurrence_path(name, number)}/report", lambda members: tuple(members["files"]))


def report_file(name: str, number: int, file: str) -> Call[bytes]:
    """Return a file of the closing report: the page, or a table as CSV or Parquet."""
    return download(f"{occurrence_path(name, number)}/report/{place(file)}")


def programme_zones(name: str, number: int = 0) -> Call[Sequence[ProgrammeZone]]:
    """Return the zones of an occurrence, in their order."""
    return rows(f"{occurrence_path(name, number)}/zones", value(ProgrammeZone))


def _drops(shares: Sequence[PacketShare], zone: str, programme_number: int) -> list[Wanted]:
    """Return the records that fill the packets of a zone: a share of very many people is divided."""
    wanted, first, most = [], 0, parts.purses_max(sum(each.count for each in shares))
    for each in shares:
        for start in range(0, each.count, most):
            count = min(most, each.count - start)
            fields = {"number": programme_number, "first": first + start, "count": count, "amount": each.minor}
            if each.zone == zone:
                wanted.append(Wanted(Kind.DROP, fields, free=frozenset({"id", "reference"}), is_linked=False))
        first += each.count
    return wanted


def claim_packet(
    name: str, number: int, member: int | str, wallet: int | str, signer: Signer, *, id: int = 0
) -> Call[str]:
    """Claim a packet into the winner's wallet, whose operator signs; return the id of the claim.

    `member`: the id in the cohort. The server chooses the member's place, which the ledger compares with the id.
    """
    fields = {"reference": number_of(member), "credit": number_of(wallet)}
    claimed = Wanted(Kind.CLAIM, fields, free=frozenset({"number", "first"}))

    def make(members: Members) -> str:
        require_same(members, "state", "claimed")
        return str(members["claim"])

    return action(
        f"{occurrence_path(name, number)}/claims",
        {"member": name_of(member), "wallet": name_of(wallet)},
        make,
        signers=(signer,),
        wanted=lambda _: [claimed],
        id=id,
    )


def close_occurrence(name: str, number: int = 0, *, id: int = 0) -> Call[Occurrence]:
    """Close an expired occurrence."""
    return _step(name, number, "closing", id)


def cancel_occurrence(name: str, number: int = 0, *, id: int = 0) -> Call[Occurrence]:
    """Cancel an occurrence before its drop."""
    return _step(name, number, "cancellation", id)


def halt_programme(name: str, reason: str, *, id: int = 0) -> Call[str]:
    """Refuse claims and further steps immediately; return the reason in force."""
    return action(
        f"/v1/programmes/{place(name)}/halt", {"reason": reason}, lambda members: str(members["halted"]), id=id
    )


def propose_block(name: str, *, id: int = 0) -> Call[Proposed]:
    """Propose to block the debits of a halted programme's funder."""
    return action(f"/v1/programmes/{place(name)}/block", {}, value(Proposed), id=id)


def propose_resume(name: str, reason: str, *, id: int = 0) -> Call[Proposed]:
    """Propose to end a halt, and the block of the funder."""
    return action(f"/v1/programmes/{place(name)}/resumption", {"reason": reason}, value(Proposed), id=id)


def occurrence_path(name: str, number: int) -> str:
    """Return the path of an occurrence: of a programme by name, and its number."""
    return f"/v1/programmes/{place(name)}/occurrences/{number}"


def _step(name: str, number: int, step: str, id: int) -> Call[Occurrence]:
    return action(
        f"{occurrence_path(name, number)}/{step}", {}, value(Occurrence, programme=name, occurrence=number), id=id
    )
