// Swagger UI over /openapi.json, with the key that the chat page was given.

import { key } from "./api.js";

async function show() {
  const secret = key.get();
  const sent = secret ? { headers: { Authorization: `Bearer ${secret}` } } : {};
  const response = await fetch("/openapi.json", sent);
  if (response.status === 401) {
    const asked = prompt("Key of this service");
    if (!asked) return;
    key.set(asked.trim(), false);
    await show();
    return;
  }
  const spec = await response.json();
  const ui = window.SwaggerUIBundle({ spec, dom_id: "#interface", deepLinking: true, defaultModelsExpandDepth: 0, validatorUrl: null });
  if (secret) ui.preauthorizeApiKey("HTTPBearer", secret);
}
show();
