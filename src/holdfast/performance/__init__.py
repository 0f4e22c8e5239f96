"""What a model needs of memory, and what it should reach on a device.

memory     what fits, and the least parallelism that does      engines    what the serving engine takes
"""
