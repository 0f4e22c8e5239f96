"""The embedded default: a fleet of processes on one machine behind Envoy.

envoy_config  what Envoy is told, as plain values     envoy    one Envoy process, steered through files
replica       one process of a unit and its life      fleet    pools of replicas, supervised
loopback      one small HTTP exchange with a process of this machine
"""
