"""The operator's own objects: its resource, its Deployment, and exactly the rights that it needs.

structural           a JSON schema as Kubernetes takes it        rules    what a fleet must also be, in CEL
resource_definition  the InferenceFleet resource                 rights   who may do what
deployment           the operator's pods                         surroundings   what stands around them

Applied on their own (`kubectl apply -k operator`), once for a cluster. The verb `holdfast operator` comes with the
operator; its resource may be installed before.
"""
