"""Clients of outside systems: each speaks one protocol and knows nothing of who uses it."""
