"""The order path: commands of every door through one engine into accounts, and what changed back out."""
