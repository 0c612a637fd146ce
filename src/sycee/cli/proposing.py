"""Steps that the commands with proposals share: the maker, the signatures of --key, and the printed lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sycee.cli.bank_options import load_keys, local_time
from sycee.cli.lazy import ids
from sycee.cli.terminal import show
from sycee.core.errors import Refused, UsageError
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.core.keys import SigningKey
    from sycee.core.records.proposal_format import Proposal
    from sycee.database.actions import IntentOutcome
    from sycee.identity.proposals import Missing


def signing_keys(files: Sequence[Path] | None) -> list[SigningKey]:
    """Return the keys of --key. Raises UsageError if there is none."""
    if not files:
        raise UsageError("no key signs", hint="name the file of your private key: --key FILE")
    return load_keys(files)


def maker_of(bank: Bank, keys: Sequence[SigningKey]) -> int:
    """Return the person of the first key, who is the maker."""
    return bank.people.person_of_key(keys[0].public)


def sign_and_show(bank: Bank, proposal: Proposal, keys: Sequence[SigningKey]) -> int:
    """Sign a proposal with the keys, show what is missing or what was done, and return the exit code.

    Raises Refused if the ledger refused an operation.
    """
    return show_answer(bank, proposal, bank.proposals.sign(proposal.id, *keys))


def show_answer(bank: Bank, proposal: Proposal, answer: Missing) -> int:
    """Show what a proposal misses, or its outcome."""
    if answer.outcome is None:
        until = local_time(proposal.valid_until_ns, bank.config.text("zone"))
        show(
            f"proposal {ids.format(proposal.id)}: {proposal.action}; missing: {'; '.join(answer.needs)}; "
            f"valid until {until}"
        )
        return 0
    _require_done(proposal, answer.outcome)
    count = proposal.records.size
    done = f": {quantity(count, 'operation')} created in frame {answer.outcome.frame:,}" if count else ""
    show(f"{proposal.action} done{done}")
    return 0


def _require_done(proposal: Proposal, outcome: IntentOutcome) -> None:
    if outcome.created:
        return
    refusal = outcome.refusal
    if refusal is None:
        raise UsageError(f"{proposal.action} lapsed before it was submitted", hint="propose it again")
    number = outcome.results.index(refusal) + 1
    hint = "propose it again" if outcome.state == "lapsed" else "correct what the code names, and propose it again"
    raise Refused(f"{proposal.action} was refused at record {number}", refusal, hint=hint)
