"""What the API server told, as an observation.

watches      what is watched                  sight          what was told, sorted by fleet
seen         what was told of one fleet       observe        that as an observation
capacity     shortages                        interruptions  replicas with a notice
replicas     how many there are               events         which are read, and for how long
stamps       conditions and moments of objects    scalers   which of them cannot scale
"""
