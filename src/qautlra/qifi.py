"""QIFI as a library: the account document's structs, loaded and saved as JSON and BSON. No server needed.

`load` takes bytes of either form and whatever older programs wrote; `to_json` and `to_bson` write complete
documents without null. BSON needs pymongo's `bson`, imported when first used.
"""

from __future__ import annotations

from pathlib import Path

from qautlra.model.qifi import Account, Bank, Execution, Order, Position, Qifi, Trade, Transfer
from qautlra.wire.qifi import from_bson, from_dict, from_json, to_bson, to_dict, to_json

__all__ = [
    "Account",
    "Bank",
    "Execution",
    "Order",
    "Position",
    "Qifi",
    "Trade",
    "Transfer",
    "from_bson",
    "from_dict",
    "from_json",
    "load",
    "read",
    "save",
    "to_bson",
    "to_dict",
    "to_json",
]


def load(data: bytes | str) -> Qifi:
    """Return the document of JSON or BSON; InputError when it is neither."""
    if isinstance(data, str) or data.lstrip()[:1] == b"{":
        # A BSON document of 123 bytes begins like JSON; then the length says which it is.
        is_bson = (
            isinstance(data, bytes) and len(data) > 4 and int.from_bytes(data[:4], "little") == len(data)
        )
        if not is_bson:
            return from_json(data)
    assert isinstance(data, bytes)
    return from_bson(data)


def read(path: str | Path) -> Qifi:
    """Return the document in a file."""
    return load(Path(path).read_bytes())


def save(document: Qifi, path: str | Path) -> None:
    """Write the document: BSON where the name ends in `.bson`, else JSON."""
    target = Path(path)
    target.write_bytes(to_bson(document) if target.suffix == ".bson" else to_json(document))
