"""The shell of the decisions in a cluster: `holdfast operator`.

loop         the operator: who leads, a loop for each fleet: start reading here
fleet_loop   one fleet: look, steer, tell, and wait for something to change
steering     observe, decide, check, act
account      what came of a look                     reasons   the words for it, and what to do about each
office       by what right it acts

seeing       what the API server told, as an observation
metrics      the rate that clients offer
plans        which plan a fleet runs
keeping      the objects of a plan and a decision, and writing them
telling      status, conditions, events, metrics

A look goes through these folders from top to bottom; they do not know each other, but for what they all see by. The
cluster holds the truth: what has to be known at the next look is annotations on the route, the status of the fleet, and
ConfigMaps.
"""
