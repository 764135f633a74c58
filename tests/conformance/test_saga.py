"""Saga cases SG-* of the reference: Eventuate Tram, MassTransit Courier."""

from sim.kernel import SimLoop
from sim.resilience.saga import Saga


def run(saga, context=None):
    with SimLoop(seed=1) as loop:
        return loop.run_until_complete(saga.run(context))


def order_saga(asked, fails=None):
    """Step 1 is conditional and can be undone, 2 reserves credit, 3 is local."""

    def action(name):
        async def act(context):
            asked.append(name)
            if name == fails:
                raise RuntimeError(name)
        return act

    return (Saga("order").step("1", action("do1"), action("undo1"), when=lambda context: context.get("condition", True))
            .step("2", action("reserve"), action("release")).step("3", action("local")))


def test_sg_01_eventuate():
    """All succeed; step 2 fails: undo1; condition false: step 1 neither done nor undone; first step fails: nothing to undo.

    Eventuate raises to the creator if the first local step fails; our run returns it as `result.error`.
    """
    for fails, context, status, expected in (
        (None, {}, "completed", ["do1", "reserve", "local"]),
        ("reserve", {}, "compensated", ["do1", "reserve", "undo1"]),
        ("reserve", {"condition": False}, "compensated", ["reserve"]),
        ("do1", {}, "compensated", ["do1"]),
    ):
        asked = []
        result = run(order_saga(asked, fails), context)
        assert (result.status, asked) == (status, expected)
        assert (result.error is None) == (fails is None)


def slip(asked, *activities, heard=None):
    """A routing slip of Courier: activities that complete with a log, or fault."""
    saga = Saga("slip", on_event=None if heard is None else heard.append)
    for number, activity in enumerate(activities):
        async def do(context, number=number, activity=activity):
            asked.append(f"{activity}{number}")
            if activity == "Faulty":
                raise RuntimeError("boom")
            context[f"log{number}"] = number

        async def undo(context, number=number, activity=activity):
            asked.append(f"-{activity}{number}")

        saga.step(f"{activity}{number}", do, undo)
    return saga


def test_sg_03_a_fault_compensates_in_reverse():
    """A, A, Faulty: both A are compensated, the second first. A first activity that faults leaves nothing to compensate."""
    asked = []
    assert run(slip(asked, "A", "A", "Faulty")).status == "compensated"
    assert asked == ["A0", "A1", "Faulty2", "-A1", "-A0"]
    asked = []
    assert run(slip(asked, "A", "B", "Faulty")).compensated == ("A0", "B1")
    asked = []
    assert run(slip(asked, "Faulty", "A")).status == "compensated"
    assert asked == ["Faulty0"]


def test_sg_05_events_of_every_activity():
    """Completed for 1 and 2, faulted for 3 with its error, compensated for those that were completed."""
    heard, asked = [], []
    result = run(slip(asked, "A", "B", "Faulty", heard=heard), {"order": 1})
    assert [(event.kind, event.step) for event in heard] == [
        ("begun", None), ("step_done", "A0"), ("step_done", "B1"), ("step_failed", "Faulty2"), ("undone", "B1"), ("undone", "A0"),
        ("compensated", None)]
    assert heard[3].error == "RuntimeError: boom"
    assert result.context == {"order": 1, "log0": 0, "log1": 1}
