"""Every mistake in a scenario is told with its place, its cause and a cure. `¦` marks the place in what replaces a part of shop.yaml."""

from pathlib import Path

import pytest

from sim.scenario.checks import check_files
from sim.scenario.load import load_scenario
from sim.scenario.problems import InvalidFile, Problem

SHOP = (Path(__file__).parent / "shop.yaml").read_text()

MISTAKES = [  # what is replaced, by what, what is said, a word of the cure
    # units
    ("warmup: 5s", "warmup: ¦5", "a duration needs a unit", "'5ms' or '5s'"),
    ("warmup: 5s", "warmup: ¦5 sec", "'5 sec' is no duration", "a number and its unit"),
    ("warmup: 5s", "warmup: ¦-5s", "'-5s' is negative, and a duration cannot be", "remove the minus sign"),
    ("warmup: 5s", "warmup: ¦12:30", "'12:30' is no duration", "'1m30s'"),
    ("warmup: 5s", "warmup: ¦1e300s", "'1e300s' is no duration", "a number and its unit"),
    ("warmup: 5s", "warmup: ¦99999999999999999999s", "beyond anything", ""),
    ("duration: 60s", "duration: ¦0s", "should be more than 0, not '0s'", ""),
    ("duration: 60s", "duration: ¦[60s]", "should be a duration, not a list", "a number and its unit"),
    ("duration: 60s", "duration:¦", "should be a duration, not nothing", "a number and its unit"),
    ("rate: 100/s", "rate: ¦100", "a rate needs a unit", "'100/s'"),
    ("rate: 100/s", "rate: ¦100ms", "'100ms' is no rate", "'40/s'"),
    ("rate: 100/s", "rate: ¦0/s", "should be more than 0", ""),
    ("rate: 100/s", "rate: ¦.nan", "nan is no rate", "'5/s'"),
    ("rate: 100/s", "rate: ¦.inf", "inf is beyond anything that can be simulated", "'5/s'"),
    ("loss: 0.1%", "loss: ¦0.1", "a share needs a unit", "write '0.1%' or '10%'"),
    ("loss: 0.1%", "loss: ¦120%", "more than all of it", "between 0% and 100%"),
    ("bandwidth: 100Mbit", "bandwidth: ¦100MB", "is no bandwidth", "'100Mbit'"),
    ("size: 2KiB", "size: ¦2k", "is no size", "'64KiB'"),
    # values
    ("seed: 7", "seed: ¦-1", "should be at least 0, not -1", ""),
    ("seed: 7", "seed: ¦7.5", "should be a whole number, not 7.5", ""),
    ("seed: 7", "seed: ¦'7'", "should be a whole number, not '7'", "remove the quotes"),
    ("seed: 7", "seed: ¦yes", "should be a whole number, not 'yes'", ""),
    ("seed: 7", "seed: ¦99999999999999999999", "should be less than", ""),
    ("instances: 3", "instances: ¦-3", "should be at least 0, not -3", ""),
    ("instances: 3", "instances: ¦1000000000", "should be at most 100,000", ""),
    ("{kind: database", "{kind: database, instances: ¦0", "0 instances do not go with 0 replicas", "leave `instances` out"),
    ("workers: 16", "workers: ¦0", "should be at least 1, not 0", ""),
    ("workers: 16", "workers: ¦many", "should be a whole number, not 'many'", ""),
    ("title: A small shop", "title: ¦5", "should be text, not 5", "in quotes: '5'"),
    ("title: A small shop", "title: ¦true", "should be text, not true", "in quotes: 'true'"),
    ("order: fifo", "order: ¦fifi", "should be 'fifo', 'lifo', 'priority' or 'codel'", "did you mean 'fifo'?"),
    ("weight: 9, send", "weight: ¦0, send", "should be more than 0, not 0", ""),
    ("weight: 9, send", "weight: ¦.nan, send", "should be", ""),
    ("weight: 9, send", "json: ¦.nan, weight: 9, send", "nan is no number of JSON", "in quotes"),
    ("weight: 9, send", "key: ¦[], weight: 9, send", "a key is text, not an empty list", "`{zipf: 1000}`"),
    ("weight: 9, send", "weight: ¦1e308, send", "should be at most 1e+09, not 1e+308", ""),
    ("- return: {status: 200, size: 2KiB}", "- choose: [{weight: ¦1e308, do: []}, {weight: 1, do: []}]", "should be at most 1e+09", ""),
    ("- work: {exponential: 4ms}", "- work: {mixture: [{weight: ¦1e308, of: 4ms}, {weight: 1, of: 4ms}]}", "should be at most 1e+09", ""),
    ("weight: 9, send", "weight: ¦1" + "0" * 400 + ", send", "should be", ""),
    ("status: 503", "status: ¦200", "should be at least 400, not 200", ""),
    ("sliding_window: {calls: 20}", "sliding_window: {calls: ¦99999999999}", "should be at most 1,000,000, not 99999999999", ""),
    ("sliding_window: {calls: 20}", "success_threshold: ¦99999999999", "should be at most 1,000,000, not 99999999999", ""),
    ("quorum: 1", "quorum: ¦0", "should be at least 1, not 0", ""),
    ("s: 1.1", "s: ¦-1", "should be at least 0, not -1", ""),
    ("services:\n", "services: ¦5\nx:\n", "should be a mapping, not 5", "`key: value`"),
    ("    mix:\n", "    mix: ¦[]\n    x:\n", "should be a list of 1 item or more, not an empty list", ""),
    ("    mix:\n", "    mix: ¦{}\n    x:\n", "should be a list, not an empty mapping", "`- item`"),
    ("name: shop", "name: ¦''", "should be a name of at most 100 letters, digits, '-', '_' and '.', not ''", "for example 'my-shop'"),
    ("name: shop", "name: ¦A small shop", "should be a name of at most 100 letters", "for example 'A-small-shop'"),
    ("name: shop", "name: ¦../shop", "should be a name of at most 100 letters", "for example 'shop'"),
    ("  mail: {kind", "  ¦e mail>: {kind", "should be a name without blanks, '/' and '>'", "for example 'e-mail'"),
    ("  shoppers:\n", "  ¦" + "x" * 101 + ":\n", "of at most 100 characters", "for example"),
    ("path: /api/me", "path: ¦api/me", "should be a path that begins with '/', not 'api/me'", "for example '/api/me'"),
    ("mail: {kind: external, latency: 80ms, error_rate: 0.5%}", "mail:¦", "a service is a mapping, not nothing", "write {}"),
    ("- return: {status: 200, size: 2KiB}", "- ¦{}", "a step is written by its one key", "one of: "),
    ("- return: {status: 200, size: 2KiB}", "- ¦7", "a step is written by its one key, not 7", "one of: "),
    # unknown words
    ("seed: 7", "¦sede: 7", "unknown key 'sede'", "did you mean 'seed'?"),
    ("workers: 16", "¦worker: 16", "unknown key 'worker'", "did you mean 'workers'?"),
    ("jitter: 2ms", "¦jiter: 2ms", "unknown key 'jiter'", "did you mean 'jitter'?"),
    ("max_attempts: 3", "¦max_atempts: 3", "unknown key 'max_atempts'", "did you mean 'max_attempts'?"),
    ("status: 503", "¦code: 503", "unknown key 'code'", "share, status"),
    ("kind: database", "kind: ¦databse", "unknown service kind 'databse'", "did you mean 'database'?"),
    ("kind: network.delay", "kind: ¦network.latancy", "unknown fault kind 'network.latancy'", "mesocosm kinds faults"),
    ("executor: constant-arrival-rate", "executor: ¦constant-rate", "unknown workload kind 'constant-rate'", "mesocosm kinds executors"),
    ("- work: {exponential: 4ms}", "- ¦wrok: {exponential: 4ms}", "unknown step kind 'wrok'", "did you mean 'work'?"),
    ("- work: {exponential: 4ms}", "- work: {¦exponental: 4ms}", "unknown distribution kind 'exponental'", "did you mean 'exponential'?"),
    ("- query: orders-db\n        - parallel", "- ¦query orders-db\n        - parallel", "'query orders-db' lacks the ':' of a key", "write `query: orders-db`"),
    ("      POST /orders:\n", "      ¦/orders:\n", "'/orders' is no endpoint", "write a method and a path, 'POST /orders'"),
    ("      POST /orders:\n", "      ¦PSOT /orders:\n", "'PSOT /orders' is no endpoint", "did you mean 'POST'?"),
    ("- timeout: 400ms", "- ¦timout: 400ms", "unknown policy kind 'timout'", "did you mean 'timeout'?"),
    ("balancer: round_robin", "balancer: ¦roundrobin", "unknown balancer kind 'roundrobin'", "did you mean 'round_robin'?"),
    (
        "- call: payments POST /charges", "- call: payments POST /charges\n          ¦sleep: 1ms",
        "a step has one key; this one has call, sleep", "item of its own",
    ),
    ("- call: payments POST /charges", "- call: ¦5", "a call is a text, not 5", "'payments POST /charges'"),
    # missing
    ("duration: 60s\n", "", "'duration' is missing", "add `duration: ...` here"),
    ("    to: gateway\n", "", "'to' is missing", "add `to: ...` here"),
    ("    rate: 100/s\n", "", "'rate' is missing", "add `rate: ...` here"),
    ("- timeout: 400ms", "- ¦timeout", "'timeout' needs a value", "write `timeout: ...`"),
    ("- return: {status: 200, size: 2KiB}", "- ¦repeat", "'repeat' needs a value", "write `repeat: {times: ..., do: ...}`"),
    ("kind: network.delay", "title: x", "a fault needs a `kind`", "network.delay"),
    ("p99: 2ms", "mean: 2ms", "a lognormal is given by", ""),
    # names that lead nowhere
    ("- call: payments POST", "- call: ¦paymets POST", "there is no service 'paymets'", "did you mean 'payments'?"),
    ("POST /charges\n", "POST /charge\n", "'payments' has no endpoint 'POST /charge'", "did you mean 'POST /charges'?"),
    ("- call: payments POST /charges", "- call: ¦POST /charges", "names no service", "write 'payments POST /charges'"),
    ("- call: payments POST /charges", "- call: ¦payments PAST /charges", "'PAST' is no method", "did you mean POST?"),
    ("- call: payments POST /charges", "- call: ¦orders-db POST /x", "is a database, which has no endpoints", "write `query: ...`"),
    ("        - query: orders-db", "        - query: ¦orders-bd", "there is no database 'orders-bd'", "did you mean 'orders-db'?"),
    ("        - query: orders-db", "        - query: ¦payments", "'payments' is a service, not a database", "kind: database"),
    ("- cache: order-cache", "- cache: ¦orders-db", "'orders-db' is a database, not a cache", "`query: ...`"),
    ("to: orders, timeout", "to: ¦oders, timeout", "there is no service 'oders'", "did you mean 'orders'?"),
    ("GET orders/orders/mine", "¦GET ordrs/orders/mine", "there is no service 'ordrs'", "did you mean 'orders'?"),
    ("to: gateway", "to: ¦gatway", "there is no service 'gatway'", "did you mean 'gateway'?"),
    ("      payments:\n        balancer", "      ¦payment:\n        balancer", "there is no service 'payment'", "did you mean 'payments'?"),
    ("      payments:\n        balancer", "      ¦mail:\n        balancer", "'orders' never calls 'mail'", "add the call"),
    ("    orders->payments: {l", "    ¦orders->paymnts: {l", "there is no service or workload 'paymnts'", "did you mean 'payments'?"),
    ("    orders->payments: {l", "    ¦orders-payments: {l", "'orders-payments' is no link", "caller->callee"),
    ("zone: spread", "zone: ¦c", "there is no zone 'c'", "a, b"),
    ("  zones: {a: {}, b: {}}\n", "", "no zones to spread over", "zones: {a: {}, b: {}}"),
    ("target: {link: orders->payments}", "target: {link: ¦ordres->payments}", "no service or workload 'ordres'", "did you mean 'orders'?"),
    ("schedule: {at: 20s, for: 10s}", "schedule: {every: 1s, max: ¦99999999999}", "should be at most 1,000,000, not 99999999999", ""),
    ("schedule: {at: 20s, for: 10s}", "schedule: {after: ¦quick, for: 10s}", "no fault 'quick'", "known: slow"),
    ("  mail: {kind", "  shoppers: {kind", "'shoppers' is the name of a service too", "another name"),
    ("- return: {status: 200, size: 2KiB}", "- publish: ¦order.created", "there is no broker", "kind: broker"),
    ("- return: {status: 200, size: 2KiB}", "- publish: {subject: a.b, to: ¦mail}", "not a broker", "kind: broker"),
    ("    zone: spread\n", "    subscribe: {a.b: {do: [], at: ¦mail}}\n", "there is no broker 'mail'", ""),
    ("network:\n", "registry: {services: [¦orderz]}\nnetwork:\n", "there is no service 'orderz'", "did you mean 'orders'?"),
    # judgements
    ("measure: success_ratio", "measure: ¦sucess_ratio", "unknown measure 'sucess_ratio'", "did you mean 'success_ratio'?"),
    ("of: shoppers", "of: ¦shopers", "'shopers'", "did you mean 'shoppers'?"),
    ("at_least: 99%", "at_least: ¦0.99", "should be a share, not 0.99", "99%"),
    ("at_least: 99%", "at_least: ¦95%, at_most: 90%", "no value is at least 95% and at most 90%", "smaller than `at_most`"),
    ("at_least: 99%", "at_leest: 99%", "unknown key 'at_leest'", "did you mean 'at_least'?"),
    # what cannot be run
    (
        "[{work: {exponential: 4ms}}]", "[{call: ¦orders POST /orders}]",
        "calls go round without end: orders POST /orders -> payments POST /charges", "choose",
    ),
    ("rate: 100/s", "rate: 100000000/s", "about 6,000,000,000 requests in 60s; the limit is 1,000,000,000", "lower its rate"),
    ("warmup: 5s", "warmup: ¦61s", "leaves nothing of a run of 60s", "shorter than `duration`"),
    (
        "[{work: {exponential: 4ms}}]", "[{repeat: {times: 10000, do: [{repeat: {times: 10000, do: [{query: orders-db}]}}]}}]",
        "calls; the limit is", "repeat",
    ),
    # variants and YAML itself
    ("naive: {services.orders.uses", "naive: {¦services.oders.uses", "there is no 'oders' in 'services'", "did you mean 'orders'?"),
    ("[{timeout: 1s}]}", "[{timeout: ¦1}]}", "a duration needs a unit", "'1ms' or '1s'"),
    ("warmup: 5s", "seed: 8", "'seed' stands here a second time", "line 4"),
    ("title: A small shop", "title: A small¦: shop: really", "':' that cannot be here", "quote"),
    ("  zones: {a: {}, b: {}}", "  zones: ¦{a: {}, b: {}", "this '{' is not closed", "missing before line"),
    ("seed: 7", "seed: ¦*seed", "*seed names nothing", "&seed"),
    ("seed: 7", "seed: ¦!!python/object:os.system x", "unknown tag", "remove it"),
]


