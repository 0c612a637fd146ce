"""Signed payments over HTTP: checked, limited by sender, and answered once they are durable."""
