"""The doors of logins, users and the audit log, through a real server; who may come in at which door."""

import base64
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qautlra.auth.rights import ACCOUNT_RIGHTS, Access, Right, Role
from qautlra.auth.service import AuthOptions, AuthService
from qautlra.net.app import route_table
from qautlra.net.route import Route
from tests.e2e.test_kafka import until
from tests.net.front import Front, Reply

MakeFront = Callable[..., Front]
PASSWORD = "Check-pass-1"
OPEN_WRITES = {
    ("POST", "/api/v1/counts"),
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/refresh"),
    ("POST", "/api/auth/register"),
    ("POST", "/api/v1/query"),
    ("POST", "/api/v1/counts"),
    ("POST", "/api/v1/logstream/schema/detect"),
    ("POST", "/api/subscriptions"),
    ("DELETE", "/api/subscriptions"),
    ("POST", "/api/subscribe"),
    ("POST", "/api/unsubscribe"),
}
"""Doors that are no GET and need no login on loopback: logins, questions, and what is subscribed to."""


class Guarded:
    """A front with users: `root` (admin), `check` (trader of account acc1), `eye` (may look at acc1)."""

    def __init__(self, front: Front) -> None:
        self.front = front
        auth = front.auth
        assert auth is not None
        self.auth = auth
        for name, role in (("root", Role.ADMIN), ("check", Role.TRADER), ("eye", Role.READ_ONLY)):
            front.wait_for(auth.add_user(name, PASSWORD, role))
        front.wait_for(auth.give_account("check", "acc1", broker="paper", cash=1e6))
        front.wait_for(auth.give_account("eye", "acc1", Access.VIEW))

    def login(self, name: str, password: str = PASSWORD) -> Reply:
        return self.front.post("/api/auth/login", {"username": name, "password": password})

    def token(self, name: str) -> str:
        token: str = self.login(name).json["data"]["token"]
        return token

    def call(self, token: str, method: str, path: str, value: Any = None) -> Reply:
        body = None if value is None else json.dumps(value).encode()
        headers = {"Authorization": f"Bearer {token}"} | (
            {"Content_Type": "application/json"} if body else {}
        )
        return self.front.call(method, path, body, **headers)


@pytest.fixture
def guarded(make_front: MakeFront, tmp_path: Path) -> Guarded:
    return Guarded(make_front(auth=AuthService(tmp_path, AuthOptions(reads_burst=1000))))


def error(reply: Reply) -> tuple[int, int]:
    assert reply.json["success"] is False and reply.json["data"] is None
    return reply.status, reply.json["error"]["code"]


# --- the table ---


def guarded_routes(front: Front) -> list[Route]:
    return route_table(front.service._deps)


def test_whatever_changes_something_asks_for_a_right(guarded: Guarded) -> None:
    routes = guarded_routes(guarded.front)
    writes = {(route.method, route.path): route.right for route in routes if route.method != "GET"}
    without = {place for place, right in writes.items() if right in (Right.PUBLIC, Right.MARKET)}
    assert without == OPEN_WRITES
    private = ("/api/auth", "/api/account", "/api/order", "/api/position", "/api/trades", "/api/admin")
    for route in routes:
        if route.path.startswith((*private, "/api/management", "/api/audit", "/api/monitoring")):
            assert route.envelope, route.path
            assert route.right is not Right.MARKET, route.path


def filled(path: str) -> str:
    return path.replace("{", "").replace("}", "")


def test_nobody_and_the_wrong_user_at_every_door(guarded: Guarded) -> None:
    eye = guarded.token("eye")
    for route in guarded_routes(guarded.front):
        if route.right in (Right.PUBLIC, Right.MARKET):
            continue
        path = filled(route.path)
        for headers in ({}, {"Authorization": "Bearer x.y.z"}, {"Authorization": "Basic Zm9vOmJhcg=="}):
            reply = guarded.front.call(route.method, path, **headers)
            assert reply.status in (401, 429), (route.method, path, reply.body)
            assert reply.headers.get("WWW-Authenticate", "Bearer").startswith("Bearer")
        if route.right not in ACCOUNT_RIGHTS | {Right.USER}:
            assert guarded.call(eye, route.method, path).status == 403, path


