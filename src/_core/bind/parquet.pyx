# distutils: language=c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""Parquet files of ours read natively: rows of one instrument of a row group, as a message of an Arrow stream.

Any thread, several at once. The interpreter lock is let go while the disk may be waited for, and only then: a loop
that lets it go for half a millisecond may wait for ten times that until it has it back.
"""
import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy
from libcpp.string cimport string
from libcpp.vector cimport vector


cdef extern from "<string_view>" namespace "std" nogil:
    cdef cppclass string_view:
        string_view(const char*, size_t)
        string_view(const string&)

cdef extern from "<span>" namespace "std" nogil:
    cdef cppclass Room "std::span<std::uint8_t>":
        Room(uint8_t*, size_t)
    cdef cppclass GroupColumns "std::span<const qautlra::GroupColumn>":
        GroupColumns(const GroupColumn*, size_t)

cdef extern from "store/parquet_pages.hpp" namespace "qautlra" nogil:
    enum class PageType(uint8_t):
        kInt32
        kInt64
        kDouble
        kText

cdef extern from "store/parquet_file.hpp" namespace "qautlra" nogil:
    cdef cppclass CColumn "qautlra::ParquetFile::Column":
        string name

    cdef cppclass CParquetFile "qautlra::ParquetFile":
        bint open(const string& path, string& why)
        const vector[CColumn]& columns()
        size_t groups()
        size_t rows(size_t group)

cdef extern from "store/group_rows.hpp" namespace "qautlra" nogil:
    cdef cppclass GroupQuestion:
        size_t group
        string_view instrument
        bint is_only
        int64_t low, stop
        size_t most_rows
        bint descending
        bint may_wait

    cdef cppclass GroupColumn:
        int place
        PageType type

    enum class GroupFound(uint8_t):
        kRows
        kWouldWait
        kForeign
        kDamaged
        kFailed

    cdef cppclass CGroupRows "qautlra::GroupRows":
        CGroupRows(const CParquetFile&, GroupColumns, size_t, size_t)
        GroupFound locate(const GroupQuestion&)
        GroupFound locate_all(size_t group)
        size_t rows()
        int64_t first_us()
        int64_t last_us()
        size_t message_bytes()
        GroupFound write(Room out)


cdef dict TYPES = {
    "timestamp[us, tz=UTC]": <int><uint8_t>PageType.kInt64, "int64": <int><uint8_t>PageType.kInt64,
    "double": <int><uint8_t>PageType.kDouble, "date32[day]": <int><uint8_t>PageType.kInt32,
    "string": <int><uint8_t>PageType.kText,
}


cdef class Columns:
    cdef vector[GroupColumn] columns
    cdef size_t time, instrument
    cdef int last_place

    def __init__(self, schema, dict places not None, str time not None, str instrument not None):
        cdef GroupColumn column
        names = schema.names
        self.time = names.index(time)
        self.instrument = names.index(instrument)
        self.last_place = -1
        for name, kind in zip(names, schema.types):
            column.place = places.get(name, -1)
            column.type = <PageType><uint8_t><int>TYPES[str(kind)]
            self.columns.push_back(column)
            self.last_place = max(self.last_place, column.place)


cdef class ParquetFile:
    cdef CParquetFile file
    cdef readonly str path

    def __cinit__(self, path):
        cdef string name = os.fsencode(path)
        cdef string why
        cdef bint is_open
        self.path = os.fsdecode(path)
        with nogil:
            is_open = self.file.open(name, why)
        if not is_open:
            raise OSError(f"{self.path}: {why.decode()}")

    @property
    def names(self):
        cdef size_t c
        return [self.file.columns()[c].name.decode() for c in range(self.file.columns().size())]

    def rows_of(self, size_t group):
        return self.file.rows(group) if group < self.file.groups() else 0

    def read(self, size_t group, Columns columns not None, str instrument not None, int64_t low, int64_t stop, *,
             limit=None, bint is_only=False, bint descending=False, bint may_wait=True, bytes head=b"",
             bytes tail=b""):
        cdef bytes symbol = instrument.encode()
        cdef GroupQuestion question
        cdef GroupFound found
        cdef uint8_t* to
        cdef size_t before = len(head), behind = len(tail), size
        cdef bytes out
        if columns.last_place >= <int>self.file.columns().size():
            raise ValueError("the columns are of another file")
        if group >= self.file.groups():
            raise IndexError(f"no row group {group}")
        question.group = group
        question.instrument = string_view(PyBytes_AS_STRING(symbol), len(symbol))
        question.is_only = is_only
        question.low = low
        question.stop = stop
        if limit is not None:
            question.most_rows = limit
        question.descending = descending
        question.may_wait = may_wait
        cdef CGroupRows* rows = new CGroupRows(
            self.file, GroupColumns(columns.columns.data(), columns.columns.size()), columns.time, columns.instrument
        )
        try:
            if may_wait:
                with nogil:
                    found = rows.locate(question)
            else:
                found = rows.locate(question)
            self.check(found, group)
            if found != GroupFound.kRows:
                return None
            if rows.rows() == 0:
                return b"", 0, low, low
            size = rows.message_bytes()
            out = PyBytes_FromStringAndSize(NULL, before + size + behind)
            to = <uint8_t*>PyBytes_AS_STRING(out)
            memcpy(to, PyBytes_AS_STRING(head), before)
            if may_wait:
                with nogil:
                    found = rows.write(Room(to + before, size))
            else:
                found = rows.write(Room(to + before, size))
            self.check(found, group)
            if found != GroupFound.kRows:
                return None
            memcpy(to + before + size, PyBytes_AS_STRING(tail), behind)
            return out, rows.rows(), rows.first_us(), rows.last_us()
        finally:
            del rows

    def read_all(self, size_t group, Columns columns not None):
        cdef GroupFound found
        cdef uint8_t* to
        cdef size_t size
        cdef bytes out
        if columns.last_place >= <int>self.file.columns().size():
            raise ValueError("the columns are of another file")
        if group >= self.file.groups():
            raise IndexError(f"no row group {group}")
        cdef CGroupRows* rows = new CGroupRows(
            self.file, GroupColumns(columns.columns.data(), columns.columns.size()), columns.time, columns.instrument
        )
        try:
            with nogil:
                found = rows.locate_all(group)
            self.check(found, group)
            if found != GroupFound.kRows:
                return None
            size = rows.message_bytes()
            out = PyBytes_FromStringAndSize(NULL, size)
            to = <uint8_t*>PyBytes_AS_STRING(out)
            with nogil:
                found = rows.write(Room(to, size))
            self.check(found, group)
            return (out, rows.rows()) if found == GroupFound.kRows else None
        finally:
            del rows

    cdef check(self, GroupFound found, size_t group):
        if found == GroupFound.kWouldWait:
            raise BlockingIOError(f"{self.path}: not all in memory")
        if found == GroupFound.kDamaged:
            raise OSError(f"{self.path}: row group {group} is damaged: a page is not what its checksum says")
        if found == GroupFound.kFailed:
            raise OSError(f"{self.path}: row group {group} cannot be read to its end")
