"""Programmes that give public money to people under a rule: definition, registration, and a draw anyone can check."""
