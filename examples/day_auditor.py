"""An auditor downloads the packs of all closed days, and verifies them without trusting the server.

    python examples/day_auditor.py http://localhost:8420 demo [LEDGER]

The server could send anything. So the auditor compares each signature with keys that came over another channel, and
the packs with each other: each one names the digest of the pack before it. This needs no database and no ledger.
LEDGER is a copy of the ledger's folder; all figures of the packs are then computed again from its operations. A day can
be closed after midnight.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from sycee.client import Client, Credentials, api, packs
from sycee.core.keys import PublicKey, SigningKey

SIGNERS = ("carol", "dora")  # who closes the day, and who checks and countersigns


def main(url: str, folder: str, ledger: str = "") -> None:
    """Verify every closed day, and print what was proved."""
    demo, keys = json.loads(Path(folder, "demo.json").read_text()), Path(folder, "keys")
    roles = {role["name"]: role for role in demo["roles"]}
    audrey = roles["audrey"]
    # In a real bank, the auditor has the public keys on paper.
    trusted = [SigningKey.load(keys / roles[name]["key"]).public for name in SIGNERS]

    with Client(url, Credentials(audrey["client"], SigningKey.load(keys / audrey["client_key"]))) as bank:
        files = {each.day: bank.do(api.pack(each.day)) for each in bank.do(api.days())}
        if not files:
            print("no day is closed yet")
            return
        # Raises IntegrityError for a pack that is missing, changed, or signed with another key.
        verified = packs.verified(files, trusted)
        print(f"proved: packs in one chain, each signed with the given keys: {len(verified)}")
        newest = verified[-1]
        if newest.of("countersigner") is None:
            print(f"not proved: nobody has countersigned {newest.day}")
        for each in bank.do(api.breaks()):
            print(f"open break {each.number} of {each.party}, since {each.opened}: {each.kind}")
        supply = bank.do(api.supply())
    if ledger:
        compute(files, Path(ledger), trusted)
    assert supply["ledger"] == newest.body["ledger"], "the supply page is of another ledger"
    print(f"money in circulation at the end of {newest.day}: {newest.body['supply']}; now: {supply['supply']}")


def compute(files: dict[str, bytes], ledger: Path, trusted: list[PublicKey]) -> None:
    """Replay a copy of the ledger, and compare the figures of the packs with it. `sycee day verify` does the same."""
    from sycee.day.verify import verify_packs

    with tempfile.TemporaryDirectory() as place:
        for day, content in files.items():
            Path(place, f"{day}.json").write_bytes(content)
        report = verify_packs(sorted(Path(place).iterdir()), ledger=ledger, keys=trusted)
    for line in report.proved:
        print(f"proved: {line}")
    for line in report.findings:
        print(f"not proved: {line}")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
