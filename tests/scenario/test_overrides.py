"""`--set PATH=VALUE` and variants: paths lead where they say, values are YAML, and a slip of the pen is told."""

from pathlib import Path

import pytest

from sim import load, run
from sim.scenario.load import load_scenario, read
from sim.scenario.problems import InvalidFile

SHOP = Path(__file__).parent / "shop.yaml"
POST_ORDERS = ["services", "orders", "endpoints", "POST /orders"]
POLICIES = ["services", "orders", "uses", "payments", "policies"]
TWO = """
name: two
duration: 20s
services:
  api: {endpoints: {GET /: [{work: 10ms}]}}
workloads:
  users: {executor: constant-arrival-rate, rate: 10/s, to: api, mix: [{send: GET /}]}
variants:
  slow: {services.api.endpoints.GET /: [{work: 50ms}]}
"""


@pytest.mark.parametrize(
    ("option", "path", "value"),
    [
        ("seed=9", ["seed"], 9),
        ("title=on", ["title"], "on"),
        ("title=a=b", ["title"], "a=b"),
        ("title='a=b: c'", ["title"], "a=b: c"),
        ("services.orders.workers=32", ["services", "orders", "workers"], 32),
        ("services.orders.cpu.cores=2", ["services", "orders", "cpu"], {"cores": 2}),
        ("services.orders.queue={limit: 5}", ["services", "orders", "queue"], {"limit": 5}),
        ("services.orders.queue.limit=", ["services", "orders", "queue"], {"limit": None, "order": "fifo"}),
        ("network.links.orders->payments.latency=20ms", ["network", "links", "orders->payments", "latency"], "20ms"),
        ("network.links.gateway->orders.latency=20ms", ["network", "links", "gateway->orders"], {"latency": "20ms"}),
        ("services.orders.endpoints.POST /orders.0.work=5ms", [*POST_ORDERS, 0], {"work": "5ms"}),
        ("services.orders.endpoints.POST /orders.call=mail GET /", [*POST_ORDERS, 1], {"call": "mail GET /"}),
        ("services.orders.uses.payments.policies.1={timeout: 1s}", [*POLICIES, 1], {"timeout": "1s"}),
        ("services.orders.uses.payments.policies.retry.max_attempts=1", [*POLICIES, 1, "retry", "max_attempts"], 1),
        ("services.orders.uses.mail.policies=[{timeout: 1s}]", ["services", "orders", "uses", "mail"], {"policies": [{"timeout": "1s"}]}),
        ("faults.slow.latency=1s", ["faults", 0, "latency"], "1s"),
        ("services.audit={kind: external}", ["services", "audit"], {"kind": "external"}),
    ],
)
def test_a_path_leads_to_its_place(option, path, value):
    """By key, index, name, or the one key of an action; what is left to its default may be set."""
    data = read(SHOP, overrides=[option]).data
    for part in path:
        data = data[part]
    assert data == value


def test_the_longest_name_wins(tmp_path):
    """Names may hold dots: `a.b` is taken before `a`."""
    path = tmp_path / "x.yaml"
    path.write_text("services: {a: {b: {c: 1}}, a.b: {c: 2}}\n")
    assert read(path, overrides=["services.a.b.c=3"]).data == {"services": {"a": {"b": {"c": 1}}, "a.b": {"c": 3}}}


def test_what_an_alias_shares_is_changed_in_one_place_only(tmp_path):
    """An override of one use of an anchor leaves the others alone."""
    path = tmp_path / "x.yaml"
    path.write_text("a: &a {x: [1, 2]}\nb: *a\n")
    assert read(path, overrides=["b.x.0=9"]).data == {"a": {"x": [1, 2]}, "b": {"x": [9, 2]}}


