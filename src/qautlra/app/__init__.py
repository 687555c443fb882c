"""Putting it together: from a configuration to running services."""
