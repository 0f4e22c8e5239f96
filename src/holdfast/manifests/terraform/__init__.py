"""The account's part: network, cluster, rights, buckets.

account     Terraform as a person writes it, the same for every plan; a folder of this package
tree        its files, and the values that a plan gives its variables
workloads   what runs with rights in AWS
quotas      vCPUs that a plan needs of EC2's quotas
"""
