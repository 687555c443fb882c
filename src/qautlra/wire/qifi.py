"""QIFI documents as bytes: JSON and BSON, both ways.

What we write is complete and never null, so the strictest reader takes it. What others write is read in two
steps: as it should be, and if that fails, with the predecessor's habits put right.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import orjson

from qautlra.base.errors import InputError
from qautlra.model import qifi
from qautlra.model.qifi import Qifi

DOCUMENT_BYTES: Final = 16 << 20
"""MongoDB's own bound for one document."""
_INT32: Final = 1 << 31

_PARTS: Final[dict[str, type[msgspec.Struct]]] = {
    "banks": qifi.Bank,
    "orders": qifi.Order,
    "positions": qifi.Position,
    "trades": qifi.Trade,
    "transfers": qifi.Transfer,
    "executions": qifi.Execution,
}
_TEXTS: Final = ("settlement", "event")
_RENAMED: Final = {"events": "event", "positons": "positions"}
_UNDERSCORE: Final = re.compile(r"^(SHFE|INE|DCE|CZCE|CFFEX|GFEX|SSE|SZSE|HKEX)_(.+)$")
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Qifi)


def to_json(document: Qifi) -> bytes:
    """Return the document as JSON; numbers that are none (NaN, infinity) as 0."""
    data = _encoder.encode(document)
    # msgspec writes null for NaN and infinity, and for the end of an execution that still runs.
    return data if b":null" not in data else orjson.dumps(to_dict(document))


def item_json(item: qifi.Order | qifi.Trade) -> bytes:
    """Return an order or a trade as JSON, as it stands in a document."""
    data = _encoder.encode(item)
    return data if b":null" not in data else orjson.dumps(plain(item))


def to_dict(document: Qifi) -> dict[str, Any]:
    """Return the document as plain values, complete and without null."""
    found: dict[str, Any] = {}
    for name in document.__struct_fields__:
        value = getattr(document, name)
        if name in _PARTS:
            value = {key: plain(item) for key, item in value.items()}
        elif name == "accounts":
            value = plain(value)
        elif value.__class__ is float and not math.isfinite(value):
            value = 0.0
        found[name] = value
    return found


def to_bson(document: Qifi, *, key_sep: str = ".") -> bytes:
    """Return the document as BSON; `key_sep` "_" writes `SHFE_cu2109` for servers that forbid dots."""
    import bson

    return bson.encode(stored(document, key_sep=key_sep))


def stored(document: Qifi, *, key_sep: str = ".") -> dict[str, Any]:
    """Return the document as a database is handed it: stamps of 64 bits, position keys with `key_sep`."""
    from bson.int64 import Int64

    whole = b":null" not in _encoder.encode(document)
    values: dict[str, Any] = msgspec.to_builtins(document) if whole else to_dict(document)
    for part, name in (
        ("orders", "insert_date_time"),
        ("trades", "trade_date_time"),
        ("transfers", "datetime"),
    ):
        for item in values[part].values():
            if -_INT32 <= item[name] < _INT32:  # larger ones are 64 bits by themselves
                item[name] = Int64(item[name])
    if key_sep != ".":
        values["positions"] = {
            key.replace(".", key_sep, 1): item for key, item in values["positions"].items()
        }
    return values


def from_json(data: bytes | str) -> Qifi:
    """Return the document of JSON, whoever wrote it; InputError says what cannot be read."""
    raw = data.encode() if isinstance(data, str) else data
    if len(raw) > DOCUMENT_BYTES:
        raise InputError(f"a document of more than {DOCUMENT_BYTES} bytes")
    if b'"events"' not in raw and b'"positons"' not in raw:
        try:
            found = _decoder.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        else:
            if found.account_cookie and _is_of_today(found):
                return found
    try:
        values = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(f"not JSON: {error}") from None
    return from_dict(values)


def from_bson(data: bytes) -> Qifi:
    """Return the document of BSON; `_id` is dropped."""
    import bson
    from bson.errors import BSONError

    if len(data) > DOCUMENT_BYTES:
        raise InputError(f"a document of more than {DOCUMENT_BYTES} bytes")
    try:
        values = bson.decode(data)
    except (BSONError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"not BSON: {error}") from None
    return from_dict(values)


def from_dict(values: Any) -> Qifi:
    """Return the document of plain values as a database or JSON gives them, old habits put right."""
    if not isinstance(values, Mapping):
        raise InputError("a QIFI document is an object")
    if _is_clean(values):
        try:
            return msgspec.convert(values, Qifi)
        except (msgspec.ValidationError, OverflowError):
            pass
    mended: dict[str, Any] = {
        _RENAMED.get(str(key)) or str(key): value for key, value in values.items() if value is not None
    }
    if not isinstance(mended.get("account_cookie"), str) or not mended["account_cookie"]:
        raise InputError("a QIFI document has an account_cookie")
    for name, kind in _PARTS.items():
        if name in mended:
            items = _objects(mended[name], name)
            mended[name] = {
                _position_key(key, item) if name == "positions" else str(key): _mend(
                    kind, item, f"{name}.{key}"
                )
                for key, item in items.items()
            }
    for name in _TEXTS:
        if name in mended:
            mended[name] = {str(key): str(text) for key, text in _objects(mended[name], name).items()}
    if "accounts" in mended:
        account = mended["accounts"]
        if isinstance(account, Mapping) and isinstance(account.get("CNY"), Mapping):
            account = account["CNY"]  # the form of DIFF
        mended["accounts"] = _mend(qifi.Account, account, "accounts")
    mended = _mend(Qifi, mended, "")
    try:
        return msgspec.convert(mended, Qifi, strict=False)
    except (msgspec.ValidationError, OverflowError) as error:
        raise InputError(f"not a QIFI document: {error}") from None


