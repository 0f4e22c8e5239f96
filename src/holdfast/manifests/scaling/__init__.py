"""What adds and removes replicas."""
