"""The store: tick log, hot tier, Parquet files, and the questions asked of them.

The door in is the tape's cursor (or an import), the door out is `query`; routes are `net`'s business.
"""
