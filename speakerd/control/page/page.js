// The page: who is there, what is heard at the moment, and which view is shown.

import { $, fill, tell, trouble, trying } from "./building.js";
import { drawCommands, drawMap } from "./commands.js";
import { begin as beginHeard, drawHeard, heard } from "./heard.js";
import { drawDoctor, drawHistory, drawSettings } from "./looking.js";
import { begin as beginTeaching, drawTeach } from "./teaching.js";
import { ask, follow, known } from "./speaking.js";

const views = {
  heard: drawHeard,
  commands: drawCommands,
  teach: drawTeach,
  map: drawMap,
  history: drawHistory,
  settings: drawSettings,
  doctor: drawDoctor,
};
let version = null; // of what is known, as far as the view shows it

function shown() {
  const wanted = location.hash.slice(1);
  return wanted in views ? wanted : "heard";
}

function show(moved = true) {
  for (const name of Object.keys(views)) $(name).hidden = name !== shown();
  for (const link of $("views").querySelectorAll("a")) {
    if (link.hash === `#${shown()}`) {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "center" });
    } else link.removeAttribute("aria-current");
  }
  if (moved) $("main").focus({ preventScroll: true });
  return trying(views[shown()]);
}

/** Sound and detections as they come, for as long as the page is open. */
async function listen() {
  for (;;) {
    try {
      await follow({ type: "Watch", all: true, level: true }, (item) => {
        if ("id" in item) heard(item);
        else if ("level_dbfs" in item) listening(item);
      }).over;
    } catch {
      $("gate").textContent = "not connected";
      $("gate").className = "";
    }
    await new Promise((later) => setTimeout(later, 2000));
  }
}

function listening({ level_dbfs: level, speech, waiting, microphone, muted, version: now }) {
  fill($("level").firstElementChild, level);
  $("level").setAttribute("aria-valuenow", Math.max(-70, Math.min(0, level)));
  $("level").setAttribute("aria-valuetext", `${Math.round(level)} dB`);
  $("gate").textContent = waiting ? "no sound" : speech ? "speech" : "quiet";
  const fault = muted ? null : (waiting ?? microphone);
  if ($("microphone").textContent !== (fault ?? "")) $("microphone").textContent = fault ?? "";
  mute(muted);
  $("gate").className = speech && !waiting ? "speech" : "";
  if (version !== null && now !== version) show(false); // somebody, here or elsewhere, has changed something
  version = now;
}

function mute(muted) {
  $("mute").setAttribute("aria-pressed", muted !== null);
  $("mute").textContent = muted === null ? "Mute" : "Muted";
  $("mute").title = muted ?? "";
}

async function changeMute() {
  const on = $("mute").getAttribute("aria-pressed") !== "true";
  const [status] = await ask(on ? "mute" : "unmute");
  mute(status.muted);
  tell(on ? "The speaker does not listen any more." : "The speaker listens again.");
}

async function logIn(event) {
  event.preventDefault();
  const form = event.target;
  await trying(async () => {
    try {
      await ask("login", { token: form.token.value });
    } catch (error) {
      form.token.value = "";
      trouble(error.message);
      return;
    }
    location.reload();
  }, form.querySelector("button"));
}

async function begin() {
  $("login").querySelector("form").addEventListener("submit", logIn);
  let status;
  try {
    [status] = await ask("status");
  } catch (error) {
    if (error.status === 401) {
      $("login").hidden = false;
      $("login").querySelector("input").focus();
    } else trouble(error.message);
    return;
  }
  const requests = await known();
  $("ear").hidden = $("views").hidden = false;
  $("logout").hidden = !requests.has("login");
  $("logout").addEventListener("click", () => trying(async () => {
    await ask("logout");
    location.reload();
  }));
  $("mute").addEventListener("click", () => trying(changeMute, $("mute")));
  mute(status.muted);
  beginHeard();
  beginTeaching(requests);
  addEventListener("hashchange", show);
  show(false);
  listen();
}

begin();
