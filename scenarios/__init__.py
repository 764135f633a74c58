"""Scenarios that ship with mesocosm."""
