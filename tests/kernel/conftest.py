"""The `loop` of these tests: a SimLoop, closed at the end of the test."""

from collections.abc import Iterator

import pytest

from sim.kernel import SimLoop


@pytest.fixture
def loop() -> Iterator[SimLoop]:
    with SimLoop(seed=7) as loop:
        yield loop
