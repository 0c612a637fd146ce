"""Last sections of a pilot's report: how to check it, how the replay ran, and the limits of the page."""

from __future__ import annotations

from sycee.report import chart
from sycee.report.page import Block, Command, Facts, Paragraph, Points, Section, Table, columns
from sycee.sandbox.outcome import Phase, PilotOutcome


def proof(outcome: PilotOutcome) -> Section:
    """Return the section on how to check draw, ledger and signatures."""
    rule = outcome.programme.draw
    beacon = f"beacon, {rule.beacon_source} round {rule.beacon_round}{', synthetic' if outcome.synthetic else ''}"
    due = chart.moment_text(rule.beacon_due_ns, outcome.programme.zone)
    facts = (
        ("root of the list of entries", outcome.draw_root or "not published"),
        (beacon, outcome.draw_beacon or "not published"),
        ("beacon due", f"{due}, after the root was fixed"),
        ("state digest at the end", outcome.digest),
    )
    blocks = (
        Paragraph(
            "This page can be checked. The draw follows from published files alone, and the ledger can be read again "
            "from its first frame, on any machine. A run with --data DIR stores both: the files of the draw in "
            "DIR/draw, the ledger in DIR."
        ),
        Facts(facts, is_code=True),
        Command(
            "sycee draw verify DIR/draw",
            "Recomputes the root, every ticket and every winner. The root above was fixed before the beacon was known, "
            "so the winners could not be chosen.",
        ),
        Command(
            "sycee verify DIR --authority",
            "Reads every frame again, recomputes every balance and every purse from the operations, verifies every "
            "signature, and prints the state digest. It must be the one above: equal operations give an equal digest "
            "on any machine.",
        ),
        *_signatures(outcome),
    )
    return Section("check", "How to check it yourself", "Check it", blocks)


def _signatures(outcome: PilotOutcome) -> tuple[Block, ...]:
    """Return the number of signatures per signer; nothing for a ledger without authorities."""
    if not outcome.signers:
        return ()
    rows = tuple((row.title, row.role, f"{row.signatures:,}") for row in outcome.signers)
    total = f"{sum(row.signatures for row in outcome.signers):,}"
    synthetic = " Their keys are synthetic, derived from the seed." if outcome.synthetic else ""
    text = (
        "After the grant of the roles, every operation has the signatures that it needs: a mint those of two officers, "
        f"an operation of a wallet that of its operator. All {total} were verified.{synthetic}"
    )
    heading = columns("signer", "role", ">signatures")
    return Paragraph(text), Table("Verified signatures, by signer", heading, rows, ("all", "", total))


def run(outcome: PilotOutcome) -> Section:
    """Return the section on the duration of each phase."""
    rows = tuple((phase.name, f"{phase.seconds:,.2f}", *_work(phase)) for phase in outcome.phases)
    total = ("in all", f"{sum(phase.seconds for phase in outcome.phases):,.2f}", "", "")
    text = (
        f"The ledger holds {outcome.operations:,} operations, which made {outcome.movements:,} movements between "
        "accounts. Only the times depend on the machine that wrote this page."
    )
    table = Table("Phases of the replay", columns("phase", ">seconds", ">work", ">a second"), rows, total)
    return Section("run", "How it ran", "Run", (Paragraph(text), table))


def reading(outcome: PilotOutcome) -> Section:
    """Return the section on the limits of the page."""
    points = {
        "Packet first, own money for the rest": (
            "A payment uses the money of the packet first, then the wallet's own money. This page counts payments that "
            "used money of a packet."
        ),
        "Gross, not causal": (
            "The amount spent is the amount that passed through the packets. The data cannot show how much of it "
            "people would have spent without the programme."
        ),
    }
    if outcome.synthetic:
        points["Published and invented data"] = (
            "Totals are published. Their distribution over hours, packets, banks and merchants is random, from seed "
            f"{outcome.seed}: the plots show a similar city, not the city itself."
        )
    if outcome.scale != 1:
        points["Scaled"] = (
            f"Counts and amounts are {outcome.scale:g} of the published ones, rounded so that they add up."
        )
    return Section("reading", "How to read this, and its limits", "Limits", (Points(tuple(points.items())),))


def _work(phase: Phase) -> tuple[str, str]:
    """Return the amount of work of a phase, and the amount per second."""
    if not phase.items:
        return "–", "–"
    return f"{phase.items:,} {phase.unit}", f"{phase.items / phase.seconds:,.0f}" if phase.seconds > 0 else "–"
