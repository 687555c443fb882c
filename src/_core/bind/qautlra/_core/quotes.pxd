# C++ names of the text quotes of the public sites.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.unordered_set cimport unordered_set
from libcpp.vector cimport vector

from qautlra._core.market cimport CCalendar, CInstrumentTable, CName, Instruments, QuotePhase, Snapshot


cdef extern from "base/gb18030.hpp" namespace "qautlra" nogil:
    void cpp_decode_gb18030 "qautlra::decode_gb18030"(string_view, string&) except +


cdef extern from "market/quote_text.hpp" namespace "qautlra" nogil:
    const char* phase_name(QuotePhase)
    cdef cppclass QuoteRefusal:
        string symbol
        string reason
    cdef cppclass QuoteContext:
        pass
    cdef cppclass QuoteReport:
        QuoteReport()
        vector[QuotePhase] phases
        vector[QuoteRefusal] refused
        uint64_t refused_count


cdef extern from *:
    """
    #include "market/quote_text.hpp"
    static qautlra::QuoteContext quote_context(qautlra::InstrumentTable& instruments, std::int64_t now_ns,
                                               const std::unordered_set<std::string>& asked, bool all) {
      return {instruments, now_ns, all ? nullptr : &asked};
    }
    """
    QuoteContext quote_context(CInstrumentTable&, int64_t, const unordered_set[string]&, cbool)


cdef extern from "market/normalise_tencent.hpp" namespace "qautlra" nogil:
    void normalise_tencent(string_view, const QuoteContext&, vector[Snapshot]&, QuoteReport&) except +
    string tencent_symbol(const CName&) except +
    string tencent_canonical(string_view) except +


cdef extern from "market/normalise_sina.hpp" namespace "qautlra" nogil:
    void normalise_sina(string_view, const QuoteContext&, vector[Snapshot]&, QuoteReport&) except +
    string sina_symbol(const CName&, const CCalendar&) except +
    string sina_canonical(string_view) except +


cdef extern from "market/fresh.hpp" namespace "qautlra" nogil:
    cdef cppclass CFreshRows "qautlra::FreshRows":
        CFreshRows()
        cbool knows(uint32_t)
        void remember(const Snapshot&) except +
        size_t keep(vector[Snapshot]&) except +