def broken(tmp_path, old: str, new: str) -> tuple[Path, tuple[int, int] | None]:
    """shop.yaml with *old* replaced, and the place of the mark."""
    assert old in SHOP
    text = SHOP.replace(old, new, 1)
    before, mark, _ = text.partition("¦")
    path = tmp_path / "shop.yaml"
    path.write_text(text.replace("¦", ""))
    return path, (before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1) if mark else None


def problems_in(path: Path) -> list[Problem]:
    return [problem for problem in check_files([str(path)]).problems if not problem.warning]


def test_the_shop_itself_is_sound(tmp_path):
    """What the mistakes below are made in has none, and nothing doubtful."""
    path, _ = broken(tmp_path, "seed: 7", "seed: 8")
    report = check_files([str(path)])
    assert not report.problems, "\n".join(report.lines())
    assert list(report.lines()) == [f"{path}: a sound scenario: 6 services, 1 workload, 1 check, 1 fault, 1 variant"]


@pytest.mark.parametrize(("old", "new", "what", "cure"), MISTAKES, ids=[f"{i} {mistake[2][:40]}" for i, mistake in enumerate(MISTAKES)])
def test_a_mistake_is_told_with_place_cause_and_cure(tmp_path, old, new, what, cure):
    """Exactly one problem, where the mark stands, that says what is wrong and how to mend it."""
    path, place = broken(tmp_path, old, new)
    found = problems_in(path)
    texts = "\n".join(problem.render() for problem in found)
    assert [what in problem.what for problem in found if "unknown key 'x'" not in problem.what] == [True], texts
    problem = next(problem for problem in found if what in problem.what)
    assert cure in problem.cure, texts
    assert place is None or (problem.line, problem.col) == place, texts
    assert problem.path == str(path)


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path):
    """Sorted by line, wrong values and wrong names together, and none that only follows from another."""
    text = SHOP.replace("seed: 7", "seed: x").replace("workers: 16", "wrkers: 16").replace("- timeout: 400ms", "- timeout: 400")
    text = text.replace("- call: payments POST", "- call: paymets POST").replace("- work: {exponential: 4ms}", "- wrok: 4ms")
    text = text.replace("link: orders->payments", "link: oders->payments").replace("of: shoppers", "of: shopers")
    text = text.replace("to: gateway", "to: gatway")
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    found = [(problem.line, problem.what) for problem in problems_in(path)]
    assert found == [
        (4, "should be a whole number, not 'x'"),
        (25, "unknown key 'wrkers'"),
        (35, "a duration needs a unit"),
        (38, "unknown step kind 'wrok'"),
        (39, "there is no service 'paymets'"),
        (61, "there is no service 'gatway'"),
        (68, "there is no workload or service or call edge 'shopers'"),
        (73, "no service or workload 'oders' in this scenario"),
    ]


