"""The gateway: which route, which checks in which order, which answer when something is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from sim.mistakes import mistakes
from sim.model.services import AnyService
from tests.model.platform_world import Platform, platform

BEHIND = {
    "orders": {"endpoints": {"GET /orders/{id}": [{"sleep": "10ms"}], "POST /orders": [{"return": {"status": 201}}]}},
    "orders-v2": {"endpoints": {"GET /orders/{id}": [{"sleep": "10ms"}, {"return": {"status": 203}}]}},
    "users": {"endpoints": {"GET /users/me": [{"sleep": "20ms"}]}},
    "ill": {"endpoints": {
        "GET /": [{"fail": {"status": 500}}], "GET /slow": [{"sleep": "10s"}], "GET /absent": [{"return": {"status": 404}}]}},
}
TOKEN = {"authorization": "Bearer demo"}


def gate(*routes: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A gateway in front of everything."""
    return {**BEHIND, "gate": {"kind": "gateway", "routes": list(routes), **spec}}


def statuses(lab: Platform, *requests: tuple[str, str], **more: Any) -> list[int]:
    """What a user gets."""
    client = lab.client("gate")
    return [lab.ask(client, method, path, **more).status for method, path in requests]


# which route

def test_no_route_is_404_and_a_wrong_method_405():
    """The path decides between the two."""
    with platform(gate({"path": "/api/orders/*", "methods": ["GET"], "to": "orders"})) as lab:
        assert statuses(lab, ("GET", "/api/orders/7"), ("GET", "/api/nothing"), ("DELETE", "/api/orders/7")) == [200, 404, 405]


def test_the_first_route_that_fits_wins_exact_paths_before_patterns():
    """A pattern in front of an exact path does not hide it; of two patterns the first one counts."""
    routes = ({"path": "/orders/*", "to": "ill"}, {"path": "/orders/7", "to": "orders"}, {"path": "/orders/{id}", "to": "orders"})
    with platform(gate(*routes)) as lab:
        assert statuses(lab, ("GET", "/orders/7"), ("GET", "/orders/8")) == [200, 404]


def test_a_header_that_is_missing_is_404_and_a_method_that_nobody_takes_405():
    """The method is right without the header, so that it cannot be a wrong one."""
    with platform(gate({"path": "/orders/*", "methods": ["GET"], "headers": {"x-version": "2"}, "to": "orders"})) as lab:
        assert statuses(lab, ("GET", "/orders/7"), ("DELETE", "/orders/7")) == [404, 405]


def test_the_gateway_answers_for_its_own_health():
    """Without a token, beyond the rate, and with everything dead behind its catch-all; unless a route has just that path."""
    limits = {"auth": {"tokens": {"demo": "shopper"}}, "rate_limit": {"rate": "1/min", "burst": 1}}
    with platform(gate({"path": "/*", "to": "orders", "auth": "required"}, **limits)) as lab:
        lab.instance("orders-0").kill()
        assert statuses(lab, *[("GET", "/health")] * 3) == [200, 200, 200]
    with platform(gate({"path": "/health", "to": "ill", "methods": ["GET"]}, {"path": "/*", "to": "orders"})) as lab:
        assert statuses(lab, ("GET", "/health")) == [200]
        assert lab.world.edges["gate->ill"].finished == 1


def test_only_get_asks_a_gateway_for_its_health():
    """Whatever the query; another method is passed on like any other request, or not taken."""
    with platform(gate({"path": "/*", "to": "users", "methods": ["GET", "POST"]})) as lab:
        assert statuses(lab, ("GET", "/health?full=1"), ("DELETE", "/health")) == [200, 405]
        assert lab.world.edges["gate->users"].finished == 0
        assert statuses(lab, ("POST", "/health")) == [405] and lab.world.edges["gate->users"].finished == 1


def test_a_header_decides_between_routes_of_one_path():
    """Whoever asks for the new version gets it, by an exact value or a pattern; all others get the old one."""
    routes = ({"path": "/orders/*", "headers": {"x-version": "2*"}, "to": "orders-v2"}, {"path": "/orders/*", "to": "orders"})
    with platform(gate(*routes)) as lab:
        assert statuses(lab, ("GET", "/orders/7")) == [200]
        assert statuses(lab, ("GET", "/orders/7"), headers={"x-version": "2.1"}) == [203]
        assert statuses(lab, ("GET", "/orders/7"), headers={"x-version": "1"}) == [200]


