"""The caller's signed identity: a JWT that the load generator signs, the ingress checks and every participant checks
again, so that no step is taken on the word of the step before (the confused deputy).

The key is made per run unless whoever starts a load generator of their own gives one; it is passed in the environment only,
and a run writes it nowhere.
"""

from __future__ import annotations

import time

import jwt

ISSUER = "sagastorm"
KEY_VARIABLE = "SAGASTORM_JWT_KEY"
"""The environment variable that carries the key."""
_ALGORITHM = "HS256"


class InvalidIdentity(Exception):
    """The token is missing, malformed, expired, for another run, or not signed with this run's key."""


def issue(key: str, subject: str, audience: str, lifetime_s: float = 3600.0) -> str:
    """A token that says ``subject`` acts in the run or block ``audience`` for ``lifetime_s`` seconds."""
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": subject, "aud": audience, "iat": now, "exp": now + int(lifetime_s)}
    return jwt.encode(claims, key, algorithm=_ALGORITHM)


def verify(key: str, token: str, audience: str, *, may_be_stale: bool = False) -> str:
    """The subject. Raises :class:`InvalidIdentity`, whose text says why.

    ``may_be_stale`` is for those behind the ingress: what was asked for in time is carried out, and undone, however
    long that takes.
    """
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            audience=audience,
            issuer=ISSUER,
            options={"require": ["sub", "exp"], "verify_exp": not may_be_stale},
        )
    except jwt.InvalidTokenError as error:
        raise InvalidIdentity(str(error)) from error
    return str(claims["sub"])
