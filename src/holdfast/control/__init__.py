"""Capacity failover: where traffic goes and how many replicas are asked for when capacity comes and goes.

observation  what is known of the fleet at a moment       decision     what it shall be
decide       the decision: start reading here             policies     the ways to decide, and what each promises
merit        the default policy                           published    the policies it is compared with
look         an observation under the fleet's policies    states       the lifecycle of the fleet
shares       the weights to go to                         pool_states  the lifecycle of a pool
shifts       how far to go there now                      shortages    facts about missing capacity
scaling      replicas to ask for                          explain      a decision in sentences
promises     what may be promised of every decision       invariants   whether a decision keeps what its policy promises
verdict      decide and check, as every shell does

Nothing in these files does I/O or reads a clock.
"""
