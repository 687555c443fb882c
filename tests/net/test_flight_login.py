"""Logins by Arrow Flight: what a handshake's token is worth, for how long, and who guesses passwords."""

import base64
from pathlib import Path

import pytest

from qautlra.auth.rights import Role
from qautlra.auth.service import AuthService
from qautlra.base import clock
from qautlra.base.errors import AuthError, LimitError
from qautlra.base.secret import Secret
from qautlra.net import flight_login
from qautlra.net.flight_login import Logins
from tests.auth.test_service import PASSWORD, run

HOST = "192.0.2.7"


def basic(user_id: str, password: str = PASSWORD) -> str:
    return "Basic " + base64.b64encode(f"{user_id}:{password}".encode()).decode()


def test_a_token_is_the_user_as_they_are_now(tmp_path: Path) -> None:
    async def work(auth: AuthService) -> None:
        logins = Logins(auth)
        for name in ("check", "shut"):
            await auth.add_user(name, PASSWORD, Role.DATA)
        check, shut = ["Bearer " + await logins.token(basic(name)) for name in ("check", "shut")]
        assert (await logins.recognise(check, HOST)).roles == Role.DATA
        await auth.write(auth.users.set_roles, "check", Role.READ_ONLY)
        assert (await logins.recognise(check, HOST)).roles == Role.READ_ONLY
        await auth.write(auth.users.set_disabled, "shut", True)
        await auth.set_password("check", PASSWORD + "2")
        for given in (check, shut):
            with pytest.raises(AuthError, match="no longer valid"):
                await logins.recognise(given, HOST)

    run(tmp_path, work)


def test_nothing_but_the_password_renews_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(auth: AuthService) -> None:
        now_s = clock.monotonic_s()
        monkeypatch.setattr(flight_login, "monotonic_s", lambda: now_s)
        logins = Logins(auth)
        token = "Bearer " + await logins.token(basic("keeper"))
        now_s += 899.0
        assert (await logins.recognise(token, HOST)).user_id == "keeper"
        for given in (token, "Bearer nonsense", "", "Digest x"):
            with pytest.raises(AuthError, match="Basic credentials only"):
                await logins.token(given)
        now_s += 2.0
        with pytest.raises(AuthError, match="expired"):
            await logins.recognise(token, HOST)
        await logins.token(basic("keeper"))
        with pytest.raises(AuthError):  # forgotten by now
            await logins.recognise(token, HOST)

    run(tmp_path, work, username="keeper", password=Secret(PASSWORD))


def test_guessing_by_handshakes_shuts_nobody_out(tmp_path: Path) -> None:
    async def work(auth: AuthService) -> None:
        logins = Logins(auth)
        await auth.add_user("check", PASSWORD, Role.DATA)
        for _ in range(5):
            with pytest.raises(AuthError, match="wrong"):
                await logins.token(basic("check", "wrong"))
        # from now on a handshake says nothing of the password; the first call does, by its address
        right = "Bearer " + await logins.token(basic("check"))
        wrong = [await logins.token(basic("check", f"guess{n}")) for n in range(6)]
        for n, token in enumerate(wrong):
            with pytest.raises(LimitError if n == 5 else AuthError):
                await logins.recognise(f"Bearer {token}", "198.51.100.1")
        for _ in range(2):
            assert (await logins.recognise(right, HOST)).user_id == "check"
        with pytest.raises(AuthError):  # looked at once
            await logins.recognise(f"Bearer {wrong[0]}", HOST)

    run(tmp_path, work, login_attempts_per_min=5)


def test_tokens_have_an_end_and_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flight_login, "TOKENS_COUNT", 2)
    monkeypatch.setattr(flight_login, "UNSEEN_COUNT", 2)

    async def work(auth: AuthService) -> None:
        logins = Logins(auth)
        tokens = ["Bearer " + await logins.token(basic("keeper")) for _ in range(3)]
        with pytest.raises(AuthError):
            await logins.recognise(tokens[0], HOST)
        for token in tokens[1:]:
            assert (await logins.recognise(token, HOST)).user_id == "keeper"
        for _ in range(5):
            with pytest.raises(AuthError):
                await logins.token(basic("nobody", "wrong"))
        unseen = ["Bearer " + await logins.token(basic("nobody", f"{n}")) for n in range(3)]
        for token in unseen:
            with pytest.raises(AuthError):
                await logins.recognise(token, HOST)
        assert (await logins.recognise(tokens[2], HOST)).user_id == "keeper"

    run(tmp_path, work, username="keeper", password=Secret(PASSWORD), login_attempts_per_min=5)


def test_credentials_of_a_call_are_counted_by_its_address(tmp_path: Path) -> None:
    async def work(auth: AuthService) -> None:
        logins = Logins(auth)
        await auth.add_user("check", PASSWORD, Role.DATA)
        for _ in range(5):
            with pytest.raises(AuthError):
                await logins.recognise(basic("check", "wrong"), "198.51.100.1")
        with pytest.raises(LimitError):
            await logins.recognise(basic("check"), "198.51.100.1")
        assert (await logins.recognise(basic("check"), HOST)).user_id == "check"
        assert await logins.token(basic("check"))

    run(tmp_path, work, login_attempts_per_min=5)
