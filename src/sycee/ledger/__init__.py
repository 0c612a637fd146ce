"""The state machine: accounts, rule sets, programme blocks, movements. No I/O, no clock, no people."""
