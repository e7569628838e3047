"""The assistant of a shop: a chat model that learned from synthetic replies.

It stands beside the other models, which answer rows of features by a contract: a conversation has
neither.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..predictors.ngrams import Echo, NGrams
from ..predictors.speaker import Speaker
from .assistant_corpus import replies, topic_of
from .model import DUMMY, UnknownModel


@dataclass(frozen=True, slots=True)
class ChatRecipe:
    """One way to reply; ``make`` learns it, in some hundredths of a second."""

    model: str
    name: str
    about: str
    make: Callable[[], Speaker]


@dataclass(frozen=True, slots=True)
class ChatModel:
    """``name`` is the one that clients use."""

    name: str
    description: str
    recipes: tuple[ChatRecipe, ...]


def _ngrams(order: int) -> Speaker:
    return NGrams(order, replies(), topic_of)


_NAME: Final = "assistant"
ASSISTANT: Final = ChatModel(
    _NAME,
    "Replies to customers of a shop, in the words of a synthetic corpus.",
    (
        ChatRecipe(_NAME, "v1", "a bigram model: knows one word back", lambda: _ngrams(2)),
        ChatRecipe(_NAME, "v2", "a trigram model: knows two words back", lambda: _ngrams(3)),
        ChatRecipe(_NAME, DUMMY, "says the question again", Echo),
    ),
)
CHATS: Final = {ASSISTANT.name: ASSISTANT}


def find_chat(model: str, recipe: str) -> ChatRecipe:
    """The recipe of this name of a chat model; raises :class:`UnknownModel`."""
    known = CHATS[model].recipes
    for found in known:
        if found.name == recipe:
            return found
    names = ", ".join(found.name for found in known)
    raise UnknownModel(f"{model} has no recipe {recipe!r}; choose one of {names}")
