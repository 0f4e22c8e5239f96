"""What the cluster must run beside the fleet: charts with pinned versions and their values."""
