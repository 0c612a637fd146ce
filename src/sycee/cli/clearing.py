"""`sycee clearing`: settlement between banks. One file for each part: `clearing_*.py`."""

from __future__ import annotations

from cyclopts import App, Parameter

from sycee.cli import (
    clearing_corridors,
    clearing_day,
    clearing_days,
    clearing_house,
    clearing_limits,
    clearing_messages,
    clearing_money,
    clearing_rounds,
    clearing_statements,
)

app = App(name="clearing", help="Settle payments between banks.", default_parameter=Parameter(negative=""))
for _command in (
    clearing_house.found, clearing_house.currency, clearing_house.admit, clearing_house.position, clearing_house.issue,
    clearing_house.line, clearing_house.floor, clearing_house.message_key, clearing_money.prefund,
    clearing_money.pay_out, clearing_money.block, clearing_money.positions, clearing_limits.limit,
    clearing_limits.limits, clearing_messages.sign, clearing_messages.deliver, clearing_messages.queue,
    clearing_messages.reports, clearing_statements.reconcile, clearing_corridors.corridor, clearing_corridors.quote,
    clearing_corridors.quotes, clearing_corridors.accept, clearing_rounds.release, clearing_rounds.settle,
    clearing_rounds.certificate, clearing_rounds.proof, clearing_rounds.verify, clearing_day.run, clearing_day.status,
    clearing_days.days,
):  # fmt: skip
    app.command(_command)
app.command(clearing_day.open_, name="open")
