"""The shop: its services' code, its scenarios and its fault plans."""
