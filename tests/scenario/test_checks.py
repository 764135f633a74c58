"""What `check` says of sound files: nothing, or warnings about what can hardly be meant."""

from pathlib import Path

import pytest

from sim.scenario.checks import check_files
from sim.scenario.flow import Flow
from sim.scenario.load import load, load_scenario
from sim.scenario.template import FILES, write_template

SHOP = (Path(__file__).parent / "shop.yaml").read_text()


def report(tmp_path, *changes: tuple[str, str]):
    text = SHOP
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    return check_files([str(path)])


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("          - timeout: 400ms", "          - timeout: 2s", "not below the deadline"),
        (
            "          - circuit_breaker: {sliding_window: {calls: 20}, failure_rate_threshold: 50%}\n",
            "          - fallback: {status: 200}\n",
            "the fallback is inside the retry",
        ),
        ("          - deadline: 1500ms\n", "          - circuit_breaker: {}\n", "the retry is inside the circuit breaker"),
        ("send: POST /api/orders", "send: PATCH /api/orders", "does not listen on 'PATCH /api/orders'"),
        ("send: POST /api/orders", "send: POST /orders", "does not listen on 'POST /orders'"),
        ("to: orders, timeout: 2s", "to: payments, timeout: 2s", "passes it on to 'payments', which has no endpoint 'POST /orders'"),
        ("rate: 100/s", "rate: 100000/s", "workers would be busy"),
        ("schedule: {at: 20s,", "schedule: {at: 100s,", "the run has ended by then: it lasts 60s"),
        ("schedule: {at: 20s,", "schedule: {every: 20s, from: 60s,", "the run has ended by then"),
        ("schedule: {at: 20s,", "schedule: {every: 100s,", "the run has ended by then"),
        ("schedule: {at: 20s,", "schedule: {random: 1/s, from: 100s,", "the run has ended by then"),
        ("  mail: {kind", "  post: {}\n  mail: {kind", "nobody calls 'post', and it does nothing by itself"),
        ("rate: 100/s", "rate: 100/s\n    batch_size: 5", "`batch_size` is of `arrivals: batch`"),
        ("rate: 100/s", "rate: 100/s\n    arrivals: uniform\n    batch_sizes: geometric", "`batch_sizes` is of `arrivals: batch`"),
    ],
)
def test_what_can_hardly_be_meant_is_a_warning(tmp_path, old, new, what):
    """It has a place, and it does not make the file invalid."""
    found = report(tmp_path, (old, new))
    assert not found.invalid
    assert any(what in problem.what for problem in found.problems)
    assert all(" warning: " in problem.render().splitlines()[0] for problem in found.problems)


def test_what_only_a_variant_says_is_told_with_its_name(tmp_path):
    """What the file says itself is told once."""
    path = tmp_path / "crowded.yaml"
    path.write_text("""
name: crowded
duration: 60s
services:
  api: {endpoints: {GET /: [{work: 10ms}]}}
  back: {endpoints: {GET /: [{work: 10ms}]}}
workloads:
  users: {rate: 50000/s, to: api, mix: [{send: GET /}]}
  others: {rate: 1/s, to: back, mix: [{send: GET /}]}
variants:
  slow: {services.back.endpoints.GET /.0.work: 30s}
""")
    assert [problem.what for problem in check_files([str(path)]).problems] == [
        "'api' is offered 50,000 requests/s that take 10ms each: 500 workers would be busy, and it has 16",
        "variant 'slow': 'back' is offered 1 requests/s that take 30s each: 30 workers would be busy, and it has 16"]


MESH = """
name: meshed
duration: 60s
services:
  front: {{mesh: {front}, uses: {{back: {{policies: [{{retry: {{max_attempts: 3}}}}, {{timeout: 1s}}]}}}}, endpoints: {{GET /: [{{call: back GET /}}]}}}}
  back: {{mesh: {back}, endpoints: {{GET /: [{{work: 1ms}}]}}}}
  gateway: {{kind: gateway, mesh: {gateway}, routes: [{{path: /, to: front}}, {{path: /back, to: back}}]}}
workloads: {{users: {{rate: 1/s, to: gateway, mix: [{{send: GET /}}]}}}}
"""


