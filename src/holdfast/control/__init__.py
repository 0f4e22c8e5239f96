"""Capacity failover: where traffic goes and how many replicas are asked for when capacity comes and goes.

observation  what is known of the fleet at a moment       decision    what it shall be
look         an observation under the fleet's policies    states      the lifecycles of the fleet and of a pool
shares       the weights to go to                         shifts      how far to go there now
scaling      replicas to ask for                          shortages   facts about missing capacity
decide       the decision: start reading here             invariants  what every decision must keep
explain      a decision in sentences

Nothing in these files does I/O or reads a clock.
"""
