"""The build backend's doors for pip: what asks for metadata builds neither page nor core."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

TOOLS = Path(__file__).resolve().parents[1] / "tools"


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_metadata_are_written_without_a_build(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def hook(name: str) -> object:
        return lambda *_: asked.append(name) or name

    names = [f"prepare_metadata_for_build_{kind}", f"build_{kind}"]
    core = ModuleType("scikit_build_core")
    core.build = SimpleNamespace(**{name: hook(name) for name in names})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "scikit_build_core", core)
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("backend_under_test", TOOLS / "build_backend.py")
    assert spec is not None and spec.loader is not None
    backend = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(backend)
    monkeypatch.setattr(backend, "build", lambda _out: asked.append("page"))
    assert getattr(backend, names[0])("directory") == names[0]
    assert asked == names[:1]
    assert getattr(backend, names[1])("directory", None, "directory") == names[1]
    assert asked == [names[0], "page", names[1]]
