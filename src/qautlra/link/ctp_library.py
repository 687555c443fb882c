"""Where the CTP libraries lie: named in the environment, or inside a package that carries them. None is ours.

The drop-in library of the simulated front is; it stands in for both, and our own client is tested on it.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Final, NamedTuple

from qautlra.base.errors import ConfigError

PACKAGES: Final = ("openctp-ctp", "ctp-python", "vnpy-ctp", "ctpwrapper")
MARKET_NAME: Final = "libthostmduserapi_se"
TRADER_NAME: Final = "libthosttraderapi_se"
ADVICE: Final = (
    'pip install "qautlra[ctp]" brings them, or set QAUTLRA__CTP__MD_LIB and QAUTLRA__CTP__TD_LIB to '
    f"{MARKET_NAME}.so and {TRADER_NAME}.so of your broker's SDK"
)


class Libraries(NamedTuple):
    """The two libraries and where they were found."""

    market: str
    trader: str
    where: str


def simulated_library() -> Path:
    """Return the drop-in library of the simulated front, which was built with this package."""
    return Path(__file__).resolve().parent.parent / "_core" / "libqautlra_ctp_sim.so"


def find_libraries(market: str = "", trader: str = "") -> Libraries:
    """Return the named libraries, else those of this machine; ConfigError saying what to install."""
    if market or trader:
        for key, path in (("ctp.md_lib", market), ("ctp.td_lib", trader)):
            if path and not Path(path).is_file():
                raise ConfigError("no such CTP library", key=key, value=path, expected="a file")
        return Libraries(market or trader, trader or market, "configuration")
    for package in PACKAGES:
        found = _inside(package)
        if found is not None:
            return found
    raise ConfigError("the CTP libraries are not on this machine: " + ADVICE, key="source.ctp")


def _inside(package: str) -> Libraries | None:
    """Return the libraries a distribution carries, None when it is not installed or has none."""
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    files = [str(distribution.locate_file(file)) for file in distribution.files or () if ".so" in file.name]
    market = [path for path in files if Path(path).name.startswith(MARKET_NAME)]
    trader = [path for path in files if Path(path).name.startswith(TRADER_NAME)]
    if not market or not trader:
        return None
    return Libraries(market[0], trader[0], f"{package} {distribution.version}")
