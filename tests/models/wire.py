"""What a reader of our bytes does: WebSocket frames apart (RFC 6455), strict JSON, merge patch (RFC 7386)."""

import json
from typing import Any


def split_frames(data: bytes) -> list[bytes]:
    """Payloads of consecutive server frames: final, unmasked, text, shortest length, nothing left."""
    payloads = []
    at = 0
    while at < len(data):
        assert data[at] == 0x81, f"byte {at} is {data[at]:#x}, not a final text frame"
        length = data[at + 1]
        assert length < 128, "a server frame is never masked"
        at += 2
        if length == 126:
            length = int.from_bytes(data[at : at + 2], "big")
            assert length >= 126, "not the shortest length form"
            at += 2
        elif length == 127:
            length = int.from_bytes(data[at : at + 8], "big")
            assert length >= 65_536, "not the shortest length form"
            at += 8
        payload = data[at : at + length]
        assert len(payload) == length, "the frame ends early"
        payloads.append(payload)
        at += length
    return payloads


def strict_json(payload: bytes) -> Any:
    """JSON without NaN, Infinity or a key named twice."""

    def constant(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(items)
        assert len(out) == len(items), f"a key is named twice among {[k for k, _ in items]}"
        return out

    return json.loads(payload.decode("utf-8"), parse_constant=constant, object_pairs_hook=pairs)


def messages(data: bytes) -> list[Any]:
    """The JSON documents of consecutive frames."""
    return [strict_json(payload) for payload in split_frames(data)]


def merge(tree: dict[str, Any], patch: dict[str, Any]) -> None:
    """RFC 7386 into `tree`: null deletes, an object recurses, anything else replaces."""
    for key, value in patch.items():
        if value is None:
            tree.pop(key, None)
        elif isinstance(value, dict):
            if not isinstance(tree.get(key), dict):
                tree[key] = {}
            merge(tree[key], value)
        else:
            tree[key] = value