def test_mistakes_in_variants_are_told_together_with_the_others(tmp_path):
    """Slips in paths, values and names of every variant, in one round with what is wrong elsewhere; what both have in common is told once."""
    text = SHOP.replace("seed: 7", "seed: x") + """
  slow: {services.oders.workers: 1}
  small: {services.orders.workers: 0}
  lonely: {services.payments.endpoints.POST /charges: [{call: mial GET /}]}
  none:
"""
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    assert [(problem.line, problem.what) for problem in problems_in(path)] == [
        (4, "should be a whole number, not 'x'"),
        (80, "there is no 'oders' in 'services'"),
        (81, "should be at least 1, not 0"),
        (82, "there is no service 'mial'"),
        (83, "should be a mapping, not nothing"),
    ]


@pytest.mark.parametrize(("old", "new", "what"), [
    ("services:\n", "servces:\n", ["'services' is missing", "unknown key 'servces'"]),
    ("    uses:\n", "    use:\n", ["unknown key 'use'"]),
])
def test_a_part_that_is_misspelt_is_not_told_once_more_by_a_variant(tmp_path, old, new, what):
    """What a variant leads into is missing since its key is wrong, which is told where the key stands."""
    path, _ = broken(tmp_path, old, new)
    assert [problem.what for problem in problems_in(path)] == what


