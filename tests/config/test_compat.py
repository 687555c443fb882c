"""The specification's own files and variables, and which source they lead to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from qautlra.base.errors import ConfigError
from qautlra.config.choose import Choice, choose, listens_beside, not_in_force
from qautlra.config.load import Loaded, load

EXAMPLES = Path(__file__).resolve().parents[2] / "config" / "examples"
CLIENT = {
    "QADB_WS_CLIENT_ENABLED": "true",
    "QADB_WS_CLIENT_HOST": "localhost",
    "QADB_WS_CLIENT_PORT": "8014",
    "QADB_WS_CLIENT_PATH": "/ws/market",
    "QADB_WS_CLIENT_STREAM": "futures_market",
    "QADB_WS_CLIENT_INSTRUMENTS": "au2512,rb2512,IF2506",
}


def plain(**arguments: Any) -> Loaded:
    arguments.setdefault("env", {})
    arguments.setdefault("discover", False)
    return load(**arguments)


def ports(loaded: Loaded) -> list[int]:
    return [endpoint.port for endpoint in loaded.endpoints if endpoint.required]


def gateway(**changes: Any) -> dict[str, str]:
    data = json.loads((EXAMPLES / "config_ctp.json").read_text())
    return {"QAMDGATEWAY_CONFIG": json.dumps({**data, **changes})}


@pytest.mark.parametrize(
    ("name", "mark"), [("config_ctp.json", "default_broker"), ("qadb.json", "data_directory")]
)
def test_examples_are_the_specifications_blocks_byte_for_byte(shared: Path, name: str, mark: str) -> None:
    text = (shared / "specification.zh.md").read_text(encoding="utf-8")
    (block,) = [block for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL) if f'"{mark}"' in block]
    assert (EXAMPLES / name).read_text(encoding="utf-8") == block


def test_gateway_file() -> None:
    loaded = plain(files=[EXAMPLES / "config_ctp.json"])
    config = loaded.config
    assert ports(loaded) == [8014, 8015]
    assert {endpoint.host for endpoint in loaded.endpoints} == {"127.0.0.1"}
    assert config.net.market_path == "/ws/market"
    assert (config.feed.batch_interval_ms, config.feed.batch_size_threshold) == (100, 50)
    assert config.source.ctp.default_broker == "simnow724"
    assert config.source.ctp.brokers["simnow724"].broker_id == "9999"
    assert loaded.origin("feed.batch_interval_ms").endswith("incremental_updates.batch_interval_ms")
    assert [w for w in loaded.warnings if "0.0.0.0:8014" in w and "allow_remote" in w]
    choice = choose(loaded)
    assert choice.kinds == ("sim",)
    assert "SIMULATED" in choice.note
    assert "simnow724" in choice.note


def test_remote_hosts_are_kept_when_meant() -> None:
    loaded = plain(files=[EXAMPLES / "config_ctp.json"], sets=["net.allow_remote=true"])
    assert {endpoint.host for endpoint in loaded.endpoints if endpoint.required} == {"0.0.0.0"}


def test_store_file_and_both_files() -> None:
    loaded = plain(files=[EXAMPLES / "qadb.json"])
    store = loaded.config.store
    assert ports(loaded) == [8017, 8016]
    assert (store.data_dir, store.compression, store.retention_days) == ("", "zstd", 365)
    assert [w for w in loaded.warnings if "/path/to/data" in w]
    assert store.schema.cache_size == 100
    assert choose(loaded) == Choice(("sim",), is_virtual=True)
    both = plain(files=[EXAMPLES / "config_ctp.json", EXAMPLES / "qadb.json"])
    assert sorted(ports(both)) == [8014, 8015, 8016, 8017]
    assert both.config.store.retention_days == 365
    assert not next(e for e in both.endpoints if e.port == 8080).required


@pytest.mark.parametrize(
    ("name", "expected", "source"),
    [("config.json", [8011, 8012], "ctp"), ("config_qq.json", [8015, 8016], "tencent"),
     ("config_sina.json", [8011, 8012], "sina")],
)  # fmt: skip
def test_seed_variants(name: str, expected: list[int], source: str) -> None:
    loaded = plain(files=[EXAMPLES / name])
    assert ports(loaded) == expected
    assert loaded.config.feed.default_instruments == ["au2512", "rb2512", "IF2506"]
    assert loaded.config.net.cors.allow_all
    note = choose(loaded).note
    assert "SIMULATED" in note
    assert ("credentials" if source == "ctp" else f"--source {source}") in note


def test_real_credentials_are_not_answered_with_simulated_data() -> None:
    brokers = {"mine": {"front_addr": "tcp://1.2.3.4:1", "user_id": "012345", "password": "hunter2"}}
    loaded = plain(env=gateway(brokers=brokers, default_broker="mine"))
    assert choose(loaded) == Choice(("ctp",))
    site = {"mine": brokers["mine"] | {"source_type": "qq"}}
    with pytest.raises(ConfigError, match="tencent source takes none") as caught:
        choose(plain(env=gateway(brokers=site, default_broker="mine")))
    assert "hunter2" not in str(caught.value)
    asked = plain(
        env=gateway(brokers=brokers, default_broker="mine"), flags={"source.kinds": (["sim"], "--source")}
    )
    assert choose(asked) == Choice(("sim",), is_virtual=True)


def test_gateway_traps() -> None:
    with pytest.raises(ConfigError, match="Broker config not found: other"):
        plain(env=gateway(default_broker="other"))
    with pytest.raises(ConfigError, match=r"feed.batch_interval_ms.*incremental_updates"):
        plain(env=gateway(incremental_updates={"batch_interval_ms": 0}))
    with pytest.raises(ConfigError, match="a port as a whole number"):
        plain(env=gateway(rest_api={"host": "0.0.0.0", "port": "8015"}))
    with pytest.raises(ConfigError, match=r"net\.listen"):
        plain(env=gateway(rest_api={"host": "0.0.0.0", "port": 99999}))
    loaded = plain(env=gateway(incremental_update={"enabled": False}, log_level="warn"))
    assert [w for w in loaded.warnings if "incremental_update.enabled" in w and "did you mean" in w]
    assert loaded.config.log.level == "warning"


def test_store_variables() -> None:
    loaded = plain(env={"QADB_DATA_DIR": "/data/x", "P_ADDR": "0.0.0.0:18000", "P_QUERY_MEMORY_LIMIT": "0.5",
                        "P_PARQUET_COMPRESSION_ALGO": "lz4_raw", "P_GRPC_PORT": "1", "QADB_BOGUS": "1",
                        "RUST_LOG": "qamdgateway=debug,warn", "QADB_WEBSOCKET_ENABLED": "true"})  # fmt: skip
    assert loaded.config.store.data_dir == "/data/x"
    assert loaded.config.store.compression == "lz4"
    assert loaded.config.store.query_memory_bytes == 1 << 29
    assert loaded.config.log.level == "warning"
    assert ports(loaded) == [18000, 18003]
    assert loaded.origin("store.data_dir") == "environment QADB_DATA_DIR"
    enabled = plain(env={"QADB_WEBSOCKET_ENABLED": "true", "QADB_WEBSOCKET_ADDRESS": "127.0.0.1"})
    assert ports(enabled) == [8014, 18003]
    assert len(enabled.endpoints) == 7
    assert [w for w in loaded.warnings if "QADB_BOGUS" in w]
    assert [w for w in loaded.warnings if "P_GRPC_PORT" in w]
    mistyped = plain(env={"P_ADDR": "127.0.0.1:18000", "P_KAFKA_CONSUMER_TOPIC": "ticks"})
    (warning,) = mistyped.warnings
    assert "P_KAFKA_CONSUMER_TOPIC is not a known setting" in warning
    assert "did you mean P_KAFKA_CONSUMER_TOPICS" in warning
    assert plain(env={"P_SOMETHING": "of another program", "P_ADDRESS": "1"}).warnings == []


def test_precedence_of_the_two_worlds(tmp_path: Path) -> None:
    env = {"QADB_DATA_DIR": "/from/env", "QAUTLRA__STORE__DATA_DIR": "/ours"}
    assert plain(files=[EXAMPLES / "qadb.json"], env=env).config.store.data_dir == "/ours"
    env.pop("QAUTLRA__STORE__DATA_DIR")
    assert plain(files=[EXAMPLES / "qadb.json"], env=env).config.store.data_dir == "/from/env"


def test_example_login_is_never_accepted() -> None:
    loaded = plain(env={"P_USERNAME": "admin", "P_PASSWORD": "admin"})
    assert not loaded.config.auth.password
    assert [w for w in loaded.warnings if "never accepted" in w]
    assert plain(env={"P_USERNAME": "admin", "P_PASSWORD": "k3-9xq"}).config.auth.password


def test_upstream_is_this_process_or_another() -> None:
    choice = choose(plain(env=CLIENT))
    assert choice.kinds == ("sim",)
    assert "SIMULATED" in choice.note
    assert choose(plain(env=CLIENT, sets=["source.replay.files=a.csv"])) == Choice(
        ("replay",), is_virtual=True
    )
    assert plain(env=CLIENT).config.source.upstream.instruments == ["au2512", "rb2512", "IF2506"]
    for other in ({"QADB_WS_CLIENT_PORT": "9999"}, {"QADB_WS_CLIENT_HOST": "feed.example"}):
        assert choose(plain(env=CLIENT | other)) == Choice(("upstream",))
    assert choose(plain(sets=["source.upstream.url=ws://feed.example/ws"])) == Choice(("upstream",))
    assert choose(plain(sets=["source.upstream.url=ws://127.0.0.1:8014/ws"])).kinds == ("sim",)
    with pytest.raises(ConfigError, match="cannot be its own source"):
        choose(plain(sets=["source.kinds=upstream"]))
    with pytest.raises(ConfigError, match="not the URL of a feed"):
        choose(plain(sets=["source.upstream.url=http://feed.example"]))


def test_the_clock_of_a_feed_is_taken_over_alone() -> None:
    sets = ["source.upstream.url=ws://feed.example/ws", "source.upstream.clock=feed"]
    assert choose(plain(sets=sets)) == Choice(("upstream",), is_virtual=True)
    with pytest.raises(ConfigError, match="stands alone"):
        choose(plain(sets=[*sets, "source.kinds=upstream,sina"]))
    assert choose(plain(sets=["source.upstream.clock=feed"])).kinds == ("sim",)


def test_upstream_by_url() -> None:
    loaded = plain(env={"QAMDGATEWAY_CONFIG": '{"rest_api": {"host": "127.0.0.1", "port": 9001}, '
                        '"websocket": {"market_ws": "ws://localhost:8014/ws/market"}}'})  # fmt: skip
    assert loaded.config.source.upstream.address == "ws://localhost:8014/ws/market"
    assert choose(loaded) == Choice(("upstream",))
    named = plain(env=CLIENT | {"QADB_WS_CLIENT_HOST": "::1"}).config.source.upstream
    assert named.address == "ws://[::1]:8014/ws/market"


def test_a_process_without_a_feed_leaves_the_address_to_the_feed() -> None:
    store_only = frozenset({"source", "store"})
    loaded = plain(env=CLIENT)
    choice = choose(loaded, store_only)
    assert choice == Choice(("upstream",))
    assert 8014 not in [endpoint.port for endpoint in listens_beside(loaded, choice)]
    assert 8015 in [endpoint.port for endpoint in listens_beside(loaded, choice)]
    with pytest.raises(ConfigError, match="has no feed"):
        choose(plain(env=CLIENT, sets=["net.listen=127.0.0.1:8014"]), store_only)


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (["source.kinds=sim,replay", "source.replay.files=a.csv"], "stand alone"),
        (["source.kinds=replay"], "source.replay.files"),
        (["source.kinds=ctp"], "no CTP front"),
        (["source.kinds=sim,upstream"], "stand alone"),
    ],
)
def test_impossible_sources(sets: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        choose(plain(sets=sets))


def test_files_to_replay_choose_the_replay() -> None:
    assert choose(plain(sets=["source.replay.files=a.csv"])) == Choice(("replay",), is_virtual=True)
    assert choose(plain(sets=["source.kinds="])) == Choice(())


def test_what_this_build_does_not_do_is_said() -> None:
    assert not_in_force(plain()) == []
    assert not_in_force(plain(files=[EXAMPLES / "qadb.json"])) == []
    (warning,) = not_in_force(plain(sets=["net.allow_remote=true", "net.listen=0.0.0.0:1"]))
    assert "0.0.0.0:1" in warning


def test_a_store_alone_takes_nothing_in_unasked() -> None:
    alone = frozenset({"source", "store", "query"})
    assert choose(plain(), alone).kinds == ()
    assert "no source" in choose(plain(), alone).note
    assert choose(plain(env=CLIENT), alone).kinds == ("upstream",)
    assert choose(plain(sets=["source.kinds=sim"]), alone) == Choice(("sim",), is_virtual=True)
    assert choose(plain(files=[EXAMPLES / "config_ctp.json"]), alone).kinds == ()
    assert choose(plain(), frozenset({"store", "query"})) == Choice(())
