"""What is watched: metrics, rules, dashboards.

pod_monitor          what Prometheus reads             series, capacity, objectives   PromQL about it
prometheus_rule      what it records and says          shortage, steering             alerts
fleet_dashboard, servers_dashboard, panels, dashboards    Grafana
cloudwatch           a dashboard there, and its add-on

Names of metrics are in `model.metrics`: those of the operator come with it, and rules about them are silent until then.
"""
