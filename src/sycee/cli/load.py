"""`sycee load`: offer signed payments to a server at a stated rate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from sycee.cli.parameters import AsJson, Between
from sycee.cli.terminal import progress, show, show_json
from sycee.core.errors import UsageError


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
    streams: Annotated[
        int, Parameter(help="Also keep this number of event streams open.", validator=Between("--streams", 0, 256, 20))
    ] = 0,
    statements: Annotated[
        bool, Parameter(negative="", help="Also page statements of wallets, one page after the other.")
    ] = False,
    program: Annotated[
        list[str] | None,
        Parameter(negative="", help="ID=KEYFILE of a registered program that reads; may be repeated."),
    ] = None,
    origin: Annotated[str, Parameter(help="Public address of the server, if it is another one.")] = "",
    json_: AsJson = False,
) -> int:
    """Offer signed payments to a server at a stated rate, and show the latencies.

    The load is an open loop: a latency counts from the time at which the payment was due, not from the time at which it
    was sent.
    """
    from sycee.load.running import Load, run_load

    with progress("signing", "payments") as report:
        figures = run_load(
            Load(
                url, keys, rate, seconds, connections, curve, bad, streams=streams, reads_statements=statements,
                programs=tuple(map(_program, program or ())), origin=origin,
            ),
            progress=report,
        )  # fmt: skip
    if json_:
        show_json(figures)
        return 0
    _show("payments", figures)
    if "bad" in figures:
        _show("payments with invalid signatures", figures["bad"])
    if "readers" in figures:
        read = figures["readers"]
        show(
            f"{read['streams']:,} streams with {read['events']:,} events; {read['pages']:,} pages of statements, "
            f"p99 {read['page_ms']['p99']:,.2f} ms"
        )
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


def _program(text: str) -> tuple[str, str]:
    name, equals, file = text.partition("=")
    if not equals:
        raise UsageError(f"{text!r} names no program", hint="write the program's id, =, and the file of its key")
    return name, file
