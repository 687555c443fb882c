"""Files sent to a running server, gone on with where an attempt ended, watched until they are stored."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from qautlra.base.errors import AuthError, InputError, LinkError
from qautlra.cli import remote

PIECE_BYTES = 1 << 20
TIMEOUT_S = 120.0
POLL_S = 0.2
ATTEMPTS_COUNT = 20
_FORMS: Final = {
    ".parquet": "parquet", ".pq": "parquet", ".arrow": "arrow", ".ipc": "arrow", ".feather": "arrow",
    ".csv": "csv", ".csv.gz": "csv.gz", ".ndjson": "ndjson", ".jsonl": "ndjson",
}  # fmt: skip


def form_of(path: Path) -> str:
    """Return the format a file's name asks for; InputError when it is none of ours."""
    name = path.name.lower()
    for suffix, form in _FORMS.items():
        if name.endswith(suffix):
            return form
    raise InputError(f"{path}: expected a file named {', '.join(_FORMS)}")


def name_of(path: Path, stream: str) -> str:
    """Return what the import of this file is called: the same at every attempt, until the file changes."""
    facts = path.stat()
    text = f"{path.resolve()}\0{facts.st_size}\0{facts.st_mtime_ns}\0{stream}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]


class Uploader:
    """One server and the login for it."""

    def __init__(self, address: tuple[str, int], username: str, password: str, cert: str = "") -> None:
        self._address = address
        self._cert = cert
        given = base64.b64encode(f"{username}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {given}"} if username else {}

    def send(self, path: Path, stream: str, told: Callable[[int], None]) -> dict[str, Any]:
        """Import a file; return its note when it is over. A cut connection is gone on with."""
        name, form = name_of(path, stream), form_of(path)
        failures = 0
        while True:
            try:
                note = self._ask("GET", name)
                if note is None or note["state"] == "receiving":
                    note = self._put(path, name, stream, form, 0 if note is None else note["bytes"])
                if note["state"] in ("done", "failed"):
                    return note
                told(note["rows"])
                failures = 0
            except (OSError, http.client.HTTPException) as error:
                failures += 1
                if failures >= ATTEMPTS_COUNT:
                    host, port = self._address
                    raise LinkError(f"no answer from {host}:{port}: {error}; try again to go on") from None
            time.sleep(POLL_S)

    def _put(self, path: Path, name: str, stream: str, form: str, at: int) -> dict[str, Any]:
        query = urlencode({"stream": stream, "format": form, "at": at})
        size = path.stat().st_size - at
        with path.open("rb") as file:
            file.seek(at)
            pieces: Iterator[bytes] = iter(lambda: file.read(PIECE_BYTES), b"")
            found = self._ask("PUT", f"{name}?{query}", pieces, size)
        assert found is not None
        return found

    def _ask(
        self, method: str, tail: str, body: Iterator[bytes] | None = None, size: int = 0
    ) -> dict[str, Any] | None:
        connection = remote.connection(self._address, self._cert, TIMEOUT_S)
        try:
            headers = self._headers | ({"Content-Length": str(size)} if body is not None else {})
            connection.request(method, f"/api/v1/import/{tail}", body, headers)
            reply = connection.getresponse()
            text = reply.read()
        finally:
            connection.close()
        if reply.status == 404:
            return None
        answer = json.loads(text) if text else {}
        if reply.status == 401:
            raise AuthError(
                f"the server on port {self._address[1]} wants a login to import ({answer.get('error')}): "
                "give --username and --password-stdin"
            )
        if reply.status == 409 and "bytes" in answer:
            raise http.client.HTTPException(answer["error"])  # asked anew, the server says where to go on
        if reply.status >= 500:
            raise http.client.HTTPException(answer.get("error", str(reply.status)))
        if reply.status >= 400:
            raise InputError(f"the server answers {reply.status}: {answer.get('error')}")
        found: dict[str, Any] = answer
        return found
