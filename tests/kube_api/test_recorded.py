"""What a real API server answered, our server answers too: every key, but for those that `comparing` lists."""

from __future__ import annotations

import pytest

from kube_api import comparing, scripts


@pytest.mark.parametrize("name", scripts.SCRIPTS)
def test_our_server_answers_as_the_real_one_did(name: str) -> None:
    steps = comparing.transcript(name)
    ours = comparing.replayed(steps)
    found = [
        line
        for n, (real, our) in enumerate(zip(steps, ours, strict=True))
        for line in comparing.differences(real["answered"], our["answered"], f"{name}/{n}")
    ]
    assert not found, "\n".join(found)


def test_the_recordings_are_of_the_scripts_as_they_stand() -> None:
    for name, script in scripts.SCRIPTS.items():
        asked = [step["asked"] for step in comparing.transcript(name)]
        assert asked == [{k: v for k, v in step.items() if v or k in ("method", "path")} for step in script], name
    assert sum(len(script) for script in scripts.SCRIPTS.values()) == 247


def test_what_is_not_compared_is_still_different() -> None:
    """An excuse that nothing needs any more goes."""
    for path in comparing.NOT_MODELLED:
        name, step, *_ = path.split("/")
        steps = comparing.transcript(name)
        real, ours = (played[int(step)]["answered"] for played in (steps, comparing.replayed(steps)))
        assert real != ours, path
