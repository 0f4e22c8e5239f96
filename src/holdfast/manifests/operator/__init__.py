"""The operator's own objects: its resource, its Deployment, and exactly the rights that it needs.

structural           a JSON schema as Kubernetes takes it        rules    what a fleet must also be, in CEL
resource_definition  the InferenceFleet resource                 rights   who may do what
deployment           the operator's pods                         surroundings   what stands around them

Applied on their own (`kubectl apply -k operator`), once for a cluster: no fleet is in them. What the operator may do in
a fleet's namespace comes with the fleet (manifests/fleet).
"""
