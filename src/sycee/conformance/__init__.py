"""`sycee conformance`: a bank's team tests its keys, its program and its receiver of webhooks against a server."""
