"""Operations: health, readiness, metrics."""

from __future__ import annotations

import asyncio

from aiohttp import web

from qautlra import __version__
from qautlra.auth.rights import Right
from qautlra.base import metrics
from qautlra.net.deps import Deps
from qautlra.net.http import json_reply
from qautlra.net.route import Route
from qautlra.wire import rest
from qautlra.wire.qamd import rfc3339


class OpsHttp:
    """Handlers of the operations doors."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def routes(self) -> list[Route]:
        """Return the route table's rows."""
        return [
            Route("GET", "/healthz", self.healthz, "State of the process", reply=rest.Health),
            Route(
                "GET", "/readyz", self.readyz, "Whether every service runs", reply=rest.Readiness,
                right=Right.PUBLIC, statuses={503: "not yet"},
            ),
            Route("GET", "/metrics", self.metrics, "Prometheus metrics", reply_type="text/plain"),
        ]  # fmt: skip

    async def healthz(self, _request: web.Request) -> web.Response:
        """Tell the state; always 200 while the process answers."""
        deps = self._deps
        now_ns = deps.clock.now_ns()
        return json_reply(
            {
                "version": __version__,
                "loop": loop_name(),
                "modes": list(deps.modes),
                "uptime_s": round(deps.process.uptime_s(), 3),
                "clock": {"name": deps.clock.name, "now_ns": now_ns, "now": rfc3339(now_ns)},
                **deps.process.health(),
            }
        )

    async def readyz(self, _request: web.Request) -> web.Response:
        """Answer 200 when every service runs, else 503 and which do not."""
        process = self._deps.process
        services = process.health().get("services", [])
        idle = ("waiting", "starting", "backoff", "stopping", "stopped")
        waiting = [service["name"] for service in services if service.get("state") in idle]
        return json_reply({"ready": process.ready, "waiting": waiting}, 200 if process.ready else 503)

    async def metrics(self, _request: web.Request) -> web.Response:
        """Render the metrics."""
        return web.Response(body=metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})


def loop_name() -> str:
    """Return `uvloop`, or the class of another event loop."""
    loop = type(asyncio.get_running_loop())
    return "uvloop" if loop.__module__.startswith("uvloop") else f"{loop.__module__}.{loop.__qualname__}"
