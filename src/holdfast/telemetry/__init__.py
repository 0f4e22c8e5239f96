"""Readers of metrics that others keep: Prometheus, CloudWatch; and `publishing`, which tells CloudWatch our own.

prometheus  one figure by an instant query        signed  who asks Amazon's Prometheus
cloudwatch  what is counted of target groups      errors  that nothing could be read
"""
