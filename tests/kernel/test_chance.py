"""What code under test draws from Python's generator and from the machine repeats with the seed, and only inside."""

import os
import random
import secrets
import threading
import uuid

import numpy.random
import pytest

from sim.kernel.chance import seeded_chance


def reseeded(generator):
    """As code does that wants chance for certain."""
    generator.seed()
    return generator.random()


DRAWS = [
    random.random, uuid.uuid4, secrets.token_hex, random.SystemRandom().random, lambda: os.urandom(8), lambda: secrets.randbelow(10**9),
    lambda: secrets.SystemRandom().sample(range(10**6), 3), lambda: random.Random().random(), lambda: numpy.random.default_rng().random(),
    lambda: numpy.random.random(), lambda: reseeded(random), lambda: reseeded(random.Random(3)),
]


@pytest.mark.parametrize("draw", DRAWS)
def test_it_repeats_with_the_seed(draw):
    """Two draws differ, as two orders have two identifiers; the same seed gives the same two again, another seed others."""

    def two(seed):
        with seeded_chance(seed):
            return [draw(), draw()]

    first = two(3)
    assert first[0] != first[1]
    assert two(3) == first != two(4)


def test_afterwards_chance_is_the_machines_again():
    """Also where the block ends with an error."""
    before = os.urandom
    with pytest.raises(ValueError, match="broken"), seeded_chance(3):
        raise ValueError("broken")
    assert os.urandom is before
    assert uuid.uuid4() != uuid.uuid4()


def test_a_seed_of_its_own_counts():
    """What is seeded is left alone, inside as outside; and outside `seed` is Python's own again."""
    before, seeded = random.Random.seed, random.Random(3).random()
    with seeded_chance(3):
        assert random.Random(3).random() == seeded
    assert random.Random.seed is before and random.Random().random() != random.Random().random()


def test_a_library_that_makes_a_generator_for_itself_moves_nobody_elses():
    """Only in the first run of a process, as `tempfile` does."""

    def two(with_library):
        with seeded_chance(3):
            if with_library:
                exec("import random; random.Random()", {"__name__": "library"})
            return [random.Random().random(), uuid.uuid4()]

    assert two(True) == two(False)


def test_other_threads_draw_from_the_machine():
    """Which thread asks when is a matter of chance: it would move the dice of the simulation."""
    drawn = []

    def two():
        with seeded_chance(3):
            thread = threading.Thread(target=lambda: drawn.append((uuid.uuid4(), random.Random().random())))
            thread.start()
            thread.join()
            return uuid.uuid4(), random.Random().random()

    assert two() == two()
    assert drawn[0][0] != drawn[1][0] and drawn[0][1] != drawn[1][1]
