"""Personal data: sealed under one key per person, found by keyed hashes, shown after an entry in the access log.

Shredding deletes a person's secret from the key file and from its backup. Without the secret the person's data cannot
be decrypted, in any copy of the database.
"""
