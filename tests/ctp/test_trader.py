"""Trader sessions on the simulated front, over the real engine and users: who may, what comes back."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from qautlra._core.ctp_feed import CtpFeed
from qautlra.app.ctp_front import Listing
from qautlra.auth.rights import Access, Role
from qautlra.auth.service import AuthService
from qautlra.base import metrics
from qautlra.config.tree import CtpFront
from qautlra.net import ctp_flow, ctp_trader
from qautlra.net.ctp_desk import LOOK_COUNT, Desk
from qautlra.net.ctp_flow import Flow
from qautlra.net.ctp_front import GIVE_UP_BYTES, CtpFrontService
from qautlra.net.ctp_trader import TraderSession
from qautlra.wire.ctp_frames import RECORDS, RESTART, RESUME, TRADER, Frame, Kind
from qautlra.wire.ctp_login import LoginReply
from qautlra.wire.ctp_records import Record, layout
from tests.ctp.front import Front, Program
from tests.trade.rig import Rig

PASSWORD = "correct horse 9 Battery"
HASHES: list[str] = []
OPEN, CLOSE, CLOSE_TODAY, CLOSE_YESTERDAY = "0", "1", "3", "4"


class Venue(Front):
    """The front with trading: user `one` owns account `one`, `eye` may look at it, `two` owns `two`."""

    day = 20210802

    def __init__(self, directory: Path, rig: Rig | None = None, **settings: Any) -> None:
        self.rig = rig or Rig(directory)
        self.auth = AuthService(directory / "auth")
        self.tape = self.rig.tape
        feed = CtpFeed(self.tape, max_clients=8)
        self.service = CtpFrontService(
            settings=CtpFront(listen="127.0.0.1:0", **settings), feed=feed, login=self.login, chosen=True
        )
        self.service.desk = desk = Desk(
            settings=self.service.settings,
            trade=self.rig.trade,
            auth=self.auth,
            listing=Listing(feed, lambda _symbol: 20210915),
            login=self.login,
            now_ns=self.rig.clock.now_ns,
        )
        self.service.trader = partial(TraderSession, desk)

    def login(self) -> LoginReply:
        return LoginReply(self.day, "09:30:00")

    async def __aenter__(self) -> "Venue":
        self.auth.directory.mkdir()
        await self.auth.start()
        await self.rig.trade.start()
        if not HASHES:  # hashing is slow on purpose; one will do for all
            await self.auth.add_user("hash", PASSWORD, Role.TRADER)
            HASHES.append(self.auth.users.find("hash").password_hash)
        for name in ("one", "two", "eye"):
            await self.auth.write(self.auth.users.add, name, HASHES[0], Role.TRADER)
        for name in ("one", "two"):
            await self.auth.give_account(name, name, broker="paper")
            self.rig.trade.open_account(name, 1_000_000.0)
        await self.auth.give_account("eye", "one", Access.VIEW)
        self.rig.quotes()
        self.quote("SHFE.cu2109", 75000)
        self.quote("DCE.m2109", 3500)
        await super().__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await super().__aexit__(*error)
        await self.rig.trade.stop(1.0)
        await self.auth.stop(1.0)

    def quote(self, symbol: str, last: float, volume: int = 9) -> None:
        step = {"SHFE.cu2109": 10.0, "DCE.m2109": 1.0}[symbol]
        book = {
            "bid_price1": last - step,
            "ask_price1": last + step,
            "bid_volume1": volume,
            "ask_volume1": volume,
        }
        limits = {"upper_limit": last * 1.1, "lower_limit": last * 0.9, "pre_settlement": last}
        self.rig.tick(symbol, last, **book, **limits)


class Trader:
    """A trader program, logged in."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.session = 0
        self.pushed: list[tuple[int, Record]] = []

    async def authenticate(self, user: str, code: str = "0" * 16) -> int:
        self.program.ask(Kind.AUTHENTICATE, 1, BrokerID="9999", UserID=user, AppID="app", AuthCode=code)
        return (await self.program.next(Kind.AUTHENTICATE)).error

    async def log_in(self, user: str, password: str = PASSWORD, broker: str = "9999") -> int:
        self.program.ask(Kind.LOGIN, 2, BrokerID=broker, UserID=user, Password=password)
        got = await self.program.next(Kind.LOGIN)
        self.session = layout("RspUserLogin").read(got.record)["SessionID"]
        return got.error

    async def confirm(self, account: str) -> int:
        self.program.ask(Kind.CONFIRM, 3, BrokerID="9999", InvestorID=account)
        return (await self.program.next(Kind.CONFIRM)).error

    def insert(self, ref: str, direction: str, offset: str, volume: int, price: float, **more: Any) -> None:
        words: dict[str, Any] = {
            "BrokerID": "9999",
            "InvestorID": "one",
            "InstrumentID": "cu2109",
            "ExchangeID": "SHFE",
            "OrderPriceType": "2",
            "TimeCondition": "3",
            "VolumeCondition": "1",
            "ContingentCondition": "1",
            "CombHedgeFlag": "1",
        }
        words |= {"OrderRef": ref, "Direction": direction, "CombOffsetFlag": offset}
        words |= {"VolumeTotalOriginal": volume, "LimitPrice": price} | more
        self.program.ask(Kind.INSERT, 9, **words)

    async def status(self, ref: str, status: str) -> Record:
        """The order's record once it has this status."""
        while True:
            record = layout("Order").read((await self.program.next(Kind.RTN_ORDER)).record)
            if (record["OrderRef"], record["OrderStatus"]) == (ref, status):
                return record
            assert (record["OrderRef"], record["OrderStatus"]) != (ref, "5"), record["StatusMsg"]

    async def trade(self) -> Record:
        return layout("Trade").read((await self.program.next(Kind.RTN_TRADE)).record)

    async def rows(self, kind: int, **values: Any) -> list[Record]:
        who = {"BrokerID": "9999", "InvestorID": "one"}
        fields = layout(RECORDS[kind][0]).offsets
        words = {name: who[name] for name in who if name in fields} | values
        self.program.ask(kind, 50, **words)
        found = []
        while True:
            got = await self.program.next(kind)
            assert (got.error, got.request) == (0, 50)
            if got.record:
                found.append(layout(RECORDS[kind][1]).read(got.record))
            if got.flags & 1:
                return found


