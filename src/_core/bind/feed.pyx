# distutils: language=c++
# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
"""The hub for Python: clients, subscriptions, and ready-to-write WebSocket frames. One thread: the loop's."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeASCII
from cython.operator cimport dereference as deref
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from qautlra._core.market cimport CInstrument, Buffer, Mask, Rows, Snapshot, changed, encode_fields, kStyleCount

from qautlra._core.market import STYLE_CORE, STYLE_DIFF, STYLE_LEGACY_MARKET_DATA, STYLE_LEGACY_RTN  # noqa: F401


cdef extern from "base/slice.hpp" namespace "qautlra" nogil:
    uint64_t c_ask_slice "qautlra::ask_slice"(uint64_t)


cdef object closed_error(uint64_t client):
    return LookupError(f"no open client of the hub has the handle {client}")


cdef class Outlet:
    """A connection's descriptor, written without its transport while that holds nothing back.

    Begins behind its transport. `leave` before the descriptor is closed: its number may be another's then.
    """

    def __cinit__(self, int fd):
        self.ptr = new COutlet(fd)

    def __dealloc__(self):
        del self.ptr

    def send(self, bytes data not None):
        """Bytes the kernel took: 0 while behind; after fewer than all of them it is behind."""
        return self.ptr.send(PyBytes_AS_STRING(data), <size_t>PyBytes_GET_SIZE(data))

    def caught_up(self):
        """The transport's buffer is empty again."""
        self.ptr.caught_up()

    def leave(self):
        """The descriptor is not written to any more."""
        self.ptr.leave()

    @property
    def open(self):
        return self.ptr.open()

    @property
    def behind(self):
        return self.ptr.behind()


