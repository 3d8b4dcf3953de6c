// Commands and their examples, in words and on a map.

import { $, button, called, count, element, percent, question, rate, tell } from "./building.js";
import { ask } from "./speaking.js";
import { player } from "./sound.js";

// Shapes tell commands apart as colours do, for those who cannot see these.
const COLOURS = ["#2f7fb8", "#c2571a", "#2b8a57", "#9a4fb5", "#b5263f", "#7a6a00", "#147d86", "#6b6f76"];
const SHAPES = ["M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0", "M-5 -5h10v10h-10z", "M0 -6l6 11h-12z", "M0 -7l7 7l-7 7l-7 -7z"];

export async function drawCommands() {
  const open = new Set([...$("known").querySelectorAll("details[open]")].map((details) => details.dataset.name));
  $("known").replaceChildren(...(await ask("commands")).map((command) => card(command, open.has(command.command))));
}

function card(command, open) {
  const name = command.command;
  return element(
    "li",
    {},
    element("div", { class: "title" }, element("strong", {}, called(name)), element("span", { class: "soft" }, count(command.examples, "example"))),
    element(
      "dl",
      {},
      ...pair("Promised", `misses ${percent(command.expected_frr)}, ${rate(command.expected_fa_per_hour)} (${command.expected_fa_between.map(rate).join(" to ")}) false accepts per hour of talk${command.extrapolated ? ", which nobody has listened long enough to have shown" : ""}`),
      ...pair("Observed, last day", `accepted ${count(command.observed.accepted, "time")}, ${command.observed.wrong} of them said to be wrong`),
      ...(command.action ? pair("Does", command.action) : []),
      ...(command.speakers.length ? pair("Said by", command.speakers.join(", ")) : []),
    ),
    command.over_budget ? element("p", { class: "bad" }, "Over its share of the budget of false accepts: more examples help, or a longer phrase.") : null,
    command.close.length ? element("p", { class: "bad" }, "Sounds like ", ...command.close.flatMap((other, i) => [i ? ", " : "", called(other)]), ".") : null,
    element(
      "details",
      { open, "data-name": name },
      element("summary", {}, "Examples, and what can be done"),
      element("ul", { class: "examples" }, ...command.kept.map((kept) => example(kept, name))),
      element(
        "div",
        { class: "row" },
        button("Teach more", () => {
          $("teach").querySelector("form").elements.name.value = name;
          location.hash = "teach";
        }),
        button("Rename", () => rename(name), { class: "quiet" }),
        button("Forget", () => forget(name), { class: "grave" }),
      ),
    ),
  );
}

const pair = (term, ...words) => [element("dt", {}, term), element("dd", {}, ...words)];

function example(kept, name) {
  return element(
    "li",
    {},
    element(
      "span",
      {},
      `${kept.example} · ${kept.seconds.toFixed(1)} s · `,
      called(kept.source),
      kept.speaker ? " · by " : "",
      kept.speaker ? called(kept.speaker) : "",
      kept.doubt ? element("div", { class: "soft" }, kept.doubt) : null,
    ),
    player(kept.example, name),
    button("Delete", async () => {
      if (!(await question(["Delete this example of ", called(name), "? Undo brings it back."], { yes: "Delete" }))) return;
      await ask("discard", { example: kept.example });
      tell("Deleted one example of ", called(name), ".");
      await drawCommands();
    }, { class: "grave", "aria-label": `Delete example ${kept.example} of ${name}` }),
  );
}

async function rename(name) {
  const answer = await question(["Another name for ", called(name)], { name: { label: "New name", value: name }, yes: "Rename" });
  if (!answer) return;
  await ask("rename", { old: name, new: answer.name });
  tell("Now called ", called(answer.name), ".");
  await drawCommands();
}

async function forget(name) {
  const answer = await question(["Forget ", called(name), "? For 30 days, undo brings it back."], {
    also: "Erase it at once and for good, with all of its examples",
    yes: "Forget",
  });
  if (!answer) return;
  await ask("forget", { name, erase: answer.also });
  tell("Forgotten: ", called(name), ".");
  await drawCommands();
}

// -- the map

export async function drawMap() {
  const all = (await ask("commands")).filter((command) => command.kept.length);
  $("chart").replaceChildren(...(all.length ? [chart(all)] : []));
  $("legend").replaceChildren(
    ...all.map((command, i) =>
      element(
        "li",
        {},
        drawn("svg", { width: 18, height: 18, viewBox: "-9 -9 18 18", "aria-hidden": "true" }, sign(i)),
        " ",
        called(command.command),
        command.close.length ? " is close to " : "",
        ...command.close.flatMap((other, j) => [j ? ", " : "", called(other)]),
      ),
    ),
  );
}

function chart(all) {
  const middles = new Map(all.map((command) => [command.command, middle(command.kept)]));
  const lines = all.flatMap((command) =>
    command.close
      .filter((other) => middles.has(other) && command.command < other)
      .map((other) => {
        const [[x1, y1], [x2, y2]] = [middles.get(command.command), middles.get(other)];
        return drawn("line", { x1, y1, x2, y2, class: "close" });
      }),
  );
  const points = all.flatMap((command, i) =>
    command.kept.map((kept) => {
      const [x, y] = place(kept);
      const point = sign(i);
      point.setAttribute("transform", `translate(${x} ${y})`);
      return point;
    }),
  );
  const names = all.map((command) => {
    const [x] = middles.get(command.command);
    const y = Math.min(...command.kept.map((kept) => place(kept)[1])) - 12;
    const label = drawn("text", { x, y, "text-anchor": "middle" });
    label.textContent = command.command.length > 24 ? `${[...command.command].slice(0, 22).join("")}…` : command.command;
    return label;
  });
  return drawn("svg", { viewBox: "0 0 640 480", role: "img", "aria-label": "Map; the list below says the same in words" }, ...lines, ...points, ...names);
}

const place = (kept) => [320 + 260 * kept.x, 240 + 200 * kept.y];
const middle = (kept) => [0, 1].map((axis) => kept.reduce((sum, one) => sum + place(one)[axis], 0) / kept.length);
const sign = (i) => drawn("path", { d: SHAPES[i % SHAPES.length], fill: COLOURS[i % COLOURS.length] });

function drawn(tag, attributes, ...inside) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside);
  return made;
}
