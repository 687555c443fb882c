# distutils: language=c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""The store's fast half for Python: hot tier, the log's cursor on the tape, rows as Arrow and JSON.

Everything here is used by one thread at a time, which the interpreter lock sees to; only render_json and
segment_to_arrow let it go, and touch nothing shared.
"""
import os

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8
from cython.operator cimport dereference as deref
from libc.stdint cimport INT64_MAX, INT64_MIN, uintptr_t
from libcpp.memory cimport make_unique, unique_ptr

from qautlra._core.journal import Damage, JournalError


cdef extern from *:
    """
    // An answer being written: a bytes object nobody else has seen. Needs the interpreter lock.
    class BytesStorage final : public qautlra::BufferStorage {
     public:
      ~BytesStorage() { Py_XDECREF(bytes_); }
      char* resize(std::size_t bytes) override {
        const auto size = static_cast<Py_ssize_t>(bytes);
        if (bytes_ == nullptr) bytes_ = PyBytes_FromStringAndSize(nullptr, size);
        else _PyBytes_Resize(&bytes_, size);
        if (bytes_ != nullptr) return PyBytes_AS_STRING(bytes_);
        PyErr_Clear();
        return nullptr;
      }
      PyObject* take(std::size_t bytes) {  // null with an error set when there is no memory
        if (bytes_ != nullptr) _PyBytes_Resize(&bytes_, static_cast<Py_ssize_t>(bytes));
        return std::exchange(bytes_, nullptr);
      }

     private:
      PyObject* bytes_ = nullptr;
    };
    static inline const char* record_bytes(const qautlra::journal::Record& r) {
      return reinterpret_cast<const char*>(r.payload.data());
    }
    """
    cdef cppclass BytesStorage(BufferStorage):
        object take(size_t)
    const char* record_bytes(const CRecord&)


cdef str text(const string& s):
    return PyUnicode_DecodeUTF8(s.data(), s.size(), "surrogateescape")


ROW_COLUMNS = tuple(text(string(column_name(c))) for c in range(kColumnCount))
NEVER_NS = INT64_MIN  # cold_max_ts of an instrument all of whose rows are in the hot tier

cdef size_t FIRST_ROW_BYTES = 1024  # of an answer's text, until one was written

cdef dict COLUMN_INDEX = {name: c for c, name in enumerate(ROW_COLUMNS)}
cdef dict SHAPES = {"array": 0, "records": 1, "ndjson": 2}


cdef object damage_of(const CDamage& d):
    return Damage(text(d.path), d.offset, d.bytes, d.lsn, text(d.reason), d.torn_tail)


cdef object record_batch(ArrowSchema* schema, ArrowArray* array):
    import pyarrow as pa

    return pa.RecordBatch._import_from_c(<uintptr_t>array, <uintptr_t>schema)


cdef vector[int] column_list(object fields) except *:
    cdef vector[int] columns
    cdef int c
    if fields is None:
        for c in range(kColumnCount):
            columns.push_back(c)
        return columns
    seen = set()
    for name in fields:
        found = COLUMN_INDEX.get(name)
        if found is None:
            raise ValueError(f"no column {name!r}; there are {', '.join(ROW_COLUMNS)}")
        if name not in seen:
            seen.add(name)
            columns.push_back(found)
    return columns


cdef JsonShape shape_of(object mode) except *:
    found = SHAPES.get(mode)
    if found is None:
        raise ValueError(f"mode is array, records or ndjson, not {mode!r}")
    return <JsonShape><uint8_t>found


cdef vector[uint32_t] id_list(object instruments) except *:
    cdef vector[uint32_t] out
    if instruments is not None:
        for i in instruments:
            out.push_back(i)
    return out


cdef HotQuery query_of(object instruments, const vector[uint32_t]& ids, int64_t start_ns, int64_t stop_ns,
                       uint64_t min_lsn, uint64_t limit, bint descending):
    cdef HotQuery q
    q.all_instruments = instruments is None
    q.instruments = IdSpan(ids.data(), ids.size())
    q.start_ns = start_ns
    q.stop_ns = stop_ns
    q.min_lsn = min_lsn
    q.limit = limit
    q.descending = descending
    return q


cdef object exported(HotRows& rows, object fields):
    cdef vector[int] columns = column_list(fields)
    cdef ArrowSchema schema
    cdef ArrowArray array
    export_rows(RowRefSpan(rows.rows.data(), rows.rows.size()), NameSpan(rows.names.data(), rows.names.size()),
                ColumnSpan(columns.data(), columns.size()), &schema, &array)
    return record_batch(&schema, &array)


@cython.no_gc_clear
cdef class HotStore:
    def __cinit__(self, Instruments instruments not None, size_t max_bytes):
        self.instruments = instruments
        self.ptr = new CHotStore(deref(instruments.ptr), max_bytes)

    def __dealloc__(self):
        del self.ptr

    def scan(self, instruments=None, int64_t start_ns=INT64_MIN, int64_t stop_ns=INT64_MAX, *, uint64_t min_lsn=0,
             uint64_t limit=0, bint descending=False, fields=None):
        cdef vector[uint32_t] ids = id_list(instruments)
        cdef HotQuery q = query_of(instruments, ids, start_ns, stop_ns, min_lsn, limit, descending)
        cdef HotRows rows
        self.ptr.scan(q, rows)
        return exported(rows, fields)

    def scan_json(self, instruments=None, int64_t start_ns=INT64_MIN, int64_t stop_ns=INT64_MAX, *,
                  uint64_t min_lsn=0, uint64_t limit=0, bint descending=False, fields=None, mode="array"):
        cdef vector[uint32_t] ids = id_list(instruments)
        cdef HotQuery q = query_of(instruments, ids, start_ns, stop_ns, min_lsn, limit, descending)
        cdef JsonShape shape = shape_of(mode)
        cdef HotRows rows
        cdef vector[int]* columns = self.columns_of(fields)
        self.ptr.scan(q, rows)
        return self.written(rows, deref(columns), shape), rows.rows.size()

    cdef vector[int]* columns_of(self, object fields) except NULL:
        # Looking at the names of all columns is what a question of few rows is made of.
        cdef vector[int] found
        if fields is None or fields is not self.fields:
            found = column_list(fields)
            self.columns.swap(found)
            self.fields = fields if type(fields) is tuple else None
        return &self.columns

    cdef bytes written(self, HotRows& rows, vector[int]& columns, JsonShape shape):
        # As much as the answer before took for its rows, and an eighth: mostly it never has to move.
        cdef size_t count = rows.rows.size()
        cdef size_t expected = 4096 + count * (self.row_text_bytes or FIRST_ROW_BYTES)
        cdef BytesStorage storage
        cdef Buffer text = Buffer(storage, expected + expected // 8)
        render_rows(RowRefSpan(rows.rows.data(), count), NameSpan(rows.names.data(), rows.names.size()),
                    ColumnSpan(columns.data(), columns.size()), shape, text)
        if count:
            self.row_text_bytes = text.size() // count
        return storage.take(text.size())

    def count(self, instruments=None, int64_t start_ns=INT64_MIN, int64_t stop_ns=INT64_MAX, *, uint64_t min_lsn=0):
        cdef vector[uint32_t] ids = id_list(instruments)
        return self.ptr.count(query_of(instruments, ids, start_ns, stop_ns, min_lsn, 0, False))

    def latest(self, instruments=None, *, fields=None):
        cdef vector[uint32_t] ids = id_list(instruments)
        cdef HotRows rows
        self.ptr.latest(query_of(instruments, ids, INT64_MIN, INT64_MAX, 0, 0, False), rows)
        return exported(rows, fields)

    def latest_json(self, instruments=None, int64_t start_ns=INT64_MIN, int64_t stop_ns=INT64_MAX, *,
                    uint64_t limit=0, fields=None, mode="array"):
        cdef vector[uint32_t] ids = id_list(instruments)
        cdef JsonShape shape = shape_of(mode)
        cdef HotRows rows
        cdef vector[int]* columns = self.columns_of(fields)
        if not self.ptr.latest(query_of(instruments, ids, start_ns, stop_ns, 0, limit, False), rows):
            return None
        return self.written(rows, deref(columns), shape), rows.rows.size()

    def contains(self, uint32_t instrument, int64_t ts_event_ns, uint32_t ordinal):
        cdef RowKey key
        key.ts_event_ns = ts_event_ns
        key.ordinal = ordinal
        return self.ptr.contains(instrument, key)

    def load(self, Rows rows not None, uint64_t lsn):
        cdef size_t i
        if lsn == 0:
            raise ValueError("lsn: rows are numbered from 1")
        if rows.instruments is not self.instruments:
            raise ValueError("the rows number their instruments differently")
        cdef uint64_t before = self.ptr.rows()
        for i in range(rows.data.size()):
            if self.ptr.load(deref(rows.data)[i], lsn) == Admitted.kFull:
                break
        return self.ptr.rows() - before

    def cold_max_ts(self, instruments=None):
        if instruments is None:
            return self.ptr.cold_max_ts_of_all()
        cdef int64_t newest = INT64_MIN
        cdef uint32_t i
        for i in instruments:
            newest = max(newest, self.ptr.cold_max_ts(i))
        return newest

    def note_cold(self, uint32_t instrument, int64_t ts_event_ns):
        if instrument >= self.instruments.ptr.size():
            raise ValueError(f"no instrument {instrument}")
        self.ptr.note_cold(instrument, ts_event_ns)

    def keep(self, Rows rows not None):
        cdef size_t i
        if rows.instruments is not self.instruments:
            raise ValueError("the rows number their instruments differently")
        for i in range(rows.data.size()):
            self.ptr.keep(deref(rows.data)[i])

    def set_safe_lsn(self, uint64_t lsn):
        self.ptr.set_safe_lsn(lsn)

    def evict_through(self, uint64_t lsn):
        return self.ptr.evict_through(lsn)

    @property
    def safe_lsn(self):
        return self.ptr.safe_lsn()

    @property
    def bytes(self):
        return self.ptr.bytes()

    @property
    def max_bytes(self):
        return self.ptr.max_bytes()

    @property
    def rows(self):
        return self.ptr.rows()

    @property
    def evicted(self):
        return self.ptr.evicted()

    @property
    def newest_lsn(self):
        return self.ptr.newest_lsn()

    @property
    def evicted_lsn(self):
        return self.ptr.evicted_lsn()


cdef class HotMessages:
    def __cinit__(self, HotStore hot not None, instruments not None, int64_t start_ns, int64_t stop_ns, fields=None):
        self.hot = hot
        self.ids = id_list(instruments)
        self.columns = column_list(fields)
        self.where.instruments = IdSpan(self.ids.data(), self.ids.size())
        self.where.start_ns = self.where.from_ns = start_ns
        self.where.stop_ns = stop_ns

    def take(self, size_t count, size_t most):
        cdef HotRows rows
        cdef bytes out
        self.hot.ptr.gather(self.where, min(count, most), rows)
        if rows.rows.size() > most:
            rows.rows.resize(most)
        if rows.rows.empty():
            return None
        cdef unique_ptr[RowsMessage] message = make_unique[RowsMessage](
            RowRefSpan(rows.rows.data(), rows.rows.size()), NameSpan(rows.names.data(), rows.names.size()),
            ColumnSpan(self.columns.data(), self.columns.size()))
        out = PyBytes_FromStringAndSize(NULL, deref(message).bytes())
        deref(message).write(<uint8_t*>PyBytes_AS_STRING(out))
        return out, rows.rows.size()

    @property
    def left(self):
        return [self.ids[i] for i in range(self.where.at, self.ids.size())], self.where.from_ns


@cython.no_gc_clear
cdef class TickLog:
    def __cinit__(self, Tape tape not None, Journal journal not None, HotStore hot not None):
        if hot.instruments is not tape.instruments:
            raise ValueError("tape and hot store number their instruments differently")
        self.tape = tape
        self.journal = journal
        self.hot = hot
        self.ptr = new CTickLog(deref(tape.ptr), deref(journal.get()), deref(hot.ptr))

    def __dealloc__(self):
        del self.ptr

    def drain(self):
        return self.ptr.drain()

    def append_rows(self, Rows rows not None, Py_ssize_t start=0):
        cdef Py_ssize_t size = <Py_ssize_t>rows.data.size()
        if rows.instruments is not self.hot.instruments:
            raise ValueError("the rows number their instruments differently")
        if start < 0 or start > size:
            raise ValueError(f"start {start} is not within 0..{size}")
        return start + self.ptr.append_rows(rows.data.data() + start, <size_t>(size - start))

    def recover(self, directory, uint64_t from_lsn=1, Tape tape=None):
        cdef string path = os.fsencode(directory)
        cdef string error
        cdef Recovery out
        cdef CTape* into = NULL
        if tape is not None:
            into = tape.ptr
        if not self.ptr.recover(path, from_lsn, deref(self.hot.instruments.ptr), into, out, error):
            raise JournalError(text(error), os.fsdecode(directory))
        self.recovered = out
        return out.rows

    @property
    def recovery(self):
        cdef CDamage d
        return {"rows": self.recovered.rows, "duplicates": self.recovered.duplicates,
                "refused": self.recovered.refused, "first_refusal": text(self.recovered.first_refusal),
                "last_lsn": self.recovered.last_lsn, "damage": [damage_of(d) for d in self.recovered.damage]}

    @property
    def held(self):
        return ("", "journal", "hot")[<uint8_t>self.ptr.held()]

    @property
    def blocked(self):
        return self.ptr.held() != Held.kNo

    @property
    def waiting(self):
        return self.ptr.waiting()

    @property
    def in_hand(self):
        return self.ptr.in_hand()

    @property
    def position(self):
        return self.ptr.position()

    def shed(self):
        return self.ptr.shed()

    @property
    def rows_shed(self):
        return self.ptr.rows_shed()

    @property
    def rows_logged(self):
        return self.ptr.rows_logged()

    @property
    def duplicates(self):
        return self.ptr.duplicates()


def segment_to_arrow(path, *, bint allow_damage=False):
    cdef string name = os.fsencode(path)
    cdef ArrowSchema schema
    cdef ArrowArray array
    cdef SegmentBatch out
    cdef bint is_open
    with nogil:
        is_open = c_segment_to_arrow(name, &schema, &array, out)
    batch = record_batch(&schema, &array) if is_open else None
    if not out.damage.reason.empty() and not (allow_damage and is_open):
        d = damage_of(out.damage)
        raise JournalError(f"{d.path} at byte {d.offset}: {d.reason}", d.path, d.offset, d.lsn)
    if out.refused and not allow_damage:
        raise JournalError(f"{os.fsdecode(path)}: {out.refused} records are not rows; {text(out.first_refusal)}",
                           os.fsdecode(path))
    return batch


cdef class SegmentTail:
    cdef SegmentRows core
    cdef readonly str path

    def __cinit__(self, path):
        cdef string name = os.fsencode(path)
        cdef bint is_open
        self.path = os.fsdecode(path)
        with nogil:
            is_open = self.core.open(name)
        if not is_open:
            d = damage_of(self.core.damage())
            raise JournalError(f"{self.path}: {d.reason}", self.path)

    def read(self, size_t max_rows=65_536):
        cdef ArrowSchema schema
        cdef ArrowArray array
        cdef size_t rows
        with nogil:
            self.core.follow()
            rows = next_to_arrow(self.core, max_rows, &schema, &array)
        return record_batch(&schema, &array) if rows else None

    @property
    def first_lsn(self):
        return self.core.first_lsn()

    @property
    def last_lsn(self):
        return self.core.next_lsn() - 1


cdef class RecordTail:
    cdef SegmentReader core
    cdef readonly str path

    def __cinit__(self, path):
        self.path = os.fsdecode(path)
        if not self.core.open(os.fsencode(path)):
            raise JournalError(f"{self.path}: {text(self.core.error())}", self.path)

    def read(self):
        cdef CRecord record
        out = []
        self.core.follow()
        while self.core.next(record) == Next.kRecord:
            payload = PyBytes_FromStringAndSize(record_bytes(record), record.payload.size())
            out.append((record.lsn, record.kind, payload))
        return out

    @property
    def last_lsn(self):
        return self.core.next_lsn() - 1


def rows_from_arrow(batch not None, Instruments instruments not None, *, bint dated=False):
    cdef Rows rows = Rows.make(instruments)
    cdef string why
    for part in batches_of(batch):
        schema_capsule, array_capsule = part.__arrow_c_array__()
        if not import_rows(deref(<ArrowSchema*>PyCapsule_GetPointer(schema_capsule, "arrow_schema")),
                           deref(<ArrowArray*>PyCapsule_GetPointer(array_capsule, "arrow_array")),
                           deref(instruments.ptr), deref(rows.data), why):
            raise ValueError(text(why))
    if dated:
        date_rows(SnapshotSpan(rows.data.data(), rows.data.size()), deref(instruments.calendar.ptr))
    return rows


def rows_not_after(Rows rows not None, dict newest_ns not None):
    cdef list found = []
    cdef size_t i
    cdef uint32_t instrument, last = 0
    cdef int64_t newest = INT64_MIN
    cdef bint is_first = True
    for i in range(rows.data.size()):
        instrument = deref(rows.data)[i].instrument
        if is_first or instrument != last:
            newest = newest_ns.get(instrument, INT64_MIN)
            last = instrument
            is_first = False
        if deref(rows.data)[i].ts_event_ns() <= newest:
            found.append(i)
    return found


cdef list batches_of(object batch):
    """The record batches of a batch or table; a table without rows is one empty batch."""
    if not hasattr(batch, "to_batches"):
        return [batch]
    import pyarrow as pa

    return batch.to_batches() or [pa.RecordBatch.from_pylist([], batch.schema)]


cdef bint render_batch(object batch, JsonShape shape, Buffer& out, string& why) except -1:
    schema_capsule, array_capsule = batch.__arrow_c_array__()
    cdef ArrowSchema* schema = <ArrowSchema*>PyCapsule_GetPointer(schema_capsule, "arrow_schema")
    cdef ArrowArray* array = <ArrowArray*>PyCapsule_GetPointer(array_capsule, "arrow_array")
    cdef bint done
    with nogil:
        done = c_render_json(deref(schema), deref(array), shape, out, why)
    return done


cdef object plain_columns(object batch):
    """The batch with columns of types that are not rendered as they are turned into numbers or text."""
    import pyarrow as pa

    columns = []
    for column in batch.columns:
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if pa.types.is_decimal(kind):
            column = column.cast(pa.float64())
        elif not (pa.types.is_primitive(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)) \
                or pa.types.is_time(kind) or pa.types.is_duration(kind) or pa.types.is_float16(kind):
            try:
                column = column.cast(pa.string())
            except pa.ArrowInvalid:
                raise TypeError(f"a column of type {kind} has no JSON form here") from None
            except pa.ArrowNotImplementedError:
                raise TypeError(f"a column of type {kind} has no JSON form here") from None
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def render_json(batch not None, *, mode="array"):
    cdef JsonShape shape = shape_of(mode)
    cdef Buffer out
    cdef string why
    if hasattr(batch, "combine_chunks"):
        batch = batches_of(batch.combine_chunks())[0]
    if not render_batch(batch, shape, out, why):
        out.clear()
        why.clear()
        if not render_batch(plain_columns(batch), shape, out, why):
            raise TypeError(text(why))
    return PyBytes_FromStringAndSize(out.data(), out.size())
