"""docs/advise.md shows the rules as they are. `HOLDFAST_GOLDEN=write pytest` of this file writes them anew."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from holdfast.planning import advice
from holdfast.planning.advice import Rule

PAGE = Path(__file__).parents[2] / "docs" / "advise.md"
BEGIN, END = "<!-- rules: begin -->\n", "<!-- rules: end -->\n"


def test_the_page_shows_the_rules_as_they_are() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    shown, _, after = rest.partition(END)
    rules = "".join(tables())
    if os.environ.get("HOLDFAST_GOLDEN") == "write":
        PAGE.write_text(f"{before}{BEGIN}{rules}{END}{after}", encoding="utf-8")
    else:
        assert shown == rules


def tables() -> Iterator[str]:
    question = ""
    for rule in advice.rules():
        if rule.question != question:
            question = rule.question
            yield f"\n### {question}\n\n| rule | when | advice | because | unless | from |\n{'| --- ' * 6}|\n"
        cells = (rule.name, when(rule), f"**{rule.answer}**: {rule.advice}", rule.why, rule.changes, rule.source)
        yield f"| {' | '.join(cells)} |\n"
    yield "\n"


def when(rule: Rule) -> str:
    conditions = [
        {"": "", "text": "makes text", "fixed": "fixed work"}[rule.kind],
        f"from {rule.from_billions:g}e9 weights" if rule.from_billions else "",
        f"below {rule.below_billions:g}e9 weights" if rule.below_billions < math.inf else "",
        f"held by {either(rule.holds)}" if rule.holds else "",
        f"cheapest on {either(rule.cheapest)}" if rule.cheapest else "",
        f"{rule.accelerators} accelerators hold it" if rule.accelerators else "",
        {"": "", "yes": "half a device holds it", "no": "half a device does not"}[rule.slice],
        f"needs {' and '.join(sorted(rule.needs))}" if rule.needs else "",
        rule.phase,
        f"after {either(rule.given)}" if rule.given else "",
    ]
    return ", ".join(filter(None, conditions)) or "else"


def either(words: frozenset[str]) -> str:
    return " or ".join(sorted(words))
