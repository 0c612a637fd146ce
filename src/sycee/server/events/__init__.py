"""Events for callers: the feed of frames and registers, streams, and webhooks (docs/reference/events.md)."""
