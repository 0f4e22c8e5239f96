"""Readers of metrics that others keep: Prometheus, CloudWatch."""
