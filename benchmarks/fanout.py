"""Fan-out of quotes to 50 and 500 WebSocket clients: a real `qautlra serve` against a C++ limit server.

Pinned to one core and driven by the same load generator on the other, in turns, beside `websockets`
(`broadcast`) and aiohttp. The figure is CPU per delivered quote. All others send prepared frames; the product
simulates, compares and encodes. Flat out the generator spins instead of sleeping: waking a sleeping reader
costs a sender more than the sending. But whoever is faster than the reader sends into buffers that are not
empty, which is cheaper. So there are paced scenes besides: the product at a rate its reader keeps up with
asleep, the limit server with as many quotes per message and as many per second.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import _bench

_bench.import_product()

from qautlra.model.calendar import load_calendar  # noqa: E402
from qautlra.source.contracts import listing  # noqa: E402

CLIENTS = (50, 500)
BURSTS = {1: 0.85, 20: 0.75}
PACED = {1: 2_000.0, 20: 20_000.0}  # updates/s of the market: below what anybody can do
PACED_SHARE = 0.95  # of the product's rate must arrive from the limit, or the scene says nothing
SAME_RATIO = 0.9  # of the ratio at 50 clients, at 500
OTHERS = ("limit", "websockets", "aiohttp")
DAY = 20250603
PATH = "/ws/market?flow=push&stamp=1"
QUOTE = '"datetime"'  # stands once in every patch of either server: its stamp always changes
SPREAD = ("cpu_us", "quotes_per_s")
OWN_CLIENTS_NOTE = "driven by this benchmark's asyncio clients: the load, not the server, may be the limit"
CONTENDERS = str(Path(__file__).with_name("_contenders.py"))
Runs = dict[str, list[dict[str, float]]]
Scene = tuple[int, int, float]
"Clients, burst, updates/s (0: flat out)."


def main() -> None:
    """Measure every burst in turns and print the line."""
    chosen = _bench.options(
        __doc__ or "",
        ("--clients", {"type": int}),
        ("--seconds", {"type": float}),
        ("--rounds", {"type": int}),
        ("--only", {"choices": ["flat", "paced"]}),
    )
    rounds, seconds = (1, 0.4) if chosen.short else (3, 3.0)
    rounds, seconds = chosen.rounds or rounds, chosen.seconds or seconds
    counts = (chosen.clients,) if chosen.clients else CLIENTS[:1] if chosen.short else CLIENTS
    scenes = [(clients, burst, 0.0) for clients in counts for burst in BURSTS if chosen.only != "paced"]
    scenes += [(counts[0], burst, rate) for burst, rate in PACED.items() if chosen.only != "flat"]
    with tempfile.TemporaryDirectory(prefix="qautlra-bench-") as directory:
        tools = _bench.generators(Path(directory))
        verified = asyncio.run(verify(chosen.short))
        measured: dict[Scene, Runs] = {scene: {} for scene in scenes}
        for _ in range(rounds):
            for (clients, burst, rate), found in measured.items():
                found.setdefault("product", []).append(product(tools, burst, clients, seconds, rate=rate))
                if rate and isinstance(tools, dict):
                    # What moved twice in a burst is told once: the limit sends as many quotes.
                    told = found["product"][-1]
                    each, wide = told["quotes_per_s"] / clients, round(told["quotes_per_message"])
                    found.setdefault("limit", []).append(
                        other(tools, "limit", wide, clients, seconds, rate=each)
                    )
                    continue
                for who in OTHERS if isinstance(tools, dict) else ():
                    found.setdefault(who, []).append(other(tools, who, burst, clients, seconds))
    server, load = _bench.cores()
    lines = {scene: summary(scene, found) for scene, found in measured.items()}
    for (clients, burst, _), line in lines.items():
        few = lines.get((CLIENTS[0], burst, 0.0), {}).get("ratio_to_limit")
        if clients != CLIENTS[0] and few and "ratio_to_limit" in line:
            line["target_ratio"] = round(few * SAME_RATIO, 3)
            line["met"] = line["ratio_to_limit"] >= line["target_ratio"]
    _bench.report(
        "fanout",
        **{name(scene, counts[0]): line for scene, line in lines.items()},
        clients=counts[0],
        seconds=seconds,
        verified=f"{verified} merged quotes equal full snapshots of the same stamp sent to a later client",
        value="CPU microseconds of the server process per delivered quote, all its threads",
        ratio="limit / product of the medians: 1 is as cheap as the limit",
        control=(
            "ws_limit: one C++ thread, prepared frames, one send per client and burst"
            if isinstance(tools, dict)
            else f"none: {tools}; {OWN_CLIENTS_NOTE}"
        ),
        product="serve --mode md, sim flat out or paced, 58 instruments, push flow, stamped frames",
        paced_updates_per_s=PACED,
        cores={"server": server, "load": load},
    )


def name(scene: Scene, usual: int) -> str:
    """Return what a scene is called in the line."""
    clients, burst, rate = scene
    return f"{'paced ' if rate else ''}burst {burst}" + ("" if clients == usual else f", {clients} clients")


def summary(scene: Scene, found: Runs) -> dict[str, Any]:
    """Return a scene's spreads and its ratios to the others; a paced one is met at the same rate only."""
    _, burst, rate = scene
    line: dict[str, Any] = {}
    for who, runs in found.items():
        several = {key: _bench.spread([run[key] for run in runs]) for key in runs[0]}
        line[who] = {key: several[key] if key in SPREAD else several[key]["median"] for key in several}
    for who in OTHERS:
        if who in line:
            ratio = line[who]["cpu_us"]["median"] / line["product"]["cpu_us"]["median"]
            line[f"ratio_to_{who}"] = round(ratio, 3)
            if who == "limit":
                rates = [line[one]["quotes_per_s"]["median"] for one in ("product", "limit")]
                line |= {"rate_ratio": round(rates[0] / rates[1], 3)}
                line |= {"target_ratio": BURSTS[burst], "met": ratio >= BURSTS[burst]}
                if rate:
                    line["same_rate"] = PACED_SHARE <= line["rate_ratio"] <= 1 / PACED_SHARE
                    line["met"] &= line["same_rate"]
    return line


