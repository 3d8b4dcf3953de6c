// Speaking with the speaker: a request and its answer, or one that goes on.

export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Everything that the answer to a request holds. */
export async function ask(name, fields = {}) {
  let answer;
  try {
    answer = await fetch(`api/${name}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(fields),
    });
  } catch {
    throw new Refused("The speaker does not answer. Is it switched on, and in the same network?", 0);
  }
  const told = await answer.json();
  if (!answer.ok) throw new Refused(told.message, answer.status);
  return told.items;
}

/** A request that goes on: `heard` gets each item. `over` is kept when it is done, and broken when it failed. */
export function follow(request, heard) {
  const address = new URL("api/socket", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address);
  const over = new Promise((done, failed) => {
    socket.onopen = () => socket.send(JSON.stringify(request));
    socket.onclose = () => failed(new Refused("The speaker hung up.", 0));
    socket.onmessage = (message) => {
      const reply = JSON.parse(message.data);
      if (reply.type === "Item") heard(reply.value);
      else if (reply.type === "Done") done();
      else failed(new Refused(reply.message, 409));
      if (reply.type !== "Item") socket.close();
    };
  });
  return { over, stop: () => socket.close() };
}

/** Which requests this speaker knows, by their names. */
export async function known() {
  const document = await (await fetch("api/openapi.json")).json();
  return new Set(Object.keys(document.paths).map((path) => path.replace("/api/", "")));
}
