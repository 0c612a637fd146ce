"""Cases: disputes, errors and events that persons decide, with deadlines, holds and claims."""