async def trader(venue: Venue, user: str = "one", *, confirm: bool = True, **words: int) -> Trader:
    one = Trader(await venue.program(TRADER, **words))
    assert await one.authenticate(user) == 0
    assert await one.log_in(user) == 0
    assert not confirm or await one.confirm(user) == 0
    return one


def play(tmp_path: Path, story: Callable[[Venue], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        async with Venue(tmp_path, **settings) as venue:
            await asyncio.wait_for(story(venue), 30)

    asyncio.run(main())


def test_who_is_let_in(tmp_path: Path) -> None:
    async def story(venue: Venue) -> None:
        one = Trader(await venue.program(TRADER))
        assert await one.log_in("one") == 64
        assert await one.authenticate("one", "BAD") == 63
        one.program.ask(Kind.CONFIRM, 4, InvestorID="one")
        assert (await one.program.next(Kind.ERROR)).error == 6
        assert await one.authenticate("one") == 0
        assert await one.log_in("one", "WRONG") == 3
        assert await one.log_in("nobody") == 3
        assert await one.log_in("one", broker="1234") == 3
        assert await one.log_in("one") == 0
        one.insert("1", "0", OPEN, 1, 75000)
        assert (await one.program.next(Kind.INSERT)).error == 42  # nothing is confirmed
        assert await one.confirm("two") == 9
        assert await one.confirm("one") == 0
        two = Trader(await venue.program(TRADER))
        await two.authenticate("two")
        assert await two.log_in("two") == 0
        three = Trader(await venue.program(TRADER))
        await three.authenticate("one")
        assert await three.log_in("one") == 60
        one.program.ask(Kind.LOGOUT, 5, BrokerID="9999", UserID="one")
        assert (await one.program.next(Kind.LOGOUT)).error == 0
        assert await three.log_in("one") == 0

    play(tmp_path, story, sessions_per_user=1)


def test_what_trades_now_is_told_after_the_login_and_when_it_changes(tmp_path: Path) -> None:
    async def statuses(one: Trader, count: int) -> dict[str, str]:
        found = {}
        for _ in range(count):
            said = layout("InstrumentStatus").read((await one.program.next(Kind.INSTRUMENT_STATUS)).record)
            found[f"{said['ExchangeID']}.{said['InstrumentID']}"] = said["InstrumentStatus"]
        return found

    async def story(venue: Venue) -> None:
        one = await trader(venue, confirm=False)
        now = await statuses(one, 4)
        assert now == {"SHFE.cu": "2", "SHFE.rb": "2", "DCE.m": "2", "CFFEX.IF": "2"}
        venue.rig.at("2021-08-02 10:16:00")  # the break of commodities, not of indices
        assert await statuses(one, 3) == {"SHFE.cu": "1", "SHFE.rb": "1", "DCE.m": "1"}
        venue.rig.at("2021-08-02 15:01:00")
        assert await statuses(one, 4) == dict.fromkeys(now, "6")
        two = await trader(venue, "two", confirm=False)
        assert await statuses(two, 4) == dict.fromkeys(now, "6")
        one.program.ask(Kind.LOGOUT, 5, BrokerID="9999", UserID="one")
        await one.program.next(Kind.LOGOUT)
        venue.rig.at("2021-08-02 20:56:00")
        assert await statuses(two, 3) == {"SHFE.cu": "3", "SHFE.rb": "3", "DCE.m": "3"}
        with pytest.raises(TimeoutError):
            await one.program.next(Kind.INSTRUMENT_STATUS, timeout_s=0.2)

    play(tmp_path, story)


def test_a_configured_program_id_is_checked(tmp_path: Path) -> None:
    async def story(venue: Venue) -> None:
        one = Trader(await venue.program(TRADER))
        assert await one.authenticate("one") == 63

    play(tmp_path, story, app_id="another")


def test_many_wrong_passwords_forbid_the_login(tmp_path: Path) -> None:
    async def story(venue: Venue) -> None:
        one = Trader(await venue.program(TRADER))
        await one.authenticate("one")
        errors = [await one.log_in("one", "WRONG") for _ in range(6)]
        assert errors == [3, 3, 3, 3, 3, 75]
        assert await one.log_in("one") == 75

    play(tmp_path, story)


def test_an_order_from_insert_to_position_and_back(tmp_path: Path) -> None:
    async def story(venue: Venue) -> None:
        one = await trader(venue)
        one.insert("7", "0", OPEN, 2, 75010)
        order = await one.status("7", "a")
        assert (order["OrderSysID"], order["SessionID"], order["FrontID"]) == ("", one.session, 1)
        order = await one.status("7", "0")
        assert order["OrderSysID"] and order["VolumeTraded"] == 2
        trade = await one.trade()
        assert (trade["Price"], trade["Volume"], trade["OrderRef"]) == (75010.0, 2, "7")
        assert trade["OrderSysID"] == order["OrderSysID"]
        (row,) = await one.rows(Kind.QRY_POSITION)
        assert (row["PosiDirection"], row["PositionDate"], row["TodayPosition"]) == ("2", "1", 2)
        assert row["PositionCost"] == 75010.0 * 2 * 5
        (money,) = await one.rows(Kind.QRY_ACCOUNT)
        funds = venue.rig.trade.funds("one")
        assert (money["Balance"], money["CurrMargin"]) == (funds["balance"], funds["margin"])
        assert money["Commission"] > 0
        one.insert("8", "1", CLOSE_TODAY, 2, 74990)
        await one.status("8", "0")
        assert (await one.trade())["OffsetFlag"] == "3"
        assert await one.rows(Kind.QRY_POSITION) == []
        assert len(await one.rows(Kind.QRY_TRADE)) == 2
        assert [row["OrderRef"] for row in await one.rows(Kind.QRY_ORDER)] == ["7", "8"]
        assert len(await one.rows(Kind.QRY_ORDER, OrderSysID=order["OrderSysID"])) == 1
        assert await one.rows(Kind.QRY_ORDER, InstrumentID="rb2110") == []

    play(tmp_path, story)


def test_today_and_yesterday_are_two_rows_on_shfe_only(tmp_path: Path) -> None:
    async def story(venue: Venue) -> None:
        one = await trader(venue)
        one.insert("1", "0", OPEN, 3, 75010)
        await one.trade()
        one.insert("2", "0", OPEN, 3, 3501, InstrumentID="m2109", ExchangeID="DCE")
        await one.trade()
        venue.rig.at("2021-08-02 21:30:00")
        venue.rig.trade.follow_day()
        venue.quote("SHFE.cu2109", 75100)
        venue.quote("DCE.m2109", 3510)
        assert await one.confirm("one") == 0
        one.insert("3", "0", OPEN, 1, 75110)
        await one.trade()
        one.insert("4", "0", OPEN, 1, 3511, InstrumentID="m2109", ExchangeID="DCE")
        await one.trade()
        rows = await one.rows(Kind.QRY_POSITION)
        copper = {row["PositionDate"]: row for row in rows if row["InstrumentID"] == "cu2109"}
        assert (copper["1"]["Position"], copper["1"]["TodayPosition"], copper["1"]["YdPosition"]) == (1, 1, 0)
        assert (copper["2"]["Position"], copper["2"]["TodayPosition"], copper["2"]["YdPosition"]) == (3, 0, 3)
        assert copper["1"]["PositionCost"] == 75110.0 * 5
        held = next(p for p in venue.rig.trade.positions("one") if p["symbol"] == "SHFE.cu2109")
        for name, key in (
            ("PositionCost", "position_cost_long"),
            ("OpenCost", "open_cost_long"),
            ("PositionProfit", "position_profit_long"),
            ("UseMargin", "margin_long"),
        ):
            assert sum(row[name] for row in copper.values()) == pytest.approx(held[key]), name
        (meal,) = [row for row in rows if row["InstrumentID"] == "m2109"]
        assert (meal["Position"], meal["TodayPosition"], meal["YdPosition"]) == (4, 1, 3)
        one.insert("5", "1", CLOSE, 4, 75090)
        refused = await one.program.next(Kind.INSERT)
        assert (refused.error, refused.text.decode("gb18030")) == (51, "CTP:平昨仓位不足")
        one.insert("6", "1", CLOSE_YESTERDAY, 1, 75090)
        assert (await one.trade())["OffsetFlag"] == "4"

    play(tmp_path, story)


def test_refusals_have_ctps_numbers_and_ways(tmp_path: Path) -> None:
    async def story(venue: Venue) -> None:
        one = await trader(venue)
        refused: list[tuple[Any, ...]] = [
            (16, {"InstrumentID": "NOSUCH99"}),
            (16, {"ExchangeID": "DCE"}),
            (15, {"VolumeTotalOriginal": 0}),
            (15, {"Direction": "7"}),
            (15, {"CombOffsetFlag": "9"}),
            (15, {"CombHedgeFlag": "9"}),
            (15, {"LimitPrice": float("nan")}),
            (27, {"ContingentCondition": "2"}),
            (80, {"OrderPriceType": "8"}),
            (31, {"VolumeTotalOriginal": 400}),
            (30, {"Direction": "1", "CombOffsetFlag": CLOSE}),
            (9, {"InvestorID": "two"}),
        ]
        for number, (code, words) in enumerate(refused):
            one.insert(f"9{number}", "0", OPEN, 1, 75000, **words)
            got = await one.program.next(Kind.INSERT)
            assert got.error == code, words
            assert layout("InputOrder").read(got.record)["OrderRef"] == f"9{number}"
            assert (await one.program.next(Kind.ERR_INSERT)).error == code
        one.insert("1", "0", OPEN, 1, 75001)  # not on a tick: the exchange refuses
        order = await one.status("1", "5")
        assert order["OrderSubmitStatus"] == "4"
        assert order["StatusMsg"].startswith("已撤单报单被拒绝SHFE")
        one.insert("1", "0", OPEN, 1, 74000)
        assert (await one.program.next(Kind.INSERT)).error == 22
        assert [row["OrderRef"] for row in await one.rows(Kind.QRY_ORDER)] == ["1"]

    play(tmp_path, story)


def test_cancels_by_both_keys_and_their_refusals(tmp_path: Path) -> None:
    async def story(venue: Venue) -> None:
        one = await trader(venue)

        def cancel(**keys: Any) -> None:
            words = {"BrokerID": "9999", "InvestorID": "one", "ActionFlag": "0", "ExchangeID": "SHFE"}
            one.program.ask(Kind.ACTION, 11, **(words | keys))

        one.insert("1", "0", OPEN, 2, 74000)
        await one.status("1", "3")
        cancel(FrontID=1, SessionID=one.session, OrderRef="1")
        order = await one.status("1", "5")
        assert order["OrderSubmitStatus"] == "3"
        one.insert("2", "0", OPEN, 2, 74000)
        order = await one.status("2", "3")
        cancel(OrderSysID=order["OrderSysID"].rjust(12))
        await one.status("2", "5")
        for code, keys in (
            (26, {"OrderSysID": order["OrderSysID"]}),
            (25, {"OrderSysID": "        9999"}),
            (25, {"FrontID": 1, "SessionID": 5, "OrderRef": "1"}),
            (23, {"OrderSysID": order["OrderSysID"], "ActionFlag": "3"}),
            (9, {"InvestorID": "two", "OrderRef": "1"}),
        ):
            cancel(**keys)
            assert (await one.program.next(Kind.ACTION)).error == code
            assert (await one.program.next(Kind.ERR_ACTION)).error == code

    play(tmp_path, story)


def test_who_may_only_look_sees_and_cannot_touch(tmp_path: Path) -> None:
    async def story(venue: Venue) -> None:
        eye = Trader(await venue.program(TRADER))
        await eye.authenticate("eye")
        assert await eye.log_in("eye") == 0
        one = await trader(venue)
        one.insert("1", "0", OPEN, 1, 75010)
        await eye.status("1", "0")
        assert (await eye.trade())["InvestorID"] == "one"
        assert len(await eye.rows(Kind.QRY_TRADE)) == 1
        eye.insert("1", "0", OPEN, 1, 75010)
        assert (await eye.program.next(Kind.INSERT)).error == 9
        eye.program.ask(Kind.QRY_ACCOUNT, 5, InvestorID="two")
        assert (await eye.program.next(Kind.ERROR)).error == 9

    play(tmp_path, story)


def test_a_disabled_user_trades_no_more(tmp_path: Path) -> None:
    async def story(venue: Venue) -> None:
        one = await trader(venue)
        await venue.auth.write(venue.auth.users.set_disabled, "one", True)
        one.insert("1", "0", OPEN, 1, 75010)
        assert (await one.program.next(Kind.INSERT)).error == 9

    play(tmp_path, story)


def test_what_a_user_loses_an_open_session_loses(tmp_path: Path) -> None:
    async def story(venue: Venue) -> None:
        users = venue.auth.users
        one, two = await trader(venue), await trader(venue, "two")
        eye = await trader(venue, "eye", confirm=False)
        await venue.auth.write(users.set_roles, "one", Role.READ_ONLY)
        one.insert("1", "0", OPEN, 1, 75010)
        assert (await one.program.next(Kind.INSERT)).error == 9
        await venue.auth.write(users.set_roles, "one", Role.TRADER)
        await venue.auth.write(users.revoke, "eye", "one")
        venue.service.desk.turn()  # type: ignore[union-attr]
        one.insert("2", "0", OPEN, 1, 75010)
        await one.status("2", "0")
        eye.program.ask(Kind.QRY_ACCOUNT, 5, InvestorID="one")
        heard = await eye.program.next(Kind.RTN_ORDER, Kind.RTN_TRADE, Kind.ERROR)
        assert (heard.kind, heard.error) == (Kind.ERROR, 9)  # and nothing of the order before it
        await venue.auth.set_password("two", PASSWORD + "2")
        two.insert("1", "0", OPEN, 1, 75010, InvestorID="two")
        assert (await two.program.next(Kind.INSERT)).error == 9
        two.program.ask(Kind.QRY_ACCOUNT, 6, InvestorID="two")
        assert (await two.program.next(Kind.ERROR)).error == 6

    play(tmp_path, story)


def test_who_loses_the_right_while_the_day_is_told_hears_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctp_flow, "PIECE_COUNT", 1)

    async def story(venue: Venue) -> None:
        await venue.auth.write(venue.auth.users.add, "boss", HASHES[0], Role.ADMIN)
        venue.quote("SHFE.cu2109", 75000, 10_000)
        busy(venue, 0, 400)
        boss = await trader(venue, "boss", confirm=False, private_mode=RESTART)
        boss.program.ask(Kind.QRY_ACCOUNT, 5, InvestorID="one")
        assert (await boss.program.next(Kind.QRY_ACCOUNT)).error == 0
        await venue.auth.write(venue.auth.users.set_roles, "boss", Role.TRADER)
        venue.service.desk.turn()  # type: ignore[union-attr]
        await asyncio.sleep(0.3)
        assert venue.rig.send("late", "SHFE.cu2109", "BUY", "OPEN", 1, 74000, account="one").code == 0
        await private_flow(boss.program)
        told = [got for got in boss.program.seen if got.kind == Kind.RTN_ORDER]
        assert "401" not in {layout("Order").read(got.record)["OrderRef"] for got in told}

    play(tmp_path, story, rig=Rig(tmp_path, limits={"orders_per_s": 0, "orders_burst": 0}))


def test_a_long_answer_ends_with_the_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctp_trader, "SLICE_S", 0.0)

    async def story(venue: Venue) -> None:
        venue.quote("SHFE.cu2109", 75000, 10_000)
        busy(venue, 0, 100)
        one = await trader(venue)
        (link,) = venue.service.connections
        assert link.session is not None
        link.session.hold(True)  # it does not read
        one.program.ask(Kind.QRY_ORDER, 7, BrokerID="9999", InvestorID="one")
        await asyncio.sleep(0.1)
        await venue.auth.set_password("one", PASSWORD + "2")
        venue.service.desk.turn()  # type: ignore[union-attr]
        link.session.hold(False)
        assert (await one.program.next(Kind.ERROR)).error == 9
        assert sum(got.kind == Kind.QRY_ORDER for got in one.program.seen) < 100

    play(tmp_path, story, rig=Rig(tmp_path, limits={"orders_per_s": 0, "orders_burst": 0}))


