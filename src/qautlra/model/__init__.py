"""Plain values every room speaks in."""
