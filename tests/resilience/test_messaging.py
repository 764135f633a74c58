"""Outbox, idempotent consumer, dead letters: nothing lost, nothing done twice, nothing out of order."""

import asyncio
import itertools

import pytest

from sim.kernel import SimLoop
from sim.resilience.dead_letters import DeadLetters, DeadLettersFull
from sim.resilience.idempotent_consumer import IdempotentConsumer
from sim.resilience.outbox import MemoryOutboxStore, Outbox


def sender(sent, fail):
    """Sends into *sent*; each body in *fail* fails once."""

    async def send(message):
        if message.body in fail:
            fail.remove(message.body)
            raise ConnectionError
        sent.append(message.body)

    return send


def test_messages_are_sent_in_order_and_once_if_all_is_well(loop):
    """Three written, three sent, none left."""
    outbox, sent = Outbox(), []
    for body in "abc":
        outbox.add(body, now=1.0, key="order-1")

    async def send(message):
        sent.append(message.body)

    assert outbox.lag(3.0) == 2.0
    assert loop.run_until_complete(outbox.deliver(send)) == 3
    assert loop.run_until_complete(outbox.deliver(send)) == 0
    assert (sent, outbox.lag(3.0)) == (["a", "b", "c"], 0.0)


def test_a_message_that_cannot_be_sent_holds_back_its_own_key_only(loop):
    """The first of order 1 fails once: its second waits for it, order 2 does not, nor do messages without a key."""
    outbox, sent, fail = Outbox(), [], ["1a"]
    for key, body in (("1", "1a"), ("1", "1b"), ("2", "2a"), (None, "x")):
        outbox.add(body, now=0.0, key=key)

    send = sender(sent, fail)

    for _ in range(2):
        loop.run_until_complete(outbox.deliver(send))
    assert sent == ["2a", "x", "1a", "1b"]


def test_after_a_restart_the_store_numbers_on():
    """A second outbox over the same store, before and after all was sent: new ids, so that a consumer takes none as a duplicate."""
    with SimLoop(seed=1) as loop:
        store, consumer, effects = MemoryOutboxStore(), IdempotentConsumer(), []

        async def effect(body):
            effects.append(body)

        async def send(message):
            await consumer.handle("mailer", message.message_id, effect, message.body)

        for body in ("a", "b"):
            Outbox(store).add(body, now=0.0)
        loop.run_until_complete(Outbox(store).deliver(send))
        Outbox(store).add("c", now=1.0)
        loop.run_until_complete(Outbox(store).deliver(send))
        assert (effects, consumer.duplicates) == (["a", "b", "c"], 0)


def test_messages_of_two_outboxes_are_told_apart_by_their_names():
    """Orders and payments number from one each."""
    assert [Outbox(name=name).add("x", now=0.0).message_id for name in ("orders", "payments")] == ["orders-1", "payments-1"]


def test_an_id_that_is_pending_is_not_given_to_another_message():
    """The first one would be lost."""
    outbox = Outbox()
    outbox.add("a", now=0.0, message_id="x")
    with pytest.raises(ValueError, match="'x' is pending already"):
        outbox.add("b", now=0.0, message_id="x")


@pytest.mark.parametrize("keys", [["bad"] * 25, [None] * 25, [f"bad-{number}" for number in range(25)]])
def test_messages_that_fail_for_ever_fill_no_pass(loop, keys):
    """Twenty-five that fail before one that does not, ten a pass: it is sent, and so is what comes later, while they are tried again."""
    outbox, sent, tries = Outbox(limit=10), [], []
    for key in keys:
        outbox.add("bad", now=0.0, key=key)
    outbox.add("good 1", now=0.0, key="good")

    async def send(message):
        if message.body == "bad":
            tries.append(message.message_id)
            raise ConnectionError
        sent.append(message.body)

    async def scenario():
        for _ in range(4):
            await outbox.deliver(send)
        outbox.add("good 2", now=0.0, key="good")
        for _ in range(4):
            await outbox.deliver(send)

    loop.run_until_complete(scenario())
    assert sent == ["good 1", "good 2"]
    assert tries.count("message-1") > 1


def test_a_key_is_in_order_over_passes(loop):
    """The first of three fails once in a pass that is full: the others wait for it, also in the passes after."""
    outbox, sent, fail = Outbox(limit=2), [], ["1a"]
    for key, body in (("1", "1a"), ("2", "2a"), ("1", "1b"), ("2", "2b"), ("1", "1c")):
        outbox.add(body, now=0.0, key=key)

    send = sender(sent, fail)

    async def scenario():
        for _ in range(5):
            await outbox.deliver(send)

    loop.run_until_complete(scenario())
    assert sent == ["2a", "2b", "1a", "1b", "1c"]


def test_a_crash_between_sending_and_marking_sends_again_and_the_consumer_does_not_mind(loop):
    """At least once from the outbox, exactly one effect at the consumer, whichever message it crashed at."""
    for crash_at in range(1, 5):
        count = itertools.count(1)

        class Crashing(MemoryOutboxStore):
            def mark_sent(self, message_id, count=count, crash_at=crash_at):
                if next(count) == crash_at:
                    raise OSError("the process died")
                super().mark_sent(message_id)

        outbox, consumer, effects, deliveries = Outbox(Crashing()), IdempotentConsumer(), [], []
        for body in "abcd":
            outbox.add(body, now=0.0, key="k")

        async def effect(body, effects=effects):
            effects.append(body)

        async def send(message, consumer=consumer, effect=effect, deliveries=deliveries):
            deliveries.append(message.body)
            await consumer.handle("mailer", message.message_id, effect, message.body)

        with pytest.raises(OSError, match="died"):
            loop.run_until_complete(outbox.deliver(send))
        loop.run_until_complete(outbox.deliver(send))
        assert effects == ["a", "b", "c", "d"]
        assert len(deliveries) == 5
        assert consumer.duplicates == 1