# The destructor gives the cursor back to the tape, so a cycle must not clear `tape` before it.
@cython.no_gc_clear
cdef class Hub:
    """What each client watches and has not been sent, as a mask per instrument: never a queue.

    A cursor on the tape that skips: when it is overrun, every client is owed every field (`resyncs`).
    """

    def __cinit__(self, Tape tape not None, *, uint32_t max_clients=5000, uint32_t max_symbols=5000,
                  uint32_t max_subscriptions=1_000_000, uint32_t max_frame_bytes=512 * 1024):
        cdef HubLimits limits
        limits.clients = max_clients
        limits.symbols = max_symbols
        limits.subscriptions = max_subscriptions
        limits.frame_bytes = max_frame_bytes
        self.tape = tape
        self.kept = []
        self.outlets = []
        self.ptr = new CHub(deref(tape.ptr), limits)

    def __dealloc__(self):
        del self.ptr

    def open(self, int flags=0):
        """A new client's handle. `flags` 1: left out of flush(None). RuntimeError when all places are taken."""
        cdef uint64_t client = self.ptr.open()
        cdef ClientOptions options
        if client == 0:
            raise RuntimeError(f"{self.ptr.open_clients()} clients are open, the most this hub takes")
        if flags & 1:
            options.pull = True
            self.ptr.set_options(client, options)
        return client

    def close(self, uint64_t client):
        """Forget a client; its handle is never given again. LookupError when it is not open."""
        if not self.ptr.close(client):
            raise closed_error(client)
        self.connect(client, None)

    def connect(self, uint64_t client, Outlet outlet):
        """Have `send` write to this outlet, or to none."""
        cdef size_t place = <uint32_t>client
        while <size_t>len(self.outlets) <= place:
            self.outlets.append(None)
        self.outlets[place] = outlet

    def is_open(self, uint64_t client):
        return self.ptr.options(client) != NULL

    def set_style(self, uint64_t client, int style, *, bint market_data=False, bint full_only=False,
                  bint stamp=False, pull=None):
        """How the client's frames are written; every call sets all options (`pull` None: as it was).

        `market_data` adds a legacy frame per instrument; `full_only` sends whole snapshots; `stamp` adds
        "_ts", the CLOCK_MONOTONIC ns at which the oldest tick of the frame was published.
        """
        cdef const ClientOptions* known = self.ptr.options(client)
        if known == NULL:
            raise closed_error(client)
        if style < 0 or style >= kStyleCount:
            raise ValueError(f"no style {style}")
        cdef ClientOptions options
        options.style = <Style><uint8_t>style
        options.market_data = market_data
        options.full_only = full_only
        options.stamp = stamp
        options.pull = known.pull if pull is None else bool(pull)
        self.ptr.set_options(client, options)

    def subscribe(self, uint64_t client, list entries not None):
        """Replace the client's set with (instrument, spelling to show) pairs; a pair named twice counts once.

        Entries kept keep their sent state; new ones begin with a full snapshot. On an error nothing changed:
        LookupError (handle), ValueError (entry), OverflowError (a limit).
        """
        cdef vector[Wanted] wanted
        cdef Wanted one
        cdef size_t at = 0
        cdef Py_ssize_t size = 0
        cdef const char* text
        wanted.reserve(len(entries))
        for instrument, shown in entries:
            one.instrument = instrument
            text = PyUnicode_AsUTF8AndSize(shown, &size)
            one.shown = string_view(text, <size_t>size)
            wanted.push_back(one)
        cdef Refusal refusal = self.ptr.subscribe(client, wanted, at)
        if refusal == kNone:
            return
        if refusal == kClosed:
            raise closed_error(client)
        if refusal == kTooManySymbols:
            raise OverflowError(f"a client watches at most {self.ptr.limits().symbols} symbols")
        if refusal == kTooManySubscribed:
            raise OverflowError(f"all clients together watch at most {self.ptr.limits().subscriptions} symbols")
        instrument, shown = entries[at]
        if refusal == kInstrument:
            raise ValueError(f"no instrument has the number {instrument}")
        if refusal == kClash:
            raise ValueError(f"{shown!r} is asked for as two instruments")
        raise ValueError(f"{shown!r} cannot be shown: 1-64 of letters, digits and . _ @ & - space")

    def entries(self, uint64_t client):
        """The client's (instrument, shown) pairs in subscription order."""
        cdef vector[Wanted] found
        if not self.ptr.entries(client, found):
            raise closed_error(client)
        return [(one.instrument, PyUnicode_DecodeASCII(one.shown.data(), <Py_ssize_t>one.shown.size(), NULL))
                for one in found]

    def drain(self):
        """Take what the tape has and mark it unsent for whoever watches; returns the rows taken."""
        return self.ptr.drain()

    def pending(self, uint64_t client):
        """Instruments of which the client has something unsent, as of the last drain."""
        cdef int64_t count = self.ptr.pending(client)
        if count < 0:
            raise closed_error(client)
        return count

    def frame(self, uint64_t client, bytes tail not None=b""):
        """WebSocket frame(s) with everything unsent, b"" when there is nothing; drains first.

        `tail`, the text of one JSON object, becomes the last element of the data list. At most about
        `max_frame_bytes`: what does not fit stays pending. ValueError for a tail in a style without the list.
        """
        cdef const ClientOptions* options = self.ptr.options(client)
        if options == NULL:
            raise closed_error(client)
        if PyBytes_GET_SIZE(tail) and options.style != Style.kDiff and options.style != Style.kLegacyRtn:
            raise ValueError("this client's style has no data list to add to")
        return self.build(client, string_view(PyBytes_AS_STRING(tail), <size_t>PyBytes_GET_SIZE(tail)))

    def flush(self, clients=None, Py_ssize_t min_pending=1):
        """(client, bytes) of each client with at least `min_pending` instruments unsent; drains first.

        `clients`: a list of handles, or None for every client not set to pull. A handle closed meanwhile is
        passed over. Clients owed the same content share one bytes object.
        """
        cdef list out = []
        cdef uint64_t client
        cdef size_t place
        cdef string_view no_tail
        cdef Py_ssize_t least = max(min_pending, 1)
        self.ptr.drain()
        if clients is None:
            for place in range(self.ptr.places()):
                client = self.ptr.handle_at(place)
                if client and self.ptr.pending(client) >= least and not self.ptr.options(client).pull:
                    out.append((client, self.build(client, no_tail)))
            return out
        for handle in clients:
            client = handle
            if self.ptr.pending(client) >= least:
                out.append((handle, self.build(client, no_tail)))
        return out

    def send(self, list clients not None, Py_ssize_t min_pending=1, list answered=None):
        """Flush these clients, writing to their outlets; returns (client, bytes) of what is left to be queued.

        What a client without an outlet, or behind it, is owed comes back whole. `answered` takes the handles of
        all that had something to be sent. `unfinished`: somebody is owed more than one frame holds.
        """
        cdef list left = []
        cdef list frames = []  # keeps alive what the descriptors below point at
        cdef list handles = []
        cdef uint64_t client
        cdef uint32_t place
        cdef bytes made
        cdef object outlet
        cdef Sending one
        cdef size_t i, sent
        cdef string_view no_tail
        cdef Py_ssize_t least = max(min_pending, 1)
        cdef Py_ssize_t places = len(self.outlets)
        self.unfinished = False
        self.sending.clear()
        self.ptr.drain()
        # First every frame, then every system call: between two sends a reader that has just been woken would
        # fall asleep again, and waking it is what a send costs most.
        for handle in clients:
            client = handle
            if self.ptr.pending(client) < least:
                continue
            made = self.build(client, no_tail)
            if self.ptr.pending(client):
                self.unfinished = True
            if answered is not None:
                answered.append(handle)
            place = <uint32_t>client
            outlet = self.outlets[place] if place < places else None
            if outlet is None:
                left.append((handle, made))
                continue
            one.outlet = (<Outlet>outlet).ptr
            one.data = PyBytes_AS_STRING(made)
            one.size = <size_t>PyBytes_GET_SIZE(made)
            self.sending.push_back(one)
            frames.append(made)
            handles.append(handle)
        for i in range(self.sending.size()):
            one = self.sending[i]
            sent = one.outlet.send(one.data, one.size)
            self.sent_bytes += sent
            if sent < one.size:
                made = frames[i]
                left.append((handles[i], made[sent:] if sent else made))
            else:
                self.sent_frames += 1
        return left

    cdef bytes build(self, uint64_t client, string_view tail):
        cdef Plan plan
        cdef bytes made
        if not self.ptr.plan(client, tail, plan):
            raise closed_error(client)
        if plan.bytes == 0:
            return b""
        if self.kept_epoch != self.ptr.epoch():
            self.kept_epoch = self.ptr.epoch()
            self.kept.clear()
        if plan.known:
            made = <bytes>self.kept[plan.shared]
        else:
            made = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>plan.bytes)
            self.ptr.write(PyBytes_AS_STRING(made))
            if plan.shared >= 0:
                self.kept.append(made)
        self.ptr.commit()
        return made

    @property
    def clients(self):
        """Open clients."""
        return self.ptr.open_clients()

    @property
    def subscriptions(self):
        """Entries of all clients."""
        return self.ptr.subscriptions()

    @property
    def ticks(self):
        """Rows taken from the tape, lost ones included."""
        return self.ptr.counters().ticks

    @property
    def resyncs(self):
        """Times every client was marked whole because the tape overran the hub or was restored."""
        return self.ptr.counters().resyncs

    @property
    def frames_built(self):
        return self.ptr.counters().frames_built

    @property
    def frames_shared(self):
        """Frames that were another client's bytes."""
        return self.ptr.counters().frames_shared

    @property
    def bytes_built(self):
        return self.ptr.counters().bytes_built

    @property
    def fragment_hits(self):
        return self.ptr.fragment_hits()

    @property
    def fragment_misses(self):
        """Instruments encoded."""
        return self.ptr.fragment_misses()


