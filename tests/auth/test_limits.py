"""Token buckets and the login throttle, on a clock of our own."""

import pytest

from qautlra.auth.limits import Buckets, LoginThrottle
from qautlra.base.errors import LimitError


def test_a_bucket_at_its_bound_and_beyond() -> None:
    buckets = Buckets("test", rate_per_s=50, burst=100)
    for _ in range(100):
        buckets.take("u", now_s=0.0)
    with pytest.raises(LimitError) as refused:
        buckets.take("u", now_s=0.0)
    assert (refused.value.status, refused.value.details["retry_after_s"]) == (429, 1)
    buckets.take("other", now_s=0.0)
    with pytest.raises(LimitError):
        buckets.take("u", now_s=0.0199)
    buckets.take("u", now_s=0.0201)


def test_a_bucket_fills_to_its_burst_only() -> None:
    buckets = Buckets("test", rate_per_s=50, burst=100)
    buckets.take("u", 100, now_s=0.0)
    buckets.take("u", 100, now_s=1e6)
    with pytest.raises(LimitError) as refused:
        buckets.take("u", 100, now_s=1e6)
    assert refused.value.details["retry_after_s"] == 2
    with pytest.raises(LimitError) as never:
        buckets.take("u", 101, now_s=2e6)
    assert never.value.status == 400


def test_the_table_of_buckets_is_bounded() -> None:
    buckets = Buckets("test", 1, 1, keys_count=3)
    for key in "abcd":
        buckets.take(key, now_s=0.0)
    assert len(buckets) == 3
    with pytest.raises(LimitError):
        buckets.take("d", now_s=0.0)
    buckets.take("a", now_s=0.0)


def test_failed_logins_lock_out_who_fails() -> None:
    throttle = LoginThrottle(5)
    for at in range(5):
        throttle.check("u", "1.2.3.4", now_s=float(at))
        throttle.failed("u", "1.2.3.4", now_s=float(at))
    with pytest.raises(LimitError) as refused:
        throttle.check("U", "1.2.3.4", now_s=5.0)
    assert refused.value.details["retry_after_s"] == 55
    throttle.check("u", "5.6.7.8", now_s=5.0)
    throttle.check("other", "1.2.3.4", now_s=5.0)
    throttle.check("u", "1.2.3.4", now_s=60.5)
    throttle.failed("u", "1.2.3.4", now_s=60.5)
    with pytest.raises(LimitError):
        throttle.check("u", "1.2.3.4", now_s=60.6)


def test_many_names_or_many_addresses_do_not_help() -> None:
    names, addresses = LoginThrottle(5), LoginThrottle(5)
    for number in range(50):
        names.failed(f"user{number}", "1.2.3.4", now_s=0.0)
        addresses.failed("u", f"10.0.0.{number}", now_s=0.0)
    with pytest.raises(LimitError):
        names.check("fresh", "1.2.3.4", now_s=1.0)
    with pytest.raises(LimitError):
        addresses.check("u", "10.9.9.9", now_s=1.0)


def test_success_forgets_and_the_table_is_bounded() -> None:
    throttle = LoginThrottle(2, keys_count=10)
    throttle.failed("u", "a", now_s=0.0)
    throttle.succeeded("u", "a")
    throttle.failed("u", "a", now_s=0.0)
    throttle.check("u", "a", now_s=0.0)
    for number in range(100):
        throttle.failed(f"u{number}", "b", now_s=0.0)
    assert len(throttle) == 10
    with pytest.raises(LimitError):
        throttle.check("anyone", "b", now_s=0.0)
