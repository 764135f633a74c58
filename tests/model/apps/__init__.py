"""ASGI apps as a user writes them: nothing in here knows that it will be simulated."""
