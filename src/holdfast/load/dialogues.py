"""What users wrote, from a file: prompts as JSON lines, or conversations as ShareGPT has them.

    {"prompt": "…", "max_tokens": 80}                                   or "text"; or "output_tokens"
    {"messages": [{"role": "system", "content": "…"}, {"role": "user", "content": "…"}]}
    [{"conversations": [{"from": "human", "value": "…"}, {"from": "gpt", "value": "…"}, …]}, …]

A row of `messages` is sent as it is. Of `conversations` the human's turns are asked one after another, and the
recorded answers only say how long the answers should be: the history is made of the server's own.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any

from holdfast.model.errors import InputError

Message = dict[str, Any]
"""One message of the chat API: role and content."""

_HUMANS = ("human", "user")
_SYSTEMS = ("system",)
_NOTHING = {"value": ""}


@dataclass(frozen=True)
class Turn:
    """What is asked once.

    tokens:     of the text, 0 when they have not been counted.
    tokens_out: of the answer that is asked for, 0 when nothing says how long it should be.
    answer:     the recorded answer, which tells that where it can be counted; empty when there is none.
    """

    text: str
    tokens: int = 0
    tokens_out: int = 0
    answer: str = ""


@dataclass(frozen=True)
class Dialogue:
    """Turns of one user, at least one. `opening` are the messages before the first: system prompt, earlier turns."""

    turns: tuple[Turn, ...]
    opening: tuple[Message, ...] = ()


def read(text: str, *, where: str) -> tuple[Dialogue, ...]:
    """The dialogues of a file. Raises InputError naming `where` and the line or item.

    Conversations in which no human says anything are left out: ShareGPT has thousands of them.
    """
    dialogues = []
    for place, row in _rows(text, where):
        try:
            dialogue = _dialogue(row)
        except ValueError as error:
            raise InputError(str(error), where=f"{where}:{place}", mend="mend or remove it") from error
        if dialogue.turns:
            dialogues.append(dialogue)
    if not dialogues:
        raise InputError("the file has no prompts", where=where, mend='write lines such as {"prompt": "…"}')
    return tuple(dialogues)


def _rows(text: str, where: str) -> list[tuple[str, Any]]:
    """Each row with its place: `12` for a line, `item 12` of an array."""
    if text.lstrip().startswith("["):
        try:
            return [(f"item {number}", row) for number, row in enumerate(json.loads(text), 1)]
        except (ValueError, RecursionError) as error:
            raise InputError(f"this is not JSON ({error})", where=where) from error
    rows = []
    # Not splitlines: JSON text may hold U+2028, which that would take for the end of a line.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            rows.append((str(number), json.loads(line)))
        except (ValueError, RecursionError) as error:
            raise InputError(f"this line is not JSON ({error})", where=f"{where}:{number}") from error
    return rows


def _dialogue(row: Any) -> Dialogue:
    if not isinstance(row, dict):
        raise ValueError("this is not a JSON object")
    if "conversations" in row:
        return _shared(row["conversations"])
    tokens_out = _length(row.get("max_tokens", row.get("output_tokens")))
    if "messages" in row:
        return _messages(row["messages"], tokens_out)
    text = row.get("prompt", row.get("text"))
    if not isinstance(text, str) or not text:
        raise ValueError("there is no text under prompt, text, messages or conversations")
    return Dialogue((Turn(text, tokens_out=tokens_out),))


def _messages(messages: Any, tokens_out: int) -> Dialogue:
    if not isinstance(messages, list) or not all(isinstance(m, dict) and "role" in m for m in messages):
        raise ValueError("messages is not a list of objects with role and content")
    if not messages or messages[-1]["role"] != "user" or not isinstance(messages[-1].get("content"), str):
        raise ValueError("the last of the messages is not a text of the user")
    return Dialogue((Turn(messages[-1]["content"], tokens_out=tokens_out),), tuple(messages[:-1]))


def _shared(parts: Any) -> Dialogue:
    if not isinstance(parts, list) or not all(isinstance(p, dict) and isinstance(p.get("value"), str) for p in parts):
        raise ValueError("conversations is not a list of objects with from and value")
    turns, opening = list[Turn](), list[Message]()
    for part, after in itertools.zip_longest(parts, parts[1:], fillvalue=_NOTHING):
        if part.get("from") in _SYSTEMS and not turns:
            opening.append({"role": "system", "content": part["value"]})
        if part.get("from") in _HUMANS and part["value"]:
            turns.append(Turn(part["value"], answer="" if after.get("from") in _HUMANS else after["value"]))
    return Dialogue(tuple(turns), tuple(opening))


def _length(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 10_000_000:
        raise ValueError(f"{value!r} is not a number of output tokens")
    return value
