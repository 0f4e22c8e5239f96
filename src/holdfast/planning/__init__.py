"""From what is known of each unit to a plan: which units, how many, with which share of the traffic, and why.

evidence     limits and prices from measurements or runs   prices       what a replica costs
mix          the cheapest integer mix (HiGHS)              weights      traffic shares and their integers
autoscaling  when a pool grows                             plan         all of it as one Plan, and its JSON
reasons      the plan in sentences                         tables       the figures that the field publishes

Import the module that is needed: the solver is loaded with `mix` and `plan` only.
"""
