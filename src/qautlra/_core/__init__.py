"""The C++ core: market types, tape, hub, journal, hot store. Compiled modules; no I/O policy lives here."""
