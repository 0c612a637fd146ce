"""The history of compliance's tables, one revision after the other. A revision that was released stays as it is."""
