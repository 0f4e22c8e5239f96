"""The embedded default: a fleet of processes on one machine behind Envoy.

envoy_config  what Envoy is told, as plain values     envoy    one Envoy process, steered through files
replica       one process of a unit and its life      fleet    pools of replicas, supervised
children      processes that cannot outlive this one  leash    the few lines that make it so
loopback      one small HTTP exchange with a process of this machine
"""
