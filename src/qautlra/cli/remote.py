"""A running server asked over HTTP by the command line: finding it, and a query's answer as Arrow batches."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qautlra.base.errors import InputError, LinkError
from qautlra.config.load import Loaded

FIND_TIMEOUT_S = 0.5
ANSWER_TIMEOUT_S = 120.0
ARROW = "application/vnd.apache.arrow.stream"


def connection(address: tuple[str, int], cert: str, timeout_s: float) -> http.client.HTTPConnection:
    """Return a connection to a server of this machine; by TLS, with its own certificate, when it has one."""
    if not cert:
        return http.client.HTTPConnection(*address, timeout=timeout_s)
    context = ssl.create_default_context()
    context.check_hostname = False  # it is this machine's, whatever name the certificate has
    try:
        context.load_verify_locations(cert)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"net.tls_cert: {cert}: {error}") from None
    return http.client.HTTPSConnection(*address, timeout=timeout_s, context=context)


def find(loaded: Loaded, data_dir: Path) -> tuple[str, int] | None:
    """Return the configured address at which a server of this data directory answers, None without one."""
    for endpoint in loaded.endpoints:
        place, cert = (endpoint.host, endpoint.port), loaded.config.net.tls_cert
        asked = connection(place, cert, FIND_TIMEOUT_S)
        try:
            asked.request("GET", "/healthz")
            health = json.loads(asked.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException):
            continue
        finally:
            asked.close()
        services = health.get("services", []) if isinstance(health, dict) else []
        if any(service.get("data_dir") == str(data_dir) for service in services):
            return endpoint.host, endpoint.port
    return None


@contextmanager
def ask(
    address: tuple[str, int], body: dict[str, Any], accept: str, cert: str = ""
) -> Iterator[http.client.HTTPResponse]:
    """Send a query and yield the answer; InputError with the server's own words when it refuses."""
    asked = connection(address, cert, ANSWER_TIMEOUT_S)
    try:
        headers = {"Content-Type": "application/json", "Accept": accept}
        asked.request("POST", "/api/v1/query", json.dumps(body).encode(), headers)
        reply = asked.getresponse()
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
        asked.close()
