# cython: language_level=3
"""The append-only log as Python sees it: open, append, what is durable, segments, reading back, checking.

Whoever owns a log (the tick store, later the money journal) holds one Journal; its writer thread is in C++.
"""
import os
from typing import NamedTuple

from libc.stdint cimport uint64_t
from libcpp.memory cimport make_unique, unique_ptr
from libcpp.string cimport string
from libcpp.vector cimport vector
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8

cdef extern from *:
    """
    static inline const char* payload_bytes(const qautlra::journal::Record& r) {
      return reinterpret_cast<const char*>(r.payload.data());
    }
    """
    const char* payload_bytes(const CRecord&)


class JournalError(OSError):
    """The log cannot be opened, or a file of it is damaged at `offset` of `path`; records from `lsn` on are lost."""

    def __init__(self, message, path="", offset=0, lsn=0):
        super().__init__(message)
        self.path = path
        self.offset = offset
        self.lsn = lsn


class Segment(NamedTuple):
    first_lsn: int
    last_lsn: int
    path: str
    bytes: int
    sealed: bool


class Cut(NamedTuple):
    path: str
    kept: str
    offset: int
    bytes: int
    reason: str
    records_after: bool


class Damage(NamedTuple):
    path: str
    offset: int
    bytes: int
    lsn: int
    reason: str
    torn_tail: bool


class Verdict(NamedTuple):
    segments: int
    records: int
    bytes: int
    first_lsn: int
    last_lsn: int
    damage: list


cdef str text(const string& s):
    return PyUnicode_DecodeUTF8(s.data(), s.size(), "surrogateescape")


cdef object damage_of(const CDamage& d):
    return Damage(text(d.path), d.offset, d.bytes, d.lsn, text(d.reason), d.torn_tail)


cdef class Journal:
    def __init__(self, directory, segment_bytes=64 << 20, buffer_bytes=32 << 20, durability="process", create=True):
        cdef COptions options
        cdef string error
        if durability == "memory":
            options.durability = Durability.kMemory
        elif durability == "process":
            options.durability = Durability.kProcess
        elif durability == "power":
            options.durability = Durability.kPower
        else:
            raise ValueError(f"durability is memory, process or power, not {durability!r}")
        if self.core:
            raise RuntimeError("this journal is already open")
        options.directory = os.fsencode(directory)
        options.segment_bytes = segment_bytes
        options.buffer_bytes = buffer_bytes
        options.create = create
        cdef unique_ptr[CJournal] opened
        with nogil:
            opened = CJournal.open(options, error)
        if not opened:
            raise JournalError(text(error), os.fsdecode(directory))
        self.core.swap(opened)
        self.directory = os.fsdecode(directory)
        self.durability = durability

    cdef CJournal* get(self) except NULL:
        if not self.core:
            raise RuntimeError("the journal was never opened")
        return self.core.get()

    def __dealloc__(self):
        if self.core:
            with nogil:
                self.core.reset()

    def append(self, int kind, const unsigned char[::1] payload):
        cdef CJournal* core = self.get()
        cdef size_t size = payload.shape[0]
        cdef uint64_t lsn
        if not 0 <= kind <= 255:
            raise ValueError("kind must fit a byte")
        if size > core.max_record_bytes():
            raise ValueError(f"a record holds at most {core.max_record_bytes()} bytes, not {size}")
        lsn = core.append(kind, &payload[0] if size else NULL, size)
        core.commit()
        return lsn

    def roll(self):
        cdef uint64_t first = self.get().roll()
        self.core.get().commit()
        return first

    def sync(self, double timeout_s=10.0):
        cdef CJournal* core = self.get()
        cdef bint done
        with nogil:
            done = core.sync(timeout_s)
        return done

    def wait_durable(self, uint64_t lsn, double timeout_s=10.0):
        cdef CJournal* core = self.get()
        cdef bint done
        with nogil:
            done = core.wait_durable(lsn, timeout_s)
        return done

    def durable_fd(self):
        cdef int fd = self.get().durable_fd()
        if fd < 0:
            raise JournalError("no descriptor tells when records are durable: closed, or too many files are open",
                               self.directory)
        return fd

    def drop_through(self, uint64_t lsn):
        cdef CJournal* core = self.get()
        cdef string error
        cdef int dropped
        with nogil:
            dropped = core.drop_through(lsn, error)
        if dropped < 0:
            raise JournalError(text(error), self.directory)
        return dropped

    def close(self, double timeout_s=5.0):
        cdef CJournal* core = self.get()
        cdef bint done
        with nogil:
            done = core.close(timeout_s)
        return done

    def segments(self):
        cdef vector[CSegmentInfo] infos = self.get().segments()
        cdef CSegmentInfo info
        return [Segment(info.first_lsn, info.last_lsn, text(info.path), info.bytes, info.sealed) for info in infos]

    @property
    def cuts(self):
        cdef vector[CCut] cuts = self.get().cuts()
        cdef CCut cut
        return [Cut(text(cut.path), text(cut.kept), cut.offset, cut.bytes, text(cut.reason), cut.records_after)
                for cut in cuts]

    @property
    def stats(self):
        cdef CStats s = self.get().stats()
        return {"groups": s.groups, "bytes": s.bytes, "syncs": s.syncs, "refused": s.refused, "errors": s.errors,
                "buffered_bytes": s.buffered_bytes}

    @property
    def head_lsn(self):
        return self.get().head_lsn()

    @property
    def written_lsn(self):
        return self.get().written_lsn()

    @property
    def durable_lsn(self):
        return self.get().durable_lsn()

    @property
    def next_segment(self):
        return self.get().next_segment()

    @property
    def max_record_bytes(self):
        return self.get().max_record_bytes()

    @property
    def error(self):
        return text(self.get().error())

    @property
    def error_number(self):
        return self.get().error_number()

    @property
    def failed(self):
        return self.get().failed()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


cdef class Reader:
    """Records of a directory; see read()."""
    cdef unique_ptr[CDirectoryReader] core

    def __cinit__(self, directory, uint64_t from_lsn):
        cdef string error
        self.core = make_unique[CDirectoryReader]()
        if not self.core.get().open(os.fsencode(directory), from_lsn, error):
            raise JournalError(text(error), os.fsdecode(directory))

    def __iter__(self):
        return self

    def __next__(self):
        cdef CRecord record
        cdef Next got
        cdef CDirectoryReader* core = self.core.get()
        with nogil:
            got = core.next(record)
        if got == Next.kRecord:
            return record.lsn, record.kind, PyBytes_FromStringAndSize(payload_bytes(record), record.payload.size())
        if got == Next.kEnd:
            raise StopIteration
        d = damage_of(core.damage())
        raise JournalError(f"{d.path} at byte {d.offset}: {d.reason}; records from {d.lsn} on cannot be read",
                           d.path, d.offset, d.lsn)


def read(directory, from_lsn=1):
    return Reader(directory, from_lsn)


def verify(directory):
    cdef string error
    cdef string path = os.fsencode(directory)
    cdef CVerdict v
    with nogil:
        v = c_verify(path, error)
    if not error.empty():
        raise JournalError(text(error), os.fsdecode(directory))
    cdef CDamage d
    return Verdict(v.segments, v.records, v.bytes, v.first_lsn, v.last_lsn, [damage_of(d) for d in v.damage])
