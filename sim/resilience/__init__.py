"""Resilience policies in plain asyncio: see README.md beside this file."""