def test_who_changes_the_password_goes_on(tmp_path: Path) -> None:
    async def story(venue: Venue) -> None:
        one = await trader(venue)
        one.program.ask(Kind.PASSWORD, 4, UserID="one", OldPassword=PASSWORD, NewPassword=PASSWORD + "2")
        assert (await one.program.next(Kind.PASSWORD)).error == 0
        one.insert("1", "0", OPEN, 1, 75010)
        await one.status("1", "0")

    play(tmp_path, story)


async def private_flow(program: Program) -> list[tuple[int, int, str]]:
    """(number, kind, reference) of what a session is told until nothing comes."""
    found = []
    try:
        while True:
            got: Frame = await program.next(Kind.RTN_ORDER, Kind.RTN_TRADE, timeout_s=0.3)
            name = "Order" if got.kind == Kind.RTN_ORDER else "Trade"
            found.append((got.number, got.kind, layout(name).read(got.record)["OrderRef"]))
    except TimeoutError:
        return found


def test_restart_plays_the_day_again_and_resume_the_rest(tmp_path: Path) -> None:
    async def story(venue: Venue) -> None:
        one = await trader(venue)
        one.insert("1", "0", OPEN, 1, 75010)
        await one.trade()
        one.insert("2", "0", OPEN, 1, 74000)
        await one.status("2", "3")
        one.program.writer.close()
        await asyncio.sleep(0.05)
        venue.rig.send("other", "SHFE.cu2109", "BUY", "OPEN", 1, 74000, account="one")
        again = await trader(venue, confirm=False, private_mode=RESTART)
        flow = await private_flow(again.program)
        numbers = [number for number, _, _ in flow]
        assert [number & 0xFFFFF for number in numbers] == list(range(1, len(flow) + 1))
        assert [(kind, ref) for _, kind, ref in flow] == [
            (Kind.RTN_ORDER, "1"),
            (Kind.RTN_ORDER, "1"),
            (Kind.RTN_TRADE, "1"),
            (Kind.RTN_ORDER, "2"),
            (Kind.RTN_ORDER, "2"),
            (Kind.RTN_ORDER, "3"),
            (Kind.RTN_ORDER, "3"),
        ]
        rest = await trader(venue, confirm=False, private_mode=RESUME, private_seen=numbers[4])
        assert [number for number, _, _ in await private_flow(rest.program)] == numbers[5:]
        quick = await trader(venue, confirm=False)
        assert await private_flow(quick.program) == []
        again.insert("4", "0", OPEN, 1, 74000)
        assert [ref for _, _, ref in await private_flow(quick.program)] == ["4", "4"]
        numbers += [number for number, _, _ in await private_flow(rest.program)]
        for one in (again, rest, quick):
            one.program.writer.close()
        await asyncio.sleep(0.05)
        late = await trader(venue, confirm=False, private_mode=RESUME, private_seen=numbers[-1])
        assert await private_flow(late.program) == []  # kept though nobody followed meanwhile
        other = await trader(venue, confirm=False, private_mode=RESUME, private_seen=numbers[-1] ^ 1 << 40)
        assert len(await private_flow(other.program)) == len(numbers)  # of another flow: it means nothing

    play(tmp_path, story)


