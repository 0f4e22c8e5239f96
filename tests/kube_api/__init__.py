"""A Kubernetes API server for tests: in memory, exact, and as wrong as a test wants it.

api        a request and the time in, an answer or a watch out: start reading here
store      objects, revisions, the log that watches read    watching     one stream
resources  what is served          discovery    telling so          defaults     what is filled in
writing    create, replace, patch, apply, delete  checking     schemas, unknown fields
merging, ownership, fields, shapes   server-side apply              selectors    labels and fields
quantities, events   spellings       lifetimes    how objects begin, count and end
collecting garbage                 faults       what may go wrong   serving      a request with its faults
transport  an httpx2 transport, in process          server       HTTP/1.1 on loopback
record, recorded/, comparing   what a real API server answered to the same requests
"""
