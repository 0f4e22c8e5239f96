"""Counts of a server's own requests, published to CloudWatch off the request path.

interval   what was counted in a while, and joining such       backlog    what has not been delivered yet, bounded
datums     intervals as data of PutMetricData                  embedded   intervals as log lines (EMF)
cloudwatch who calls PutMetricData                             publisher  the thread that does all this
"""