def product(
    tools: dict[str, Path] | str, burst: int, clients: int, seconds: float, *, rate: float = 0.0
) -> dict[str, float]:
    """Return figures of one run of the product."""
    server_core, load_core = _bench.cores()
    wanted = arguments(burst, str(rate) if rate else "max")
    if rate:
        wanted += ["--set", "feed.batch_size_threshold=1"]  # each burst at once, also when it tells fewer
    with _bench.serve(*wanted, core=server_core) as server:
        if isinstance(tools, str):
            return asyncio.run(own_clients(server, clients, seconds))
        return run_load(
            [*_bench.pin(load_core), str(tools["ws_load"]), *([] if rate else ["--busy"])],
            f"ws://127.0.0.1:{server.port}{PATH}",
            server.pid,
            clients,
            seconds,
            "--subscribe",
            subscription(),
        )


def arguments(burst: int, rate: str) -> list[str]:
    """Return the command line of a server that sends each burst at once."""
    settings = {
        "source.sim.trading_day": "2025-06-03",
        "source.sim.ticks_per_s": rate,
        "source.sim.burst": burst,
        "source.sim.history_bars": 0,
        "feed.batch_size_threshold": burst,
    }
    sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    return ["--mode", "md", "--source", "sim", *sets]


def subscription() -> str:
    """Return the frame that subscribes to everything the simulated market lists."""
    symbols = ",".join(contract.symbol for contract in listing(DAY, load_calendar()))
    return json.dumps({"aid": "subscribe_quote", "ins_list": symbols}, separators=(",", ":"))


async def verify(short: bool) -> int:
    """Return how many quotes merged from patches were equal to full ones of the same stamp; all must be."""
    import aiohttp

    history: dict[str, dict[str, dict[str, Any]]] = {}

    async def watch(session: aiohttp.ClientSession, url: str) -> None:
        tree: dict[str, dict[str, Any]] = {}
        async with session.ws_connect(url) as socket:
            await socket.send_str(subscription())
            async for message in socket:
                for name, patch in quotes(message.data):
                    tree[name] = tree.get(name, {}) | patch
                    history.setdefault(name, {})[tree[name]["datetime"]] = tree[name]

    compared = 0
    with _bench.serve(*arguments(20, "2000"), core=_bench.cores()[0]) as server:
        async with aiohttp.ClientSession() as session:
            url = server.url + PATH
            watcher = asyncio.create_task(watch(session, url))
            for _ in range(1 if short else 5):
                await asyncio.sleep(0.5)
                async with session.ws_connect(url) as socket:
                    await socket.send_str(subscription())
                    full: dict[str, dict[str, Any]] = {}
                    async for message in socket:
                        for name, quote in quotes(message.data):
                            full.setdefault(name, quote)
                        if len(full) > 40:
                            break
                await asyncio.sleep(0.2)
                for name, quote in full.items():
                    known = history.get(name, {}).get(quote["datetime"])
                    if known is not None:
                        compared += 1
                        if known != quote:
                            raise SystemExit(f"{name}: the patches give {known}, the snapshot is {quote}")
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
    if not compared:
        raise SystemExit("no quote could be compared")
    return compared


