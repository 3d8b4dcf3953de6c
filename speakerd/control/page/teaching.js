// Teaching: into the speaker's microphone, into this device's, or from recordings.

import { $, button, called, element, fill, percent, rate, tell, trying } from "./building.js";
import { ask, follow } from "./speaking.js";
import { base64, play, Recorder, toWav } from "./sound.js";

const LONGEST = 6; // seconds of a take

let lesson = null; // what ends the one that is going on

export function begin(requests) {
  const form = $("teach").querySelector("form");
  $("by-voice").hidden = !requests.has("stop-lesson");
  form.addEventListener("change", () => {
    form.elements.name.required = form.into.value !== "voice"; // then the speaker asks for it
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    trying(() => teach(form), form.querySelector("button"));
  });
  $("stop").addEventListener("click", () => lesson?.());
  if (!Recorder.possible()) {
    form.querySelector("[value=phone]").disabled = true;
    $("no-microphone").hidden = false;
  }
}

export async function drawTeach() {
  const all = await ask("commands");
  const actions = new Set(all.map((command) => command.action).filter(Boolean));
  $("names").replaceChildren(...all.map((command) => element("option", { value: command.command })));
  $("actions").replaceChildren(...[...actions].map((action) => element("option", { value: action })));
}

async function teach(form) {
  const what = {
    name: form.elements.name.value,
    speaker: form.speaker.value.trim() || null,
    action: form.action_.value.trim() || null,
    replace: form.replace.checked,
  };
  const ways = { speaker: bySpeaker, phone: byPhone, files: byFiles, voice: byVoice };
  $("takes").replaceChildren();
  form.hidden = true;
  $("lesson").hidden = false;
  try {
    await ways[form.into.value](what);
  } finally {
    lesson = null;
    form.hidden = false;
    $("lesson").hidden = true;
    for (const id of ["record", "learn", "choose"]) $(id).hidden = true;
    fill($("lesson-level"), -70);
  }
}

// -- the speaker's microphone

async function bySpeaker(what) {
  let stopped = false;
  prompt("The speaker gets ready…");
  const going = follow({ type: "Teach", ...what }, (item) => {
    if ("take" in item) prompt("Say it: ", called(what.name), ` (${item.take} of ${item.of})`);
    else if ("level" in item) fill($("lesson-level"), item.level);
    else if ("heard" in item) took(item.heard, item.reason);
    else if ("command" in item) learned(item);
  });
  lesson = () => {
    stopped = true;
    going.stop();
  };
  try {
    await going.over;
  } catch (error) {
    if (!stopped) throw error;
    tell("Stopped; nothing was learned.");
  }
}

// -- the speaker's voice

async function byVoice({ action }) {
  prompt("The speaker begins to speak…");
  lesson = () => trying(() => ask("stop-lesson"));
  const going = follow({ type: "Lesson", action }, (item) => {
    if ("said" in item) prompt(item.said);
    else if ("level" in item) fill($("lesson-level"), item.level);
    else if ("heard" in item) took(item.heard, item.reason);
    else if ("command" in item) tell("Learned: ", called(item.command), ".");
  });
  await going.over;
}

// -- this device's microphone

async function byPhone(what) {
  prompt("The browser asks whether it may use the microphone…");
  const takes = [];
  let meter = () => {};
  const recorder = await Recorder.open((level) => {
    fill($("lesson-level"), level);
    meter(level);
  });
  try {
    await new Promise((done, failed) => {
      lesson = done;
      $("record").hidden = false;
      $("record").textContent = "Record";
      let recording = null;
      const finish = () => {
        clearTimeout(recording);
        recording = null;
        $("record").textContent = "Record";
        keep(takes, recorder.end());
        next();
      };
      const next = () => {
        prompt("Press Record and say: ", called(what.name), ` (${takes.length} recorded)`);
        $("learn").hidden = takes.length === 0;
      };
      $("record").onclick = () => {
        if (recording) {
          finish();
          return;
        }
        recorder.begin();
        prompt("Say it now: ", called(what.name));
        $("record").textContent = "That was it";
        recording = setTimeout(finish, 1000 * LONGEST);
      };
      $("learn").onclick = () => trying(() => learn(what, takes), $("learn")).then(done, failed);
      next();
    });
  } finally {
    recorder.close();
  }
}

// -- recordings

async function byFiles(what) {
  const takes = [];
  prompt("Choose recordings of: ", called(what.name));
  $("choose").hidden = false;
  const input = $("choose").querySelector("input");
  await new Promise((done, failed) => {
    lesson = done;
    input.onchange = () => trying(async () => {
      for (const file of input.files) {
        try {
          keep(takes, await toWav(file), file.name);
        } catch {
          keep(takes, file, file.name); // the speaker may know it, or say what is wrong with it
        }
      }
      input.value = "";
      $("learn").hidden = takes.length === 0;
    });
    $("learn").onclick = () => trying(() => learn(what, takes), $("learn")).then(done, failed);
  });
}

// -- what all have in common

function prompt(...words) {
  $("prompt").replaceChildren(...words);
}

function took(accepted, reason) {
  $("takes").append(element("li", { class: accepted ? "good" : "bad" }, accepted ? "heard" : "not taken", reason ? `: ${reason}` : ""));
}

/** A take that waits to be sent; it can be listened to and thrown away. */
function keep(takes, sound, source = "this page") {
  const take = { sound, source };
  takes.push(take);
  const line = element(
    "li",
    {},
    `${source} `,
    button("Play", () => play(sound), { class: "quiet" }),
    button("Throw away", () => {
      takes.splice(takes.indexOf(take), 1);
      line.remove();
      $("learn").hidden = takes.length === 0;
    }, { class: "quiet" }),
  );
  $("takes").append(line);
}

async function learn(what, takes) {
  const recordings = await Promise.all(takes.map(async ({ sound, source }) => ({ source, file: await base64(sound) })));
  prompt("The speaker learns…");
  const told = await ask("enroll", { ...what, recordings });
  learned(told.at(-1), told.filter((item) => "example" in item && (!item.accepted || item.reason)));
}

function learned(command, doubts = []) {
  tell(
    "Learned: ",
    called(command.command),
    `. Expected: misses ${percent(command.expected_frr)}, ${rate(command.expected_fa_per_hour)} false accepts per hour of talk. `,
    command.advice ? `${command.advice}. ` : "",
    ...doubts.map((item) => `${item.example}: ${item.accepted ? "taken, with a doubt" : "not taken"}: ${item.reason}. `),
  );
}
