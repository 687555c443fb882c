# cython: language_level=3, boundscheck=False, wraparound=False
"""Text quotes of public sites -> rows: Tencent and Sina, their spellings, and the filter of polled rows."""

from libc.stdint cimport int64_t, uint32_t
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.unordered_set cimport unordered_set

from cython.operator cimport dereference as deref

from qautlra._core.market cimport Calendar, CName, Instruments, Rows, Snapshot, resolve


cdef string_view bytes_view(bytes body):
    return string_view(<const char*>body, <size_t>len(body))


def decode_gb18030(bytes body not None) -> str:
    """Text of GB 18030 bytes; what is no code becomes U+FFFD byte by byte."""
    cdef string out
    cpp_decode_gb18030(bytes_view(body), out)
    return (<bytes>out).decode("utf-8")


cdef class QuoteNormaliser:
    """What both sites share; use `TencentNormaliser` or `SinaNormaliser`. Keeps nothing between answers."""

    cdef readonly Instruments instruments
    cdef readonly Calendar calendar
    cdef readonly list phases        # of the rows of the last call: "", "PREOPEN", "AUCTION", "SUSPENDED"
    cdef readonly object refused_count

    def __cinit__(self, Instruments instruments not None, Calendar calendar not None):
        if instruments.calendar is not calendar:
            raise ValueError("the instruments were built over another calendar")
        self.instruments = instruments
        self.calendar = calendar
        self.phases = []
        self.refused_count = 0

    cdef void parse(self, string_view body, const QuoteContext& context, Rows rows, QuoteReport& report) except *:
        raise NotImplementedError

    cdef string spelled(self, const CName& name) except *:
        raise NotImplementedError

    cdef string canonical_spelling(self, string_view symbol) except *:
        raise NotImplementedError

    def rows(self, bytes body not None, int64_t now_ns, asked=None):
        """(rows, refused) of an answer's body as it came: one row per quote of the present trading day.

        `refused` lists (site's symbol, reason) of every line that made no row, 4,096 at most (`refused_count`
        counts all). `asked` names the site's symbols that may answer; others are refused and enter no table.
        """
        cdef Rows out = Rows.make(self.instruments)
        cdef QuoteReport report
        cdef unordered_set[string] wanted
        cdef string one
        if asked is not None:
            for name in asked:
                one = name.encode("ascii", "replace")
                wanted.insert(one)
        self.parse(bytes_view(body), quote_context(deref(self.instruments.ptr), now_ns, wanted, asked is None),
                   out, report)
        self.phases = [phase_name(phase).decode() for phase in report.phases]
        self.refused_count = report.refused_count
        return out, [((<bytes>r.symbol).decode("ascii", "replace"), (<bytes>r.reason).decode("utf-8", "replace"))
                     for r in report.refused]

    def source_symbol(self, str spelling not None):
        """The site's spelling of an instrument, however it is spelled; None when the site does not serve it."""
        cdef CName name
        cdef string why
        cdef bytes encoded = spelling.encode("ascii", "replace")
        if len(encoded) > 256 or not resolve(bytes_view(encoded), deref(self.calendar.ptr),
                                             self.instruments.ptr.reference_day(), name, why):
            return None
        cdef string found = self.spelled(name)
        return None if found.empty() else (<bytes>found).decode("ascii")

    def canonical(self, str source_symbol not None):
        """The full symbol of a site's spelling; None when it is none of the site's."""
        cdef CName name
        cdef string why
        cdef bytes encoded = source_symbol.encode("ascii", "replace")
        if len(encoded) > 256:
            return None
        cdef string spelling = self.canonical_spelling(bytes_view(encoded))
        if spelling.empty() or not resolve(string_view(spelling.data(), spelling.size()), deref(self.calendar.ptr),
                                           self.instruments.ptr.reference_day(), name, why):
            return None
        return (<bytes>name.symbol).decode("ascii")


cdef class TencentNormaliser(QuoteNormaliser):
    """Answers of qt.gtimg.cn. Volumes become shares; of HK and US lines only what is certain is read."""

    cdef void parse(self, string_view body, const QuoteContext& context, Rows rows, QuoteReport& report) except *:
        normalise_tencent(body, context, deref(rows.data), report)

    cdef string spelled(self, const CName& name) except *:
        return tencent_symbol(name)

    cdef string canonical_spelling(self, string_view symbol) except *:
        return tencent_canonical(symbol)


cdef class SinaNormaliser(QuoteNormaliser):
    """Answers of hq.sinajs.cn: stocks and indices in shares, futures in lots, CFFEX amounts in yuan.

    The date of a commodity future's line is held against staleness only; its event time is the latest
    moment of its time of day that lies in a trading section.
    """

    cdef void parse(self, string_view body, const QuoteContext& context, Rows rows, QuoteReport& report) except *:
        normalise_sina(body, context, deref(rows.data), report)

    cdef string spelled(self, const CName& name) except *:
        return sina_symbol(name, deref(self.calendar.ptr))

    cdef string canonical_spelling(self, string_view symbol) except *:
        return sina_canonical(symbol)


cdef class FreshRows:
    """Keeps what a polled site says anew. One per source; remembers each instrument's last row."""

    cdef CFreshRows filter
    cdef readonly Instruments instruments

    def __cinit__(self, Instruments instruments not None):
        self.instruments = instruments

    def keep(self, Rows rows not None, tape=None) -> int:
        """Drop the rows that say nothing new and number the others of equal stamps; return how many went.

        Nothing new: older than the last, or equal to it but for the time. An instrument met first is
        compared with its last row on `tape`, so that a restart does not store a quote again.
        """
        cdef size_t i
        cdef uint32_t instrument
        cdef Rows stored
        if rows.instruments is not self.instruments:
            raise ValueError("the rows number their instruments differently")
        if tape is not None:
            for i in range(rows.data.size()):
                instrument = deref(rows.data)[i].instrument
                if not self.filter.knows(instrument):
                    stored = tape.last_row(instrument)
                    if stored.data.size():
                        self.filter.remember(deref(stored.data)[0])
        return self.filter.keep(deref(rows.data))
