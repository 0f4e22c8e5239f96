"""How requests reach the pools: the edge, and weights."""
