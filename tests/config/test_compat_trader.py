"""The trading engine's own TOML in both of its forms, its flags, and the process they make."""

from pathlib import Path
from typing import Any

import pytest

from qautlra.base.errors import ConfigError
from qautlra.cli.aliases import load_trader, path_name
from qautlra.config.load import load

# The specification's own example, word for word.
DOCUMENTED = """
[common]
log_level = "info"
version = "1.0"

[account]
account_cookie = "YOUR_ACCOUNT"
password = "YOUR_PASSWORD"
broker_id = "YOUR_BROKER_ID"
td_server = "tcp://YOUR_SERVER:PORT"
appid = "YOUR_APP_ID"
auth_code = "YOUR_AUTH_CODE"

[websocket]
market_ws = "ws://localhost:8014/ws/market"

[mq]
uri = "amqp://admin:admin@localhost:5672"
exchange = "qaorder"
model = "fanout"
routing_key = ""
"""
BOOT = """
[common]
account = "acc001"
password = "secret word"
wsuri = "ws://127.0.0.1:7788"
broker = "simnow"
eventmq_ip = "amqp://guest:guest@127.0.0.1:5672/"
database_ip = "mongodb://127.0.0.1:27017"
ping_gap = 7
taskid = "t1"
portfolio = "mine"
bank_password = "b"
capital_password = "c"
appid = "app"
log_level = "warn"
"""


def trader(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch, **flags: str) -> Any:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    file = tmp_path / "config.toml"
    file.write_text(text)
    return load_trader([str(file)], flags)


def test_the_documented_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = trader(tmp_path, DOCUMENTED, monkeypatch)
    config = loaded.config
    assert config.mode == ["trade"]
    assert config.trade.trader.account == "YOUR_ACCOUNT" and config.trade.amqp.accounts == ["YOUR_ACCOUNT"]
    assert config.trade.trader.broker == "paper"
    assert any("placeholder" in warning for warning in loaded.warnings)
    assert config.source.upstream.address == "ws://localhost:8014/ws/market"
    assert config.link.amqp.url.reveal() == "amqp://admin:admin@localhost:5672"
    assert (config.trade.amqp.exchange, config.trade.amqp.model, config.trade.amqp.routing_key) == (
        "qaorder",
        "fanout",
        "",
    )
    assert config.store.data_dir == str(tmp_path / "data" / "qautlra" / "traders" / "YOUR_ACCOUNT")
    assert [endpoint.port for endpoint in loaded.endpoints] == [0]
    shown = {key: value for key, value, _ in loaded.rows()}
    assert shown["link.amqp.url"] == "***" and shown["trade.trader.password"] == "***"


def test_the_documented_form_without_rabbitmq(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, _, _ = DOCUMENTED.partition("[mq]")
    config = trader(tmp_path, text, monkeypatch).config
    assert config.trade.trader.account == "YOUR_ACCOUNT" and config.link.amqp.url.reveal() == ""


def test_the_running_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = trader(tmp_path, BOOT, monkeypatch).config
    own = config.trade.trader
    assert (own.account, own.broker, own.url, own.bid) == ("acc001", "diff", "ws://127.0.0.1:7788", "simnow")
    assert (own.ping_gap_s, own.taskid, own.app_id) == (7, "t1", "app")
    assert [secret.reveal() for secret in (own.password, own.bank_password, own.capital_password)] == [
        "secret word",
        "b",
        "c",
    ]
    assert config.trade.documents.portfolio == "mine"
    assert config.link.mongo.url.reveal() == "mongodb://127.0.0.1:27017"
    assert config.trade.amqp.exchange == "QAORDER_ROUTER" and config.trade.amqp.model == "direct"
    assert config.log.level == "warning"


def test_flags_win_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = trader(tmp_path, BOOT, monkeypatch, account="other", ping_gap="9").config
    assert config.trade.trader.account == "other" and config.trade.trader.ping_gap_s == 9
    assert config.trade.amqp.accounts == ["other"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("tcp://YOUR_SERVER:PORT", "http://x"), "not the URL of a broker"),
        (('model = "fanout"', 'model = "headers"'), "trade.amqp.model"),
        (('account_cookie = "YOUR_ACCOUNT"', ""), "account"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        trader(tmp_path, DOCUMENTED.replace(*change), monkeypatch)


def test_unknown_keys_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = trader(tmp_path, DOCUMENTED + "\nspeed = 5\n", monkeypatch)
    assert any("mq.speed" in warning for warning in loaded.warnings)


def test_serve_reads_the_same_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(BOOT)
    assert load(files=[file], env={}, discover=False).config.trade.trader.account == "acc001"


def test_a_name_is_never_a_path() -> None:
    assert path_name("acc-001_x") == "acc-001_x"
    for name in ("../../etc", "a/b", ".", "..", "a\x00b", "账户"):
        made = path_name(name)
        assert len(made) == 32 and made.isalnum()