def ask_slice(uint64_t slice_ns):
    """Have the kernel put this thread on its core as soon as it wakes; the slice in force, 0 for the system's own."""
    return c_ask_slice(slice_ns)


def text_frame(bytes payload not None):
    """A final, unmasked WebSocket text frame around a payload."""
    cdef size_t size = <size_t>PyBytes_GET_SIZE(payload)
    cdef bytes made = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(text_header_size(size) + size))
    cdef char* at = write_text_header(PyBytes_AS_STRING(made), size)
    memcpy(at, PyBytes_AS_STRING(payload), size)
    return made


cdef Buffer diff_buffer


def patch_message(Rows before not None, Py_ssize_t i, Rows after not None, Py_ssize_t j):
    """rtn_data text of what differs between two rows of one instrument; b"" when nothing does."""
    cdef const CInstrument* it
    cdef Snapshot* row = after.row(j)
    cdef Mask fields = changed(deref(before.row(i)), deref(row))
    if fields == 0:
        return b""
    it = after.instruments.entry(row.instrument)
    cdef string_view shown = string_view(it.symbol.data(), it.symbol.size())
    diff_buffer.clear()
    diff_buffer.append(string_view(b'{"aid":"rtn_data","data":[{"quotes":{"', 38))
    diff_buffer.append(shown)
    diff_buffer.append(string_view(b'":', 2))
    encode_fields(Style.kDiff, deref(row), fields, False, shown, diff_buffer)
    diff_buffer.append(string_view(b"}}]}", 4))
    return PyBytes_FromStringAndSize(diff_buffer.data(), <Py_ssize_t>diff_buffer.size())
