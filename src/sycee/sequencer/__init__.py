"""One order of frames: submit, resolve, apply, publish, verify. The only room that joins ledger and journal."""