def test_without_users_what_needs_a_login_is_refused(front: Front) -> None:
    reply = front.call("GET", "/api/auth/users")
    assert error(reply) == (403, 9403)
    assert front.post("/api/auth/login", {"username": "a", "password": "b"}).status == 503
    assert front.call("GET", "/api/status").status == 200


# --- logins ---


def test_login_refresh_logout(guarded: Guarded) -> None:
    said = guarded.login("check").json["data"]
    assert (said["user_id"], said["username"], said["role_mask"]) == ("check", "check", 1)
    assert said["accounts"] == {"acc1": "own"} and said["token_type"] == "Bearer"
    me = guarded.call(said["token"], "GET", "/api/auth/me").json["data"]
    assert (me["user_id"], me["roles"], me["accounts"]) == ("check", ["trader"], {"acc1": "own"})
    fresh = guarded.front.post("/api/auth/refresh", {"refresh_token": said["refresh_token"]}).json["data"]
    assert guarded.call(fresh["token"], "POST", "/api/auth/logout").json["success"]
    assert error(guarded.call(fresh["token"], "GET", "/api/auth/me")) == (401, 9401)
    assert error(guarded.front.post("/api/auth/refresh", {"refresh_token": fresh["refresh_token"]})) == (
        401,
        9401,
    )


def test_wrong_passwords(guarded: Guarded) -> None:
    for _ in range(5):
        assert error(guarded.login("check", "wrong")) == (401, 9401)
    reply = guarded.login("check")
    assert error(reply) == (429, 9429)
    assert int(reply.headers["Retry-After"]) > 30
    assert guarded.login("eye").status == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"username":"check"}', b'{"username":1,"password":2}', b"\xff\xfe", b"[" * 2000,
     b'{"username":"' + b"x" * 65 + b'","password":"y"}', b'{"username":"a","password":"\\ud800"}'],
)  # fmt: skip
def test_junk_bodies(guarded: Guarded, body: bytes) -> None:
    reply = guarded.front.call("POST", "/api/auth/login", body, Content_Type="application/json")
    assert error(reply) == (400, 1008)
    assert guarded.login("check").status == 200


def test_other_faults_have_the_envelope_too(guarded: Guarded) -> None:
    front, token = guarded.front, guarded.token("root")
    assert error(front.call("POST", "/api/auth/login", b"x=1", Content_Type="text/plain")) == (415, 1008)
    big = b'{"username":"' + b"x" * (2 << 20)
    assert error(front.call("POST", "/api/auth/login", big, Content_Type="application/json")) == (413, 9413)
    assert error(guarded.call(token, "GET", "/api/auth/user/nobody")) == (404, 9404)
    reply = front.call("GET", "/api/auth/users", Accept_Language="zh-CN,zh;q=0.9")
    assert reply.json["error"]["message"] == "请先登录"


def test_register_is_off_unless_configured(make_front: MakeFront, tmp_path: Path, guarded: Guarded) -> None:
    ask = {"username": "new", "password": "New-pass-123"}
    assert error(guarded.front.post("/api/auth/register", ask)) == (403, 9403)
    opened = make_front(auth=AuthService(tmp_path / "b", AuthOptions(allow_register=True)))
    reply = opened.post("/api/auth/register", ask)
    assert (reply.json["data"]["roles"], reply.json["data"]["accounts"]) == (["trader"], {})
    assert error(opened.post("/api/auth/register", ask)) == (409, 9409)
    assert error(opened.post("/api/auth/register", ask | {"username": "n2", "password": "new"})) == (
        400,
        1008,
    )


