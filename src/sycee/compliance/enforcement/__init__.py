"""The service that remembers: what was declared, who is admitted, what crossed a border, and all it decided."""
