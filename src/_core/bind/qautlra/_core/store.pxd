# C++ names of the store room: hot tier, the log's cursor, Arrow and JSON.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.memory cimport unique_ptr
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector

from qautlra._core.journal cimport CDamage, CJournal, CRecord, Journal, Next
from qautlra._core.market cimport (
    ArrowArray, ArrowSchema, Buffer, BufferStorage, CCalendar, CInstrumentTable, Instruments, Rows, Snapshot,
)
from qautlra._core.tape cimport CTape, Tape


cdef extern from "<span>" namespace "std" nogil:
    cdef cppclass IdSpan "std::span<const std::uint32_t>":
        IdSpan()
        IdSpan(const uint32_t*, size_t)
    cdef cppclass ColumnSpan "std::span<const int>":
        ColumnSpan(const int*, size_t)
    cdef cppclass RowRefSpan "std::span<const qautlra::RowRef>":
        RowRefSpan(const RowRef*, size_t)
    cdef cppclass NameSpan "std::span<const std::string_view>":
        NameSpan(const string_view*, size_t)
    cdef cppclass SnapshotSpan "std::span<qautlra::Snapshot>":
        SnapshotSpan(Snapshot*, size_t)

cdef extern from "store/arrow_rows.hpp" namespace "qautlra" nogil:
    const int kColumnCount
    string_view column_name(int)
    int column_index(string_view) except +
    cdef cppclass RowRef:
        uint32_t name
    void export_rows(RowRefSpan, NameSpan, ColumnSpan, ArrowSchema*, ArrowArray*) except +
    cbool import_rows(const ArrowSchema&, const ArrowArray&, CInstrumentTable&, vector[Snapshot]&, string&) except +
    void date_rows(SnapshotSpan, const CCalendar&)

cdef extern from "store/rows_message.hpp" namespace "qautlra" nogil:
    cdef cppclass RowsMessage:
        RowsMessage(RowRefSpan, NameSpan, ColumnSpan) except +
        size_t bytes()
        void write(uint8_t*) except +

cdef extern from "store/json_rows.hpp" namespace "qautlra" nogil:
    cdef enum class JsonShape(uint8_t):
        kArray, kRecords, kLines
    cbool c_render_json "qautlra::render_json"(const ArrowSchema&, const ArrowArray&, JsonShape, Buffer&,
                                               string&) except +

cdef extern from "store/row_json.hpp" namespace "qautlra" nogil:
    void render_rows(RowRefSpan, NameSpan, ColumnSpan, JsonShape, Buffer&) except +

cdef extern from "store/hot.hpp" namespace "qautlra" nogil:
    cdef enum class Admitted(uint8_t):
        kNew, kDuplicate, kFull
    cdef cppclass RowKey:
        int64_t ts_event_ns
        uint32_t ordinal
    cdef cppclass HotQuery:
        cbool all_instruments
        IdSpan instruments
        int64_t start_ns
        int64_t stop_ns
        uint64_t min_lsn
        uint64_t limit
        cbool descending
    cdef cppclass HotRows:
        vector[RowRef] rows
        vector[string_view] names
    cdef cppclass Gathering:
        IdSpan instruments
        int64_t start_ns
        int64_t stop_ns
        size_t at
        int64_t from_ns
    cdef cppclass CHotStore "qautlra::HotStore":
        CHotStore(const CInstrumentTable&, size_t) except +
        Admitted load(const Snapshot&, uint64_t) except +
        cbool contains(uint32_t, const RowKey&)
        void scan(const HotQuery&, HotRows&) except +
        uint64_t count(const HotQuery&) except +
        void gather(Gathering&, size_t, HotRows&) except +
        cbool latest(const HotQuery&, HotRows&) except +
        int64_t cold_max_ts(uint32_t)
        int64_t cold_max_ts_of_all "cold_max_ts"()
        void note_cold(uint32_t, int64_t) except +
        void keep(const Snapshot&) except +
        void set_safe_lsn(uint64_t)
        uint64_t safe_lsn()
        uint64_t evict_through(uint64_t) except +
        size_t bytes()
        size_t max_bytes()
        uint64_t rows()
        uint64_t evicted()
        uint64_t newest_lsn()
        uint64_t evicted_lsn()

cdef extern from "store/tick_log.hpp" namespace "qautlra" nogil:
    cdef enum class Held(uint8_t):
        kNo, kJournal, kHot
    cdef cppclass Recovery:
        uint64_t rows
        uint64_t duplicates
        uint64_t refused
        uint64_t last_lsn
        string first_refusal
        vector[CDamage] damage
    cdef cppclass CTickLog "qautlra::TickLog":
        CTickLog(CTape&, CJournal&, CHotStore&) except +
        size_t drain() except +
        uint64_t waiting()
        uint64_t in_hand()
        uint64_t position()
        uint64_t shed()
        uint64_t rows_shed()
        size_t append_rows(const Snapshot*, size_t) except +
        cbool recover(const string&, uint64_t, CInstrumentTable&, CTape*, Recovery&, string&) except +
        Held held()
        uint64_t rows_logged()
        uint64_t duplicates()

cdef extern from "store/segment_rows.hpp" namespace "qautlra" nogil:
    cdef cppclass SegmentBatch:
        uint64_t rows
        uint64_t duplicates
        uint64_t refused
        string first_refusal
        CDamage damage
    cdef cppclass SegmentRows:
        cbool open(const string&) except +
        void follow()
        uint64_t first_lsn()
        uint64_t next_lsn()
        const CDamage& damage()
    size_t next_to_arrow(SegmentRows&, size_t, ArrowSchema*, ArrowArray*) except +
    cbool c_segment_to_arrow "qautlra::segment_to_arrow"(const string&, ArrowSchema*, ArrowArray*,
                                                         SegmentBatch&) except +


cdef extern from "journal/segment_reader.hpp" namespace "qautlra::journal" nogil:
    cdef cppclass SegmentReader:
        cbool open(const string&) except +
        Next next(CRecord&) except +
        cbool follow()
        uint64_t next_lsn()
        const string& error()


cdef class HotStore:
    cdef CHotStore* ptr  # owned
    cdef size_t row_text_bytes  # of the answer written last, by row
    cdef tuple fields  # of the answer written last, and the columns they are
    cdef vector[int] columns
    cdef readonly Instruments instruments

    cdef vector[int]* columns_of(self, object fields) except NULL
    cdef bytes written(self, HotRows& rows, vector[int]& columns, JsonShape shape)


cdef class HotMessages:
    cdef readonly HotStore hot
    cdef vector[uint32_t] ids
    cdef vector[int] columns
    cdef Gathering where


cdef class TickLog:
    cdef CTickLog* ptr  # owned
    cdef readonly Tape tape
    cdef readonly Journal journal
    cdef readonly HotStore hot
    cdef Recovery recovered
