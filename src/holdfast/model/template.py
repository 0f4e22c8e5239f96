"""The body of a request as a template: JSON with placeholders in its strings.

    {"prompt": "{prompt}", "options": {"steps": 25, "length": "{max_tokens}"}}

`{prompt}`, `{model}`, `{max_tokens}` and `{seed}` stand for a request's own values. A string that is nothing but
`{max_tokens}` or `{seed}` becomes a number; `{{prompt}}` stands for the text `{prompt}` itself.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from pydantic import JsonValue

NAMES = ("prompt", "model", "max_tokens", "seed")

# In serialised JSON a brace next to a letter can only be inside a string, and a quote that no backslash precedes and
# a brace follows can only open one. So the text is cut where it is, and nothing has to be walked or serialised again.
_PLACE = re.compile(r'(?<!\\)"\{(max_tokens|seed)\}"|\{\{([A-Za-z_]\w*)\}\}|\{([A-Za-z_]\w*)\}', re.ASCII)


@dataclass(frozen=True)
class Template:
    """A body cut at its placeholders: `texts[0]`, the value of `names[0]`, `texts[1]`, and so on."""

    texts: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, body: JsonValue) -> Template:
        """Raises ValueError for a placeholder that is not known."""
        text, texts, names, end = json.dumps(body), [""], list[str](), 0
        for place in _PLACE.finditer(text):
            number, literal, name = place.groups()
            texts[-1] += text[end : place.start()]
            end = place.end()
            if literal is not None:
                texts[-1] += f"{{{literal}}}"
                continue
            if number is None and name not in NAMES:
                known = ", ".join(f"{{{known}}}" for known in NAMES)
                raise ValueError(
                    f"the body has the placeholder {{{name}}}; known are {known}, and {{{{{name}}}}} is that text"
                )
            names.append(number or name)
            texts.append("")
        texts[-1] += text[end:]
        return cls(tuple(texts), tuple(names))

    @property
    def asks_the_prompt_alone(self) -> bool:
        """Whether the prompt stands once, as a whole string: then its length is known to be the prompt's."""
        if self.names.count("prompt") != 1:
            return False
        place = self.names.index("prompt")
        before, after = self.texts[place], self.texts[place + 1]
        return before.endswith('"') and not before.endswith('\\"') and after.startswith('"')

    def fill(self, *, prompt: str, model: str, max_tokens: int, seed: int) -> bytes:
        """The body with these values, as UTF-8 JSON."""
        values = {
            "prompt": json.dumps(prompt)[1:-1],
            "model": json.dumps(model)[1:-1],
            "max_tokens": str(max_tokens),
            "seed": str(seed),
        }
        pieces = [self.texts[0]]
        for name, text in zip(self.names, self.texts[1:], strict=True):
            pieces += (values[name], text)
        return "".join(pieces).encode()
