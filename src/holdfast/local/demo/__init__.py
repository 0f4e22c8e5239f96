"""The whole job on one machine: measure, plan, render, survive a capacity loss, report.

staging    which fleets, on which processes             fleets/    the two emulated fleets, as any user would write them
units      the emulated units and their processes       servers    servers of one's own, as a file names them
measure    breaking points, over HTTP                   wave       the fleet under load while a pool goes
timelines  what happened, as a Timeline                 run        all of it in order
"""
