"""The configured risk limits as the core takes them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from qautlra.config.tree import RiskLimits

_PACES = {
    "paper": {"orders": (100, 200), "cancels": (0, 0)},
    "live": {"orders": (20, 20), "cancels": (20, 20)},
}


def changes(profile: Literal["paper", "live"], limits: RiskLimits) -> dict[str, Any]:
    """Return the keywords of `Exchange` for what is set; -1 leaves the profile's own."""
    found: dict[str, Any] = {"self_trade": limits.self_trade}
    for name, value in msgspec.structs.asdict(limits).items():
        if name != "self_trade" and value != -1 and not name.endswith(("_per_s", "_burst")):
            found[name] = value
    if "stale_ms" in found:
        found["stale_ns"] = found.pop("stale_ms") * 1_000_000
    for kind, own in _PACES[profile].items():
        per_s = getattr(limits, f"{kind}_per_s")
        burst = getattr(limits, f"{kind}_burst")
        if (per_s, burst) != (-1, -1):
            per_s = own[0] if per_s == -1 else per_s
            found[kind] = (per_s, max(own[1], per_s) if burst == -1 else burst)
    return found
