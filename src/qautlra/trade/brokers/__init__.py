"""Brokers beyond the built-in exchange: each speaks one protocol and looks like the trading service."""
