"""Fixtures for all tests."""

import asyncio

import pytest

from sim.kernel import SimLoop


@pytest.fixture(params=["simulated", "asyncio"])
def loop(request):
    """Once a SimLoop, once asyncio's own: what is promised must hold on both."""
    loop = SimLoop(seed=7) if request.param == "simulated" else asyncio.new_event_loop()
    yield loop
    loop.close()
