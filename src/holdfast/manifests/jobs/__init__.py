"""Measuring in the cluster: the search for a pool's limit, and load that several pods send together.

Applied on their own (`kubectl apply -k jobs`), never with the base; each Job is suspended until somebody starts it.

requests    what is sent                     place   where runs are kept
limit, load, merge   the Jobs                pod     what their pods have in common
network_policy, service_account, volume_claim, readme   what stands around them
"""