LONG_DAY = 12_000  # orders: more bytes than a front keeps for one that does not read


def busy(venue: Venue, first: int, count: int) -> None:
    """Orders that are withdrawn, and every tenth a trade."""
    for n in range(first, first + count):
        if n % 20 == 0:
            answer = venue.rig.send(f"o{n}", "SHFE.cu2109", "BUY", "OPEN", 1, 75010, account="one")
        elif n % 10 == 0:
            answer = venue.rig.send(f"o{n}", "SHFE.cu2109", "SELL", "CLOSETODAY", 1, 74990, account="one")
        else:
            answer = venue.rig.send(f"o{n}", "SHFE.cu2109", "BUY", "OPEN", 1, 74000, account="one")
            assert venue.rig.cancel(f"o{n}", "one").code == 0
        assert answer.code == 0, answer


def test_a_day_of_many_orders_is_told_and_asked_for_without_holding_others_up(tmp_path: Path) -> None:
    """It was cut at the login as one that does not read, and everybody else waited for seconds."""
    longest = [0.0]

    async def watch() -> None:
        while True:
            began = time.thread_time()
            await asyncio.sleep(0.002)
            longest[0] = max(longest[0], time.thread_time() - began)

    async def story(venue: Venue) -> None:
        venue.quote("SHFE.cu2109", 75000, 10_000)
        for first in range(0, LONG_DAY, 500):
            busy(venue, first, 500)
            await asyncio.sleep(0)
        watching = asyncio.get_running_loop().create_task(watch())
        one = await trader(venue, private_mode=RESTART)  # answered behind the day
        known = [got for got in one.program.seen if got.kind in (Kind.RTN_ORDER, Kind.RTN_TRADE)]
        assert [got.number & 0xFFFFF for got in known] == list(range(1, len(known) + 1))
        assert sum(got.kind == Kind.RTN_TRADE for got in known) == LONG_DAY // 10
        assert sum(len(got.record) for got in known) > GIVE_UP_BYTES
        orders = await one.rows(Kind.QRY_ORDER)
        assert [row["OrderRef"] for row in orders] == [str(n + 1) for n in range(LONG_DAY)]
        assert len(await one.rows(Kind.QRY_TRADE)) == LONG_DAY // 10
        assert len(await one.rows(Kind.QRY_ORDER, InstrumentID="m2109")) == 0
        watching.cancel()

    play(tmp_path, story, rig=Rig(tmp_path, limits={"orders_per_s": 0, "orders_burst": 0}))
    assert longest[0] < 0.2  # with this program's own reading; it was 3 s


