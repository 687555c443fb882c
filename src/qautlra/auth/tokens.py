"""Access tokens (JWT, HS256, minutes) and refresh tokens (random, hours, each good once).

An access token names its login session; it dies with the session, and with the user's generation, which a
changed password or a disabled user moves on.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from qautlra.auth.secret import ServerSecret
from qautlra.base import clock
from qautlra.base.errors import AuthError
from qautlra.base.imports import left_out

with left_out("cryptography"):  # for other algorithms than ours
    import jwt

ALGORITHM: Final = "HS256"
ISSUER: Final = "qautlra"
TOKEN_CHARS_MAX: Final = 2048
_CLAIMS: Final = ["exp", "nbf", "iat", "aud", "iss", "sub", "sid", "gen", "jti"]


class Claims(NamedTuple):
    """What an access token says."""

    user_id: str
    session: str
    generation: int


class Tokens:
    """Makes and reads access tokens with the key of this data directory."""

    def __init__(self, secret: ServerSecret, life_s: float) -> None:
        self._key = secret.key("access tokens")
        self._kid = hashlib.sha256(self._key).hexdigest()[:8]
        self.life_s = life_s

    def issue(self, claims: Claims, now_s: float | None = None) -> str:
        """Return a signed token."""
        now = int(clock.wall_ns() / 1e9 if now_s is None else now_s)
        return jwt.encode(
            {
                "iss": ISSUER,
                "aud": ISSUER,
                "sub": claims.user_id,
                "sid": claims.session,
                "gen": claims.generation,
                "jti": clock.new_token(9),
                "iat": now,
                "nbf": now,
                "exp": now + int(self.life_s),
            },
            self._key,
            algorithm=ALGORITHM,
            headers={"kid": self._kid},
        )

    def read(self, token: str) -> Claims:
        """Return what a token says; AuthError when it is not ours, altered or too old."""
        if len(token) > TOKEN_CHARS_MAX:
            raise AuthError("the token is too long")
        if not token.isascii():
            raise AuthError("the token is not valid: characters")
        try:
            if jwt.get_unverified_header(token).get("kid") != self._kid:
                raise AuthError("the token was made with another key; log in again")
            said = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=ISSUER,
                issuer=ISSUER,
                # A clock set back must not lock out who logged in before: only we make tokens.
                options={"require": _CLAIMS, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.ExpiredSignatureError:
            raise AuthError("the token has expired", expired=True) from None
        except jwt.InvalidTokenError as error:
            raise AuthError(f"the token is not valid: {type(error).__name__}") from None
        found = Claims(said["sub"], said["sid"], said["gen"])
        if not isinstance(found.session, str) or not isinstance(found.generation, int):
            raise AuthError("the token is not valid: claims")
        return found


def new_refresh(session: str) -> tuple[str, bytes]:
    """Return a refresh token of `session` and the hash to keep of it."""
    token = f"{session}.{clock.new_token(32)}"
    return token, refresh_hash(token)


def refresh_hash(token: str) -> bytes:
    """Return what is kept of a refresh token: it has entropy enough for a plain hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def session_of(token: str) -> str:
    """Return the session a refresh token says it belongs to."""
    return token.partition(".")[0][:64]
