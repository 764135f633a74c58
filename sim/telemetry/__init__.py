"""Rows while running, columns afterwards."""