def test_what_stands_in_a_wrong_service_is_not_missed(tmp_path):
    """A service that cannot be read at all is still known by its name."""
    path, _ = broken(tmp_path, "  payments:\n    endpoints:", "  payments:\n    kind: servce\n    endpoints:")
    assert [problem.what for problem in problems_in(path)] == ["unknown service kind 'servce'"]


def test_a_wrong_option_is_named_by_itself(tmp_path):
    """`--set` and `--duration` have no line: the option is the place."""
    path, _ = broken(tmp_path, "seed: 7", "seed: 8")
    overrides = ["services.orders.workers=0", "services.oders.workers=1"]
    with pytest.raises(InvalidFile) as caught:
        load_scenario(path, overrides=overrides, options={"duration": "5"})
    assert {problem.path for problem in caught.value.problems} == {*(f"--set {option}" for option in overrides), "--duration 5"}


def test_all_plans_and_the_scenario_are_told_at_once(tmp_path):
    """Mistakes in several files come in one report, each with its file."""
    path, _ = broken(tmp_path, "seed: 7", "seed: x")
    plan = tmp_path / "plan.yaml"
    plan.write_text("faults:\n- {kind: network.delay, target: {link: a->b}}\n")
    with pytest.raises(InvalidFile) as caught:
        load_scenario(path, plans=[plan])
    assert [problem.path for problem in caught.value.problems] == [str(plan), str(path)]


