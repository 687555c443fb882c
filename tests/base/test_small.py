"""Clock, secrets, logs, metrics and errors."""

from __future__ import annotations

import copy
import io
import json
import pickle

import pytest

from qautlra.base import log, metrics
from qautlra.base.clock import VirtualClock, WallClock, new_random, new_token
from qautlra.base.errors import ConfigError, LimitError, NotFoundError, QautlraError, StorageError
from qautlra.base.log import Seldom
from qautlra.base.secret import Secret, is_known_example, is_placeholder


def test_virtual_clock_never_goes_back() -> None:
    clock = VirtualClock("replay", 100)
    assert clock.now_ns() == 100
    assert clock.advance_to(50) == 100
    assert clock.advance_to(150) == 150
    fresh = VirtualClock()
    assert not fresh.moved
    assert fresh.advance_to(5) == 5  # the first move may go far back: recorded days lie in the past
    assert fresh.moved
    assert WallClock().now_ns() > 1_700_000_000_000_000_000


def test_entropy_comes_from_one_place() -> None:
    assert new_random(3).random() == new_random(3).random()
    assert new_token() != new_token()


def test_a_secret_shows_nothing() -> None:
    secret = Secret("hunter2")
    for text in (str(secret), repr(secret), f"{secret}", f"{secret:>10}", repr([secret])):
        assert "hunter2" not in text
    assert secret.reveal() == "hunter2"
    assert secret == Secret("hunter2") != Secret("other")
    assert not Secret()
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.copy(secret)


@pytest.mark.parametrize(
    "text", ["YOUR_USER_ID", "your_password", "", "  ", "<password>", "${X}", "xxxx", "****"]
)
def test_placeholders(text: str) -> None:
    assert is_placeholder(text)
    assert is_known_example("bob", text)


def test_known_examples() -> None:
    assert is_known_example("admin", "admin")
    assert is_known_example("bob", "super-secret")
    assert is_known_example("Bob", "bob")
    assert not is_known_example("bob", "k3-9xq")
    assert not is_placeholder("012345")


@pytest.mark.parametrize("style", ["json", "text"])
def test_a_traceback_shows_no_variables(style: str) -> None:
    out = io.StringIO()
    log.configure("info", style, out)
    try:
        password = "hunter" + "2"
        if password:
            raise ValueError("a fault")
    except ValueError:
        log.get_logger("feed").exception("failed")
    finally:
        log.configure()
    assert "test_small.py" in out.getvalue() and "a fault" in out.getvalue()
    assert "hunter2" not in out.getvalue()


def test_logs_are_lines_without_secrets() -> None:
    out = io.StringIO()
    log.configure("info", "json", out)
    logger = log.get_logger("feed")
    logger.info("hello", password="hunter2", value=Secret("hunter2"), n=1)
    logger.debug("quiet")
    (line,) = out.getvalue().splitlines()
    event = json.loads(line)
    assert (event["event"], event["room"], event["n"], event["level"]) == ("hello", "feed", 1, "info")
    assert "hunter2" not in line


def test_seldom_lets_one_through_and_counts_the_rest() -> None:
    seldom = Seldom(every_s=1000.0)
    assert seldom.due("a") == 1
    assert seldom.due("a") == 0
    assert seldom.due("b") == 1
    always = Seldom(every_s=0.0)
    assert always.due("a") == always.due("a") == 1
    for key in range(3000):
        seldom.due(key)
    assert len(seldom._last) <= 1024


def test_a_bound_is_shown_with_what_is_in_it_until_it_is_forgotten() -> None:
    held = [1, 2]
    metrics.bound("test_line", lambda: len(held), 5, unit="rows", when_full="refuse")
    metrics.bound("test_broken", lambda: 1 // 0, 5, when_full="drop")
    held.append(3)
    text = metrics.render().decode()
    labels = 'queue="test_line",unit="rows",when_full="refuse"'
    assert f"qautlra_base_queue_fill{{{labels}}} 3.0" in text
    assert f"qautlra_base_queue_bound{{{labels}}} 5.0" in text
    assert "test_broken" not in text
    metrics.unwatch("qautlra_test_")
    assert "test_line" not in metrics.render().decode()


def test_metrics_are_found_again_and_watched_values_are_read_at_scrape() -> None:
    metrics.counter("qautlra_test_things", "things", ["kind"]).labels("x").inc(2)
    assert metrics.counter("qautlra_test_things", "things", ["kind"]) is metrics.counter(
        "qautlra_test_things", "things", ["kind"]
    )
    value = [1.0]
    metrics.watch("qautlra_test_watched_bytes", "w", lambda: value[0])
    metrics.watch("qautlra_test_broken", "b", lambda: 1 // 0)
    metrics.watch("qautlra_test_seen", "s", lambda: {("a",): 3.0}, kind="counter", labels=["k"])
    value[0] = 7.0
    text = metrics.render().decode()
    assert 'qautlra_test_things_total{kind="x"} 2.0' in text
    assert "qautlra_test_watched_bytes 7.0" in text
    assert 'qautlra_test_seen_total{k="a"} 3.0' in text
    assert "qautlra_test_broken" not in text
    metrics.unwatch("qautlra_test_")
    assert "qautlra_test_watched" not in metrics.render().decode()
    with pytest.raises(ValueError, match="qautlra_"):
        metrics.gauge("other", "x")


def test_errors_say_what_machines_need() -> None:
    error = LimitError("too many", retry_after_s=2)
    assert error.to_dict() == {"error": "too many", "code": "limit", "retryable": True, "retry_after_s": 2}
    assert (error.status, NotFoundError("x").status) == (429, 404)
    assert StorageError("full").retryable
    assert not StorageError("locked", retryable=False).retryable
    config = ConfigError("bad", key="a.b", value=3, origin="file.toml", expected="a text")
    assert str(config) == "a.b = 3 (from file.toml): bad; expected a text"
    assert issubclass(ConfigError, QautlraError)
