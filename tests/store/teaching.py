"""Teaching a store without hearing anything; as a program: for ever, saying what is confirmed.

python -m tests.store.teaching FOLDER FIRST MANY     MANY 0: until killed
"""

import hashlib
import sys
from pathlib import Path

import numpy as np

from speakerd.recognition.head import Matrix
from speakerd.store.knowledge import Command, Example, Heads, Knowledge
from speakerd.store.store import Store

DIMENSION = 8


def embeddings(seed: int) -> Matrix:
    """Of an example and two variants."""
    return np.random.default_rng(seed).normal(size=(3, DIMENSION)).astype(np.float32)


def audio(seed: int) -> bytes:
    """As much as a second takes as FLAC, and never the same."""
    return np.random.default_rng(seed).bytes(20_000)


def examples(first: int, many: int = 3, source: str = "microphone") -> list[Example]:
    return [Example(embeddings(i), source, 10, 20, audio=audio(i)) for i in range(first, first + many)]


def trained(name: str, members: tuple[int, ...], seed: int = 0) -> Command:
    draw = np.random.default_rng(seed)
    threshold, fa, frr = draw.uniform(size=3)
    heads = Heads(draw.normal(size=(2, DIMENSION)).astype(np.float32), draw.normal(size=2).astype(np.float32))
    return Command(name, "lamp", threshold, fa, frr, seed % 2 == 1, heads, ("Jörg", None), members)


def learn(store: Store, name: str, first: int = 0, source: str = "microphone") -> Knowledge:
    """Teach a command, or teach it more, from three new examples, numbered from ``first`` on."""

    def update(now: Knowledge) -> list[Command]:
        old = now.find(name)
        members = (old.examples if old else ()) + (-1, -2, -3)
        return [c for c in now.commands if c is not old] + [trained(name, members, first)]

    return store.write(f"{name}: learned", update, examples(first, source=source))


def forget(store: Store, name: str) -> Knowledge:
    return store.write(f"{name}: forgotten", lambda now: [c for c in now.commands if c.name != name])


def digest(store: Store, knowledge: Knowledge) -> str:
    """One word for everything that is known, to the last bit."""
    known = hashlib.sha256(knowledge.encoder.encode())
    for c in knowledge.commands:
        promise = (c.threshold, c.expected_fa_per_hour, c.expected_frr, c.over_budget)
        known.update(repr((c.name, c.action, *promise, c.speakers, c.examples)).encode() + c.heads.to_bytes())
        for example in store.examples(c.examples):
            assert example.embeddings is not None
            assert example.id is not None
            known.update(repr(example.embeddings.shape).encode() + example.embeddings.tobytes())
            known.update(store.audio(example.id) or b"without audio")
            known.update(repr((example.source, example.begin, example.end, example.speaker, example.doubt)).encode())
    return known.hexdigest()


def main() -> None:
    folder, first, many = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    store = Store(folder, "encoder")
    print("begin", flush=True)
    number = first
    while not many or number < first + many:
        known = learn(store, f"command {number}", 3 * number)
        print(known.version, digest(store, known), flush=True)
        if not many and number % 3 == 2:
            known = forget(store, f"command {number - 1}")
            print(known.version, digest(store, known), flush=True)
        number += 1


if __name__ == "__main__":
    main()
