"""Messages of one key: one after another, whatever becomes of those that wait."""

from random import Random

import pytest

from tests.model.platform_world import platform
from tests.model.test_broker import Deliveries, publish, system


@pytest.mark.parametrize("seed", range(10))
def test_what_the_stream_drops_while_it_waits_for_its_turn_lets_nobody_past(seed):
    """Ten messages of one key, 100 ms each; some are dropped while they wait: the others still come one after another, in their order."""
    dice = Random(seed)
    with platform(system([{"sleep": "100ms"}], delivery="at_least_once", order="key"), latency="0ms") as lab:
        seen, broker = Deliveries(lab, "mailer"), lab.world.node("events")
        publish(lab, *range(10), key="k")
        waiting = [message.holders[0] for message in broker.stream.messages.values()][1:]
        dropped = dice.sample(waiting, dice.randint(1, 8))
        for entry in dropped:
            entry.group.expire(entry)
        lab.run(3)
        assert seen.bodies == [0, *(entry.message.body for entry in waiting if entry not in dropped)]
        assert [when for when, _, _, _ in seen.seen] == pytest.approx([seen.seen[0][0] + 0.1 * turn for turn in range(len(seen.seen))])
        publish(lab, "later", key="k")
        lab.run(1)
        assert seen.bodies[-1] == "later"
