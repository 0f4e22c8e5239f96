"""What answers requests: pods, their images and files, their rights and their network.

deployment, leader_worker_set   servers that fit a node, servers that take several
pod                             one server, or a server's part on one node
engine      image, command, arguments, variables, probes       neuron           vLLM on AWS Neuron
own_server  holdfast's own, for what vLLM does not serve
model_files how the model's files come (download.sh)           resources        devices, CPU, memory, disk
fabric      several nodes: ranks, EFA                          disaggregation   prefill and decode apart
claims      devices by Dynamic Resource Allocation             neighbours       which pods are near which
labels      of pods, and what selects them                     network_policy   who may reach whom
service, service_account, disruption_budget, drain             refusals         what cannot be served as stated
"""
