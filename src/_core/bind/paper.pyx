# cython: language_level=3, boundscheck=False, wraparound=False
"""The tape's newest snapshots for the exchange: marks and the street's book of what anyone has a stake in."""

from libc.stdint cimport int64_t, uint32_t
from libcpp cimport bool as cbool
from libcpp.vector cimport vector

from qautlra._core.exchange cimport CExchange, Exchange
from qautlra._core.tape cimport CTape, Tape


cdef extern from "exchange/paper.hpp" namespace "qautlra::exchange" nogil:
    cdef cppclass CPaperFeed "qautlra::exchange::PaperFeed":
        CPaperFeed(CExchange&, CTape&) except +
        void join(uint32_t, uint32_t) except +
        cbool joined(uint32_t)
        void begin_phase(uint32_t, int64_t) except +
        void step(vector[uint32_t]&) except +
        void refresh(uint32_t) except +


cdef class PaperFeed:
    """A cursor of the tape that skips: when it falls behind, only the latest snapshots count."""

    cdef CPaperFeed* ptr
    cdef readonly Exchange exchange  # kept alive, as the tape is
    cdef readonly Tape tape

    def __cinit__(self, Exchange exchange not None, Tape tape not None):
        self.exchange = exchange
        self.tape = tape
        self.ptr = new CPaperFeed(exchange.ptr[0], tape.ptr[0])

    def __dealloc__(self):
        del self.ptr

    def join(self, uint32_t instrument, uint32_t line):
        """Say that `instrument` of the exchange is `line` of the tape. ValueError for one that is not listed."""
        if instrument >= self.exchange.ptr.instruments():
            raise ValueError(f"there is no instrument {instrument}")
        self.ptr.join(instrument, line)

    def begin_phase(self, uint32_t instrument, int64_t since_ns):
        """Show the newest snapshot in the instrument's phase that began at `since_ns`, but no book of an older one.

        Call it after `Exchange.set_phase` and after a settlement. ValueError when it is not joined.
        """
        if not self.ptr.joined(instrument):
            raise ValueError(f"instrument {instrument} is not joined")
        self.ptr.begin_phase(instrument, since_ns)

    def step(self):
        """Take what came since the last call; numbers of the instruments whose accounts or orders it touched."""
        cdef vector[uint32_t] touched
        self.ptr.step(touched)
        return touched

    def refresh(self, uint32_t instrument):
        """Take the newest snapshot of an instrument, whoever is interested: call it before an order of it."""
        self.ptr.refresh(instrument)
