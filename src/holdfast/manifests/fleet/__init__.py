"""A fleet for the operator of a cluster: what a person applies, so that the operator brings the rest.

resource   the InferenceFleet     plan_map   its plan, as a ConfigMap
tree       both, with what the operator may not write: namespace, node pools, rights in the namespace
"""
