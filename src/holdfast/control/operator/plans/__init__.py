"""Which plan a fleet runs.

planned      the plan of a fleet, kept up to date     settling      which plan runs, and which is due
plan_inputs  what a plan is made on                   plan_records  the ConfigMaps of plans
settled      what comes of it                         planner       plans in a process of their own
"""
