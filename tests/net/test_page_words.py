"""The page knows in English every Chinese word the server says of orders, transfers, risk and conditions.

And in Chinese what the description of the doors says in English.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tools import api_types

from qautlra.model import codes, condition
from qautlra.trade import alerts
from qautlra.wire import trade_errors

ROOT = Path(__file__).resolve().parents[2]
WORDS = ROOT / "web" / "src" / "i18n" / "server-words.ts"
HAN = re.compile(r"[\u4e00-\u9fff]")
SAY = ["trade/engine.py", "trade/conditional.py", "trade/brokers/base.py", "trade/service.py"]
SAY += ["net/trade_session.py", "net/trade_packets.py", "net/trade_channel.py", "wire/trade.py"]


def said() -> Iterator[str]:
    """Every sentence, or part of one, with a value in place of what is put in."""
    yield from (code.text for code in codes.table().values())
    yield from condition.TEXTS.values()
    yield from (error.zh for error in trade_errors.TABLE.values())
    for kind in ("level_escalation", "near_liquidation", "liquidation_triggered", "margin_insufficient"):
        for level in alerts.LEVELS:
            yield alert(kind, level)
    yield from (alert(kind, "low") for kind in ("negative_available", "daily_loss", "many_cancels"))
    for name in SAY:
        for node in ast.walk(ast.parse((ROOT / "src" / "qautlra" / name).read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    native = (ROOT / "src" / "_core" / "exchange" / "words.cpp").read_text()
    yield from re.findall(r'"([^"\n]*)"', native)


def alert(kind: str, level: str) -> str:
    return alerts.Alert(
        alert_id="1", account_id="a", trading_day=20261130, kind=kind, level=level, risk_ratio=0.9,
        balance=1.0, available=1.0, ts_ns=1,
    ).text  # fmt: skip


def test_every_word_the_server_says_is_known_in_english() -> None:
    known = set(re.findall(r'"?([^\s",]*[\u4e00-\u9fff][^",]*?)"?: "', WORDS.read_text()))
    parts = {part for text in said() for part in re.split("[,:]", text) if HAN.search(part)}
    assert len(parts) > 100
    assert parts - known == set()


def test_all_that_is_said_of_the_doors_is_known_in_chinese() -> None:
    words = (WORDS.parent / "door-words.ts").read_text()
    pairs = re.findall(r'(?:"((?:[^"\\]|\\.)*)"|(\b[\w]+)): "([^"]*)"', words)
    known = {quoted or bare: chinese for quoted, bare, chinese in pairs}
    doors = [door for methods in api_types.document()["paths"].values() for door in methods.values()]
    told = {door["summary"] for door in doors}
    told |= {reply["description"] for door in doors for reply in door["responses"].values()}
    asked = {one.get("description") or "" for door in doors for one in door.get("parameters", ())}
    # an example, or a list of words that can be said, is alike in every language
    told |= {text for text in asked if not re.fullmatch(r"|[\w.]+(, [\w.]+)+|[\w]+='.*", text)}
    assert len(told) > 150
    assert told - known.keys() == set()
    assert known.keys() - told == set()
    lists = {text for text in asked if " or " in text}  # of words that can be said, as well
    assert {text for text, chinese in known.items() if not HAN.search(chinese)} <= lists
