"""Learns to tell voices from other sounds, for the gate (audio/voice.py): python -m speakerd.training.voice DATA OUT

Examples are the very moments at which the gate asks: it runs over words and talk in rooms full of noise, and over that
noise alone, and wherever webrtcvad and the level would open it, the last 0.4 s are kept. Takes a quarter of an hour on
one core.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from speakerd.audio.features import MELS, SAMPLE_RATE, log_mel
from speakerd.audio.segmenter import FRAME, LOOK, Segmenter, frames_of
from speakerd.audio.voice import BLOCK, Voice, shapes
from speakerd.config.settings import Gate
from speakerd.events import Samples
from speakerd.training.augment import Augment
from speakerd.training.data import Corpora, Pcm, read_corpora, samples_of

CHANNELS = 96
KERNELS = (5, 3)
STEPS, BATCH, RATE = 6000, 256, 2e-3
VOICES, SOUNDS = 12000, 4000  # scenes with somebody in them, and with nobody
SCENE = 4 * SAMPLE_RATE
LEAD = 3 * SAMPLE_RATE // 2  # of noise alone, before somebody speaks
EACH = 12  # moments that are kept of a scene, at most
SPOKEN, LATELY = 3, 10  # so many frames of the last so many are speech, where it counts as a voice
SPEECH = 1e-3  # of the power of a clip's loudest frame: from there on, a frame is speech
SNR = (-6.0, 25.0)  # dB of the whole scene, of which a word is a fifth: its own is up to 7 dB more
MISSED = 0.004  # of utterances that were held out, so many may fail to open the gate


@dataclass(frozen=True)
class Moments:
    """``looks`` (n, 20, 40) float16, what each is (``voice``, n) and of which scene it is (``scene``, n)."""

    looks: NDArray[np.float16]
    voice: NDArray[np.bool_]
    scene: NDArray[np.int64]


class Net(nn.Module):
    """What :class:`Voice` computes: looks (batch, time, 40) to the logarithm of the odds (batch,)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(MELS, CHANNELS, KERNELS[0])
        self.second = nn.Conv1d(CHANNELS, CHANNELS, KERNELS[1])
        self.last = nn.Linear(2 * CHANNELS, 1)

    def forward(self, looks: Tensor) -> Tensor:
        hidden = F.relu(self.second(F.relu(self.first(looks.transpose(1, 2)))))
        said: Tensor = self.last(torch.cat([hidden.mean(dim=2), hidden.amax(dim=2)], dim=1))
        return said.squeeze(1)

    def voice(self, threshold: float = 0.0) -> Voice:
        """For the daemon, with ``threshold`` for its zero."""
        parts = {name: values.numpy().copy() for name, values in self.state_dict().items()}
        first, second = (parts[f"{name}.weight"].transpose(2, 1, 0) for name in ("first", "second"))
        return Voice(
            first.reshape(-1, CHANNELS), parts["first.bias"], second.reshape(-1, CHANNELS), parts["second.bias"],
            parts["last.weight"][0], parts["last.bias"][0] - np.float32(threshold),
        )  # fmt: skip


# -- moments


def moments(voices: Sequence[Pcm], noise: Sequence[Pcm], scenes: tuple[int, int], seed: int) -> Moments:
    """Of so many ``scenes`` with somebody and with nobody in them, what the gate asks about."""
    draw = np.random.default_rng(seed)
    rooms = Augment.among(noise, seed, SNR)
    looks, voice, scene = [], [], []
    for number in range(sum(scenes)):
        somebody = number < scenes[0]
        dry = _said(voices[int(draw.integers(len(voices)))], draw) if somebody else _noise(noise, draw)
        heard = rooms.one(dry) if somebody or draw.random() < 0.5 else dry
        asked = _asked(heard, Gate(aggressiveness=int(draw.integers(4))))
        if somebody:
            power = np.square(dry.reshape(-1, FRAME)).mean(axis=1)
            loud = np.flatnonzero(power >= SPEECH * power.max())
            speech = np.zeros(len(power))
            speech[loud[0] : loud[-1] + 1] = 1
            asked = asked[np.convolve(speech, np.ones(LATELY))[: len(speech)][asked] >= SPOKEN]
        features = log_mel(heard)
        for i in draw.permutation(asked)[:EACH]:
            looks.append(shapes(features[BLOCK * (i + 1 - LOOK) : BLOCK * (i + 1)]).astype(np.float16))
            voice.append(somebody)
            scene.append(number)
    return Moments(np.stack(looks), np.array(voice), np.array(scene))


def _asked(samples: Samples, gate: Gate) -> NDArray[np.intp]:
    """The frames at which the gate would open if it opened for anything."""
    asked: list[int] = []
    now = 0

    class Never(Voice):
        def score(self, samples: Samples) -> float:
            asked.append(now)
            return -1.0

    segmenter = Segmenter(gate, Never(*(np.zeros(0, np.float32),) * 6))
    for now, frame in enumerate(frames_of(samples)):  # noqa: B007 (it is what Never notes)
        segmenter.push(frame)
    found = np.array(asked, np.intp)
    return found[found >= LOOK - 1]


