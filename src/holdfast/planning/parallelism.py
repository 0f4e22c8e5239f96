"""The grid of configurations as tables: the grid itself, data parallelism, scaling of tensor parallelism.

grid           every configuration and what the TP rule took
data_parallel  whole instances of what it took on each platform, held against the first: gain, extra cost, efficiency
tp_scaling     peak throughput against the smallest TP: speed-up, and efficiency = speed-up / (TP / smallest TP)
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.model.tables import Cell, Column, Table
from holdfast.planning.grid import GridCell
from holdfast.planning.tp_rule import Choice

_PRICE = Column("price", "USD/h", 4)


def of_cells(cells: Sequence[GridCell], choices: Sequence[Choice], settled: Sequence[Choice] = ()) -> dict[str, Table]:
    """The tables that the cells have something to say in, by name.

    choices: what the TP rule takes on each platform; settled: for each unit that left it to the plan.

    grid:          where a platform has several configurations; of those platforms.
    data_parallel: where an instance holds several replicas of what was chosen, or leaves devices idle, or where a
                   replica takes several.
    tp_scaling:    where a platform has several degrees of TP.
    """
    found: dict[str, Table] = {}
    compared = [choice for choice in choices if len(_of(cells, choice.name)) > 1]
    if compared:
        found["grid"] = grid([c for choice in compared for c in _of(cells, choice.name)], compared, settled)
    chosen = [choice.cell for choice in choices if choice.cell is not None]
    if any(cell.replicas_per_instance > 1 or cell.instances_per_replica > 1 or cell.idle_devices for cell in chosen):
        found["data_parallel"] = data_parallel(chosen)
    for choice in choices:
        own = _of(cells, choice.name)
        if len({cell.configuration.tensor_parallel for cell in own}) > 1:
            name = "tp_scaling" if "tp_scaling" not in found else f"tp_scaling of {choice.name}"
            found[name] = tp_scaling(own)
    return found


def grid(cells: Sequence[GridCell], choices: Sequence[Choice], settled: Sequence[Choice] = ()) -> Table:
    """Every configuration: one replica's throughput and latency, what an instance gives, and whether it does."""
    mixed, spanned = len({cell.estimated for cell in cells}) > 1, any(cell.instances_per_replica > 1 for cell in cells)
    statistics = sorted({cell.statistic for cell in cells if cell.statistic}) or [""]
    latency = f"latency {statistics[0]}".strip() if len(statistics) == 1 else "latency"
    return Table(
        title="TP x batch: every configuration, at its highest load within the SLO",
        columns=(
            Column("configuration"),
            Column("TP"),
            Column("batch"),
            Column("throughput", "requests/s", 2),
            Column(latency, "s", 3),
            Column("replicas per instance"),
            *((Column("instances per replica"),) if spanned else ()),
            Column("idle devices"),
            _PRICE,
            Column("RPS per $", "requests/s per USD/h", 2),
            Column("verdict"),
        ),
        rows=tuple(
            _grid_row(cell, _chosen(cell, choices, settled), mixed, spanned) for cell in sorted(cells, key=_order)
        ),
        notes=(*(f"{choice.name}: {choice.why}" for choice in _told(choices, settled)), *_estimates(cells)),
    )


def _estimates(cells: Sequence[GridCell]) -> tuple[str, ...]:
    estimated = sum(cell.estimated for cell in cells)
    said = f"{estimated} of {len(cells)} configurations are estimates, not measured; their latencies are means."
    return (said,) if estimated else ()


def _order(cell: GridCell) -> tuple[object, ...]:
    shape = cell.configuration
    return shape.platform, shape.tensor_parallel, shape.pipeline_parallel, shape.max_num_seqs or 0, shape.instance_type


def _told(choices: Sequence[Choice], settled: Sequence[Choice]) -> tuple[Choice, ...]:
    """Of choices that are the same cell that of the unit, for which it was made."""
    units = [choice.cell for choice in settled]
    return (*(choice for choice in choices if choice.cell is None or choice.cell not in units), *settled)


def _chosen(cell: GridCell, choices: Sequence[Choice], settled: Sequence[Choice]) -> str:
    units = [choice.name for choice in settled if choice.cell == cell]
    if units:
        return f"chosen for {', '.join(units)}"
    return "chosen" if any(choice.cell == cell for choice in choices) else ""


