"""Checks of a signature of a proposal, in order, each with its own message. Nothing is stored here."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.records.proposal_format import (
    Proposal,
    ProposalSignature,
    approval_message,
    envelope_message,
    envelope_of,
)
from sycee.core.timestamps import utc_text
from sycee.identity import duties, proposal_rules
from sycee.identity.people import HeldDuty, People, listed
from sycee.identity.proposal_rules import Seat

_AGAIN = "sign the exported file again with `sycee proposal sign`"


def check_bytes(proposal: Proposal, signature: ProposalSignature) -> None:
    """Raise UsageError if the signature is of other bytes than those of the stored proposal."""
    if signature.digest != proposal.digest:
        raise UsageError(
            f"the signature is of other bytes than proposal {ids.format(proposal.id)}: "
            f"its digest is {signature.digest.hex()}, the proposal's {proposal.digest.hex()}",
            hint="export the proposal again, compare what `sycee proposal show` prints, and sign that file",
        )


def check_person(people: People, signature: ProposalSignature) -> None:
    """Raise UsageError if the key is not a key of the named signer."""
    person = people.person_of_key(signature.public_key)
    if person != signature.signer:
        raise UsageError(
            f"the key {signature.public_key} is {ids.format(person)}'s, not {ids.format(signature.signer)}'s",
            hint="sign with your own key",
        )


def check_duty(proposal: Proposal, signer: int, held: Collection[HeldDuty], places: Sequence[Seat]) -> None:
    """Raise UsageError if the person's duties give no place among the signers, or the proposal excludes the person."""
    rule = duties.rule(proposal.action)
    if ids.format(signer) in proposal.effect.get("not_by", ()):
        raise UsageError(
            f"{ids.format(signer)} is a party to proposal {ids.format(proposal.id)} and may not sign it",
            hint="a person without an interest in it must sign",
        )
    if not proposal_rules.may_sign(held, rule, places, **proposal_rules.concerned(proposal.effect)):
        shown = ", ".join(str(each) for each in held) or "none"
        needed = [*(duty.value for duty in sorted(rule.signers)), *(str(seat) for seat in places)]
        raise UsageError(
            f"{ids.format(signer)} may not sign {rule.name}: it needs {listed(dict.fromkeys(needed))}; "
            f"this person's duties: {shown}",
            hint="docs/reference/duties.md lists who signs each action",
        )


def check_signatures(proposal: Proposal, signature: ProposalSignature) -> None:
    """Raise UsageError unless approval and envelope are valid, of the same key, and end with the proposal."""
    key, who = signature.public_key, ids.format(signature.signer)
    if not key.verifies(signature.approval, approval_message(proposal.digest, signature.signer)):
        raise UsageError(f"the approval of {who} is not a signature of the key {key}", hint=_AGAIN)
    if not proposal.records.size:
        if signature.envelope:
            raise UsageError("the signature has an envelope, and the proposal has no records", hint=_AGAIN)
        return
    envelope = envelope_of(signature)
    if (envelope.first, envelope.count) != (0, proposal.records.size):
        raise UsageError(
            f"the envelope covers {envelope.count:,} records from number {envelope.first + 1:,} on, and the proposal "
            f"has {proposal.records.size:,}",
            hint=_AGAIN,
        )
    if envelope.signer != signature.signer or envelope.currency:
        raise UsageError(f"the envelope is of the signer {ids.format(envelope.signer)}, not of {who}", hint=_AGAIN)
    if envelope.key_epoch:
        raise UsageError(f"the envelope states key epoch {envelope.key_epoch}; a person's is 0", hint=_AGAIN)
    if envelope.flags != key.flags:
        raise UsageError(f"the envelope is of a key of another type than {key}", hint=_AGAIN)
    if envelope.valid_until_ns != proposal.valid_until_ns:
        raise UsageError(
            f"the envelope ends at {utc_text(envelope.valid_until_ns)}, the proposal at "
            f"{utc_text(proposal.valid_until_ns)}",
            hint=_AGAIN,
        )
    if not key.verifies(envelope.signature, envelope_message(proposal, envelope)):
        raise UsageError(f"the envelope of {who} is not a signature of the key {key} over the records", hint=_AGAIN)
