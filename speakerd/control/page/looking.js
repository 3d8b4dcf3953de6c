// History, settings, doctor.

import { $, button, called, count, day, element, question, tell, trying } from "./building.js";
import { base64, bytes } from "./sound.js";
import { ask } from "./speaking.js";

// -- history

export async function drawHistory() {
  const versions = await ask("history");
  $("undo").hidden = versions.length === 0;
  $("undo").onclick = () => trying(async () => {
    const [{ change }] = await ask("undo");
    tell(change);
    await drawHistory();
  }, $("undo"));
  $("versions").replaceChildren(...versions.map(version));
  $("export").onclick = () => trying(save, $("export"));
  $("import").querySelector("input").onchange = (event) => trying(() => bringIn(event.target));
}

async function save() {
  const pieces = (await ask("export")).map((item) => bytes(item.bundle));
  const link = element("a", { href: URL.createObjectURL(new Blob(pieces)), download: "household.speakerd" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000); // when it is saved
}

async function bringIn(input) {
  const bundle = await base64(input.files[0]);
  input.value = "";
  const told = await ask("import", { bundle });
  const again = told.filter((item) => "teach_again" in item).map((item) => item.teach_again);
  tell(`Brought in ${count(told.length - again.length, "command")}.`, again.length ? ` To be taught again: ${again.join(", ")}.` : "");
  await drawHistory();
}

function version(item) {
  return element(
    "li",
    {},
    element("div", { class: "title" }, element("strong", { dir: "auto" }, item.change), element("span", { class: "soft" }, item.current ? `${item.version}, now` : `${item.version}`)),
    element("div", { class: "soft" }, day(item.made), " · ", ...(item.commands.length ? item.commands.flatMap((name, i) => [i ? ", " : "known: ", called(name)]) : ["nothing known"])),
    item.current ? null : element("div", { class: "row" }, button("Back to this", () => back(item), { class: "quiet", "aria-label": `Back to version ${item.version}` })),
  );
}

async function back(item) {
  if (!(await question(`Back to version ${item.version}? What came after it stays in the history.`, { yes: "Back to it" }))) return;
  await ask("rollback", { version: item.version });
  tell(`Back to version ${item.version}.`);
  await drawHistory();
}

// -- settings

export async function drawSettings() {
  const [{ file, settings }] = await ask("settings");
  $("file").textContent = file;
  $("values").replaceChildren(...settings.map(setting));
}

function setting(one) {
  const yesNo = typeof one.value === "boolean";
  const input = element("input", yesNo ? { type: "checkbox", checked: one.value } : { type: "number", step: "any", value: one.value });
  const change = button("Change", async () => {
    await ask("change", { key: one.key, value: yesNo ? input.checked : input.valueAsNumber });
    tell(`${one.key} was changed.`);
    await drawSettings();
  }, { class: "quiet", "aria-label": `Change ${one.key}` });
  input.id = `setting-${one.key}`;
  return element(
    "fieldset",
    {},
    element("legend", {}, element("label", { htmlFor: input.id }, one.key)),
    element("p", { class: "hint" }, `${one.description} (${one.kind}; the default is ${one.default})`),
    element("div", { class: "row" }, input, change),
  );
}

// -- doctor

export async function drawDoctor() {
  $("examine").onclick = () => trying(drawDoctor, $("examine"));
  tell("The doctor looks at everything…");
  const findings = await ask("doctor");
  const faults = findings.filter((finding) => finding.good === false).length;
  tell(faults ? `${count(faults, "fault")} found.` : "No faults found.");
  const marks = new Map([[true, ["good", "good"]], [false, ["bad", "fault"]], [null, ["soft", ""]]]);
  $("findings").replaceChildren(
    ...findings.map((finding) => {
      const [style, word] = marks.get(finding.good);
      return element(
        "li",
        {},
        element("div", { class: "title" }, element("strong", {}, finding.what), element("span", { class: style }, word)),
        element("div", { dir: "auto" }, finding.words),
        finding.remedy ? element("div", { class: "bad" }, `To do: ${finding.remedy}`) : null,
      );
    }),
  );
}
