"""Where ticks come from: each source turns a stream into rows and pumps them to the tape."""
