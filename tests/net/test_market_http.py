"""REST: subscriptions, status, queries, operations, errors, origins, limits."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from qautlra.base.clock import WallClock
from qautlra.base.errors import AuthError, QautlraError, UnavailableError
from qautlra.config.tree import Net
from qautlra.net.deps import Deps
from tests.net.front import FakeProcess, Front

MakeFront = Callable[..., Front]


def test_subscriptions_are_pinned_and_listed(front: Front) -> None:
    assert front.call("GET", "/api/subscriptions").json == {"instruments": [], "pending": []}
    reply = front.post("/api/subscriptions", {"instruments": ["IF2101", "SHFE.au2412"]})
    assert reply.status == 200
    assert reply.json == {"instruments": ["IF2101", "SHFE.au2412"], "pending": ["SHFE.au2412"]}
    reply = front.post("/api/subscribe", {"instruments": ["au2106"]})
    assert reply.json["instruments"] == ["IF2101", "SHFE.au2412", "au2106"]
    reply = front.post("/api/unsubscribe", {"instruments": ["CFFEX.IF2101"]})
    assert reply.json["instruments"] == ["SHFE.au2412", "au2106"]
    reply = front.post("/api/subscriptions", {"instruments": ["au2106"]}, "DELETE")
    assert reply.json["instruments"] == ["SHFE.au2412"]
    front.tick("SHFE.au2412")
    assert front.call("GET", "/api/subscriptions").json["pending"] == []


@pytest.mark.parametrize("path", ["/api/subscriptions", "/api/subscribe", "/api/unsubscribe"])
@pytest.mark.parametrize(
    ("body", "kind", "status", "word"),
    [
        (b"{broken", "application/json", 400, "instruments"),
        (b"", "application/json", 400, "instruments"),
        (b'{"instruments":"au2106"}', "application/json", 400, "array"),
        (b'{"instruments":[1]}', "application/json", 400, "str"),
        (b'{"instruments":[]}', "application/json", 422, "No instruments"),
        (b'{"instruments":["au2106","NOPE.x1","no such"]}', "application/json", 422, "NOPE.x1, no such"),
        (b'{"instruments":["au2106"]}', "text/plain", 415, "application/json"),
        (b'{"instruments":["au2106"]}', "application/x-www-form-urlencoded", 415, "application/json"),
    ],
)
def test_bad_subscriptions_change_nothing(
    front: Front, path: str, body: bytes, kind: str, status: int, word: str
) -> None:
    reply = front.call("POST", path, body, Content_Type=kind)
    assert reply.status == status
    assert word in reply.json["error"]
    assert front.call("GET", "/api/subscriptions").json["instruments"] == []


def test_no_body_is_a_missing_body_not_a_wrong_type(front: Front) -> None:
    assert front.call("DELETE", "/api/subscriptions").status == 400


def test_no_source_no_subscription(front: Front) -> None:
    front.process.source_list = []
    reply = front.post("/api/subscribe", {"instruments": ["au2106"]})
    assert (reply.status, "no market data source" in reply.json["error"]) == (503, True)


def test_status_is_real(front: Front) -> None:
    front.post("/api/subscribe", {"instruments": ["au2106"]})
    status = front.call("GET", "/api/status").json
    assert status == {
        "status": "connected",
        "uptime": 12,
        "connected_clients": 0,
        "active_subscriptions": 1,
        "sources": [{"name": "sim", "connected": True, "logged_in": True}],
    }
    front.process.source_list = []
    assert front.call("GET", "/api/status").json["status"] == "disconnected"


def test_health_text(front: Front) -> None:
    reply = front.call("GET", "/health")
    assert (reply.status, reply.body) == (200, b"QAMD Gateway is running")


def test_instruments(front: Front) -> None:
    reply = front.call("GET", "/api/market/instruments?pattern=if")
    assert reply.json == {"success": True, "data": ["CFFEX.IF2101", "CFFEX.IF2103"], "error": None}


# --- store ---


def test_query_in_every_way(front: Front) -> None:
    body = b'{"stream":"futures_market","limit":5,"filter":"instrument=au2512"}'
    replies = [
        front.call("GET", "/api/v1/query", body, Content_Type="application/json"),
        front.call("POST", "/api/v1/query", body, Content_Type="application/json"),
        front.call("POST", "/api/v1/query", body),
        front.call("GET", "/api/v1/query?stream=futures_market&limit=5&filter=instrument%3Dau2512"),
    ]
    for reply in replies:
        assert (reply.status, reply.body) == (200, b'[{"last_price":1.5}]')
        assert reply.headers["p-time-elapsed"] == "0.001200"
        assert reply.headers["X-Market-Clock"] == "replay"
    assert len({(a.stream, a.limit, a.filter) for a in front.store.asked}) == 1


def test_query_streams(front: Front) -> None:
    reply = front.call("GET", "/api/v1/query?stream=s&streaming=true")
    assert reply.headers["Content-Type"] == "application/x-ndjson"
    assert [json.loads(line) for line in reply.body.splitlines()] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_query_that_breaks_half_way_is_not_taken_for_whole(front: Front) -> None:
    with pytest.raises(Exception, match=r"IncompleteRead|reset|Remote"):
        front.call("GET", "/api/v1/query?stream=breaks&streaming=true")
    assert front.call("GET", "/health").status == 200


def test_query_refusals(make_front: MakeFront) -> None:
    front = make_front()
    assert front.call("POST", "/api/v1/query", b"{broken").status == 400
    assert front.call("POST", "/api/v1/query", b"{}").status == 400
    reply = front.post("/api/v1/query", {"stream": "nosuch"})
    assert (reply.status, reply.json["streams"]) == (404, ["futures_market"])
    reply = front.post("/api/v1/query", {"stream": "bug"})
    assert reply.status == 500
    assert "secret" not in reply.json["error"]
    ingest = make_front(modes=("ingest",), with_store=False)
    reply = ingest.post("/api/v1/query", {"stream": "futures_market"})
    assert (reply.status, "ingest" in reply.json["error"]) == (403, True)
    bare = make_front(modes=("db",), with_feed=False)
    assert bare.call("GET", "/api/subscriptions").status == 503
    assert bare.call("GET", "/api/status").json["connected_clients"] == 0


# --- operations ---


def test_health_and_readiness(front: Front) -> None:
    health = front.call("GET", "/healthz").json
    assert health["loop"] == "uvloop"
    assert health["clock"] == {
        "name": "replay",
        "now_ns": 1609723800000000000,
        "now": "2021-01-04T01:30:00.000000Z",
    }
    assert health["services"] == [{"name": "feed", "state": "running"}]
    assert front.call("GET", "/readyz").json == {"ready": True, "waiting": []}
    front.process.ready = False
    reply = front.call("GET", "/readyz")
    assert (reply.status, reply.json) == (503, {"ready": False, "waiting": ["feed"]})
    assert front.call("HEAD", "/healthz").status == 200


def test_metrics(front: Front) -> None:
    text = front.call("GET", "/metrics").body.decode()
    assert "qautlra_feed_clients_count 0.0" in text
    assert "qautlra_net_requests_total" in text


def test_description_covers_every_door(front: Front) -> None:
    description = front.call("GET", "/api/openapi.json").json
    assert description["openapi"].startswith("3.1")
    assert set(description["paths"]) >= {
        "/ws/market", "/api/subscriptions", "/api/subscribe", "/api/unsubscribe", "/api/status", "/health",
        "/api/v1/query", "/healthz", "/readyz", "/metrics",
    }  # fmt: skip
    schemas = description["components"]["schemas"]
    text = json.dumps(description)
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.split('"')[0] in schemas
    ids = [op["operationId"] for methods in description["paths"].values() for op in methods.values()]
    assert len(ids) == len(set(ids))


def test_description_says_who_may_be_refused(front: Front) -> None:
    paths = front.call("GET", "/api/openapi.json").json["paths"]
    guarded = {
        (method, path): set(operation["responses"])
        for path, methods in paths.items()
        for method, operation in methods.items()
        if "security" in operation
    }
    assert ("put", "/api/v1/import/{id}") in guarded and ("put", "/api/v1/aggregate/{stream}") in guarded
    assert {door for door, statuses in guarded.items() if not statuses >= {"401", "403"}} == set()


@pytest.mark.parametrize(
    ("modes", "part", "kind", "words"),
    [
        (("query",), Deps.taking_in, AuthError, "takes nothing in"),
        (("query",), Deps.importing, AuthError, "takes nothing in"),
        (("md",), Deps.taking_in, UnavailableError, "No store in mode md"),
        (("md", "web"), Deps.importing, UnavailableError, "No store in mode md,web"),
        (("query",), Deps.stored, UnavailableError, "No store"),
        (("ingest",), Deps.answering, AuthError, "does not answer"),
        (("md",), Deps.answering, UnavailableError, "No store"),
    ],
)
def test_what_a_mode_does_not_run_is_said(
    modes: tuple[str, ...], part: Callable[[Deps], Any], kind: type[QautlraError], words: str
) -> None:
    deps = Deps(settings=Net(), clock=WallClock(), process=FakeProcess(), modes=modes)
    with pytest.raises(kind, match=words) as raised:
        part(deps)
    assert raised.value.status == (403 if kind is AuthError else 503)


# --- errors, origins, limits ---


def test_unknown_paths_and_methods(front: Front) -> None:
    reply = front.call("GET", "/nothing")
    assert (reply.status, "/nothing" in reply.json["error"]) == (404, True)
    reply = front.call("POST", "/api/status", b"")
    assert reply.status == 405
    assert "GET" in reply.headers["Allow"]
    assert reply.headers["Server"] == "qautlra"


def test_a_large_body_is_413(front: Front) -> None:
    reply = front.call("POST", "/api/v1/query", b" " * (1 << 20) + b"{}")
    assert reply.status == 413
    assert "error" in reply.json
    at_bound = b'{"stream":"futures_market"}'.ljust(1 << 20)
    assert front.call("POST", "/api/v1/query", at_bound).status == 200


def test_large_headers_are_refused(front: Front) -> None:
    assert front.call("GET", "/health", X_Big="x" * 20_000).status == 400
    assert front.call("GET", "/health").status == 200


def test_no_other_site_s_page_may_read_unless_configured(make_front: MakeFront) -> None:
    front = make_front()
    reply = front.call("GET", "/api/status", Origin="https://evil.example")
    assert "Access-Control-Allow-Origin" not in reply.headers
    reply = front.call(
        "OPTIONS", "/api/subscribe", Origin="https://evil.example", Access_Control_Request_Method="POST"
    )
    assert "Access-Control-Allow-Origin" not in reply.headers
    named = make_front(net={"cors": {"allowed_origins": ["https://desk.example"], "allow_credentials": True}})
    reply = named.call(
        "OPTIONS", "/api/subscribe", Origin="https://desk.example", Access_Control_Request_Method="POST"
    )
    assert reply.status == 204
    assert reply.headers["Access-Control-Allow-Origin"] == "https://desk.example"
    assert reply.headers["Access-Control-Allow-Credentials"] == "true"
    assert reply.headers["Access-Control-Max-Age"] == "3600"
    for path in ("/nothing", "/api/v1/query?stream=s&streaming=true"):  # the second is sent as it is made
        reply = named.call("GET", path, Origin="https://desk.example")
        assert reply.headers["Access-Control-Allow-Origin"] == "https://desk.example"
    everyone = make_front(net={"cors": {"allow_all": True, "allow_credentials": True}})
    reply = everyone.call("GET", "/api/status", Origin="https://any.example")
    assert reply.headers["Access-Control-Allow-Origin"] == "https://any.example"  # never * with credentials
    open_to_all = make_front(net={"cors": {"allow_all": True}})
    reply = open_to_all.call("GET", "/api/status", Origin="https://any.example")
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
