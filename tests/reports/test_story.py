"""What the page tells of a run in sentences: faults, breakers, losses, and what is worth a line."""

import re

import numpy as np
import pytest

from reports.page.sentences import plain
from reports.page.steadiness import Lost, back_by, worth_telling
from reports.page.story import story
from reports.texts import Words, unparted
from sim.scenario.measures import SteadyState
from sim.telemetry.codes import Outcome
from tests.reports.export_runs import shop
from tests.reports.hand_made import client, fault, gauge, request, run_of, server


def told(result, lang="en"):
    return [(round(moment.at, 2), plain(moment.parts).replace("\u00a0", " ")) for moment in story(result, Words(lang))]


def test_the_story_tells_fault_and_breaker():
    """When the fault began, when the breaker opened after it, and what was still open at the end."""
    text = dict(told(shop(faults=[fault(start=2.0, until=5.0)])))
    assert text[2.0] == "The fault slow (network.delay) begins at orders→payments."
    assert text[5.04] == "The circuit breaker of orders→payments opens in orders-0, 40 ms after slow ended."
    assert text[10.0] == "The run ends."
    assert "a breaker is still open at the end; 1 calls were refused" in " ".join(line for _, line in told(shop()))


def transition(at, caller, source, target):
    about = {"edge": "orders->payments", "caller": caller, "source": source, "target": target}
    return {"at": at, "kind": "circuit_breaker.state_transition", **about}


def test_one_moment_for_all_breakers_of_an_edge():
    """Several callers that open together, their failed trials and their closing are three moments, not twelve."""
    events = [transition(3.0, "orders-0", "closed", "open"), transition(3.5, "orders-1", "closed", "open")]
    for at, to in ((4.0, "open"), (5.0, "open"), (6.0, "closed")):
        events += [transition(at, caller, *states) for caller in ("orders-0", "orders-1")
                   for states in (("open", "half_open"), ("half_open", to))]
    lines = [line for line in told(run_of([request(1, 1.0, 0.1)], events=events, duration=20.0)) if "orders→payments" in line[1]]
    assert [at for at, _ in lines] == [3.0, 4.0, 6.0]
    assert "open in 2 callers, in orders-0 first; the last one within 500 ms" in lines[0][1]
    assert "4 times until 5 s" in lines[1][1]
    assert "every breaker is closed again after 3 s" in lines[2][1]


def test_what_happens_often_is_told_only_where_it_is_unusual():
    """Timeouts that were as frequent before the fault are no news; those that come with it are, once and with their number."""
    def timeouts(edge, times):
        return [{"at": at, "kind": "timeout.timeout", "edge": edge, "caller": "x", "limit": 1.0, "elapsed": 1.0} for at in times]

    always = timeouts("a->b", [index / 4 for index in range(80)])
    burst = timeouts("c->d", [10 + index / 10 for index in range(20)])
    result = run_of([request(1, 1.0, 0.1)], duration=20.0, faults=[fault(start=9.0, until=13.0)],
                    events=sorted([*always, *burst], key=lambda event: event["at"]))
    lines = [line for line in told(result) if "given up" in line[1]]
    assert lines == [(10.0, "Calls over c→d take too long and are given up: 20 attempts until 11.9 s.")]


def test_full_services_are_told():
    """A time in which all workers were busy, from its begin until its end."""
    levels = [(at, 16.0 if 3 < at <= 6 else 2.0, 16.0) for at in np.arange(0.5, 10.5, 0.5).tolist()]
    result = run_of([request(1, 1.0, 0.1)], gauges=[gauge("orders", "", "busy", levels)],
                    description={"orders": {"kind": "service", "workers": 16, "instances": ["orders-0"]}})
    assert told(result)[0] == (3.0, "All 16 workers of orders are busy for 3 s, until 6 s; who comes now has to wait.")


