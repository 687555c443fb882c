"""The records beside the journal: what is kept, found again, and bounded."""

import stat
from pathlib import Path

import pytest

from qautlra.base.errors import StorageError
from qautlra.model.order import Direction, Offset, Order, PriceType, TimeCondition, VolumeCondition
from qautlra.trade.records import FILE_NAME, Records, row_of


def order(number: int) -> Order:
    return Order(
        number=number, account_id="a", order_id=f"o{number}", exchange_order_id="1", symbol="SHFE.cu2109",
        direction=Direction.SELL, offset=Offset.CLOSETODAY, price_type=PriceType.ANY,
        time_condition=TimeCondition.IOC, volume_condition=VolumeCondition.ALL, limit_price=None, volume=3,
        volume_left=1, is_alive=False, code=0, message="已撤单", insert_ns=1 << 62, update_ns=5,
    )  # fmt: skip


def test_orders_come_back_as_they_were(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.put_orders(20210802, [row_of(order(0)), row_of(order(1))])
    records.put_orders(20210802, [row_of(order(0)), row_of(order(1))])  # a day that ends again
    records.put_orders(20210803, [row_of(order(0))])
    assert records.orders("a") == [(20210802, order(0)), (20210802, order(1)), (20210803, order(0))]
    assert records.orders("a", 20210803) == [(20210803, order(0))]
    assert records.orders("a", count=1) == [(20210803, order(0))]
    assert records.orders("b") == records.orders("nobody' OR '1'='1") == []
    records.close()
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    again = Records(tmp_path)
    assert len(again.orders("a")) == 3
    again.close()


def test_lists_by_page(tmp_path: Path) -> None:
    records = Records(tmp_path)
    for number in range(5):
        records.add("money", number, {"amount": number}, f"a{number % 2}")
    assert [row["amount"] for row in records.listed("money", count=2)] == [4, 3]
    assert [row["amount"] for row in records.listed("money", account_id="a1")] == [3, 1]
    assert [row["id"] for row in records.listed("money", before=3)] == [2, 1]
    assert records.one("money", 1) == {"id": 1, "ts_ns": 0, "amount": 0}
    assert records.one("money", 99) is None
    first = records.add("announcements", 1, {"title": "x"})
    assert records.count("announcements") == 1
    assert records.delete_announcement(first) and not records.delete_announcement(first)
    with pytest.raises(AssertionError):
        records.listed("users; --")
    records.close()


def test_things_kept_by_name(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.keep("stopped", "SHFE.cu2109", {"status": "suspended"})
    records.keep("stopped", "SHFE.cu2109", {"status": "delisted"})
    records.keep("freeze", "SHFE.cu2109", {})
    assert records.kept("stopped") == {"SHFE.cu2109": {"status": "delisted"}}
    records.forget("stopped", "SHFE.cu2109", "never")
    assert records.kept("stopped") == {} and records.kept("freeze") == {"SHFE.cu2109": {}}
    records.close()
    with pytest.raises(StorageError):
        records.kept("stopped")
