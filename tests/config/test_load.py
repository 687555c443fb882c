"""Layers, origins, types and errors of our own configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qautlra.base.errors import ConfigError
from qautlra.config import schema
from qautlra.config.load import Loaded, load
from qautlra.config.tree import DEFAULT_PORTS, Config

ROOT = Path(__file__).resolve().parents[2]


def plain(**arguments: Any) -> Loaded:
    arguments.setdefault("env", {})
    arguments.setdefault("discover", False)
    return load(**arguments)


def test_defaults_need_nothing() -> None:
    loaded = plain()
    assert loaded.config == Config()
    assert loaded.warnings == []
    assert [endpoint.port for endpoint in loaded.endpoints] == list(DEFAULT_PORTS)
    assert [endpoint.required for endpoint in loaded.endpoints] == [True, False, False, False, False, False]
    assert {origin for _, _, origin in loaded.rows()} == {"default"}


def test_the_annotated_file_names_every_key_with_its_default() -> None:
    loaded = plain(files=[ROOT / "config" / "qautlra.toml"])
    named = {key for key in schema.leaves() if "*" not in key}
    assert set(loaded.origins) == named
    for key in named - {"net.listen"}:
        assert loaded.values[key] == schema.leaves()[key].default, key
    assert loaded.config.net.listen == Config().net.listen


def test_stronger_layers_win_and_origins_say_so(tmp_path: Path) -> None:
    own = tmp_path / "mine.toml"
    own.write_text(
        "[feed]\nbatch_interval_ms = 20\nbatch_size_threshold = 5\nmax_clients = 7\n[log]\nlevel='error'\n"
    )
    loaded = plain(
        files=[own],
        env={
            "QAUTLRA__FEED__BATCH_INTERVAL_MS": "30",
            "QAUTLRA__FEED__BATCH_SIZE_THRESHOLD": "6",
            "QAUTLRA__FEED__DEFAULT_INSTRUMENTS": "au2512, rb2512",
        },
        sets=["feed.batch_interval_ms=40"],
        flags={"log.level": ("debug", "--log-level")},
    )
    feed = loaded.config.feed
    assert (feed.batch_interval_ms, feed.batch_size_threshold, feed.max_clients) == (40, 6, 7)
    assert feed.default_instruments == ["au2512", "rb2512"]
    assert loaded.origin("feed.batch_interval_ms") == "--set feed.batch_interval_ms"
    assert loaded.origin("feed.batch_size_threshold") == "environment QAUTLRA__FEED__BATCH_SIZE_THRESHOLD"
    assert loaded.origin("feed.max_clients") == str(own)
    assert loaded.origin("log.level") == "flag --log-level"
    assert loaded.origin("feed.ping_interval_s") == "default"


@pytest.mark.parametrize(
    ("item", "key", "value"),
    [
        ("feed.incremental.enabled=off", ("feed", "incremental", "enabled"), False),
        ("store.hot_bytes=512MiB", ("store", "hot_bytes"), 512 << 20),
        ("store.hot_bytes=2G", ("store", "hot_bytes"), 2 << 30),
        ("source.kinds=replay", ("source", "kinds"), ["replay"]),
        ('feed.default_instruments=["a","b"]', ("feed", "default_instruments"), ["a", "b"]),
        ("feed.default_instruments=", ("feed", "default_instruments"), []),
        ("source.replay.speed=2.5", ("source", "replay", "speed"), "2.5"),
        ("store.data_dir=/a=b", ("store", "data_dir"), "/a=b"),
        ("run.stop_grace_s=3", ("run", "stop_grace_s"), 3.0),
    ],
)
def test_text_becomes_the_keys_type(item: str, key: tuple[str, ...], value: object) -> None:
    found: Any = plain(sets=[item]).config
    for name in key:
        found = getattr(found, name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("feed.batch_interval_ms=0", ["feed.batch_interval_ms", "'0'", "--set", "from 1 to 60000"]),
        ("feed.batch_interval_ms=fast", ["'fast'", "a whole number"]),
        ("feed.batch_intervall_ms=5", ["no such setting", "did you mean feed.batch_interval_ms?"]),
        ("batch_interval_ms=5", ["did you mean feed.batch_interval_ms?"]),
        ("store.durability=disk", ["one of memory, power, process"]),
        ("source.kinds=sim,nonsense", ["one of ctp, replay, sim"]),
        ("feed.incremental.enabled=perhaps", ["true or false"]),
        ("source.replay.speed=fast", ["source.replay.speed", "expected max, or how many times as fast"]),
        ("source.sim.trading_day=monday", ["'monday'", "expected a day like 2025-06-03"]),
        ("net.listen=127.0.0.1:99999", ["net.listen", "0 to 65535"]),
        ("net.listen=0.0.0.0:8014", ["net.allow_remote"]),
        ("net.listen=", ["nothing to listen on"]),
        ("feed", ["key=value"]),
    ],
)
def test_errors_name_key_value_origin_and_what_is_expected(item: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        plain(sets=[item])
    for word in words:
        assert word in str(caught.value)


def test_environment_errors_name_the_variable() -> None:
    with pytest.raises(ConfigError, match="environment QAUTLRA__FEED__MAX_CLIENTS"):
        plain(env={"QAUTLRA__FEED__MAX_CLIENTS": "many"})
    with pytest.raises(ConfigError, match=r"did you mean feed.max_clients\?"):
        plain(env={"QAUTLRA__FEED__MAX_CLIENT": "3"})


def test_promised_names_of_later_parts_are_noted_not_refused() -> None:
    loaded = plain(env={"QAUTLRA__LINK__REDIS__URL": "redis://x"})
    assert "not in this build" in loaded.warnings[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[feed]\nbatch_interval_ms = '5'\n", ["feed.batch_interval_ms", "mine.toml", "a whole number"]),
        ("[feed]\nbatch_intervall_ms = 5\n", ["did you mean feed.batch_interval_ms?", "mine.toml"]),
        ("[feed.increment]\nenabled = true\n", ["did you mean feed.incremental.enabled?"]),
        ("[feeds]\nx = 1\n", ["no such setting", "mine.toml"]),
        ("[feed\n", ["cannot be read"]),
        ("feed = 5\n", ["feed"]),
    ],
)
def test_our_file_is_strict(tmp_path: Path, text: str, words: list[str]) -> None:
    own = tmp_path / "mine.toml"
    own.write_text(text)
    with pytest.raises(ConfigError) as caught:
        plain(files=[own])
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", Config.__struct_fields__)
def test_a_file_with_any_one_table_of_ours_is_ours(tmp_path: Path, name: str) -> None:
    """One with brokers only was refused: `trade` was no such setting."""
    file = tmp_path / "own.toml"
    text = 'kind = "diff"\nurl = "ws://127.0.0.1:9/ws/trade"\nbid = "paper"'
    tables = {"mode": 'mode = ["all"]', "trade": f"[trade.brokers.gate]\n{text}"}
    file.write_text(tables.get(name, f"[{name}]"))
    found = plain(files=[file])
    assert name != "trade" or found.config.trade.brokers["gate"].bid == "paper"


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"[1, 2]", b"{", b'"x"', b"[" * 5000, b"x" * (2 << 20)])
def test_unreadable_files_are_errors_of_the_user(tmp_path: Path, data: bytes) -> None:
    own = tmp_path / "mine.json"
    own.write_bytes(data)
    with pytest.raises(ConfigError, match=r"mine\.json|--config"):
        plain(files=[own])


def test_secrets_are_masked_everywhere() -> None:
    loaded = plain(sets=["source.ctp.brokers.x.password=hunter2", "source.upstream.password=hunter2"])
    assert loaded.config.source.ctp.brokers["x"].password.reveal() == "hunter2"
    assert "hunter2" not in repr(loaded.config)
    assert "hunter2" not in repr(loaded.rows())
    assert "source.ctp.brokers.x.password" in {key for key, _, _ in loaded.rows()}


def test_port_means_only_that_port_and_host_moves_the_defaults() -> None:
    only = plain(flags={"net.listen.port": (9000, "--port")}, sets=["net.listen=127.0.0.1:1,127.0.0.1:2"])
    assert [endpoint.text for endpoint in only.endpoints] == ["127.0.0.1:9000"]
    assert only.endpoints[0].required
    moved = plain(flags={"net.listen.host": ("::1", "--host")})
    assert moved.endpoints[1].text == "[::1]:8015"
    with pytest.raises(ConfigError, match="allow_remote"):
        plain(flags={"net.listen.host": ("0.0.0.0", "--host")})
    allowed = plain(flags={"net.listen.host": ("0.0.0.0", "--host")}, sets=["net.allow_remote=true"])
    assert allowed.endpoints[0].host == "0.0.0.0"


def test_files_are_found_in_the_documented_order(tmp_path: Path) -> None:
    def write(name: str, port: int) -> None:
        text = f'{{"brokers": {{}}, "rest_api": {{"host": "127.0.0.1", "port": {port}}}}}'
        (tmp_path / name).write_text(text)

    def first(**arguments: Any) -> int:
        return load(cwd=tmp_path, **arguments).endpoints[0].port

    assert first(env={}) == 8014
    write("qamdgateway.json", 1)
    assert first(env={}) == 1
    write("config.json", 2)
    assert first(env={}) == 2
    write("config_qq.json", 3)
    assert first(env={}, flags={"source.kinds": (["tencent"], "--source")}) == 3
    write("named.json", 4)
    assert first(env={"QAMDGATEWAY_CONFIG_PATH": "named.json"}) == 4
    whole = '{"brokers": {}, "rest_api": {"host": "127.0.0.1", "port": 5}}'
    assert first(env={"QAMDGATEWAY_CONFIG_PATH": "named.json", "QAMDGATEWAY_CONFIG": whole}) == 5
    with pytest.raises(ConfigError, match="QAMDGATEWAY_CONFIG_PATH"):
        first(env={"QAMDGATEWAY_CONFIG_PATH": "absent.json"})


def test_a_foreign_config_json_in_the_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"compilerOptions": {}}')
    loaded = load(cwd=tmp_path, env={})
    assert loaded.endpoints[0].port == 8014
    assert "ignored" in loaded.warnings[0]
    assert loaded.files == []


def test_own_file_in_the_directory_and_in_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".config" / "qautlra").mkdir(parents=True)
    (home / ".config" / "qautlra" / "qautlra.toml").write_text("[feed]\nmax_clients = 1\n")
    env = {"HOME": str(home)}
    assert load(cwd=tmp_path, env=env).config.feed.max_clients == 1
    (tmp_path / "qautlra.toml").write_text("[feed]\nmax_clients = 2\n")
    assert load(cwd=tmp_path, env=env).config.feed.max_clients == 2
