"""The HTTP server of a bank: API, events and pages, in one process that has the data folder open."""