def test_orders_that_come_while_a_flow_is_made_are_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctp_flow, "SLICE_S", 0.0)

    async def story(venue: Venue) -> None:
        venue.quote("SHFE.cu2109", 75000, 10_000)
        busy(venue, 0, 200)
        login = asyncio.get_running_loop().create_task(trader(venue, private_mode=RESTART))
        for first in range(200, 400):
            busy(venue, first, 1)
            await asyncio.sleep(0.001)
        one = await login
        one.insert("end", "0", OPEN, 1, 74000)
        await one.status("end", "3")
        seen = [got for got in one.program.seen if got.kind in (Kind.RTN_ORDER, Kind.RTN_TRADE)]
        assert [got.number & 0xFFFFF for got in seen] == list(range(1, len(seen) + 1))
        states: dict[str, list[str]] = {}
        trades: list[str] = []
        for got in seen:
            if got.kind == Kind.RTN_ORDER:
                row = layout("Order").read(got.record)
                states.setdefault(row["OrderRef"], []).append(row["OrderStatus"])
            else:
                row = layout("Trade").read(got.record)
                assert row["OrderRef"] in states  # behind its order
                trades.append(row["TradeID"] + row["OrderRef"])
        assert len(trades) == len(set(trades)) == 40
        expected = {str(n + 1): ["a", "0" if n % 10 == 0 else "5"] for n in range(400)}
        assert states == expected | {"end": ["a", "3"]}  # none left out, none twice

    play(tmp_path, story, rig=Rig(tmp_path, limits={"orders_per_s": 0, "orders_burst": 0}))


