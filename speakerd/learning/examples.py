"""Examples of commands: made from what was said, with what they are enlarged by and any doubt about them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from speakerd.audio.files import from_flac, to_flac
from speakerd.events import Utterance
from speakerd.learning.derivation import Derivation
from speakerd.learning.enlarge import enlarge
from speakerd.learning.takes import Take
from speakerd.recognition.encoder import Encoder
from speakerd.recognition.head import Matrix
from speakerd.store.knowledge import Command, Example
from speakerd.store.store import Store

# Deviations below the usual score from which an example is unlike the others: of people's recordings 3 % of 612 good
# ones are, and one or more in 97 % of 60 times three that are different words.
UNLIKE = 2.25
# Cosine of two embeddings above which they are of one recording: two takes never come so near.
SAME = 0.9995


class Examples:
    """Those that are kept, and new ones; these have their sound, whether or not it will be kept."""

    def __init__(self, store: Store, encoder: Encoder, derivation: Derivation) -> None:
        self._store, self._encoder, self._derivation = store, encoder, derivation

    def of(self, command: Command) -> list[Example]:
        """The kept examples of a command, without their sound."""
        return self._store.examples(command.examples)

    def with_sound(self, members: Sequence[int]) -> tuple[Example, ...]:
        return tuple(replace(e, audio=self._store.audio(e.id or 0)) for e in self._store.examples(members))

    def embedded(self, utterance: Utterance) -> Matrix:
        """Embeddings (1 + variants, dimension) of an utterance and of what it is enlarged by."""
        return np.stack([self._encoder.embed(heard) for heard in (utterance, *enlarge(utterance))])

    def made(self, utterance: Utterance, source: str, who: str | None = None) -> Example:
        audio = to_flac(utterance.samples)
        return Example(self.embedded(utterance), source, utterance.begin, utterance.end, who, audio=audio)

    def taken(self, takes: Sequence[Take], who: str | None, before: Sequence[Example]) -> list[Example]:
        """Examples of accepted takes, each with the doubt about it, if any: about its sound, else that it is unlike the
        others and those of ``before``."""
        accepted = [(take, take.utterance) for take in takes if take.utterance is not None]
        made = [self.made(utterance, take.source, who) for take, utterance in accepted]
        return [
            replace(
                one, doubt=take.reason or self._unlike(one, [*(other for other in made if other is not one), *before])
            )
            for one, (take, _) in zip(made, accepted, strict=True)
        ]

    def taken_in(self, example: Example, encoder: str) -> Example | None:
        """An example that another speaker's ``encoder`` embedded, as it is here; None if nothing can be made of it."""
        vectors = example.embeddings
        if encoder == self._encoder.id and vectors is not None and vectors.shape[1] == self._encoder.dimension:
            return example
        if example.audio is None:
            return None
        return replace(example, embeddings=self._heard_again(example, example.audio))

    def embedded_again(self, members: Sequence[int]) -> Iterator[Example]:
        """Those examples that the encoder in use knows, or has now learned from their sound."""
        for example in self._store.examples(members):
            assert example.id is not None
            audio = self._store.audio(example.id)
            if example.embeddings is None and audio is not None:
                vectors = self._heard_again(example, audio)
                self._store.add_embeddings(example.id, vectors)
                yield replace(example, embeddings=vectors)
            elif example.embeddings is not None:
                yield example

    def _heard_again(self, example: Example, audio: bytes) -> Matrix:
        return self.embedded(Utterance(from_flac(audio), example.begin, example.end, 0.0, 0.0))

    def _unlike(self, example: Example, others: Sequence[Example]) -> str | None:
        one, beside = example.embeddings, [other.embeddings for other in others if other.embeddings is not None]
        if one is None or not beside:
            return None
        if max(float(one[0] @ other[0]) for other in beside) > SAME:
            return "the same recording as another example: say it once more instead"
        if self._derivation.likeness(one, beside) < -UNLIKE:
            return "unlike the other examples: was it the same command, said completely?"
        return None
