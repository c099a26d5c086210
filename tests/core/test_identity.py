"""Whose word is taken: only that of a token signed with this run's key, for this block, not yet expired."""

from __future__ import annotations

import time

import jwt
import pytest

from harness.core import identity
from harness.core.identity import InvalidIdentity, issue, verify
from tests.samples import AUDIENCE, KEY


def claims(**changes: object) -> dict[str, object]:
    made: dict[str, object] = {"iss": identity.ISSUER, "sub": "ann", "aud": AUDIENCE, "exp": time.time() + 3600}
    made |= changes
    return {name: value for name, value in made.items() if value is not None}


def test_token_says_who_it_is_for() -> None:
    assert verify(KEY, issue(KEY, "ann", AUDIENCE), AUDIENCE) == "ann"


@pytest.mark.parametrize(
    ("token", "why"),
    [
        pytest.param(issue(KEY, "ann", AUDIENCE, lifetime_s=-1), "expired", id="expired"),
        pytest.param(issue(KEY + "!", "ann", AUDIENCE), "[Ss]ignature", id="signed with another key"),
        pytest.param(issue(KEY, "ann", "another-block"), "[Aa]udience", id="for another block"),
        pytest.param(jwt.encode(claims(), None, algorithm="none"), "alg", id="not signed"),
        pytest.param(jwt.encode(claims(), KEY * 2, algorithm="HS512"), "alg", id="signed with another algorithm"),
        pytest.param(jwt.encode(claims(iss="somebody"), KEY), "issuer", id="from another issuer"),
        pytest.param(jwt.encode(claims(sub=None), KEY), "sub", id="without a subject"),
        pytest.param(jwt.encode(claims(exp=None), KEY), "exp", id="without an end"),
        pytest.param(jwt.encode(claims(aud=None), KEY), "aud", id="without an audience"),
        pytest.param(issue(KEY, "ann", AUDIENCE)[:-2], "[Ss]ignature|padding", id="cut short"),
        pytest.param("not.a.token", "header", id="no token"),
        pytest.param("", "segments", id="nothing"),
    ],
)
def test_token_that_proves_nothing_is_refused(token: str, why: str) -> None:
    with pytest.raises(InvalidIdentity, match=why):
        verify(KEY, token, AUDIENCE)
