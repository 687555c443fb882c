"""The auth service: logins, rotation, what dies at once, throttling, Basic, wishes for accounts."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from qautlra.auth.passwords import HASHES_AT_ONCE_COUNT, HASHES_WAITING_COUNT, Hasher, check_rules
from qautlra.auth.rights import Access, Right, Role
from qautlra.auth.service import AuthOptions, AuthService
from qautlra.auth.users import AccountEntry, Users
from qautlra.base import clock
from qautlra.base.errors import AuthError, InputError, LimitError, UnavailableError
from qautlra.base.secret import Secret

T = TypeVar("T")
PASSWORD = "Check-pass-1"


def run(tmp_path: Path, work: Callable[[AuthService], Awaitable[T]], **options: object) -> T:
    async def whole() -> T:
        auth = AuthService(tmp_path, AuthOptions(**options))  # type: ignore[arg-type]
        await auth.start()
        try:
            return await work(auth)
        finally:
            await auth.stop(1.0)

    return asyncio.run(whole())


def test_a_login_and_its_end(tmp_path: Path) -> None:
    async def work(auth: AuthService) -> None:
        await auth.add_user("check", PASSWORD, Role.TRADER)
        login = await auth.login("CHECK", PASSWORD)
        who = auth.recognise(login.access_token)
        assert (who.user_id, who.roles) == ("check", Role.TRADER)
        await auth.logout(who)
        with pytest.raises(AuthError, match="has ended"):
            auth.recognise(login.access_token)
        with pytest.raises(AuthError):
            await auth.refresh(login.refresh_token)

    run(tmp_path, work)


def test_tokens_outlive_a_restart(tmp_path: Path) -> None:
    async def first(auth: AuthService) -> tuple[str, str]:
        await auth.add_user("check", PASSWORD, Role.TRADER)
        login = await auth.login("check", PASSWORD)
        return login.access_token, login.refresh_token

    access, refresh = run(tmp_path, first)

    async def second(auth: AuthService) -> None:
        assert auth.recognise(access).user_id == "check"
        assert auth.recognise((await auth.refresh(refresh)).access_token).user_id == "check"
        assert auth.audit.verify().reason == ""

    run(tmp_path, second)


def test_a_refresh_token_is_good_once(tmp_path: Path) -> None:
    async def work(auth: AuthService) -> None:
        await auth.add_user("check", PASSWORD, Role.TRADER)
        login = await auth.login("check", PASSWORD)
        second = await auth.refresh(login.refresh_token)
        with pytest.raises(AuthError, match="used before"):
            await auth.refresh(login.refresh_token)
        for token in (login.access_token, second.access_token):
            with pytest.raises(AuthError):
                auth.recognise(token)
        with pytest.raises(AuthError):
            await auth.refresh(second.refresh_token)
        assert auth.audit.read(result="BLOCKED")[0].detail == '{"why":"refresh token used twice"}'

    run(tmp_path, work)


def test_of_two_refreshes_at_once_one_wins(tmp_path: Path) -> None:
    async def work(auth: AuthService) -> None:
        await auth.add_user("check", PASSWORD, Role.TRADER)
        login = await auth.login("check", PASSWORD)
        answers = await asyncio.gather(
            *(auth.refresh(login.refresh_token) for _ in range(5)), return_exceptions=True
        )
        assert sum(not isinstance(answer, BaseException) for answer in answers) == 1

    run(tmp_path, work)


def test_what_ends_every_token_at_once(tmp_path: Path) -> None:
    async def work(auth: AuthService) -> None:
        await auth.add_user("check", PASSWORD, Role.TRADER)
        login = await auth.login("check", PASSWORD)
        await auth.set_password("check", "Another-pass-2")
        with pytest.raises(AuthError):
            auth.recognise(login.access_token)
        with pytest.raises(AuthError):
            await auth.login("check", PASSWORD)
        login = await auth.login("check", "Another-pass-2")
        await auth.recognise_basic("check", "Another-pass-2", "")
        await auth.write(auth.users.set_disabled, "check", True)
        with pytest.raises(AuthError):
            auth.recognise(login.access_token)
        with pytest.raises(AuthError):
            await auth.recognise_basic("check", "Another-pass-2", "")
        with pytest.raises(AuthError):
            await auth.login("check", "Another-pass-2")
        await auth.write(auth.users.set_disabled, "check", False)
        with pytest.raises(AuthError):
            auth.recognise(login.access_token)
        assert (await auth.login("check", "Another-pass-2")).principal.user_id == "check"

    run(tmp_path, work)


@pytest.mark.parametrize("what", ["password", "disabled", "disabled and enabled"])
def test_a_login_under_way_when_its_password_ends_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    async def work(auth: AuthService) -> None:
        await auth.add_user("check", PASSWORD, Role.TRADER)
        verify = auth._hasher.verify

        async def slow(hashed: str | None, password: str) -> bool:
            right = await verify(hashed, password)
            if what == "password":
                await auth.set_password("check", "Another-pass-2")
            else:
                await auth.write(auth.users.set_disabled, "check", True)
            if what == "disabled and enabled":
                await auth.write(auth.users.set_disabled, "check", False)
            return right

        monkeypatch.setattr(auth._hasher, "verify", slow)
        with pytest.raises(AuthError, match="wrong user or password"):
            await auth.login("check", PASSWORD)
        assert auth.users.counts()["sessions"] == 0

    run(tmp_path, work)


def test_roles_hold_from_the_next_request_on(tmp_path: Path) -> None:
    async def work(auth: AuthService) -> None:
        await auth.add_user("check", PASSWORD, Role.READ_ONLY)
        token = (await auth.login("check", PASSWORD)).access_token
        assert not auth.recognise(token).may(Right.TRADE)
        await auth.write(auth.users.set_roles, "check", Role.TRADER)
        assert auth.recognise(token).may(Right.TRADE)

    run(tmp_path, work)


def test_another_process_disables_a_user(tmp_path: Path) -> None:
    async def work(auth: AuthService) -> None:
        await auth.add_user("check", PASSWORD, Role.TRADER)
        token = (await auth.login("check", PASSWORD)).access_token
        other = Users(tmp_path)
        other.set_disabled("check", True)
        other.close()
        until_s = clock.monotonic_s() + 5
        while clock.monotonic_s() < until_s:
            await asyncio.sleep(0.1)
            try:
                auth.recognise(token)
            except AuthError:
                return
        raise AssertionError("the token still lives")

    run(tmp_path, work)


def test_wrong_passwords_are_throttled_and_written_down(tmp_path: Path) -> None:
    async def work(auth: AuthService) -> None:
        await auth.add_user("check", PASSWORD, Role.TRADER)
        await auth.add_user("other", PASSWORD, Role.TRADER)
        for _ in range(5):
            with pytest.raises(AuthError, match="wrong user or password"):
                await auth.login("check", "Wrong-pass-1", "1.2.3.4")
        with pytest.raises(LimitError) as refused:
            await auth.login("check", PASSWORD, "1.2.3.4")
        assert refused.value.details["retry_after_s"] > 50
        assert (await auth.login("check", PASSWORD, "1.2.3.5")).principal.user_id == "check"
        assert (await auth.login("other", PASSWORD, "1.2.3.4")).principal.user_id == "other"
        assert len(auth.audit.read(type="LOGIN", result="FAILED", user_id="check")) == 5
        with pytest.raises(AuthError, match="wrong user or password"):
            await auth.login("nobody", PASSWORD, "9.9.9.9")
        with pytest.raises(AuthError):
            await auth.login("check", "x" * 100_000, "9.9.9.8")
        with pytest.raises(AuthError):
            await auth.login("check\x00", "\ud800", "9.9.9.7")

    run(tmp_path, work)


@pytest.mark.slow
def test_an_unknown_user_costs_the_same_time(tmp_path: Path) -> None:
    """By this process's own time on a core, with all its threads: others on the machine do not count."""

    async def work(auth: AuthService) -> None:
        await auth.add_user("check", PASSWORD, Role.TRADER)
        took: dict[str, list[float]] = {"check": [], "nobody": []}
        for _ in range(30):
            for name, times in took.items():
                began = time.process_time()
                with pytest.raises(AuthError):
                    await auth.login(name, "Wrong-pass-1")
                times.append(time.process_time() - began)
        known, unknown = statistics.median(took["check"]), statistics.median(took["nobody"])
        assert 0.7 < known / unknown < 1.4, (known, unknown)

    run(tmp_path, work, login_attempts_per_min=10_000)


