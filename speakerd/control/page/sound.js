// Sound: examples played, a voice recorded as WAV.

import { button } from "./building.js";
import { ask } from "./speaking.js";

let playing = null;

/** A button that plays a kept example. */
export function player(example, name) {
  return button("Play", async () => {
    const [{ flac }] = await ask("sound", { example });
    await play(new Blob([bytes(flac)], { type: "audio/flac" }));
  }, { class: "quiet", "aria-label": `Play example ${example} of ${name}` });
}

export async function play(sound) {
  playing?.pause();
  playing = new Audio(URL.createObjectURL(sound));
  playing.onended = () => URL.revokeObjectURL(playing.src);
  await playing.play();
}

/** This device's microphone; `levels` gets what is heard, in dBFS. */
export class Recorder {
  static possible = () => Boolean(navigator.mediaDevices?.getUserMedia);

  static async open(levels) {
    const quietly = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
    const recorder = new Recorder();
    recorder.stream = await navigator.mediaDevices.getUserMedia({ audio: quietly });
    recorder.context = new AudioContext();
    await recorder.context.audioWorklet.addModule("capture.js");
    const capture = new AudioWorkletNode(recorder.context, "capture", { numberOfOutputs: 0 });
    capture.port.onmessage = ({ data }) => {
      recorder.taken?.push(data);
      let energy = 0;
      for (const sample of data) energy += sample * sample;
      levels(10 * Math.log10(energy / data.length + 1e-10));
    };
    recorder.context.createMediaStreamSource(recorder.stream).connect(capture);
    await recorder.context.resume();
    return recorder;
  }

  begin() {
    this.taken = [];
  }

  /** What was said since `begin`, as WAV. */
  end() {
    const pieces = this.taken ?? [];
    this.taken = null;
    return wav(pieces, this.context.sampleRate);
  }

  close() {
    for (const track of this.stream.getTracks()) track.stop();
    this.context.close();
  }
}

/** A recording of any kind that the browser can decode, as WAV. */
export async function toWav(file) {
  const context = new OfflineAudioContext(1, 1, 48000);
  const decoded = await context.decodeAudioData(await file.arrayBuffer());
  return wav([decoded.getChannelData(0)], decoded.sampleRate);
}

/** 16 bits a sample, one channel. */
function wav(pieces, rate) {
  const many = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const view = new DataView(new ArrayBuffer(44 + 2 * many));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * many, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * many, true);
  let at = 44;
  for (const piece of pieces) {
    for (const sample of piece) {
      view.setInt16(at, Math.max(-1, Math.min(1, sample)) * 32767, true);
      at += 2;
    }
  }
  return new Blob([view.buffer], { type: "audio/wav" });
}

export async function base64(file) {
  const all = new Uint8Array(await file.arrayBuffer());
  let letters = "";
  for (let at = 0; at < all.length; at += 32768) letters += String.fromCharCode(...all.subarray(at, at + 32768));
  return btoa(letters);
}

export const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