def test_password_change(guarded: Guarded) -> None:
    token = guarded.token("check")
    ask = {"old_password": "wrong", "new_password": "Second-pass-2"}
    assert error(guarded.call(token, "POST", "/api/auth/password", ask)) == (403, 9403)
    ask["old_password"] = PASSWORD
    assert error(guarded.call(token, "POST", "/api/auth/password", ask | {"new_password": "x"})) == (
        400,
        1008,
    )
    assert guarded.call(token, "POST", "/api/auth/password", ask).status == 200
    assert guarded.call(token, "GET", "/api/auth/me").status == 401
    assert guarded.login("check").status == 401
    assert guarded.login("check", "Second-pass-2").status == 200


# --- users ---


def test_an_admin_manages_users(guarded: Guarded) -> None:
    root = guarded.token("root")
    ask = {"username": "fresh", "password": "Fresh-pass-1", "roles": ["analyst"]}
    assert guarded.call(root, "POST", "/api/auth/users", ask).json["data"]["role_mask"] == 2
    assert guarded.call(root, "POST", "/api/auth/user/roles", {"user_id": "fresh", "roles": 12}).status == 200
    reply = guarded.call(root, "POST", "/api/auth/user/role/add", {"user_id": "fresh", "role": "Trader"})
    assert reply.json["data"]["roles"] == ["trader", "read_only", "risk_manager"]
    assert (
        error(guarded.call(root, "POST", "/api/auth/user/roles", {"user_id": "fresh", "roles": 64}))[1]
        == 1008
    )
    reply = guarded.call(root, "POST", "/api/auth/user/grant", {"user_id": "fresh", "account_id": "acc1"})
    assert reply.json["data"]["accounts"] == {"acc1": "own"}
    token = guarded.login("fresh", "Fresh-pass-1").json["data"]["token"]
    assert guarded.call(token, "GET", "/api/auth/user/fresh").status == 200
    assert error(guarded.call(token, "GET", "/api/auth/user/check")) == (403, 9403)
    assert guarded.call(root, "POST", "/api/auth/user/fresh/disable").json["data"]["disabled"] is True
    assert guarded.call(token, "GET", "/api/auth/me").status == 401
    assert guarded.login("fresh", "Fresh-pass-1").status == 401
    assert guarded.call(root, "POST", "/api/auth/user/fresh/enable").status == 200
    assert guarded.call(root, "POST", "/api/auth/user/fresh/make-admin").json["data"]["role_mask"] & 128
    reset = {"new_password": "Third-pass-33"}
    assert guarded.call(root, "POST", "/api/auth/user/fresh/password", reset).status == 200
    assert guarded.login("fresh", "Third-pass-33").status == 200
    assert error(guarded.call(root, "POST", "/api/auth/user/root/disable")) == (409, 9409)
    assert guarded.call(root, "GET", "/api/auth/users").json["data"]["total"] == 4


def test_basic_credentials(guarded: Guarded) -> None:
    good = base64.b64encode(f"check:{PASSWORD}".encode()).decode()
    for _ in range(3):
        reply = guarded.front.call("GET", "/api/auth/me", Authorization=f"Basic {good}")
        assert reply.json["data"]["user_id"] == "check"
    for bad in (
        "",
        "x",
        "!!!!",
        base64.b64encode(b"check").decode(),
        base64.b64encode(b"\xff:\xfe").decode(),
    ):
        assert guarded.front.call("GET", "/api/auth/me", Authorization=f"Basic {bad}").status == 401


# --- limits ---


def test_a_user_beyond_the_rate_is_told_when_to_come_again(make_front: MakeFront, tmp_path: Path) -> None:
    options = AuthOptions(reads_per_s=0.5, reads_burst=5)
    guarded = Guarded(make_front(auth=AuthService(tmp_path, options)))
    check, eye = guarded.token("check"), guarded.token("eye")
    for _ in range(5):
        assert guarded.call(check, "GET", "/api/auth/me").status == 200
    reply = guarded.call(check, "GET", "/api/auth/me")
    assert error(reply) == (429, 9429)
    assert 1 <= int(reply.headers["Retry-After"]) <= 2
    assert guarded.call(eye, "GET", "/api/auth/me").status == 200


