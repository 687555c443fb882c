"""Our GB 18030 decoder against Python's codec: every code, every rule, any bytes."""

import itertools

from hypothesis import example, given
from hypothesis import strategies as st
from tools import gb18030_table

from qautlra._core.quotes import decode_gb18030
from tests.core.quotes import golden

TRAILS = [*range(0x40, 0x7F), *range(0x80, 0xFF)]


def strict(code: bytes) -> str | None:
    try:
        return code.decode("gb18030")
    except UnicodeDecodeError:
        return None


def model(data: bytes) -> str:
    """The rule said plainly: the one, two or four bytes that are a character, else one byte that is none."""
    out = ""
    while data:
        size = next((n for n in (1, 2, 4) if len(data) >= n and len(strict(data[:n]) or "") == 1), 0)
        out += (strict(data[:size]) or "") if size else "\ufffd"
        data = data[size or 1 :]
    return out


def test_every_two_byte_code() -> None:
    for lead in range(0x81, 0xFF):
        codes = b"".join(bytes((lead, trail)) for trail in TRAILS)
        assert decode_gb18030(codes) == codes.decode("gb18030"), hex(lead)


def test_every_four_byte_code_of_the_plane() -> None:
    def code(n: int) -> bytes:
        return bytes((0x81 + n // 12600, 0x30 + n // 1260 % 10, 0x81 + n // 10 % 126, 0x30 + n % 10))

    plane = b"".join(map(code, range(39420)))
    assert decode_gb18030(plane) == plane.decode("gb18030")
    for n in (39420, 188999, 189000 + 0x100000):
        assert decode_gb18030(code(n))[0] == "\ufffd"
    for n in (189000, 189000 + 0xFFFFF):
        assert decode_gb18030(code(n)) == code(n).decode("gb18030")


@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    encoded = text.encode("gb18030", "ignore")
    assert decode_gb18030(encoded) == encoded.decode("gb18030")


@given(st.binary(max_size=64))
@example(b"\x81")
@example(b"\x81\x30\x81")
@example(b"\x81\x30\x81~")
@example(b"\xff\x80\x81\x7f")
def test_any_bytes_read_as_the_model_reads_them(data: bytes) -> None:
    assert decode_gb18030(data) == model(data)


def test_a_broken_character_takes_no_delimiter_with_it() -> None:
    for lead, delimiter in itertools.product(range(0x80, 0x100), b'",;=\n0'):
        assert decode_gb18030(bytes((lead, delimiter))).endswith(chr(delimiter))


def test_golden_bytes() -> None:
    assert decode_gb18030(golden("gb18030", "two_bytes")) == "示例银行，上证指数 沪金2512\n"
    assert decode_gb18030(golden("gb18030", "trail_7e")) == "亊~" + b"\xfe\x7e".decode("gb18030") + ";"
    assert decode_gb18030(golden("gb18030", "four_bytes")) == "\u0080ÿ\u1e3f\U00010000\U0010ffff𠮷\n"
    assert "\ufffd" in decode_gb18030(golden("gb18030", "broken"))


def test_the_table_is_what_its_generator_writes() -> None:
    assert gb18030_table.TARGET.read_text("utf-8") == gb18030_table.render()
