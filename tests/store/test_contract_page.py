"""Every test that docs/store-contract.md names is there."""

import re

from tests.conftest import ROOT


def test_every_behaviour_has_its_test() -> None:
    lines = (ROOT / "docs" / "store-contract.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| 5.")]
    assert len(rows) > 40
    assert {row.split("|")[1].strip() for row in rows} == {f"5.{n}" for n in range(1, 7)}
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", row)
        assert named, row
        for path, name in named:
            text = (ROOT / path).read_text(encoding="utf-8")
            assert not name or f"def {name}(" in text, f"{path} has no {name}"