def quotes(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the quotes of a frame."""
    frame = json.loads(text)
    return [pair for part in frame.get("data", []) for pair in part.get("quotes", {}).items()]


def other(
    tools: dict[str, Path], who: str, burst: int, clients: int, seconds: float, *, rate: float = 0.0
) -> dict[str, float]:
    """Return figures of one run of the limit server, or of a library."""
    server_core, load_core = _bench.cores()
    port = _bench.free_port()
    program = [str(tools["ws_limit"])] if who == "limit" else [sys.executable, CONTENDERS, who]
    command = [*_bench.pin(server_core), *program, "--port", str(port), "--clients", str(clients)]
    command += ["--burst", str(burst), "--secs", str(seconds + 20)]
    if rate:
        command += ["--rate", str(rate)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        _bench.wait_for_port(port)
        spin = [] if rate else ["--busy"]
        load = [*_bench.pin(load_core), str(tools["ws_load"]), *spin]
        return run_load(load, f"ws://127.0.0.1:{port}/", process.pid, clients, seconds)
    finally:
        process.kill()
        process.wait()


def run_load(
    load: list[str], url: str, pid: int, clients: int, seconds: float, *more: str
) -> dict[str, float]:
    """Return what the load generator saw of one server."""
    command = [*load, "--url", url, "--clients", str(clients), "--duration", str(seconds), "--warmup", "0.5"]
    command += ["--server-pid", str(pid), "--count-key", QUOTE, *more]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
    seen = json.loads(run.stdout)
    if seen["open"] != clients or not seen["items"]:
        raise SystemExit(f"{url}: {seen['open']} of {clients} clients open, {seen['items']} quotes")
    return figures(
        items=seen["items"],
        messages=seen["msgs"],
        elapsed_s=seen["elapsed_s"],
        cpu_s=seen["server_cpu"] * seen["elapsed_s"],
        server_cpu=seen["server_cpu"],
        load_cpu=seen["load_cpu"],
        bytes_=seen["wire_bytes_per_msg"] * seen["msgs"],
        p50_us=seen["lat_us"]["p50"],
        p99_us=seen["lat_us"]["p99"],
        fairness=seen["min_client"] / max(seen["max_client"], 1),
    )


def figures(
    *, items: int, messages: int, elapsed_s: float, cpu_s: float, bytes_: float, **more: float
) -> dict[str, float]:
    """Return the figures of one run by name."""
    return {
        "cpu_us": cpu_s * 1e6 / items,
        "quotes_per_s": items / elapsed_s,
        "quotes_per_message": items / messages,
        "bytes_per_quote": bytes_ / items,
        **more,
    }


async def own_clients(server: _bench.Server, clients: int, seconds: float) -> dict[str, float]:
    """Return the same figures from asyncio clients, where the C++ generator is not there."""
    import aiohttp

    items = messages = size = 0
    measuring = False

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal items, messages, size
        async with session.ws_connect(server.url + PATH, max_msg_size=1 << 24) as socket:
            await socket.send_str(subscription())
            async for message in socket:
                if measuring and isinstance(message.data, str):
                    items += message.data.count(QUOTE)
                    messages += 1
                    size += len(message.data)

    async with aiohttp.ClientSession() as session:
        tasks = [asyncio.create_task(client(session)) for _ in range(clients)]
        await asyncio.sleep(1.0)
        measuring, cpu, start = True, _bench.cpu_s(server.pid), time.monotonic()
        await asyncio.sleep(seconds)
        elapsed, used = time.monotonic() - start, _bench.cpu_s(server.pid) - cpu
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if not items:
        raise SystemExit("no quote arrived")
    return figures(items=items, messages=messages, elapsed_s=elapsed, cpu_s=used, bytes_=float(size))


if __name__ == "__main__":
    main()
