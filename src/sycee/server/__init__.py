"""The HTTP server of a bank: API, events and pages, in one process that has the data folder open.

`tables` and `migrations` need the extra "service" alone, so that backups include the tables on every installation.
"""
