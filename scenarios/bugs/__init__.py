"""Three bugs of real services, each in an ordinary ASGI app; a scenario finds each, and so does a test (test_bugs.py).
What is called `fixed` shows the cure.

They need starlette, httpx, tenacity and purgatory: `pip install -e '.[dev]'`.
"""
