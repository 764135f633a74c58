"""Systems that others have published, and a large one that is generated."""
