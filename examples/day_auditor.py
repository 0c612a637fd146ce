"""An auditor downloads the packs of all closed days, and verifies them without trusting the server.

    python examples/day_auditor.py http://localhost:8420 demo [LEDGER]

The server could send anything. So the auditor compares each signature with keys that came over another channel, and
the packs with each other: each one names the digest of the pack before it. LEDGER is a copy of the ledger's folder; all
figures of the packs are then computed again from its operations. A day can be closed after midnight.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from sycee.client import Client, Credentials, api
from sycee.core.keys import SigningKey
from sycee.day.pack import Pack
from sycee.day.verify import verify_packs

SIGNERS = ("carol", "dora")  # who closes the day, and who checks and countersigns


def main(url: str, folder: str, ledger: str = "") -> None:
    """Verify every closed day, and print what was proved."""
    demo, keys = json.loads(Path(folder, "demo.json").read_text()), Path(folder, "keys")
    roles = {role["name"]: role for role in demo["roles"]}
    audrey = roles["audrey"]
    # In a real bank, the auditor has the public keys on paper.
    trusted = [SigningKey.load(keys / roles[name]["key"]).public for name in SIGNERS]

    with Client(url, Credentials(audrey["client"], SigningKey.load(keys / audrey["client_key"]))) as bank:
        days = bank.do(api.days())
        if not days:
            print("no day is closed yet")
            return
        with tempfile.TemporaryDirectory() as place:
            files = [Path(place, f"{each.day}.json") for each in days]
            for each, file in zip(days, files, strict=True):
                file.write_bytes(bank.do(api.pack(each.day)))
            # Raises IntegrityError for a pack that is missing, changed, or signed with another key.
            report = verify_packs(files, ledger=Path(ledger) if ledger else None, keys=trusted)
            newest = Pack.load(files[-1])
        for line in report.proved:
            print(f"proved: {line}")
        for line in report.findings:
            print(f"not proved: {line}")
        supply = bank.do(api.supply())
    assert supply["ledger"] == newest.body["ledger"], "the supply page is of another ledger"
    print(f"money in circulation at the end of {newest.day}: {newest.body['supply']}; now: {supply['supply']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