def test_a_split_sends_shares_to_several_services():
    """90 to 10: of 2,000 requests about 200 go to the new version (five standard deviations are 67); a weight of 0 gets none."""
    with platform(gate({"path": "/orders/*", "split": {"orders": 90, "orders-v2": 10, "ill": 0}}), latency="0ms") as lab:
        answers = [status for status, _ in lab.together(lab.client("gate"), 120, path="/orders/7")]
        for _ in range(15):
            answers += [status for status, _ in lab.together(lab.client("gate"), 120, path="/orders/7")]
        assert set(answers) == {200, 203}
        assert answers.count(203) / len(answers) == pytest.approx(0.1, abs=0.034)


def test_the_prefix_is_taken_off_for_services_that_do_not_listen_on_it():
    """`/api/orders/7` is `/orders/7` behind the gateway."""
    with platform(gate({"path": "/api/orders/*", "to": "orders"}, {"path": "/v1/orders/*", "to": "orders"})) as lab:
        assert statuses(lab, ("GET", "/api/orders/7"), ("GET", "/v1/orders/7")) == [200, 404]


# which checks

def test_a_token_is_asked_for_where_the_route_says_so():
    """None 401, another scheme 401, unknown 403, known 200; and nobody asks on the other route."""
    routes = ({"path": "/orders/*", "to": "orders", "auth": "required"}, {"path": "/users/me", "to": "users"})
    with platform(gate(*routes, auth={"tokens": {"demo": "shopper"}})) as lab:
        given = ({}, {"authorization": "Basic demo"}, {"authorization": "Bearer what"}, TOKEN)
        assert [statuses(lab, ("GET", "/orders/7"), headers=headers)[0] for headers in given] == [401, 401, 403, 200]
        assert statuses(lab, ("GET", "/users/me")) == [200]


def test_services_behind_are_told_who_has_shown_a_token():
    """By a header; nobody can name himself, neither beside his token nor where no token is asked for."""
    services = gate({"path": "/orders/*", "to": "orders", "auth": "required"}, {"path": "/users/me", "to": "users"},
                    {"path": "/both", "auth": "required", "compose": {"users": "GET users/users/me"}}, auth={"tokens": {"demo": "shopper"}})
    with platform(services) as lab:
        client, seen = lab.client("gate"), []
        for name in ("orders-0", "users-0"):
            lab.instance(name).intercept(lambda exchange, proceed: (seen.append(dict(exchange.request.headers)), proceed(exchange)))
        for path, given in (("/orders/7", TOKEN), ("/orders/7", {**TOKEN, "x-user": "admin"}), ("/users/me", {"x-user": "admin"}),
                            ("/users/me", {}), ("/both", TOKEN)):
            assert lab.ask(client, path=path, headers=given).status == 200
        assert seen == [{**TOKEN, "x-user": "shopper"}, {**TOKEN, "x-user": "shopper"}, {}, {}, {**TOKEN, "x-user": "shopper"}]