def test_a_publisher_polls_until_it_is_cancelled():
    """Every 100 ms; what is written in between goes out with the next poll."""
    with SimLoop(seed=1) as loop:
        outbox, sent = Outbox(), []

        async def send(message):
            sent.append((message.body, loop.time()))

        async def scenario():
            publisher = asyncio.ensure_future(outbox.run(send, interval=0.1))
            for body in "ab":
                await asyncio.sleep(0.24)
                outbox.add(body, loop.time())
            await asyncio.sleep(0.2)
            publisher.cancel()
            await asyncio.wait([publisher])

        loop.run_until_complete(scenario())
        assert [body for body, _ in sent] == ["a", "b"]
        assert [at for _, at in sent] == pytest.approx([0.3, 0.5])


def test_a_handler_that_fails_leaves_no_note(loop):
    """The redelivery is handled; the one after it is a duplicate."""
    consumer, calls = IdempotentConsumer(), []

    async def handler():
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("not now")

    async def scenario():
        with pytest.raises(ValueError, match="not now"):
            await consumer.handle("c", "m", handler)
        return await consumer.handle("c", "m", handler), await consumer.handle("c", "m", handler)

    assert loop.run_until_complete(scenario()) == (True, False)
    assert len(calls) == 2


@pytest.mark.parametrize("ending", ["success", "failure", "cancelled"])
def test_a_redelivery_while_the_first_is_being_handled_waits_for_its_end(loop, ending):
    """It is a duplicate if the first succeeds, and handled if the first fails or is cancelled: never lost, never twice."""
    consumer, effects, tries = IdempotentConsumer(), [], []

    async def handler():
        tries.append(1)
        first = len(tries) == 1
        await asyncio.sleep(0.01)
        if first and ending == "failure":
            raise ValueError
        effects.append(1)

    async def scenario():
        first, second = (asyncio.ensure_future(consumer.handle("c", "m", handler)) for _ in range(2))
        await asyncio.sleep(0.004)
        if ending == "cancelled":
            first.cancel()
        return (await asyncio.gather(first, second, return_exceptions=True))[1]

    assert loop.run_until_complete(scenario()) is (ending != "success")
    assert len(effects) == 1


def test_after_the_window_a_message_is_new_again():
    """The memory is bounded: exactly a window later the note is gone."""
    consumer = IdempotentConsumer(window=10)
    assert [consumer.is_duplicate("c", "m", now) for now in (0, 9.9, 10)] == [False, True, False]
    assert len(consumer.store.seen) == 1


def test_later_messages_of_a_sequence_wait_behind_a_dead_one(loop):
    """Order 7 is parked with all that follows; order 8 goes on; processed in order once the cause is gone."""
    letters, handled, broken = DeadLetters(), [], True

    async def handler(message):
        if broken:
            raise KeyError("no such product")
        handled.append(message)

    letters.park("order-7", "m1", ValueError("bad"), now=1)
    assert letters.park_behind("order-7", "m2", now=2)
    assert not letters.park_behind("order-8", "m3", now=2)
    assert not loop.run_until_complete(letters.process(handler, now=3))
    first, second = letters.sequences["order-7"]
    assert (first.cause, first.touched_at, first.attempts, second.cause) == ("KeyError: 'no such product'", 3, 1, None)
    broken = False
    assert loop.run_until_complete(letters.process(handler, now=4))
    assert (handled, len(letters)) == (["m1", "m2"], 0)


def test_sequences_take_turns_by_when_they_were_touched(loop):
    """A sequence that fails again goes to the back; one that somebody is at is left alone."""
    letters, tried = DeadLetters(), []
    for now, sequence in enumerate("abc"):
        letters.park(sequence, sequence, "bad", now)

    async def handler(message):
        tried.append(message)
        await asyncio.sleep(0)
        raise ValueError

    async def scenario():
        await asyncio.gather(*(letters.process(handler, now=10 + number) for number in range(2)))
        for number in range(3):
            await letters.process(handler, now=20 + number)

    loop.run_until_complete(scenario())
    assert tried == ["a", "b", "c", "a", "b"]


def test_a_handler_may_discard_its_own_sequence(loop):
    """What was behind the first letter is not tried; what is parked anew meanwhile stays, and waits for the next time."""
    letters, handled = DeadLetters(), []
    for message in ("m1", "m2"):
        letters.park("order-7", message, "bad", now=0)

    async def handler(message):
        handled.append(message)
        if message == "m1":
            assert [letter.message for letter in letters.discard("order-7")] == ["m1", "m2"]
            letters.park("order-7", "new", "bad", now=1)

    assert loop.run_until_complete(letters.process(handler, now=2))
    assert (handled, [letter.message for letter in letters.sequences["order-7"]]) == (["m1"], ["new"])
    assert loop.run_until_complete(letters.process(handler, now=3))
    assert (handled, len(letters)) == (["m1", "new"], 0)


def test_there_is_a_limit_to_what_is_put_aside():
    """Neither more sequences nor longer ones than allowed; what is discarded makes room."""
    letters = DeadLetters(max_sequences=1, max_size=2)
    letters.park("a", 1, "bad", 0)
    letters.park("a", 2, None, 0)
    with pytest.raises(DeadLettersFull, match="letters of 'a'"):
        letters.park_behind("a", 3, 0)
    with pytest.raises(DeadLettersFull, match="1 sequences"):
        letters.park("b", 1, "bad", 0)
    assert [letter.message for letter in letters.discard("a")] == [1, 2]
    letters.park("b", 1, "bad", 0)
