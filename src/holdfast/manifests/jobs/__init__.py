"""Load and limit searches as Jobs in the cluster."""
