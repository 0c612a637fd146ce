"""Packets of a programme: who has one, claims of many, and the end at the expiry."""

from __future__ import annotations

from collections.abc import Sequence

from sycee.client.calls import Call, Members, Page, action, listed, require_same, value
from sycee.client.operations.arguments import name_of, number_of
from sycee.client.operations.programmes import occurrence_path
from sycee.client.signing import Signer, Wanted
from sycee.client.values import ClaimedPacket, Occurrence, Winner
from sycee.core.records.layout import Kind

CLAIMS_MAX: int = 1_000  # of one request


def winners(name: str, number: int = 0) -> Call[Page[Winner]]:
    """Return the winners who chose an operator of the caller, by place in the cohort, without identities."""
    return listed(f"{occurrence_path(name, number)}/winners", value(Winner))


def claim_packets(
    name: str, number: int, claims: Sequence[tuple[int | str, int | str]], signer: Signer, *, id: int = 0
) -> Call[Sequence[ClaimedPacket]]:
    """Claim up to 1,000 packets into wallets of one operator, a person of which signs one CLAIM for each.

    `claims`: member of the cohort and wallet of each. A packet that the ledger refuses does not stop the others. The
    server chooses the place of each member, which the ledger compares with the id.
    """
    pairs = [(number_of(member), number_of(wallet)) for member, wallet in claims]
    wanted = [
        Wanted(
            Kind.CLAIM, {"reference": member, "credit": wallet}, free=frozenset({"id", "number", "first"}),
            is_linked=False,
        )
        for member, wallet in pairs
    ]  # fmt: skip
    names = [{"member": name_of(member), "wallet": name_of(wallet)} for member, wallet in pairs]
    read_row = value(ClaimedPacket)

    def make(members: Members) -> Sequence[ClaimedPacket]:
        found = members["rows"]
        for row, sent in zip(found, names, strict=True):
            require_same(row, "member", sent["member"])
            require_same(row, "wallet", sent["wallet"])
        return tuple(map(read_row, found))

    path = f"{occurrence_path(name, number)}/claims/many"
    return action(path, {"claims": names}, make, signers=(signer,), wanted=lambda _: wanted, id=id)


def expire_occurrence(name: str, number: int = 0, *, id: int = 0) -> Call[Occurrence]:
    """Return the rest of every packet to the funder, from the expiry on. A job of the server does the same."""
    return action(
        f"{occurrence_path(name, number)}/expiry", {}, value(Occurrence, programme=name, occurrence=number), id=id
    )
