// The conversation: questions with follow-ups, streamed answers, a stop button, and what happens when something fails.

import { Refused, stream } from "./api.js";
import { actions, answerText, legend, passages, sourceList } from "./answer.js";
import { fill, h, icon } from "./dom.js";
import { t } from "./i18n.js";

export function chatView(state) {
  state.chat ??= { turns: [], busy: null };
  const chat = state.chat;
  const thread = h("div.thread", { role: "log", "aria-live": "off" });
  if (!chat.turns.length) thread.append(welcome(state));
  for (const turn of chat.turns) thread.append(turn.element);

  const field = h("textarea", { id: "question", rows: "1", maxlength: "8000", placeholder: t("ask"), "aria-label": t("ask") });
  const button = h("button.primary.round", { type: "submit" });
  const form = h("form.composer", {
    onsubmit: (e) => {
      e.preventDefault();
      if (chat.busy) return chat.busy.abort();
      const question = field.value.trim();
      if (!question) return;
      field.value = "";
      grow(field);
      ask(question);
    },
  }, field, button);
  field.addEventListener("input", () => grow(field));
  field.addEventListener("keydown", (e) => {
    // An input method uses Enter to pick a word: that one does not send.
    if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
      e.preventDefault();
      if (!chat.busy) form.requestSubmit();
    }
    if (e.key === "Escape" && chat.busy) chat.busy.abort();
  });

  function refreshButton() {
    const busy = Boolean(chat.busy);
    button.replaceChildren(icon(busy ? "stop" : "send"));
    button.setAttribute("aria-label", t(busy ? "stop" : "send"));
    button.title = t(busy ? "stop" : "send");
    button.classList.toggle("stopping", busy);
  }

  async function ask(question) {
    thread.querySelector(".welcome")?.remove();
    const turn = newTurn(question);
    chat.turns.push(turn);
    thread.append(turn.element);
    turn.element.scrollIntoView({ block: "start", behavior: "smooth" });
    const abort = new AbortController();
    chat.busy = abort;
    refreshButton();
    const history = chat.turns.slice(0, -1).filter((x) => x.answer).slice(-6).flatMap((x) => [
      { role: "user", content: x.question }, { role: "assistant", content: x.answer.answer.slice(0, 4000) }]);
    const body = { question, history, stream: true, ...(state.collection ? { collection: state.collection } : {}) };
    try {
      await stream("POST", "/ask", body, (name, data) => take(turn, name, data, state.collection), abort.signal);
      if (!turn.ended) fail(turn, { message: t("offline") }, () => again(turn));
    } catch (error) {
      if (abort.signal.aborted) stopped(turn);
      else fail(turn, error instanceof Refused ? error : { message: t("offline") }, () => again(turn));
    } finally {
      chat.busy = null;
      refreshButton();
      field.focus({ preventScroll: true });
    }
  }

  function again(turn) {
    chat.turns = chat.turns.filter((x) => x !== turn);
    turn.element.remove();
    ask(turn.question);
  }

  refreshButton();
  queueMicrotask(() => matchMedia("(pointer: fine)").matches && field.focus());
  return h("div.chat", {}, thread, form);
}

function welcome(state) {
  const chosen = state.collections.find((c) => c.name === state.collection);
  const count = chosen?.documents ?? 0;
  const start = count
    ? h("a", { href: "#documents" }, t("count", count))
    : h("span", {}, t("noDocuments"), " ", state.me.admin && h("a", { href: "#documents" }, t("addFirst")));
  return h("div.welcome", {}, h("h1", {}, t("welcome")), h("p", {}, t("lead")), h("p.facts", {}, start));
}

function newTurn(question) {
  const status = h("p.status", { role: "status" }, h("span.pulse", {}), h("span", {}, t("searching")));
  const preview = h("div.text.preview", {});
  const reply = h("div.reply", { "aria-label": t("assistant"), "aria-busy": "true" }, status, preview);
  const element = h("article.turn", {}, h("div.question", { "aria-label": t("you") }, question), reply);
  return { question, element, reply, status, preview, answer: null, ended: false };
}

function say(turn, text) {
  turn.status.lastChild.textContent = text;
}

function take(turn, name, data, collection) {
  if (name === "queue") say(turn, t("waiting", data.position, Math.max(1, Math.round(data.seconds))));
  if (name === "sources") say(turn, t("writing"));
  if (name === "delta") {
    turn.preview.append(data.text);
    say(turn, t("writing"));
  }
  if (name === "done") finish(turn, data, collection);
  if (name === "error") fail(turn, data.error, null);
}

function finish(turn, answer, collection) {
  turn.ended = true;
  turn.answer = answer;
  turn.reply.setAttribute("aria-busy", "false");
  turn.reply.classList.add(answer.status);
  turn.reply.replaceChildren(...[
    answerText(answer), answer.finish_reason === "length" && h("p.warn", {}, t("cutOff")), legend(answer), sourceList(answer.citations),
    actions(turn.question, answer, collection)].filter(Boolean));
}

function stopped(turn) {
  turn.ended = true;
  turn.reply.setAttribute("aria-busy", "false");
  turn.status.replaceWith(h("p.status", {}, t("stopped")));
}

function fail(turn, error, retry) {
  turn.ended = true;
  turn.reply.setAttribute("aria-busy", "false");
  const found = error.details?.search?.hits ?? [];
  const again = retry && h("button", { type: "button", onclick: retry }, t("retry"));
  fill(turn.reply, [
    h(found.length ? "div.failure.mild" : "div.failure", { role: "alert" },
      h("b", {}, t(found.length ? "modelDown" : "failed")), h("p", {}, error.message), again),
    found.length > 0 && passages(found)]);
}

function grow(field) {
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight, 200)}px`;
}