def _said(pcm: Pcm, draw: np.random.Generator) -> Samples:
    """Somebody says something after a while; a third are made smaller or bigger people."""
    samples = samples_of(pcm)
    if draw.random() < 1 / 3:
        step = 2.0 ** draw.uniform(-0.35, 0.5)
        samples = np.interp(np.arange(0, len(samples) - 1, step), np.arange(len(samples)), samples).astype(np.float32)
    begin = draw.integers(max(1, len(samples) - (SCENE - LEAD)))
    samples = samples[begin : begin + SCENE - LEAD]
    return np.pad(samples, (LEAD, SCENE - LEAD - len(samples)))


def _noise(noise: Sequence[Pcm], draw: np.random.Generator) -> Samples:
    """A piece of noise, or of tones as machines make them, in silence or not."""
    if draw.random() < 0.15:
        return _tones(draw)
    samples = samples_of(noise[int(draw.integers(len(noise)))])
    samples = np.take(samples, np.arange(SCENE) + draw.integers(len(samples)), mode="wrap")
    return np.asarray(samples * 10 ** (draw.uniform(-20, 10) / 20), np.float32).clip(-1, 1)


def _tones(draw: np.random.Generator) -> Samples:
    """Hums, beeps and chords, on and off."""
    time = np.arange(SCENE) / SAMPLE_RATE
    sound = np.zeros(SCENE)
    for _ in range(draw.integers(1, 5)):
        pitch, period, share = 10 ** draw.uniform(1.7, 3.4), draw.uniform(0.1, 2), draw.uniform(0.1, 1.1)
        fall, overtones = draw.uniform(0.5, 3), range(1, int(draw.integers(2, 10)))
        tone = sum(
            np.sin(2 * np.pi * pitch * n * time + draw.uniform(0, 6)) / n**fall for n in overtones if pitch * n < 7600
        )
        on = np.convolve((time / period + draw.random()) % 1 < share, np.hanning(400) / 200, "same")
        decay = np.exp(-(((time / period + draw.random()) % 1) * draw.uniform(0, 6)))
        sound += draw.uniform(0.2, 1) * tone * on * decay
    noise = draw.standard_normal(SCENE) * 10 ** (draw.uniform(-60, -20) / 20)
    sound = sound / max(1e-6, np.abs(sound).max()) + noise
    return np.asarray(sound * 10 ** (draw.uniform(-30, -3) / 20), np.float32).clip(-1, 1)


# -- learning


def learn(seen: Moments, seed: int = 0) -> Net:
    """Half of what is looked at are voices; the sounds of every scene count alike."""
    torch.manual_seed(seed)
    net = Net()
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    looks, voice = torch.from_numpy(seen.looks), torch.from_numpy(seen.voice).float()
    often = 1 / np.bincount(seen.scene)[seen.scene]
    often /= np.where(seen.voice, often[seen.voice].sum(), often[~seen.voice].sum())
    draw = np.random.default_rng(seed)
    for step, rows in enumerate(_batches(often / often.sum(), draw)):
        x = looks[rows].float()
        colour = torch.linspace(-1, 1, MELS) * 0.3 * torch.randn(BATCH, 1, 1) + 0.15 * torch.randn(BATCH, 1, MELS)
        x = (x + colour)[:, draw.integers(LOOK // 2) :] if step % 4 == 0 else x + colour  # a stream has just begun
        loss = F.binary_cross_entropy_with_logits(net(x), 0.01 + 0.98 * voice[rows])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        if step % 500 == 0:
            print(f"step {step} of {STEPS}, loss {float(loss.detach()):.3f}", file=sys.stderr, flush=True)
    return net.eval()


def _batches(often: NDArray[np.float64], draw: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    upto = np.cumsum(often)
    for _ in range(STEPS):
        yield np.searchsorted(upto, draw.random(BATCH) * upto[-1]).clip(max=len(often) - 1)


def highest(net: Net, seen: Moments) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The highest score of each scene in which the gate asks, and whether somebody speaks in it."""
    with torch.no_grad():
        scores = torch.cat([net(x.float()) for x in torch.split(torch.from_numpy(seen.looks), 4096)]).numpy()
    scenes, first = np.unique(seen.scene, return_index=True)
    return np.array([scores[seen.scene == scene].max() for scene in scenes], np.float32), seen.voice[first]


def main(data: Path, out: Path, seed: int = 0) -> None:
    corpora = read_corpora(data)
    seen = moments(_voices(corpora), corpora.noise, (VOICES, SOUNDS), seed)
    print(f"{seen.voice.sum()} moments of voices, {(~seen.voice).sum()} of sounds", file=sys.stderr, flush=True)
    net = learn(seen, seed)
    held = [clip.samples for clip in corpora.held_words] + corpora.held_speech
    scores, voice = highest(net, moments(held, corpora.noise, (VOICES // 6, SOUNDS // 6), seed + 1))
    threshold = float(np.quantile(scores[voice], MISSED))
    net.voice(threshold).save(out)
    print(f"{out}: opens for all but {MISSED:.1%} of {voice.sum()} utterances that were held out, and for "
          f"{np.mean(scores[~voice] >= threshold):.1%} of {(~voice).sum()} sounds that were learned from")  # fmt: skip


def _voices(corpora: Corpora) -> list[Pcm]:
    """Words and talk in equal parts, and a fifth as many that were synthesised: they whisper, too."""
    words = [clip.samples for clip in corpora.words]
    talk = corpora.speech * (len(words) // max(1, len(corpora.speech)))
    return words + talk + corpora.synthetic[: len(words) // 5]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
