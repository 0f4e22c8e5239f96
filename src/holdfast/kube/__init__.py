"""The only speaker to the Kubernetes API. Objects are JSON as the server has it: dicts.

kinds        which kinds of objects, and where they are in the API
connection   one API server: read, write, watch      credentials  where it is, and who we are to it
answers      what it says                            errors       what may come back instead
watching     objects as they were last told          leases       who leads

httpx2 is imported by connection, answers and credentials, lightkube by credentials alone.
"""