def test_too_many_hashes_at_once_are_refused() -> None:
    async def work() -> None:
        hasher = Hasher()
        started = [
            asyncio.ensure_future(hasher.verify(None, "x"))
            for _ in range(HASHES_AT_ONCE_COUNT + HASHES_WAITING_COUNT)
        ]
        await asyncio.sleep(0)
        with pytest.raises(LimitError):
            await hasher.verify(None, "x")
        assert not any(await asyncio.gather(*started))
        assert await hasher.verify(None, "x") is False
        hasher.close()

    asyncio.run(work())


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short1!",
        "x" * 65,
        "password",
        "check",
        "aaaaaaaaaaaa",
        "tab\tinside-1",
        "Your_Password_1",
        "quantaxis",
    ],
)
def test_passwords_that_will_not_do(tmp_path: Path, password: str) -> None:
    with pytest.raises(InputError):
        check_rules("check", password)

    async def work(auth: AuthService) -> None:
        with pytest.raises(InputError):
            await auth.add_user("check", password, Role.TRADER)
        assert auth.users.all() == []

    run(tmp_path, work)


def weak_hash(password: str) -> str:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(password)


def test_an_outdated_hash_is_renewed_at_login(tmp_path: Path) -> None:
    async def work(auth: AuthService) -> None:
        weak = weak_hash(PASSWORD)
        await auth.write(auth.users.add, "check", weak, Role.TRADER)
        token = (await auth.login("check", PASSWORD)).access_token
        renewed = auth.users.find("check").password_hash
        assert renewed != weak and "m=19456,t=2,p=1" in renewed and renewed.startswith("$argon2id$")
        assert auth.recognise(token).user_id == "check"

    run(tmp_path, work)


