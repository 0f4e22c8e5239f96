"""The objects of a plan and a decision, and writing them.

desired         what is to be there            drift       whether an object is as it was applied
routing_record  what a route remembers         act         writes, fenced
changed         what a write changes, in words
transition      when a unit that is taken out may go
rising          a fleet that comes up for the first time
"""
