"""The central bank: operators, and money issued against reserves."""
