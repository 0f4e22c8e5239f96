"""From what is known of each unit to a plan: which units, how many, with which share of the traffic, and why.

evidence    limits and prices from measurements or runs
estimated   the same of what nobody measured             estimated_grid  its TP and batches
grid        TP x batch, and the rule that chooses        parallelism     grid, DP, scaling of TP as tables
prices      what a replica costs                         ageing          prices too old to plan with
supplies    what a fleet offers to a mix                 mix             the cheapest integer mix (HiGHS)
placing     a mix by pool, zone and hour                 weights         traffic shares and their integers
plan        all of it as one Plan, and its JSON          reasons         the plan in sentences
whatif      without, on spot, at a budget                difference      two plans side by side
tables      the figures that the field publishes         autoscaling     when a pool grows
advice      how one would serve a model                  candidates      instances that hold it

Import the module that is needed: the solver is loaded with `mix` and `plan` only.
"""
