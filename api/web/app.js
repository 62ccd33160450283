// The page: bar on top, one view below, the source panel beside it.

import { call, key, Refused } from "./api.js";
import { chatView } from "./chat.js";
import { documentsView } from "./documents.js";
import { h, icon, notice } from "./dom.js";
import { gapsView } from "./gaps.js";
import { current, switchLanguage, t } from "./i18n.js";
import { reportView } from "./report.js";
import { closeSource } from "./viewer.js";

const VIEWS = { chat: chatView, documents: documentsView, gaps: gapsView, report: reportView };

const state = { me: null, collections: [], collection: localStorage.getItem("collection"), chat: null };

function viewName() {
  const name = location.hash.slice(1);
  return name in VIEWS ? name : "chat";
}

async function load() {
  state.me = await call("GET", "/me");
  state.collections = (await call("GET", "/collections")).collections;
  const names = state.collections.map((c) => c.name);
  if (!names.includes(state.collection)) state.collection = (state.collections.find((c) => c.default) || {}).name ?? null;
}

function bar() {
  const link = (name) => h("a", { href: `#${name}`, "aria-current": viewName() === name ? "page" : null }, t(name));
  const picker = h("select", { "aria-label": t("collection"), onchange: (e) => choose(e.target.value) },
    state.collections.map((c) => h("option", { value: c.name, selected: c.name === state.collection }, c.name)));
  const place = document.getElementById("bar");
  place.replaceChildren(
    h("a.brand", { href: "#chat" }, h("img", { src: "/static/icon.svg", alt: "", width: "22", height: "22" }), h("span", {}, t("name"))),
    h("nav", { "aria-label": t("name") }, link("chat"), link("documents"), state.me?.admin && link("gaps"), link("report")),
    h("div.tools", {},
      state.collections.length > 1 && picker,
      viewName() === "chat" && h("button.quiet", { type: "button", title: t("newChat"), "aria-label": t("newChat"), onclick: fresh }, icon("plus")),
      key.get() && h("button.quiet", { type: "button", title: t("forget"), "aria-label": t("forget"), onclick: forget }, icon("key")),
      h("button.quiet", { type: "button", id: "language", lang: current() === "zh" ? "en" : "zh", onclick: translate }, t("language"))),
  );
}

function show() {
  document.documentElement.lang = current();
  document.title = t("name");
  closeSource();
  bar();
  const main = document.getElementById("main");
  main.className = viewName();
  main.replaceChildren(VIEWS[viewName()](state));
}

function choose(name) {
  state.collection = name;
  state.chat = null;
  localStorage.setItem("collection", name);
  show();
}

function fresh() {
  state.chat = null;
  show();
  document.getElementById("question")?.focus();
}

function forget() {
  key.forget();
  start();
}

function translate() {
  switchLanguage();
  if (state.me) show();
  else askForKey();
}

function askForKey(wrong) {
  closeSource();
  bar();
  const field = h("input", { type: "password", id: "key", autocomplete: "off", required: true, "aria-label": t("key"), placeholder: "rag_…" });
  const remember = h("input", { type: "checkbox", id: "remember" });
  const form = h("form.gate", {
    onsubmit: (e) => {
      e.preventDefault();
      key.forget();
      key.set(field.value.trim(), remember.checked);
      start(true);
    },
  },
  h("h1", {}, t("keyNeeded")), h("p", {}, t("keyHint")),
  wrong && h("p.error", { role: "alert" }, t("keyWrong")),
  field, h("label.check", {}, remember, t("remember")), h("button.primary", { type: "submit" }, t("enter")));
  document.getElementById("main").replaceChildren(form);
  field.focus();
}

async function start(tried = false) {
  try {
    await load();
  } catch (error) {
    if (error instanceof Refused && error.status === 401) {
      state.me = null;
      state.collections = [];
      if (key.get()) key.forget();
      return askForKey(tried);
    }
    document.getElementById("main").replaceChildren(h("p.error", { role: "alert" }, error instanceof Refused ? error.message : t("offline"), " ",
      h("button", { type: "button", onclick: () => start() }, t("retry"))));
    return;
  }
  show();
  const ready = await fetch("/readyz").then((r) => r.json()).catch(() => null);
  if (ready?.status === "degraded" || ready?.status === "starting") notice(t(ready.status));
}

addEventListener("hashchange", () => state.me && show());
addEventListener("key-needed", () => state.me && start());
addEventListener("documents-changed", async () => {
  await load();
  bar();
});
document.getElementById("skip").addEventListener("click", (e) => {
  e.preventDefault();
  document.getElementById("main").focus();
});
addEventListener("keydown", (e) => {
  if (e.key === "Escape") closeSource();
  if (e.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) {
    e.preventDefault();
    document.getElementById("question")?.focus();
  }
});
start();