@pytest.mark.parametrize(("front", "back", "gateway", "said"), [
    ("null", "{timeout: 1s}", "null",
     ["6:10 nobody who calls 'back' has a sidecar that could do what this mesh says; give 'front' or 'gateway' `mesh: {}`"]),
    ("null", "{timeout: 1s}", "{}", []),
    ("{}", "{retry: {max_attempts: 2}}", "{}",
     ["5:47 this retry and that of the mesh of 'back' multiply: up to 3 x 2 = 6 attempts; retry in one place"]),
    ("null", "{retry: {max_attempts: 2}}", "{}", []),
    ("{}", "{mtls: {valid_for: 1m, age: 10s, rotate: false}}", "{}",
     ["6:17 the certificates expire within the run, and nobody renews them; unless that is the point: `rotate: true`"]),
    ("{}", "{mtls: {valid_for: 2m, age: 10s, rotate: false}}", "{}", []),
])
def test_a_mesh_that_does_nothing_too_much_or_not_for_long(tmp_path, front, back, gateway, said):
    """What a mesh says is done in the sidecars of its callers; two layers of retries multiply; certificates end."""
    path = tmp_path / "mesh.yaml"
    path.write_text(MESH.format(front=front, back=back, gateway=gateway))
    found = check_files([str(path)])
    assert [f"{problem.line}:{problem.col} {problem.what}; {problem.cure}" for problem in found.problems] == said


def test_services_in_python_may_call_whom_they_like(tmp_path):
    """Without steps nobody can tell whom a service calls, so its `uses` are believed; without code they are not."""
    steps = SHOP[SHOP.index("    endpoints:\n      POST /orders") : SHOP.index("  payments:\n    endpoints")]
    assert not report(tmp_path, (steps, "    code: scenarios.ecommerce.orders:Orders\n")).invalid
    assert "'orders' never calls 'payments'" in [problem.what for problem in report(tmp_path, (steps, "")).problems]


def test_who_does_not_name_a_broker_means_the_only_one(tmp_path):
    """With two brokers that is not clear."""
    publish = ("- call: payments POST /charges", "- call: payments POST /charges\n        - publish: order.created")
    one = ("  mail: {", "  events: {kind: broker}\n  mail: {")
    two = ("  mail: {", "  events: {kind: broker}\n  news: {kind: broker}\n  mail: {")
    assert not report(tmp_path, publish, one).invalid
    (problem,) = report(tmp_path, publish, two).problems
    assert (problem.what, problem.cure) == ("there are 2 brokers, and this does not say which", "add `to: events`")


def test_a_cycle_that_may_end_is_allowed(tmp_path):
    """One call in ten goes back: that ends."""
    loop = "[{choose: [{weight: 9, do: []}, {weight: 1, do: [{call: orders POST /orders}]}]}]"
    assert not report(tmp_path, ("[{work: {exponential: 4ms}}]", loop)).invalid


def test_a_cycle_that_multiplies_is_refused(tmp_path):
    """Three times one chance in two to come back: that does not end, although each way may."""
    maybe = "{choose: [{weight: 1, do: []}, {weight: 1, do: [{call: orders POST /orders}]}]}"
    found = report(tmp_path, ("[{work: {exponential: 4ms}}]", f"[{maybe}, {maybe}, {maybe}]"))
    assert found.invalid
    assert "calls without number" in found.problems[0].what


def test_long_chains_need_no_deep_stack(tmp_path):
    """Two thousand services in a row are checked like any others."""
    last = 2000
    services = "".join(f"  s{i}: {{endpoints: {{GET /: [{{call: s{i + 1} GET /}}]}}}}\n" for i in range(last))
    path = tmp_path / "chain.yaml"
    load = "{w: {rate: 1/s, to: s0, mix: [{send: GET /}]}}"
    path.write_text(f"name: chain\nduration: 1s\nservices:\n{services}  s{last}: {{}}\nworkloads: {load}\n")
    assert list(check_files([str(path)]).lines()) == [f"{path}: a sound scenario: {last + 1} services, 1 workload"]


def test_the_arithmetic_of_a_chain(tmp_path):
    """Rates follow the weights; times add up what is worked, asked and travelled."""
    path = tmp_path / "sums.yaml"
    path.write_text("""
name: sums
duration: 10s
network: {default: {latency: 1ms}}
services:
  front:
    endpoints:
      GET /a: [{work: 10ms}, {call: back GET /b}, {parallel: [[{sleep: 5ms}], [{query: db}]]}]
      GET /c: [{repeat: {times: 3, do: [{call: back GET /b}]}}, {fail: {share: 25%}}, {work: 8ms}, {return: {}}, {work: 1h}]
  back: {endpoints: {GET /b: [{choose: [{weight: 1, do: [{work: 4ms}]}, {weight: 3, do: [{query: {database: db, time: 8ms}}]}]}]}}
  db: {kind: database, query: 20ms}
workloads:
  w: {rate: 40/s, to: front, mix: [{weight: 3, send: GET /a}, {weight: 1, send: GET /c}]}
""")
    flow = Flow(load(path))
    demand = flow.demand({"w": 40.0})
    calls = {str(operation): times for operation, times in demand.calls.items()}
    assert calls == pytest.approx({"front GET /a": 30, "front GET /c": 10, "back GET /b": 60, "db POST /read": 75})
    back = 0.25 * 0.004 + 0.75 * (0.002 + 0.008)
    times = {str(operation): flow.time(operation) for operation in demand.calls}
    assert times["back GET /b"] == pytest.approx(back)
    assert times["front GET /a"] == pytest.approx(0.010 + 0.002 + back + 0.022)
    assert times["front GET /c"] == pytest.approx(3 * (0.002 + back) + 0.75 * 0.008)
    assert demand.busy["db"] == pytest.approx(30 * 0.020 + 45 * 0.008)