def test_values_and_names_are_told_in_one_round(tmp_path):
    """A workload with a wrong rate, a service with a misspelt key and a fault of an unknown kind still say whom they mean."""
    path = tmp_path / "ten.yaml"
    path.write_text("""
name: ten
duration: 20s
services:
  a: {wokers: 10, endpoints: {GET /: [{call: c GET /}]}, uses: {b: {policies: [{timeout: 400}]}}}
  b: {endpoints: {GET /: [{work: 1ms}]}}
workloads:
  users: {rate: 50, to: q, mix: [{send: GET /}]}
steady_state:
  - {measure: success_rat, of: nobody, at_least: 99%}
faults:
  - {name: k, kind: instance.kil, target: {service: zz}}
""")
    assert [(problem.line, problem.what) for problem in check_files([str(path)]).problems] == [
        (5, "unknown key 'wokers'"), (5, "there is no service 'c'"), (5, "a duration needs a unit"),
        (8, "a rate needs a unit"), (8, "there is no service 'q'"),
        (10, "unknown measure 'success_rat'"), (10, "there is no workload or service or call edge 'nobody'"),
        (12, "unknown fault kind 'instance.kil'"), (12, "no service 'zz' in this scenario"),
    ]


def test_a_misspelt_key_that_was_needed_hides_no_name(tmp_path):
    """What it was meant to be is taken for granted, and only for looking further."""
    path = tmp_path / "misspelt.yaml"
    path.write_text("name: m\nduration: 20s\nservices: {a: {endpoints: {GET /: []}}}\nworkloads: {users: {raet: 5/s, to: q, mix: [{send: GET /}]}}\n")
    assert [problem.what for problem in check_files([str(path)]).problems] == [
        "'rate' is missing", "unknown key 'raet'", "there is no service 'q'"]


