"""The simulated system: network, nodes and their instances, clients; everything that requests pass through."""
