// One file to one address, with progress. XMLHttpRequest, because fetch does not say how much was sent.

import { csrf } from "./dom.js";

const NOT_SIGNED_IN = new Set(["not-authenticated", "authentication-failed"]);

/**
 * What the server or the network said. `kind`: ok, refused (it said why), lost (worth another try), signed-out
 * (worth one after signing in), stopped.
 */
export function send(url, file, { progress = () => {}, signal, fields = {} } = {}) {
  return new Promise((done) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("X-CSRFToken", csrf());
    request.setRequestHeader("Accept", "application/json");
    request.responseType = "text";
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) progress(event.loaded / event.total);
    });
    request.addEventListener("load", () => done(outcome(request)));
    request.addEventListener("error", () => done({ kind: "lost", said: "The connection was lost." }));
    request.addEventListener("timeout", () => done({ kind: "lost", said: "The server did not answer in time." }));
    request.addEventListener("abort", () => done({ kind: "stopped", said: "Cancelled" }));
    signal?.addEventListener("abort", () => request.abort());
    const body = new FormData();
    for (const [name, value] of Object.entries(fields)) body.append(name, value);
    body.append("file", file, file.name);
    request.send(body);
  });
}

function outcome(request) {
  const { status } = request;
  const body = json(request.responseText);
  if (status >= 200 && status < 300 && body) return { kind: "ok", status, body };
  const said = body?.detail ?? body?.title;
  if (status === 401 || NOT_SIGNED_IN.has(body?.code)) return { kind: "signed-out", said: "You are signed out. Sign in again." };
  if (status === 413) return { kind: "refused", said: said ?? "The file is larger than the limit." };
  if (status === 429) return { kind: "lost", said: said ?? "Too many at once; try again in a moment." };
  if (status >= 400 && status < 500) return { kind: "refused", said: said ?? `The server refused it (${status}).` };
  return { kind: "lost", said: said ?? `The server could not take it (${status}).` };
}

function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
