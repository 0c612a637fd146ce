"""Money created and destroyed: the central bank, its operators, and issuance against reserves."""
