"""What a room, a distance and a microphone do to a scene, on batches of waveforms (torch)."""

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from speakerd.audio.features import FFT, FLOOR, HOP, SAMPLE_RATE, WINDOW, mel_matrix, window
from speakerd.events import Samples
from speakerd.training.data import Pcm, samples_of

MADE = 30  # seconds of each coloured noise


def features(samples: Tensor) -> Tensor:
    """The log-mel features of audio/features.py, batched: (batch, samples) to (batch, samples // 160, 40)."""
    blocks = F.pad(samples, (WINDOW - HOP, 0)).unfold(1, WINDOW, HOP) * torch.from_numpy(window()).to(samples)
    spectrum = torch.fft.rfft(blocks, FFT)
    energy = spectrum.real.square() + spectrum.imag.square()
    return torch.log(energy @ torch.from_numpy(mel_matrix()).to(samples) + FLOOR)


class Augment:
    """Rooms (p 0.5), microphone colour, noise at 0-25 dB (p 0.85), gain -25..+8 dB, clipping."""

    def __init__(self, noise: Tensor, seed: int, snr: tuple[float, float] = (0, 25)) -> None:
        """``noise`` (samples,): recordings one after another, on the device that scenes are on; ``snr``: from the
        lowest to the highest, in dB."""
        self.noise, self.snr = noise, snr
        self.draw = torch.Generator(noise.device).manual_seed(seed)
        tilts = torch.linspace(0, 1, 8).unsqueeze(1)  # white to brown
        spectrum = torch.fft.rfft(torch.randn(8, MADE * SAMPLE_RATE, generator=self.draw, device=noise.device))
        falling = torch.arange(1, spectrum.shape[1] + 1) ** -tilts
        self.made = torch.fft.irfft(spectrum * falling.to(noise.device))

    @classmethod
    def among(cls, noise: Sequence[Pcm], seed: int, snr: tuple[float, float] = (0, 25), device: str = "cpu") -> Self:
        """The same with recordings."""
        return cls(torch.from_numpy(samples_of(np.concatenate(noise))).to(device), seed, snr)

    def one(self, samples: Samples) -> Samples:
        """A single scene (samples,), heard in some room."""
        heard: Samples = self(torch.from_numpy(samples)[None])[0].numpy()
        return heard

    def __call__(self, scenes: Tensor) -> Tensor:
        """(batch, samples) in -1..1, clean, to the same, heard in some room."""
        batch = len(scenes)
        level = scenes.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-4)
        heard = self._coloured(scenes, self._impulse_responses(batch))
        heard = heard * (level / heard.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-5))
        snr = self._uniform(batch, *self.snr)
        share = level * 10 ** (-snr / 20) * (self._uniform(batch, 0, 1) < 0.85)
        heard = heard + self._noises(scenes.shape) * share
        heard = heard * 10 ** (self._uniform(batch, -25, 8) / 20)
        return heard.clamp(-1, 1)

    def _uniform(self, batch: int, low: float, high: float) -> Tensor:
        return torch.rand(batch, 1, generator=self.draw, device=self.draw.device) * (high - low) + low

    def _places(self, below: int, batch: int) -> list[int]:
        places: list[int] = torch.randint(0, below, (batch,), generator=self.draw, device=self.draw.device).tolist()
        return places

    def _impulse_responses(self, batch: int) -> Tensor:
        """Direct sound and an exponentially decaying tail (RT60 0.1-0.8 s, direct-to-reverberant -3 to 15 dB)."""
        time = torch.arange(SAMPLE_RATE // 2, device=self.draw.device) / SAMPLE_RATE
        falling = torch.exp(-6.9 * time / self._uniform(batch, 0.1, 0.8))
        tail = torch.randn(batch, len(time), generator=self.draw, device=self.draw.device) * falling
        tail[:, : SAMPLE_RATE // 400] = 0  # the first reflection takes 2.5 ms
        tail = tail / tail.square().sum(dim=1, keepdim=True).sqrt()
        tail = tail * 10 ** (-self._uniform(batch, -3, 15) / 20) * (self._uniform(batch, 0, 1) < 0.5)
        direct = torch.zeros_like(tail)
        direct[:, 0] = 1
        rooms: Tensor = direct + tail
        return rooms

    def _coloured(self, scenes: Tensor, rooms: Tensor) -> Tensor:
        """Convolve with the room and a smooth random microphone curve (up to 8 dB), both in the spectrum."""
        length = scenes.shape[1] + rooms.shape[1]
        spectrum = torch.fft.rfft(scenes, length) * torch.fft.rfft(rooms, length)
        curve = torch.randn(len(scenes), 1, 8, generator=self.draw, device=self.draw.device) * 3
        curve = F.interpolate(curve, spectrum.shape[1], mode="linear", align_corners=True).squeeze(1).clamp(-8, 8)
        heard: Tensor = torch.fft.irfft(spectrum * 10 ** (curve / 20), length)
        return heard[:, : scenes.shape[1]]

    def _noises(self, shape: torch.Size) -> Tensor:
        """Pieces of recorded noise (two of three) or coloured noise, each at unit level."""
        batch, length = shape
        (noise,), coloured = _longer(self.noise[None], length), _longer(self.made, length)
        pieces = torch.stack([noise[at : at + length] for at in self._places(len(noise) - length, batch)])
        which = self._places(len(coloured), batch)
        starts = self._places(coloured.shape[1] - length, batch)
        made = torch.stack([coloured[w, at : at + length] for w, at in zip(which, starts, strict=True)])
        made = torch.where(self._uniform(batch, 0, 1) < 0.67, pieces, made)
        return made / made.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-4)


def _longer(sounds: Tensor, length: int) -> Tensor:
    """Sounds (n, samples) over and over again, until they are longer than that."""
    times = length // sounds.shape[1] + 1
    return sounds.repeat(1, times) if times > 1 else sounds