def test_orders_that_change_while_a_flow_is_made_are_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders that wait when a day begins to be told are filled or withdrawn before, or after, their turn."""
    monkeypatch.setattr(ctp_flow, "SLICE_S", 0.0)
    making: asyncio.Queue[Flow] = asyncio.Queue()
    make_rest = Flow._make_rest
    monkeypatch.setattr(
        Flow, "_make_rest", lambda flow, work: (making.put_nowait(flow), make_rest(flow, work))[1]
    )
    each = 4  # of those withdrawn early, withdrawn late, and filled, in this order

    async def story(venue: Venue) -> None:
        def names(kind: str) -> list[str]:
            return [f"{kind}{n}" for n in range(each)]

        def place(kind: str, price: float) -> None:
            for name in names(kind):
                assert venue.rig.send(name, "SHFE.cu2109", "BUY", "OPEN", 1, price, account="one").code == 0

        def untold(flow: Flow, kind: str) -> int:
            found = (venue.rig.trade.find("one", name) for name in names(kind))
            return sum(order.number in flow._untold for order in found)

        venue.quote("SHFE.cu2109", 75000, 10_000)
        busy(venue, 0, 100)
        place("early", 74000)
        place("late", 74000)
        place("filled", 74900)
        login = asyncio.get_running_loop().create_task(trader(venue, private_mode=RESTART))
        flow = await making.get()
        assert untold(flow, "early") == untold(flow, "filled") == each
        for name in names("early"):
            assert venue.rig.cancel(name, "one").code == 0
        venue.quote("SHFE.cu2109", 74890, 10_000)
        venue.quote("SHFE.cu2109", 75000, 10_000)
        await asyncio.sleep(0)
        assert untold(flow, "early") == untold(flow, "filled") == each, "told before they changed"
        one = await login
        for name in names("late"):
            assert venue.rig.cancel(name, "one").code == 0
        one.insert("end", "0", OPEN, 1, 74000)
        await one.status("end", "3")
        states: dict[str, list[str]] = {}
        traded: list[str] = []
        for got in one.program.seen:
            if got.kind == Kind.RTN_ORDER:
                row = layout("Order").read(got.record)
                states.setdefault(row["OrderRef"], []).append(row["OrderStatus"])
            elif got.kind == Kind.RTN_TRADE:
                traded.append(layout("Trade").read(got.record)["OrderRef"])
                assert states[traded[-1]][-1] == "0"  # behind its order
        expected = [["a", "0" if n % 10 == 0 else "5"] for n in range(100)]
        expected += [["a", "5"]] * each + [["a", "3", "5"]] * each + [["a", "0"]] * each
        assert states == {str(n + 1): told for n, told in enumerate(expected)} | {"end": ["a", "3"]}
        assert sorted(traded) == sorted(ref for ref, told in states.items() if told[-1] == "0")

    play(tmp_path, story, rig=Rig(tmp_path, limits={"orders_per_s": 0, "orders_burst": 0}))


def test_a_day_longer_than_a_flow_is_made_anew_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was made anew for every order once the day itself was longer."""
    monkeypatch.setattr(ctp_flow, "FLOW_FRAMES_COUNT", 50)
    made = []
    make = Flow._make_day
    monkeypatch.setattr(Flow, "_make_day", lambda flow: (made.append(flow), make(flow))[1])

    async def story(venue: Venue) -> None:
        venue.quote("SHFE.cu2109", 75000, 10_000)
        one = await trader(venue)
        for first in range(300):
            busy(venue, first, 1)
            await asyncio.sleep(0.001)
        one.insert("end", "0", OPEN, 1, 74000)
        await one.status("end", "3")
        again = await trader(venue, private_mode=RESTART)
        ends = {}
        for got in again.program.seen:
            if got.kind == Kind.RTN_ORDER:
                row = layout("Order").read(got.record)
                ends[row["OrderRef"]] = row["OrderStatus"]
        assert ends == {str(n + 1): "0" if n % 10 == 0 else "5" for n in range(300)} | {"end": "3"}
        shown = re.search(rb'ctp_flow_frames_count{account="[^"]+"} ([0-9.]+)', metrics.render())
        assert shown is not None and 301 <= float(shown[1]) == made[-1].kept_count

    play(tmp_path, story, rig=Rig(tmp_path, limits={"orders_per_s": 0, "orders_burst": 0}))
    assert 2 <= len(made) <= 8


