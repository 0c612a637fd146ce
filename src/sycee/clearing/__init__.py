"""The clearing house: payments between banks that settle together, with a certificate."""
