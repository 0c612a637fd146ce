"""A bank in one data folder: its settings, its founding, and every service of people and money on one set of stores.

`Bank.create` founds a bank, `Bank.open` opens it and finishes what a crash interrupted. Nothing else in the package is
needed by a program; services are attributes of the bank.
"""

import sycee.database  # noqa: F401 - first: its error names the extra that a missing SQL library belongs to
