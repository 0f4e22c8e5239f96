"""What is asked of the server, request by request, as bodies that are ready to send.

Prompts are unique unless a prefix, a conversation or a file makes them share a beginning: they are drawn token by
token, so that two share a first cache block of 16 tokens only by a freak of chance. A shared beginning would be served
from a prefix cache and flatter the server. The server's own `usage.prompt_tokens` is recorded beside the length that
was asked for, and a material difference is reported.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from holdfast.load import lengths
from holdfast.load.bodies import Form
from holdfast.load.dialogues import Dialogue, Message, Turn
from holdfast.load.recipes import Recipe
from holdfast.model.fleet import Api, Workload

_IMAGE_WORDS = 12
"""Of a prompt whose length nothing says: about what people write to have a picture made."""

Lengths = Iterator[tuple[int, int]]
"""Input and output tokens, request by request."""


@dataclass(frozen=True)
class Ask:
    """One request, ready to send: its body and the lengths that it asks for (0 where unknown).

    follow: of a conversation that goes on: gives the next turn, made of the answer's text; None when it has ended.
    """

    body: bytes
    tokens_in: int
    tokens_out: int
    follow: Callable[[str], Ask | None] | None = None


def asks(
    workload: Workload,
    model: str,
    seed: int,
    *,
    prefix_seed: int | None = None,
    recipe: Recipe | None = None,
    traced: Lengths | None = None,
    stream: bool = True,
    extensions: bool = True,
) -> Iterator[Ask]:
    """A seeded sequence of requests of this workload, endless unless `traced` ends.

    prefix_seed: of the shared prefixes, where several sequences share them; by default the seed.
    recipe: what prompts are made of; words of the workload's lengths by default.
    traced: lengths to use instead of the workload's.
    extensions: also send `min_tokens` and `ignore_eos`, which vLLM knows and OpenAI does not.
    """
    recipe = recipe or Recipe()
    form = Form(workload, model, stream, extensions, recipe.image_size)
    chance = np.random.default_rng(seed)
    # Of its own chance: sequences that share the pool draw everything else each for itself.
    pool = _prefixes(recipe, np.random.default_rng([seed if prefix_seed is None else prefix_seed, 1]))
    dialogues = _written(form, recipe, chance) if recipe.dialogues else _drawn(form, recipe, chance, pool, traced)
    for dialogue in dialogues:
        yield _ask(form, recipe, dialogue, int(chance.integers(2**31)) if form.asks_a_seed else 0)


def _prefixes(recipe: Recipe, chance: np.random.Generator) -> list[str]:
    if not recipe.prefix_tokens:
        return []
    return [recipe.vocabulary.text(recipe.prefix_tokens, chance) for _ in range(recipe.prefix_pool)]


def _drawn(
    form: Form, recipe: Recipe, chance: np.random.Generator, pool: list[str], traced: Lengths | None
) -> Iterator[Dialogue]:
    """Dialogues whose turns are drawn, the first with a prefix from the pool."""
    api, vocabulary = form.workload.api, recipe.vocabulary
    specials, least = recipe.specials(api), recipe.least_tokens(api)
    later = _lengths(form.workload, chance, 1)
    for n_in, n_out in traced if traced is not None else _lengths(form.workload, chance, least):
        prefix = pool[int(chance.integers(len(pool)))] if pool else ""
        n = max(n_in, least) - specials
        first = Turn(vocabulary.text(n, chance, prefix), _known(form, n), n_out)
        others = itertools.islice(later, recipe.turns - 1)
        yield Dialogue((first, *(Turn(vocabulary.text(n, chance), _known(form, n), out) for n, out in others)))


def _written(form: Form, recipe: Recipe, chance: np.random.Generator) -> Iterator[Dialogue]:
    """The dialogues of a file, each cut at the recipe's turns, with the lengths that its file leaves open."""
    order = chance.permutation(len(recipe.dialogues))
    drawn = _lengths(form.workload, chance, 1)
    for place in itertools.cycle(order):
        dialogue = recipe.dialogues[place]
        turns = []
        for turn in dialogue.turns[: recipe.turns]:
            tokens = _known(form, recipe.vocabulary.count(turn.text))
            recorded = recipe.vocabulary.count(turn.answer) if turn.answer else 0
            turns.append(replace(turn, tokens=tokens, tokens_out=turn.tokens_out or recorded or next(drawn)[1]))
        yield replace(dialogue, turns=tuple(turns))