def _grid_row(cell: GridCell, chosen: str, mixed: bool, spanned: bool) -> tuple[Cell, ...]:
    shape = cell.configuration
    verdict = cell.why_not or chosen or "meets the SLO"
    verdict += " (estimate)" if mixed and cell.estimated else ""
    return (
        shape.name,
        shape.tensor_parallel,
        shape.max_num_seqs,
        cell.rate_per_s,
        cell.latency_s,
        cell.replicas_per_instance,
        *((cell.instances_per_replica,) if spanned else ()),
        cell.idle_devices,
        cell.bought_usd_per_h,
        cell.per_dollar if cell.holds else None,
        verdict,
    )


def data_parallel(chosen: Sequence[GridCell]) -> Table:
    """Whole instances with all the replicas that fit, each held against the first; needs at least one cell."""
    priced = [cell for cell in chosen if cell.price_usd_per_h is not None]
    spanned = any(cell.instances_per_replica > 1 for cell in chosen)
    base = priced[0] if priced else None
    held_against = f", held against {base.configuration.name}" if base is not None and len(priced) > 1 else ""
    return Table(
        title=f"Data parallelism{held_against}",
        columns=(
            Column("configuration"),
            Column("replicas"),
            Column("devices"),
            Column("idle devices"),
            Column("throughput", "requests/s", 2),
            _PRICE,
            Column("RPS per $", "requests/s per USD/h", 2),
            Column("throughput gain", "x", 2),
            Column("cost increase", "x", 2),
            Column("efficiency", "x", 2),
        ),
        rows=tuple(_parallel_row(cell, base) for cell in chosen),
        notes=(
            "Replicas per instance are its devices // devices of a replica; idle devices are paid for.",
            *(
                ("A replica that takes several instances takes them whole: its row is of all of them.",)
                if spanned
                else ()
            ),
        ),
    )


def _parallel_row(cell: GridCell, base: GridCell | None) -> tuple[Cell, ...]:
    replicas = cell.replicas_per_instance
    whole = (replicas, cell.bought_devices, cell.idle_devices, cell.bought_per_s, cell.bought_usd_per_h)
    return (cell.configuration.name, *whole, cell.per_dollar, *_held_against(cell, base))


def _held_against(cell: GridCell, base: GridCell | None) -> tuple[float | None, float | None, float | None]:
    """Throughput gain, cost increase and efficiency, each as a ratio; None where a price is missing."""
    if base is None or not cell.bought_per_s or not base.bought_per_s:
        return None, None, None
    gain = cell.bought_per_s / base.bought_per_s
    if cell.bought_usd_per_h is None or base.bought_usd_per_h is None:
        return gain, None, None
    increase = cell.bought_usd_per_h / base.bought_usd_per_h
    return gain, increase, gain / increase


def tp_scaling(cells: Sequence[GridCell]) -> Table:
    """Per degree of TP the configuration with the highest peak, held against that of the smallest degree."""
    tokens = all(cell.peak_tokens_per_s is not None for cell in cells)
    best = [max(_at(cells, tp), key=lambda cell: _peak(cell, tokens)) for tp in _degrees(cells)]
    base = best[0]
    return Table(
        title=f"Scaling of tensor parallelism on {base.configuration.platform}",
        columns=(
            Column("configuration"),
            Column("TP"),
            Column("peak of a replica", *(("tokens/s", 0) if tokens else ("requests/s", 2))),
            Column("speed-up", "x", 2),
            Column("efficiency", "%", 1),
        ),
        rows=tuple(_scaling_row(cell, base, tokens) for cell in best),
        notes=(
            f"Against TP {base.configuration.tensor_parallel}, the smallest there is; efficiency is the speed-up over "
            "the ratio of the degrees: at 100 % a device gives as much as before.",
        ),
    )


def _scaling_row(cell: GridCell, base: GridCell, tokens: bool) -> tuple[Cell, ...]:
    degree = cell.configuration.tensor_parallel
    speed_up = _peak(cell, tokens) / _peak(base, tokens)
    efficiency = speed_up / (degree / base.configuration.tensor_parallel)
    return cell.configuration.name, degree, _peak(cell, tokens), speed_up, efficiency * 100


def _peak(cell: GridCell, tokens: bool) -> float:
    value = cell.peak_tokens_per_s if tokens else cell.peak_per_s
    return value or 0.0


def _degrees(cells: Sequence[GridCell]) -> list[int]:
    return sorted({cell.configuration.tensor_parallel for cell in cells if cell.peak_per_s})


def _at(cells: Sequence[GridCell], tensor_parallel: int) -> list[GridCell]:
    return [cell for cell in cells if cell.configuration.tensor_parallel == tensor_parallel and cell.peak_per_s]


def _of(cells: Sequence[GridCell], platform: str) -> list[GridCell]:
    return [cell for cell in cells if cell.configuration.platform == platform]
