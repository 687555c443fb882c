"""Tokens that are ours and tokens that are not."""

import base64
import json
from pathlib import Path
from typing import Any

import jwt
import pytest

from qautlra.auth import secret
from qautlra.auth.tokens import Claims, Tokens, new_refresh, refresh_hash, session_of
from qautlra.base import clock
from qautlra.base.errors import AuthError

NOW = int(clock.wall_ns() / 1e9)
GOOD = {
    "iss": "qautlra", "aud": "qautlra", "sub": "u", "sid": "s", "gen": 0, "jti": "j",
    "iat": NOW, "nbf": NOW, "exp": NOW + 86_400,
}  # fmt: skip


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> secret.ServerSecret:
    return secret.load(Path(tmp_path_factory.mktemp("key")))


@pytest.fixture(scope="module")
def tokens(key: secret.ServerSecret) -> Tokens:
    return Tokens(key, 900)


def signed(key: secret.ServerSecret, tokens: Tokens, **claims: Any) -> str:
    """Sign claims with the right key and header, `None` leaving a claim out."""
    kid = jwt.get_unverified_header(tokens.issue(Claims("u", "s", 0)))["kid"]
    said = {name: value for name, value in (GOOD | claims).items() if value is not None}
    return jwt.encode(said, key.key("access tokens"), "HS256", {"kid": kid})


def test_a_token_says_what_it_was_given(tokens: Tokens, key: secret.ServerSecret) -> None:
    assert tokens.read(tokens.issue(Claims("user", "session", 3))) == Claims("user", "session", 3)
    assert tokens.read(signed(key, tokens)) == Claims("u", "s", 0)


@pytest.mark.parametrize(
    "claims",
    [
        *({name: None} for name in GOOD),
        {"exp": NOW - 1},
        {"aud": "other"},
        {"aud": ["other"]},
        {"iss": "other"},
        {"exp": "soon"},
        {"gen": "0"},
        {"sid": 5},
        {"sub": 5},
        {"sub": ["u"]},
    ],
    ids=lambda claims: "-".join(f"{name}-{type(value).__name__}" for name, value in claims.items()),
)
def test_wrong_claims(tokens: Tokens, key: secret.ServerSecret, claims: dict[str, Any]) -> None:
    with pytest.raises(AuthError) as refused:
        tokens.read(signed(key, tokens, **claims))
    assert refused.value.status == 401


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_clock_set_back_locks_nobody_out(tokens: Tokens, key: secret.ServerSecret) -> None:
    later = {"iat": NOW + 3_600, "nbf": NOW + 3_600}
    assert tokens.read(signed(key, tokens, **later)) == Claims("u", "s", 0)


@pytest.mark.filterwarnings("ignore:The HMAC key")
def test_forged_tokens(tokens: Tokens, key: secret.ServerSecret) -> None:
    good = tokens.issue(Claims("u", "s", 0))
    head, body, tail = good.split(".")
    kid = jwt.get_unverified_header(good)["kid"]
    right = key.key("access tokens")
    forged = [
        "", ".", "..", "...", "x", "Bearer", "a.b.c", head, f"{head}.{body}", f"{head}.{body}.",
        f"{part({'alg': 'none', 'kid': kid})}.{body}.",
        f"{part({'alg': 'none', 'kid': kid})}.{body}.{tail}",
        f"{part({'alg': 'HS512', 'kid': kid})}.{body}.{tail}",
        f"{part({'alg': 'RS256', 'kid': kid})}.{body}.{tail}",
        f"{head}.{part(GOOD | {'sub': 'admin'})}.{tail}",
        f"{head}.{body}.{tail[:-2]}AA",
        jwt.encode(GOOD, "another key, long enough for HS256 ...", "HS256", {"kid": kid}),
        jwt.encode(GOOD, right, "HS384", {"kid": kid}),
        jwt.encode(GOOD, right, "HS512", {"kid": kid}),
        jwt.encode(GOOD, right, "HS256", {"kid": "00000000"}),
        jwt.encode(GOOD, right, "HS256"),
        good + "x" * 4000,
        "é" * 20,
    ]  # fmt: skip
    for token in forged:
        with pytest.raises(AuthError):
            tokens.read(token)


def test_refresh_tokens() -> None:
    one, hashed = new_refresh("session")
    other, _ = new_refresh("session")
    assert one != other and session_of(one) == "session" and refresh_hash(one) == hashed
    assert len(one.partition(".")[2]) >= 43
    assert session_of("x" * 1000) == "x" * 64
