"""The market by REST from a running server."""

from typing import Any
from urllib.parse import quote

from tests.e2e.conftest import Serve


def test_bars_of_a_main_contract_nobody_watches(serve: Serve) -> None:
    server = serve("--set", "trade.ctp_front.enabled=false")

    def bars(symbol: str, period: int) -> list[dict[str, Any]]:
        reply = server.get_json(f"/api/market/kline/{quote(symbol)}?period={period}&count=200")
        assert reply["success"] and reply["data"]["instrument_id"] == symbol
        return list(reply["data"]["data"])

    for period in (4, 6):
        made, of_contract = bars("KQ.m@SHFE.rb", period), bars("SHFE.rb2701", period)
        both = {one["timestamp"] for one in made} & {one["timestamp"] for one in of_contract}
        ended = sorted(both)[:-2]
        assert len(ended) > 20
        assert [one for one in made if one["timestamp"] in ended] == [
            one for one in of_contract if one["timestamp"] in ended
        ]
    status, answer, _ = server.request("GET", "/api/market/kline/KQ.m@SHFE.zz")
    assert status == 404, answer
