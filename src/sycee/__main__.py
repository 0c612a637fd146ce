"""`python -m sycee`: the command line, also where the command `sycee` is not on the path."""

from __future__ import annotations

import sys

from sycee.cli import main

if __name__ == "__main__":
    sys.exit(main())
