"""Where blocking work is done: one thread for the device, a few for preparing inputs."""

from __future__ import annotations

import concurrent.futures

DEVICE = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")
"""All that touches the device, in the order in which it was asked for."""

PREPARING = concurrent.futures.ThreadPoolExecutor(max_workers=2, thread_name_prefix="prepare")
