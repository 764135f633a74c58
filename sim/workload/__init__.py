"""Load: who sends requests, when, and of which kinds."""
