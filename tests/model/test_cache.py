"""Caches: what they hold, whom they push out, what they cost when they lose it, and what a miss looks like."""

import math

import pytest

from sim.model.cache_stores import Lfu, Lru

from .platform_runs import events, latency, shop, simulate, statuses


def cached(items=1000, s=1.0, capacity=100, more="", step="", rate=200, duration=100, query="1ms", faults="", connections=10_000):
    """A shop that asks a cache first and its database on a miss; the figures of the cache, the database and the run."""
    look = f"[{{cache: c, key: {{zipf: {{items: {items}, s: {s}}}}}, miss: [{{query: db}}]{step}}}]"
    others = f"c: {{kind: cache, capacity: {capacity}, latency: 1ms{more}}}\n  db: {{kind: database, connections: {connections}, query: {query}}}"
    result = simulate(shop({"GET /": look}, others, rate=rate, duration=duration, faults=faults))
    return result.summary["caches"]["c"], result.summary["databases"]["db"], result


def popularity(items, s):
    weights = [k**-s for k in range(1, items + 1)]
    return [weight / sum(weights) for weight in weights]


def che(items, s, capacity):
    """Hit ratio of an LRU cache: 1 - exp(-p T) for each key, with T such that capacity keys are held. Source: Che et al., 2002."""
    p = popularity(items, s)
    low, high = 0.0, 1e9
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(1 - math.exp(-one * middle) for one in p) < capacity else (low, middle)
    return sum(one * (1 - math.exp(-one * low)) for one in p)


@pytest.mark.parametrize(("s", "capacity"), [(1.0, 100), (0.8, 200)])
def test_the_hit_ratio_of_least_recently_used_is_that_of_che(s, capacity):
    """Zipf requests against an LRU cache: Che's approximation, within a percent or two."""
    figures, _, _ = cached(s=s, capacity=capacity, rate=400)
    assert figures["hit_ratio"] == pytest.approx(che(1000, s, capacity), abs=0.015)


def test_least_frequently_used_keeps_the_most_popular():
    """An LFU cache ends with the most popular keys: its hit ratio comes near their share, and above that of LRU."""
    best = sum(popularity(1000, 1.0)[:100])
    figures, _, _ = cached(more=", eviction: lfu", rate=400)
    assert che(1000, 1.0, 100) + 0.03 < figures["hit_ratio"] <= best + 0.01


@pytest.mark.parametrize("eviction", ["lru", "lfu"])
def test_a_new_key_finds_room_among_keys_that_were_used_more(eviction):
    """Two keys were used twice each, and fill the cache: a third one misses once, and is found from then on."""
    look = "[{cache: {in: c, key: {fixed: %s}, miss: [{sleep: 1ms}]}}]"
    lines = {f"GET /{key}": look % key for key in "abc"}
    text = shop(lines, f"c: {{kind: cache, capacity: 2, eviction: {eviction}}}", duration=5)
    times = {"a": [0.1, 0.2], "b": [0.3, 0.4], "c": [1 + number / 10 for number in range(20)]}
    users = "\n".join(f"  of_{key}: {{executor: trace, at: [{', '.join(f'{1000 * at:.0f}ms' for at in at_)}], to: shop, mix: [{{send: GET /{key}}}]}}"
                      for key, at_ in times.items())
    text = text[:text.index("  users:")] + users
    figures = simulate(text).summary["caches"]["c"]
    assert (figures["hits"], figures["misses"], figures["evictions"]) == (1 + 1 + 19, 3, 1)


def test_a_cache_without_any_room_keeps_nothing():
    """A limit that leaves less than one entry: every look-up misses, and nobody is in anybody's way."""
    limit = "{kind: cache.limit, target: {service: c}, schedule: {at: 0s, for: 50s}, share: 0%}"
    figures, _, _ = cached(items=5, duration=20, faults=limit)
    assert figures["hits"] == figures["entries"] == 0


