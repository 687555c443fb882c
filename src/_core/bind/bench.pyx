# cython: language_level=3, boundscheck=False, wraparound=False
"""Native loops of the benchmarks: a stream through the whole exchange, order messages timed one by one."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector

from qautlra._core.exchange cimport CExchange, Exchange


cdef extern from *:
    """
    #include <chrono>
    static inline std::int64_t steady_ns() {
      return std::chrono::steady_clock::now().time_since_epoch().count();
    }
    """
    int64_t steady_ns() nogil

cdef extern from "book/stream.hpp" namespace "qautlra::book" nogil:
    cdef cppclass StreamResult:
        StreamResult()
        uint64_t trades, volume, misses, refused
        int64_t value

cdef extern from "exchange/stream.hpp" namespace "qautlra::exchange" nogil:
    void c_play "qautlra::exchange::play"(CExchange&, const void*, size_t, uint32_t, int64_t, StreamResult&) except +

cdef extern from "exchange/parts.hpp" namespace "qautlra::exchange" nogil:
    cdef cppclass CGatePart "qautlra::risk::Gate":
        uint64_t state_hash()
    cdef cppclass CLedgerPart "qautlra::account::Ledger":
        uint64_t state_hash()
    cdef cppclass CParts "qautlra::exchange::Parts":
        CParts(CExchange&, size_t) except +
        cbool ready()
        void play(const void*, size_t, uint32_t, int64_t, StreamResult&) except +
        void next_day() except +
        const CLedgerPart& ledger()
        const CGatePart& gate()
        uint64_t broken()

cdef extern from "exchange/diff_path.hpp" namespace "qautlra::exchange" nogil:
    cdef cppclass PathAnswer "qautlra::exchange::DiffPath::Answer":
        string_view report
    cdef cppclass DiffPath:
        DiffPath(CExchange&) except +
        PathAnswer handle(uint32_t, string_view, int64_t) except +


def play(Exchange x not None, const unsigned char[::1] stream not None, uint32_t accounts, int64_t now_ns=1):
    """Run a packed stream (book.Books.play): (trades, volume, value in ticks, cancels that missed, refused)."""
    cdef StreamResult result
    cdef size_t count = stream.shape[0] // 16
    if not 1 <= accounts < x.ptr.accounts():
        raise ValueError(f"there are no accounts 1 to {accounts}")
    if count:
        with nogil:
            c_play(x.ptr[0], &stream[0], count, accounts, now_ns, result)
    return result.trades, result.volume, result.value, result.misses, result.refused


cdef class Parts:
    """Books, risk gate and ledger of their own, without an exchange around them: no texts, records, events, journal.

    Instruments, accounts with their money, and limits are those of `x`, where nothing is held and no order lives.
    Numbers of a day's orders are below `numbers`.
    """

    cdef CParts* ptr
    cdef uint32_t accounts

    def __cinit__(self, Exchange x not None, size_t numbers):
        if not 1 <= numbers <= 1 << 28:
            raise ValueError("a day numbers 1 to 2**28 orders")
        if x.ptr.books().live_orders() > 0:
            raise ValueError("orders live in the exchange")
        self.ptr = new CParts(x.ptr[0], numbers)
        self.accounts = x.ptr.accounts()
        if not self.ptr.ready():
            raise MemoryError()

    def __dealloc__(self):
        del self.ptr

    def play(self, const unsigned char[::1] stream not None, uint32_t accounts, int64_t now_ns=1):
        """The same as play() of an exchange."""
        cdef StreamResult result
        cdef size_t count = stream.shape[0] // 16
        if not 1 <= accounts < self.accounts:
            raise ValueError(f"there are no accounts 1 to {accounts}")
        if count:
            with nogil:
                self.ptr.play(&stream[0], count, accounts, now_ns, result)
        return result.trades, result.volume, result.value, result.misses, result.refused

    def next_day(self):
        """End the day, settle, and open all books: positions stay, orders and their numbers go."""
        self.ptr.next_day()

    def ledger_hash(self):
        """Hash of all accounts, as Ledger.state_hash()."""
        return self.ptr.ledger().state_hash()

    def gate_hash(self):
        """Hash of what was done today and of all states, as Gate.state_hash()."""
        return self.ptr.gate().state_hash()

    @property
    def broken(self):
        """Fills an account would not take: not 0 is a bug."""
        return self.ptr.broken()


def time_path(Exchange x not None, messages, accounts, int64_t now_ns, size_t batch=64):
    """Nanoseconds of each message from its bytes to the bytes of its report, and the bytes of all reports.

    The bytes are copied to one place before the clock starts, as the kernel copies what a socket received. Between
    batches, not timed: the journal's writer is woken and events are forgotten, as once per turn of a loop.
    """
    cdef vector[string] texts
    cdef vector[uint32_t] owners
    cdef vector[int64_t] spent
    cdef string received
    cdef int64_t start, total = 0
    cdef size_t i
    for message, account in zip(messages, accounts, strict=True):
        texts.push_back(message)
        owners.push_back(account)
    spent.reserve(texts.size())
    cdef DiffPath* path = new DiffPath(x.ptr[0])
    try:
        for i in range(texts.size()):
            received = texts[i]
            start = steady_ns()
            total += path.handle(owners[i], string_view(received.data(), received.size()),
                                 now_ns + <int64_t>i * 1000000).report.size()
            spent.push_back(steady_ns() - start)
            if i % batch == 0:
                x.commit()
                x.ptr.clear_events()
    finally:
        del path
    return spent, total
