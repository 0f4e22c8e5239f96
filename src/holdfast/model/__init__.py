"""The vocabulary. Every other package speaks it; nothing in it does I/O.

fleet        the InferenceFleet document                     document      reading it from YAML
workload, slo, demand, unit, capacity, routing  its parts    declaration   what its parts have in common
hardware     accelerators, instance types, offerings         quantities    numbers with units
records      what happened to each request                   stages        load levels and breaking points
measurements published load levels, from CSV                 plan          what to deploy and why
pools        capacity pools, shortages, routing mode         timeline      what a fleet did over time
tables       results with units                              findings      what a check found
codec        values to JSON and back                         errors        what can go wrong
"""
