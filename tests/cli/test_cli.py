"""The command line from the outside: help, exit codes, errors for people and for machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qautlra.cli.language import is_chinese
from qautlra.cli.main import cli, run
from tests.conftest import PRODUCT, ROOT

EXAMPLES = ROOT / "config" / "examples"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("QAUTLRA__", "QADB_", "QAMDGATEWAY_", "P_", "RUST_LOG")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def call(*arguments: str) -> int:
    return run(cli, list(arguments), "qautlra")


def test_help_names_every_command_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--help") == 0
    text = capsys.readouterr().out
    for name in ("serve", "config", "doctor", "data", "bench"):
        assert f"\n  {name} " in text
    script = "import sys, qautlra.cli.main; print('aiohttp' in sys.modules, 'pyarrow' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": PRODUCT}
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert out.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("command", ["serve", "config", "doctor", "bench", "data"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(command, "--help") == 0
    assert "Usage: qautlra " + command in capsys.readouterr().out


def test_language_follows_the_locale() -> None:
    assert is_chinese({"LANG": "zh_CN.UTF-8"})
    assert not is_chinese({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"})
    assert not is_chinese({})
    environment = {**os.environ, "PYTHONPATH": PRODUCT, "LC_ALL": "zh_CN.UTF-8", "PYTHONUTF8": "1"}
    out = subprocess.run(
        [sys.executable, "-m", "qautlra", "serve", "--help"],
        capture_output=True, encoding="utf-8", env=environment, check=True,
    ).stdout  # fmt: skip
    assert "用法" in out
    assert "选项" in out
    assert "回放速度" in out
    for arguments, words in (
        (["serve", "--prot", "1"], "没有选项 --prot（是否指 --host、--port？）"),
        (["data", "export"], "缺少参数 '--out'"),
        (["data", "query", "--limit", "x"], "'--limit' 的值无效"),
        (["nosuch"], "没有命令 'nosuch'"),
    ):
        failed = subprocess.run(
            [sys.executable, "-m", "qautlra", *arguments],
            capture_output=True, encoding="utf-8", env=environment, check=False,
        )  # fmt: skip
        assert failed.returncode == 2
        assert f"错误：{words}" in failed.stderr
        assert "Try" not in failed.stderr and "Error" not in failed.stderr


def test_usage_errors_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("nosuch") == 2
    assert call("serve", "--nosuch") == 2
    assert call("config", "show", "--set", "feed.batch_interval_ms=0") == 2
    error = capsys.readouterr().err
    assert "feed.batch_interval_ms" in error
    assert "from 1 to 60000" in error


def test_errors_for_machines_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("config", "show", "--json", "--set", "feed.nosuch=1") == 2
    report = json.loads(capsys.readouterr().out)
    assert report["code"] == "config"
    assert "feed.nosuch" in report["error"]


def test_config_show_prints_what_config_files_may_hold(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert call("config", "show", "--origin", "--set", "feed.max_clients=7") == 0
    text = capsys.readouterr().out
    assert "max_clients = 7" in text
    assert "# --set feed.max_clients" in text
    copy = tmp_path / "copy.toml"
    copy.write_text(text)
    assert call("config", "check", str(copy)) == 0
    assert call("config", "show", "--json", "--set", "source.ctp.brokers.x.password=hunter2") == 0
    shown = capsys.readouterr().out
    assert "hunter2" not in shown
    assert json.loads(shown[shown.index("{") :])["feed"]["batch_interval_ms"] == 100


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.json")))
def test_config_check_accepts_the_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("config", "check", str(EXAMPLES / name), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"]
    assert report["sources"] == ["sim"]
    assert all(text.startswith("127.0.0.1:") for text in report["listen"])


def test_config_check_refuses_a_bad_file_with_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"brokers": {}, "default_broker": "x"}')
    assert call("config", "check", str(bad)) == 1
    assert "Broker config not found: x" in capsys.readouterr().err


def test_doctor_reports_each_thing(capsys: pytest.CaptureFixture[str]) -> None:
    call("doctor", "--json", "--set", "net.listen=127.0.0.1:0")
    report = json.loads(capsys.readouterr().out)
    names = {finding["name"] for finding in report["findings"]}
    assert {
        "python",
        "core",
        "uvloop",
        "clock",
        "trading calendar",
        "open files",
        "data directory",
        "free disk",
    } <= names
    assert all(finding["do"] for finding in report["findings"] if finding["state"] == "bad")


def test_doctor_survives_a_bad_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("doctor", "--json", "--set", "feed.nosuch=1") == 1
    report = json.loads(capsys.readouterr().out)
    assert not report["ok"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--mode", "realtime"], "not part of this build"),
        (["--mode", "everything"], "one of"),
        (["--source", "nosuch"], "one of"),
        (["--source", "sim,replay", "--replay", "x.csv"], "stand alone"),
        (["--source", "replay"], "nothing to replay"),
        (["--host", "0.0.0.0"], "net.allow_remote"),
        (["--port", "70000"], "0 to 65535"),
        (["--config", "absent.toml"], "absent.toml"),
        (["--speed", "fast", "--replay", "x.csv"], "source.replay.speed"),
    ],
)
def test_serve_refuses_what_it_cannot_do(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("serve", *arguments) == 2
    assert words in capsys.readouterr().err


def test_a_ctp_source_needs_a_front(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("serve", "--source", "ctp") == 1
    assert "source.ctp.brokers" in capsys.readouterr().err


def test_bench_lists_and_refuses_unknown_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("bench", "--list") == 0
    assert call("bench", "nosuch") == 2
    assert "nosuch" in capsys.readouterr().err


def test_the_original_store_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    from qautlra.cli.aliases import database

    assert run(database, ["--bogus"], "qadb-rs") == 2
    assert "unexpected argument '--bogus' found" in capsys.readouterr().err
    assert run(database, ["blob-store"], "qadb-rs") == 2
    assert "not part of this build" in capsys.readouterr().err
    assert run(database, ["s3-store", "--region", "x"], "qadb-rs") == 2
    assert "P_S3_URL, P_S3_BUCKET must be given" in capsys.readouterr().err
    assert run(database, ["--address", "nonsense"], "qadb-rs") == 1
    assert "P_ADDR" in capsys.readouterr().err


def test_the_store_listens_beside_a_gateway() -> None:
    from qautlra.cli.aliases import database_endpoints
    from qautlra.config.load import load

    alone = database_endpoints(load(env={}, discover=False))
    assert not any(e.required for e in alone)  # a gateway may have taken any of them
    assert alone[0].port == 8017
    assert {8014, 8080, 18000} <= {e.port for e in alone}
    told = database_endpoints(load(env={"P_ADDR": "127.0.0.1:9000"}, discover=False))
    assert [e.port for e in told if e.required] == [9000]
    both = database_endpoints(load(env={"QADB_WEBSOCKET_ENABLED": "1"}, discover=False))
    assert [e.port for e in both if e.required] == [18003]
