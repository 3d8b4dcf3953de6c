// Building the page. What people have named is set as text and never as markup.

export const $ = (id) => document.getElementById(id);

/** An element with properties (`class`, `aria-…` and `data-…` are attributes) and what it holds. */
export function element(tag, properties = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class" || name.includes("-")) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...inside.filter((part) => part !== null && part !== undefined));
  return made;
}

/** A name that people have given, in whatever direction it is written. */
export const called = (name) => element("bdi", {}, name);

export function button(label, does, properties = {}) {
  const made = element("button", { type: "button", ...properties }, label);
  made.addEventListener("click", () => trying(does, made));
  return made;
}

/** Do something that may be refused: then it is said why. Meanwhile a second press does nothing. */
export async function trying(does, pressed = null) {
  if (pressed) pressed.disabled = true;
  try {
    trouble(null);
    await does();
  } catch (error) {
    trouble(error.message);
    if (error.status === 401) location.reload();
  } finally {
    if (pressed) pressed.disabled = false;
  }
}

export function trouble(message) {
  $("trouble").hidden = !message;
  $("trouble").textContent = message ?? "";
}

export function tell(...parts) {
  $("told").replaceChildren(...parts);
}

/** Ask the person. Null if they would rather not; else `{name, also}`. */
export function question(words, { name = null, also = null, yes = "Yes" } = {}) {
  const dialog = $("asking");
  const [input, box] = [$("asked").querySelector("input"), $("also").querySelector("input")];
  $("question").replaceChildren(...[words].flat());
  $("asked").hidden = name === null;
  $("asked").querySelector("span").textContent = name?.label ?? "";
  input.value = name?.value ?? "";
  input.required = name?.needed ?? name !== null;
  $("also").hidden = also === null;
  $("also").querySelector("span").textContent = also ?? "";
  box.checked = false;
  $("yes").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((answered) => {
    dialog.onclose = () => answered(dialog.returnValue === "yes" ? { name: input.value, also: box.checked } : null);
  });
}

/** Two digits that matter. */
export const rate = (value) => (value >= 10 ? value.toFixed(0) : value >= 0.001 ? String(Number(value.toPrecision(2))) : "under 0.001");
export const percent = (share) => `${Math.round(100 * share)} %`;
export const clock = (seconds) => new Date(1000 * seconds).toLocaleTimeString();
export const day = (seconds) => new Date(1000 * seconds).toLocaleString();
export const count = (many, what) => `${many} ${what}${many === 1 ? "" : "s"}`;

/** How much of a bar is filled by a level in dBFS. */
export function fill(bar, dbfs) {
  bar.style.width = `${Math.max(0, Math.min(100, ((dbfs + 70) / 60) * 100))}%`;
}
