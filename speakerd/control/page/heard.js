// What was heard, as it comes, and why.

import { $, button, called, clock, element, question, tell, trying } from "./building.js";
import { ask } from "./speaking.js";
import { player } from "./sound.js";

const MOST = 100; // on the page; the speaker keeps more
const MARKS = { offered: "said again, and then heard: it may be an example", wrong: "was wrong", right: "was right" };

export function begin() {
  $("rejected").addEventListener("change", () => trying(drawHeard));
}

let drawn = Promise.resolve(); // the list, as the speaker last told it

export function drawHeard() {
  drawn = draw();
  return drawn;
}

async function draw() {
  const all = (await ask("why", { all: true })).filter(wanted).slice(0, MOST);
  $("detections").replaceChildren(...all.map((item) => card(item, item.at)));
}

/** A detection that comes just now. */
export async function heard(item) {
  if (item.accepted) tell("Heard: ", called(item.command));
  await drawn.catch(() => {}); // it may be in there, or be missing
  if (!wanted(item) || $("detections").querySelector(`[data-id="${item.id}"]`)) return;
  $("detections").prepend(card(item, Date.now() / 1000));
  while ($("detections").children.length > MOST) $("detections").lastElementChild.remove();
}

const wanted = (item) => item.accepted || $("rejected").checked;

function card(item, at) {
  const why = element("div");
  const more = button("Why?", () => explain(item.id, why, more), { class: "quiet", "aria-expanded": "false" });
  return element(
    "li",
    { "data-id": item.id },
    element(
      "div",
      { class: "title" },
      element("strong", {}, called(item.command)),
      element("span", { class: item.accepted ? "good" : "soft" }, item.accepted ? "accepted" : "not accepted"),
    ),
    element(
      "div",
      { class: "soft" },
      `${clock(at)} · score ${item.score.toFixed(2)}, ${item.threshold.toFixed(2)} is needed`,
      item.speaker ? " · by " : "",
      item.speaker ? called(item.speaker) : "",
      item.ambiguous_with ? " · or was it " : "",
      item.ambiguous_with ? called(item.ambiguous_with) : "",
      item.mark ? ` · ${MARKS[item.mark] ?? item.mark}` : "",
    ),
    element("div", { class: "row" }, more, ...verdicts(item)),
    why,
  );
}

/** What a person may say of it; the speaker learns from that. */
function verdicts(item) {
  if (item.mark === "wrong" || item.mark === "right") return [];
  const right = button(item.accepted ? "That was right" : "I did say that", () => learn("right", { id: item.id }), { class: "quiet" });
  return item.accepted ? [button("That was wrong", () => wrong(item), { class: "quiet" }), right] : [right];
}

async function wrong(item) {
  const answer = await question(["It was not ", called(item.command), ". The speaker learns to tell it apart."], {
    name: { label: "What was said instead, if it is a command", value: "", needed: false },
    yes: "It was wrong",
  });
  if (answer) await learn("wrong", { id: item.id, meant: answer.name.trim() || null });
}

async function learn(verdict, what) {
  const [{ change }] = await ask(verdict, what);
  tell(change, ". Undo, in the history, takes it back.");
  await drawHeard();
}

async function explain(id, why, more) {
  if (why.firstChild) {
    why.replaceChildren();
    more.setAttribute("aria-expanded", "false");
    return;
  }
  const [item] = await ask("why", { id });
  why.replaceChildren(
    element("p", {}, item.rule, "."),
    element("p", { class: "soft" }, `Speech at ${Math.round(item.level_dbfs)} dB, ${Math.round(item.level_dbfs - item.room_dbfs)} dB above the room.`),
    table("What it scored", ["command", "score", "needed"], item.scores.slice(0, 5).map((one) => [called(one.command), one.score.toFixed(2), one.threshold.toFixed(2)])),
    element("h3", {}, "The examples that are most like it"),
    element("ul", { class: "examples" }, ...item.nearest.map((near) => element("li", {}, element("span", {}, called(near.command), ` · likeness ${near.likeness.toFixed(2)}`), player(near.example, near.command)))),
  );
  more.setAttribute("aria-expanded", "true");
}

function table(caption, heads, rows) {
  return element(
    "table",
    {},
    element("caption", { class: "soft" }, caption),
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, cell))))),
  );
}
