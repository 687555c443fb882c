from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.memory cimport unique_ptr
from libcpp.string cimport string
from libcpp.vector cimport vector


cdef extern from "<span>" namespace "std" nogil:
    cdef cppclass ByteSpan "std::span<const std::byte>":
        size_t size() const

cdef extern from "journal/journal.hpp" namespace "qautlra::journal" nogil:
    cdef enum class Durability(uint8_t):
        kMemory
        kProcess
        kPower

    cdef cppclass COptions "qautlra::journal::Options":
        string directory
        uint64_t segment_bytes
        uint64_t buffer_bytes
        Durability durability
        cbool create

    cdef cppclass CSegmentInfo "qautlra::journal::SegmentInfo":
        uint64_t first_lsn
        uint64_t last_lsn
        uint64_t bytes
        cbool sealed
        string path

    cdef cppclass CCut "qautlra::journal::Cut":
        string path
        string kept
        uint64_t offset
        uint64_t bytes
        string reason
        cbool records_after

    cdef cppclass CStats "qautlra::journal::Stats":
        uint64_t groups
        uint64_t bytes
        uint64_t syncs
        uint64_t refused
        uint64_t errors
        uint64_t buffered_bytes

    cdef cppclass CJournal "qautlra::journal::Journal":
        @staticmethod
        unique_ptr[CJournal] open(const COptions&, string& error)
        uint64_t append(uint8_t kind, const void* payload, size_t size)
        void commit()
        void flush()
        uint64_t next_segment() const
        uint64_t roll()
        cbool sync(double timeout_s)
        cbool wait_durable(uint64_t lsn, double timeout_s)
        int durable_fd()
        int drop_through(uint64_t lsn, string& error)
        cbool close(double timeout_s)
        uint64_t head_lsn() const
        uint64_t written_lsn() const
        uint64_t durable_lsn() const
        uint64_t max_record_bytes() const
        cbool failed() const
        int error_number() const
        string error() const
        vector[CSegmentInfo] segments() const
        const vector[CCut]& cuts() const
        CStats stats() const

cdef extern from "journal/segment_reader.hpp" namespace "qautlra::journal" nogil:
    cdef enum class Next:
        kRecord
        kEnd
        kBad

    cdef cppclass CRecord "qautlra::journal::Record":
        uint64_t lsn
        uint8_t kind
        ByteSpan payload

    cdef cppclass CDamage "qautlra::journal::Damage":
        string path
        uint64_t offset
        uint64_t bytes
        uint64_t lsn
        string reason
        cbool torn_tail

    cdef cppclass CVerdict "qautlra::journal::Verdict":
        uint64_t segments
        uint64_t records
        uint64_t bytes
        uint64_t first_lsn
        uint64_t last_lsn
        vector[CDamage] damage

    CVerdict c_verify "qautlra::journal::verify"(const string& directory, string& error)

    cdef cppclass CDirectoryReader "qautlra::journal::DirectoryReader":
        cbool open(const string& directory, uint64_t from_lsn, string& error)
        Next next(CRecord&)
        const CDamage& damage() const


cdef class Journal:
    cdef unique_ptr[CJournal] core
    cdef readonly str directory
    cdef readonly str durability
    cdef CJournal* get(self) except NULL
