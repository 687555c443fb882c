"""What libraries do when they are imported and nobody here has a use for, kept out of our processes."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder


class _Without(MetaPathFinder):
    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname in self._names:
            raise ModuleNotFoundError(f"{fullname} is left out for now", name=fullname)


@contextmanager
def left_out(*names: str) -> Iterator[None]:
    """Have modules of these names not found within the block, but for those imported before.

    For what a library tries to import and does without. Of a process of ours, never of a user's program.
    """
    finder = _Without(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextmanager
def certificates_unread() -> Iterator[None]:
    """Have TLS contexts made within the block trust nobody, instead of reading whom the system trusts.

    aiohttp makes two for its client with the import, a tenth of a start. Whoever uses that client gives it a
    context of its own; forgotten, it reaches no site at all.
    """
    kept = {
        name: vars(ssl.SSLContext).get(name) for name in ("load_default_certs", "set_default_verify_paths")
    }
    for name in kept:
        setattr(ssl.SSLContext, name, lambda *_: None)
    try:
        yield
    finally:
        for name, own in kept.items():
            if own is None:
                delattr(ssl.SSLContext, name)
            else:
                setattr(ssl.SSLContext, name, own)