def test_queries_of_the_market(tmp_path: Path) -> None:
    async def story(venue: Venue) -> None:
        one = await trader(venue)
        listed = await one.rows(Kind.QRY_INSTRUMENT)
        assert {row["InstrumentID"] for row in listed} == {"cu2109", "rb2110", "m2109", "IF2109"}
        (copper,) = await one.rows(Kind.QRY_INSTRUMENT, InstrumentID="cu2109")
        assert (copper["VolumeMultiple"], copper["PriceTick"], copper["ProductClass"]) == (5, 10.0, "1")
        assert (copper["ExpireDate"], copper["PositionDateType"]) == ("20210915", "1")
        (margin,) = await one.rows(Kind.QRY_MARGIN_RATE, InstrumentID="cu2109")
        assert margin["LongMarginRatioByMoney"] == 0.1
        (fee,) = await one.rows(Kind.QRY_COMMISSION_RATE, InstrumentID="m2109")
        assert (fee["OpenRatioByVolume"], fee["OpenRatioByMoney"]) == (1.5, 0.0)
        (depth,) = await one.rows(Kind.QRY_DEPTH, InstrumentID="m2109")
        assert (depth["LastPrice"], depth["AskPrice1"]) == (3500.0, 3501.0)
        assert [row["ExchangeID"] for row in await one.rows(Kind.QRY_EXCHANGE)] == [
            "SHFE",
            "INE",
            "DCE",
            "CZCE",
            "CFFEX",
            "GFEX",
        ]
        (confirmed,) = await one.rows(Kind.QRY_CONFIRM)
        assert confirmed["ConfirmDate"] == "20210802"
        assert await one.rows(Kind.QRY_SETTLEMENT) == []
        one.program.ask(Kind.QRY_POSITION_DETAIL, 5, InvestorID="one")
        assert (await one.program.next(Kind.ERROR)).error == 27

    play(tmp_path, story)


