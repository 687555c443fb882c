"""Faults a test can ask of the simulated front: cuts, silence, late answers, trades said twice.

Written as a list of `name` or `name=value` in `trade.ctp_front.faults`; values in, values out, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from qautlra.base.errors import ConfigError
from qautlra.wire.ctp_frames import HEAD_BYTES, Kind

NAMES: Final = {
    "cut_every_s": "end every connection each so many seconds",
    "silent_after_frames": "say nothing more on a connection's frames after so many in all",
    "late_ms": "send everything so much later",
    "duplicate_trades": "send every trade twice",
    "no_welcome": "accept connections and say nothing at all",
}


class Faults:
    """The script. Owner: the front."""

    def __init__(self, values: dict[str, float]) -> None:
        self._values = values
        self._frames = 0
        self._cut_at_s = 0.0

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Faults:
        """Return the script of these texts; ConfigError names what is none."""
        values: dict[str, float] = {}
        for text in texts:
            name, _, number = text.partition("=")
            try:
                values[name] = float(number) if number else 1.0
            except ValueError:
                values = {"": 0.0}
            if name not in NAMES or "" in values:
                raise ConfigError(
                    "not a fault",
                    key="trade.ctp_front.faults",
                    value=text,
                    expected="; ".join(f"{key} ({does})" for key, does in NAMES.items()),
                )
        return cls(values)

    @property
    def active(self) -> bool:
        """Whether anything is scripted."""
        return bool(self._values)

    def describe(self) -> list[str]:
        """Return the script as it was written."""
        return [f"{name}={value:g}" for name, value in self._values.items()]

    def refuse_hello(self) -> bool:
        """Tell whether a hello is met with silence."""
        return "no_welcome" in self._values

    def cut_due(self, now_s: float) -> bool:
        """Tell whether it is time to cut everyone."""
        every_s = self._values.get("cut_every_s")
        if not every_s:
            return False
        if not self._cut_at_s:
            self._cut_at_s = now_s + every_s
        if now_s < self._cut_at_s:
            return False
        self._cut_at_s = now_s + every_s
        return True

    def apply(self, frames: bytes) -> Iterable[tuple[float, bytes]]:
        """Yield (delay in seconds, bytes) of what is to be written for these frames."""
        self._frames += 1
        if self._frames > self._values.get("silent_after_frames", float("inf")):
            return
        delay_s = self._values.get("late_ms", 0.0) / 1000
        yield delay_s, frames
        if "duplicate_trades" in self._values:
            kind = int.from_bytes(frames[4:6], "little")
            if kind == Kind.RTN_TRADE and len(frames) > HEAD_BYTES:
                yield delay_s, frames
