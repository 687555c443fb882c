"""The `sina` source: A shares, indices, futures, HK and US stocks from hq.sinajs.cn.

The site answers 403 without the Referer of its own pages, and bans who asks too often.
"""

from __future__ import annotations

from collections.abc import Sequence

from qautlra._core.quotes import SinaNormaliser
from qautlra.source.base import SourceContext
from qautlra.source.polling import PollingOptions, PollingSource, Site


def _path(symbols: Sequence[str], now_ms: int) -> str:
    # `rn` defeats caches and must come before the list.
    return f"/rn={now_ms}&list=" + ",".join(symbols)


SITE = Site(
    name="sina",
    batch_count=800,
    headers={"Referer": "https://finance.sina.com.cn"},
    path=_path,
    normaliser=SinaNormaliser,
)


def sina_source(context: SourceContext, options: PollingOptions) -> PollingSource:
    """Return the source of these settings; ConfigError for an instrument Sina does not serve."""
    return PollingSource(context, SITE, options)
