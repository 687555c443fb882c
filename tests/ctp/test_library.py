"""Without CTP's libraries: everything else works, and whoever asks is told what to install."""

import json
from pathlib import Path

import pytest

from qautlra.base.errors import ConfigError
from qautlra.cli.main import cli
from qautlra.cli.main import run as run_command
from qautlra.link import ctp_library


def findings(capsys: pytest.CaptureFixture[str], *sets: str) -> dict[str, dict[str, str]]:
    words = ["doctor", "--json", "--set", "net.listen=127.0.0.1:0"]
    for item in sets:
        words += ["--set", item]
    run_command(cli, words, "qautlra")
    report = json.loads(capsys.readouterr().out)
    return {found["name"]: found for found in report["findings"]}


def test_doctor_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(ctp_library, "PACKAGES", ("no-such-package-of-ctp",))
    with pytest.raises(ConfigError, match=r'pip install "qautlra\[ctp\]"'):
        ctp_library.find_libraries()
    missing = findings(capsys)["CTP libraries"]
    assert missing["state"] == "warn" and 'pip install "qautlra[ctp]"' in missing["do"]
    assert findings(capsys)["simulated CTP"]["state"] == "ok"
    named = findings(capsys, f"ctp.td_lib={tmp_path / 'none.so'}")["CTP libraries"]
    assert named["state"] == "bad" and "no such CTP library" in named["seen"]
    other = tmp_path / "other.so"
    other.write_bytes(b"no library at all")
    unread = findings(capsys, f"ctp.td_lib={other}", f"ctp.md_lib={other}")["CTP libraries"]
    assert unread["state"] == "bad" and unread["do"]
