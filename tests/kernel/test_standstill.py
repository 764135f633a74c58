"""Part of a simulation stands still while the rest goes on: sleeps are frozen, everything else is held back."""


def test_frozen_sleeps_go_on_from_where_they_stood(loop):
    """Of four sleeps three are frozen at t=1 and thawed at t=10: they end 9 s later than they would have, in their old order."""
    log = []
    sleeps = {name: loop.sleep(delay) for name, delay in (("a", 3), ("b", 2), ("other", 4), ("cancelled", 5))}
    for name, future in sleeps.items():
        future.add_done_callback(lambda _, name=name: log.append((name, loop.time())))
    loop.run_until(1)
    frozen = loop.freeze(lambda future: future is not sleeps["other"])
    loop.call_at(2, sleeps["cancelled"].cancel)
    loop.run_until(10)
    loop.thaw(frozen)
    loop.run_until(20)
    assert log == [("cancelled", 2), ("other", 4), ("b", 11), ("a", 12)]


def test_a_sleep_that_was_frozen_in_its_last_moment_waits_its_turn(loop):
    """Nothing was left of it: thawed, it comes after what is already due."""
    log, frozen = [], []
    loop.call_at(5, lambda: frozen.extend(loop.freeze(lambda future: future is sleep)))
    sleep = loop.sleep(5)
    sleep.add_done_callback(lambda _: log.append("thawed"))
    loop.run_until(5)
    loop.call_soon(log.append, "due")
    loop.thaw(frozen)
    loop.run_until(6)
    assert log == ["due", "thawed"]


def test_what_is_held_runs_late_and_in_its_old_order(loop):
    """Held from t=1 to t=10: what came due meanwhile runs at t=10, in the order of its times; what is due later runs in time."""
    log = []

    def note(name):
        log.append((name, loop.time()))

    mine = [loop.call_at(when, note, f"mine {when}") for when in (7, 3, 12, 5)]
    loop.call_at(4, note, "other")
    loop.run_until(1)
    held = loop.hold(lambda entry: entry in mine)
    loop.call_at(2, mine[3].cancel)
    loop.run_until(10)
    loop.release(held)
    loop.run_until(20)
    assert log == [("other", 4), ("mine 3", 10), ("mine 7", 10), ("mine 12", 12)]


def test_what_is_held_in_its_own_moment_keeps_its_order(loop):
    """At t=5 a timer holds what else is due at t=5, asked for before and just now: released at t=6, first asked for runs first."""
    log, held = [], []

    def hold():
        loop.call_soon(log.append, "just now")
        loop.post(0, log.append, "posted just now")
        held.extend(loop.hold(lambda entry: True))

    loop.call_at(5, hold)
    loop.call_at(5, log.append, "before")
    loop.run_until(5)
    assert log == []
    loop.run_until(6)
    loop.release(held)
    loop.run_until(7)
    assert log == ["before", "just now", "posted just now"]
