"""Bulk payments over HTTP: rows arrive as a stream, and results leave as a stream."""
