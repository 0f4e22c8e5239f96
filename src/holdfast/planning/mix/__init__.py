"""The cheapest mix of replicas that carries a demand, survives what it must, and stays within its limits.

The nouns:

    Candidate     a unit: the limit of one replica by size of request (bucket), replicas per instance, least and most
                  replicas, the time a replica takes to start, and where it can be bought:
    Supply        a unit's instances in one zone and capacity type: price, most replicas, quota class and vCPUs
    Requirement   demand by period and bucket, utilisation target, losses to survive, least share of a pool, most pools,
                  quotas
    Mix           the answer: Allotments (replicas by supply and period), traffic by unit, period and bucket, cost, its
                  certified gap, the constraints that bind; or why there is none, and the smallest Relaxation that
                  makes one

How it is found: `search` goes through its stages, and for each `settling` solves programs until they survive each of
the `losses`. `program` builds them, with `pools`, `giving` and `cuts`, and `highs` solves them; `carrying` says whether
replicas carry a demand; `day` joins single periods; `traffic` says which requests go where; `shortfall` and `binding`
put the outcome into words. docs/planning.md has the program in formulas.
"""

from holdfast.planning.mix.answer import Binding, Mix, Relaxation
from holdfast.planning.mix.cheapest import cheapest_mix
from holdfast.planning.mix.problem import Candidate, Problem, Requirement, Supply, one_rate

__all__ = [
    "Binding",
    "Candidate",
    "Mix",
    "Problem",
    "Relaxation",
    "Requirement",
    "Supply",
    "cheapest_mix",
    "one_rate",
]