@pytest.mark.parametrize(
    ("option", "what", "cure"),
    [
        ("seed", "an override is PATH=VALUE", "services.orders.workers=32"),
        ("=5", "an override is PATH=VALUE", "services.orders.workers=32"),
        ("services..workers=5", "has an empty part", "one dot"),
        ("services.oders.workers=5", "there is no 'oders' in 'services'", "did you mean 'orders'?"),
        ("workloads.shopers.rate=5/s", "there is no 'shopers' in 'workloads'", "did you mean 'shoppers'?"),
        ("services.orders.endpoints.POST /oders.0=5", "there is no 'POST /oders'", "did you mean 'POST /orders'?"),
        ("services.orders.uses.payments.policies.9=5", "there is no item '9'", "from 0"),
        ("services.orders.uses.payments.policies.retri.max_attempts=5", "there is no item 'retri'", "did you mean 'retry'?"),
        ("name.first=5", "'name' is text", "name={...}"),
        ("seed=[", "no value where one should be", "bracket"),
        ("seed=*x", "*x names nothing", "&x"),
        ("seed=\x00", "binary", ""),
    ],
)
def test_a_path_that_leads_nowhere_is_told(option, what, cure):
    """The option is the place; the cure is the nearest name."""
    with pytest.raises(InvalidFile) as caught:
        read(SHOP, overrides=[option])
    (problem,) = caught.value.problems
    assert what in problem.what
    assert cure in problem.cure
    assert problem.path == f"--set {option}"


def test_a_wrong_value_points_into_the_option():
    """The caret stands under the part of the value that is wrong."""
    with pytest.raises(InvalidFile) as caught:
        load_scenario(SHOP, overrides=["services.orders.queue={limit: -1}"])
    assert caught.value.problems[0].render().splitlines()[1:] == [
        "    services.orders.queue={limit: -1}",
        "                                  ^",
    ]


def test_all_wrong_options_are_told_at_once():
    """Two slips, two problems."""
    with pytest.raises(InvalidFile) as caught:
        read(SHOP, overrides=["services.oders.workers=5", "seed"], variant="nave")
    assert len(caught.value.problems) == 3


def test_a_variant_changes_the_scenario_and_an_override_changes_the_variant():
    """First the variant, then the options, whatever their order on the command line."""
    plain = load_scenario(SHOP).scenario.services["orders"].uses["payments"].policies
    naive = load_scenario(SHOP, variant="naive").scenario.services["orders"].uses["payments"].policies
    both = load_scenario(SHOP, variant="naive", overrides=["services.orders.uses.payments.policies.timeout=9s"]).scenario
    assert (len(plain), len(naive)) == (4, 1)
    assert both.services["orders"].uses["payments"].policies[0].duration == 9


def test_a_variant_is_loaded_run_and_named(tmp_path):
    """What `load` is asked for is applied, and stands in the summary: the variant, options and fault plans, as on the command line."""
    (tmp_path / "two.yaml").write_text(TWO)
    (tmp_path / "plan.yaml").write_text("name: plan\nfaults: [{name: late, kind: network.delay, target: {link: users->api}, latency: 1s}]")
    plain = run(load(tmp_path / "two.yaml")).summary
    slow = run(load(tmp_path / "two.yaml", variant="slow", overrides=["duration=6s"], faults=[tmp_path / "plan.yaml"])).summary
    assert (plain["variant"], plain["services"]["api"]["latency_s"]["p50"], plain["faults"]) == (None, pytest.approx(0.01), [])
    assert (slow["variant"], slow["services"]["api"]["latency_s"]["p50"], slow["simulated_s"]) == ("slow", pytest.approx(0.05), 6.0)
    assert [fault["name"] for fault in slow["faults"]] == ["late"]


def test_an_unknown_variant_is_told_with_the_known_ones():
    """The likely name, else all of them."""
    with pytest.raises(InvalidFile, match=r"has no variant 'nave'\n    did you mean 'naive'\?"):
        read(SHOP, variant="nave")


def test_options_with_a_name_of_their_own_are_overrides():
    """`--duration 30s` is told as `--duration 30s`."""
    assert load_scenario(SHOP, options={"duration": "30s"}).scenario.duration == 30
    with pytest.raises(InvalidFile, match="--duration 30: a duration needs a unit"):
        load_scenario(SHOP, options={"duration": "30"})


def test_faults_of_plans_follow_the_scenario_s_own(tmp_path):
    """In the order in which the plans are named; without faults there are none."""
    plan = tmp_path / "plan.yaml"
    target, schedule = "{link: gateway->orders}", "{after: slow, for: 1s}"
    plan.write_text(f"faults: [{{name: late, kind: network.delay, target: {target}, latency: 1ms, schedule: {schedule}}}]\n")
    assert [fault.name for fault in load_scenario(SHOP, plans=[plan]).scenario.faults] == ["slow", "late"]
    assert load_scenario(SHOP, plans=[plan], faults=False).scenario.faults == []
