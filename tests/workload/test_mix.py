"""What a workload sends: shares of the mix, headers, bodies, sizes, keys and priorities; and from where."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from sim.model.messages import Request
from sim.streams import Streams
from sim.telemetry.recorder import Recorder
from sim.workload.mix import Mix, SendSpec
from tests.model.small_runs import at, ran, users


def requests(count: int, *sends: Any, seed: int = 1) -> list[Request]:
    """So many draws from a mix."""
    mix = Mix([SendSpec.model_validate(send) for send in sends], "users", Streams(seed), Recorder(lambda: 0.0))
    return [mix.draw() for _ in range(count)]


def test_the_mix_has_the_shares_that_its_weights_say():
    """70 : 25 : 5, by a chi-square with two degrees of freedom below its 99.9 % quantile; weights need not add up to 100."""
    weights = {"/a": 14.0, "/b": 5.0, "/c": 1.0}
    count = 20_000
    sends = [{"send": f"GET {path}", "weight": weight} for path, weight in weights.items()]
    seen = Counter(request.path for request in requests(count, *sends))
    expected = {path: count * weight / 20 for path, weight in weights.items()}
    assert sum((seen[path] - expected[path]) ** 2 / expected[path] for path in weights) < 13.8


def test_one_request_more_in_the_mix_does_not_change_what_the_others_draw():
    """Paths have streams of their own."""
    alone = [request.path for request in requests(50, {"send": "GET /{uniform:1000}"})]
    both = [request.path for request in requests(200, {"send": "GET /{uniform:1000}"}, {"send": "GET /b/{uniform:1000}"})]
    assert [path for path in both if not path.startswith("/b")][:50] == alone[: len([path for path in both if not path.startswith("/b")])]


def test_what_is_sent_is_what_is_written():
    """Method, path, size, key, priority; headers with names in small letters and values as they are."""
    headers = {"Authorization": "Bearer T", "X-Id": "7"}
    request = requests(1, {"send": "POST /orders", "headers": headers, "size": "2KiB", "key": {"fixed": "k"}, "priority": 3})[0]
    assert (request.method, request.path, request.size, request.key, request.priority) == ("POST", "/orders", 2048, "k", 3)
    assert request.headers == {"authorization": "Bearer T", "x-id": "7"}


def test_bodies_are_drawn_and_are_new_each_time():
    """A text that is one draw is a number; others stay texts; lists and mappings are copied."""
    body = {"customer": "u-{seq}", "quantity": "{uniform:1}", "tags": ["a", "{seq}"], "gift": True, "none": None}
    first, second = (request.json for request in requests(2, {"send": "POST /", "json": body}))
    assert first == {"customer": "u-1", "quantity": 1, "tags": ["a", 1], "gift": True, "none": None}
    assert second["customer"] == "u-2" and second["tags"] is not first["tags"]


def test_a_workload_has_a_zone():
    """It is as far from an instance as its zone is."""
    network = {"default": {"latency": "1ms"}, "zones": {"a": {}, "b": {}}, "between_zones": {"latency": "10ms"}}
    loads = {"near": at("0s", zone="a"), "far": at("0s", zone="b"), "out": at("0s")}
    result = ran({"api": {"zone": "a", "endpoints": {"GET /": []}}}, loads, network=network)
    latency = {result.names.workloads[row["workload"]]: float(row["end"] - row["start"]) for row in result.requests.rows}
    assert latency == pytest.approx({"near": 0.002, "far": 0.022, "out": 0.002})


def test_workloads_do_not_disturb_each_other():
    """A second workload changes neither the arrivals nor the choices of the first."""
    first = users("api", arrivals="poisson", mix=[{"send": "GET /{uniform:9}"}, {"send": "GET /x/{uniform:9}"}])
    api = {"api": {"workers": 1000, "endpoints": {"GET /{id}": [{"work": "1ms"}], "GET /x/{id}": []}}}
    alone, both = ran(api, {"first": first}, "20s"), ran(api, {"first": first, "second": users("api", arrivals="poisson")}, "20s")
    mine = both.requests[both.requests.workload == both.names.workloads.index("first")]
    assert list(mine.start) == list(alone.requests.start) and list(mine.operation) == list(alone.requests.operation)
