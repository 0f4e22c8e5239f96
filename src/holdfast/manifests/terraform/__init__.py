"""The account's part: network, cluster, rights, buckets."""
