"""`sycee load`: offer signed payments to a server at a stated rate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from sycee.cli.parameters import AsJson, Between
from sycee.cli.terminal import progress, show, show_json


def load(
    url: Annotated[str, Parameter(help="Address of the server without TLS, such as http://127.0.0.1:8000.")],
    /,
    *,
    keys: Annotated[Path, Parameter(help="File of wallets with their private keys, or its folder.")],
    rate: Annotated[
        float, Parameter(help="Payments per second.", validator=Between("--rate", 0.1, 1_000_000, 1000))
    ] = 1_000.0,
    seconds: Annotated[
        float, Parameter(help="Duration of the load.", validator=Between("--seconds", 0.1, 86_400, 10))
    ] = 10.0,
    connections: Annotated[
        int, Parameter(help="Keep-alive connections.", validator=Between("--connections", 1, 10_000, 256))
    ] = 256,
    curve: Annotated[Literal["Ed25519", "P-256"], Parameter(help="Pay from the wallets with keys of this curve.")] = (
        "Ed25519"
    ),
    bad: Annotated[
        float,
        Parameter(
            help="Also send payments with invalid signatures, this number per second, from 127.0.0.2.",
            validator=Between("--bad", 0, 1_000_000, 1000),
        ),
    ] = 0.0,
    json_: AsJson = False,
) -> int:
    """Offer signed payments to a server at a stated rate, and show the latencies.

    The load is an open loop: a latency counts from the time at which the payment was due, not from the time at which it
    was sent.
    """
    from sycee.load.running import Load, run_load

    with progress("signing", "payments") as report:
        figures = run_load(Load(url, keys, rate, seconds, connections, curve, bad), progress=report)
    if json_:
        show_json(figures)
        return 0
    _show("payments", figures)
    if "bad" in figures:
        _show("payments with invalid signatures", figures["bad"])
    cpu = figures["cpu"]
    show(f"CPU: {cpu['generator_s']:,.2f} s of the generator")
    show(*(f"CPU: {each['cpu_s']:,.2f} s of {each['name']} {each['process']}" for each in cpu["server"]))
    return 0


def _show(what: str, figures: dict[str, Any]) -> None:
    answers = ", ".join(f"{name}: {count:,}" for name, count in figures["answers"].items())
    held = "held" if figures["held"] else "not held"
    latency = ", ".join(f"{name} {value:,.2f} ms" for name, value in figures["latency_ms"].items())
    show(
        f"{figures['requests']:,} {what}, {figures['offered_per_s']:,.0f}/s offered, "
        f"{figures['answered_per_s']:,.0f}/s answered in time: {held}",
        style="bold",
    )
    show(f"answers: {answers}", f"latency from the due time: {latency}")
