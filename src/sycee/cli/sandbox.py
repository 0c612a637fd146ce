"""`sycee sandbox`: try a programme on a synthetic city. One file per command: `sandbox_*.py`."""

from __future__ import annotations

from cyclopts import App, Parameter

from sycee.cli import (
    sandbox_city,
    sandbox_compare,
    sandbox_fit,
    sandbox_predict,
    sandbox_run,
    sandbox_score,
    sandbox_verify,
)

app = App(
    name="sandbox",
    help="Build synthetic cities, and try programmes on them.",
    default_parameter=Parameter(negative=""),
)
app.command(sandbox_city.city)
app.command(sandbox_compare.compare)
app.command(sandbox_fit.fit)
app.command(sandbox_predict.predict)
app.command(sandbox_run.run)
app.command(sandbox_score.score)
app.command(sandbox_verify.verify)
