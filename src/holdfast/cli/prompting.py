"""The flags that say what prompts are made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.cli import flags
from holdfast.cli.sections import option
from holdfast.model.errors import InputError

if TYPE_CHECKING:
    from holdfast.load.recipes import Recipe

_PROMPTS = "Prompts"

OPTIONS = (
    option(
        _PROMPTS,
        "--tokenizer",
        metavar="DIR|words|bytes",
        default="words",
        show_default=True,
        help="What lengths are counted with: the model's own for exact ones. words: about a token each.",
    ),
    option(
        _PROMPTS, "--prefix-tokens", type=flags.COUNT, help="So many of the input tokens are shared with other prompts."
    ),
    option(_PROMPTS, "--prefix-pool", type=flags.COUNT, help="Of so many prefixes, at random.  [default: 1]"),
    option(
        _PROMPTS,
        "--turns",
        type=flags.COUNT,
        default="1",
        show_default=True,
        help="Requests of a conversation, each with the answers before it.",
    ),
    option(
        _PROMPTS,
        "--prompts",
        type=flags.FILE,
        metavar="FILE",
        help="JSON lines with prompt, text or messages; or ShareGPT's JSON. Shuffled and cycled.",
    ),
    option(_PROMPTS, "--image-size", type=flags.SIZE, help="Of --api images, e.g. 512x512."),
)


def recipe(
    *,
    tokenizer: str,
    prefix_tokens: int | None,
    prefix_pool: int | None,
    turns: int,
    prompts: Path | None,
    image_size: str | None,
) -> Recipe:
    """The recipe that the flags describe; files are read here and never again. Raises InputError."""
    if prefix_pool is not None and prefix_tokens is None:
        raise InputError("a pool of prefixes needs their length", where="--prefix-pool", mend="give --prefix-tokens")
    from holdfast.load import dialogues, tokenizers
    from holdfast.load.recipes import Recipe

    return Recipe(
        vocabulary=tokenizers.load(tokenizer),
        prefix_tokens=prefix_tokens or 0,
        prefix_pool=prefix_pool or 1,
        turns=turns,
        dialogues=() if prompts is None else dialogues.read(flags.read_text(prompts), where=str(prompts)),
        source="" if prompts is None else str(prompts),
        image_size=image_size or "",
    )
