# SPDX-License-Identifier: GPL-2.0
"""What a scenario may cost, and whether it does: the bounds are those of scenarios.py."""

from fnmatch import fnmatchcase

from scenarios import BOUNDS, TOTAL_SLACK_CAP


def bound_of(name):
    return next(bound for pattern, bound in BOUNDS if fnmatchcase(name, pattern))


def own(result, side="rust"):
    """What the driver's own code costs."""
    return result[side]["by_module"].get(result[side]["driver"], 0.0)


def limits(result):
    """The ratios that this result may have; a total without a bound of its own gets its spread."""
    bound = bound_of(result["name"])
    total = bound.total
    if total is None:
        total = 1 + min(result["spread"], TOTAL_SLACK_CAP)
    return {"core": bound.core, "total": round(total, 4)}


def failures(result):
    """What is above the limits, as sentences; empty when it passes."""
    found = [
        f"{key} ratio {result['ratio'][key]:.4f} > {limit:.4f}"
        for key, limit in limits(result).items()
        if result["ratio"][key] > limit
    ]
    most = bound_of(result["name"]).own
    if most is not None and own(result) > most:
        found.append(f"the driver's own code {own(result):.1f} > {most} instructions")
    return found


def failing_first(results):
    """Those above their bounds lead, the worst of them first; the others stay in their order."""
    return sorted(results, key=lambda r: -excess(r) if r["gate"] else 0)


def excess(result):
    bounds, most = limits(result), bound_of(result["name"]).own
    shares = [result["ratio"][key] / bounds[key] for key in bounds]
    return max(shares + ([own(result) / most] if most else []))
