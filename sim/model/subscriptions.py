"""What a service does with messages: the `subscribe` of a scenario.

    subscribe: {order.created: [{work: 20ms}, {call: smtp}]}
    subscribe: {order.*: {do: [...], group: audit, prefetch: 1}}

The steps are run like those of an endpoint, by the same workers. If they go through, the message is acknowledged; if they fail, a
stream delivers it again; a status of 422 says that no further try can help.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from sim.model.messaging import Deliver, Subscription
from sim.model.steps import AnyStep
from sim.spec import Mistake, Spec, invalid
from sim.units import Duration, PositiveDuration


class SubscriptionSpec(Spec):
    """Steps for each message. The instances form a queue group, named after the service, unless *everyone* is to get each message.

    A group that comes *start_after* into the run gets what is published from then on (`deliver: new`), or of a stream `all` that it has, or
    the `last` of that. Every *in_progress* it says that it is still at work, so that the stream goes on waiting for its acknowledgement.

    An instance is sent *prefetch* messages before it has acknowledged one: those that its workers are at, and others that wait in its
    memory so that no worker waits for the network. Their `ack_wait` runs already. With as many as it has workers, or fewer, each worker is
    idle between two messages for the way of an acknowledgement there and of the next message back.
    """

    shorthand: ClassVar[str] = "do"
    do: list[AnyStep]
    group: str | None = Field(default=None, min_length=1)  # None: the service's name
    everyone: bool = False
    prefetch: int | None = Field(default=None, ge=1)  # messages with one instance; None: its workers, and as many again, at least 4
    at: str | None = None  # the broker; None: the only one
    deliver: Deliver = "new"
    start_after: Duration = 0.0
    in_progress: PositiveDuration | None = None

    @model_validator(mode="after")
    def _shared_or_not(self) -> SubscriptionSpec:
        if self.everyone and self.group is not None:
            raise invalid(Mistake(("group",), "`everyone` and `group` exclude each other: a group shares its messages",
                                  "leave one of them out", at_key=True))
        return self

    def subscription(self) -> Subscription:
        """What the broker needs to know."""
        return Subscription(self.group or "", self.everyone, self.prefetch, self.at, self.deliver, self.start_after, self.in_progress)
