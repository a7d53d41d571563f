"""Who may do what: roles, API keys, users and their tokens, tokens of an OpenID issuer, rate limits.

Everything is refused unless something allows it. Secrets are stored as hashes and compared in constant time.
Knows the database; no HTTP beyond the headers it is given.
"""

from holdfast.access.errors import AccessError, NameTakenError, UnknownNameError
from holdfast.access.gate import Gate
from holdfast.access.limiter import Limiter
from holdfast.access.listening import may_listen
from holdfast.access.roles import LOCAL, Caller, Role, role_of
from holdfast.access.windows import Verdict

__all__ = [
    "LOCAL",
    "AccessError",
    "Caller",
    "Gate",
    "Limiter",
    "NameTakenError",
    "Role",
    "UnknownNameError",
    "Verdict",
    "may_listen",
    "role_of",
]