def _lengths(workload: Workload, chance: np.random.Generator, least: int) -> Lengths:
    """Input and output tokens by the workload; where it asks none, a dozen and 0."""
    n_in, n_out = workload.input_tokens, workload.output_tokens
    return zip(
        lengths.draws(n_in, chance, least) if n_in is not None else itertools.repeat(_IMAGE_WORDS),
        lengths.draws(n_out, chance) if n_out is not None else itertools.repeat(0),
        strict=False,
    )


def _known(form: Form, tokens: int) -> int:
    """The tokens of a prompt as far as the server counts the same: 0 for images, and inside of a body of the user's."""
    if form.workload.api is Api.POST:
        return tokens if form.template.asks_the_prompt_alone else 0
    return tokens if form.workload.api.takes_tokens else 0


def _ask(form: Form, recipe: Recipe, dialogue: Dialogue, seed: int) -> Ask:
    """The first turn of a dialogue."""
    api, turn, rest = form.workload.api, dialogue.turns[0], dialogue.turns[1:]
    tokens = turn.tokens
    if dialogue.opening:
        counted = [recipe.vocabulary.count(str(message.get("content", ""))) for message in dialogue.opening]
        tokens = tokens + sum(counted) if tokens and all(counted) else 0
    if tokens and api is not Api.POST:
        tokens += recipe.specials(api)
    asks_length = api.makes_tokens or (api is Api.POST and "max_tokens" in form.template.names)
    follow: Callable[[str], Ask] | None = None
    if rest and api is Api.CHAT:
        follow = _Chat(form, recipe, rest, (*dialogue.opening, _said("user", turn.text)), tokens)
    elif rest:
        follow = _Completions(form, recipe, rest, turn.text)
    body = form.body(turn.text, turn.tokens_out, seed, dialogue.opening)
    return Ask(body, tokens, turn.tokens_out if asks_length else 0, follow)


@dataclass(frozen=True)
class _Chat:
    """Asks the next of `turns`, given the answer to the last; `tokens` of the messages before, 0 if unknown."""

    form: Form
    recipe: Recipe
    turns: tuple[Turn, ...]
    before: tuple[Message, ...]
    tokens: int

    def __call__(self, answer: str) -> Ask:
        turn, rest = self.turns[0], self.turns[1:]
        before = (*self.before, _said("assistant", answer))
        answered = self.recipe.vocabulary.count(answer)
        tokens = self.tokens + answered + turn.tokens if self.tokens and answered and turn.tokens else 0
        then = replace(self, turns=rest, before=(*before, _said("user", turn.text)), tokens=tokens)
        body = self.form.body(turn.text, turn.tokens_out, 0, before)
        return Ask(body, tokens, turn.tokens_out, then if rest else None)


@dataclass(frozen=True)
class _Completions:
    """Asks the next of `turns` behind the text so far and its answer, on a line of its own."""

    form: Form
    recipe: Recipe
    turns: tuple[Turn, ...]
    before: str

    def __call__(self, answer: str) -> Ask:
        turn, rest = self.turns[0], self.turns[1:]
        text = f"{self.before}{answer}\n{turn.text}"
        # The whole, as a token may reach over the places where texts meet.
        counted = self.recipe.vocabulary.count(text)
        tokens = counted + self.recipe.specials(self.form.workload.api) if counted else 0
        body = self.form.body(text, turn.tokens_out, 0)
        return Ask(body, tokens, turn.tokens_out, replace(self, turns=rest, before=text) if rest else None)


def _said(role: str, content: str) -> Message:
    return {"role": role, "content": content}
