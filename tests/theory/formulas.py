"""Closed forms that simulated systems are held against. Loads in erlangs, times in units of the mean service time unless said."""

from __future__ import annotations

from collections.abc import Callable
from math import factorial


def erlang_b(servers: int, load: float) -> float:
    """Share of arrivals that an M/G/c/c system turns away. Source: Kleinrock, Queueing Systems I, eq. 3.43 (as a recursion)."""
    blocked = 1.0
    for c in range(1, servers + 1):
        blocked = load * blocked / (c + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """Probability that an arrival waits in M/M/c, *load* below *servers*. Source: Kleinrock, Queueing Systems I, eq. 3.40."""
    blocked = erlang_b(servers, load)
    return servers * blocked / (servers - load * (1 - blocked))


def mm_c_k(servers: int, capacity: int, load: float) -> tuple[float, float]:
    """(share turned away, mean time in the system) of M/M/c/K with unit service rate, by birth and death."""
    weights = [1.0]
    for n in range(1, capacity + 1):
        weights.append(weights[-1] * load / min(n, servers))
    total = sum(weights)
    blocked = weights[-1] / total
    in_system = sum(n * weight for n, weight in enumerate(weights)) / total
    return blocked, in_system / (load * (1 - blocked))


def erlang_a(servers: int, load: float, impatience: float) -> tuple[float, float]:
    """(share that waits, share that leaves the line) of M/M/c+M with unit service rate: who waits leaves at rate *impatience*.

    By birth and death. Source: Garnett, Mandelbaum and Reiman, Designing a Call Center with Impatient Customers, 2002.
    """
    weights = [1.0]
    while len(weights) <= servers or weights[-1] > 1e-15 * max(weights):
        n = len(weights)
        weights.append(weights[-1] * load / (min(n, servers) + max(0, n - servers) * impatience))
    total = sum(weights)
    queue = sum((n - servers) * weight for n, weight in enumerate(weights) if n > servers) / total
    return sum(weights[servers:]) / total, impatience * queue / load


def gi_m_1(transform: Callable[[float], float]) -> float:
    """Mean time in GI/M/1 with unit service rate; *transform* is the Laplace transform of the density of the gaps.

    1/(1 - sigma) for the root sigma = transform(1 - sigma). Source: Kleinrock, Queueing Systems I, eq. 6.23.
    """
    sigma = 0.0
    for _ in range(10_000):
        sigma = transform(1 - sigma)
    return 1 / (1 - sigma)


def gamma_gaps(rate: float, cv: float) -> Callable[[float], float]:
    """Laplace transform of gamma distributed gaps."""
    return lambda s: (1 + s * cv**2 / rate) ** (-1 / cv**2)


def on_off_gaps(rate: float, on: float, off: float) -> Callable[[float], float]:
    """Laplace transform of the gaps of a Poisson process that is on and off for exponential times with those means; *rate* is the mean one.

    Source: Kuczura, The interrupted Poisson process as an overflow process, Bell System Technical Journal 52 (1973).
    """
    peak = rate * (on + off) / on
    return lambda s: peak * (s + 1 / off) / (s * s + (peak + 1 / on + 1 / off) * s + peak / off)


def mva(users: int, think: float, demands: list[float]) -> tuple[float, float]:
    """(throughput, response time) of a closed network of single queues: exact mean value analysis. Source: Reiser and Lavenberg 1980."""
    queues = [0.0] * len(demands)
    throughput = response = 0.0
    for n in range(1, users + 1):
        times = [demand * (1 + queue) for demand, queue in zip(demands, queues, strict=True)]
        response = sum(times)
        throughput = n / (think + response)
        queues = [throughput * time for time in times]
    return throughput, response


def order_statistic_mean(k: int, n: int) -> float:
    """Mean of the k-th smallest of n independent unit exponentials (Renyi's representation)."""
    return sum(1 / (n - i) for i in range(k))


def harmonic(n: int) -> float:
    """1 + 1/2 + ... + 1/n."""
    return sum(1 / i for i in range(1, n + 1))


def attempts_mean(most: int, failing: float) -> float:
    """Mean number of attempts when each fails independently and at most *most* are made."""
    return float(most) if failing == 1 else (1 - failing**most) / (1 - failing)


def poisson_pmf(mean: float, n: int) -> float:
    """Probability of n events."""
    from math import exp

    return exp(-mean) * mean**n / factorial(n)