@pytest.mark.parametrize(("key", "what", "cure"), [
    ("redelivery_delay: [1s, ¦2]", "a duration needs a unit", "write '2ms' or '2s'"),
    ("redelivery_delay: [1s, ¦[2s]]", "should be a duration, not a list", "as in '5ms'"),
    ("redelivery_delay: ¦5", "a duration needs a unit", "write '5ms' or '5s'\nwrite `- item` lines"),
    ("redelivery_delay: ¦{}", "should be a duration or a list, not an empty mapping", "as in '5ms' or '5s'\nwrite `- item` lines"),
    ("deployment: {version: {name: v2}, strategy: {rolling: {max_surge: ¦x}}}", "'x' is no share", "for example '5%'\nor write a whole number"),
    ("deployment: {version: {name: v2}, strategy: {rolling: {max_surge: ¦-1}}}", "should be at least 0, not -1", ""),
    ("deployment: {version: {name: v2}, strategy: {rolling: {max_surge: ¦[1]}}}", "should be a whole number or a share, not a list", "as in '5%'"),
])
def test_a_value_that_may_be_one_of_two_things_is_told_of_once(tmp_path, key, what, cure):
    """What stands in a list is wrong there alone; what fits neither is told with both; what is only too small is told so."""
    kind = "broker" if key.startswith("redelivery") else "service"
    before, _, after = f"name: two\nduration: 5s\nservices:\n  two: {{kind: {kind}, {key}}}\n".partition("¦")
    path = tmp_path / "two.yaml"
    path.write_text(before + after)
    found = [problem for problem in problems_in(path) if problem.col == len(before.rpartition("\n")[2]) + 1]
    assert [problem.what for problem in found] == [what] and cure in found[0].cure, problems_in(path)


def test_names_that_are_called_as_types_are_have_places_of_their_own(tmp_path):
    """A header `int` or `str` is no branch of anything."""
    path = tmp_path / "names.yaml"
    path.write_text("name: names\nduration: 5s\nservices: {a: {}}\nworkloads:\n"
                    "  w: {rate: 1/s, to: a, mix: [{send: GET /, headers: {str: 5, int: 6}}]}\n")
    assert [(problem.col, problem.what) for problem in problems_in(path)] == [(60, "should be text, not 5"), (68, "should be text, not 6")]


@pytest.mark.parametrize(("fault", "cure"), [
    ("instance.kill, target: ¦a", "write `{service: a}`"), ("network.delay, latency: 1s, target: ¦a", "write `{service: a}`"),
    ("network.delay, latency: 1s, target: ¦a->b", "write `{link: a->b}`"), ("db.slow, factor: 2, target: ¦db", "write `{service: db}`"),
    ("zone.outage, target: ¦b", "write `{zone: b}`"), ("load.surge, factor: 2, target: ¦users", "write `{workload: users}`"),
    ("instance.kill, target: ¦[a]", "write `key: value` lines"),
])
def test_a_target_that_is_a_bare_name_is_told_its_key(tmp_path, fault, cure):
    """What kind of thing was probably meant, as the fault would have it."""
    before, _, after = f"name: bare\nfaults:\n- {{kind: {fault}}}\n".partition("¦")
    path = tmp_path / "bare.yaml"
    path.write_text(before + after)
    (problem,) = problems_in(path)
    assert (problem.col, problem.cure) == (len(before.rpartition("\n")[2]) + 1, cure) and problem.what.startswith("should be a mapping, not")
