"""The users' file: what is kept, for whom it can be read, what another process changes."""

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from qautlra.auth import secret, users
from qautlra.auth.database import FILE_NAME, VERSION
from qautlra.auth.rights import Access, Role
from qautlra.auth.users import Session, Users
from qautlra.base import clock
from qautlra.base.errors import InputError, LimitError, NotFoundError, StorageError


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Users]:
    found = Users(tmp_path / "data")
    yield found
    found.close()


def later(seconds: float) -> int:
    return clock.wall_ns() + int(seconds * 1e9)


def test_users_survive(table: Users, tmp_path: Path) -> None:
    table.add("check", "hash", Role.TRADER)
    table.grant("check", "acc1", broker="paper", cash=5.0)
    table.close()
    again = Users(tmp_path / "data")
    user = again.find("CHECK")
    assert (user.user_id, user.roles, dict(user.accounts)) == ("check", Role.TRADER, {"acc1": Access.OWN})
    (wish,) = again.wishes()
    assert (wish.account_id, wish.broker, wish.cash, wish.opened) == ("acc1", "paper", 5.0, False)
    again.mark_opened("acc1")
    assert again.wishes() == []
    again.close()


def test_only_the_owner_reads_the_files(table: Users, tmp_path: Path) -> None:
    table.add("check", "hash", Role.TRADER)
    secret.load(tmp_path / "data")
    for path in (tmp_path / "data").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    names = {path.name for path in (tmp_path / "data").iterdir()}
    assert {"users.db", "users.db-wal", "server.key"} <= names


def test_a_file_open_to_others_is_closed_to_them(tmp_path: Path) -> None:
    Users(tmp_path).close()
    (tmp_path / FILE_NAME).chmod(0o644)
    Users(tmp_path).close()
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["", ".x", "-x", "a b", "a;b", "a/b", "名", "x" * 65, "a'--", "a\n"])
def test_names_that_are_none(table: Users, name: str) -> None:
    with pytest.raises(InputError):
        table.add(name, "hash", Role.TRADER)
    table.add("check", "hash", Role.TRADER)
    with pytest.raises(InputError):
        table.grant("check", name, broker="paper")
    assert [user.user_id for user in table.all()] == ["check"]


def test_a_name_is_taken_in_any_case(table: Users) -> None:
    table.add("check", "hash", Role.TRADER)
    with pytest.raises(InputError, match="already"):
        table.add("Check", "hash", Role.ADMIN)
    assert table.find("check").roles is Role.TRADER


def test_a_failed_transaction_leaves_nothing(table: Users) -> None:
    table.add("check", "hash", Role.TRADER)
    with pytest.raises(InputError):
        table.grant("check", "acc1", broker="no such broker!")
    with pytest.raises(InputError):
        table.grant("check", "acc1", broker="paper", cash=float("nan"))
    with pytest.raises(NotFoundError):
        table.grant("check", "acc1")
    with pytest.raises(NotFoundError):
        table.grant("nobody", "acc1", broker="paper")
    assert table.accounts() == []


def test_an_account_has_one_broker(table: Users) -> None:
    table.add("a", "hash", Role.TRADER)
    table.add("b", "hash", Role.TRADER)
    table.grant("a", "acc1", broker="paper", cash=1)
    table.grant("b", "acc1", Access.VIEW, broker="paper", cash=99)
    assert table.accounts()[0].cash == 1
    with pytest.raises(InputError, match="with broker paper"):
        table.grant("b", "acc1", broker="ctp")
    table.revoke("b", "acc1")
    assert dict(table.find("b").accounts) == {}


def test_bounds(table: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "USERS_COUNT", 2)
    monkeypatch.setattr(users, "ACCOUNTS_PER_USER_COUNT", 1)
    monkeypatch.setattr(users, "SESSIONS_PER_USER_COUNT", 2)
    table.add("a", "hash", Role.TRADER)
    table.add("b", "hash", Role.TRADER)
    with pytest.raises(LimitError):
        table.add("c", "hash", Role.TRADER)
    table.grant("a", "acc1", broker="paper")
    table.grant("a", "acc1", Access.VIEW)
    with pytest.raises(LimitError):
        table.grant("a", "acc2", broker="paper")
    for number in range(4):
        table.put_session(Session(f"s{number}", "a", b"", later(60 + number)), 0)
    assert [name for name in ("s0", "s1", "s2", "s3") if table.session(name)] == ["s2", "s3"]


def test_sessions_end(table: Users) -> None:
    table.add("a", "hash", Role.TRADER)
    table.put_session(Session("old", "a", b"1", later(-1)), 0)
    table.put_session(Session("new", "a", b"2", later(60)), 0)
    assert table.session("old") is None
    table.purge()
    assert table.counts()["sessions"] == 1
    assert not table.rotate_session(Session("new", "a", b"3", later(60)), b"wrong")
    assert table.rotate_session(Session("new", "a", b"3", later(60)), b"2")
    assert not table.rotate_session(Session("new", "a", b"4", later(60)), b"2")
    table.set_disabled("a", True)
    assert table.session("new") is None
    assert table.find("a").generation == 1


def test_another_process_s_change_is_seen(table: Users, tmp_path: Path) -> None:
    table.add("a", "hash", Role.TRADER)
    other = Users(tmp_path / "data")
    assert not table.refresh()
    other.add("b", "hash", Role.TRADER)
    assert table.get("b") is None
    assert table.refresh()
    assert table.get("b") is not None
    assert not table.refresh()
    other.close()


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    Users(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as database:
        database.execute(f"PRAGMA user_version={VERSION + 1}")
    with pytest.raises(StorageError, match="has form"):
        Users(tmp_path)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / FILE_NAME).write_bytes(b"this is no database" * 100)
    with pytest.raises(StorageError):
        Users(tmp_path / "x")


def test_the_server_s_secret(tmp_path: Path) -> None:
    first = secret.load(tmp_path)
    assert secret.load(tmp_path).key("x") == first.key("x") != first.key("y")
    assert "***" in repr(first)
    path = tmp_path / secret.FILE_NAME
    path.chmod(0o640)
    with pytest.raises(StorageError, match="read by others"):
        secret.load(tmp_path)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(StorageError, match="cut short"):
        secret.load(tmp_path)
