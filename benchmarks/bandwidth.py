"""Bytes one client receives of a real trading day: only what changed, against full snapshots.

Two `qautlra serve` processes replay the same day, one with `feed.incremental.enabled=false`; each tick is
pushed as its own frame. The patches are merged and must give what the other server sends whole.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import aiohttp

import _bench

SPEED = 400
SHORT_ROWS = 2000
TARGET_RATIO = 0.30
SYMBOL = "CFFEX.IF2101"


def main() -> None:
    """Replay, count and print the line."""
    chosen = _bench.options(__doc__ or "", ("--speed", {"type": float, "default": SPEED}))
    (day,) = _bench.real_day()
    with ExitStack() as stack:
        if chosen.short:
            day = first_rows(day, Path(stack.enter_context(tempfile.TemporaryDirectory())), SHORT_ROWS)
        servers = [
            stack.enter_context(
                _bench.serve(
                    *("--mode", "md", "--source", "replay", "--replay", str(day)),
                    *("--speed", f"{chosen.speed:g}", "--set", "source.replay.wait_clients=2"),
                    *("--set", "feed.batch_size_threshold=1"),
                    *("--set", f"feed.incremental.enabled={incremental}"),
                )
            )
            for incremental in ("true", "false")
        ]
        part, whole = asyncio.run(both(servers))
        rows = servers[0].service("source.replay")["rows"]
    for form in part:
        if part[form].tree != whole[form].tree:
            raise SystemExit(f"{form}: patches give {part[form].tree}, the snapshot is {whole[form].tree}")
    lines = {form: compare(part[form], whole[form]) for form in part}
    _bench.report(
        "bandwidth",
        **lines,
        ratio=(
            "mean patch / mean full snapshot, of whole frames; to_present_only: against the same snapshot "
            "without the fields that have no value; fields: of the number of fields"
        ),
        target_ratio=TARGET_RATIO,
        met={form: line["ratio_bytes"] < TARGET_RATIO for form, line in lines.items()},
        rows=rows,
        day=day.name if not chosen.short else f"first {SHORT_ROWS} rows of the day",
        speed=chosen.speed,
        control="the same server sending full snapshots; patches merged equal its last snapshot",
        note="the recording has one book level: most of a full snapshot says that levels 2 to 10 are absent",
    )


@dataclass
class Received:
    """What one client got in one form: frame sizes, fields per frame, the merged quote."""

    sizes: list[int] = field(default_factory=list)
    fields: list[int] = field(default_factory=list)
    present_sizes: list[int] = field(default_factory=list)
    tree: dict[str, Any] = field(default_factory=dict)

    def take(self, size: int, quote: dict[str, Any]) -> None:
        """Count one frame."""
        self.sizes.append(size)
        self.fields.append(len(quote))
        self.present_sizes.append(size - absent_bytes(quote))
        self.tree |= quote


def compare(part: Received, whole: Received) -> dict[str, Any]:
    """Return bytes and fields of patches against full snapshots."""
    patches, fields = part.sizes[1:], part.fields[1:]
    patch, full = mean(patches), mean(whole.sizes)
    return {
        "ratio_bytes": round(patch / full, 4),
        "ratio_bytes_to_present_only": round(patch / mean(whole.present_sizes), 4),
        "ratio_fields": round(mean(fields) / mean(whole.fields), 4),
        "incremental_bytes": sum(part.sizes),
        "full_bytes": sum(whole.sizes),
        "patch_frame_bytes": _bench.spread(patches, 1) | {"mean": round(patch, 1)},
        "full_frame_bytes": _bench.spread(whole.sizes, 1) | {"mean": round(full, 1)},
        "frames": {"incremental": len(part.sizes), "full": len(whole.sizes)},
    }


def absent_bytes(quote: dict[str, Any]) -> int:
    """Return how much of a frame only says that a value is absent: no price, or the volume of no price."""
    gone = {key for key, value in quote.items() if value in ("-", None)}
    gone |= {key for key, value in quote.items() if value == 0 and key.replace("volume", "price") in gone}
    return sum(len(json.dumps({key: quote[key]}, separators=(",", ":"))) - 1 for key in gone)


async def both(servers: list[_bench.Server]) -> list[dict[str, Received]]:
    """Return what the clients of each server received."""
    return list(await asyncio.gather(*(receive(server) for server in servers)))


async def receive(server: _bench.Server) -> dict[str, Received]:
    """Return what a DIFF client and a legacy client of one server received, by form of frame."""
    forms = {"diff": Received(), "legacy": Received()}
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(
            listen(server, session, {"aid": "subscribe_quote", "ins_list": SYMBOL}, forms, "diff"),
            listen(
                server,
                session,
                {"type": "subscribe", "payload": {"instruments": [SYMBOL]}},
                forms,
                "legacy",
            ),
        )
    return {form: found for form, found in forms.items() if found.sizes}


async def listen(
    server: _bench.Server,
    session: aiohttp.ClientSession,
    subscribe: dict[str, Any],
    forms: dict[str, Received],
    form: str,
) -> None:
    """Count every frame of one client until the replay has finished and nothing more comes."""
    async with session.ws_connect(server.url + "/ws/market?flow=push", max_msg_size=1 << 22) as socket:
        await socket.send_str(json.dumps(subscribe))
        while True:
            try:
                message = await socket.receive(timeout=1.0)
            except TimeoutError:
                state = (await asyncio.to_thread(server.service, "source.replay")).get("state", "")
                if str(state).startswith("finished"):
                    return
                continue
            frame = json.loads(message.data)
            if frame.get("type") == "market_data":
                forms.setdefault("market_data", Received()).take(len(message.data), frame["payload"]["data"])
            for part in frame.get("data", []):
                quote = part.get("quotes", {}).get(SYMBOL)
                if quote is not None:
                    forms[form].take(len(message.data), quote)


def first_rows(day: Path, directory: Path, count: int) -> Path:
    """Return a file of the day's first rows."""
    lines = gzip.decompress(day.read_bytes()).splitlines(keepends=True)
    short = directory / "short.csv"
    short.write_bytes(b"".join(lines[: count + 1]))
    return short


if __name__ == "__main__":
    main()
