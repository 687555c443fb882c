"""A running server asked over HTTP by the command line: finding it, and a query's answer as Arrow batches."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qautlra.base.errors import InputError, LinkError
from qautlra.config.load import Loaded

FIND_TIMEOUT_S = 0.5
ANSWER_TIMEOUT_S = 120.0
ARROW = "application/vnd.apache.arrow.stream"


def find(loaded: Loaded, data_dir: Path) -> tuple[str, int] | None:
    """Return the configured address at which a server of this data directory answers, None without one."""
    for endpoint in loaded.endpoints:
        connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=FIND_TIMEOUT_S)
        try:
            connection.request("GET", "/healthz")
            health = json.loads(connection.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException):
            continue
        finally:
            connection.close()
        services = health.get("services", []) if isinstance(health, dict) else []
        if any(service.get("data_dir") == str(data_dir) for service in services):
            return endpoint.host, endpoint.port
    return None


@contextmanager
def ask(address: tuple[str, int], body: dict[str, Any], accept: str) -> Iterator[http.client.HTTPResponse]:
    """Send a query and yield the answer; InputError with the server's own words when it refuses."""
    connection = http.client.HTTPConnection(*address, timeout=ANSWER_TIMEOUT_S)
    try:
        headers = {"Content-Type": "application/json", "Accept": accept}
        connection.request("POST", "/api/v1/query", json.dumps(body).encode(), headers)
        reply = connection.getresponse()
        if reply.status != 200:
            text = reply.read(65_536).decode("utf-8", "replace")
            try:
                text = json.loads(text)["error"]
            except (ValueError, KeyError, TypeError):
                pass
            raise InputError(f"the server answers {reply.status}: {text}")
        yield reply
    except (OSError, http.client.HTTPException) as error:
        raise LinkError(f"no answer from {address[0]}:{address[1]}: {error}") from None
    finally:
        connection.close()
