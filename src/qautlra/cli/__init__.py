"""The command line: thin commands over the rooms; nothing here knows market data."""
