"""Are these numbers possible?

Rows of a measurement file, stages of a run, or a plan go in; `Finding`s come out: what was found, what was expected,
how grave it is, and the likeliest explanation. Each check is a plain function; nothing here does I/O.
"""
