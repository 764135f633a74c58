"""Named streams: one seed, a generator for each name, the same everywhere."""

import random
import subprocess
import sys

import numpy as np
import pytest

from sim.streams import Stream, Streams, stream_seed
from tests.source_tree import ROOT

KNOWN_SEED = 198971279627828420211413054662316208597
KNOWN_SINGLE = [0.56061506255, 0.013311400098]
KNOWN_BLOCK = [0.934140614156, 0.163822646757]


def test_the_same_name_and_seed_draw_the_same_numbers():
    """In another `Streams` of the same seed too, and whatever else was drawn before."""
    first, second = Streams(7), Streams(7)
    second["something else"].random()
    second["something else"].numpy.random(10)
    assert [first["arrivals"].random() for _ in range(5)] == [second["arrivals"].random() for _ in range(5)]
    assert first["arrivals"].numpy.random(5).tolist() == second["arrivals"].numpy.random(5).tolist()


def test_another_name_or_seed_draws_other_numbers():
    """Even if they differ in the least."""
    draws = {Streams(seed)[name].random() for seed in (0, 1, -1, 10**30) for name in ("", "a", "b", "a/numpy", "a ")}
    assert len(draws) == 20


def test_a_stream_goes_on_where_it_stands():
    """Asking for it again gives the same stream, not its beginning; so two users of one name do not draw twins."""
    streams = Streams(7)
    assert streams["a"] is streams["a"]
    assert streams["a"].random() != streams["a"].random()
    assert streams["a"].numpy is streams["a"].numpy
    assert streams["a"].numpy.random() != streams["a"].numpy.random()


def test_single_draws_and_blocks_do_not_disturb_each_other():
    """The block generator is independent of the single draws."""
    alone, both = Stream(7, "a"), Stream(7, "a")
    both.numpy.random(1000)
    assert alone.random() == both.random()
    assert alone.numpy.random() != both.numpy.random()
    singles = [Stream(7, str(number)).random() for number in range(500)]
    blocks = [Stream(7, str(number)).numpy.random() for number in range(500)]
    assert abs(np.corrcoef(singles, blocks)[0, 1]) < 0.18  # 4 standard errors of no correlation


def test_neighbouring_seeds_and_names_are_independent():
    """Streams of the seeds 0..999, and of the names 0..999, look uniform and uncorrelated."""
    by_seed = np.array([Streams(seed)["a"].random() for seed in range(1000)])
    by_name = np.array([Streams(0)[str(name)].random() for name in range(1000)])
    for draws in (by_seed, by_name):
        assert abs(draws.mean() - 0.5) < 0.04  # 4 standard errors of a uniform mean
        assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.13
    assert abs(np.corrcoef(by_seed, by_name)[0, 1]) < 0.13


def test_a_stream_is_an_ordinary_random_generator():
    """Code that takes a `random.Random` takes it."""
    stream = Streams(7)["a"]
    assert isinstance(stream, random.Random)
    assert stream.choice([1, 2, 3]) in {1, 2, 3}
    assert 0 <= stream.uniform(0, 2) <= 2


def test_numbers_of_a_known_seed_never_change():
    """A digest that was published stays reproducible: these are the first draws of seed 42."""
    stream = Streams(42)["link shop>orders"]
    assert stream_seed(42, "link shop>orders") == KNOWN_SEED
    assert [round(stream.random(), 12) for _ in range(2)] == KNOWN_SINGLE
    assert [round(draw, 12) for draw in stream.numpy.random(2).tolist()] == KNOWN_BLOCK


@pytest.mark.parametrize("hash_seed", ["0", "1", "random"])
def test_the_hash_seed_of_the_process_does_not_matter(hash_seed):
    """A new process with another PYTHONHASHSEED draws the same."""
    program = "from sim.streams import Streams; s = Streams(42)['link shop>orders']; print(s.random(), s.numpy.random())"
    environment = {"PYTHONHASHSEED": hash_seed}
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    stream = Streams(42)["link shop>orders"]
    assert ran.stdout == f"{stream.random()} {stream.numpy.random()}\n"
