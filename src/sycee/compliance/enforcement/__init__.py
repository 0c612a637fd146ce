"""The compliance service: stored versions, admissions, screenings of payments, and their replay."""
