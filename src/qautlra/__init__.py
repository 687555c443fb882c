"""qautlra: one self-hosted server for China's futures and stock markets."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("qautlra")
except PackageNotFoundError:  # a checkout on PYTHONPATH, not installed
    __version__ = "0+checkout"
