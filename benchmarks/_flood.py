"""bench: helper. Connects to a market socket many times a second; each connection breaks the protocol.

`_flood.py HOST PORT RATE SECONDS` prints one JSON line: connections made, and how they were answered.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter

REQUEST = (
    b"GET /ws/market HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
BAD_FRAMES = (
    b"\x81\x05hello",  # not masked
    b"\xf1\x80\x00\x00\x00\x00",  # reserved bits
    b"\x83\x80\x00\x00\x00\x00",  # unknown opcode
    b"\x89\xfe\x00\x7e" + bytes(4),  # a ping too long
    b"\x80\x80\x00\x00\x00\x00",  # a continuation of nothing
    b"\x81\x82\x00\x00\x00\x00\xff\xff",  # not UTF-8
    b"\x81\xff" + (1 << 40).to_bytes(8, "big") + bytes(4),  # a terabyte announced
    b"\x88\x81\x00\x00\x00\x00\x03",  # half a close code
    b"\x81\x8a\x00\x00\x00\x00" + b'{"aid":"x"',  # broken JSON: answered, not closed
    b"\x82\x81\x00\x00\x00\x00\x00",  # binary: answered, not closed
)


async def visit(host: str, port: int, number: int, outcome: Counter[str]) -> None:
    """Connect, upgrade, send one bad frame, read the answer, leave."""
    try:
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 101 " not in head.split(b"\r\n")[0]:
                outcome["refused"] += 1
            else:
                writer.write(BAD_FRAMES[number % len(BAD_FRAMES)])
                answer = await reader.read(200)
                outcome["closed" if answer[:1] == b"\x88" else "told" if answer else "cut"] += 1
            writer.transport.abort()
    except (OSError, EOFError, TimeoutError) as error:
        outcome[type(error).__name__] += 1


async def flood(host: str, port: int, rate: float, seconds: float) -> dict[str, float]:
    """Return what happened to `rate` visits a second."""
    outcome: Counter[str] = Counter()
    start = time.monotonic()
    visits: set[asyncio.Task[None]] = set()
    for number in range(int(rate * seconds)):
        wait_s = start + number / rate - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        task = asyncio.create_task(visit(host, port, number, outcome))
        visits.add(task)
        task.add_done_callback(visits.discard)
    sent_s = time.monotonic() - start
    await asyncio.gather(*visits)
    return {"visits": int(rate * seconds), "sent_s": sent_s, "seconds": time.monotonic() - start, **outcome}


if __name__ == "__main__":
    import uvloop

    host, port, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    print(json.dumps(uvloop.run(flood(host, port, rate, seconds))))
