"""Discovery: Consul's cases."""

import pytest

from sim.model.registry_health import Health, StatusHandler, health_of
from sim.model.registry_query import how_long, next_index

GOOD, BAD = Health.PASSING, Health.CRITICAL


def test_sd_01_so_many_results_in_a_row_change_a_status():
    """Success 2, warning 2, critical 3: starts critical; each change needs its number of results in a row."""
    handler = StatusHandler(success_before_passing=2, failures_before_warning=2, failures_before_critical=3)
    assert handler.status is Health.CRITICAL
    story = [
        (GOOD, "critical"), (GOOD, "passing"),
        (BAD, "passing"), (BAD, "warning"), (BAD, "critical"),
        (GOOD, "critical"), (GOOD, "passing"),
        (BAD, "passing"), (GOOD, "passing"), (BAD, "passing"), (BAD, "warning"),  # one success in between: counted anew
        (GOOD, "warning"), (GOOD, "passing"),
    ]
    for found, expected in story:
        handler.update(found)
        assert handler.status.value == expected


def test_sd_01_zero_and_one_mean_the_first_result():
    """Consul's defaults of 0: each result is believed at once."""
    for number in (0, 1):
        handler = StatusHandler(number, number)
        assert [handler.update(found) for found in (GOOD, BAD, BAD, GOOD)] == [True, True, False, True]


def test_sd_01_warnings_need_a_number_of_their_own():
    """Without failures_before_warning there is no warning on the way to critical."""
    handler = StatusHandler(1, 3, status=Health.PASSING)
    assert [handler.update(BAD) or handler.status for _ in range(3)] == [Health.PASSING, Health.PASSING, True]


def test_sd_01_what_an_http_answer_means():
    """2xx passing, 429 warning, all else critical, no answer too."""
    statuses = {200: GOOD, 204: GOOD, 299: GOOD, 429: Health.WARNING, 404: BAD, 500: BAD, 302: BAD, 0: BAD, -1: BAD}
    assert {status: health_of(status) for status in statuses} == statuses


@pytest.mark.parametrize(("before", "answered", "following"), [(0, 0, 1), (0, 7, 7), (7, 7, 7), (7, 9, 9), (9, 3, 0), (1, 0, 0)])
def test_sd_03_an_index_that_goes_backwards_begins_anew_and_is_never_below_one(before, answered, following):
    """Otherwise a client would wait for a number that never comes, or not wait at all."""
    assert next_index(before, answered) == following


WAITS = [(0, 0.0, 300), (0, 1.0, 300 * 17 / 16), (60, 0.5, 60 * 33 / 32), (10_000, 0.0, 600)]


@pytest.mark.parametrize(("wait", "random", "seconds"), WAITS)
def test_sd_03_a_query_waits_five_minutes_at_most_ten_and_up_to_a_sixteenth_more(wait, random, seconds):
    """The default, the cap, and the jitter that keeps clients apart."""
    assert how_long(wait, random) == pytest.approx(seconds)
