"""The whole job on one machine, on emulated accelerators: measure, plan, render, survive a capacity loss, report.

units      the emulated units and their processes       measure    their breaking points, over HTTP
wave       the fleet under load while a pool goes       timelines  what happened, as a Timeline
run        all of it in order                           fleets/    the two fleets, as any user would write them
"""
