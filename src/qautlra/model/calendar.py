"""Markets as data: finds and reads calendar.toml and products.toml and builds the core's calendar from them.

The files lie in `config/` of a checkout and in the package's `data/` once installed; a copy beside the user's
own configuration (`~/.config/qautlra/calendar.toml`) takes the place of either. Arithmetic on trading days
and sections lives in the core, not here.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from qautlra._core.market import Calendar, Instruments

_PACKAGE = Path(__file__).resolve().parent.parent


def data_file(name: str) -> Path:
    """Path of a data file, the user's own copy first; FileNotFoundError naming the places looked at."""
    places = [*_own_places(name), _PACKAGE / "data" / name]
    checkout = next((p for p in _PACKAGE.parents if (p / "pyproject.toml").is_file()), None)
    if checkout is not None:
        places.append(checkout / "config" / name)
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(f"{name} is in none of: {', '.join(str(p.parent) for p in places)}")


def _own_places(name: str) -> list[Path]:
    home, base = os.environ.get("HOME"), os.environ.get("XDG_CONFIG_HOME")
    directory = Path(base) if base else Path(home) / ".config" if home else None
    return [] if directory is None else [directory / "qautlra" / name]


def read_toml(path: Path) -> dict[str, Any]:
    """One TOML file; ValueError naming the file when it cannot be parsed."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error


def load_calendar(calendar: Path | None = None, products: Path | None = None) -> Calendar:
    """The calendar of the given files, by default the project's own; ValueError names file and key."""
    calendar_path = calendar or data_file("calendar.toml")
    products_path = products or data_file("products.toml")
    days, markets = read_toml(calendar_path), read_toml(products_path)
    try:
        return Calendar(days, markets)
    except KeyError as error:
        raise ValueError(
            f"{calendar_path.name} or {products_path.name}: the key {error} is missing"
        ) from error
    except (ValueError, TypeError) as error:
        raise ValueError(f"{calendar_path.name} or {products_path.name}: {error}") from error


def load_instruments(reference_day: int = 0) -> Instruments:
    """An empty instrument table over the project's own calendar."""
    return Instruments(load_calendar(), reference_day)
