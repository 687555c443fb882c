"""Streams users make: any events by name, with schemas that grow; beside the market's own streams."""