# --- where a login is always needed ---


def test_everything_but_the_login_page_needs_a_login(make_front: MakeFront, tmp_path: Path) -> None:
    guarded = Guarded(make_front(auth=AuthService(tmp_path), require_login=True))
    for route in guarded_routes(guarded.front):
        reply = guarded.front.call(route.method, filled(route.path))
        if route.right is Right.PUBLIC:
            assert reply.status not in (401, 403) or "register" in route.path, route.path
        else:
            assert reply.status == 401, route.path
    token = guarded.token("eye")
    assert guarded.call(token, "GET", "/api/status").status == 200


def own_address() -> str | None:
    """An address of this machine that is no loopback; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address


def test_beyond_loopback_market_reads_need_a_login_too(make_front: MakeFront, tmp_path: Path) -> None:
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    net = {"listen": [f"{address}:0"], "allow_remote": True}
    guarded = Guarded(make_front(net=net, auth=AuthService(tmp_path)))
    assert guarded.front.host == address
    for path in ("/api/status", "/api/subscriptions", "/api/v1/query?stream=x", "/healthz", "/metrics"):
        assert guarded.front.call("GET", path).status == 401, path
    assert guarded.front.post("/api/subscribe", {"instruments": ["au2106"]}).status == 401
    for path in ("/", "/health", "/readyz", "/api/docs"):
        assert guarded.front.call("GET", path).status == 200, path
    token = guarded.token("eye")
    assert guarded.call(token, "GET", "/api/status").status == 200
    alone = make_front(net=net)  # a process without users lets nobody in
    assert alone.call("GET", "/api/status").status == 403


def test_one_address_beyond_loopback_is_limited(make_front: MakeFront, tmp_path: Path) -> None:
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    auth = AuthService(tmp_path, AuthOptions(reads_per_s=0.5, reads_burst=3))
    front = make_front(net={"listen": [f"{address}:0"], "allow_remote": True}, auth=auth)
    assert [front.call("GET", "/health").status for _ in range(4)] == [200, 200, 200, 429]


def test_a_socket_takes_its_token_from_the_address(make_front: MakeFront, tmp_path: Path) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    guarded = Guarded(make_front(auth=AuthService(tmp_path), require_login=True))
    with pytest.raises(InvalidStatus) as refused, connect(guarded.front.url):
        pass
    assert refused.value.response.status_code == 401
    token = guarded.token("eye")
    with connect(f"{guarded.front.url}?token={token}") as client:
        client.send(json.dumps({"aid": "subscribe_quote", "ins_list": "SHFE.au2106"}))
        assert json.loads(client.recv(timeout=5))["aid"] == "rsp_subscribe_quote"
    assert guarded.front.call("GET", f"/api/status?token={token}").status == 401


def test_a_socket_ends_with_the_login_it_was_opened_with(make_front: MakeFront, tmp_path: Path) -> None:
    from websockets.exceptions import ConnectionClosedError
    from websockets.sync.client import connect

    guarded = Guarded(make_front(auth=AuthService(tmp_path), require_login=True))
    eye, left, check = (guarded.token(name) for name in ("eye", "check", "check"))
    urls = [f"{guarded.front.url}?token={token}" for token in (eye, left, check)]
    with connect(urls[0]) as disabled, connect(urls[1]) as logged_out, connect(urls[2]) as stays:
        guarded.call(guarded.token("root"), "POST", "/api/auth/user/eye/disable")
        guarded.call(left, "POST", "/api/auth/logout")
        for client in (disabled, logged_out):
            with pytest.raises(ConnectionClosedError) as closed:
                client.recv(timeout=5)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008
        stays.send(json.dumps({"aid": "subscribe_quote", "ins_list": "SHFE.au2106"}))
        assert json.loads(stays.recv(timeout=5))["aid"] == "rsp_subscribe_quote"
    entered = guarded.front.service._deps.entered
    until(lambda: not entered, 10.0)


def test_a_strangers_name_for_this_machine_opens_nothing(make_front: MakeFront, tmp_path: Path) -> None:
    page = "https://page.example:8443"
    front = make_front(net={"cors": {"allowed_origins": [page]}}, auth=AuthService(tmp_path))
    guarded = Guarded(front)
    for host in (
        "localhost:1",
        "[::1]:80",
        "192.0.2.1:80",
        "feed:8014",
        socket.gethostname(),
        "page.example",
    ):
        assert front.call("GET", "/api/status", Host=host).status == 200, host
    for host in ("evil.example", "evil.example:8014", "127.0.0.1.evil.example", "[::1", "evil.example."):
        for path in ("/api/status", "/metrics", "/api/v1/query?stream=x"):
            assert front.call("GET", path, Host=host).status == 401, (host, path)
        assert front.call("GET", "/health", Host=host).status == 200, host
    login = f"Bearer {guarded.token('eye')}"
    assert front.call("GET", "/api/status", Host="evil.example", Authorization=login).status == 200


# --- the audit log ---


def test_the_audit_log_is_read_and_checked(guarded: Guarded) -> None:
    guarded.login("check", "wrong")
    root = guarded.token("root")
    guarded.call(
        root, "POST", "/api/auth/user/grant", {"user_id": "eye", "account_id": "acc1", "access": "none"}
    )
    logs = guarded.call(root, "GET", "/api/audit/logs?limit=3").json["data"]["logs"]
    assert [(entry["type"], entry["result"], entry["user_id"]) for entry in logs] == [
        ("USER_CHANGE", "SUCCESS", "root"),
        ("LOGIN", "SUCCESS", "root"),
        ("LOGIN", "FAILED", "check"),
    ]
    assert logs[0]["detail"] == {"what": "grant", "user": "eye", "account": "acc1", "access": "none"}
    assert logs[0]["address"] == "127.0.0.1"
    one = guarded.call(root, "GET", f"/api/audit/logs/{logs[0]['id']}").json["data"]
    assert one == logs[0]
    assert error(guarded.call(root, "GET", "/api/audit/logs/999")) == (404, 9404)
    assert error(guarded.call(root, "GET", "/api/audit/logs/x")) == (400, 1008)
    assert error(guarded.call(root, "GET", "/api/audit/logs?limit=0")) == (400, 1008)
    assert guarded.call(root, "GET", "/api/audit/verify").json["data"]["intact"] is True


def test_secrets_are_never_shown(guarded: Guarded, capfd: pytest.CaptureFixture[str]) -> None:
    canary = "Canary-pass-77"
    root = guarded.token("root")
    guarded.call(root, "POST", "/api/auth/users", {"username": "canary", "password": canary})
    login = guarded.login("canary", canary).json["data"]
    guarded.login("canary", canary + "x")
    shown = [
        guarded.call(root, "GET", path).body.decode()
        for path in ("/api/auth/users", "/api/audit/logs", "/healthz", "/metrics", "/api/openapi.json")
    ]
    written = capfd.readouterr()
    text = "".join([*shown, written.out, written.err])
    for hidden in (canary, login["token"], login["refresh_token"], "argon2"):
        assert hidden not in text
    for path in guarded.auth.directory.iterdir():
        assert canary.encode() not in path.read_bytes()
        assert login["refresh_token"].encode() not in path.read_bytes()


def test_the_description_names_rights_and_parameters(guarded: Guarded) -> None:
    paths = guarded.front.call("GET", "/api/openapi.json").json["paths"]
    users = paths["/api/auth/users"]["get"]
    assert users["security"] == [{"bearer": []}, {"basic": []}]
    assert "security" not in paths["/api/auth/login"]["post"]
    (parameter,) = paths["/api/auth/user/{user_id}"]["get"]["parameters"]
    assert (parameter["name"], parameter["in"], parameter["required"]) == ("user_id", "path", True)
    assert users["responses"]["403"]["content"]["application/json"]["schema"]["$ref"].endswith("/Refusal")
