"""The end of a pilot's report: how to check it, how the replay ran, and what the page does not say."""

from __future__ import annotations

from sycee.report import chart
from sycee.report.page import Block, Command, Facts, Paragraph, Points, Section, Table, columns
from sycee.sandbox.outcome import Outcome, Phase


def proof(outcome: Outcome) -> Section:
    """What must be trusted, which is nothing: how to check draw, ledger and signatures."""
    rule = outcome.programme.draw
    return Section(
        "check",
        "How to check it yourself",
        "Check it",
        (
            Paragraph(
                "Nobody has to believe this page. The draw follows from published files alone, and the ledger can be "
                "read again from its first frame, on any machine. A run with --data DIR keeps both: the files of the "
                "draw in DIR/draw, the ledger in DIR itself."
            ),
            Facts(
                (
                    ("root of the ticket list", outcome.draw_root or "not published"),
                    (
                        f"beacon, {rule.beacon_source} round {rule.beacon_round}"
                        + (", synthetic" if outcome.synthetic else ""),
                        outcome.draw_beacon or "not published",
                    ),
                    (
                        "beacon due",
                        f"{chart.moment_text(rule.beacon_due_ns, outcome.programme.zone)}, after the root was fixed",
                    ),
                    ("state digest at the end", outcome.digest),
                ),
                is_code=True,
            ),
            Command(
                "sycee draw verify DIR/draw",
                "Recomputes the root, every ticket and every winner; "
                "the root above was fixed before the beacon was known, so nobody could choose.",
            ),
            Command(
                "sycee verify DIR --authority",
                "Rereads every frame, recomputes every balance and every purse from the "
                "operations, judges every signature again, and prints the state digest. It must be the one above: same "
                "operations, same digest, on any machine.",
            ),
            *_signatures(outcome),
        ),
    )


def _signatures(outcome: Outcome) -> tuple[Block, ...]:
    """Who signed how much; nothing where the ledger names no authorities."""
    if not outcome.signers:
        return ()
    rows = tuple((row.title, row.role, f"{row.signatures:,}") for row in outcome.signers)
    total = sum(row.signatures for row in outcome.signers)
    synthetic = " Their keys are synthetic, derived from the seed." if outcome.synthetic else ""
    return (
        Paragraph(
            "From the grant of the roles on, every operation stands under the signatures that it needs: a mint under "
            f"those of two officers, what a wallet does under its operator's. All {total:,} were checked.{synthetic}"
        ),
        Table(
            "Signatures checked, by signer", columns("signer", "role", ">signatures"), rows, ("all", "", f"{total:,}")
        ),
    )


def run(outcome: Outcome) -> Section:
    """How long each phase took."""
    rows = tuple((phase.name, f"{phase.seconds:,.2f}", *_work(phase)) for phase in outcome.phases)
    seconds = sum(phase.seconds for phase in outcome.phases)
    return Section(
        "run",
        "How it ran",
        "Run",
        (
            Paragraph(
                f"The ledger holds {outcome.operations:,} operations, which made {outcome.movements:,} movements "
                "between accounts. Times are of the machine that wrote this page; nothing else here depends on it."
            ),
            Table(
                "Phases of the replay",
                columns("phase", ">seconds", ">work", ">a second"),
                rows,
                ("in all", f"{seconds:,.2f}", "", ""),
            ),
        ),
    )


def reading(outcome: Outcome) -> Section:
    """What the page does not say."""
    points = [
        (
            "Packet first, own money for the rest",
            (
                "A payment takes what the packet holds and the wallet's own money after it. Payments counted here are "
                "those that took something from a packet."
            ),
        ),
        (
            "Gross, not causal",
            (
                "What was spent is what passed through the packets. How much of it would have been spent anyway, this "
                "page cannot say."
            ),
        ),
    ]
    if outcome.synthetic:
        points.append(
            (
                "What is published and what is made up",
                (
                    "Totals are published. How they spread over hours, packets, banks and merchants was drawn from "
                    f"seed {outcome.seed}: those plots show a city like it, not the city itself."
                ),
            )
        )
    if outcome.scale != 1:
        points.append(
            ("Scaled", f"Counts and amounts are {outcome.scale:g} of the published ones, rounded so that they close.")
        )
    blocks: tuple[Block, ...] = (Points(tuple(points)),)
    return Section("reading", "How to read this, and its limits", "Limits", blocks)


def _work(phase: Phase) -> tuple[str, str]:
    """What a phase did, and how much of it in a second."""
    if not phase.items:
        return "–", "–"
    return f"{phase.items:,} {phase.unit}", f"{phase.items / phase.seconds:,.0f}" if phase.seconds > 0 else "–"
