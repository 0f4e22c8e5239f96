"""From what is known of each unit to a plan: which units, how many, with which share of the traffic, and why.

evidence     limits and prices from measurements or runs   judgement    a published row against an SLO
prices       what a replica costs                          mix          the cheapest integer mix (HiGHS)
weights      traffic shares and their integers             autoscaling  when a pool grows
plan         all of it as one Plan, and its JSON           reasons      the plan in sentences
tables       the figures that the field publishes          arithmetic   can published figures be?
grid         TP x batch, and the rule that chooses          parallelism  the grid, DP and scaling of TP as tables
whatif       the same fleet without, on spot, at a budget   ageing       prices that are too old to plan with

Import the module that is needed: the solver is loaded with `mix` and `plan` only.
"""
