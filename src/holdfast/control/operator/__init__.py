"""The shell of the decisions in a cluster: `holdfast operator`.

loop         the operator: who leads, a loop for each fleet: start reading here
fleet_loop   one fleet: look, steer, tell, and wait for something to change
steering     observe, decide, check, act                  transition     when a unit that is taken out may go
rising         a fleet that comes up for the first time
office       by what right it acts

watches      what is watched                              sight          what was told, sorted by fleet
seen         what the API server told of a fleet          observe        that as an observation
capacity     shortages                                    interruptions  replicas with a notice
replicas     how many there are                           events         which are read, and for how long
stamps       conditions and moments of objects
rates        what is asked of metrics                     reading        asking it
sources      whom                                         readings       the last answers, for all fleets

planned      the plan of a fleet, kept up to date         plans          which plan a fleet runs
plan_inputs  what a plan is made on                       plan_records   the ConfigMaps of plans
settled      what comes of it                             planner        plans in a process of their own

desired      the objects of a plan and a decision         drift          whether an object is as it was applied
routing_record  what a route remembers                    act            writes, fenced

account      what came of a look                          telling        who hears of it
status, conditions, said   what people are told of it     reasons        the words for it, and what to do about each
wording      sentences
by_hand      failover as a person asks for it             shown          fleets at a terminal
exported     metrics                                      listening      where probes and Prometheus ask

The cluster holds the truth: what has to be known at the next look is annotations on the route, the status of the
fleet, and ConfigMaps.
"""
