// The documents: list, upload with progress, remove.

import { call, Refused, stream, upload } from "./api.js";
import { h, icon, notice } from "./dom.js";
import { t } from "./i18n.js";
import { openSource } from "./viewer.js";

export function documentsView(state) {
  const list = h("div.list", { "aria-busy": "true" });
  const filter = h("input", { type: "search", placeholder: t("filterDocs"), "aria-label": t("filterDocs"), oninput: () => draw() });
  const jobs = h("ul.jobs", { "aria-live": "polite" });
  let documents = [];
  const query = state.collection ? `?collection=${encodeURIComponent(state.collection)}` : "";

  async function refresh() {
    try {
      documents = (await call("GET", `/documents${query}`)).documents;
      draw();
    } catch (error) {
      list.replaceChildren(h("p.error", { role: "alert" }, error instanceof Refused ? error.message : t("offline")));
    }
    list.setAttribute("aria-busy", "false");
  }

  function draw() {
    const wanted = filter.value.toLowerCase();
    const found = documents.filter((d) => `${d.title} ${d.path}`.toLowerCase().includes(wanted));
    if (!documents.length) {
      list.replaceChildren(h("p.empty", {}, t("noDocuments"), " ", state.me.admin && t("addFirst")));
      return;
    }
    const rows = found.map((d) => h("tr", {},
      h("td", {}, h("button.link", { type: "button", onclick: () => openSource({ ...d, span: [0, 0], page: null }) }, d.title), h("small", {}, d.path)),
      h("td.narrow", {}, d.date?.slice(0, 10) ?? ""),
      h("td.narrow", {}, d.groups.map((g) => h("span.tag", {}, g))),
      state.me.admin && h("td.act", {}, h("button.quiet", { type: "button", title: t("remove"), "aria-label": `${t("remove")}: ${d.title}`, onclick: () => remove(d) }, icon("bin")))));
    list.replaceChildren(h("table", {}, h("caption", {}, t("count", found.length)),
      h("thead", {}, h("tr", {}, h("th", {}, t("title")), h("th.narrow", {}, t("date")), h("th.narrow", {}, t("visible")), state.me.admin && h("th", {}, h("span.unseen", {}, t("remove"))))),
      h("tbody", {}, rows)));
  }

  async function remove(document) {
    if (!confirm(t("sure", document.title))) return;
    try {
      await call("DELETE", `/documents/${encodeURIComponent(document.document)}${query}`);
      notice(t("removed"));
    } catch (error) {
      notice(error instanceof Refused ? error.message : t("offline"));
    }
    await refresh();
  }

  async function send(file) {
    const progress = h("progress", { max: "1", value: "0", "aria-label": file.name });
    const stage = h("small", {}, t("uploading"));
    const row = h("li", {}, h("b", {}, file.name), progress, stage);
    jobs.prepend(row);
    const form = new FormData();
    form.append("file", file);
    form.append("groups", groups.value);
    if (state.collection) form.append("collection", state.collection);
    try {
      const job = await upload("/documents", form, (part) => (progress.value = part));
      progress.removeAttribute("value");
      await stream("GET", `/jobs/${job.job}/events`, undefined, (_, now) => {
        stage.textContent = { queued: t("queued"), running: t("running"), done: t("done"), failed: `${t("failedJob")}: ${now.error ?? ""}`, cancelled: t("cancelled") }[now.state];
        if (now.total) {
          progress.max = now.total;
          progress.value = now.done;
        }
        row.className = now.state;
      });
    } catch (error) {
      row.className = "failed";
      stage.textContent = `${t("failedJob")}: ${error instanceof Refused ? error.message : t("offline")}`;
    }
    progress.remove();
    dispatchEvent(new CustomEvent("documents-changed"));
    await refresh();
  }

  const picker = h("input.unseen", { type: "file", id: "files", multiple: true, onchange: (e) => [...e.target.files].forEach(send) });
  const groups = h("input", { type: "text", id: "groups", maxlength: "1000", "aria-label": t("groups"), placeholder: t("groups") });
  const zone = h("div.drop", {}, icon("upload"), h("p", {}, t("drop"), " ", h("label.link", { for: "files" }, t("choose"))), picker, groups);
  zone.addEventListener("dragover", (e) => {
    e.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (e) => {
    e.preventDefault();
    zone.classList.remove("over");
    [...e.dataTransfer.files].forEach(send);
  });
  refresh();
  return h("div.view", {}, h("h1", {}, t("documents")), state.me.admin && zone, jobs, filter, list);
}