def _is_of_today(document: Qifi) -> bool:
    """Tell whether a document read at once had nothing that calls for mending."""
    return (
        document.accounts != qifi.Account()  # else DIFF's form, by currency, or none at all
        and all("." in key for key in document.positions)
        and all(order.volume_orign > 0 and order.status != "CANCEL" for order in document.orders.values())
    )


def _is_clean(values: Mapping[str, Any]) -> bool:
    """Tell whether nothing in it calls for mending that a strict reader would silently pass over."""
    orders, positions, accounts = (values.get(name) for name in ("orders", "positions", "accounts"))
    return (
        not _RENAMED.keys() & values.keys()
        and not (isinstance(accounts, Mapping) and "CNY" in accounts)
        and isinstance(orders, dict)
        and isinstance(positions, dict)
        and all("." in key for key in positions)
        and all(
            isinstance(order, dict) and "volume_orign" in order and order.get("status") != "CANCEL"
            for order in orders.values()
        )
    )


def plain(item: msgspec.Struct) -> dict[str, Any]:
    """Return a part of a document as plain values, complete and without null."""
    found: dict[str, Any] = {}
    for name in item.__struct_fields__:
        value = getattr(item, name)
        if value is None:
            continue
        if value.__class__ is float and not math.isfinite(value):
            value = 0.0
        found[name] = value
    return found


def _objects(value: Any, name: str) -> Mapping[Any, Any]:
    if isinstance(value, list):  # some writers keep a list of what has its own id
        keys = {"orders": "order_id", "trades": "trade_id"}
        if name in keys and all(isinstance(item, Mapping) and keys[name] in item for item in value):
            return {item[keys[name]]: item for item in value}
        if not value:
            return {}
    if not isinstance(value, Mapping):
        raise InputError(f"{name} is not an object")
    return value


def _position_key(key: object, item: Any) -> str:
    """Return `SHFE.cu2109` of the key, or of what the position says when the key has no exchange."""
    text = str(key)
    found = _UNDERSCORE.match(text)
    if found is not None:
        return f"{found[1]}.{found[2]}"
    if "." not in text and isinstance(item, Mapping) and item.get("exchange_id"):
        return f"{item['exchange_id']}.{item.get('instrument_id') or text}"
    return text


def _own_key(key: object, _item: Any) -> str:
    return str(key)


def _mend(kind: type[msgspec.Struct], item: Any, where: str) -> dict[str, Any]:
    """Return what of `item` the struct has, nulls left out, numbers of other spellings read."""
    if not isinstance(item, Mapping):
        raise InputError(f"{where or 'a QIFI document'} is not an object")
    source = dict(item)
    if kind is qifi.Order:
        _mend_order(source)
    found: dict[str, Any] = {}
    for name, read in _readers(kind).items():
        value = source.get(name)
        if value is None:
            continue
        if isinstance(value, Mapping) and len(value) == 1:
            value = next(
                (value[mark] for mark in ("$numberLong", "$numberDouble", "$numberInt") if mark in value),
                value,
            )
        try:
            found[name] = read(value)
        except (TypeError, ValueError, OverflowError):
            shown = f"{where}.{name}" if where else name
            raise InputError(f"{shown}: {str(value)[:60]!r} is not {read.__name__.strip('_')}") from None
    return found


def _mend_order(source: dict[str, Any]) -> None:
    """The Python account's order: its own names for price and volume, and a third state."""
    for name, other in (("volume_orign", "volume"), ("limit_price", "price")):
        if source.get(name) is None and source.get(other) is not None:
            source[name] = source[other]
    if source.get("status") == "CANCEL":
        source["status"] = "FINISHED"


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    if isinstance(value, str):
        value = float(value) if value.strip() not in ("", "-", "nan", "NaN") else 0.0
    if isinstance(value, int):
        return float(value)
    if not isinstance(value, float):
        value = float(str(value))  # BSON's decimal
    return value if math.isfinite(value) else 0.0


def _whole(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError
    if isinstance(value, str):
        return int(value) if value.strip() else 0
    if isinstance(value, float) and not value.is_integer():
        raise ValueError
    found = int(value)
    if not -(1 << 63) <= found < 1 << 63:
        raise ValueError
    return found


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | Mapping | list):
        raise TypeError
    return str(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _as_is(value: Any) -> Any:
    return value


_READ: Final[dict[str, Callable[[Any], Any]]] = {
    "float": _number,
    "int": _whole,
    "int | None": _whole,
    "str": _text,
    "bool": _truth,
}
_known: dict[type[msgspec.Struct], dict[str, Callable[[Any], Any]]] = {}


def _readers(kind: type[msgspec.Struct]) -> dict[str, Callable[[Any], Any]]:
    if kind not in _known:
        _known[kind] = {name: _READ.get(str(hint), _as_is) for name, hint in kind.__annotations__.items()}
    return _known[kind]
