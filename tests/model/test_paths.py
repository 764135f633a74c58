"""Paths: what a call names, what a node listens on, and what a template draws."""

from __future__ import annotations

from collections import Counter

import pytest

from sim.model.paths import Routes, Target, parse_target, plain_path, template
from sim.streams import Streams


@pytest.mark.parametrize("text", ["payments POST /charges", "POST payments/charges", "payments post /charges"])
def test_a_call_is_written_in_two_ways(text):
    """Service, method and path, or method and service/path; methods in any case."""
    assert parse_target(text) == Target("payments", "POST", "/charges")


def test_a_call_without_method_or_path_is_a_get_of_the_root():
    """`payments`, `payments/health`, `payments /health`."""
    assert parse_target("payments") == Target("payments", "GET", "/")
    assert parse_target("payments/health") == parse_target("payments /health") == Target("payments", "GET", "/health")


def test_a_path_alone_is_of_the_node_at_hand():
    """As a workload writes it."""
    assert parse_target("POST /charges", "payments") == Target("payments", "POST", "/charges")
    assert parse_target("/charges") == Target("", "GET", "/charges")


@pytest.mark.parametrize(("text", "said"), [
    ("payments PSOT /charges", "did you mean POST"), ("payments POST charges", "no path"), ("a b c d", "no call"), ("", "no call"),
    ("GET /x/{zipf:0}", "1 to 10,000,000"), ("GET /x/{uniform:99999999999}", "1 to 10,000,000"), ("GET /x/{zipf:many}", "draws nothing"),
    ("GET /x/{zipf:10:50}", "too steep"), ("GET /x/{zipf:10:1:2}", "draws nothing"), ("GET /x/{seq-1}", "draws nothing"),
])
def test_what_is_no_call_is_refused(text, said):
    """With what would be one."""
    with pytest.raises(ValueError, match=said):
        parse_target(text)


def routes(*listened):
    """What a node listens on, by method and path; each is found as itself."""
    found: Routes[str] = Routes()
    for text in listened:
        method, path = text.split()
        found.add(method, path, text)
    return found


def test_exact_paths_come_before_patterns():
    """Whatever the order in which they are written."""
    found = routes("GET /orders/{id}", "GET /orders/top")
    assert found.find("GET", "/orders/top") == "GET /orders/top" and found.find("GET", "/orders/7") == "GET /orders/{id}"


def test_a_name_in_braces_is_one_segment_and_not_none():
    """Neither two segments nor an empty one."""
    found = routes("GET /orders/{id}/items")
    assert found.find("GET", "/orders/7/items")
    assert not any(found.find("GET", path) for path in ("/orders//items", "/orders/7/8/items", "/orders/7/items/"))


def test_a_star_is_the_rest_and_nothing_too():
    """`/api/orders/*` also means `/api/orders`, and not `/api/ordersx`."""
    found = routes("GET /api/orders/*")
    assert all(found.find("GET", path) for path in ("/api/orders", "/api/orders/", "/api/orders/7/items"))
    assert not found.find("GET", "/api/ordersx")


def test_the_first_pattern_that_fits_wins():
    """In the order in which they are written."""
    found = routes("GET /{any}", "GET /*")
    assert found.find("GET", "/x") == "GET /{any}" and found.find("GET", "/x/y") == "GET /*"


def test_methods_count():
    """A path with another method is not found; `*` means any; the path alone tells 405 from 404."""
    found = routes("GET /a", "POST /b/{id}", "* /c")
    assert found.find("POST", "/a") is None and found.methods_of("/a") and found.methods_of("/b/1") and not found.methods_of("/d")
    assert found.find("DELETE", "/c") == "* /c"


def test_a_query_does_not_count():
    """`/orders?page=2` is `/orders`, exact or by pattern, also for telling 405 from 404."""
    found = routes("GET /orders", "GET /users/{id}")
    assert found.find("GET", "/orders?page=2") == "GET /orders" and found.find("GET", "/users/7?full=1") == "GET /users/{id}"
    assert found.methods_of("/orders?page=2")


def test_what_is_found_may_be_nothing_much():
    """The first route of a gateway has the number 0, and is found with a query as well."""
    found: Routes[int] = Routes()
    found.add("GET", "/orders", 0)
    assert found.find("GET", "/orders") == found.find("GET", "/orders?page=2") == 0


def test_dots_and_other_signs_stand_for_themselves():
    """A path is no regular expression."""
    found = routes("GET /v1.0/{id}")
    assert found.find("GET", "/v1.0/x") and not found.find("GET", "/v1x0/x")


def test_what_was_not_found_is_not_found_again():
    """Looking up is remembered, and so is finding nothing; a route that is added later is found."""
    found = routes("GET /a")
    assert found.find("GET", "/b") is None and found.find("GET", "/b") is None
    found.add("GET", "/b", "late")
    assert found.find("GET", "/b") == "late"


def test_templates_draw():
    """Numbers in a row, popular ones more often, all alike; text around them stays."""
    streams = Streams(1)
    assert [template("/a/{seq}/b", streams["a"])() for _ in range(2)] == ["/a/1/b", "/a/1/b"], "each template counts for itself"
    counting = template("/{seq}", streams["b"])
    assert [counting() for _ in range(3)] == ["/1", "/2", "/3"]
    zipf = template("/{zipf:100:1.5}", streams["c"])
    popular = Counter(zipf() for _ in range(2000))
    assert popular["/1"] > popular["/2"] > popular["/10"]
    both = template("/{uniform:3}-{uniform:3}", streams["d"])
    assert {both() for _ in range(200)} == {f"/{a}-{b}" for a in (1, 2, 3) for b in (1, 2, 3)}


def test_braces_that_are_no_draw_stay():
    """A name for a segment is not drawn."""
    assert template("/orders/{id}", Streams(1)["a"])() == "/orders/{id}"


def test_plain_paths_put_ids_together():
    """Segments with digits are `{id}`, versions of an API are not, the query is left out."""
    assert plain_path("/v1/orders/17/items/a9?x=1") == "/v1/orders/{id}/items/{id}" and plain_path("/health") == "/health"
