"""The clearing house: positions of banks, and payments between them, by themselves or together with a certificate."""
