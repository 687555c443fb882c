"""qautlra: one self-hosted server for China's futures and stock markets."""

__version__ = "0.1.0"
"As pyproject.toml says it: importlib.metadata takes longer to find it than `qautlra --help` to answer."
