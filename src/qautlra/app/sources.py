"""Configuration to sources: the options of each kind, and the router where several are live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from qautlra.base.errors import ConfigError
from qautlra.config.tree import Config
from qautlra.source.base import Source, SourceContext
from qautlra.source.router import RouterOptions
from qautlra.source.routing import Routing


def make(kinds: Sequence[str], config: Config, context: SourceContext) -> list[Source]:
    """Return the sources of these kinds, named `source.<kind>`."""
    if len(kinds) == 1:
        return [_named(kinds[0], config, context)]
    options = RouterOptions(**msgspec.structs.asdict(config.source.routing))
    routing = Routing(kinds, context.instruments, context.pump, context.demand, options)
    found = {
        kind: _named(kind, config, replace(context, pump=routing.door(kind), demand=routing.demand(kind)))
        for kind in kinds
    }
    routing.attach(found)
    return list(found.values())


def _named(kind: str, config: Config, context: SourceContext) -> Source:
    source = _one(kind, config, context)
    source.name = f"source.{kind}"
    return source


def _one(kind: str, config: Config, context: SourceContext) -> Source:
    if kind == "sim":
        from qautlra.source.sim import SimOptions, SimSource

        sim = config.source.sim
        return SimSource(
            context,
            SimOptions.parse(
                seed=sim.seed,
                trading_day=sim.trading_day,
                ticks_per_s=sim.ticks_per_s,
                burst=sim.burst,
                history_bars=sim.history_bars,
            ),
        )
    if kind == "replay":
        from qautlra.source.replay import ReplayOptions, ReplaySource

        replay = config.source.replay
        return ReplaySource(
            context, ReplayOptions.parse(replay.files, replay.speed, replay.loop, replay.wait_clients)
        )
    if kind in ("tencent", "sina"):
        from qautlra.source.polling import PollingOptions
        from qautlra.source.sina import sina_source
        from qautlra.source.tencent import tencent_source

        make_one = tencent_source if kind == "tencent" else sina_source
        site = config.source.tencent if kind == "tencent" else config.source.sina
        return make_one(context, PollingOptions(**msgspec.structs.asdict(site)))
    if kind == "upstream":
        from qautlra.source.upstream import UpstreamOptions, UpstreamSource

        upstream = config.source.upstream
        return UpstreamSource(
            context,
            UpstreamOptions.parse(
                url=upstream.address,
                instruments=upstream.instruments,
                stream=upstream.stream,
                username=upstream.username,
                password=upstream.password,
                silence_s=upstream.silence_s,
                retry_max_s=upstream.retry_max_s,
                ca_path=upstream.ca_path,
            ),
        )
    if kind == "ctp":
        from qautlra.app.ctp import market_source

        return market_source(config, context)
    raise ConfigError("this source is not part of this build", key="source.kinds", value=kind)