def test_entries_expire():
    """A key that is asked for at rate r and lives for t is found with probability r t / (1 + r t)."""
    figures, _, _ = cached(items=1, capacity=10, more=", ttl: 1s", rate=3, duration=2000)
    assert figures["hit_ratio"] == pytest.approx(3 / 4, abs=0.02) and figures["expirations"] == pytest.approx(figures["misses"], rel=0.02)


def test_a_miss_is_an_answer_and_no_failure():
    """Half of the look-ups miss, and no call to the cache counts as failed."""
    figures, _, result = cached(items=10_000, capacity=10)
    assert figures["hit_ratio"] < 0.5
    assert result.summary["calls"]["shop->c"]["success_ratio"] == result.summary["services"]["c"]["success_ratio"] == 1.0
    assert figures["hits"] + figures["misses"] == pytest.approx(result.summary["workloads"]["users"]["ok"], abs=3)


def test_the_database_sees_the_misses_alone():
    """What a cache is for: one statement for each miss."""
    figures, db, _ = cached()
    assert db["reads"] == figures["misses"] < 0.5 * (figures["hits"] + figures["misses"])


FLUSH = "{kind: cache.flush, target: {service: c}, schedule: {at: 50s}}"


def test_a_flush_lets_everybody_ask_the_database():
    """A cache that is empty again sends its whole load to a database that is made for the misses: queries wait, and requests with them."""
    calm, _, _ = cached(items=2000, capacity=2000, query="20ms", connections=6, rate=250)
    figures, _, result = cached(items=2000, capacity=2000, query="20ms", connections=6, rate=250, faults=FLUSH)
    assert figures["lost"] > 1000 and calm["lost"] == 0
    requests = result.requests
    after = requests.latency[(requests.intended > 50) & (requests.intended < 53)]
    before = requests.latency[(requests.intended > 40) & (requests.intended < 50)]
    assert after.mean() > 3 * before.mean()


def stampeding(step):
    """One hot key that lives for 5 s and takes 500 ms to load, asked for 100 times a second."""
    return cached(items=1, capacity=10, more=", ttl: 5s", rate=100, query="500ms", step=step)


def test_a_hot_key_that_expires_is_loaded_by_everybody_at_once():
    """A stampede: all who miss until the first one has loaded it load it too: rate times load time of them."""
    figures, db, _ = stampeding("")
    assert figures["stampede"] == pytest.approx(100 * 0.5, rel=0.4)
    assert db["reads"] == pytest.approx(figures["expirations"] * 50, rel=0.3) or db["reads"] > 500


@pytest.mark.parametrize("miss", ["{fail: 100%}", "{query: db}"])
def test_loads_one_after_another_are_no_stampede(miss):
    """One key that is asked for once a second: whether its load fails each time or not, it is alone."""
    look = f"[{{cache: {{in: c, key: {{fixed: a}}, miss: [{miss}]}}}}]"
    result = simulate(shop({"GET /": look}, "c: {kind: cache, ttl: 500ms}\n  db: {kind: database, query: 1ms}", rate=1, of_users="arrivals: uniform,"))
    figures = result.summary["caches"]["c"]
    assert figures["misses"] > 50 and figures["stampede"] == 0


def test_single_flight_lets_one_load_for_all():
    """One of them loads, the others wait for it: the database sees one statement for each expiry, and there is no stampede."""
    figures, db, result = stampeding(", single_flight: true")
    assert figures["stampede"] == 0
    assert db["reads"] == pytest.approx(100 / 5.5, abs=2) and figures["coalesced"] > 500
    assert latency(result, figure="max") <= 0.51 and set(statuses(result)) == {"200"}


def test_who_waits_for_a_load_shares_its_failure():
    """The one who loads fails, and so do all who wait for it; the next one loads anew."""
    look = "[{cache: c, key: one, single_flight: true, miss: [{sleep: 100ms}, {fail: {share: 100%}}]}]"
    result = simulate(shop({"GET /": look}, "c: {kind: cache, latency: 1ms}", rate=100, duration=20))
    assert set(statuses(result)) == {"500"} and result.summary["caches"]["c"]["coalesced"] > 1500


