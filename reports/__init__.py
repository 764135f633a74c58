"""What people look at after a run: terminal, charts, page, exports. Reads results and scenarios only."""
