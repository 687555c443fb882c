"""The DIFF client's brain: frames in, frames and patches out."""

import json

import pytest

from qautlra.link.conversation import LIST_BYTES, Conversation, fit

PEEK = '{"aid":"peek_message"}'


def ask(*names: str) -> str:
    return json.dumps({"aid": "subscribe_quote", "ins_list": ",".join(names)}, separators=(",", ":"))


def data(*parts: object) -> str:
    return json.dumps({"aid": "rtn_data", "data": list(parts)})


def test_opening_asks_for_everything_then_peeks() -> None:
    talk = Conversation()
    assert talk.want(["au2512", "SHFE.rb2601"]) == []  # not connected
    assert talk.opened() == [ask("au2512", "SHFE.rb2601"), PEEK]
    assert talk.want(["au2512", "SHFE.rb2601"]) == []
    assert talk.want(["au2512"]) == [ask("au2512")]
    assert talk.want([]) == [ask()]
    talk.closed()
    assert talk.want(["IF2506"]) == []
    assert talk.opened() == [ask("IF2506"), PEEK]


def test_nothing_wanted_is_only_a_peek() -> None:
    assert Conversation().opened() == [PEEK]


def test_one_peek_per_answer() -> None:
    talk = Conversation()
    talk.opened()
    quotes = {"au2512": {"last_price": 1.0}}
    assert talk.receive(data({"mdhis_more_data": False, "ins_list": ""})) == ([PEEK], [])
    sent, patches = talk.receive(data({"quotes": quotes}, {"account_id": ""}, {"quotes": None}, 7).encode())
    assert (sent, patches) == ([PEEK], [quotes, None])


@pytest.mark.parametrize("aid", ["rsp_peek_message", "peek_message"])
def test_a_server_that_pushes_is_not_peeked_again(aid: str) -> None:
    talk = Conversation()
    talk.opened()
    assert talk.receive(data({"quotes": {}})) == ([PEEK], [{}])
    assert talk.receive(json.dumps({"aid": aid, "ins_list": "au2512"})) == ([], [])
    assert talk.pushes
    assert talk.receive(data({"quotes": {}})) == ([], [{}])
    assert talk.opened() == [PEEK]  # the next connection may be another server
    assert not talk.pushes


@pytest.mark.parametrize(
    "frame",
    [
        '{"type":"system","payload":{"message":"Connected"}}', '{"aid":"rsp_subscribe_quote","ins_list":"a"}',
        '{"type":"pong"}', '{"type":"welcome","session_id":"x"}', '{"aid":7}', "{}", '{"aid":"pong"}',
    ],
)  # fmt: skip
def test_frames_of_other_dialects_are_passed_over(frame: str) -> None:
    talk = Conversation()
    talk.opened()
    assert talk.receive(frame) == ([], [])
    assert talk.bad_frames_count == 0


@pytest.mark.parametrize("frame", ["", "{", "[]", "7", '"x"', "NaN", b"\xff\xfe"])
def test_broken_frames_are_counted(frame: str | bytes) -> None:
    talk = Conversation()
    assert talk.receive(frame) == ([], [])
    assert talk.bad_frames_count == 1


@pytest.mark.parametrize("parts", ["null", "7", '"x"', "[]", "[null]", '[{"quotes":7}]', '{"quotes":{}}'])
def test_odd_data_still_earns_a_peek(parts: str) -> None:
    talk = Conversation()
    sent, patches = talk.receive(f'{{"aid":"rtn_data","data":{parts}}}')
    assert sent == [PEEK]
    assert patches in ([], [7], [{}])


def test_complaints_are_kept_for_people() -> None:
    talk = Conversation()
    for number in range(9):
        talk.receive(json.dumps({"type": "error", "payload": {"message": f"no {number}"}}))
    assert talk.complaints == [f"no {number}" for number in range(4, 9)]
    talk.receive('{"type":"error","payload":[]}')
    assert talk.complaints[-1] == ""


def test_bounds_of_a_subscription() -> None:
    talk = Conversation(max_names=3)
    talk.want(["a", "b", "a", "c", "d"])
    assert (talk.names, talk.left_out_count) == (["a", "b", "c"], 1)
    long = [f"{number:06d}" + "x" * 100 for number in range(5000)]
    fitting = fit(long, 5000)
    assert fitting == long[: len(fitting)]
    assert LIST_BYTES - 200 < len(",".join(fitting)) <= LIST_BYTES