def test_a_renewed_hash_undoes_no_new_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(auth: AuthService) -> None:
        await auth.write(auth.users.add, "check", weak_hash(PASSWORD), Role.TRADER)
        hash_of = auth._hasher.hash

        async def overtaken(password: str) -> str:
            hashed = await hash_of(password)
            if password == PASSWORD:
                await auth.set_password("check", "Another-pass-2")
            return hashed

        monkeypatch.setattr(auth._hasher, "hash", overtaken)
        with pytest.raises(AuthError, match="wrong user or password"):
            await auth.login("check", PASSWORD)
        assert await auth.login("check", "Another-pass-2")
        with pytest.raises(AuthError, match="wrong user or password"):
            await auth.login("check", PASSWORD)

    run(tmp_path, work)


def test_a_login_that_cannot_be_rehashed_now_is_still_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(auth: AuthService) -> None:
        weak = weak_hash(PASSWORD)
        await auth.write(auth.users.add, "check", weak, Role.TRADER)

        async def full(_password: str) -> str:
            raise LimitError("too many logins at once")

        monkeypatch.setattr(auth._hasher, "hash", full)
        assert (await auth.login("check", PASSWORD)).user.user_id == "check"
        assert auth.users.find("check").password_hash == weak

    run(tmp_path, work)