def test_who_waits_for_a_load_goes_on_when_the_loader_leaves():
    """The one who loads is cut off by its hasty user; another one takes its place, and nobody hangs."""
    look = "[{cache: c, key: one, single_flight: true, miss: [{sleep: 300ms}]}]"
    hasty = "  hasty: {executor: constant-arrival-rate, rate: 50/s, to: shop, timeout: 100ms, mix: [{send: GET /}]}"
    text = shop({"GET /": look}, "c: {kind: cache, latency: 1ms, ttl: 1s}", rate=50, duration=20, of_shop="on_caller_gone: cancel")
    result = simulate(text.replace("faults: []", f"{hasty}\nfaults: []"))
    assert result.summary["workloads"]["hasty"]["by_status"]["timeout"] > 50
    assert set(statuses(result)) == {"200"} and result.summary["requests"]["unfinished"] < 60
    assert latency(result, figure="max") < 0.7


def test_jitter_spreads_expiries():
    """Entries that were stored together expire together, unless each lives a little longer or shorter."""
    def most_misses(more):
        _, _, result = cached(items=1000, s=0, capacity=1000, more=f", ttl: 10s{more}", rate=600, duration=45)
        reads = result.spans.of(0)
        misses = reads.start[(reads.peer == result.names.nodes.index("db")) & (reads.start > 25)]
        return max(int(((misses >= second) & (misses < second + 1)).sum()) for second in range(25, 45))

    assert most_misses("") > 1.3 * most_misses(", jitter: 50%")


def test_a_cache_that_dies_loses_its_part():
    """Each key has its home at one instance of the cluster; what the others hold stays."""
    def lost(instances):
        kill = "{kind: instance.kill, target: {instance: c-0}, schedule: {at: 50s}, restart_after: 1s}"
        figures, _, _ = cached(items=500, s=0, capacity=1000, more=f", instances: {instances}", faults=kill)
        return figures["lost"]

    assert lost(1) == pytest.approx(500, abs=5) and lost(4) == pytest.approx(125, abs=30)


def test_a_cache_that_is_gone_is_a_miss():
    """Requests go on without it, more slowly."""
    down = "{kind: cache.down, target: {service: c}, schedule: {at: 30s, for: 30s}}"
    figures, db, result = cached(faults=down)
    assert set(statuses(result)) == {"200"} and figures["lost"] > 0
    assert db["reads"] > figures["misses"] + 0.9 * 30 * 200


def test_the_kept_cache_of_a_fault_is_kept():
    """`keep` of cache.down: what it held is still there when it is back."""
    figures, _, _ = cached(faults="{kind: cache.down, target: {service: c}, schedule: {at: 30s, for: 5s}, keep: true}")
    assert figures["lost"] == 0


def test_the_number_of_entries_is_sampled():
    """A gauge shows how full it is."""
    _, _, result = cached(items=5000, capacity=300)
    assert result.series("c", "entries").max[-1] == 300 and not events(result, "handler.error")


@pytest.mark.parametrize("store", [Lru, Lfu])
def test_stores_hold_what_they_are_given(store):
    """Put, get, drop, clear and push out, with nothing left behind."""
    one = store()
    for number in range(5):
        one.put(str(number), number)
    for number in (4, 4, 3):
        assert one.get(str(number)) == number
    assert one.push_out() == "0" and len(one) == 4 and "0" not in one
    one.drop("1")
    one.drop("1")
    one.put("4", 9)
    assert one.get("4") == 9 and sorted(one) == ["2", "3", "4"]
    assert [one.push_out() for _ in range(3)] == (["2", "3", "4"])
    one.put("x", 1)
    one.clear()
    assert len(one) == 0 and one.get("x") is None
