"""What people write wrong about registry, gateway, transports, stores, broker, mesh and deployments: each with its place and its cure."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.scenario.checks import check_files

SOUND = (Path(__file__).parent / "platform.yaml").read_text()


def check(text: str, folder: Path) -> list:
    """All problems, warnings included."""
    (folder / "platform.yaml").write_text(text)
    return check_files([str(folder / "platform.yaml")]).problems


def test_the_scenario_itself_is_sound(tmp_path):
    """Not even doubtful."""
    assert check(SOUND, tmp_path) == []


@pytest.mark.parametrize(("old", "new", "at", "what", "cure"), [
    # registry
    ("interval: 8s", "interval: 8", "8,", "a duration needs a unit", "write '8ms' or '8s'"),
    ("client_cache", "cache", "cache: 5s", "unknown key 'cache'", "did you mean 'client_cache'?"),
    ("deregister_critical_after", "deregister_after", "deregister_after", "unknown key", "did you mean 'deregister_critical_after'?"),
    ("path: /health, interval: 8s", "ttl: 15s, interval: 8s", "interval", "`interval` is of checks that ask", "leave one of them out"),
    ("{zones: {a:", "{links: {registry->order: {latency: 1s}}, zones: {a:", "registry->", "no service or workload 'order'",
     "did you mean 'orders'?"),
    ("client_cache: 5s", "zone: c", "c", "there is no zone 'c'", ""),
    ("path: /health, interval: 8s, timeout: 5s", "ttl: 15s, success_before_passing: 2", "success", "is of checks that ask", "leave one of them out"),
    ("path: /health, interval: 8s", "failures_before_warning: 5", "failures", "3 failures are critical before they are a warning",
     "make it smaller than `failures_before_critical`"),
    ("path: /health, interval: 8s", "path: /ready, interval: 8s", "/ready,", "checks of 'gateway' and 'orders' and 'payments' and 'users' ask here",
     "write `path: /health`"),
    ("    instances: 3\n", "    instances: 3\n    registration: {check: {path: /ready}}\n", "/ready}", "checks of 'payments' ask here, where nobody answers",
     "write `path: /health`"),
    ("  client_cache: 5s", "  client_cache: 5s\n  wait: 1m", "wait", "`wait` is of watches", "leave one of them out"),
    ("  deregister_critical_after: 1m", "  reap_interval: 1m", "reap_interval", "nobody is ever struck off", "add `deregister_critical_after: 1m`"),
    # gateway
    ("middleware: [logging, auth,", "middleware: [logging,", "auth: {tokens", "`auth` is not in the `middleware`", "add auth to that list"),
    ("[logging, auth,", "[logging, auth, auth,", "auth, rate", "`auth` is in this list twice", "take one of them out"),
    ("middleware: [", "strip_prefix: /api/\n    middleware: [", "/api/", "without a '/' at its end", "for example '/api'"),
    ("compose: {orders: GET orders/orders, users: {send: GET users/users, optional: true}}", "compose: {}", "{}",
     "there is nothing to put together", "write `compose: {orders: GET orders/mine}`"),
    ("{users: 90, orders: 10}}", "{users: 90, orders: 10}, fallback: GET gateway/api/users}", "fallback", "it falls back on itself, without end",
     "a route that has no `fallback`"),
    ("to: orders, timeout: 2s,", "to: orders, timeout: 2s, policies: [{timeout: 3s}],", "timeout: 2s",
     "the timeout of one attempt (3 s) is not below that of the route (2 s)", "make it shorter"),
    ("orders: 10}}\n", "orders: 10}, timeout: 1s, fallback: POST payments/charges}\n    uses: {payments: {policies: [{timeout: 3s}]}}\n", "timeout: 1s",
     "the timeout of one attempt (3 s) is not below that of the route (1 s)", "make it shorter"),
    ("[logging, auth,", "[logging, authentication,", "authentication", "not 'authentication'", "did you mean 'auth'?"),
    ("    auth: {tokens: {demo: shopper}}\n", "", "required", "nobody has a token that is known here", "add `auth: {tokens:"),
    ("- {path: /api/me,", "- {path: /api/orders/*, methods: [GET], to: users}\n      - {path: /api/me,", "/api/orders/*, methods: [GET], to",
     "nothing gets here: an earlier route takes all", "put the more special route first"),
    ("methods: [GET, POST]", "methods: GET", "GET, to", "should be a list, not 'GET'", "write `- item` lines, or [a, b]"),
    ("users: 90,", "users: 90%,", "90%", "should be a whole number, not '90%'", "remove the '%'"),
    ("GET orders/orders", "GET order/orders", "GET order/", "there is no service 'order'", "did you mean 'orders'?"),
    ("me, compose: {orders: GET orders/orders,", "me, timeout: 2s, compose: {orders: {send: GET orders/orders, timeout: 2s},", "2s},",
     "the time of the route is over by then: it has 2s", "make this one shorter"),
    # transports and balancers
    ("{tls: true, max_age: 1m}", "{handshake: 5ms}", "handshake", "`handshake` is of TLS", "add `tls: true`"),
    ("      orders-db: {pool", "      users: {connection: {pool_timeout: 1s}}\n      orders-db: {pool", "pool_timeout", "nobody waits for a connection",
     "add `max_connections: 10`"),
    ("protocol: grpc", "protocol: gRPC", "gRPC", "should be 'http' or 'grpc', not 'gRPC'", "did you mean 'grpc'?"),
    ("max_age: 1m", "max_connections: 10", "max_connections", "`max_connections` is of http", "of grpc are:"),
    ("max_age: 1m", "pinned: true", "balancer:", "`balancer` chooses for each request", "remove it, or `pinned`"),
    ("max_ejection: 50%}", "max_ejection: 50%, max_ejection_time: 10s}", "10s}", "the longest ejection is shorter than the first, which takes 30s",
     "make it longer, or `base_ejection_time` shorter"),
    ("max_age: 1m", "pinned: true", "outlier_detection:", "`outlier_detection` chooses for each request", "remove it, or `pinned`"),
    ("balancer: p2c", "balancer: {kind: p2c}", "kind:", "a balancer is written by its one key", "write `p2c: ...`"),
    ("balancer: p2c", "balancer: power_of_two", "power_of_two", "unknown balancer kind 'power_of_two'", "p2c"),
    ("balancer: p2c", "balancer: zone_aware", "balancer:", "'payments' is in no zone, so that zones decide nothing",
     "give payments `zone: spread`"),
    ("max_ejection: 50%", "max_ejection: 0.5", "0.5", "a share needs a unit", "write '0.5%' or '50%'"),
    # stores
    ("{query: orders-db}]\n      GET /users", "{query: db}]\n      GET /users", "db}", "there is no database 'db'", "did you mean 'orders-db'?"),
    ("{query: orders-db}]\n      GET /users", "{call: orders-db GET /}]\n      GET /users", "orders-db GET", "which has no endpoints",
     "write `query: ...`"),
    ("replica_lag: 50ms", "lag: 50ms", "lag:", "unknown key 'lag'", "did you mean 'replica_lag'?"),
    ("replicas: 1, replica_lag: 50ms, ", "", "failover:", "`failover` needs somebody else who has the data", "add `replicas: 1`"),
    ("key: {uniform: 1000}", "key: uniform", "uniform", "'uniform' alone is a fixed key of that name", "write `{uniform: 1000}`"),
    ("eviction: lru", "eviction: fifo", "fifo", "should be 'lru' or 'lfu', not 'fifo'", ""),
    ("append: {to: orders-db,", "append: {to: order-cache,", "order-cache,", "'order-cache' is a cache, not a database", "name a database: 'orders-db'"),
    ("{query: orders-db}]\n      GET /users", "{query: order-cache}]\n      GET /users", "order-cache}", "is a cache, not a database",
     "write `cache: ...`"),
    ("replicas: 1, replica_lag: 50ms, failover: 5s", "replica_lag: 50ms", "replica_lag", "`replica_lag` is of replicas", "add `replicas: 1`"),
    ("replicas: 1, replica_lag: 50ms, failover: 5s", "reads: any", "reads", "`reads` is of replicas, and this database has none",
     "add `replicas: 1`"),
    ("replicas: 1, replica_lag: 50ms, failover: 5s", "session_wait: 1s", "session_wait", "`session_wait` is of replicas", "add `replicas: 1`"),
    ("stream: {zipf: 10}, retries", "stream: {zipf: 10}, expect_version: false, retries", "retries", "is of an append that reads the stream first",
     "remove it"),
    ("ttl: 1m, eviction", "jitter: 10%, eviction", "jitter", "these live until they are pushed out", "add `ttl: 1m`"),
    ("{query: {database: orders-db, statement: write, key: {zipf: 100}}}", "{append: {to: orders-db, stream: a}}", "append: {to",
     "no part of the one of 'orders-db'", "write it before or after that"),
    ("{query: {database: orders-db, statement: write, key: {zipf: 100}}}", "{parallel: [[{project: {name: p, from: orders-db}}]]}",
     "project:", "`project` is a transaction by itself", "`self.append(..., also=...)`"),
    ("{query: {database: orders-db, statement: write, key: {zipf: 100}}}", "{query: {database: orders-db, transaction: []}}",
     "transaction: []", "a transaction inside a transaction of 'orders-db'", "write its steps into the outer one"),
    ("{work: 20ms}]", "{query: {database: orders-db, for_update: true}}]", "for_update", "a lock that nobody keeps", "transaction: [...]"),
    # broker
    ("subject: order.created", "subject: order.*", "order.*, to", "nothing is published as 'order.*'", "name one subject"),
    ("ack_wait: 30s", "ack_timeout: 30s", "ack_timeout", "unknown key 'ack_timeout'", "did you mean 'ack_wait'?"),
    ("delivery: at_least_once", "delivery: at_most_once", "max_deliver", "`max_deliver` is of streams", "write `delivery: at_least_once`"),
    ("max_deliver: 5", "discard: new", "discard", "`discard` is of a stream that is full", "add `max_messages: 10000`"),
    ("group: audit", "group: audit, everyone: true", "group", "`everyone` and `group` exclude each other", "leave one of them out"),
    # mesh
    ("allow: [orders]", "allow: [order]", "order]", "there is no service or workload 'order'", "did you mean 'orders'?"),
    ("allow: [orders]", "allow: [users]", "allow", "'orders' will be answered 403: not on this list", "add orders"),
    ("timeout: 1s}\n    endpoints: {POST", "timeout: 1s, per_try_timeout: 1s}\n    endpoints: {POST", "per_try",
     "the mesh's time for one attempt (1s) is not below that for all of them (1s)", "make `per_try_timeout` shorter"),
    ("{valid_for: 1h, rotate: true}", "true", "true", "should be 'strict' or 'permissive', not true", ""),
    ("    mesh: {mtls: {}}\n", "    mesh: {}\n", "mtls", "'orders' cannot connect: no certificate", "give 'orders' `mesh: {mtls: {}}`"),
    ("    mesh: {mtls: {}}\n", "    mesh: {mtls: {mode: strict}}\n", "mtls", "'gateway' cannot connect: no certificate",
     "give 'gateway' `mesh: {mtls: {}}`"),
    ("    kind: gateway\n", "    kind: gateway\n    mesh: {mtls: {mode: strict}}\n", "mtls", "'shoppers' cannot connect: no certificate",
     "write `mode: permissive`"),
    ("rotate: true", "rotate: false, age: 1h", "mtls", "the certificates expire within the run", "unless that is the point: `rotate: true`"),
    # deployments, configuration, scaling
    ("strategy: {canary: {steps: [10%, 50%]}}", "strategy: blue-green", "blue-green", "unknown strategy kind", "did you mean 'blue_green'?"),
    ("steps: [10%, 50%]", "steps: [50%, 10%]", "10%]", "the share of the new version does not grow", "write steps that rise"),
    ("analysis: {error_rate: 2%}", "analysis: {}", "{}}", "nothing to judge the new version by", "add `error_rate: 5%`"),
    ("at: 20s", "at: 2m", "2m", "the run has ended by then: it lasts 60s", "make `duration` longer"),
    ("at: 30s", "at: 90s", "90s", "the run has ended by then: it lasts 60s", "make `duration` longer"),
    ("watch: 1s", "watch: 1s, poll: 5s", "watch", "`watch` does not go with `poll`", "leave one of them out"),
    ("utilisation: 60%, min", "cpu: 60%, min", "60%", "the service has no `cpu` whose use could be measured", "give it `cpu: {cores: 2}`"),
    ("min: 1", "min: 3", "2", "2 is not between the 3 and 5 instances", "write `instances: 3`"),
])
def test_a_mistake_is_told_with_place_and_cure(tmp_path, old, new, at, what, cure):
    """The caret stands at what is wrong."""
    text = SOUND
    if old.startswith("    mesh:"):
        text = text.replace("valid_for: 1h", "mode: strict, valid_for: 1h")
    assert old in text
    problems = check(text.replace(old, new, 1), tmp_path)
    told = [problem for problem in problems if problem.source_line[problem.col - 1 :].startswith(at)]
    assert any(what in problem.what and cure in problem.cure for problem in told), "\n".join(map(str, problems))


def test_a_session_needs_replicas(tmp_path):
    """Without them every read has what was written, however it is asked for."""
    text = SOUND.replace("GET /orders: [{query: orders-db}]", "GET /orders: [{query: {database: orders-db, consistency: session}}]")
    assert check(text, tmp_path) == []
    alone = check(text.replace("replicas: 1, replica_lag: 50ms, failover: 5s", "query: 1ms"), tmp_path)
    assert [(problem.what, problem.warning) for problem in alone] == [("`consistency` is of replicas, and 'orders-db' has none", True)]


def test_a_link_may_lead_to_the_registry(tmp_path):
    """Where there is one."""
    assert check(SOUND.replace("{zones: {a:", "{links: {registry->orders: {latency: 300ms}}, zones: {a:"), tmp_path) == []


def test_a_check_may_have_a_query(tmp_path):
    """It asks the same `/health`."""
    assert check(SOUND.replace("path: /health,", "path: '/health?full=1',"), tmp_path) == []


EVENTS = """
name: events
duration: 10s
services:
  gateway: {kind: gateway, routes: [{path: /, to: front}]}
  front: {endpoints: {POST /: [{parallel: [[{call: back POST /}]]}]}}
  back:
    endpoints:
      POST /:
        - choose:
            - {weight: 1, do: [{cache: {in: c, key: a, miss: [{append: db}]}}]}
  db: {kind: database}
  c: {kind: cache}
