"""The shell of the decisions in a cluster: `holdfast operator`.

loop         the operator: who leads, what is watched, a loop for each fleet: start reading here
fleet_loop   one fleet: observe, decide, check, act, tell, and wait for something to change
seen         what the API server told of a fleet          observe        that as an observation
capacity     shortages                                    interruptions  replicas with a notice
rates        what is asked of metrics                     plans          which plan a fleet runs
plan_inputs  what a plan is made on                       plan_records   the ConfigMaps of plans
settled      what comes of it                             planner        plans in a process of their own
desired      the objects of a plan and a decision
routing_record  what a route remembers                    drift          whether an object is as it was applied
act          writes, fenced                               status, conditions, said   what people are told
exported     metrics                                      listening      where probes and Prometheus ask

The cluster holds the truth: what has to be known at the next look is annotations on the route, the status of the
fleet, and ConfigMaps.
"""
