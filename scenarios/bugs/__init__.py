"""Three bugs of real services, each in an ordinary ASGI app; a scenario finds each, and its variant `fixed` shows the cure.

They need starlette, httpx, tenacity and purgatory: `pip install -e '.[dev]'`.
"""
