"""The business day: calendar and cut-off, matching, breaks, and the signed pack that names the pack before it."""
