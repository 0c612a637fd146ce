"""The HTTP server of a bank: API, events and pages, in one process that has the data folder open.

`tables` and `migrations` import no web library, because every command on a bank reads them.
"""