workloads: {users: {rate: 1/s, to: gateway, mix: [{send: POST /}]}}
"""


@pytest.mark.parametrize(("old", "new", "col"), [
    ("", "", 64),
    ("append: db", "append: {to: db, stream: all}", None),
    ("send: POST /", "send: POST /, key: {zipf: 100}", None),
    ("call: back POST /", "call: back POST /, key: {zipf: 100}", None),
    ("send: POST /}", "send: POST /, key: {zipf: 100}}, {send: POST /}", 64),
])
def test_events_that_would_all_go_into_one_stream_are_told(tmp_path, old, new, col):
    """As far as an append is from the workload whose requests have no key; wherever the key comes from, all is well."""
    (tmp_path / "events.yaml").write_text(EVENTS.replace(old, new))
    found = check_files([str(tmp_path / "events.yaml")])
    told = [(problem.line, problem.col) for problem in found.problems if "all their events go into one stream" in problem.what]
    assert told == ([(11, col)] if col is not None else []) and len(found.problems) == len(told) and not found.invalid


@pytest.mark.parametrize("step", ["cache: {in: c, key: a, miss: [{call: nobody GET /}]}", "cache: c, key: a, miss: [{call: nobody GET /}]"])
def test_a_mistake_inside_what_may_stand_beside_a_key_is_found(tmp_path, step):
    """The caret is at the name in the innermost list, whichever way it is written."""
    text = EVENTS.replace("cache: {in: c, key: a, miss: [{append: db}]}", step)
    (problem,) = check(text, tmp_path)
    assert problem.source_line[problem.col - 1 :].startswith("nobody GET /")


def test_a_version_and_a_kind_of_mtls_may_be_written_by_their_name(tmp_path):
    """`version: v2` and `mtls: permissive` need no braces."""
    text = SOUND.replace("{name: v2, error_rate: 5%}", "v2").replace("{valid_for: 1h, rotate: true}", "permissive")
    assert check(text, tmp_path) == []
