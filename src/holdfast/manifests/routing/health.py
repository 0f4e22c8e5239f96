"""How often a load balancer looks at a target, and how many looks it takes to believe what it sees."""

INTERVAL_S = 10
TIMEOUT_S = 5
HEALTHY = 2
UNHEALTHY = 3
