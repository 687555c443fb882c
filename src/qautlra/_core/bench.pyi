from collections.abc import Iterable

from qautlra._core.exchange import Exchange

def play(
    x: Exchange, stream: bytes | bytearray | memoryview, accounts: int, now_ns: int = 1
) -> tuple[int, int, int, int, int]: ...
def time_path(
    x: Exchange, messages: Iterable[bytes], accounts: Iterable[int], now_ns: int, batch: int = 64
) -> tuple[list[int], int]: ...
