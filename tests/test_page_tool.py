"""The page's build: what came of the same sources is kept, what has changed on either side is built anew."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).resolve().parents[1] / "tools" / "page.py"


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool on sources of its own, with a bundler that copies."""
    spec = importlib.util.spec_from_file_location("page_under_test", TOOL)
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    web = tmp_path / "web"
    names = ("index.html", "package-lock.json", "package.json", "src/a.ts", "src/b.ts", "public/icon.svg")
    for name in names:
        (web / name).parent.mkdir(parents=True, exist_ok=True)
        (web / name).write_text(name)
    installed = web / "node_modules" / ".package-lock.json"
    installed.parent.mkdir()
    installed.touch()
    monkeypatch.setattr(tool, "WEB", web)
    monkeypatch.setattr(tool, "BUILT", web / "node_modules" / ".built.json")
    monkeypatch.setattr(tool, "node", lambda: ("node", ["npm"]))
    tool.runs = []

    def run(command: list[str], environment: dict[str, str], _limit_s: int) -> None:
        tool.runs.append(command[-1])
        if "build" in command:
            made = Path(environment["QAUTLRA_PAGE_OUT"])
            made.mkdir()
            texts = "".join(file.read_text() for file in sorted((web / "src").iterdir()))
            (made / "index.html").write_text(texts * 100)

    monkeypatch.setattr(tool, "_run", run)
    return tool


def test_a_page_of_the_same_sources_is_kept(page: ModuleType, tmp_path: Path) -> None:
    out = tmp_path / "package" / "page"

    def builds() -> int:
        before = len(page.runs)
        page.build(out)
        assert (out / "index.html").read_text().startswith((page.WEB / "src" / "a.ts").read_text())
        assert (out / "index.html.gz").is_file()
        return len(page.runs) - before

    assert (builds(), builds()) == (1, 0)
    changes = [
        lambda: (page.WEB / "src" / "a.ts").write_text("changed"),
        lambda: (page.WEB / "src" / "b.ts").rename(page.WEB / "src" / "c.ts"),
        lambda: (page.WEB / "public" / "icon.svg").unlink(),
        lambda: (page.WEB / "vite.config.ts").write_text("new"),
        lambda: (out / "index.html").write_text("touched"),
        lambda: (out / "index.html.gz").unlink(),
        lambda: (out / "left.js").write_text("of another page"),
        lambda: page.BUILT.write_text("{torn"),
    ]
    for change in changes:
        change()
        assert (builds(), builds()) == (1, 0)
    assert not (out / "left.js").exists()
    page.build(tmp_path / "other")
    assert (tmp_path / "other" / "index.html").is_file()


def test_what_is_installed_anew_is_built_with(page: ModuleType, tmp_path: Path) -> None:
    page.build(tmp_path / "page")
    lock = page.WEB / "package-lock.json"
    lock.write_text("others")
    os.utime(lock, (2e9, 2e9))
    page.build(tmp_path / "page")
    assert len(page.runs) == 3 and page.runs[1] in page.NPM_FLAGS
