"""Who may do what: roles, API keys, users and their tokens, tokens of an OpenID issuer, rate limits.

Everything is refused unless something allows it. Secrets are stored as hashes and compared in constant time.
Knows the database; no HTTP beyond the headers it is given.
"""
