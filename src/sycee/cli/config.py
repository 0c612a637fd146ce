"""`sycee config`: show the settings of a bank."""

from __future__ import annotations

from cyclopts import App

from sycee.cli.bank_options import BankFolder
from sycee.cli.parameters import AsJson
from sycee.cli.terminal import print_table, show_json, table

app = App(name="config", help="Show the settings of a bank.")


@app.command
def show(folder: BankFolder, /, *, json_: AsJson = False) -> int:
    """Show every setting with its source.

    Neither locks nor changes the bank.
    """
    from sycee.bank.config import Config
    from sycee.bank.folder import DataFolder

    config = Config.load(DataFolder(folder))
    if json_:
        show_json({name: {"value": config.shown(name), "source": each.source} for name, each in config.values.items()})
        return 0
    rows = table("setting", "value", "source")
    for name, value in config.values.items():
        rows.add_row(name, config.shown(name), value.source)
    print_table(rows)
    return 0
