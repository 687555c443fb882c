"""The `tencent` source: A shares, funds, bonds, indices, HK and US stocks from qt.gtimg.cn. No futures."""

from __future__ import annotations

from collections.abc import Sequence

from qautlra._core.quotes import TencentNormaliser
from qautlra.source.base import SourceContext
from qautlra.source.polling import PollingOptions, PollingSource, Site


def _path(symbols: Sequence[str], now_ms: int) -> str:
    return "/q=" + ",".join(symbols)


SITE = Site(
    name="tencent",
    batch_count=60,
    headers={"Referer": "https://gu.qq.com/"},
    path=_path,
    normaliser=TencentNormaliser,
)


def tencent_source(context: SourceContext, options: PollingOptions) -> PollingSource:
    """Return the source of these settings; ConfigError for an instrument Tencent does not serve."""
    return PollingSource(context, SITE, options)
