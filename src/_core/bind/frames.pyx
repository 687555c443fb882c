# cython: language_level=3, boundscheck=False, wraparound=False
"""What a client sends most, read natively: whole masked text frames, one behind the other."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy


def take_texts(const uint8_t[::1] data not None, size_t max_bytes):
    """Unmasked payloads of the whole text frames `data` begins with, and how many bytes they took.

    Stops before the first frame that is anything else: fragmented, unmasked, a control or binary frame, longer
    than `max_bytes`, not all there.
    """
    cdef const uint8_t* at = &data[0] if data.shape[0] else NULL
    cdef size_t left = data.shape[0], taken = 0, size, head, i
    cdef uint32_t mask
    cdef uint64_t wide, word
    cdef char* out
    cdef bytes payload
    cdef list found = []
    while left >= 6 and at[0] == 0x81 and at[1] & 0x80:
        size = at[1] & 0x7F
        head = 6
        if size == 126:
            if left < 8:
                break
            size = (<size_t>at[2] << 8) | at[3]
            head = 8
        elif size == 127:
            break
        if size > max_bytes or left < head + size:
            break
        payload = PyBytes_FromStringAndSize(NULL, size)
        out = PyBytes_AS_STRING(payload)
        memcpy(&mask, at + head - 4, 4)
        wide = (<uint64_t>mask << 32) | mask
        i = 0
        while i + 8 <= size:
            memcpy(&word, at + head + i, 8)
            word ^= wide
            memcpy(out + i, &word, 8)
            i += 8
        while i < size:
            out[i] = <char>(at[head + i] ^ at[head - 4 + (i & 3)])
            i += 1
        found.append(payload)
        at += head + size
        left -= head + size
        taken += head + size
    return found, taken