def test_over_the_rate_is_429_and_says_when_to_come_again():
    """Burst 2 at 1/s for each client: the third is refused for a second; another client has a bucket of its own."""
    with platform(gate({"path": "/orders/*", "to": "orders"}, rate_limit={"rate": "1/s", "burst": 2})) as lab:
        client = lab.client("gate")
        answers = [lab.ask(client, path="/orders/7") for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert answers[-1].retry_after == pytest.approx(0.9, abs=0.1)
        assert lab.ask(lab.client("gate", "somebody"), path="/orders/7").status == 200
        lab.run(1)
        assert lab.ask(client, path="/orders/7").status == 200


def test_a_route_may_have_a_rate_limit_of_its_own():
    """The whole gateway takes ten, this route one."""
    routes = ({"path": "/orders/*", "to": "orders", "rate_limit": {"rate": "1/min", "burst": 1}}, {"path": "/users/me", "to": "users"})
    with platform(gate(*routes, rate_limit={"rate": "1/min", "burst": 10})) as lab:
        assert statuses(lab, ("GET", "/orders/7"), ("GET", "/orders/7"), ("GET", "/users/me"), ("GET", "/users/me")) == [200, 429, 200, 200]


@pytest.mark.parametrize(("shared", "answered"), [(False, [200, 200, 429, 200]), (True, [200, 429, 429, 429])])
def test_instances_count_each_by_itself_or_all_together(shared, answered):
    """One request a minute, two instances in turn: twice as many get in, and after a restart one more, unless the count is shared."""
    services = gate({"path": "/orders/*", "to": "orders"}, instances=2, rate_limit={"rate": "1/min", "burst": 1, "shared": shared})
    with platform(services) as lab:
        assert statuses(lab, *[("GET", "/orders/7")] * 3) == answered[:3]
        for instance in lab.world.node("gate").instances:
            instance.kill()
            instance.start()
        lab.run(0.1)
        assert statuses(lab, ("GET", "/orders/7")) == answered[3:]


@pytest.mark.parametrize(("order", "refused"), [(["auth", "rate_limit"], [401, 401, 401]), (["rate_limit", "auth"], [401, 429, 429])])
def test_middleware_runs_in_the_order_written(order, refused):
    """Who has no token uses up the rate only if that is looked at first."""
    route = {"path": "/orders/*", "to": "orders", "auth": "required"}
    with platform(gate(route, middleware=order, auth={"tokens": {}}, rate_limit={"rate": "1/min", "burst": 1})) as lab:
        assert statuses(lab, *[("GET", "/orders/7")] * 3) == refused


def test_what_is_too_large_is_413_before_all_else():
    """A limit for all routes, and one that has more room; without a token it is still 413."""
    routes = ({"path": "/orders/*", "methods": ["POST"], "to": "orders", "auth": "required"},
              {"path": "/users/me", "to": "users", "max_request_size": "1MiB"})
    with platform(gate(*routes, auth={"tokens": {"demo": "shopper"}}, max_request_size="64KiB")) as lab:
        assert statuses(lab, ("POST", "/orders"), size=64 * 1024 + 1) == [413]
        assert statuses(lab, ("POST", "/orders"), size=64 * 1024, headers=TOKEN) == [201]
        assert statuses(lab, ("GET", "/users/me"), size=100 * 1024) == [200]
        assert lab.instance("gate-0").rejected == 1


# which answer

def test_errors_behind_the_gateway_have_the_fields_answers():
    """5xx is 502, 404 stays 404, too late 504, dead 503, refused 502."""
    routes = ({"path": "/ill", "to": "ill"}, {"path": "/*", "to": "ill", "timeout": "200ms"})
    with platform(gate({**routes[0], "path": "/"}, routes[1])) as lab:
        assert statuses(lab, ("GET", "/"), ("GET", "/absent"), ("GET", "/slow")) == [502, 404, 504]
        node = lab.world.node("ill")
        lab.instance("ill-0").kill()
        assert statuses(lab, ("GET", "/")) == [503]
        node.reachable = (lab.instance("ill-0"),)  # a discovery that does not know yet
        assert statuses(lab, ("GET", "/")) == [502]


def test_the_policies_of_a_route_are_its_own():
    """A breaker opens on one route; the other route to the same service goes on asking."""
    breaker = {"circuit_breaker": {"sliding_window": {"calls": 2}, "minimum_number_of_calls": 2}}
    with platform(gate({"path": "/", "to": "ill", "policies": [breaker]}, {"path": "/slow", "to": "ill", "timeout": "100ms"})) as lab:
        client = lab.client("gate")
        answers = [lab.ask(client) for _ in range(4)]
        assert [answer.status for answer in answers] == [502, 502, 503, 503]
        assert answers[-1].retry_after == pytest.approx(5, abs=0.2)
        assert lab.ask(client, path="/slow").status == 504


def test_a_retry_of_the_route_is_inside_its_time():
    """Three attempts of 10 ms would take longer than the 65 ms of the route: the second of them is the last."""
    retry = {"retry": {"max_attempts": 5, "backoff": {"initial": "10ms", "multiplier": 1, "jitter": "none"}, "on": ["5xx"]}}
    with platform(gate({"path": "/", "to": "ill", "policies": [retry], "timeout": "65ms"})) as lab:
        assert statuses(lab, ("GET", "/")) == [504]
        assert lab.world.edges["gate->ill"].sent == 3


def test_a_fallback_is_asked_when_the_service_fails_and_the_answer_is_degraded():
    """500 behind: the other service answers instead, and it shows; if that fails as well, the first answer stays."""
    good = {"path": "/", "to": "ill", "fallback": "orders GET /orders/1"}
    bad = {"path": "/slow", "to": "ill", "timeout": "5s", "fallback": "ill GET /", "policies": [{"timeout": "50ms"}]}
    with platform(gate(good, bad)) as lab:
        answer = lab.ask(lab.client("gate"))
        assert (answer.status, answer.degraded) == (200, True)
        assert statuses(lab, ("GET", "/slow")) == [504]


def test_a_composition_asks_all_at_once_and_does_without_what_is_optional():
    """20 ms and 10 ms side by side; an optional part that fails leaves a degraded answer, a required one ends it."""
    whole = {"path": "/me", "compose": {"user": "users GET /users/me", "order": "orders GET /orders/1"}}
    partial = {"path": "/partly", "compose": {"user": "users GET /users/me", "ill": {"send": "ill GET /", "optional": True}}}
    broken = {"path": "/broken", "compose": {"user": "users GET /users/me", "ill": "ill GET /"}}
    with platform(gate(whole, partial, broken)) as lab:
        client = lab.client("gate")
        assert lab.timed(client, path="/me") == (200, 0.06)
        answer = lab.ask(client, path="/partly")
        assert (answer.status, answer.degraded, list(answer.json)) == (200, True, ["user", "ill"])
        assert lab.timed(client, path="/broken") == (502, 0.04)  # as soon as it is known


def test_a_composition_shares_the_time_of_its_route():
    """One part hangs: 504 when the route's time is over, and the other parts are called off."""
    route = {"path": "/me", "timeout": "100ms", "compose": {"user": "users GET /users/me", "slow": "ill GET /slow"}}
    with platform(gate(route)) as lab:
        assert lab.timed(lab.client("gate"), path="/me") == (504, 0.12)
        assert lab.world.edges["gate->ill"].finished == 1


def test_a_composition_answers_in_time_with_what_it_has():
    """An optional part hangs: after the route's 100 ms the others are the answer, degraded, with nothing in the place of that one."""
    parts = {"user": "users GET /users/me", "slow": {"send": "ill GET /slow", "optional": True}}
    route = {"path": "/me", "compose": parts}
    with platform(gate({**route, "timeout": "100ms"})) as lab:
        start = lab.loop.time()
        answer = lab.ask(lab.client("gate"), path="/me")
        assert (answer.status, answer.degraded, list(answer.json), answer.json["slow"]) == (200, True, ["user", "slow"], None)
        assert lab.loop.time() - start == pytest.approx(0.12)
    parts["slow"]["timeout"] = "30ms"
    with platform(gate({**route, "timeout": "100ms"})) as lab:  # a time of its own, but the user takes 40 ms anyhow
        assert lab.timed(lab.client("gate"), path="/me") == (200, 0.06)
    with platform(gate({"path": "/me", "compose": {"slow": {"send": "ill GET /slow", "timeout": "30ms"}}})) as lab:
        assert lab.timed(lab.client("gate"), path="/me") == (504, 0.05)


def test_a_fallback_is_asked_when_the_time_of_the_route_is_over():
    """And has as long again: 100 ms and 30 ms for one that answers, twice 100 ms and then 504 for one that hangs too."""
    route = {"to": "ill", "timeout": "100ms"}
    with platform(gate({**route, "path": "/slow", "fallback": "orders GET /orders/1"})) as lab:
        assert lab.timed(lab.client("gate"), path="/slow") == (200, 0.15)
    with platform(gate({**route, "path": "/slow", "fallback": "ill GET /slow"})) as lab:
        assert lab.timed(lab.client("gate"), path="/slow") == (504, 0.22)


# what cannot be meant

WRONG = [
    ({"routes": [{"path": "/x"}]}, "a route needs one of `to`, `split` and `compose`", "to: orders"),
    ({"routes": [{"path": "/x", "to": "a", "split": {"b": 1}}]}, "a route needs one of", "to: orders"),
    ({"routes": [{"path": "/x", "split": {"a": 0}}]}, "weights are 0 or more", "split"),
    ({"routes": [{"path": "/x", "to": "a", "methods": ["FETCH"]}]}, "unknown method 'FETCH'", "PATCH"),
    ({"middleware": ["metrics"], "auth": {"tokens": {}}}, "`auth` is not in the `middleware`", "add auth"),
    ({"middleware": [], "routes": [{"path": "/x", "to": "a", "auth": "required"}]}, "`auth` is not in the `middleware`", "add auth"),
    ({"middleware": [], "routes": [{"path": "/x", "to": "a", "rate_limit": {"rate": "1/s"}}]}, "`rate_limit` is not in", "add rate_limit"),
    ({"max_request_size": 5}, "needs a unit", "5B"),
]


@pytest.mark.parametrize(("spec", "what", "cure"), WRONG, ids=[what for _, what, _ in WRONG])
def test_mistakes_are_told_with_their_cure(spec, what, cure):
    """What would silently do nothing, or cannot be done, is said before anything runs."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(AnyService).validate_python({"kind": "gateway", **spec})
    (mistake,) = mistakes(caught.value)
    assert what in mistake.what
    assert cure in mistake.cure
