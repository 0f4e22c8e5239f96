"""A fleet on virtual time: the shipped decisions run through days of traffic and failures in seconds.

arrivals  when requests come, and how much work each is     histogram  latencies, kept within 1 %
service   what one replica is                               rows       the state of a fleet, as arrays
traffic   every request between two events: start here      kernel     what traffic runs, compiled

    arrivals -> traffic -> pool by weight -> replica by balance -> in service | waiting | refused -> served | sent again

A *service* is what one replica is: its slots, the seconds a request takes by the number in service, and its
queue. A request has *work*, 1 being the mean one. A replica *takes traffic* until it is drained, killed or
noticed to be dead; dead and unnoticed, it is still drawn and breaks what it is given.

Nothing in these files does I/O or reads a clock. numba is an optional extra (`holdfast[simulate]`).
"""