def test_the_table_of_instruments_is_made_into_records_a_few_at_a_time(tmp_path: Path) -> None:
    """Thousands at a program's first login, or at the first question, were one turn of the loop."""

    def named(step: int) -> str:
        return f"cu2110C{40_000 + 100 * step}"

    async def body() -> None:
        async with Venue(tmp_path) as venue:
            count = 5 * LOOK_COUNT
            for step in range(count):
                assert venue.tape.instruments.intern(f"SHFE.{named(step)}") >= 0
            desk = venue.service.desk
            assert isinstance(desk, Desk) and isinstance(desk.listing, Listing)
            listing, sizes = desk.listing, [len(desk.listing.made)]
            desk.turn()
            assert len(listing.made) - sizes[0] <= LOOK_COUNT
            while len(listing.made) > sizes[-1]:
                sizes.append(len(listing.made))
                await asyncio.sleep(0)
            steps = [after - before for before, after in pairwise(sizes)]
            assert sum(steps) > 4 * LOOK_COUNT and max(steps) <= LOOK_COUNT
            found = [info["symbol"] for info, _ in listing.instruments()]
            assert found == list(dict.fromkeys(found)) and f"SHFE.{named(count - 1)}" in found
            fresh = Listing(venue.service.feed, lambda _symbol: 20210915)  # type: ignore[arg-type]
            first = next(fresh.instruments())
            assert len(fresh.made) == 1 and first == listing.made[0]
            assert list(fresh.instruments()) == list(listing.made)

    asyncio.run(body())
