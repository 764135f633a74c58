"""The bulkhead against a slow and obvious model: a list of those inside and a list of those in line."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sim.resilience import Bulkhead, Ticket

PATIENCE = 5


class BulkheadAgainstModel(RuleBasedStateMachine):
    @initialize(slots=st.integers(1, 3), line=st.integers(0, 4))
    def start(self, slots, line):
        self.bulkhead = Bulkhead(slots, line, max_wait_duration=PATIENCE)
        self.slots, self.line, self.now = slots, line, 0
        self.inside, self.waiting = [], []  # permits; (ticket, end of its patience), first come first

    def let_in(self):
        """Whoever is first and has not waited too long, as long as there is room."""
        while self.waiting and len(self.inside) < self.slots:
            ticket, end = self.waiting.pop(0)
            if end >= self.now:
                assert ticket.permit is not None
                self.inside.append(ticket)
            else:
                assert ticket.permit is None

    @rule(seconds=st.integers(0, 3))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def enter(self):
        entry = self.bulkhead.try_enter(self.now)
        if len(self.inside) < self.slots:
            self.inside.append(entry)
        elif len(self.waiting) < self.line:
            assert isinstance(entry, Ticket)
            self.waiting.append((entry, entry.expires_at))
            assert entry.expires_at == self.now + PATIENCE
        else:
            assert entry is None

    @precondition(lambda self: self.inside)
    @rule(which=st.integers(0, 100))
    def leave(self, which):
        entry = self.inside.pop(which % len(self.inside))
        self.bulkhead.leave(entry.permit if isinstance(entry, Ticket) else entry, self.now)
        self.let_in()

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 100))
    def give_up(self, which):
        ticket, _ = self.waiting.pop(which % len(self.waiting))
        self.bulkhead.abandon(ticket, self.now)

    @precondition(lambda self: any(isinstance(entry, Ticket) for entry in self.inside))
    @rule()
    def give_up_as_the_slot_arrives(self):
        ticket = next(entry for entry in self.inside if isinstance(entry, Ticket))
        self.inside.remove(ticket)
        self.bulkhead.abandon(ticket, self.now)
        self.let_in()

    @rule(slots=st.integers(1, 4))
    def resize(self, slots):
        self.slots = slots
        self.bulkhead.resize(slots, self.now)
        self.let_in()

    @invariant()
    def the_same_numbers(self):
        if hasattr(self, "bulkhead"):
            assert (self.bulkhead.inside, self.bulkhead.waiting) == (len(self.inside), len(self.waiting))
            assert self.bulkhead.available == max(0, self.slots - len(self.inside))


BulkheadAgainstModel.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestBulkheadAgainstModel = BulkheadAgainstModel.TestCase
