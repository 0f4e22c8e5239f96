"""What the prompts of a run are made of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from holdfast.load import tokenizers
from holdfast.load.dialogues import Dialogue
from holdfast.load.shards import Shard
from holdfast.load.tokenizers import Vocabulary
from holdfast.model.errors import InputError
from holdfast.model.fleet import Api, TokenLengths, Workload


@dataclass(frozen=True)
class Recipe:
    """What prompts are made of; whole before the first is sent, so that nothing is read while load runs.

    vocabulary:    what texts are made of and counted with.
    prefix_tokens: how many of the input tokens of a prompt (of the first, in a conversation) are its prefix, which
                   it shares with others; 0 for none. They are counted within the input length, so that a length
                   means the same with a prefix and without.
    prefix_pool:   how many prefixes there are; each prompt takes one at random.
    turns:         requests of one user, each holding the answers before it.
    dialogues:     what users wrote; empty: texts are drawn. They are shuffled by the seed and cycled.
    source:        the file that they come from.
    image_size:    of the images API, such as `512x512`; empty leaves it to the server.
    """

    vocabulary: Vocabulary = field(default_factory=tokenizers.words)
    prefix_tokens: int = 0
    prefix_pool: int = 1
    turns: int = 1
    dialogues: tuple[Dialogue, ...] = ()
    source: str = ""
    image_size: str = ""

    def described(self) -> dict[str, str | int]:
        """The recipe in words and numbers, for the record of a run; what is as it always is is left out."""
        told: dict[str, str | int] = {"tokenizer": self.vocabulary.name}
        if self.prefix_tokens:
            told |= {"prefixTokens": self.prefix_tokens, "prefixPool": self.prefix_pool}
        if self.turns > 1:
            told["turns"] = self.turns
        if self.source:
            told["prompts"] = self.source
        if self.image_size:
            told["imageSize"] = self.image_size
        return told

    def part(self, shard: Shard) -> Recipe:
        """The recipe of one shard of a load: of a file's dialogues it has its own, if there are enough for all."""
        return replace(self, dialogues=self.dialogues[shard.index :: shard.count] or self.dialogues)

    @property
    def requests(self) -> int:
        """How many requests the dialogues make before they are cycled."""
        return sum(min(self.turns, len(dialogue.turns)) for dialogue in self.dialogues)

    def check(self, workload: Workload) -> None:
        """Raises InputError where the parts do not go together, or not with `workload`."""
        api = workload.api
        if self.turns > 1 and not api.makes_tokens:
            raise InputError(f"the {api.value} API has no conversations", where="--turns", mend="leave it out")
        if self.image_size and api is not Api.IMAGES:
            raise InputError(f"the {api.value} API makes no images", where="--image-size", mend="leave it out")
        if self.prefix_tokens:
            self._check_prefix(workload)
        if self.dialogues and self.turns > 1 and max(len(dialogue.turns) for dialogue in self.dialogues) == 1:
            raise InputError(
                "the file has no conversation of several turns", where=self.source, mend="leave out --turns"
            )
        if api is not Api.CHAT and any(dialogue.opening for dialogue in self.dialogues):
            raise InputError(
                "the file has messages, which are of the chat API", where=self.source, mend="give --api chat"
            )

    def check_trace(self, api: Api, shortest_in: int) -> None:
        """Raises InputError where it cannot make prompts of a trace's lengths, of which `shortest_in` is the least."""
        if self.turns > 1:
            raise InputError("the requests of a trace are no conversations", where="--turns", mend="leave it out")
        if self.dialogues:
            raise InputError("a trace says how long prompts are, and the file has its own", where=self.source)
        if self.prefix_tokens and self.least_tokens(api) > shortest_in:
            raise InputError(
                f"the prefix of {self.prefix_tokens} tokens leaves no room in the trace's prompt of {shortest_in}",
                where="--prefix-tokens",
                mend="give a shorter prefix",
            )

    def _check_prefix(self, workload: Workload) -> None:
        if self.dialogues:
            raise InputError("prompts from a file have no prefix added", where="--prefix-tokens", mend="leave it out")
        lengths = workload.input_tokens
        if lengths is None:
            raise InputError(
                f"the {workload.api.value} API asks no length", where="--prefix-tokens", mend="leave it out"
            )
        if self.least_tokens(workload.api) > shortest(lengths):
            raise InputError(
                f"the prefix of {self.prefix_tokens} tokens leaves no room in a prompt of {shortest(lengths):g}",
                where="--prefix-tokens",
                mend="the prefix is a part of the input tokens: give more of these, or a shorter prefix",
            )

    def specials(self, api: Api) -> int:
        """Tokens that the server's tokenizer puts around a prompt and counts; those of a chat are its template's."""
        return 0 if api is Api.CHAT else self.vocabulary.specials

    def least_tokens(self, api: Api) -> int:
        """The shortest prompt that can be made: prefix, one token of its own, and what the tokenizer adds."""
        return self.prefix_tokens + 1 + self.specials(api)

    def advice(self, api: Api) -> str:
        """What to do when the server counts other prompt lengths than were asked for."""
        if not self.vocabulary.exact:
            return "give --tokenizer with the model's own for prompts of an exact length"
        if api is Api.CHAT:
            return "the chat template's own tokens come on top of the prompt's"
        return "--tokenizer is not the tokenizer that the server uses"


def shortest(lengths: TokenLengths) -> float:
    """The least prompt length that is asked for on purpose: the min, or the mean where nothing else is said."""
    return lengths.min if lengths.min is not None else lengths.mean
