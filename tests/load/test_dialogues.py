from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.load import dialogues
from holdfast.load.dialogues import Dialogue, Turn
from holdfast.model.errors import InputError

SHARED = {
    "id": "a",
    "conversations": [
        {"from": "system", "value": "Be brief."},
        {"from": "human", "value": "Hello?"},
        {"from": "gpt", "value": "Hello."},
        {"from": "human", "value": "Why?"},
    ],
}


def read(*rows: Any) -> tuple[Dialogue, ...]:
    return dialogues.read("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), where="p.jsonl")


def test_lines_hold_a_prompt_or_a_text_and_how_long_the_answer_should_be() -> None:
    rows = read({"prompt": "a", "max_tokens": 5}, {"text": "b", "output_tokens": 6}, {"prompt": "c"})
    assert [row.turns for row in rows] == [(Turn("a", tokens_out=5),), (Turn("b", tokens_out=6),), (Turn("c"),)]


def test_messages_are_sent_as_they_are() -> None:
    before = ({"role": "system", "content": "Be brief."}, {"role": "assistant", "content": [{"type": "text"}]})
    (row,) = read({"messages": [*before, {"role": "user", "content": "Why?"}]})
    assert row == Dialogue((Turn("Why?"),), before)


@pytest.mark.parametrize("text", [json.dumps([SHARED], indent=2), json.dumps(SHARED), f"\n{json.dumps(SHARED)}\n\n"])
def test_a_shared_conversation_is_the_humans_turns(text: str) -> None:
    (row,) = dialogues.read(text, where="s.json")
    assert row.turns == (Turn("Hello?", answer="Hello."), Turn("Why?"))
    assert row.opening == ({"role": "system", "content": "Be brief."},)


def test_conversations_without_a_human_are_left_out() -> None:
    assert len(read({"conversations": []}, {"conversations": [{"from": "gpt", "value": "…"}]}, SHARED)) == 1


def test_a_line_separator_in_a_text_does_not_end_the_line() -> None:
    assert read({"prompt": "a\u2028b\x85c"})[0].turns[0].text == "a\u2028b\x85c"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", 'p.jsonl: the file has no prompts; write lines such as {"prompt": "…"}.'),
        ("[]", "p.jsonl: the file has no prompts"),
        ('{"conversations": []}', "p.jsonl: the file has no prompts"),
        ('{"prompt": "a"}\n{"prompt": ', "p.jsonl:2: this line is not JSON"),
        ("[1", "p.jsonl: this is not JSON"),
        ('{"prompt": "a"}\n[2]', "p.jsonl:2: this is not a JSON object"),
        ("[2]", "p.jsonl:item 1: this is not a JSON object"),
        ('{"question": "a"}', "p.jsonl:1: there is no text under prompt, text, messages or conversations"),
        ('{"prompt": ""}', "p.jsonl:1: there is no text under"),
        ('{"prompt": ["a"]}', "p.jsonl:1: there is no text under"),
        ('{"prompt": "a", "max_tokens": 0}', "p.jsonl:1: 0 is not a number of output tokens"),
        ('{"prompt": "a", "max_tokens": "9"}', "p.jsonl:1: '9' is not a number of output tokens"),
        ('{"prompt": "a", "max_tokens": true}', "p.jsonl:1: True is not a number of output tokens"),
        ('{"messages": []}', "p.jsonl:1: the last of the messages is not a text of the user"),
        ('{"messages": "a"}', "p.jsonl:1: messages is not a list"),
        ('{"messages": [{"role": "assistant", "content": "a"}]}', "p.jsonl:1: the last of the messages is not"),
        ('{"conversations": [{"from": "human"}]}', "p.jsonl:1: conversations is not a list of objects"),
    ],
)
def test_a_bad_file_is_one_sentence_with_file_and_line(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        dialogues.read(text, where="p.jsonl")
    assert str(caught.value).startswith(said)


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(
    st.sampled_from(["prompt", "messages", "conversations", "from", "value", "role", "content", "max_tokens"]), x
)).map(json.dumps))  # fmt: skip
def test_no_file_is_more_than_a_sentence(text: str) -> None:
    try:
        assert dialogues.read(text, where="p")
    except InputError as error:
        assert str(error).startswith("p")
