"""Doors that count, caches that forget, and messages that are told twice, against their arithmetic (V22, V58, V68)."""

import numpy as np
import pytest

from .runs import of, simulate

AROUND = [*np.arange(0.95, 1.0, 0.00025), *np.arange(1.0, 1.05, 0.00025)]  # seconds: 400 calls around the end of a window


@pytest.mark.parametrize(("algorithm", "let_in"), [
    ("fixed_window", 200), ("sliding_log", 100), ("sliding_counter", 105), ("token_bucket", 110), ("gcra", 110),
])
def test_v22_twice_the_limit_gets_through_where_two_windows_meet(algorithm, let_in):
    """100 a second, all of them in the last 50 ms of one second and the first 50 ms of the next: 200 by fixed windows, 100 by a log; a
    counter forgets the 5 % of the last window that are over, and a bucket that was full has earned 10 more."""
    result = simulate(f"""
name: windows
duration: 2s
network: {{default: {{latency: 0ms}}}}
services: {{server: {{workers: 1000, admission: {{rate_limiter: {{rate: 100/s, burst: 100, algorithm: {algorithm}}}}}}}}}
workloads: {{users: {{executor: trace, to: server, at: [{", ".join(f"{at:.6f}s" for at in AROUND)}], mix: [{{send: GET /}}]}}}}
""")
    assert of(result, "requests", "ok") == pytest.approx(let_in, abs=1)
    assert of(result, "workloads", "users", "by_status").keys() == {"200", "429"}


CACHED = """
name: cached
duration: {duration}s
warmup: {warmup}s
network: {{default: {{latency: 0ms}}}}
services:
  front: {{workers: 1000, endpoints: {{GET /: [{{cache: {{in: store, key: {key}, miss: [{{work: 0ms}}]}}}}]}}}}
  store: {{kind: cache, latency: 0ms, {bounds}}}
workloads: {{users: {{rate: 100/s, to: front, mix: [{{send: GET /}}]}}}}
"""


@pytest.mark.validate
def test_what_a_cache_with_a_time_to_live_hits():
    """Each key is asked for 0.2 times a second and lives for 10 s from when it was loaded: 2 hits after each miss."""
    result = simulate(CACHED.format(key="{uniform: 500}", bounds="ttl: 10s", duration=200, warmup=20))
    assert of(result, "caches", "store", "hit_ratio") == pytest.approx(2 / 3, abs=0.015)


@pytest.mark.validate
def test_what_a_cache_of_the_latest_hits():
    """LRU, 100 of 1000 keys by Zipf's law: as Che, Tung and Wang say, each key stays for the time T in which 100 keys are asked for."""
    popularity = 1 / np.arange(1, 1001)
    popularity /= popularity.sum()
    shortest, longest = 1.0, 1e4
    while longest - shortest > 1e-6:
        time = (shortest + longest) / 2
        shortest, longest = (shortest, time) if (1 - np.exp(-popularity * time)).sum() > 100 else (time, longest)
    result = simulate(CACHED.format(key="{zipf: {items: 1000, s: 1}}", bounds="capacity: 100", duration=300, warmup=30))
    assert of(result, "caches", "store", "hit_ratio") == pytest.approx((popularity * (1 - np.exp(-popularity * shortest))).sum(), abs=0.01)


LOSSY = """
name: lossy
duration: {duration}s
network:
  default: {{latency: 0ms}}
  links: {{mailer->events: {{loss: {back}, transport: datagram}}, events->mailer: {{loss: {there}, transport: datagram}}}}
services:
  front: {{workers: 1000, endpoints: {{POST /: [{{publish: order.created}}]}}}}
  mailer: {{workers: 1000, subscribe: {{order.created: [{{work: 1ms}}]}}}}
  events: {{kind: broker, delivery: at_least_once, ack_wait: 500ms}}
workloads: {{users: {{rate: 50/s, to: front, mix: [{{send: POST /}}]}}}}
"""


@pytest.mark.validate
@pytest.mark.parametrize(("there", "back", "handled"), [("0%", "10%", 1 / 0.9), ("10%", "0%", 1.0), ("30%", "30%", 1 / 0.7)])
def test_v58_a_message_is_handled_again_for_each_answer_that_is_lost(there, back, handled):
    """At least once: 1/(1 - p) times where p of the acknowledgements are lost, however many of the messages are lost as well."""
    result = simulate(LOSSY.format(there=there, back=back, duration=400))
    times = of(result, "services", "mailer", "requests") / of(result, "services", "front", "requests")
    assert times == pytest.approx(handled, rel=0.015)
