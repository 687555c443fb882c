"""Golden texts of the market socket: what each client message decodes to, and each reply byte for byte."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qautlra.wire import diff, legacy
from qautlra.wire.market import BadMessage, Dialect, decode

CLIENT_MESSAGES: list[tuple[str, Dialect, Any]] = [
    (
        '{"aid":"subscribe_quote","ins_list":"au2512,rb2512,IF2506"}',
        Dialect.DIFF,
        diff.SubscribeQuote("au2512,rb2512,IF2506"),
    ),
    (
        '{"aid":"subscribe_quote","data_type":"MARKET","ins_list":"au2512"}',
        Dialect.DIFF,
        diff.SubscribeQuote("au2512"),
    ),
    ('{"aid":"subscribe_quote"}', Dialect.DIFF, diff.SubscribeQuote(None)),
    ('{"aid":"subscribe_quote","ins_list":null}', Dialect.DIFF, diff.SubscribeQuote(None)),
    ('{"aid":"unsubscribe_quote","ins_list":"au2512"}', Dialect.DIFF, diff.UnsubscribeQuote("au2512")),
    ('{"aid":"peek_message"}', Dialect.DIFF, diff.PeekMessage()),
    ('{"aid":"ping"}', Dialect.DIFF, diff.Ping()),
    (
        '{"aid":"set_chart","chart_id":"c1","ins_list":"SHFE.au2512","duration":60000000000,"view_width":3}',
        Dialect.DIFF,
        diff.SetChart("c1", "SHFE.au2512", 60_000_000_000, 3),
    ),
    (
        '{"aid":"subscribe_trading_status","ins_list":"SHFE.au2512"}',
        Dialect.DIFF,
        diff.SubscribeTradingStatus("SHFE.au2512"),
    ),
    (
        '{"type":"subscribe","payload":{"instruments":["au2512"]}}',
        Dialect.GATEWAY,
        legacy.Subscribe(legacy.Names(["au2512"])),
    ),
    (
        '{"type":"unsubscribe","payload":{"instruments":[]}}',
        Dialect.GATEWAY,
        legacy.Unsubscribe(legacy.Names([])),
    ),
    ('{"type":"subscriptions"}', Dialect.GATEWAY, legacy.Subscriptions()),
    ('{"type":"auth","payload":{"token":"x"}}', Dialect.GATEWAY, legacy.Auth()),
    ('{"type":"ping"}', Dialect.GATEWAY, legacy.Ping()),
    ('{"op":"subscribe","symbols":["au2512"]}', Dialect.CORE, legacy.CoreSubscribe(["au2512"])),
    ('{"op":"unsubscribe","symbols":["au2512"]}', Dialect.CORE, legacy.CoreUnsubscribe(["au2512"])),
    ('{"action":"subscribe","instruments":["au2512"]}', Dialect.QO, legacy.QoSubscribe(["au2512"])),
    ('{"action":"unsubscribe","instruments":["au2512"]}', Dialect.QO, legacy.QoUnsubscribe(["au2512"])),
    ('{"action":"list_instruments"}', Dialect.QO, legacy.QoListInstruments()),
    ('{"action":"search_instruments","pattern":"au"}', Dialect.QO, legacy.QoSearchInstruments("au")),
]


@pytest.mark.parametrize(("text", "dialect", "command"), CLIENT_MESSAGES, ids=lambda v: str(v)[:40])
def test_client_messages(text: str, dialect: Dialect, command: Any) -> None:
    assert decode(text) == (dialect, command)


@pytest.mark.parametrize(
    ("text", "dialect", "message"),
    [
        ("{not json", None, "Invalid message format: "),
        ("", None, "Invalid message format: "),
        ("[1]", None, "Invalid message format: Expected `object`"),
        ('"peek_message"', None, "Invalid message format: Expected `object`"),
        ("null", None, "Invalid message format: "),
        ('{"aid":5}', None, "Invalid message format: "),
        ('{"aid":"\\ud800"}', None, "Invalid message format: "),
        ('{"hello":1}', None, "Invalid message format: no `aid`"),
        ('{"a":' * 20_000 + "1" + "}" * 20_000, None, "Invalid message format: "),
        ('{"aid":"req_login"}', Dialect.DIFF, "Unknown message type: req_login"),
        ('{"aid":"subscribe_quote","ins_list":7}', Dialect.DIFF, "Invalid message format: "),
        ('{"aid":"ins_query","query":""}', Dialect.DIFF, "Invalid message format: "),
        ('{"type":"hello"}', Dialect.GATEWAY, "Unknown message type"),
        ('{"type":"subscribe"}', Dialect.GATEWAY, "Invalid message format: "),
        ('{"type":"subscribe","payload":{"instruments":"au"}}', Dialect.GATEWAY, "Invalid message format: "),
        ('{"op":"fly"}', Dialect.CORE, "Unknown operation"),
        ('{"op":"subscribe"}', Dialect.CORE, "Invalid message format: "),
        ('{"action":"fly"}', Dialect.QO, "Unknown action: fly"),
        ('{"action":"subscribe"}', Dialect.QO, "Missing or invalid 'instruments' field"),
        ('{"action":"search_instruments","pattern":1}', Dialect.QO, "Missing or invalid 'pattern' field"),
    ],
)
def test_bad_messages_say_why(text: str, dialect: Dialect | None, message: str) -> None:
    found, command = decode(text)
    assert isinstance(command, BadMessage)
    assert command.dialect is dialect
    assert command.text.startswith(message)
    assert found is dialect


@given(st.text(max_size=200) | st.recursive(st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)))
def test_any_text_decodes_to_something(value: Any) -> None:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    _, command = decode(text)
    assert command is not None


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (
            legacy.greeting("2f6d"),
            '{"type":"system","payload":{"message":"Connected to QAMD Gateway WebSocket. Session ID: 2f6d"}}',
        ),
        (legacy.subscribed(2), '{"type":"system","payload":{"message":"Subscribed to 2 instruments"}}'),
        (
            legacy.unsubscribed(1),
            '{"type":"system","payload":{"message":"Unsubscribed from 1 instruments"}}',
        ),
        (legacy.subscriptions(["au2512"]), '{"type":"subscriptions","payload":{"instruments":["au2512"]}}'),
        (
            legacy.system(legacy.NO_AUTHENTICATION),
            '{"type":"system","payload":{"message":"Authentication not implemented"}}',
        ),
        (legacy.PONG, '{"type":"pong"}'),
        (
            legacy.error(legacy.NO_INSTRUMENTS),
            '{"type":"error","payload":{"message":"No instruments specified"}}',
        ),
        (legacy.error(legacy.UNKNOWN_TYPE), '{"type":"error","payload":{"message":"Unknown message type"}}'),
        (legacy.CORE_SUBSCRIBED, '{"data":"Subscribed","topic":"subscribe","code":200}'),
        (legacy.CORE_UNSUBSCRIBED, '{"data":"Unsubscribed","topic":"unsubscribe","code":200}'),
        (
            legacy.core_error(legacy.CORE_UNKNOWN),
            '{"data":"Unknown operation","topic":"error","code":400}',
        ),
        (
            legacy.qo_welcome("s", True, 7),
            '{"type":"welcome","message":"Connected to QuantAxis MarketData Server",'
            '"session_id":"s","ctp_connected":true,"timestamp":7}',
        ),
        (legacy.qo_subscribed(3), '{"type":"subscribe_response","status":"success","subscribed_count":3}'),
        (
            legacy.qo_unsubscribed(0),
            '{"type":"unsubscribe_response","status":"success","subscribed_count":0}',
        ),
        (
            legacy.qo_instruments(["SHFE.au2512"]),
            '{"type":"instrument_list","instruments":["SHFE.au2512"],"count":1}',
        ),
        (
            legacy.qo_found("au", ["SHFE.au2512"]),
            '{"type":"search_result","pattern":"au","instruments":["SHFE.au2512"],"count":1}',
        ),
        (legacy.qo_error("no", 7), '{"type":"error","message":"no","timestamp":7}'),
        (diff.PONG, '{"aid":"pong"}'),
        (diff.subscribed("au2512, rb2512"), '{"aid":"rsp_subscribe_quote","ins_list":"au2512, rb2512"}'),
        (diff.subscription_list(["a", "b"]), '{"aid":"rsp_peek_message","ins_list":"a,b"}'),
    ],
    ids=lambda v: str(v)[:40],
)
def test_replies(made: bytes, text: str) -> None:
    assert made.decode() == text


def test_split_keeps_what_belongs_to_a_name() -> None:
    assert diff.split("DCE.SP a1709&a1801, SHFE.au2512,,SHFE.au2512, ") == [
        "DCE.SP a1709&a1801",
        "SHFE.au2512",
    ]
    assert diff.split(None) == diff.split("") == diff.split(",,") == []


def test_root_of_the_first_answer() -> None:
    root = diff.Root()
    assert not root
    assert root.take() == b""
    root.history_complete("")
    assert root.take() == b'{"ins_list":"","mdhis_more_data":false}'
    assert not root


def test_root_keeps_the_last_list_and_all_notices() -> None:
    root = diff.Root()
    root.echo("a")
    root.echo('b,"\u6c89')
    root.notice("n1", "WARNING", 404, "x")
    assert orjson.loads(root.take()) == {
        "ins_list": 'b,"\u6c89',
        "notify": {"n1": {"type": "MESSAGE", "level": "WARNING", "code": 404, "content": "x"}},
    }


def test_root_is_bounded() -> None:
    root = diff.Root()
    for i in range(1000):
        root.notice(f"n{i}", "INFO", 1, "x")
    assert len(orjson.loads(root.take())["notify"]) == diff.Root.MAX_PARTS_COUNT
    query = [diff.InsQuery(query_id=f"q{i}", query="{}") for i in range(diff.Root.MAX_PARTS_COUNT + 1)]
    assert [root.instruments(q, [], "") for q in query].count(False) == 1


def test_instrument_query_is_answered_and_released() -> None:
    root = diff.Root()
    text = '{"aid":"ins_query","query_id":"q1","query":"query { a }","variables":{"x":[1]}}'
    root.instruments(decode(text)[1], [], "why")
    assert orjson.loads(root.take()) == {
        "symbols": {
            "q1": {
                "query_id": "q1",
                "query": "query { a }",
                "variables": {"x": [1]},
                "error": [{"message": "why"}],
                "result": {"multi_symbol_info": []},
            }
        }
    }
    root.instruments(decode('{"aid":"ins_query","query_id":"q1","query":""}')[1], [], "why")
    assert root.take() == b'{"symbols":{"q1":null}}'


def test_chart_is_answered_with_its_whole_request() -> None:
    root = diff.Root()
    text = '{"aid":"set_chart","chart_id":"c1","ins_list":"A,B","duration":60000000000,"view_width":3,"x":1}'
    root.empty_chart(decode(text)[1], text)
    answer = orjson.loads(root.take())
    assert answer["charts"]["c1"] == {
        "state": orjson.loads(text),
        "left_id": -1,
        "right_id": -1,
        "more_data": False,
        "ready": True,
    }
    assert answer["klines"] == {
        "A": {"60000000000": {"last_id": -1, "data": {}}},
        "B": {"60000000000": {"last_id": -1, "data": {}}},
    }
    assert answer["mdhis_more_data"] is False
    root.empty_chart(decode('{"aid":"set_chart","chart_id":"c1","ins_list":""}')[1], "")
    assert orjson.loads(root.take())["charts"] == {"c1": None}
