"""Configuration: `tree` says what exists, `load` where values come from, `compat` reads foreign shapes."""