def test_who_is_turned_away_is_told_where_it_happened():
    """A service that refuses at its door is named; the gateway that passes the refusals on is not."""
    spans = []
    for number in range(8):
        at, id = 2.0 + number, 10 * number + 1
        refused = {"trace": number + 1, "status": 503, "outcome": Outcome.REJECTED}
        spans += [client(id, 0, "shoppers", "gateway", at, at + 0.1, **refused),
                  server(id + 1, id, "gateway", "shoppers", at, at + 0.1, **refused),
                  client(id + 2, id + 1, "gateway", "orders", at, at + 0.1, **refused),
                  server(id + 3, id + 2, "orders", "gateway", at, at, **refused)]
    lines = [line for line in told(run_of([request(1, 2.0, 0.1)], spans)) if "turns away" in line[1]]
    assert lines == [(2.0, "orders turns away 8 requests until 9 s: its queue is full, or a limit is reached.")]


def test_a_fault_that_comes_often_is_told_once():
    """Twenty times of one fault are one moment, not forty."""
    faults = [fault("kill", start=float(at), until=at + 0.2) for at in range(1, 21)]
    lines = [line for _, line in told(run_of([request(1, 1.0, 0.1)], faults=faults, duration=30.0)) if "kill" in line]
    assert lines == ["The fault kill (network.delay) begins, for the first of 20 times until 20.2 s."]


def test_the_steady_state_is_lost_and_found():
    """From the fault on every request fails, and after it none: the steady state is broken and back at these times."""
    requests = [request(index + 1, at, 0.01, Outcome.FAILED if 30 <= at < 50 else Outcome.OK, 500 if 30 <= at < 50 else 200)
                for index, at in enumerate(np.arange(0, 100, 0.1).tolist())]
    asked = {"name": "availability", "measure": "success_ratio", "of": "shoppers", "at_least": "99%"}
    result = run_of(requests, duration=100.0, faults=[fault(start=30.0, until=45.0)], scenario={"steady_state": [asked]})
    (lost, how), (back, _), (whole, recovered) = (next(line for line in told(result) if text in line[1])
                                                  for text in ("no longer holds", "holds again", "whole steady state"))
    assert 30 <= lost <= 30.5 and "down to 0 %, wanted at least 99 %" in how
    assert 49.5 <= back <= whole <= 50
    assert float(re.search(r"back ([\d.]+) s after", recovered)[1]) == pytest.approx(5, abs=0.2)


def test_a_loss_that_reads_like_the_bound_is_not_told():
    """98.999 % would read as 99 %, the bound itself."""
    asked = SteadyState(measure="success_ratio", of="shoppers", at_least="99%")
    found = [Lost(asked, "at_least", 0.99, 1.0, 20.0, worst) for worst in (0.98999, 0.95)]
    assert worth_telling(found, Words()) == found[1:]


def test_a_condition_is_back_when_the_whole_steady_state_is():
    """The one is looked for every half second, the other in finer steps: who reads both must not find the whole before its part."""
    asked = SteadyState(measure="success_ratio", of="shoppers", at_least="99%")
    lost = Lost(asked, "at_least", 0.99, 60.5, 101.0, 0.7)
    run = run_of([request(1, 1.0, 0.1)], duration=180.0)
    assert back_by(lost, 100.6, run).until == 100.6
    assert [back_by(lost, well, run).until for well in (None, 100.2, 101.5)] == [101.0] * 3


def test_numbers_and_their_units_stay_on_one_line():
    """And what is no unit may begin a new one."""
    assert unparted("up to 1 s, 0.1 % of 3 services until 2 min") == "up to 1\u00a0s, 0.1\u00a0% of 3 services until 2\u00a0min"


def test_times_of_a_long_run_are_told_in_hours():
    """Nobody counts 36,000 seconds; the first ten minutes are told as in a short run."""
    text = dict(told(run_of([request(1, 1.0, 0.1)], duration=36_000.0, faults=[fault(start=10_800.0, until=14_400.0)])))
    assert text[14_400.0] == "The fault slow is over after 1 h."
    assert [Words("es").moment(at) for at in (61.25, 10_805.2, 60.0, 5.25)] == ["61,2 s", "3 h 5 s", "60 s", "5,25 s"]
