"""A certificate that is renewed file by file: at every moment the pair that fits is used."""

import asyncio
import os
import shutil
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from qautlra.base.errors import ConfigError
from qautlra.net import tls
from qautlra.net.tls import Certificate
from tests.e2e.test_tls import certificate


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - changed by who follows the files
            await asyncio.sleep(0.01)


def test_a_half_renewed_certificate_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "LOOK_S", 0.01)
    cert, key = certificate(tmp_path)
    new, new_key = certificate(tmp_path, "b")
    old = cert.read_text()
    kept = {path: (path.read_bytes(), path.stat()) for path in (cert, key)}

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"well")
        writer.close()

    async def work() -> None:
        used = Certificate(str(cert), str(key))
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=used.context)
        port = server.sockets[0].getsockname()[1]
        renewals = 0

        async def ask(trusted: str, name: str) -> bytes:
            context = ssl.create_default_context(cadata=trusted)
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=context, server_hostname=name
            )
            said = await reader.read()
            writer.close()
            return said

        async def renewed() -> None:
            nonlocal renewals
            renewals += 1

        following = asyncio.create_task(used.follow(renewed))
        # with a server's name in the greeting, and without: an address is none
        for name in ("127.0.0.1", "localhost"):
            assert await ask(old, name) == b"well"
        for half in (lambda: shutil.copy(new, cert), lambda: cert.write_text("torn"), key.unlink):
            half()
            used.error = ""
            await until(lambda: used.error)
            for name in ("127.0.0.1", "localhost"):
                assert await ask(old, name) == b"well"
        for path, (content, stat) in kept.items():
            path.write_bytes(content)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        await until(lambda: not used.error)  # as they were: nothing is wrong, and nothing new
        assert renewals == 0
        shutil.copy(new_key, key)
        shutil.copy(new, cert)
        await until(lambda: renewals)
        assert not used.error and used.pem == (new.read_bytes(), new_key.read_bytes())
        for name in ("127.0.0.1", "localhost"):
            assert await ask(new.read_text(), name) == b"well"
            with pytest.raises(ssl.SSLCertVerificationError):
                await ask(old, name)
        following.cancel()
        server.close()

    asyncio.run(work())


def test_what_does_not_fit_at_the_start_is_an_error(tmp_path: Path) -> None:
    cert, _ = certificate(tmp_path)
    _, other = certificate(tmp_path, "b")
    with pytest.raises(ConfigError, match="cannot be used"):
        Certificate(str(cert), str(other))
