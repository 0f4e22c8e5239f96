"""The only speaker to the Kubernetes API. Objects are JSON as the server has it: dicts.

kinds       which kinds of objects, and where they are in the API     errors     what may come back instead of an answer
connection  one API server: read, write, watch                        watching   objects as they were last told
leases      who leads
"""
