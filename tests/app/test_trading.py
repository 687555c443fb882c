"""Users' accounts and the engine that opens them."""

import asyncio
from pathlib import Path

from qautlra.app.trading import connect
from qautlra.auth.rights import Role
from qautlra.auth.service import AuthOptions, AuthService
from qautlra.trade.desk import Desk
from tests.trade.rig import Rig


def test_an_account_asked_for_while_trading_starts_is_opened_when_it_has(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(tmp_path)
        auth = AuthService(tmp_path, AuthOptions())
        desk = Desk(rig.trade, tmp_path, rig.tape, rig.instruments)
        connect(auth, rig.trade, desk)
        await auth.start()
        await desk.start()
        await auth.add_user("check", "Check-pass-1", Role.TRADER)
        entry = await auth.give_account("check", "early", broker="paper", cash=7.0)
        assert not entry.opened and auth.users.wishes() == [entry]  # no error: the wish is kept
        await rig.trade.start()
        assert rig.trade.has("early") and not auth.users.wishes()
        entry = await auth.give_account("check", "late", broker="paper", cash=7.0)
        assert entry.opened and rig.trade.has("late")
        for name in ("early", "late"):  # the same money, whenever it came
            funds = rig.trade.funds(name)
            assert (funds["pre_balance"], funds["deposit"], funds["balance"]) == (0.0, 7.0, 7.0)
            (row,) = await desk.ask(desk.records.listed, "money", account_id=name)
            assert (row["type"], row["amount"], row["method"]) == ("deposit", 7.0, "opening")
        await rig.trade.stop(1.0)
        await desk.stop(1.0)
        await auth.stop(1.0)

    asyncio.run(story())
