// Talks to the service: the key, one error type, streams of events, uploads with progress.

export class Refused extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.type = error.type;
    this.details = error.details;
  }
}

export const key = {
  get: () => sessionStorage.getItem("key") || localStorage.getItem("key") || "",
  set(value, remember) {
    (remember ? localStorage : sessionStorage).setItem("key", value);
  },
  forget() {
    sessionStorage.removeItem("key");
    localStorage.removeItem("key");
  },
};

function headers(more = {}) {
  const secret = key.get();
  return secret ? { ...more, Authorization: `Bearer ${secret}` } : more;
}

async function refusal(response) {
  let error;
  try {
    error = (await response.json()).error;
  } catch {
    error = { message: `${response.status} ${response.statusText}`, type: "unknown" };
  }
  if (response.status === 401) dispatchEvent(new CustomEvent("key-needed"));
  return new Refused(response.status, error);
}

export async function call(method, path, body, signal) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const response = await fetch(path, { method, signal, ...sent, headers: headers(sent.headers) });
  if (!response.ok) throw await refusal(response);
  return response.status === 204 ? null : response.json();
}

export async function picture(path, signal) {
  const response = await fetch(path, { headers: headers(), signal });
  if (!response.ok) throw await refusal(response);
  return URL.createObjectURL(await response.blob());
}

// Calls `on(name, data)` for every server-sent event until the stream ends.
export async function stream(method, path, body, on, signal) {
  const response = await fetch(path, {
    method, signal, headers: headers({ "Content-Type": "application/json" }), body: body && JSON.stringify(body),
  });
  if (!response.ok) throw await refusal(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      let name = "message";
      let data = "";
      for (const line of block.split("\n")) {
        if (line.startsWith("event: ")) name = line.slice(7);
        else if (line.startsWith("data: ")) data += line.slice(6);
      }
      if (data) on(name, JSON.parse(data));
    }
  }
}

// fetch tells nothing of an upload's progress; the older request does.
export function upload(path, form, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (e) => e.lengthComputable && progress(e.loaded / e.total));
    request.addEventListener("error", () => reject(new TypeError("network")));
    request.addEventListener("load", () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        answer = { error: { message: `${request.status}`, type: "unknown" } };
      }
      if (request.status < 300) resolve(answer);
      else reject(new Refused(request.status, answer.error));
    });
    request.send(form);
  });
}
