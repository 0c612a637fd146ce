"""The migrations of the key file."""
