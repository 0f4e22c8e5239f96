"""holdfast: find where inference breaks, deploy the cheapest mix that holds the SLO, keep it standing."""

__version__ = "0.1.0"