def test_the_template_is_sound_and_runs_under_its_faults(tmp_path):
    """What `init` writes has no problem, and its plan fits its scenario."""
    paths = [str(path) for path in write_template(tmp_path / "new")]
    assert [Path(path).name for path in paths] == list(FILES)
    found = check_files(paths)
    assert not found.problems, "\n".join(found.lines())
    assert "its targets found in 'my-shop'" in found.sound[1]


def test_a_plan_is_checked_against_the_scenario_beside_it(tmp_path):
    """Alone its targets cannot be looked up; with a scenario they are."""
    plan, shop = tmp_path / "plan.yaml", tmp_path / "shop.yaml"
    plan.write_text("faults:\n- {kind: network.delay, target: {link: orders->nobody}, latency: 1s}\n")
    shop.write_text(SHOP)
    assert not check_files([str(plan)]).invalid
    (problem,) = check_files([str(plan), str(shop)]).problems
    assert (problem.path, problem.line, problem.col) == (str(plan), 2, 40)
    plan.write_text("faults:\n- {kind: instance.kill, target: {service: orders}, schedule: {at: 2m}}\n")
    (warning,) = check_files([str(plan), str(shop)]).problems
    assert (warning.path, warning.line, warning.col, warning.warning) == (str(plan), 2, 67, True)
    assert load_scenario(shop, plans=[plan]).warnings == (warning,)


@pytest.mark.parametrize(("first", "second", "what"), [
    ("at: 20s", "after: first", "'first' does not end, and the run lasts 60s"),
    ("at: 20s, for: 50s", "after: first", "'first' only ends at 70s, and the run lasts 60s"),
    ("at: 20s, for: 30s", "after: first, delay: 5s", None),
    ("random: 1/min, for: {exponential: 1h}", "after: first", None),  # it may be over soon
])
def test_a_fault_whose_turn_never_comes_is_told_before_the_run(tmp_path, first, second, what):
    """In one file, and in a plan that comes after a fault of the scenario; and those that come after it are told too."""
    faults = [f"- {{name: {name}, kind: instance.slow, target: {{service: orders}}, factor: 2, schedule: {{{when}}}}}\n"
              for name, when in (("first", first), ("second", f"{second}, for: 1s"), ("third", "after: second, for: 1s"))]
    shop, plan = tmp_path / "shop.yaml", tmp_path / "plan.yaml"
    head = "name: shop\nduration: 60s\nservices: {orders: {endpoints: {GET /: [{work: 1ms}]}}}\n"
    head += "workloads: {users: {rate: 1/s, to: orders, mix: [{send: GET /}]}}\nfaults:\n"
    shop.write_text(head + "".join(faults))
    alone = check_files([str(shop)]).problems
    shop.write_text(head + faults[0])
    plan.write_text("faults:\n" + "".join(faults[1:]))
    beside = check_files([str(shop), str(plan)]).problems
    assert [problem.what for problem in alone] == [problem.what for problem in beside]
    assert [problem.what for problem in alone[:1]] == ([what] if what else [])
    assert [problem.what.partition(",")[0] for problem in alone[1:]] in ([], ["'second' does not end"], ["'second' only ends at 71s"])
    assert all(problem.warning and problem.cure for problem in alone)


def test_a_plan_may_not_use_a_name_of_the_scenario_beside_it(tmp_path):
    """As when it is run with it."""
    fault = "faults: [{name: slow, kind: instance.slow, target: {service: orders}, factor: 2}]\n"
    shop, plan = tmp_path / "shop.yaml", tmp_path / "plan.yaml"
    shop.write_text("name: shop\nduration: 60s\nservices: {orders: {endpoints: {GET /: [{work: 1ms}]}}}\n"
                    "workloads: {users: {rate: 1/s, to: orders, mix: [{send: GET /}]}}\n" + fault)
    plan.write_text(fault)
    (problem,) = check_files([str(shop), str(plan)]).problems
    assert (problem.path, problem.what) == (str(plan), "another fault is called 'slow'")


def test_every_file_is_told_even_if_the_first_is_no_scenario(tmp_path):
    """Problems of all files, in the order in which they were named."""
    found = check_files([str(tmp_path / "none.yaml"), str(tmp_path)])
    assert [problem.path for problem in found.problems] == [str(tmp_path / "none.yaml"), str(tmp_path)]
