"""What accelerators and instance types there are, and what they cost.

devices    accelerators            instances  instance types
prices     offerings               listing    all of it as tables
own        the user's own prices   refresh    current prices from AWS
rows       reading the data files  lookup     finding by name, with the nearest names in the error
fleets     what it knows of the units of a fleet
models     architectures           configs    reading a Hugging Face config.json (families, parts, quantisation, fields)

The figures live in `data/`, each with its source; a file is read when it is first asked for.
"""

from holdfast.catalog.devices import accelerator, accelerators
from holdfast.catalog.fleets import equipment_of, hardware_of, offerings_by_way, offerings_of
from holdfast.catalog.instances import instance_type, instance_types
from holdfast.catalog.listing import tables
from holdfast.catalog.prices import (
    STALE_AFTER_DAYS,
    age_days,
    citation,
    cited_date,
    days_since,
    offerings,
    price,
    regions,
    stale,
    too_old,
)

__all__ = [
    "STALE_AFTER_DAYS",
    "accelerator",
    "accelerators",
    "age_days",
    "citation",
    "cited_date",
    "days_since",
    "equipment_of",
    "hardware_of",
    "instance_type",
    "instance_types",
    "offerings",
    "offerings_by_way",
    "offerings_of",
    "price",
    "regions",
    "stale",
    "tables",
    "too_old",
]