@pytest.mark.parametrize("is_weak", [False, True])
def test_who_changes_a_password_knows_the_one_it_replaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_weak: bool
) -> None:
    """An administrator's reset is not undone by a change that the old password began before it."""

    async def work(auth: AuthService) -> None:
        first = weak_hash(PASSWORD) if is_weak else await auth._hasher.hash(PASSWORD)
        await auth.write(auth.users.add, "check", first, Role.TRADER)
        await auth.change_password("check", PASSWORD, "Second-pass-2", "here")
        token = (await auth.login("check", "Second-pass-2")).access_token
        hash_of = auth._hasher.hash

        async def overtaken(password: str) -> str:
            hashed = await hash_of(password)
            if password == "Thief-pass-3":
                await auth.set_password("check", "Reset-pass-4")
            return hashed

        monkeypatch.setattr(auth._hasher, "hash", overtaken)
        with pytest.raises(AuthError, match="the old password is wrong") as caught:
            await auth.change_password("check", "Second-pass-2", "Thief-pass-3", "here")
        assert caught.value.status == 403
        with pytest.raises(AuthError):
            auth.recognise(token)
        assert await auth.login("check", "Reset-pass-4")
        with pytest.raises(AuthError):
            await auth.login("check", "Thief-pass-3")
        changes = auth.audit.read(type="PASSWORD_CHANGE")
        assert [(e.result, e.address) for e in reversed(changes)] == [("SUCCESS", "here"), ("FAILED", "here")]

    run(tmp_path, work)


def test_the_configured_user_may_feed_the_store_by_basic(tmp_path: Path) -> None:
    async def work(auth: AuthService) -> None:
        who = await auth.recognise_basic("feeder", "Feeder-pass-1", "")
        assert who.may(Right.INGEST) and not who.may(Right.TRADE) and not who.may(Right.MANAGE_USERS)
        with pytest.raises(AuthError):
            await auth.recognise_basic("feeder", "Feeder-pass-2", "")
        with pytest.raises(InputError, match="configuration"):
            await auth.add_user("Feeder", PASSWORD, Role.TRADER)

    run(tmp_path, work, username="feeder", password=Secret("Feeder-pass-1"))


def test_a_published_example_never_lets_anybody_in(tmp_path: Path) -> None:
    async def work(auth: AuthService) -> None:
        with pytest.raises(AuthError):
            await auth.recognise_basic("admin", "admin", "")

    run(tmp_path, work, username="admin", password=Secret("admin"))


def test_wishes_are_opened_once(tmp_path: Path) -> None:
    async def first(auth: AuthService) -> None:
        await auth.add_user("check", PASSWORD, Role.TRADER)
        entry = await auth.give_account("check", "acc1", broker="paper", cash=7.0)
        assert not entry.opened and auth.users.wishes() == [entry]

    run(tmp_path, first)
    opened: list[AccountEntry] = []

    async def open_account(entry: AccountEntry) -> None:
        await asyncio.sleep(0.01)
        opened.append(entry)

    async def second(auth: AuthService) -> None:
        auth.open_account = open_account
        await asyncio.gather(*(auth.open_wish(wish) for wish in auth.users.wishes() * 3))
        await auth.give_account("check", "acc1", Access.OWN, broker="paper", cash=7.0)
        assert [(entry.account_id, entry.cash) for entry in opened] == [("acc1", 7.0)]
        assert auth.users.wishes() == []

    run(tmp_path, second)


def test_what_another_process_wishes_for_is_opened_while_we_run(tmp_path: Path) -> None:
    tried: list[str] = []
    again = asyncio.Event()  # one that fails is tried again, and keeps no other from it

    async def open_account(entry: AccountEntry) -> None:
        tried.append(entry.account_id)
        if tried.count("lost") == 2:
            again.set()
        if entry.account_id == "lost":
            raise UnavailableError("its broker is away")

    async def work(auth: AuthService) -> None:
        auth.open_account = open_account

        async def beside(other: AuthService) -> None:
            await other.add_user("check", PASSWORD, Role.TRADER)
            for account_id in ("acc1", "lost"):
                entry = await other.give_account("check", account_id, broker="paper", cash=7.0)
                assert not entry.opened

        other = AuthService(tmp_path, AuthOptions())
        await other.start()
        try:
            await beside(other)
        finally:
            await other.stop(1.0)
        await asyncio.wait_for(again.wait(), 10)
        assert tried.count("acc1") == 1
        assert [entry.account_id for entry in auth.users.wishes()] == ["lost"]

    run(tmp_path, work)
