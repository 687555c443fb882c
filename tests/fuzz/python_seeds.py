"""Seeds of the Python fuzz targets: one of every form that is understood, and of those that just are not."""

from __future__ import annotations

import zlib


def frame(first: int, payload: bytes, mask: bytes = b"\x01\x02\x03\x04") -> bytes:
    """Return a client's frame."""
    size = len(payload)
    head = bytes((first, 0x80 | size)) if size < 126 else bytes((first, 0xFE)) + size.to_bytes(2, "big")
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def _deflated(text: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


MESSAGES = [
    b'{"aid":"subscribe_quote","ins_list":"IF2101,SHFE.au2106"}',
    b'{"aid":"subscribe_quote","ins_list":""}',
    b'{"aid":"unsubscribe_quote","ins_list":"IF2101"}',
    b'{"aid":"peek_message"}',
    b'{"aid":"ping"}',
    b'{"aid":"set_chart","chart_id":"c","ins_list":"IF2101","duration":60000000000,"view_width":100}',
    b'{"aid":"set_chart","chart_id":"c","ins_list":"IF2101,au2106","duration":0,"view_width":9,"left_kline_id":5}',
    b'{"aid":"set_chart","chart_id":"c","ins_list":"","duration":0,"view_width":0,"focus_datetime":1,"focus_position":2}',
    b'{"aid":"ins_query","query_id":"q","query":"query{multi_symbol_info(class:[FUTURE]){instrument_id}}","variables":{}}',
    b'{"aid":"ins_query","query_id":"q","query":""}',
    b'{"aid":"subscribe_trading_status","ins_list":"IF2101"}',
    b'{"aid":"req_login","user_name":"u"}',
    b'{"type":"subscribe","payload":{"instruments":["IF2101"]}}',
    b'{"type":"unsubscribe","payload":{"instruments":["IF2101"]}}',
    b'{"type":"subscriptions"}',
    b'{"type":"auth","payload":{"token":"x"}}',
    b'{"type":"ping"}',
    b'{"op":"subscribe","symbols":["IF2101","SHFE.au2106"]}',
    b'{"op":"unsubscribe","symbols":["IF2101"]}',
    b'{"action":"subscribe","instruments":["IF2101"]}',
    b'{"action":"unsubscribe","instruments":["IF2101"]}',
    b'{"action":"list_instruments"}',
    b'{"action":"search_instruments","pattern":"au"}',
    b"[]",
    b"null",
    b"{",
    b'{"aid":1,"type":2}',
    '{"aid":"subscribe_quote","ins_list":"沪金"}'.encode(),
]
WS_STREAMS = [
    *(frame(0x81, message) for message in MESSAGES[:6]),
    frame(0x01, b'{"aid":') + frame(0x89, b"hi") + frame(0x80, b'"ping"}'),
    frame(0x82, b"\x00\x01") + frame(0x8A, b"") + frame(0x88, b"\x03\xe8bye"),
    frame(0x81, "沪金".encode()) + frame(0x81, b"\xff"),
    frame(0x81, b"x" * 200) + frame(0x01, b"x" * 3000) + frame(0x80, b"x" * 3000),
    frame(0xC1, _deflated(b'{"aid":"peek_message"}')) + frame(0x41, b"") + frame(0x80, b"\x00"),
    frame(0xC1, _deflated(b"x" * 50_000)),
    frame(0x88, b""),
    frame(0x88, b"\x03"),
    frame(0x88, b"\x03\xed"),
    b"\x81\xff" + (1 << 63).to_bytes(8, "big") + bytes(4),
    b"".join(frame(0x01 if n == 0 else 0x00, b"") for n in range(1100)),
    b"\x81\x05hello",
]
OFFERS = [
    b"permessage-deflate; client_max_window_bits",
    b"permessage-deflate; server_max_window_bits=10; server_no_context_takeover, permessage-deflate",
    b'x, permessage-deflate; client_max_window_bits="12"; client_no_context_takeover',
]
QUERIES = [
    b'query { multi_symbol_info(instrument_id: ["SHFE.au2512", "IF2101"]) { ... on basic { class } } }',
    b'query($a: [String]) { multi_symbol_info(instrument_id: $a, expired: false) { x } }\0{"a":["IF2101"]}',
    b"query { symbol_info(class: FUTURE, exchange_id: [SHFE DCE], has_night: true) { x } }\0{}",
    b"query { multi_symbol_info { x } }\0null",
    b"query { other(x: 1) { y } }\0[1]",
]
FEED_FRAMES = [
    b'{"aid":"rtn_data","data":[{"quotes":{"CFFEX.IF2101":{"instrument_id":"CFFEX.IF2101","datetime":'
    b'"2021-01-04 09:30:00.500000","last_price":5240.2,"volume":10,"bid_price1":5240.0,"bid_volume1":3,'
    b'"ask_price1":"-","ask_volume1":0,"open_interest":1.5e5}}},{"ins_list":"IF2101"}]}',
    b'{"aid":"rtn_data","data":[{"quotes":{"au2106":{"datetime":1609723800500,"last_price":390.02,"high":null}}}]}',
    b'{"aid":"rtn_data","data":{"quotes":{"SHFE.au2106":null}}}',
    b'{"aid":"rtn_data","data":[{"quotes":null}]}',
    b'{"aid":"rsp_peek_message","ins_list":"a"}',
    b'{"type":"error","payload":{"message":"no"}}',
    b'{"type":"system","payload":{"message":"hello"}}',
]


def amqp_frame(kind: int, channel: int, payload: bytes) -> bytes:
    """Return a broker's frame."""
    return bytes((kind, 0, channel)) + len(payload).to_bytes(4, "big") + payload + b"\xce"


def _amqp_message(body: bytes, *, channel: int = 2, flags: int = 0, properties: bytes = b"") -> bytes:
    method = b"\x00\x3c\x00\x3c\x01q" + (1 << 40).to_bytes(8, "big") + b"\x01\x0eQAORDER_ROUTER\x06acc001"
    header = b"\x00\x3c\x00\x00" + len(body).to_bytes(8, "big") + flags.to_bytes(2, "big") + properties
    parts = [body[at : at + 200] for at in range(0, len(body), 200)]
    frames = [amqp_frame(1, channel, method), amqp_frame(2, channel, header)]
    return b"".join([*frames, *(amqp_frame(3, channel, part) for part in parts)])


AMQP_STREAMS = [
    _amqp_message(b'{"topic":"sendorder"}', flags=0x9080, properties=b"\x0atext/plain\x01\x02m1"),
    _amqp_message(b"") + _amqp_message(b"x" * 500) + amqp_frame(8, 0, b""),
    _amqp_message(
        b"y",
        flags=0xFFF8,
        properties=b"\x01c\x01e\x00\x00\x00\x04\x01at\x01\x02\x03\x01c\x01r\x019\x02id"
        b"\x00\x00\x00\x00\x65\x00\x00\x00\x01t\x01u\x01a",
    ),
    _amqp_message(b"other", channel=3) + amqp_frame(1, 1, b"\x00\x3c\x00\x0b") + _amqp_message(b"ours"),
    amqp_frame(1, 2, b"\x00\x3c\x00\x1e\x01q\x01")
    + amqp_frame(1, 2, b"\x00\x14\x00\x28\x01\x94\x00\x00\x00\x00\x00"),
    amqp_frame(1, 0, b"\x00\x0a\x00\x32\x01\x40\x11CONNECTION_FORCED\x00\x00\x00\x00"),
    b"AMQP\x00\x00\x09\x01",
]
