"""Readers of metrics that others keep: Prometheus, CloudWatch.

prometheus  one figure by an instant query        signed  who asks Amazon's Prometheus
cloudwatch  what is counted of target groups      errors  that nothing could be read
"""
