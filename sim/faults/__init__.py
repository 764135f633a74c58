"""What goes wrong: one file a family; each fault is a spec and a context manager that heals on exit."""
