"""What is watched: metrics, rules, dashboards."""
