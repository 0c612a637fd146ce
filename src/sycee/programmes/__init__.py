"""Programmes: public money handed out under a rule. Definition, registration and a draw that anyone can check."""
